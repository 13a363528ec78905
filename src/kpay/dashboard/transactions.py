"""Transactions: payments, payouts, transfers and refunds as one list, and the list as a file."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from itertools import groupby
from urllib.parse import urlencode
from uuid import UUID

import msgspec

from kpay.catalogue.model import Catalogue
from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.ids import parse_uuid
from kpay.core.money import Money
from kpay.core.page import OF_FILE, Filter
from kpay.core.routes import Download
from kpay.core.sheet import MEDIA, Cell, file_name, head, sheet
from kpay.dashboard.house import drawn
from kpay.dashboard.live import Live
from kpay.dashboard.page import PREFIX, Page, Reach, Visit, book_address
from kpay.dashboard.telling import Telling, noun_names, status_words
from kpay.instructions.model import Status
from kpay.people.model import Right
from kpay.transactions.flow import Transactions
from kpay.transactions.model import MOST_TEXT_LENGTH, Noun, Transaction, Wanted
from kpay.web.download import Begun, begin_file
from kpay.web.pages import Answer

ADDRESS = f"{PREFIX}/app/{{application}}/{{environment}}/transactions"

_PER_PAGE = 50
_DAY = timedelta(days=1)
_TEXT, _NOUN, _STATUS, _COUNTRY, _FROM, _TO = "q", "type", "status", "country", "from", "to"
_BEFORE = "before"
_FILTERS = (_TEXT, _NOUN, _STATUS, _COUNTRY, _FROM, _TO)

# The columns of the file, in plain words that no language changes: programs read it too.
_COLUMNS = (
    "type",
    "id",
    "reference",
    "externalId",
    "status",
    "amount",
    "currency",
    "feeAmount",
    "arrivesAmount",
    "arrivesCurrency",
    "sourceCountry",
    "country",
    "provider",
    "phoneNumber",
    "description",
    "failureReason",
    "createdAt",
    "endedAt",
)


class Asked(msgspec.Struct, frozen=True):
    """The filters as the address has them, and what of them could be read."""

    text: str
    noun: Noun | None
    status: Status | None
    country: str | None
    since: date | None
    until: date | None
    before: UUID | None

    @property
    def narrows(self) -> bool:
        return any((self.text, self.noun, self.status, self.country, self.since, self.until))

    def wanted(self, limit: int) -> Wanted:
        return Wanted(
            noun=self.noun,
            text=self.text or None,
            filter=Filter(
                status=self.status,
                country=self.country,
                since=None if self.since is None else _midnight(self.since),
                until=None if self.until is None else _midnight(self.until + _DAY),
                before=self.before,
                limit=limit,
            ),
        )


class Day(msgspec.Struct, frozen=True):
    """What came on one day, in UTC."""

    day: date
    rows: Sequence[Transaction]


class TransactionPages:
    """The list and its file."""

    def __init__(self, transactions: Transactions, live: Live, catalogue: Catalogue) -> None:
        self._transactions = transactions
        self._live = live
        self._catalogue = catalogue

    def pages(self) -> list[Page]:
        right = Right.VIEW_MONEY
        return [
            Page("GET", ADDRESS, Reach.BOOK, self.show, right),
            Page("GET", f"{ADDRESS}/export", Reach.BOOK, self.export, right),
        ]

    async def show(self, visit: Visit) -> Answer:
        asked = read(visit, self._catalogue)
        state = await self._live.state(visit.book)
        rows = await self._transactions.page(visit.book, asked.wanted(_PER_PAGE))
        shown, more = rows[:_PER_PAGE], len(rows) > _PER_PAGE
        return drawn(
            visit,
            "transactions.html",
            here=book_address(visit.book, "transactions"),
            live=self._live.of_list(visit.book, state, shown, newest=asked.before is None),
            telling=Telling(visit.speech, self._catalogue),
            days=_days(shown),
            asked=asked,
            nouns=noun_names(visit.speech),
            statuses=status_words(visit.speech),
            countries=self._countries(visit),
            most_text=MOST_TEXT_LENGTH,
            older=_address(visit, shown[-1].id) if more else None,
            newest=_address(visit) if asked.before else None,
            file=_file_address(visit),
        )

    async def export(self, visit: Visit) -> Begun:
        """All that the filters leave, newest first, however much it is."""
        asked = msgspec.structs.replace(read(visit, self._catalogue), before=None)
        wanted = asked.wanted(OF_FILE)
        name = file_name(visit.book, "transactions", wanted.filter.since, wanted.filter.until)
        return await begin_file(Download(self._file(visit.book, wanted), name), MEDIA)

    async def _file(self, book: Book, wanted: Wanted) -> AsyncGenerator[bytes, None]:
        """The list as CSV, a page at a time, each read on a connection of its own."""
        # A spreadsheet knows by the mark that it is UTF-8, and most who press this use one.
        begin = head(_COLUMNS, marked=True)
        async for page in self._transactions.every_page(book, wanted):
            yield begin + sheet(_line(row) for row in page)
            begin = b""

    def _countries(self, visit: Visit) -> list[tuple[str, str]]:
        named = [(code, visit.speech.country(code)) for code in self._catalogue.countries]
        return sorted(named, key=lambda pair: pair[1].casefold())


def read(visit: Visit, catalogue: Catalogue) -> Asked:
    """The filters of an address. What none of our own links and forms says narrows nothing."""
    query = visit.query
    country = query.get(_COUNTRY)
    return Asked(
        text=query.get(_TEXT, "").strip()[:MOST_TEXT_LENGTH].replace("\0", ""),
        noun=next((noun for noun in Noun if noun == query.get(_NOUN)), None),
        status=next((status for status in Status if status == query.get(_STATUS)), None),
        country=country if country in catalogue.countries else None,
        since=_day(query.get(_FROM, "")),
        until=_day(query.get(_TO, "")),
        before=parse_uuid(query.get(_BEFORE, "")),
    )


def _address(visit: Visit, before: UUID | None = None) -> str:
    """This page with the same filters, from a transaction on."""
    kept = _kept(visit)
    if before is not None:
        kept[_BEFORE] = str(before)
    return _with(book_address(visit.book, "transactions"), kept)


def _file_address(visit: Visit) -> str:
    return _with(book_address(visit.book, "transactions", "export"), _kept(visit))


def _kept(visit: Visit) -> dict[str, str]:
    return {name: visit.query[name] for name in _FILTERS if visit.query.get(name)}


def _with(address: str, query: dict[str, str]) -> str:
    return f"{address}?{urlencode(query)}" if query else address


def _days(rows: Sequence[Transaction]) -> list[Day]:
    """By day; the order is that of identifiers, in which a day hardly ever comes twice."""
    grouped = groupby(rows, key=lambda row: row.created_at.astimezone(UTC).date())
    return [Day(day, list(group)) for day, group in grouped]


def _line(row: Transaction) -> list[Cell]:
    return [
        row.noun,
        row.public_id,
        row.reference,
        row.external_id,
        row.status,
        row.amount.number,
        row.amount.currency,
        _number(row.fee),
        _number(row.arrives),
        None if row.arrives is None else row.arrives.currency,
        row.source,
        row.destination,
        row.provider,
        row.phone_number,
        row.description,
        row.failure_code,
        iso(row.created_at),
        None if row.ended_at is None else iso(row.ended_at),
    ]


def _number(amount: Money | None) -> Cell:
    return None if amount is None else amount.number


def _day(text: str) -> date | None:
    """A day of four digits for its year, which leaves room for the one after it."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date.min < found < date(9999, 1, 1) else None


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time.min, UTC)
