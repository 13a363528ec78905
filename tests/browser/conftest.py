"""A real Chromium, without a window, and a merchant whose hosted pages it opens."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Page, async_playwright

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.browser.serving import SHOP, Served, serving
from tests.client import Answer, Merchant


def find_chromium() -> str:
    """Debian's package, or another that is on the path: `make test` installs it where it can."""
    found = shutil.which("chromium") or shutil.which("chromium-browser")
    assert found is not None, "There is no chromium here: scripts/chromium says what to do."
    return found


@pytest.fixture(scope="session")
async def chromium() -> AsyncIterator[Chromium]:
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(
            executable_path=find_chromium(),
            # Root may not use the sandbox, and nothing but our own page is opened.
            args=["--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"],
        )
        yield browser
        await browser.close()


@pytest.fixture
async def served() -> AsyncIterator[Served]:
    async with serving() as made:
        yield made


@pytest.fixture
async def house(settings: Settings, clock: ManualClock, served: Served) -> AsyncIterator[House]:
    """A house whose pages are at the port's address."""
    made = House(replace(settings, public_url=served.url), clock=clock)
    await made.open()
    served.api = made.asgi()
    yield made
    await made.close()


class Payer:
    """Somebody with a browser, at one page, and the shop that sent them there."""

    def __init__(self, page: Page, served: Served, merchant: Merchant) -> None:
        self.page = page
        self.served = served
        self.merchant = merchant
        self.bytes = 0
        self.hosts: set[str] = set()

    async def asked_to_pay(self, **fields: object) -> Answer:
        """A payment of 5,000 FCFA, whose page is open when this returns."""
        body: dict[str, object] = {
            "amount": 5000,
            "externalId": f"order-{self.merchant.house.ids.uuid()}",
            "returnUrl": f"{self.served.url}{SHOP}?from=kpay",
            "description": "Order 1042: two school bags",
            **fields,
        }
        made = await self.merchant.keys.send("POST", "/api/v1/payments/init", body)
        assert made.status == 201, made.raw
        await self.page.goto(made["gatewayUrl"])
        return made

    async def pick(self, operator: str, number: str) -> None:
        """Choose an operator by its name, type a number, and send the form."""
        await self.page.get_by_label(operator).first.check()
        await self.page.get_by_label("number").or_(self.page.get_by_label("numéro")).fill(number)
        await self.page.locator("form button.go").click()

    async def heading(self) -> str:
        return await self.page.locator("h1").inner_text()

    async def work(self) -> None:
        await self.merchant.house.worker.run_until_idle()


def payer_of(context: BrowserContext, page: Page, served: Served, merchant: Merchant) -> Payer:
    """A payer whose browser's every request is counted."""
    payer = Payer(page, served, merchant)

    async def count(request: object) -> None:
        sizes = await request.sizes()  # type: ignore[attr-defined]
        payer.bytes += sizes["responseBodySize"] + sizes["responseHeadersSize"]

    context.on("request", lambda request: payer.hosts.add(request.url.split("/")[2]))
    context.on("requestfinished", count)
    return payer


@pytest.fixture
async def payer(chromium: Chromium, served: Served, merchant: Merchant) -> AsyncIterator[Payer]:
    """Somebody whose browser speaks English."""
    context = await chromium.new_context(locale="en-GB")
    yield payer_of(context, await context.new_page(), served, merchant)
    await context.close()
