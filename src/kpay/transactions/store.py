"""The SQL of transactions: which there are, what is known of one, and whether something is new."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from uuid import UUID

from kpay.core.book import Book
from kpay.core.money import Money
from kpay.database.pool import Database, Row, book_of
from kpay.database.queries import beside
from kpay.instructions.model import Action
from kpay.ledger.model import Kind
from kpay.transactions.journal import entry_of
from kpay.transactions.model import Meaning, Noun, Transaction, Wanted
from kpay.transactions.story import Chosen, Desk, Line, Posted

SQL = beside(__file__)

State = tuple[object, ...]


async def page(
    database: Database, book: Book, wanted: Wanted, meaning: Meaning
) -> list[tuple[Noun, UUID]]:
    """What a meaning names, newest first; one more than a page holds tells that there are more."""
    narrow = wanted.filter
    rows = await database.search(
        SQL["list"],
        book.application_id,
        book.environment,
        wanted.noun if meaning.noun is None else meaning.noun,
        narrow.status,
        narrow.country,
        narrow.since,
        narrow.until,
        narrow.first,
        narrow.end,
        meaning.id,
        meaning.suffix,
        meaning.external_id,
        meaning.phone_number,
        meaning.chosen_number,
        narrow.limit + 1,
    )
    return [(Noun(row["noun"]), row["id"]) for row in rows]


async def desk(database: Database, book: Book, identifier: UUID) -> Desk | None:
    """How far a rail is; None for a transfer, which has none."""
    row = await database.fetchrow(
        SQL["instruction"], book.application_id, book.environment, identifier
    )
    if row is None:
        return None
    return Desk(
        reference=row["reference"],
        next_action=Action(row["next_action"]),
        attempts=row["attempts"],
        due_at=row["due_at"],
        sent=None if row["amount"] is None else Money(row["amount"], row["currency"]),
        queue_until=row["queue_until"],
    )


async def choices(database: Database, book: Book, identifier: UUID) -> list[Chosen]:
    rows = await database.fetch(SQL["choices"], book.application_id, book.environment, identifier)
    return [
        Chosen(row["number"], row["provider"], row["country"], row["phone_number"], row["at"])
        for row in rows
    ]


async def entries(
    database: Database, book: Book, told: Transaction, sent: Money | None
) -> list[Posted]:
    """What was posted for a transaction; `sent` is what a rail was told.

    The record says which accounts each entry has touched, and they say what they stood at.
    """
    key = book.application_id, book.environment, told.id
    heads = await database.fetch(SQL["entries"], *key)
    wanted = [
        (head["step"], head["at"], posting.account)
        for head in heads
        for posting in entry_of(Kind(head["kind"]), told, sent).postings
    ]
    rows = await database.fetch(
        SQL["lines"], *key, *([line[place] for line in wanted] for place in range(3))
    )
    return [
        Posted(
            number=head["number"],
            kind=Kind(head["kind"]),
            at=head["at"],
            lines=tuple(_line(row) for row in rows if row["step"] == head["step"]),
        )
        for head in heads
    ]


def _line(row: Row) -> Line:
    return Line(
        account=row["account"],
        amount=Money(row["amount"], row["currency"]),
        balance_after=Money(row["balance_after"], row["currency"]),
    )


async def event(database: Database, book: Book, identifier: UUID) -> UUID | None:
    """The event of an operation that has ended."""
    found: UUID | None = await database.fetchval(
        SQL["event"], book.application_id, book.environment, identifier
    )
    return found


async def newest(database: Database, books: Collection[Book]) -> dict[Book, State]:
    """How far these books have come: it changes with whatever comes into one's list."""
    rows = await database.read(
        SQL["newest"],
        [book.application_id for book in books],
        [book.environment for book in books],
    )
    return {book_of(row): (row["entries"], row["payment"], row["event"]) for row in rows}


async def states(
    database: Database, wanted: Sequence[tuple[Book, UUID]]
) -> dict[tuple[Book, UUID], State]:
    """Where these operations stand: the status first, then everything else that a page shows."""
    rows = await database.read(
        SQL["states"],
        [book.application_id for book, _ in wanted],
        [book.environment for book, _ in wanted],
        [identifier for _, identifier in wanted],
    )
    return {
        (book_of(row), row["id"]): (
            row["status"],
            row["attempts"],
            row["due_at"],
            row["delivery_status"],
            row["delivery_attempts"],
            row["delivery_due_at"],
        )
        for row in rows
    }
