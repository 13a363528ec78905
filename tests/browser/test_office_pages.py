"""The operator's back office and an application's webhooks, in a real browser.

One house serves all of these tests: each has companies and people of its own.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from uuid import UUID

import pytest
from playwright.async_api import Page, expect

from kpay.core.book import Book, Environment
from kpay.core.refusals import Code
from kpay.people.model import OperatorRole, Role
from kpay.webhooks.model import Topic
from tests.browser.guests import (
    MOST_BYTES,
    NARROW,
    OPEN_ALL,
    WIDE,
    NewPage,
    Place,
    press,
    sound,
)
from tests.client import Merchant
from tests.people import THERE, refused
from tests.receivers import Receiver, listening
from tests.transactions import STAYS_OPEN

Open = Callable[..., Awaitable[Page]]


@pytest.fixture
def visit(new_page: NewPage, place: Place) -> Open:
    """Opens a browser for a person who signs in, with a code where one is asked for."""

    async def opened(name: str, **kind: object) -> Page:
        page = await new_page(**kind)
        await place.sign_in(page, name)
        return page

    return opened


async def unfolded(page: Page, name: str) -> None:
    """It is sound with everything open that can be folded."""
    await page.evaluate(OPEN_ALL)
    await sound(page, name)


async def company_of(place: Place, name: str) -> Merchant:
    """A company with an application, an owner and a developer, named as the company is."""
    return await place.company(
        name, (f"{name.lower()}.owner", Role.OWNER), (f"{name.lower()}.dev", Role.DEVELOPER)
    )


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
    merchant = await company_of(place, "Sahel")
    await place.admin("ines")
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
    merchant = await company_of(place, "Ndole")
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
    merchant = await company_of(place, "Kribi")
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
    merchant = await company_of(place, f"Wouri-{name}")
    application = merchant.new.application
    await place.admin(f"ada.{name}")
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
            await unfolded(page, f"office-{title}-{name}")
        await page.goto(f"{office}/applications/{application.id}")
        await page.locator("#payment_fee_bps").fill("many")
        await press(page, "#terms button")
        await unfolded(page, f"office-wrong-{name}")
        await page.locator("#payment_fee_bps").fill("300")
        await press(page, "#terms button")
        await unfolded(page, f"office-sure-{name}")

        hooks = f"{place.url}/dashboard/app/{application.id}/test/webhooks"
        theirs = await visit(f"wouri-{name}.dev", **kind)
        await theirs.goto(hooks)
        await unfolded(theirs, f"webhooks-{name}")
        await press(theirs, "#replay button")
        await unfolded(theirs, f"webhooks-replay-{name}")
        await theirs.goto(hooks)
        await theirs.locator(".wh-list .of-link").last.click()
        await unfolded(theirs, f"delivery-{name}")


async def first_person(place: Place, company_id: UUID) -> UUID:
    found: UUID = await place.house.database.fetchval(
        "select person_id from memberships where company_id = $1 limit 1", company_id
    )
    return found


async def test_a_first_view_is_small_and_works_without_the_script(
    visit: Open, place: Place
) -> None:
    merchant = await company_of(place, "Edea")
    await place.admin("oda")
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
