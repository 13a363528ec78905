"""What a payer lives through in a real browser, from the merchant's shop and back to it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from urllib.parse import urlsplit

import pytest
from playwright.async_api import expect

from kpay.app import House
from kpay.core.clock import ManualClock
from tests.browser.conftest import Payer
from tests.browser.serving import SHOP
from tests.hosted import PAYS, REFUSES, signed

# What all that is sent for one payment may weigh, on a slow line.
MOST_BYTES = 50_000

Open = Callable[..., Awaitable[Payer]]


async def weight(payer: Payer) -> int:
    """The bytes that came for all that was asked of us, heads included."""
    total = 0
    for request in payer.requests:
        if SHOP not in urlsplit(request.url).path:
            sizes = await request.sizes()
            total += sizes["responseBodySize"] + sizes["responseHeadersSize"]
    return total


async def came_back(payer: Payer, status: str) -> None:
    """The payer is at the shop, with a query that it can believe."""
    await payer.page.wait_for_url(f"**{SHOP}?**")
    query = payer.served.came_back[-1]
    assert (query["from"], query["status"]) == ("kpay", status)
    assert query["sig"] == signed(payer.merchant, query)


async def test_a_payer_pays_and_is_taken_back(payer: Payer, house: House) -> None:
    made = await payer.asked_to_pay()
    await payer.reads("How would you like to pay?")

    await payer.page.get_by_label("MTN MoMo").first.check()
    # The calling code stands before the number, until it is typed with it.
    await expect(payer.page.locator("#code")).to_have_text("+237")
    await payer.page.locator("#number").fill("237653456789")
    await expect(payer.page.locator("#code")).to_be_hidden()
    await payer.page.locator("#number").fill("653456789")
    await payer.page.get_by_role("button", name="Pay 5,000 FCFA").click()
    await payer.reads("Confirm on your phone")
    await expect(payer.page.locator("main")).to_contain_text("+237653456789")

    await payer.work()
    await payer.waits(3)

    # Without the page having been loaded again, and read out to who cannot see it.
    await payer.reads("Payment complete")
    await expect(payer.page.locator("#said")).to_have_text("Payment complete")
    await expect(payer.page.locator("h1")).to_be_focused()
    await expect(payer.page).to_have_title("Payment complete – shop")
    await payer.waits(9)
    await came_back(payer, "COMPLETED")
    assert await weight(payer) < MOST_BYTES
    assert (await payer.merchant.payment(made))["status"] == "COMPLETED"


async def test_a_payer_without_javascript_pays_and_goes_back(
    open_browser: Open, house: House
) -> None:
    payer = await open_browser(java_script_enabled=False)
    await payer.asked_to_pay()

    await payer.pick("Orange Money", PAYS)
    await payer.reads("Confirm on your phone")
    refresh = payer.page.locator('meta[http-equiv="refresh"]')
    await expect(refresh).to_have_attribute("content", "5")
    await payer.work()
    # What the page does by itself after those seconds.
    await payer.page.reload()

    await payer.reads("Payment complete")
    content = await refresh.get_attribute("content")
    assert content is not None
    assert content.endswith("/return")
    await payer.page.get_by_role("link", name="Return to shop").click()
    await came_back(payer, "COMPLETED")
    assert payer.complaints == []
    assert await weight(payer) < MOST_BYTES


@pytest.mark.parametrize("script", [True, False])
async def test_a_payer_who_is_refused_tries_another_number(
    open_browser: Open, house: House, script: bool
) -> None:
    payer = await open_browser(java_script_enabled=script)
    await payer.asked_to_pay()
    await payer.pick("MTN MoMo", REFUSES)
    await payer.reads("Confirm on your phone")
    await payer.work()
    await (payer.waits(3) if script else payer.page.reload())

    await expect(payer.page.get_by_role("alert")).to_contain_text(
        "The request was not confirmed on the phone."
    )
    # What was tried is still in the form.
    await expect(payer.page.get_by_label("MTN MoMo").first).to_be_checked()
    await expect(payer.page.locator("#number")).to_have_value("653456039")
    await payer.page.locator("#number").fill("653456789")
    await payer.page.locator("form button.go").click()
    await payer.reads("Confirm on your phone")
    await payer.work()
    await (payer.waits(3) if script else payer.page.reload())

    await payer.reads("Payment complete")
    assert await weight(payer) < MOST_BYTES


async def test_a_payer_calls_it_off(payer: Payer) -> None:
    await payer.asked_to_pay(cancelUrl=f"{payer.served.url}{SHOP}?from=kpay&basket=1")

    await payer.page.get_by_role("button", name="Cancel").click()
    await payer.reads("Payment cancelled")

    await payer.page.get_by_role("link", name="Return to shop").click()
    await came_back(payer, "CANCELLED")
    assert payer.served.came_back[-1]["basket"] == "1"


async def test_a_page_that_is_left_open_says_that_it_has_expired(
    payer: Payer, clock: ManualClock
) -> None:
    await payer.asked_to_pay()
    await expect(payer.page.locator("main")).to_contain_text("open for 30 more minutes")

    clock.advance(minutes=30)
    await payer.waits(30 * 60 + 2)

    await payer.reads("This page has expired")
    await payer.page.get_by_role("link", name="Return to shop").click()
    await came_back(payer, "FAILED")


async def test_what_is_missing_is_said_beside_its_field(open_browser: Open) -> None:
    payer = await open_browser(locale="fr-CM")
    await payer.asked_to_pay()

    await payer.page.locator("form button.go").click()

    number = payer.page.locator("#number")
    await expect(number).to_be_focused()
    await expect(number).to_have_attribute("aria-invalid", "true")
    described = await number.get_attribute("aria-describedby")
    assert described is not None
    assert "number-error" in described.split()
    await expect(payer.page.locator("#number-error")).to_have_text(
        "Saisissez votre numéro mobile money."
    )
    await expect(payer.page.locator("#provider-error")).to_have_text("Choisissez un opérateur.")


async def test_in_the_sandbox_only_the_numbers_of_what_is_picked_are_shown_and_one_click_types_one(
    payer: Payer,
) -> None:
    await payer.asked_to_pay()
    await payer.page.get_by_text("Test numbers").click()
    await expect(payer.page.get_by_role("button", name="24174345678")).to_be_visible()

    await payer.page.get_by_label("MTN MoMo").first.check()

    await expect(payer.page.get_by_role("button", name="24174345678")).to_be_hidden()
    await payer.page.get_by_role("button", name=PAYS).click()
    await expect(payer.page.locator("#number")).to_have_value(PAYS)


async def test_a_french_phone_reads_french_until_english_is_chosen(open_browser: Open) -> None:
    payer = await open_browser(locale="fr-CM")
    await payer.asked_to_pay()
    await payer.reads("Comment voulez-vous payer ?")
    await expect(payer.page.locator("html")).to_have_attribute("lang", "fr")

    await payer.page.get_by_role("link", name="English").click()
    await payer.reads("How would you like to pay?")
    # The choice holds from one step to the next.
    await payer.pick("MTN MoMo", PAYS)
    await payer.reads("Confirm on your phone")


async def test_on_the_narrowest_phone_nothing_is_cut_off_or_scrolls_sideways(
    open_browser: Open, house: House
) -> None:
    payer = await open_browser(locale="fr-CM", viewport={"width": 320, "height": 568})

    async def fits() -> None:
        wide = "document.documentElement.scrollWidth"
        assert await payer.page.evaluate(wide) == 320
        small = await payer.page.locator("button:visible, .offer, a.go").evaluate_all(
            "all => all.filter(one => one.className !== 'fill')"
            ".map(one => one.getBoundingClientRect().height).filter(height => height < 44)"
        )
        assert small == []

    await payer.asked_to_pay(description="a" * 200)
    await fits()
    await payer.page.locator("form button.go").click()
    await fits()
    await payer.pick("MTN MoMo", REFUSES)
    await fits()
    await payer.work()
    await payer.waits(3)
    await payer.reads("Comment voulez-vous payer ?")
    await fits()
    await payer.asked_to_receive(50_000)
    await fits()


async def test_a_beneficiary_confirms_what_arrives(payer: Payer, house: House) -> None:
    await payer.asked_to_receive(50_000)
    await payer.page.locator("summary", has_text="Côte d'Ivoire").click()
    await payer.page.locator('[value="MTN_MOMO_CIV"]').check()
    await payer.page.locator("#number").fill("0503456789")
    await payer.page.get_by_role("button", name="Continue").click()

    await payer.reads("Is this right?")
    await expect(payer.page.locator("dl")).to_contain_text("48,227")
    await expect(payer.page.locator("dl")).to_contain_text("1.0153")
    await payer.page.get_by_role("button", name="Confirm").click()
    await payer.reads("Your money is on its way")
    await payer.work()
    await payer.waits(3)

    await payer.reads("Money sent")
    await payer.waits(9)
    await came_back(payer, "COMPLETED")
    assert await weight(payer) < MOST_BYTES


async def test_a_waiting_page_asks_every_few_seconds_and_goes_on_when_it_is_not_answered(
    payer: Payer, house: House
) -> None:
    await payer.asked_to_pay()
    await payer.pick("MTN MoMo", "653456129")
    await payer.reads("Confirm on your phone")
    refused: list[str] = []

    async def refuse(path: str) -> None:
        if path.endswith("/status") and not refused:
            refused.append(path)
            raise ConnectionResetError

    payer.served.before = refuse
    async with payer.page.expect_response("**/status") as first:
        await payer.waits(1)
        assert refused == []
        await payer.waits(2)
    assert (await first.value).status == 500
    async with payer.page.expect_response("**/status") as second:
        for _ in range(3):
            await payer.waits(11)
    assert (await second.value).status == 200
    # The browser notes what was not answered, and that is all.
    assert len(payer.complaints) == 1
    payer.complaints.clear()
