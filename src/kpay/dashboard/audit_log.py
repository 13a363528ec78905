"""A company's audit log: who did what, when and from where, the newest first."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from kpay.audit.flow import Audit
from kpay.audit.model import Action, AuditFilter, Entry
from kpay.core.ids import parse_uuid
from kpay.dashboard.deeds import deed_names, sentence
from kpay.dashboard.house import drawn
from kpay.dashboard.page import PREFIX, Page, Reach, Visit, company_address
from kpay.people.members import Members
from kpay.people.model import Right
from kpay.web.pages import Answer

_PER_PAGE = 50
_DAY = timedelta(days=1)
_PERSON, _ACTION, _FROM, _TO, _BEFORE = "person", "action", "from", "to", "before"


class Line(msgspec.Struct, frozen=True):
    """An entry and its sentence."""

    entry: Entry
    told: str


class Day(msgspec.Struct, frozen=True):
    """What was done on one day, in UTC."""

    day: date
    lines: Sequence[Line]


class Asked(msgspec.Struct, frozen=True):
    """The filters as the address has them, and what of them could be read."""

    person_id: UUID | None
    action: Action | None
    since: date | None
    until: date | None
    before: UUID | None

    @property
    def narrows(self) -> bool:
        return any((self.person_id, self.action, self.since, self.until))

    def of(self, company_id: UUID) -> AuditFilter:
        return AuditFilter(
            company_id=company_id,
            person_id=self.person_id,
            action=self.action,
            since=None if self.since is None else _midnight(self.since),
            until=None if self.until is None else _midnight(self.until + _DAY),
            before=self.before,
            limit=_PER_PAGE,
        )


class AuditPages:
    """The log's one page."""

    def __init__(self, audit: Audit, members: Members) -> None:
        self._audit = audit
        self._members = members

    def pages(self) -> list[Page]:
        address = f"{PREFIX}/company/{{company}}/audit"
        return [Page("GET", address, Reach.COMPANY, self.show, Right.AUDIT_LOG)]

    async def show(self, visit: Visit) -> Answer:
        company_id = visit.where.membership.company_id
        asked = read(visit)
        entries = await self._audit.page(asked.of(company_id))
        shown, more = entries[:_PER_PAGE], len(entries) > _PER_PAGE
        here = company_address(company_id, "audit")
        return drawn(
            visit,
            "audit_log.html",
            here=here,
            days=_days(visit, shown),
            asked=asked,
            actions=sorted(deed_names(visit.speech).items(), key=lambda pair: pair[1].casefold()),
            people=await self._names(visit, asked.person_id, shown),
            older=_address(here, visit, shown[-1].id) if more else None,
            newest=_address(here, visit) if asked.before else None,
        )

    async def _names(
        self, visit: Visit, asked: UUID | None, shown: Sequence[Entry]
    ) -> list[tuple[UUID, str]]:
        """Whom the log can be narrowed to: who is in the company, and who has left and is here."""
        members = await self._members.of_company(visit.session, visit.where.membership.company_id)
        names = {member.person.id: member.person.name for member in members}
        for entry in shown:
            if entry.person_id is not None:
                names.setdefault(entry.person_id, entry.person_name or "")
        if asked is not None:
            names.setdefault(asked, visit.speech.say("Somebody else"))
        return sorted(names.items(), key=lambda pair: pair[1].casefold())


def read(visit: Visit) -> Asked:
    """The filters of an address. What none of our own links and forms says narrows nothing."""
    query = visit.query
    word = query.get(_ACTION)
    return Asked(
        person_id=parse_uuid(query.get(_PERSON, "")),
        action=next((action for action in Action if action == word), None),
        since=_day(query.get(_FROM, "")),
        until=_day(query.get(_TO, "")),
        before=parse_uuid(query.get(_BEFORE, "")),
    )


def _address(here: str, visit: Visit, before: UUID | None = None) -> str:
    """This page with the same filters, from an entry on."""
    kept = {
        name: visit.query[name] for name in (_PERSON, _ACTION, _FROM, _TO) if name in visit.query
    }
    if before is not None:
        kept[_BEFORE] = str(before)
    return f"{here}?{urlencode(kept)}" if kept else here


def _days(visit: Visit, entries: Sequence[Entry]) -> list[Day]:
    lines = [Line(entry, sentence(visit.speech, entry)) for entry in entries]
    grouped = groupby(lines, key=lambda line: line.entry.at.astimezone(UTC).date())
    return [Day(day, list(group)) for day, group in grouped]


def _day(text: str) -> date | None:
    """A day of four digits for its year, which leaves room for the one after it."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date.min < found < date(9999, 1, 1) else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
