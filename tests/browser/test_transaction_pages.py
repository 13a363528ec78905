"""The list of transactions and the page of one, in a real browser, as things happen.

One house serves all of these tests: each has a company and people of its own.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass

import pytest
from playwright.async_api import Page, expect

from kpay.database.embedded import EmbeddedServer
from kpay.people.model import Role
from kpay.transactions.model import parse
from tests.browser.guests import (
    MOST_BYTES,
    NARROW,
    OPEN_ALL,
    WIDE,
    NewPage,
    Place,
    placed,
    sound,
)
from tests.client import Merchant
from tests.transactions import STAYS_OPEN, one_of_each


@dataclass
class Shop:
    place: Place
    owner: str
    merchant: Merchant

    def address(self, *parts: str) -> str:
        book = f"{self.place.url}/dashboard/app/{self.merchant.application_id}/test"
        return "/".join((book, "transactions", *parts))

    async def work(self) -> None:
        await self.place.work()


@pytest.fixture(scope="module")
async def place(
    server: EmbeddedServer, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """The house at a port, which looks for news more often than anybody has to wait here."""
    async with placed(server, template, tmp_path_factory.mktemp("place"), news_every=0.05) as made:
        yield made


async def shop_of(place: Place, company: str) -> Shop:
    """A new company with an application, and its owner, named as the company is."""
    owner = company.lower()
    return Shop(place, owner, await place.company(company, (owner, Role.OWNER)))


Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def visit(new_page: NewPage, place: Place) -> AsyncIterator[Open]:
    """Opens a browser for a shop's owner, who signs in: `await visit(shop, locale="fr-CM")`."""
    complaints: list[str] = []

    async def opened(shop: Shop, **kind: object) -> Page:
        page = await new_page(**kind)
        page.on("console", lambda message: complaints.append(message.text))
        await place.sign_in(page, shop.owner)
        return page

    yield opened
    # Not even refused is anything here, as what is asked for by itself could be.
    assert complaints == []


async def test_a_payment_appears_and_completes_on_the_list_without_a_reload(
    visit: Open, place: Place
) -> None:
    shop = await shop_of(place, "Appears")
    page = await visit(shop)
    await page.goto(shop.address())
    await expect(page.locator(".empty")).to_be_visible()
    await expect(page.locator("[data-live-sign]")).to_be_visible()
    await page.evaluate("window.stillHere = true")

    payment = await shop.merchant.pay(amount=5_000)

    row = page.locator(f"#t-{payment['id']}")
    await expect(row.locator(".pill")).to_have_text("Pending")
    await shop.work()
    await expect(row.locator(".pill")).to_have_text("Completed")
    await expect(row.locator(".tx-amount")).to_contain_text("+5,000")
    await expect(page.locator("[data-live-said]")).to_have_text("The list was brought up to date.")
    assert await page.evaluate("window.stillHere")


async def test_wallets_appear_and_change_without_a_reload(visit: Open, place: Place) -> None:
    shop = await shop_of(place, "Grows")
    page = await visit(shop)
    wallets = shop.address().replace("/transactions", "/wallets")
    await page.goto(wallets)
    await expect(page.locator("#none")).to_be_visible()
    await shop.merchant.collect(100_000)
    await expect(page.locator(".wallet .sum")).to_have_text("95,000\u00a0XAF")

    payout = await shop.merchant.withdraw(amount=20_000)
    identifier = parse(payout["id"])
    assert identifier is not None
    await page.goto(f"{wallets}?moved=payout&id={identifier[1]}")
    await page.evaluate("window.stillHere = true")
    await expect(page.locator("#moved .done")).to_contain_text("On its way: 20,000")
    await expect(page.locator(".wallet .facts")).to_contain_text("20,000\u00a0XAF")
    await expect(page.locator("[data-live-sign]")).to_be_visible()
    await shop.work()
    await expect(page.locator("#moved .done")).to_contain_text("Paid to +237")
    await expect(page.locator(".wallet .sum")).to_have_text("75,000\u00a0XAF")
    await expect(page.locator("#sum .sum")).to_have_text("75,000\u00a0XAF")
    await expect(page.locator("[data-live-said]")).to_have_text(
        "The wallets were brought up to date."
    )
    assert await page.evaluate("window.stillHere")


async def test_a_payout_goes_its_way_on_its_own_page_and_what_was_opened_stays_open(
    visit: Open, place: Place
) -> None:
    shop = await shop_of(place, "Waits")
    await shop.merchant.collect(100_000)
    payout = await shop.merchant.withdraw(amount=10_000, phoneNumber=STAYS_OPEN)
    page = await visit(shop)
    await page.goto(shop.address(payout["id"]))
    state = page.locator(".tx-now")
    await expect(state).to_have_text("Pending")
    await page.evaluate("window.stillHere = true")

    await shop.work()

    await expect(state).to_have_text("Processing")
    evidence = page.locator(".tx-line details").first
    await evidence.locator("summary").click()
    await expect(evidence.locator("pre").first).to_contain_text('"phoneNumber"')
    finished = await shop.merchant.keys.send(
        "POST",
        f"/api/v1/payments/withdraw/{payout['id']}/sandbox/finish",
        {"outcome": "FAILED", "failureCode": "RECIPIENT_NOT_FOUND"},
    )
    assert finished.status == 202
    await shop.work()
    await expect(state).to_have_text("Failed")
    await expect(evidence.locator("pre").first).to_be_visible()
    await expect(page.locator(".tx-holder")).to_contain_text("all of 10,000")
    await expect(page.locator(".tx-line")).to_contain_text(
        "this number has no account with the operator"
    )
    assert await page.evaluate("window.stillHere")


async def test_who_reads_on_keeps_their_place_and_is_not_told_while_they_look_away(
    visit: Open, place: Place
) -> None:
    shop = await shop_of(place, "Reads")
    payment = await shop.merchant.collect(5_000)
    page = await visit(shop)
    await page.goto(shop.address())
    link = page.locator(f"#t-{payment['id']} a")
    await link.focus()

    newer = await shop.merchant.pay()

    await expect(page.locator(f"#t-{newer['id']}")).to_be_visible()
    await expect(link).to_be_focused()


async def test_a_search_stays_in_the_address_and_goes_with_the_file(
    visit: Open, place: Place
) -> None:
    shop = await shop_of(place, "Searches")
    made = await one_of_each(shop.merchant, place.clock)
    page = await visit(shop)
    await page.goto(shop.address())
    rows = page.locator(".tx-list li")
    await expect(rows).to_have_count(6)

    await page.locator("#q").fill(made["payout"]["reference"])
    await page.locator("#type").select_option(label="Payouts")
    async with page.expect_navigation():
        await page.locator("#q").press("Enter")

    await expect(rows).to_have_count(1)
    assert f"q={made['payout']['reference']}&type=payout" in page.url
    await page.reload()
    await expect(page.locator("#q")).to_have_value(made["payout"]["reference"])
    await expect(page.locator("#type")).to_have_value("payout")
    async with page.expect_download() as started:
        await page.get_by_role("link", name="Download as CSV").click()
    path = await (await started.value).path()
    assert path.read_bytes().count(b"\r\n") == 2
    await rows.first.locator("a").click()
    await expect(page.locator("h1")).to_have_text(re.compile("Payout to"))
    await page.get_by_role("link", name="Français").click()
    await expect(page.locator("h1")).to_have_text(re.compile("Retrait au"))


async def test_without_a_script_all_of_it_works(visit: Open, place: Place) -> None:
    shop = await shop_of(place, "Plain")
    await shop.merchant.collect(100_000)
    payout = await shop.merchant.withdraw(amount=10_000)
    page = await visit(shop, java_script_enabled=False)
    await page.goto(shop.address())
    await expect(page.locator("[data-live-sign]")).to_be_hidden()
    await expect(page.get_by_text("Reload the page to see what is new.")).to_be_visible()
    await page.locator("#status").select_option(label="Pending")
    await page.get_by_role("button", name="Show").click()
    await page.locator(f"#t-{payout['id']} a").click()
    await page.get_by_role("link", name="Cancel it").click()
    await page.get_by_role("button", name="Yes, cancel it").click()
    await expect(page.locator(".done").first).to_contain_text("It is cancelled")
    await expect(page.locator(".tx-now")).to_have_text("Cancelled")


async def test_a_payment_is_given_back_and_its_refund_is_seen_to_the_end(
    visit: Open, place: Place
) -> None:
    shop = await shop_of(place, "Returns")
    await shop.merchant.collect(100_000)
    payment = await shop.merchant.collect(20_000)
    page = await visit(shop)
    await page.goto(shop.address(payment["id"]))
    await page.get_by_role("link", name="Give it back").click()
    await page.locator("#reason").fill("Wrong size")
    # What is being written is not disturbed by what is new.
    await shop.merchant.pay()
    await page.get_by_role("button", name="Yes, give 20,000").click()
    await expect(page.locator(".tx-now")).to_have_text("Pending")
    await shop.work()
    await expect(page.locator(".tx-now")).to_have_text("Completed")
    await expect(page.locator(".tx-holder")).to_contain_text("20,000 XAF were given back")


async def test_the_first_view_is_small(visit: Open, place: Place) -> None:
    shop = await shop_of(place, "Small")
    for _ in range(50):
        await shop.merchant.pay()
    await shop.work()
    page = await visit(shop)
    sizes = []
    page.on("requestfinished", lambda request: sizes.append(request))

    await page.goto(shop.address(), wait_until="networkidle")

    total = 0
    for request in sizes:
        counted = await request.sizes()
        total += counted["responseBodySize"]
    assert 0 < total < MOST_BYTES


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fr", "dark")])
@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["phone", "desk"])
async def test_every_page_is_sound_and_fits(
    visit: Open,
    place: Place,
    language: str,
    scheme: str,
    viewport: dict[str, int],
) -> None:
    shop = await shop_of(place, f"Sound{language}{viewport['width']}")
    merchant = shop.merchant
    await merchant.keys.send(
        "PUT", "/api/v1/payments/webhooks/generic", {"url": f"{place.url}/shop"}
    )
    made = await one_of_each(merchant, place.clock)
    made["open"] = await merchant.withdraw(
        amount=10_000, phoneNumber=STAYS_OPEN, externalId="PAYROLL-2026-06-23-000017"
    )
    await shop.work()
    made["pending"] = await merchant.withdraw(amount=1_500)
    page = await visit(shop, color_scheme=scheme, viewport=viewport)
    await page.goto(f"{shop.address()}?lang={language}")

    async def looks_right(name: str) -> None:
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await sound(page, f"transactions-{name}-{language}-{viewport['width']}")

    await looks_right("list")
    for name in ("payout", "transfer", "refused", "open", "small"):
        await page.goto(shop.address(made[name]["id"]))
        await page.evaluate(OPEN_ALL)
        await looks_right(name)
    for name, ask in (("pending", "cancel"), ("payment", "refund")):
        await page.goto(f"{shop.address(made[name]['id'])}?ask={ask}#ask")
        await looks_right(ask)
    await page.goto(f"{shop.address()}?q=nothing")
    await looks_right("nothing")
