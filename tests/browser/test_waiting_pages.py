"""The pages of what waits for the operator's staff, in a real browser.

One house serves all of these tests, with a rail whose statement does not agree with our books.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from playwright.async_api import expect

from kpay.catalogue.model import OperationType
from kpay.connectors.model import Instruction, Outcome, Refused
from kpay.core.money import Money
from kpay.database.embedded import EmbeddedServer
from tests.browser.guests import NARROW, WIDE, Place, placed, press
from tests.browser.test_office_pages import Open, company_of, unfolded, visit
from tests.client import Merchant
from tests.conftest import START
from tests.statements import AccountingRail

__all__ = ["visit"]


@pytest.fixture(scope="module")
async def place(
    server: EmbeddedServer, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with placed(server, template, tmp_path_factory.mktemp("place")) as made:
        await disagree(made, await company_of(made, "Sanaga"))
        yield made


async def disagree(place: Place, merchant: Merchant) -> None:
    """Three payouts that the rail denied and made, a fee, and lines that are nobody's."""
    house, clock = place.house, place.clock
    rail = AccountingRail(clock, opening=100_000_000)
    rail.serve(house)
    await house.worker.run_until_idle()

    async def pays_and_denies(instruction: Instruction) -> Outcome:
        rail.write(instruction)
        return Refused("RECIPIENT_NOT_FOUND")

    await merchant.collect(250_000)
    rail.otherwise = pays_and_denies
    for amount in (12_500, 40_000, 7_500):
        await merchant.withdraw(amount=amount)
    rail.add("FEE", Money(-150_000, "XAF"))
    for _ in range(2):
        rail.add("PAYOUT", Money(-700_000, "XAF"), operation=OperationType.PAYOUT)
    await house.worker.run_until_idle()
    morning = (START + timedelta(days=1)).replace(hour=1, minute=30)
    clock.advance(seconds=int((morning - clock.now()).total_seconds()))
    await house.worker.run_until_idle()


async def test_an_admin_settles_a_contradiction_and_closes_a_break(
    visit: Open, place: Place
) -> None:
    await place.admin("ines")
    page = await visit("ines", java_script_enabled=False)
    await page.locator("main").get_by_role("link", name="Contradictions").click()
    await page.locator(".of-list .of-link").first.click()
    await page.get_by_role("link", name="Settle it").click()
    await page.locator("#note").fill("The rail reversed it:\nits letter of 24 June.")
    await press(page, ".of-panel button")
    await expect(page.locator(".done")).to_contain_text("Settled")
    await expect(page.locator(".of-note")).to_contain_text("its letter of 24 June.")
    await expect(page.locator("dl")).to_contain_text("Ines")

    await page.locator(".side").get_by_role("link", name="Reconciliation").click()
    await page.get_by_role("link", name="Floats").click()
    await expect(page.locator(".pill.good")).to_have_text("explained to the franc")
    await page.get_by_role("link", name="Its breaks").click()
    await page.locator(".of-list li", has_text="7,000").first.locator(".of-link").click()
    await page.get_by_role("link", name="Close it").click()
    await page.locator("#note").fill("A test of the rail's own.")
    await press(page, ".of-panel button")
    await expect(page.locator(".done")).to_contain_text("Closed")
    await expect(page.locator(".top .pill")).to_have_text("closed")


@pytest.mark.parametrize(
    ("language", "scheme", "size"),
    [("en", "light", WIDE), ("fr", "dark", NARROW), ("fr", "light", WIDE)],
)
async def test_every_page_of_what_waits_is_sound_and_fits_its_window(
    visit: Open, place: Place, language: str, scheme: str, size: dict[str, int]
) -> None:
    name = f"{language}-{scheme}"
    await place.admin(f"ada.{name}")
    found = await place.house.contradictions.list()
    one = found[0]
    breaks = await place.house.breaks.list()
    of_operation = next(each for each in breaks if each.type is not None)
    of_nobody = next(each for each in breaks if each.type is None)
    key = f"{one.operation_id}.{one.what}.{one.reference}"
    office = f"{place.url}/dashboard/office"
    page = await visit(f"ada.{name}", locale=language, color_scheme=scheme, viewport=size)
    for title, path in {
        "overview": "overview",
        "contradictions": "contradictions",
        "contradiction": f"contradictions/{one.operation_id}",
        "settle": f"contradictions/{one.operation_id}?ask={key}",
        "breaks": "reconciliation",
        "break": f"reconciliation/breaks/{of_operation.id}",
        "close": f"reconciliation/breaks/{of_nobody.id}?ask=close",
        "floats": "reconciliation/floats",
    }.items():
        await page.goto(f"{office}/{path}")
        await expect(page.locator("html")).to_have_attribute("lang", language)
        await unfolded(page, f"waiting-{title}-{name}")
    await page.goto(f"{office}/contradictions/{one.operation_id}?ask={key}")
    await page.evaluate("document.querySelector('#note').required = false")
    await press(page, ".of-panel button")
    await expect(page.locator("#note")).to_have_attribute("aria-invalid", "true")
    await unfolded(page, f"waiting-wrong-{name}")
