"""People at the dashboard in a real browser, and what is asked of every page that they open.

What the tests of the dashboard share is here: the house at a port (`Place`), the sizes of windows,
how a browser is opened, how one signs in, and when a page is sound. No page may make a mistake of
its own. Of a `Guest` every view is weighed too, with its style and its script as if nothing were
cached, and may ask nothing of any other host; `strict` says so once, when the browser is closed.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from urllib.parse import urlsplit

from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium
from playwright.async_api import BrowserContext, Page, Response, expect

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.database.embedded import EmbeddedServer
from kpay.people.model import OperatorRole, Role
from kpay.transactions.news import News
from tests.browser.serving import Served, serving
from tests.client import Merchant
from tests.conftest import START, copied, settings_of
from tests.people import PASSWORD, Office, email_of, people_of

NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"
_PATIENCE_MS = 20_000
# A page with its style and its script, as they come over the wire.
MOST_BYTES = 150_000
ASSETS = "/dashboard/assets/"


@dataclass
class Views:
    """What one browser was given: each page's bytes, each asset's, and all that went amiss."""

    url: str
    pages: dict[str, int] = field(default_factory=dict)
    assets: dict[str, int] = field(default_factory=dict)
    hosts: set[str] = field(default_factory=set)
    others: frozenset[str] = frozenset()
    """Hosts that the test itself has sent this browser to."""
    complaints: list[str] = field(default_factory=list)

    def hear(self, response: Response) -> None:
        size = int(response.headers.get("content-length", "0"))
        path = urlsplit(response.url).path
        if response.request.is_navigation_request():
            self.pages[path] = max(size, self.pages.get(path, 0))
        elif path.startswith(ASSETS):
            self.assets[path] = size

    def strict(self) -> None:
        assert self.hosts - self.others == {urlsplit(self.url).netloc}
        assert self.pages
        shared = sum(self.assets.values())
        heavy = {path: size for path, size in self.pages.items() if size + shared >= MOST_BYTES}
        assert heavy == {}
        no_mistakes(self.complaints)


@dataclass
class Guest:
    """Somebody at a browser."""

    page: Page
    url: str

    async def to(self, path: str) -> None:
        await self.page.goto(f"{self.url}/dashboard/{path}")

    async def sign_in(self, name: str, password: str = PASSWORD) -> None:
        await self.to("sign-in")
        await self.give(email=email_of(name), password=password)

    async def give(self, **fields: str) -> None:
        """Fill fields by their ids, send the form of the last one, and wait for its answer."""
        for name, value in fields.items():
            await self.page.locator(f"#{name}").fill(value)
        async with self.page.expect_navigation():
            await self.page.locator(f"#{list(fields)[-1]}").press("Enter")

    async def press(self, name: str) -> None:
        """Send a form of the page's by its button, and wait for what comes of it."""
        async with self.page.expect_navigation():
            await self.page.locator("main").get_by_role("button", name=name).click()

    async def follow(self, name: str, *, inside: str = "main") -> None:
        link = self.page.locator(inside).get_by_role("link", name=name, exact=True)
        async with self.page.expect_navigation():
            await link.first.click()

    async def reads(self, heading: str) -> None:
        await expect(self.page.locator("h1")).to_have_text(heading)

    async def sees(self, words: str, *, at: str = "main") -> None:
        await expect(self.page.locator(at).first).to_contain_text(words)

    async def sound(self, name: str) -> None:
        await sound(self.page, name)


@dataclass
class Place:
    """The house at a port."""

    house: House
    office: Office
    clock: ManualClock
    served: Served

    @property
    def url(self) -> str:
        return self.served.url

    async def company(self, name: str, *people: tuple[str, Role]) -> Merchant:
        """A new company with an application and people."""
        assert self.served.api is not None
        for each, role in people:
            await self.office.hire(each, role, name)
        return await Merchant.join(self.house, name, "Boutique en ligne", api=self.served.api)

    async def admin(self, name: str) -> None:
        """One of the operator's staff with a second factor."""
        await self.office.employ(name, OperatorRole.ADMIN)
        await self.office.set_up(await self.office.session(name))

    async def sign_in(self, page: Page, name: str, password: str = PASSWORD) -> None:
        """Give the password at the door; and the code, where the office holds the person's app."""
        await page.goto(f"{self.url}/dashboard/sign-in")
        await page.locator("#email").fill(email_of(name))
        await page.locator("#password").fill(password)
        await press(page, "main form button")
        person_id = await self.house.database.fetchval(
            "select id from people where email = $1", email_of(name)
        )
        if "/dashboard/code" in page.url and person_id in self.office.apps:
            self.clock.advance(seconds=30)
            await page.locator("#code").fill(self.office.code(person_id))
            await press(page, "main form button:not(.plain)")

    async def work(self) -> None:
        await self.house.worker.run_until_idle()


def book(merchant: Merchant, page: str, environment: str = "test") -> str:
    """A page's path of a merchant's application, within the dashboard."""
    return f"app/{merchant.application_id}/{environment}/{page}"


@asynccontextmanager
async def placed(
    server: EmbeddedServer, template: str, folder: Path, *, news_every: float | None = None
) -> AsyncIterator[Place]:
    """A house at a port, which looks for news every so many seconds, or as often as in service."""
    async with copied(server, template) as url, serving() as served:
        clock = ManualClock(START)
        settings = settings_of(url, folder)
        house = House(replace(settings, public_url=served.url), clock=clock)
        await house.open()
        house.people = people_of(house)
        if news_every is not None:
            house.news = News(house.database, every=news_every)
        served.api = house.asgi()
        yield Place(house, Office(house, house.people, clock), clock, served)
        await house.close()


async def press(page: Page, selector: str) -> None:
    """Send a form by its button, and wait for what comes of it."""
    async with page.expect_navigation():
        await page.locator(selector).click()


async def picture(page: Page, name: str) -> None:
    """Keeps a picture of a whole page, where a folder is named for them."""
    folder = os.environ.get("KPAY_TEST_PICTURES")
    if folder:
        await page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


async def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{page.url}: {wide} pixels too wide"


async def sound(page: Page, name: str) -> None:
    """Nothing is wider than the window, and axe finds nothing; a picture of it is kept."""
    await picture(page, name)
    await fits(page)
    found = await Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


def no_mistakes(complaints: list[str]) -> None:
    """A page did nothing wrong: that something was refused is noted by the browser, and is none."""
    found = [each for each in complaints if not each.startswith("Failed to load resource")]
    assert not found, found


async def new_context(chromium: Chromium, complaints: list[str], **kind: object) -> BrowserContext:
    """A browser of its own, in English and as wide as a desk unless it is said otherwise."""
    context = await chromium.new_context(**{"locale": "en-GB", "viewport": WIDE, **kind})  # type: ignore[arg-type]
    context.set_default_timeout(_PATIENCE_MS)
    context.on("weberror", lambda error: complaints.append(str(error.error)))
    context.on("console", lambda message: complaints.append(message.text))
    return context


NewPage = Callable[..., Awaitable[Page]]


@asynccontextmanager
async def browsers(chromium: Chromium) -> AsyncIterator[NewPage]:
    """Opens a browser each time: `await new_page(locale="fr-CM")`. No page may make a mistake."""
    contexts: list[BrowserContext] = []
    complaints: list[str] = []

    async def opened(**kind: object) -> Page:
        context = await new_context(chromium, complaints, **kind)
        contexts.append(context)
        return await context.new_page()

    yield opened
    for context in contexts:
        await context.close()
    no_mistakes(complaints)


Open = Callable[..., Awaitable[Guest]]


@asynccontextmanager
async def guests(chromium: Chromium, place: Place) -> AsyncIterator[Open]:
    """Opens browsers: `await guest()`, `await guest("awa", locale="fr-CM")` signed in."""
    opened_here = []

    async def opened(
        name: str | None = None, *, others: frozenset[str] = frozenset(), **kind: object
    ) -> Guest:
        views = Views(place.url, others=others)
        context = await new_context(chromium, views.complaints, **kind)
        context.on("response", views.hear)
        context.on("request", lambda request: views.hosts.add(urlsplit(request.url).netloc))
        opened_here.append((context, views))
        guest = Guest(await context.new_page(), place.url)
        if name is not None:
            await guest.sign_in(name)
        return guest

    yield opened
    for context, _ in opened_here:
        await context.close()
    for _, views in opened_here:
        views.strict()
