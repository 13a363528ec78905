"""The operator's back office and an application's webhooks, in a real browser.

One house serves all of these tests: each has companies and people of its own.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, replace
from uuid import UUID

import pytest
from axe_playwright_python.async_playwright import Axe
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, expect

from kpay.app import House
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code
from kpay.database.embedded import EmbeddedServer
from kpay.people.model import OperatorRole, Role
from kpay.webhooks.model import Topic
from tests.browser.serving import Served, serving
from tests.client import Merchant
from tests.conftest import START, copied, settings_of
from tests.people import PASSWORD, THERE, Office, email_of, people_of, refused
from tests.receivers import Receiver, listening

NARROW = {"width": 360, "height": 740}
WIDE = {"width": 1280, "height": 900}
OPEN_ALL = "for (const each of document.querySelectorAll('details')) each.open = true"
# A page with its style and its script, as they come over the wire.
MOST_BYTES = 150_000
STAYS_OPEN = "237653456129"


@dataclass
class Place:
    """The house at a port, with staff of the operator's."""

    house: House
    office: Office
    clock: ManualClock
    served: Served

    @property
    def url(self) -> str:
        return self.served.url

    async def company(self, name: str) -> Merchant:
        """A company with an application, an owner and a developer, named as the company is."""
        assert self.served.api is not None
        await self.office.hire(f"{name.lower()}.owner", company=name)
        await self.office.hire(f"{name.lower()}.dev", Role.DEVELOPER, name)
        return await Merchant.join(self.house, name, "Boutique en ligne", api=self.served.api)


@pytest.fixture(scope="module")
async def place(
    server: EmbeddedServer, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    async with copied(server, template) as url, serving() as served:
        clock = ManualClock(START)
        settings = settings_of(url, tmp_path_factory.mktemp("place"))
        house = House(replace(settings, public_url=served.url), clock=clock)
        await house.open()
        house.people = people_of(house)
        served.api = house.asgi()
        yield Place(house, Office(house, house.people, clock), clock, served)
        await house.close()


Open = Callable[..., Awaitable[Page]]


@pytest.fixture
async def visit(chromium: Chromium, place: Place) -> AsyncIterator[Open]:
    """Opens a browser for a person who signs in, with a code where one is asked for."""
    contexts = []
    complaints: list[str] = []

    async def opened(name: str, **kind: object) -> Page:
        context = await chromium.new_context(**{"locale": "en-GB", "viewport": WIDE, **kind})  # type: ignore[arg-type]
        context.set_default_timeout(20_000)
        context.on("weberror", lambda error: complaints.append(str(error.error)))
        context.on("console", lambda message: complaints.append(message.text))
        contexts.append(context)
        page = await context.new_page()
        await page.goto(f"{place.url}/dashboard/sign-in")
        await page.locator("#email").fill(email_of(name))
        await page.locator("#password").fill(PASSWORD)
        await press(page, "main form button")
        if "/dashboard/code" in page.url:
            place.clock.advance(seconds=30)
            account = await place.house.database.fetchval(
                "select id from people where email = $1", email_of(name)
            )
            await page.locator("#code").fill(place.office.code(account))
            await press(page, "main form button:not(.plain)")
        return page

    yield opened
    for context in contexts:
        await context.close()
    # What was refused is noted by the browser; anything else is a mistake of the page.
    assert [each for each in complaints if not each.startswith("Failed to load resource")] == []


async def press(page: Page, selector: str) -> None:
    """Send a form by its button, and wait for what comes of it."""
    async with page.expect_navigation():
        await page.locator(selector).click()


async def picture(page: Page, name: str) -> None:
    """Keeps a picture of a whole page, where a folder is named for them."""
    folder = os.environ.get("KPAY_TEST_PICTURES")
    if folder:
        await page.screenshot(path=f"{folder}/{name}.png", full_page=True)


async def sound(page: Page, name: str) -> None:
    """Nothing is wider than the window, and axe finds nothing, with everything unfolded."""
    await page.evaluate(OPEN_ALL)
    await picture(page, name)
    wide = await page.evaluate("document.documentElement.scrollWidth - innerWidth")
    assert wide <= 0, f"{name}: {wide} pixels too wide"
    found = await Axe().run(page, options={"resultTypes": ["violations"]})
    assert found.violations_count == 0, found.generate_report()


async def admin(place: Place, name: str) -> None:
    """One of the operator's staff with a second factor."""
    await place.office.employ(name, OperatorRole.ADMIN)
    await place.office.set_up(await place.office.session(name))


async def busy(place: Place, merchant: Merchant, heard: Receiver) -> None:
    """A shop with deliveries of every kind, and something that waits for an answer."""
    book = Book(merchant.new.application.id, Environment.TEST)
    await place.house.webhooks.set_url(book, Topic.GENERIC, f"{heard.url}/webhooks/kpay")
    await place.house.webhooks.set_url(book, Topic.PAYOUTS, f"{heard.url}/webhooks/payouts")
    heard.script.extend([200, 400])
    for amount in (5_000, 12_500, 40_000):
        await merchant.collect(amount)
    await merchant.withdraw()
    await merchant.pay(phoneNumber=STAYS_OPEN, amount=7_000)
    await merchant.withdraw(phoneNumber=STAYS_OPEN, amount=2_500)
    await place.house.worker.run_until_idle()
    await place.house.database.execute(
        """
        update webhook_endpoints
        set failures = 12, paused_since = $2, pause_reason = 'It answered 503.', probe_at = $2
        where application_id = $1 and topic = 'payouts'
        """,
        merchant.new.application.id,
        place.clock.now(),
    )


async def test_an_admin_approves_a_company_sets_its_terms_and_helps_its_people(
    visit: Open, place: Place
) -> None:
    merchant = await place.company("Sahel")
    await admin(place, "ines")
    page = await visit("ines")
    await expect(page.locator("h1")).to_have_text("Back office")
    await page.locator(".side").get_by_role("link", name="Companies", exact=True).click()
    await page.locator("#q").fill("sahel.owner@example.com")
    await page.locator("#q").press("Enter")
    await page.get_by_role("link", name="Sahel").click()

    await page.get_by_role("link", name="Approve for live").click()
    await expect(page.locator("#reason")).to_be_focused()
    await page.locator("#reason").fill("Papers of 12 June")
    await press(page, ".of-panel button")
    await expect(page.locator(".done")).to_contain_text("Approved")
    await expect(page.locator(".of-decisions")).to_contain_text("Ines")

    await page.get_by_role("link", name="Change Sahel.Dev").click()
    await press(page, ".panel form button")
    await expect(page.locator(".given code")).to_contain_text("/dashboard/password/")
    await page.get_by_role("link", name="Change Sahel.Dev").click()
    await page.get_by_role("link", name="Close the account").click()
    await press(page, ".panel .danger")
    await expect(page.locator("#people")).to_contain_text("closed")

    await page.get_by_role("link", name="Boutique en ligne").click()
    await page.locator("#payment_fee_bps").fill("250")
    await press(page, "#terms button")
    await expect(page.locator(".of-seen")).to_contain_text("2.5")
    await press(page, "main form button:not(.second)")
    await expect(page.locator(".done")).to_have_text("Changed, for every request from now on.")
    await expect(page.locator("#payment_fee_bps")).to_have_value("250")

    await page.locator("#providers").get_by_label("Only those that are marked").check()
    await page.evaluate(OPEN_ALL)
    await page.locator("[name='provider.ORANGE_CMR']").check()
    await press(page, "#providers button")
    await press(page, "main form button:not(.second)")
    await page.locator("#currency").select_option("XAF")
    await page.locator("#least").fill("500")
    await page.locator("#most").fill("20 000")
    await press(page, "#limits .of-new button")
    await press(page, "main form button:not(.second)")
    terms = (await place.house.office.application(merchant.new.application.id)).terms
    assert (terms.payment_fee_bps, terms.allowed_providers) == (250, frozenset({"ORANGE_CMR"}))
    await expect(page.locator(".of-limits")).to_contain_text("500 XAF – 20,000 XAF")
    await press(page, ".of-limits button")
    await press(page, "main form button:not(.second)")
    await expect(page.locator(".of-limits")).to_have_count(0)


async def test_without_a_second_factor_an_admin_is_led_to_set_one_up(
    visit: Open, place: Place
) -> None:
    merchant = await place.company("Ndole")
    await place.office.employ("nina", OperatorRole.ADMIN)
    page = await visit("nina")
    await page.goto(f"{place.url}/dashboard/office/applications/{merchant.application_id}")
    await page.locator("#payment_fee_bps").fill("1")
    await press(page, "#terms button")
    await expect(page.locator("#second-factor [role=alert]")).to_contain_text(
        "whoever works for the operator"
    )


async def test_a_developer_tests_an_address_looks_into_a_delivery_and_sends_it_again(
    visit: Open, place: Place
) -> None:
    merchant = await place.company("Kribi")
    async with listening() as heard:
        await busy(place, merchant, heard)
        page = await visit("kribi.dev")
        await page.get_by_role("link", name="Open test").click()
        await page.locator(".side").get_by_role("link", name="Webhooks", exact=True).click()
        await expect(page.locator(".rows .pill.bad").first).to_have_text("paused")
        await page.get_by_role("button", name="Resume: Payouts").click()
        await expect(page.locator(".done")).to_have_text("What waits is sent from now on.")
        await page.get_by_role("button", name="Send a test: General").click()
        await expect(page.locator(".done")).to_have_text("The test was taken.")

        await page.locator(".side").get_by_role("link", name="Webhooks", exact=True).click()
        await page.locator("#status").select_option(label="not delivered")
        await press(page, ".wh-filters button")
        await page.locator(".wh-list .of-link").first.click()
        await expect(page.locator(".wh-attempt summary")).to_contain_text("400")
        await page.get_by_role("button", name="Send it again").click()
        await place.house.worker.run_until_idle()
        await page.reload()
        await expect(page.locator(".top .pill")).to_have_text("delivered")

        await page.locator(".side").get_by_role("link", name="Webhooks", exact=True).click()
        await page.locator("#replay").get_by_label("All of it").check()
        await press(page, "#replay button")
        await expect(page.locator("#replay [role=alert]")).to_contain_text("is sent again")
        heard.heard.clear()
        await press(page, "#replay button")
        await expect(page.locator(".done")).to_contain_text("Webhooks sent again: 4.")
        await place.house.worker.run_until_idle()
        assert len(heard.heard) == 4


@pytest.mark.parametrize(
    ("language", "scheme", "size"),
    [("en", "light", WIDE), ("fr", "dark", NARROW), ("fr", "light", NARROW)],
)
async def test_every_page_is_sound_in_its_language_and_fits_its_window(
    visit: Open, place: Place, language: str, scheme: str, size: dict[str, int]
) -> None:
    name = f"{language}-{scheme}"
    merchant = await place.company(f"Wouri-{name}")
    application = merchant.new.application
    await admin(place, f"ada.{name}")
    await place.house.office.approve_company(
        application.company.name, by=(await place.office.session(f"ada.{name}")).actor, reason="Ok"
    )
    with refused(Code.WRONG_SIGN_IN):
        await place.office.sign_in("someone.else", address=THERE)
    kind = {"locale": language, "color_scheme": scheme, "viewport": size}
    async with listening() as heard:
        await busy(place, merchant, heard)
        place.clock.advance(minutes=16)
        office = f"{place.url}/dashboard/office"
        person = await first_person(place, application.company.id)
        page = await visit(f"ada.{name}", **kind)
        for title, path in {
            "overview": "overview?environment=test",
            "companies": "companies",
            "company": f"companies/{application.company.id}",
            "withdraw": f"companies/{application.company.id}?ask=decide",
            "person": f"companies/{application.company.id}?person={person}",
            "application": f"applications/{application.id}",
            "rails": "rails",
            "log": "audit",
        }.items():
            await page.goto(f"{office}/{path}")
            await expect(page.locator("html")).to_have_attribute("lang", language)
            await sound(page, f"office-{title}-{name}")
        await page.goto(f"{office}/applications/{application.id}")
        await page.locator("#payment_fee_bps").fill("many")
        await press(page, "#terms button")
        await sound(page, f"office-wrong-{name}")
        await page.locator("#payment_fee_bps").fill("300")
        await press(page, "#terms button")
        await sound(page, f"office-sure-{name}")

        hooks = f"{place.url}/dashboard/app/{application.id}/test/webhooks"
        theirs = await visit(f"wouri-{name}.dev", **kind)
        await theirs.goto(hooks)
        await sound(theirs, f"webhooks-{name}")
        await press(theirs, "#replay button")
        await sound(theirs, f"webhooks-replay-{name}")
        await theirs.goto(hooks)
        await theirs.locator(".wh-list .of-link").last.click()
        await sound(theirs, f"delivery-{name}")


async def first_person(place: Place, company_id: UUID) -> UUID:
    found: UUID = await place.house.database.fetchval(
        "select person_id from memberships where company_id = $1 limit 1", company_id
    )
    return found


async def test_a_first_view_is_small_and_works_without_the_script(
    visit: Open, place: Place
) -> None:
    merchant = await place.company("Edea")
    await admin(place, "oda")
    page = await visit("oda", java_script_enabled=False)
    sizes: list[int] = []
    page.on("response", lambda answer: sizes.append(int(answer.headers.get("content-length", 0))))
    for path in ("overview", f"applications/{merchant.application_id}", "rails"):
        sizes.clear()
        await page.goto(f"{place.url}/dashboard/office/{path}")
        assert 0 < sum(sizes) < MOST_BYTES, path
    await page.goto(f"{place.url}/dashboard/office/applications/{merchant.application_id}")
    await page.locator("#payout_fee_bps").fill("100")
    await press(page, "#terms button")
    await press(page, "main form button:not(.second)")
    terms = (await place.house.office.application(merchant.new.application.id)).terms
    assert terms.payout_fee_bps == 100
