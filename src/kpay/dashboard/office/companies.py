"""Companies: the list with a search, and one of them with its approval for live and its people."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from kpay.access.flow import Office
from kpay.access.model import Application, Company, PublicKey
from kpay.access.store import CompanyFilter, Listed
from kpay.audit.flow import Audit
from kpay.audit.model import Action, AuditFilter, Entry, Subject
from kpay.core.book import Environment
from kpay.core.ids import parse_uuid
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.house import drawn
from kpay.dashboard.office.places import (
    company_place,
    configures,
    must_prove,
    named,
    reason_of,
)
from kpay.dashboard.page import COMPANIES, Gone, Page, Reach, Visit
from kpay.dashboard.roles import role_words
from kpay.people.model import Link, Member, OperatorRight
from kpay.people.staff import Staff
from kpay.web.pages import Answer, redirect

_ONE = f"{COMPANIES}/{{company}}"
_PERSON = f"{_ONE}/people/{{person}}"
_PER_PAGE = 50
_DECISIONS = 10
_MOST_TEXT_LENGTH = 254
_STATES = {"live": True, "test": False}


class Line(msgspec.Struct, frozen=True):
    """A company in the list, with how many people it has."""

    listed: Listed
    people: int


class Shop(msgspec.Struct, frozen=True):
    """An application of a company, with the public half of its keys."""

    application: Application
    keys: Mapping[Environment, PublicKey]


class Given(msgspec.Struct, frozen=True):
    """A link that was just made, and for whom: the page shows it this once."""

    link: Link
    to: str


class CompanyPages:
    """Their list, and the page of each with its forms."""

    def __init__(self, office: Office, staff: Staff, audit: Audit) -> None:
        self._office = office
        self._staff = staff
        self._audit = audit

    def pages(self) -> list[Page]:
        looks, changes, ours = OperatorRight.VIEW, OperatorRight.CONFIGURE, Reach.OPERATOR
        return [
            Page("GET", COMPANIES, ours, self.index, looks),
            Page("GET", _ONE, ours, self.show, looks),
            Page("POST", f"{_ONE}/approve", ours, self.approve, changes),
            Page("POST", f"{_ONE}/withdraw", ours, self.withdraw, changes),
            Page("POST", f"{_PERSON}/link", ours, self.give_link, changes),
            Page("POST", f"{_PERSON}/disable", ours, self.disable, changes),
            Page("POST", f"{_PERSON}/enable", ours, self.enable, changes),
        ]

    async def index(self, visit: Visit) -> Answer:
        query = visit.query
        text = query.get("q", "").strip()[:_MOST_TEXT_LENGTH].replace("\0", "")
        state = query.get("state", "")
        wanted = msgspec.structs.replace(
            await self._wanted(text),
            approved=_STATES.get(state),
            after=query.get("after", "").replace("\0", "") or None,
        )
        found = await self._office.companies(wanted)
        shown, more = found[:_PER_PAGE], len(found) > _PER_PAGE
        people = await self._staff.counts([each.company.id for each in shown])
        return drawn(
            visit,
            "office/companies.html",
            here=COMPANIES,
            lines=[Line(each, people.get(each.company.id, 0)) for each in shown],
            text=text,
            state=state if state in _STATES else "",
            most_text=_MOST_TEXT_LENGTH,
            next=_address(text, state, shown[-1].company.name) if more else None,
            first=_address(text, state) if wanted.after else None,
        )

    async def show(self, visit: Visit) -> Answer:
        return await self._shown(visit)

    async def approve(self, visit: Visit) -> Answer:
        """Let its applications have live keys."""
        return await self._decide(visit, approved=True)

    async def withdraw(self, visit: Visit) -> Answer:
        """Let them have none any more; those in force end now."""
        return await self._decide(visit, approved=False)

    async def give_link(self, visit: Visit) -> Answer:
        """A link with which one of its people sets a new password, on this answer alone."""
        led = must_prove(visit)
        if led is not None:
            return led
        member = await self._member(visit)
        try:
            link = await self._staff.password_link(
                visit.session.actor,
                member.person.email,
                without_second_factor="factor" in visit.form,
            )
        except Refusal as refusal:
            if refusal.code is not Code.NOT_ALLOWED:
                raise
            # Somebody else has closed the account meanwhile.
            return _back(visit, "closed")
        return await self._shown(visit, given=Given(link, member.person.name))

    async def disable(self, visit: Visit) -> Answer:
        """Shut one of its people out, wherever that person is signed in."""
        led = must_prove(visit)
        if led is None:
            member = await self._member(visit)
            await self._staff.disable(visit.session.actor, member.person.email)
            led = _back(visit, "disabled")
        return led

    async def enable(self, visit: Visit) -> Answer:
        """Let one in again who was shut out."""
        led = must_prove(visit)
        if led is None:
            member = await self._member(visit)
            await self._staff.enable(visit.session.actor, member.person.email)
            led = _back(visit, "enabled")
        return led

    async def _decide(self, visit: Visit, *, approved: bool) -> Answer:
        led = must_prove(visit)
        if led is not None:
            return led
        company, reason = (await self._company(visit)).company, reason_of(visit)
        if not reason:
            return await self._shown(visit, 422, wrong="reason")
        verb = self._office.approve_company if approved else self._office.withdraw_approval
        await verb(str(company.id), by=visit.session.actor, reason=reason)
        return _back(visit, "approved" if approved else "withdrawn")

    async def _wanted(self, text: str) -> CompanyFilter:
        """A part of a name, an id of a company or an application, or the email of a person."""
        if not text:
            return CompanyFilter(_PER_PAGE)
        identifier = parse_uuid(text)
        if identifier is not None:
            return CompanyFilter(_PER_PAGE, ids=[identifier])
        if "@" in text:
            companies = await self._staff.companies_of(text)
            if companies:
                return CompanyFilter(_PER_PAGE, ids=companies)
        return CompanyFilter(_PER_PAGE, text=text)

    async def _company(self, visit: Visit) -> Listed:
        """What the address names. Raises Gone."""
        found = await self._office.company(named(visit, "company"))
        if found is None:
            raise Gone
        return found

    async def _member(self, visit: Visit) -> Member:
        """One of its people. Raises Gone."""
        found = await self._staff.member(named(visit, "company"), named(visit, "person"))
        if found is None:
            raise Gone
        return found

    async def _shown(
        self, visit: Visit, status: int = 200, *, given: Given | None = None, wrong: str = ""
    ) -> Answer:
        listed = await self._company(visit)
        company = listed.company
        return drawn(
            visit,
            "office/company.html",
            status,
            here=company_place(company.id),
            listed=listed,
            company=company,
            shops=await self._shops(company),
            members=await self._staff.of_company(company.id),
            roles=role_words(visit.speech),
            decisions=await self._decisions(company),
            changes=configures(visit),
            given=given,
            wrong=wrong,
            open=parse_uuid(visit.query.get("person", "")),
            asked=visit.query.get("ask") or ("decide" if wrong else None),
            done=visit.query.get("done"),
        )

    async def _shops(self, company: Company) -> list[Shop]:
        return [
            Shop(application, await self._office.keys(application.id))
            for application in await self._office.of_company(company.id)
        ]

    async def _decisions(self, company: Company) -> list[tuple[Entry, bool]]:
        """When it was approved and no longer, the latest first, and whether it was approved."""
        subject = Subject("company", str(company.id))
        entries = await self._audit.page(AuditFilter(subject=subject, limit=_DECISIONS))
        known = (Action.COMPANY_APPROVED, Action.APPROVAL_WITHDRAWN)
        return [
            (entry, entry.action == Action.COMPANY_APPROVED)
            for entry in entries[:_DECISIONS]
            if entry.action in known
        ]


def _address(text: str, state: str, after: str | None = None) -> str:
    """The list with the same search, from a name on."""
    kept = {"q": text, "state": state, "after": after or ""}
    query = urlencode({name: value for name, value in kept.items() if value})
    return f"{COMPANIES}?{query}" if query else COMPANIES


def _back(visit: Visit, done: str) -> Answer:
    return redirect(f"{company_place(_company_id(visit))}?done={done}#main")


def _company_id(visit: Visit) -> UUID:
    return named(visit, "company")
