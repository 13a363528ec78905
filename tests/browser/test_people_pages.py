"""One's account, a company's people and its audit log, in a real browser.

One house serves all of these tests: each has a company and people of its own.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from itertools import count
from uuid import UUID

import pyotp
import pytest
from playwright.async_api import Locator, Page, expect

from kpay.audit.model import Action, Actor, Subject
from kpay.people.model import Role
from tests.browser import guests
from tests.browser.guests import NARROW, NewPage, Place, press
from tests.conftest import START
from tests.people import ANOTHER, COMMAND, HERE, PASSWORD, email_of

PHONE = "Mozilla/5.0 (Linux; Android 14) AppleWebKit/537.36 Chrome/121.0.0.0 Mobile Safari/537.36"


class Somebody:
    """A person at a browser, who has given the password."""

    def __init__(self, page: Page, place: Place) -> None:
        self.page = page
        self.place = place

    async def sign_in(self, name: str, password: str = PASSWORD) -> None:
        await self.place.sign_in(self.page, name, password)

    async def account(self, query: str = "") -> None:
        await self.page.goto(f"{self.place.url}/dashboard/account{query}")

    async def company(self, name: str, page: str) -> None:
        await self.page.goto(await address(self.place, name, page))

    async def press(self, selector: str) -> None:
        await press(self.page, selector)

    async def give(self, **fields: str) -> None:
        """Fill fields by their ids, send the form of the last one, and wait for its answer."""
        for name, value in fields.items():
            await self.page.locator(f"#{name}").fill(value)
        async with self.page.expect_navigation():
            await self.page.locator(f"#{list(fields)[-1]}").press("Enter")

    async def told_beside(self, field: str, words: str) -> None:
        """The field is marked, described by what is wrong with it, and where one types next."""
        marked = self.page.locator(f"#{field}")
        await expect(marked).to_have_attribute("aria-invalid", "true")
        await expect(marked).to_be_focused()
        described = await marked.get_attribute("aria-describedby")
        await expect(self.page.locator(f"#{described}")).to_have_text(words)

    async def told(self, words: str) -> None:
        await expect(self.page.locator(".done")).to_have_text(words)

    def member(self, name: str) -> Locator:
        return self.page.locator(".rows > li", has_text=name)

    async def open_member(self, name: str) -> None:
        await self.page.get_by_role("link", name=f"Change {name}").click()


Open = Callable[..., Awaitable[Somebody]]


@pytest.fixture
def somebody(new_page: NewPage, place: Place) -> Open:
    """Opens a browser for a person who signs in: `await somebody("awa", locale="fr-CM")`."""

    async def opened(name: str, **kind: object) -> Somebody:
        person = Somebody(await new_page(**kind), place)
        await person.sign_in(name)
        return person

    return opened


async def address(place: Place, company: str, page: str) -> str:
    return f"{place.url}/dashboard/company/{await place.office.company(company)}/{page}"


async def test_a_second_factor_is_set_up_asked_for_and_removed(
    somebody: Open, place: Place
) -> None:
    await place.office.hire("fatou", company="Factor")
    fatou = await somebody("fatou")
    await fatou.account()
    await fatou.page.get_by_role("link", name="Set up a second factor").click()
    await fatou.give(factor="not the password")
    await fatou.told_beside("factor", "This is not your password.")
    await fatou.give(factor=PASSWORD)
    await expect(fatou.page.locator(".qr svg")).to_be_visible()
    secret = await fatou.page.locator(".copy code").inner_text()
    await fatou.give(code="12345")
    await fatou.told_beside("code", "This code is not right: wait for the next one and give that.")
    # The same secret still, for who has not yet given it to the app.
    await expect(fatou.page.locator(".copy code")).to_have_text(secret)
    await expect(fatou.page.locator(".qr svg")).to_be_visible()
    app = pyotp.TOTP(secret)
    await fatou.give(code=app.at(place.clock.now()))
    codes = await fatou.page.locator(".codes code").all_inner_texts()
    assert len(codes) == 10
    copied_at_once = fatou.page.get_by_role("button", name="Copy all")
    assert await copied_at_once.get_attribute("data-copy") == "\n".join(codes)

    place.clock.advance(seconds=30)
    await fatou.press(".who button")
    await fatou.sign_in("fatou")
    await fatou.account()
    await expect(fatou.page).to_have_url(re.compile(r"/dashboard/code"))
    await fatou.give(code=app.at(place.clock.now()))
    await fatou.account()
    await expect(fatou.page.locator("#second-factor .pill")).to_have_text("in force")
    await fatou.press(".who button")
    await fatou.sign_in("fatou")
    await fatou.give(code=codes[0])
    await fatou.account()
    await expect(fatou.page.locator("#second-factor dd").last).to_have_text("9")

    await fatou.page.get_by_role("link", name="Make new recovery codes").click()
    await fatou.give(factor=PASSWORD)
    fresh = await fatou.page.locator(".codes code").all_inner_texts()
    assert len(fresh) == 10
    assert not set(fresh) & set(codes)
    await fatou.page.get_by_role("link", name="I have kept them").click()
    await fatou.page.locator("#second-factor").get_by_role("link", name="Remove").click()
    await fatou.give(factor=PASSWORD)
    await fatou.told("Your second factor is removed.")
    await expect(fatou.page.locator("#second-factor .pill")).to_have_text("none")


async def test_a_password_is_changed_and_ends_every_other_session(
    somebody: Open, place: Place
) -> None:
    await place.office.hire("penda", company="Password")
    penda = await somebody("penda")
    elsewhere = (await place.office.sign_in("penda")).token
    await penda.account()
    await penda.give(current="not the password", new=ANOTHER)
    await penda.told_beside("current", "This is not your password.")
    await penda.give(current=PASSWORD, new="penda penda penda")
    await penda.told_beside(
        "new",
        "Choose another: at least 12 characters, without your name or e-mail address, and none "
        "of those that are tried first.",
    )
    assert not await place.office.ended(elsewhere)

    await penda.give(current=PASSWORD, new=ANOTHER)

    await penda.told("Your password is changed. You are signed out everywhere else.")
    assert await place.office.ended(elsewhere)
    await penda.press(".who button")
    await penda.sign_in("penda", ANOTHER)
    await expect(penda.page).to_have_url(re.compile("/dashboard/applications"))


async def test_a_name_and_a_language_are_changed_at_once(somebody: Open, place: Place) -> None:
    await place.office.hire("nadia", company="Names")
    nadia = await somebody("nadia")
    await nadia.account()
    await nadia.give(name=" ")
    await nadia.told_beside("name", "Write a name of 1 to 100 characters.")
    await nadia.page.locator("#name").fill("Nadia Ba")
    await nadia.page.locator("#language").select_option("fr")
    await nadia.press("[aria-labelledby=you] button")

    await nadia.told("Enregistré.")
    await expect(nadia.page.locator("html")).to_have_attribute("lang", "fr")
    await expect(nadia.page.locator(".who b")).to_have_text("Nadia Ba")
    session = await place.office.session("nadia")
    assert (session.person.name, session.person.language) == ("Nadia Ba", "fr")


async def test_sessions_elsewhere_are_ended_one_and_all(somebody: Open, place: Place) -> None:
    office = place.office
    await office.hire("selma", company="Sessions")
    tokens = []
    for _ in range(3):
        signed_in = await office.people.sign_in(
            email_of("selma"), PASSWORD, address=HERE, agent=PHONE
        )
        tokens.append(signed_in.token)
    selma = await somebody("selma")
    await selma.account()
    rows = selma.page.locator("#sessions .rows > li")
    await expect(rows).to_have_count(4)
    own = rows.filter(has_text="this one")
    await expect(own).to_have_count(1)
    await expect(own.get_by_role("button")).to_have_count(0)

    await selma.page.get_by_role(
        "button", name=f"Sign out: Chrome on Android, {HERE}"
    ).first.click()

    await selma.told("Signed out there.")
    await expect(rows).to_have_count(3)
    assert [await office.ended(token) for token in tokens].count(True) == 1
    await selma.page.get_by_role("button", name="Sign out everywhere else").click()
    await expect(rows).to_have_count(1)
    assert all([await office.ended(token) for token in tokens])
    await expect(selma.page.get_by_role("button", name="Sign out everywhere else")).to_have_count(0)


async def test_an_owner_invites_changes_and_removes_and_the_log_tells_it(
    somebody: Open, place: Place
) -> None:
    office = place.office
    await office.hire("irene", company="Invitations")
    irene = await somebody("irene")
    await irene.company("Invitations", "people")
    await irene.page.locator("#invite").get_by_label("Finance").check()
    await irene.give(email=email_of("irene"))
    await irene.told_beside(
        "email", "This person is in your company already: change the role instead."
    )
    # What was chosen stays chosen.
    await expect(irene.page.locator("#invite").get_by_label("Finance")).to_be_checked()
    await irene.give(email=email_of("moussa"))
    link = await irene.page.locator(".given code").inner_text()
    assert link.startswith(f"{place.url}/dashboard/invitation/")
    await expect(irene.page.locator(".given [data-copy]")).to_have_attribute("data-copy", link)
    await irene.give(email=email_of("nobody"))
    await irene.page.get_by_role(
        "button", name=f"Withdraw the invitation of {email_of('nobody')}"
    ).click()
    await irene.told("The invitation is withdrawn: its link opens nothing any more.")
    await expect(irene.page.get_by_role("heading", name="Invited 1")).to_be_visible()

    await office.people.members.accept_as_new(
        link.rpartition("/")[2], name="Moussa Sarr", password=ANOTHER, address=HERE
    )
    await irene.company("Invitations", "people")
    await expect(irene.member("Moussa Sarr")).to_contain_text("Finance")
    await expect(irene.page.get_by_role("heading", name="Invited")).to_have_count(0)
    await irene.open_member("Moussa Sarr")
    await irene.page.locator(".panel").get_by_label("Viewer").check()
    await irene.press(".panel form button")
    await irene.told("The role is changed, from the next page on that this person opens.")
    await expect(irene.member("Moussa Sarr")).to_contain_text("Viewer")
    await irene.open_member("Moussa Sarr")
    await irene.page.get_by_role("link", name="Link for a new password").click()
    await irene.press(".panel form button")
    await expect(irene.page.get_by_role("heading", name="Password link for")).to_be_visible()
    await irene.open_member("Moussa Sarr")
    await irene.page.get_by_role("link", name="Remove from the company").click()
    await irene.press(".panel .danger")
    await irene.told("Removed. This person sees nothing of your company any more.")
    await expect(irene.member("Moussa Sarr")).to_have_count(0)

    await irene.page.get_by_role("link", name="Audit log").click()
    lines = irene.page.locator(".log li p.grow")
    assert await lines.all_inner_texts() == [
        "Irene removed Moussa Sarr from the company",
        "Irene made a link for a new password of Moussa Sarr",
        "Irene changed the role of Moussa Sarr from Finance to Viewer",
        "Moussa Sarr accepted the invitation and came in as Finance",
        "Irene withdrew the invitation of nobody@example.com",
        "Irene invited nobody@example.com as Viewer",
        "Irene invited moussa@example.com as Finance",
        "Irene signed in, in a browser not seen before",
        f"KPay’s operator added Irene as Owner {COMMAND.command}",
    ]
    await irene.page.locator("#action").select_option(label="Invited somebody")
    await irene.press(".filters button")
    await expect(lines).to_have_count(2)
    await irene.page.get_by_role("link", name="Français").click()
    await expect(irene.page.locator("h1")).to_have_text("Journal d’audit")


async def test_a_filter_of_the_log_is_in_its_address_and_stays_on_the_way_to_what_is_older(
    somebody: Open, place: Place
) -> None:
    office, house = place.office, place.house
    orla = await office.hire("orla", company="Older")
    await office.hire("otto", Role.VIEWER, company="Older")
    company_id = await office.company("Older")
    async with house.database.transaction() as connection:
        for number in range(120):
            await house.audit.write(
                connection,
                place.clock.now(),
                COMMAND if number % 2 else Actor(person_id=orla),
                Action.MEMBER_REMOVED,
                Subject("person", str(orla)),
                companies=[company_id],
                details={"email": f"{number}@example.com"},
            )
    page = await somebody("orla")
    await page.company("Older", f"audit?person={orla}&action=member.removed")
    await expect(page.page.locator("#person")).to_have_value(str(orla))
    lines = page.page.locator(".log li")
    await expect(lines).to_have_count(50)
    await page.page.get_by_role("link", name="Older").click()
    await expect(lines).to_have_count(10)
    await expect(page.page.locator("#action")).to_have_value("member.removed")
    await page.page.get_by_role("link", name="Newest").click()
    await expect(lines).to_have_count(50)

    day = START.date().isoformat()
    await page.page.locator("#from").fill(day)
    await page.page.locator("#to").fill(day)
    await page.press(".filters button")
    await expect(lines).to_have_count(50)
    await page.page.locator("#from").fill("2026-06-24")
    await page.page.locator("#to").fill("2026-06-30")
    await page.press(".filters button")
    await expect(page.page.locator(".empty")).to_have_text("Nothing fits these filters.")
    # What no form of ours says narrows nothing, and breaks nothing.
    await page.company("Older", "audit?person=x&action=y&from=0001-01-01&to=9999-12-31&before=z")
    await expect(lines).to_have_count(50)


async def test_the_last_owner_stays_one(somebody: Open, place: Place) -> None:
    await place.office.hire("lamine", company="Last")
    lamine = await somebody("lamine")
    await lamine.company("Last", "people")
    words = "A company keeps at least one owner: make somebody else an owner first."
    await lamine.open_member("Lamine")
    await lamine.page.locator(".panel").get_by_label("Viewer").check()
    await lamine.press(".panel form button")
    await expect(lamine.page.locator(".panel [role=alert]")).to_have_text(words)

    await lamine.page.get_by_role("link", name="Leave the company").click()
    await lamine.press(".panel .danger")

    await expect(lamine.page.locator(".panel [role=alert]")).to_have_text(words)
    await expect(lamine.member("Lamine")).to_contain_text("Owner")


async def test_a_viewer_sees_who_is_there_and_no_forms_and_no_log(
    somebody: Open, place: Place
) -> None:
    office = place.office
    owner = await office.hire("vera", company="Viewers")
    await office.hire("viktor", Role.VIEWER, company="Viewers")
    viktor = await somebody("viktor")
    await viktor.company("Viewers", f"people?member={owner}&ask=remove")
    await expect(viktor.member("Vera")).to_contain_text("Owner")
    await expect(viktor.page.locator("main form")).to_have_count(0)
    await expect(viktor.page.locator("main .button")).to_have_count(0)
    await expect(viktor.page.get_by_role("link", name="Audit log")).to_have_count(0)

    answer = await viktor.page.goto(await address(place, "Viewers", "audit"))

    assert answer is not None
    assert answer.status == 404


async def test_an_owner_whose_company_is_live_is_led_to_set_up_a_second_factor(
    somebody: Open, place: Place
) -> None:
    await place.office.hire("lise", company="Live")
    await place.house.office.approve_company("Live")
    lise = await somebody("lise")
    await lise.company("Live", "people")

    await lise.give(email=email_of("somebody"))

    await expect(lise.page).to_have_url(re.compile(r"/dashboard/account\?needed="))
    await expect(lise.page.locator("#second-factor [role=alert]")).to_contain_text(
        "Set up a second factor first"
    )
    await expect(lise.page.get_by_role("link", name="Set up a second factor")).to_be_visible()


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fr", "dark")])
async def test_every_page_is_sound_and_fits_a_phone(
    somebody: Open, place: Place, language: str, scheme: str
) -> None:
    office, company, numbers = place.office, f"Sound {language}", count(1)
    await office.hire(f"awa-{language}", company=company)
    other: UUID = await office.hire(f"abdoulaye.diabate-{language}", Role.DEVELOPER, company)
    awa = await somebody(f"awa-{language}", color_scheme=scheme, viewport=NARROW)
    await office.sign_in(f"awa-{language}")

    async def fits() -> None:
        await expect(awa.page.locator("html")).to_have_attribute("lang", language)
        await guests.fits(awa.page)

    async def sound() -> None:
        await fits()
        await guests.sound(awa.page, f"people-{language}-{next(numbers)}")

    await awa.account(f"?lang={language}")
    await fits()
    await awa.account("?needed=second-factor&ask=set-up")
    await awa.give(factor="not the password")
    await sound()
    await awa.give(factor=PASSWORD)
    await sound()
    secret = await awa.page.locator(".copy code").inner_text()
    await awa.give(code=pyotp.TOTP(secret).at(place.clock.now()))
    await expect(awa.page.locator(".codes")).to_be_visible()
    await sound()
    await awa.account("?done=password")
    await fits()
    await awa.company(company, "people")
    await awa.give(email="a-long-name-of-somebody@a-long-name-of-a-company.example.com")
    await expect(awa.page.locator(".given")).to_be_visible()
    await sound()
    for ask in ("&ask=link", "&ask=remove", ""):
        await awa.company(company, f"people?member={other}{ask}")
        await expect(awa.page.locator(".panel")).to_be_visible()
        await fits()
    await sound()
    await awa.company(company, "audit")
    await sound()
