"""No page has what axe finds wrong, in either language, light or dark; a keyboard is enough."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import expect

from kpay.app import House
from kpay.core.clock import ManualClock
from tests.browser.conftest import Payer
from tests.hosted import PAYS, REFUSES

Open = Callable[..., Awaitable[Payer]]


async def sound(payer: Payer) -> None:
    """Nothing is wrong with the page as it stands."""
    found = await Axe().run(payer.page)
    assert found.violations_count == 0, found.generate_report()


@pytest.mark.parametrize(("locale", "scheme"), [("en-GB", "light"), ("fr-CM", "dark")])
async def test_every_state_of_a_payment_s_page(
    open_browser: Open, house: House, clock: ManualClock, locale: str, scheme: str
) -> None:
    payer = await open_browser(
        locale=locale, color_scheme=scheme, viewport={"width": 360, "height": 640}
    )
    await payer.asked_to_pay()
    await sound(payer)
    await payer.page.locator(".tests summary").click()
    await payer.page.locator("form button.go").click()
    await sound(payer)
    await payer.pick("MTN MoMo", REFUSES)
    await expect(payer.page.locator(".spin")).to_be_visible()
    await sound(payer)
    await payer.work()
    await payer.page.reload()
    await sound(payer)
    await payer.pick("MTN MoMo", PAYS)
    await payer.work()
    await payer.page.reload()
    await expect(payer.page.locator(".completed")).to_be_visible()
    await sound(payer)
    await payer.asked_to_pay()
    await payer.page.locator("button.plain").click()
    await expect(payer.page.locator(".cancelled")).to_be_visible()
    await sound(payer)
    await payer.asked_to_pay()
    clock.advance(minutes=30)
    await payer.page.reload()
    await expect(payer.page.locator(".expired")).to_be_visible()
    await sound(payer)
    await payer.page.goto(f"{payer.served.url}/gateway/nothing")
    await sound(payer)


async def test_every_state_of_a_withdrawal_s_page(open_browser: Open, house: House) -> None:
    payer = await open_browser()
    await payer.asked_to_receive(50_000)
    await sound(payer)
    await payer.page.locator("summary", has_text="Kenya").click()
    await payer.page.locator('[value="MPESA_KEN"]').check()
    await payer.page.locator("#number").fill("703456789")
    await payer.page.locator("form button.go").click()
    await payer.reads("Is this right?")
    await sound(payer)
    await payer.page.locator("form button.go").click()
    await payer.reads("Your money is on its way")
    await sound(payer)


async def test_the_keyboard_is_enough(payer: Payer) -> None:
    await payer.asked_to_pay()
    keyboard = payer.page.keyboard

    await keyboard.press("Tab")
    await keyboard.press("Space")
    await expect(payer.page.get_by_label("MTN MoMo").first).to_be_checked()
    await keyboard.press("Tab")
    await expect(payer.page.locator("#number")).to_be_focused()
    await keyboard.type("653456789")
    await keyboard.press("Enter")

    await payer.reads("Confirm on your phone")
