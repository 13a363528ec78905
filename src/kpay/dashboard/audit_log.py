"""The audit log: a company's for its owners, all of it for the operator's staff; and as a file.

The newest first. A company is not told which of the operator's staff did something, nor from where:
it was the operator.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, date
from itertools import groupby
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from kpay.access.flow import Office
from kpay.audit.flow import Audit
from kpay.audit.model import Action, AuditFilter, Entry
from kpay.core.book import Book, Environment
from kpay.core.clock import iso
from kpay.core.ids import parse_uuid
from kpay.core.page import OF_FILE
from kpay.core.routes import Download
from kpay.core.sheet import MEDIA, Cell, head, sheet
from kpay.dashboard.days import begins, ends, read_day
from kpay.dashboard.deeds import deed_names, sentence
from kpay.dashboard.house import drawn
from kpay.dashboard.office.places import break_place, contradiction_place
from kpay.dashboard.page import (
    OFFICE_LOG,
    PREFIX,
    Page,
    Reach,
    Visit,
    book_address,
    company_address,
    transaction_address,
)
from kpay.people.members import Members
from kpay.people.model import OperatorRight, Right
from kpay.transactions.model import Noun, spell
from kpay.web.download import Begun, begin_file
from kpay.web.pages import Answer

_PER_PAGE = 50
_PERSON, _ACTION, _FROM, _TO, _BEFORE = "person", "action", "from", "to", "before"
_COMPANY = "company"
_FILTERS = (_PERSON, _ACTION, _FROM, _TO, _COMPANY)

# The kinds of subjects that have a page.
_MOVED = {"transfer": Noun.TRANSFER, "payout": Noun.PAYOUT}
_WAITED = {"operation": contradiction_place, "break": break_place}

# The columns of the file, in plain words that no language changes: programs read it too.
_COLUMNS = (
    "id",
    "at",
    "company",
    "by",
    "name",
    "email",
    "command",
    "apiKey",
    "address",
    "action",
    "subjectKind",
    "subjectId",
    "subjectName",
    "details",
)


class Line(msgspec.Struct, frozen=True):
    """An entry and its sentence, with as much of who did it as the reader may know."""

    entry: Entry
    told: str
    who: str | None
    """None for the operator; a key pair's public half for a program of the company's."""
    address: str | None
    href: str | None
    """The page of what it was done to, where the reader has one."""


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
    company_id: UUID | None
    """Which company's log, in the back office; None is everything."""

    @property
    def narrows(self) -> bool:
        return any((self.person_id, self.action, self.since, self.until, self.company_id))

    def of(self, company_id: UUID | None, limit: int = _PER_PAGE) -> AuditFilter:
        return AuditFilter(
            company_id=company_id,
            person_id=self.person_id,
            action=self.action,
            since=begins(self.since),
            until=ends(self.until),
            before=self.before,
            limit=limit,
        )


class AuditPages:
    """The log's page and its file, for a company and for the operator."""

    def __init__(self, audit: Audit, members: Members, office: Office) -> None:
        self._audit = audit
        self._members = members
        self._office = office

    def pages(self) -> list[Page]:
        address = f"{PREFIX}/company/{{company}}/audit"
        ours, looks = Right.AUDIT_LOG, OperatorRight.VIEW
        return [
            Page("GET", address, Reach.COMPANY, self.show, ours),
            Page("GET", f"{address}/export", Reach.COMPANY, self.export, ours),
            Page("GET", OFFICE_LOG, Reach.OPERATOR, self.show, looks),
            Page("GET", f"{OFFICE_LOG}/export", Reach.OPERATOR, self.export, looks),
        ]

    async def show(self, visit: Visit) -> Answer:
        asked = read(visit)
        entries = await self._audit.page(asked.of(_company(visit, asked)))
        shown, more = entries[:_PER_PAGE], len(entries) > _PER_PAGE
        here = _here(visit)
        return drawn(
            visit,
            "audit_log.html",
            here=here,
            company=await self._company_name(visit, asked),
            whole=visit.here is None,
            days=_days(visit, shown),
            asked=asked,
            actions=sorted(deed_names(visit.speech).items(), key=lambda pair: pair[1].casefold()),
            people=await self._names(visit, asked.person_id, shown),
            older=_address(here, visit, shown[-1].id) if more else None,
            newest=_address(here, visit) if asked.before else None,
            file=_address(f"{here}/export", visit),
        )

    async def export(self, visit: Visit) -> Begun:
        """All that the filters leave, newest first, however much it is."""
        asked = read(visit)
        wanted = msgspec.structs.replace(asked.of(_company(visit, asked), OF_FILE), before=None)
        days = [day.strftime("%Y%m%d") for day in (asked.since, asked.until) if day is not None]
        name = "-".join(["kpay", "audit", *days])
        return await begin_file(Download(self._file(visit, wanted), f"{name}.csv"), MEDIA)

    async def _file(self, visit: Visit, wanted: AuditFilter) -> AsyncGenerator[bytes, None]:
        """The log as CSV, a page at a time, each read on a connection of its own."""
        # A spreadsheet knows by the mark that it is UTF-8, and most who press this use one.
        begin = head(_COLUMNS, marked=True)
        async for page in self._audit.every_page(wanted):
            yield begin + sheet(_row(visit, entry) for entry in page)
            begin = b""

    async def _company_name(self, visit: Visit, asked: Asked) -> str:
        """Whose log it is; nothing for the installation's."""
        if visit.here is not None:
            return visit.where.membership.company_name
        found = await self._office.company(asked.company_id) if asked.company_id else None
        return "" if found is None else found.company.name

    async def _names(
        self, visit: Visit, asked: UUID | None, shown: Sequence[Entry]
    ) -> list[tuple[UUID, str]]:
        """Whom the log can be narrowed to: who is in the company, and who has left and is here."""
        names: dict[UUID, str] = {}
        if visit.here is not None:
            company_id = visit.where.membership.company_id
            members = await self._members.of_company(visit.session, company_id)
            names = {member.person.id: member.person.name for member in members}
        for entry in shown:
            if entry.person_id is not None and not _hidden(visit, entry):
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
        since=read_day(query.get(_FROM, "")),
        until=read_day(query.get(_TO, "")),
        before=parse_uuid(query.get(_BEFORE, "")),
        company_id=parse_uuid(query.get(_COMPANY, "")) if visit.here is None else None,
    )


def _company(visit: Visit, asked: Asked) -> UUID | None:
    """Whose log is read: one's own company's, whatever the address says; or, in the office, any."""
    return visit.where.membership.company_id if visit.here is not None else asked.company_id


def _here(visit: Visit) -> str:
    if visit.here is None:
        return OFFICE_LOG
    return company_address(visit.where.membership.company_id, "audit")


def _hidden(visit: Visit, entry: Entry) -> bool:
    """Whether the reader is told that it was the operator and no more."""
    return entry.is_staff and visit.here is not None


def _address(here: str, visit: Visit, before: UUID | None = None) -> str:
    """This page with the same filters, from an entry on."""
    kept = {name: visit.query[name] for name in _FILTERS if visit.query.get(name)}
    if before is not None:
        kept[_BEFORE] = str(before)
    return f"{here}?{urlencode(kept)}" if kept else here


def _days(visit: Visit, entries: Sequence[Entry]) -> list[Day]:
    lines = [_line(visit, entry) for entry in entries]
    grouped = groupby(lines, key=lambda line: line.entry.at.astimezone(UTC).date())
    return [Day(day, list(group)) for day, group in grouped]


def _line(visit: Visit, entry: Entry) -> Line:
    told = sentence(visit.speech, entry)
    if _hidden(visit, entry):
        return Line(entry, told, None, None, _subject(visit, entry))
    who = entry.person_name
    if entry.api_key is not None:
        who = visit.speech.say("A program with the key %(key)s", key=entry.api_key)
    return Line(entry, told, who, entry.address, _subject(visit, entry))


def _subject(visit: Visit, entry: Entry) -> str | None:
    """Where a transaction is looked at by its own company, and what waited by the operator."""
    subject = entry.subject
    if visit.here is not None:
        return _transaction(entry)
    identifier = parse_uuid(subject.id)
    if identifier is None or subject.kind not in _WAITED:
        return None
    return _WAITED[subject.kind](identifier)


def _transaction(entry: Entry) -> str | None:
    """None for what is none, and for one of which the log does not say whose application's."""
    subject, details = entry.subject, entry.details
    application_id = parse_uuid(f"{details.get('applicationId', '')}")
    environment = next(
        (one for one in Environment if details.get("environment") in (one, one.word)), None
    )
    identifier = parse_uuid(subject.id)
    public_id = None
    if subject.kind == "approval" and application_id is not None and environment is not None:
        return book_address(Book(application_id, environment), "approvals", subject.id)
    if subject.kind == "transaction":
        public_id = subject.id
    elif subject.kind in _MOVED and identifier is not None:
        public_id = spell(_MOVED[subject.kind], identifier)
    if public_id is None or application_id is None or environment is None:
        return None
    return transaction_address(Book(application_id, environment), public_id)


def _row(visit: Visit, entry: Entry) -> list[Cell]:
    hidden = _hidden(visit, entry)
    return [
        str(entry.id),
        iso(entry.at),
        entry.company_name,
        _kind(entry),
        None if hidden else entry.person_name,
        None if hidden else entry.person_email,
        entry.command,
        entry.api_key,
        None if hidden else entry.address,
        entry.action,
        entry.subject.kind,
        entry.subject.id,
        entry.subject_name,
        msgspec.json.encode(entry.details).decode(),
    ]


def _kind(entry: Entry) -> str:
    """By whom it was, as the file has it: operator, person or key."""
    if entry.api_key is not None:
        return "key"
    return "operator" if entry.person_id is None or entry.is_staff else "person"
