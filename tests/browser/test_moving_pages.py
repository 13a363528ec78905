"""Moving money and looking at wallets in a real browser: by mouse, by keyboard, without a script.

One house serves all of these tests: each has a company and people of its own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import pytest
from playwright.async_api import Page, Route, expect

from kpay.core.clock import ManualClock
from kpay.people.model import Role
from tests.browser.guests import MOST_BYTES, NARROW, WIDE, NewPage, Place, picture, sound
from tests.client import Merchant


@dataclass
class Somebody:
    """A person at a browser, signed in, and the merchant whose money it is."""

    page: Page
    merchant: Merchant
    url: str

    async def to(self, page: str, query: str = "") -> None:
        app = f"{self.url}/dashboard/app/{self.merchant.application_id}/test"
        await self.page.goto(f"{app}/{page}{query}")

    async def fill(self, **fields: str) -> None:
        for name, value in fields.items():
            await self.page.locator(f"#{name}").fill(value)

    async def press(self, name: str) -> None:
        """Send a form by its button, and wait for what comes of it."""
        async with self.page.expect_navigation():
            await self.page.locator("main").get_by_role("button", name=name).click()

    async def comes_to(self, *words: str) -> None:
        for each in words:
            await expect(self.page.locator("#comes-to")).to_contain_text(each)

    async def told_beside(self, field: str, words: str) -> None:
        marked = self.page.locator(f"#{field}")
        await expect(marked).to_have_attribute("aria-invalid", "true")
        await expect(marked).to_have_accessible_description(
            re.compile(re.escape(words).replace("\\ ", "\\s"))
        )
        await expect(self.page.locator(f"#error-{field}")).to_be_visible()

    async def picture(self, name: str) -> None:
        await picture(self.page, name)


Open = Callable[..., Awaitable[Somebody]]


async def merchant_of(place: Place, company: str) -> Merchant:
    """A company with 95,000 XAF in Cameroon and 47,500 XOF in Senegal."""
    merchant = await place.company(company)
    await merchant.collect(100_000)
    await merchant.collect(50_000, "SEN")
    return merchant


@pytest.fixture
def somebody(new_page: NewPage, place: Place) -> Open:
    """Somebody of a new company's finance: `await somebody("awa", locale="fr-CM")`."""

    async def opened(
        name: str, role: Role = Role.FINANCE, *, busy: bool = False, **kind: object
    ) -> Somebody:
        merchant = await merchant_of(place, f"Company of {name}")
        if busy:
            await a_month_of(merchant, place.clock)
        await place.office.hire(name, role, f"Company of {name}")
        page = await new_page(**kind)
        await place.sign_in(page, name)
        return Somebody(page, merchant, place.url)

    return opened


async def test_a_transfer_is_shown_while_it_is_typed_confirmed_and_made(somebody: Open) -> None:
    awa = await somebody("awa")
    await awa.to("wallets")
    await awa.page.get_by_role("link", name="Transfer from Cameroon").click()
    await expect(awa.page.locator("#from")).to_have_value("CMR")
    await expect(awa.page.locator("#to")).to_have_value("SEN")
    await awa.fill(amount="50 000")
    await awa.comes_to("50,765 XOF", "1 XAF = 1.0153 XOF", "Then available45,000 XAF")
    await awa.page.locator("#from").select_option("SEN")
    await awa.page.locator("#to").select_option("GAB")
    await awa.comes_to("Gabon", "1 XOF = ")
    await expect(awa.page.locator("[data-unit]")).to_have_text("XOF")
    await awa.page.locator("#from").select_option("CMR")
    await awa.comes_to("50,000 XAF", "1 : 1")
    await awa.page.locator("#to").select_option("SEN")
    await awa.comes_to("50,765 XOF")
    await awa.page.get_by_role("button", name="All of it").click()
    await expect(awa.page.locator("#amount")).to_have_value("95000")
    await awa.comes_to("Then available0 XAF")
    await awa.fill(amount="50 000")
    await awa.comes_to("50,765 XOF")
    await awa.press("Continue")
    await expect(awa.page.locator("#words")).to_have_text(
        "You move 50,000 XAF from Cameroon to Senegal."
    )
    # A second Enter by mistake confirms nothing: what is read first is not the button.
    await expect(awa.page.locator("#words")).to_be_focused()
    await awa.press("Move 50,000 XAF")

    await expect(awa.page.locator(".done")).to_contain_text("50,765 XOF are in that of Senegal")
    await awa.picture("moved")
    assert await awa.merchant.wallets() == {"CMR": (45_000, 0), "SEN": (98_265, 0)}


async def test_a_payout_is_made_by_keyboard_alone(somebody: Open) -> None:
    binta = await somebody("binta")
    await binta.to("move/payout")
    keyboard = binta.page.keyboard
    await binta.page.locator("#phone").focus()
    await keyboard.type("+237 653 45 67 89")
    await binta.comes_to("MTN MoMo", "by the number", "Cameroon")
    for _ in range(3):
        await keyboard.press("Tab")
    await expect(binta.page.locator("#amount")).to_be_focused()
    await keyboard.type("20000")
    await binta.comes_to("19,000 XAF", "Fee (5 %)1,000 XAF", "Then available75,000 XAF")
    await expect(binta.page.get_by_role("status")).to_have_text(
        "19,000 XAF arrive, 75,000 XAF are then available."
    )
    async with binta.page.expect_navigation():
        await keyboard.press("Enter")
    await expect(binta.page.locator("#words")).to_be_focused()
    await keyboard.press("Tab")
    await expect(binta.page.get_by_role("button", name="Pay 19,000 XAF")).to_be_focused()
    await binta.picture("confirm-payout")
    async with binta.page.expect_navigation():
        await keyboard.press("Enter")

    await expect(binta.page.locator(".done")).to_contain_text("On its way: 20,000 XAF")
    assert (await binta.merchant.wallets())["CMR"] == (75_000, 20_000)


async def test_what_is_wrong_is_told_beside_the_field_once_it_was_left(somebody: Open) -> None:
    coumba = await somebody("coumba")
    await coumba.to("move/payout")
    await coumba.page.locator("#phone").press_sequentially("23799")
    await expect(coumba.page.locator("#error-phone")).to_be_hidden()
    await coumba.page.locator("#amount").fill("95001")
    await coumba.told_beside("phone", "Only test numbers are known in test")
    await coumba.page.locator("#phone").fill("237653456789")
    await expect(coumba.page.locator("#error-phone")).to_be_hidden()
    await expect(coumba.page.locator("#phone")).not_to_have_attribute("aria-invalid", "true")
    await coumba.comes_to("The wallet has only 95,000 XAF available.")
    await coumba.press("Continue")
    await coumba.told_beside("amount", "The wallet has only 95,000 XAF available.")
    await expect(coumba.page.locator("#amount")).to_be_focused()
    # What was typed is still there, and stays marked until it is mended.
    await expect(coumba.page.locator("#phone")).to_have_value("237653456789")
    await coumba.page.locator("#phone").focus()
    await expect(coumba.page.locator("#error-amount")).to_be_visible()
    await coumba.page.locator("#amount").fill("95000")
    await expect(coumba.page.locator("#error-amount")).to_be_hidden()
    await coumba.press("Continue")
    await coumba.press("Change it")
    await expect(coumba.page.locator("#amount")).to_have_value("95000")
    assert (await coumba.merchant.wallets())["CMR"] == (95_000, 0)


async def test_a_double_click_and_a_reload_move_it_once(somebody: Open) -> None:
    dado = await somebody("dado")
    await dado.to("move/transfer", "?amount=1000")
    await dado.press("Continue")
    # The script's own guard is taken away: the browser sends both.
    await dado.page.evaluate(
        "document.addEventListener('submit', (event) => delete event.target.dataset.sent, true)"
    )
    button = dado.page.get_by_role("button", name="Move 1,000 XAF")
    async with dado.page.expect_navigation(url="**/wallets?moved=**"):
        await button.dblclick()
    await expect(dado.page.locator(".done")).to_contain_text("1,000 XAF have left")
    await dado.page.reload()
    await expect(dado.page.locator(".done")).to_contain_text("1,000 XAF have left")
    assert (await dado.merchant.wallets())["CMR"] == (94_000, 0)


async def test_an_answer_that_comes_late_does_not_replace_a_later_one(somebody: Open) -> None:
    elif_ = await somebody("elif")
    await elif_.to("move/transfer")
    held: list[Route] = []

    async def hold_the_first(route: Route) -> None:
        if held:
            await route.continue_()
        else:
            held.append(route)

    await elif_.page.route("**/preview", hold_the_first)
    await elif_.fill(amount="1000")
    async with elif_.page.expect_request("**/preview"):
        pass
    await elif_.fill(amount="2000")
    await elif_.comes_to("2,030.60 XOF")
    async with elif_.page.expect_response("**/preview"):
        await held[0].continue_()
    await elif_.comes_to("2,030.60 XOF")


async def test_without_a_script_a_preview_shows_what_typing_would(somebody: Open) -> None:
    fifi = await somebody("fifi", java_script_enabled=False)
    await fifi.to("move/payout")
    await fifi.fill(phone="237653456789", amount="20,000")
    await fifi.press("Preview")
    await fifi.comes_to("MTN MoMo", "19,000 XAF", "75,000 XAF")
    await fifi.press("Continue")
    await fifi.press("Pay 19,000 XAF")
    await expect(fifi.page.locator(".done")).to_contain_text("On its way: 20,000 XAF")


async def test_who_was_signed_out_meanwhile_is_led_to_the_door_and_back(
    somebody: Open, place: Place
) -> None:
    gnima = await somebody("gnima")
    await gnima.to("move/transfer")
    await gnima.page.context.clear_cookies()
    await gnima.fill(amount="1000")
    await gnima.page.wait_for_url("**/sign-in?next=**/move/transfer")


async def test_a_viewer_sees_curves_and_flows_and_nothing_to_move(somebody: Open) -> None:
    hawa = await somebody("hawa", Role.VIEWER)
    await hawa.merchant.transfer(amount=10_000)
    await hawa.to("wallets")
    await expect(hawa.page.locator("main").get_by_role("link", name="Transfer")).to_have_count(0)
    await expect(hawa.page.get_by_role("link", name="Move money")).to_have_count(0)
    curve = hawa.page.get_by_role("img", name="85,000 XAF at the end")
    await expect(curve).to_be_visible()
    await expect(hawa.page.locator(".flow:not(.narrow) .band title")).to_have_text(
        "Cameroon to Senegal: 10,000 XAF"
    )
    cells = hawa.page.locator(".flows tbody tr").get_by_role("cell")
    assert [text.strip() for text in await cells.all_inner_texts()] == [
        "Cameroon",
        "Senegal",
        "1",
        "0",
        "10,000\u00a0XAF",
        "10,153\u00a0XOF",
    ]
    await hawa.page.get_by_role("link", name="7 days").click()
    await expect(hawa.page.locator(".over [aria-current]")).to_have_text("7 days")


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fr", "dark")])
@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["phone", "desk"])
async def test_every_page_is_sound_and_fits(
    somebody: Open, place: Place, language: str, scheme: str, viewport: dict[str, int]
) -> None:
    wide = viewport is WIDE
    name = f"ines-{language}-{'desk' if wide else 'phone'}"
    ines = await somebody(
        name, busy=True, locale=f"{language}-CM", color_scheme=scheme, viewport=viewport
    )
    sizes: list[int] = []
    ines.page.on("response", lambda response: sizes.append(_length(response.headers)))

    async def looks_right(what: str) -> None:
        await expect(ines.page.locator("html")).to_have_attribute("lang", language)
        await sound(ines.page, f"{what}-{name}")

    await ines.to("wallets")
    await looks_right("wallets")
    assert sum(sizes) < MOST_BYTES
    for way in ("transfer", "payout"):
        await ines.to(f"move/{way}")
        if way == "payout":
            await ines.fill(phone="237653456789", amount="25000")
        else:
            await ines.fill(amount="25000")
        await expect(ines.page.locator("#comes-to .sum")).not_to_have_text("–")
        await looks_right(f"form-{way}")
        await ines.page.locator(".moving .end button").click()
        await expect(ines.page.locator("#words")).to_be_visible()
        await looks_right(f"confirm-{way}")
        await ines.to(f"move/{way}")
        await ines.fill(amount="1")
        if way == "payout":
            await ines.fill(phone="12")
        await ines.page.locator(".moving .end button").click()
        await expect(ines.page.locator("#amount")).to_have_attribute("aria-invalid", "true")
        await looks_right(f"wrong-{way}")


def _length(headers: dict[str, str]) -> int:
    return int(headers.get("content-length", "0"))


async def a_month_of(merchant: Merchant, clock: ManualClock) -> None:
    """Money that came and went, day by day."""
    for amount, country in ((80_000, "GAB"), (400_000, "CIV"), (30_000, "KEN")):
        await merchant.collect(amount, country)
        clock.advance(days=2)
    await merchant.renew_token()
    for fields in (
        {"amount": 40_000},
        {"amount": 25_000, "destinationCountry": "GAB"},
        {"sourceCountry": "CIV", "destinationCountry": "CMR", "amount": 120_000},
        {"sourceCountry": "CIV", "destinationCountry": "SEN", "amount": 60_000},
        {"sourceCountry": "GAB", "destinationCountry": "CMR", "amount": 30_000},
        {"sourceCountry": "KEN", "destinationCountry": "UGA", "amount": 9_000},
    ):
        made = await merchant.transfer(**fields)
        assert made.status == 201, made.raw
        clock.advance(days=3)
        await merchant.renew_token()
    await merchant.withdraw(amount=30_000, provider="MTN_MOMO_CIV", sourceCountry="CMR")
    await merchant.house.worker.run_until_idle()
    await merchant.withdraw(amount=5_000)
    clock.advance(days=1)
