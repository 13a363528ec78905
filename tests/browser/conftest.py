"""A real Chromium, without a window, and a merchant whose hosted pages it opens."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from typing import Any
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Page, Request, async_playwright, expect

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.database.embedded import EmbeddedServer
from kpay.settings import Settings
from tests.browser.guests import NewPage, Open, Place, browsers, guests, placed
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


@pytest.fixture(scope="module")
async def place(
    server: EmbeddedServer, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """One house for all tests of a file: each has a company and people of its own."""
    async with placed(server, template, tmp_path_factory.mktemp("place")) as made:
        yield made


@pytest.fixture
async def guest(chromium: Chromium, place: Place) -> AsyncIterator[Open]:
    """Opens browsers: see `guests`."""
    async with guests(chromium, place) as opened:
        yield opened


@pytest.fixture
async def new_page(chromium: Chromium) -> AsyncIterator[NewPage]:
    """Opens browsers: see `browsers`."""
    async with browsers(chromium) as opened:
        yield opened


class Payer:
    """Somebody with a browser, at one page, and the shop that sent them there."""

    def __init__(self, page: Page, served: Served, merchant: Merchant) -> None:
        self.page = page
        self.served = served
        self.merchant = merchant
        self.requests: list[Request] = []
        self.complaints: list[str] = []

    async def asked_to_receive(self, amount: int) -> Answer:
        """A withdrawal from Cameroon's wallet, whose page is open when this returns."""
        await self.merchant.collect(amount * 2)
        body = {
            "amount": amount,
            "sourceCountry": "CMR",
            "returnUrl": f"{self.served.url}{SHOP}?from=kpay",
        }
        made = await self.merchant.keys.send("POST", "/api/v1/payments/withdraw", body)
        assert made.status == 201, made.raw
        await self.page.goto(made["gatewayUrl"])
        return made

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
        await self.page.locator("#number").fill(number)
        await self.page.locator("form button.go").click()

    async def reads(self, heading: str) -> None:
        """Waits until the page says this above everything else."""
        await expect(self.page.locator("h1")).to_have_text(heading)

    async def waits(self, seconds: int) -> None:
        """The browser's own clock moves on; nothing here waits for it."""
        await self.page.clock.run_for(seconds * 1_000)

    async def work(self) -> None:
        await self.merchant.house.worker.run_until_idle()


def watched(context: BrowserContext, page: Page, served: Served, merchant: Merchant) -> Payer:
    """A payer whose browser's every request is kept."""
    payer = Payer(page, served, merchant)
    context.on("request", lambda request: payer.requests.append(request))
    context.on("console", lambda message: payer.complaints.append(message.text))
    context.on("weberror", lambda error: payer.complaints.append(str(error.error)))
    return payer


@pytest.fixture
async def open_browser(
    chromium: Chromium, served: Served, merchant: Merchant
) -> AsyncIterator[Callable[..., Awaitable[Payer]]]:
    """Opens a browser of its own kind each time: `await open_browser(locale="fr-CM")`."""
    contexts = []

    async def opened(**kind: Any) -> Payer:
        context = await chromium.new_context(**{"locale": "en-GB", **kind})
        context.set_default_timeout(10_000)
        contexts.append(context)
        page = await context.new_page()
        if kind.get("java_script_enabled", True):
            await page.clock.install()
        return watched(context, page, served, merchant)

    yield opened
    for context in contexts:
        await context.close()


@pytest.fixture
async def payer(open_browser: Callable[..., Awaitable[Payer]]) -> AsyncIterator[Payer]:
    """Somebody whose browser speaks English, and who saw nothing but our own page."""
    made = await open_browser()
    yield made
    assert made.complaints == []
    assert {urlsplit(request.url).netloc for request in made.requests} == {
        urlsplit(made.served.url).netloc
    }
