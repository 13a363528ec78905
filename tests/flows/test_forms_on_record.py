"""Every form of the dashboard leaves a line in the audit log when it does something.

The forms come from the dashboard's own table: one that is declared tomorrow and sent by nobody here
fails the last comparison, until it is sent here or stands among those that do nothing.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import pyotp
import pytest

from kpay.app import House
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.people.model import OperatorRole, Role
from kpay.webhooks.model import Topic
from tests.client import Answer, Browser, Merchant
from tests.flows.test_dashboard_guard import A_BREAK, A_CONTRADICTION
from tests.flows.test_dashboard_moving import PAYOUT, TRANSFER, hidden
from tests.people import ANOTHER, PASSWORD, Office, email_of, people_of
from tests.receivers import listening
from tests.visitors import Visitor, words

# Forms that change nothing and show nothing that is kept from their visitor.
NOTHING_DONE = {
    # What would be moved, as a form is filled in.
    "/dashboard/app/{application}/{environment}/move/transfer/preview",
    "/dashboard/app/{application}/{environment}/move/transfer/review",
    "/dashboard/app/{application}/{environment}/move/payout/preview",
    "/dashboard/app/{application}/{environment}/move/payout/review",
    # The secret of a second factor that is not in force before it is confirmed.
    "/dashboard/account/second-factor",
}
OF_BOOK = "/dashboard/app/{application}/{environment}"
OF_COMPANY = "/dashboard/company/{company}/people"
ACCOUNT, OFFICE = "/dashboard/account", "/dashboard/office"
# Of the sandbox in Cameroon: it is accepted and never ends.
OPEN = "237653456129"


@dataclass
class Desk:
    """Sends forms, and keeps which of them were found on record."""

    house: House
    office: Office
    shop: Merchant
    seen: set[str] = field(default_factory=set)

    async def send(self, visitor: Visitor, form: str, **fields: str) -> Answer:
        """Send a form by its address in the table. What is in braces comes from the fields."""
        known = {
            "application": self.shop.application_id,
            "company": str(self.shop.new.application.company.id),
            "environment": "test",
            **fields,
        }
        path = re.sub(r"\{(\w+)\}", lambda found: known[found[1]], form)
        before = await self.office.log()
        answer = await visitor.post(path, **fields)
        assert answer.status in (200, 303), (form, words(answer))
        after = await self.office.log()
        assert after[0].id != before[0].id, (form, words(answer))
        assert (after[0].person_id or after[0].command) is not None
        self.seen.add(form)
        return answer

    async def visitor(self, name: str) -> Visitor:
        """Somebody who has given the password, and a code where there is a second factor."""
        visitor = await Visitor.signed_in(self.shop.api, self.office, name)
        person_id = (await self.office.of(visitor.token or "")).person.id
        if person_id in self.office.apps:
            self.office.clock.advance(seconds=30)
            token = visitor.token or ""
            signed = await self.office.people.give_code(token, self.office.code(person_id))
            visitor.token = signed.token
            visitor.csrf = (await self.office.of(signed.token)).csrf_token
        return visitor


@pytest.fixture
async def desk(house: House, clock: ManualClock) -> Desk:
    house.people = people_of(house)
    office = Office(house, house.people, clock)
    await office.hire("awa")
    await office.hire("ben")
    await office.employ("ada", OperatorRole.ADMIN)
    await office.set_up(await office.session("ada"))
    shop = await Merchant.join(house)
    await shop.collect(500_000)
    return Desk(house, office, shop)


async def test_every_form_that_does_something_leaves_a_line_in_the_audit_log(desk: Desk) -> None:
    for part in (
        _moving,
        _approvals,
        _settings,
        _webhooks,
        _people,
        _account,
        _companies,
        _terms,
        _waiting,
        _staff,
    ):
        # A day for each: nobody gives too many codes, and no session lasts so long.
        desk.office.clock.advance(days=1)
        await part(desk)
    forms = {page.path for page in desk.house.dashboard().pages if page.method == "POST"}
    assert desk.seen == forms - NOTHING_DONE
    assert forms >= NOTHING_DONE


def link_in(answer: Answer) -> str:
    """The secret of the link that an answer shows."""
    found = re.search(r"/(?:password|invitation)/(kp\w+)", answer.raw.decode())
    assert found is not None, words(answer)
    return found[1]


async def _moving(desk: Desk) -> None:
    await desk.shop.renew_token()
    awa, app = await desk.visitor("awa"), f"/dashboard/app/{desk.shop.application_id}/test"
    for way, fields in (("transfer", TRANSFER), ("payout", PAYOUT)):
        shown = await awa.post(f"{app}/move/{way}/review", **fields)
        await desk.send(awa, f"{OF_BOOK}/move/{way}/confirm", **hidden(shown))
    one = f"{OF_BOOK}/transactions/{{transaction}}"
    payment = await desk.shop.collect(50_000)
    payout = await desk.shop.withdraw(amount=10_000, phoneNumber=OPEN)
    await desk.send(awa, f"{one}/cancel", transaction=payout["id"])
    await desk.send(awa, f"{one}/refund", transaction=payment["id"], reason="Wrong size")
    async with listening() as heard:
        book = Book(desk.shop.new.application.id, Environment.TEST)
        await desk.house.webhooks.set_url(book, Topic.GENERIC, heard.url)
        payment = await desk.shop.collect(1_000)
        await desk.send(awa, f"{one}/replay", transaction=payment["id"])
        await desk.house.webhooks.remove_url(book, Topic.GENERIC)


async def _approvals(desk: Desk) -> None:
    awa, ben = await desk.visitor("awa"), await desk.visitor("ben")
    app, one = (
        f"/dashboard/app/{desk.shop.application_id}/test",
        f"{OF_BOOK}/approvals/{{approval}}",
    )
    rules = hidden(await awa.get(f"{app}/approvals/rules"))
    await desk.send(awa, f"{OF_BOOK}/approvals/rules/save", **rules, others="all")
    for verb, who in (("approve", ben), ("reject", ben), ("withdraw", awa)):
        shown = await awa.post(f"{app}/move/transfer/review", **{**TRANSFER, "amount": "100"})
        asked = await awa.post(f"{app}/move/transfer/confirm", **hidden(shown))
        path = asked.headers["location"].partition("?")[0]
        form = hidden(await who.get(path)) if verb == "approve" else {"reason": "No"}
        await desk.send(who, f"{one}/{verb}", **form, approval=path.rpartition("/")[2])


async def _settings(desk: Desk) -> None:
    awa = await desk.visitor("awa")
    keys = await desk.house.office.keys(desk.shop.new.application.id)
    before = keys[Environment.TEST].api_key
    await desk.send(awa, f"{OF_BOOK}/settings/keys", instead=before)
    await desk.send(awa, f"{OF_BOOK}/settings/secret")
    url = f"{OF_BOOK}/settings/webhooks/{{topic}}"
    for address in ("http://127.0.0.1:9/first", "http://127.0.0.1:9/second", ""):
        await desk.send(awa, url, topic="generic", url=address)


async def _webhooks(desk: Desk) -> None:
    awa, here = await desk.visitor("awa"), f"{OF_BOOK}/webhooks"
    async with listening() as heard:
        book = Book(desk.shop.new.application.id, Environment.TEST)
        await desk.house.webhooks.set_url(book, Topic.GENERIC, heard.url)
        tested = await desk.send(awa, f"{here}/{{topic}}/test", topic="generic")
        delivery = tested.headers["location"].partition("?")[0].rpartition("/")[2]
        await desk.send(awa, f"{here}/delivery/{{delivery}}/replay", delivery=delivery)
        period = {"since": "2026-06-23T09:00", "until": "2026-07-23T11:00", "sure": "yes"}
        await desk.send(awa, f"{here}/replay", **period)
        await desk.send(awa, f"{here}/{{topic}}/resume", topic="generic")


async def _people(desk: Desk) -> None:
    await desk.office.set_up(await desk.office.session("awa"))
    awa, nobody = await desk.visitor("awa"), Visitor(Browser(desk.shop.api))
    members, invited = desk.office.people.members, f"{OF_COMPANY}/invite"
    company_id = await desk.office.company()
    asked = await desk.send(awa, invited, email=email_of("new"), role="VIEWER")
    joined = {"token": link_in(asked), "name": "New", "password": PASSWORD}
    await desk.send(nobody, "/dashboard/invitation/{token}", **joined)
    await desk.office.hire("eve", company="Rival")
    asked = await desk.send(awa, invited, email=email_of("eve"), role="VIEWER")
    eve = await desk.visitor("eve")
    await desk.send(eve, "/dashboard/invitation/{token}/accept", token=link_in(asked))
    await desk.send(awa, invited, email=email_of("gone"), role="VIEWER")
    session = await desk.office.of(awa.token or "")
    (invitation,) = await members.invitations(session, company_id)
    form = f"{OF_COMPANY}/invitation/{{invitation}}"
    await desk.send(awa, form, invitation=str(invitation.id))
    new = str(await desk.office.hire("carl", Role.VIEWER))
    member = f"{OF_COMPANY}/member/{{person}}"
    await desk.send(awa, f"{member}/role", person=new, role="FINANCE")
    given = await desk.send(awa, f"{member}/link", person=new)
    link = {"token": link_in(given), "password": ANOTHER}
    await desk.send(nobody, "/dashboard/password/{token}", **link)
    await desk.send(awa, f"{member}/remove", person=new)


async def _account(desk: Desk) -> None:
    person_id = await desk.office.hire("dora")
    door = {"email": email_of("dora"), "password": PASSWORD}
    await desk.send(Visitor(Browser(desk.shop.api)), "/dashboard/sign-in", **door)
    dora = await desk.visitor("dora")
    await desk.send(dora, f"{ACCOUNT}/profile", name="Dora B", language="en")
    others = await desk.office.people.sessions(await desk.office.of(dora.token or ""))
    other = next(str(place.id) for place in others if not place.current)
    await desk.send(dora, f"{ACCOUNT}/sessions/{{session}}", session=other)
    await desk.send(dora, f"{ACCOUNT}/sessions/others")
    offer = await dora.post(f"{ACCOUNT}/second-factor", password=PASSWORD)
    app = pyotp.TOTP(hidden(offer)["secret"])
    desk.office.apps[person_id] = app
    code = app.at(desk.office.clock.now())
    await desk.send(dora, f"{ACCOUNT}/second-factor/confirm", code=code)
    await desk.send(dora, f"{ACCOUNT}/second-factor/codes", password=PASSWORD)
    half = await Visitor.signed_in(desk.shop.api, desk.office, "dora")
    desk.office.clock.advance(seconds=30)
    await desk.send(half, "/dashboard/code", code=desk.office.code(person_id))
    await desk.send(dora, f"{ACCOUNT}/second-factor/remove", password=PASSWORD)
    await desk.send(dora, f"{ACCOUNT}/password", current=PASSWORD, new=ANOTHER)
    await desk.send(dora, "/dashboard/sign-out")


async def _companies(desk: Desk) -> None:
    ada, one = await desk.visitor("ada"), f"{OFFICE}/companies/{{company}}"
    await desk.send(ada, f"{one}/approve", reason="Papers")
    await desk.send(ada, f"{one}/withdraw", reason="Papers that are old")
    person = str(await desk.office.hire("fay", Role.VIEWER))
    for verb in ("link", "disable", "enable"):
        await desk.send(ada, f"{one}/people/{{person}}/{verb}", person=person)


async def _terms(desk: Desk) -> None:
    ada, one = await desk.visitor("ada"), f"{OFFICE}/applications/{{application}}"
    limits = {"operation": "PAYOUT", "currency": "XAF"}
    await desk.send(ada, f"{one}/terms", sure="yes", payment_fee_bps="1")
    await desk.send(
        ada, f"{one}/providers", sure="yes", which="some", **{"provider.ORANGE_CMR": "on"}
    )
    await desk.send(ada, f"{one}/limit", sure="yes", **limits, least="1", most="2")
    await desk.send(ada, f"{one}/usual", sure="yes", **limits)


async def _waiting(desk: Desk) -> None:
    ada, identifier, now = (
        await desk.visitor("ada"),
        desk.shop.application_id,
        desk.office.clock.now(),
    )
    await desk.house.database.execute(A_CONTRADICTION, desk.shop.new.application.id, now)
    await desk.house.database.execute(A_BREAK, identifier, now)
    meant = f"{identifier}.paid_after_cancelled.{identifier}"
    form = f"{OFFICE}/contradictions/{{operation}}/settle"
    await desk.send(ada, form, operation=identifier, meant=meant, note="Given back")
    form = f"{OFFICE}/reconciliation/breaks/{{break}}/close"
    await desk.send(ada, form, **{"break": identifier}, note="Known")


async def _staff(desk: Desk) -> None:
    ada, one = await desk.visitor("ada"), f"{OFFICE}/staff/{{person}}"
    form = f"{OFFICE}/staff/invite"
    await desk.send(ada, form, email=email_of("olga"), name="Olga", role="SUPPORT")
    person = str(await desk.office.employ("sam", OperatorRole.SUPPORT))
    await desk.send(ada, f"{one}/role", person=person, role="ADMIN")
    for verb in ("link", "sessions", "disable", "enable"):
        await desk.send(ada, f"{one}/{verb}", person=person)
