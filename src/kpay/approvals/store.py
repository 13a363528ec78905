"""The SQL of approvals."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kpay.approvals.model import OTHERS, Approval, Ended, Kind, Outcome, Rules, Shown, Wanted
from kpay.core.book import Book
from kpay.database.pool import Connection, Database, Row, book_of
from kpay.database.queries import beside
from kpay.people.model import Role

SQL = beside(__file__)


async def rules(database: Database | Connection, book: Book) -> Rules:
    """Those in force; none of them is version 0."""
    rows = await database.fetch(SQL["rules"], *_key(book))
    above = {row["currency"]: row["above"] for row in rows}
    others = above.pop(OTHERS, None) is not None
    return Rules(rows[0]["version"] if rows else 0, above, others)


async def set_rules(
    connection: Connection, book: Book, fresh: Rules, person_id: UUID, now: datetime
) -> bool:
    """On the caller's connection; False where this version is somebody else's already."""
    above: dict[str, int | None] = {**fresh.above, OTHERS: 0 if fresh.others else None}
    done = await connection.execute(
        SQL["set_rules"],
        *_key(book),
        fresh.version,
        list(above),
        list(above.values()),
        person_id,
        now,
    )
    return done == f"INSERT 0 {len(above)}"


async def ask(
    connection: Connection,
    book: Book,
    wanted: Wanted,
    person_id: UUID,
    now: datetime,
    ends_at: datetime,
) -> bool:
    """On the caller's connection; False where it is there, or one for the same payment is open."""
    shown = wanted.shown
    made = await connection.fetchval(
        SQL["ask"],
        *_key(book),
        wanted.id,
        wanted.kind,
        None if shown is None else shown.amount.currency,
        None if shown is None else shown.amount.minor,
        json.dumps(wanted.asked),
        None if shown is None else msgspec.json.encode(shown).decode(),
        wanted.payment_id,
        person_id,
        now,
        ends_at,
    )
    return made is not None


async def open_refund(connection: Connection, book: Book, payment_id: UUID) -> UUID | None:
    found: UUID | None = await connection.fetchval(SQL["open_refund"], *_key(book), payment_id)
    return found


async def find(database: Database | Connection, book: Book, identifier: UUID) -> Approval | None:
    row = await database.fetchrow(SQL["find"], *_key(book), identifier)
    return None if row is None else _read(row)


async def of_operation(database: Database, book: Book, operation_id: UUID) -> Approval | None:
    identifier = await database.fetchval(SQL["of_operation"], *_key(book), operation_id)
    return None if identifier is None else await find(database, book, identifier)


async def open_ones(database: Database, book: Book, limit: int) -> list[Approval]:
    rows = await database.fetch(SQL["open"], *_key(book), limit)
    return [_read(row) for row in rows]


async def ended_ones(database: Database, book: Book, limit: int) -> list[Approval]:
    rows = await database.fetch(SQL["ended"], *_key(book), limit)
    return [_read(row) for row in rows]


async def waiting(database: Database, book: Book, person_id: UUID, now: datetime) -> int:
    count: int = await database.fetchval(SQL["waiting"], *_key(book), now, person_id)
    return count


async def waiting_in(
    database: Database, company_id: UUID, person_id: UUID, now: datetime
) -> dict[Book, int]:
    rows = await database.fetch(SQL["waiting_in"], company_id, now, person_id)
    return {book_of(row): row["waiting"] for row in rows}


async def end(connection: Connection, book: Book, identifier: UUID, ended: Ended) -> bool:
    """On the caller's connection; False where it has ended meanwhile."""
    done = await connection.fetchval(
        SQL["end"],
        *_key(book),
        identifier,
        ended.outcome,
        ended.by,
        ended.at,
        ended.reason,
        ended.operation_id,
    )
    return done is not None


async def expire(database: Database, now: datetime, limit: int) -> int:
    """How many have run out."""
    done = await database.execute(SQL["expire"], now, limit)
    return int(done.split()[-1])


def _key(book: Book) -> Sequence[object]:
    return book.application_id, book.environment


def _read(row: Row) -> Approval:
    ended, role, shown = None, row["asker_role"], row["shown"]
    if row["outcome"] is not None:
        ended = Ended(
            outcome=Outcome(row["outcome"]),
            at=row["decided_at"],
            by=row["decided_by"],
            name=row["decider_name"],
            reason=row["reason"],
            operation_id=row["operation_id"],
        )
    return Approval(
        book=book_of(row, "book_environment"),
        wanted=Wanted(
            id=row["id"],
            kind=Kind(row["kind"]),
            asked=json.loads(row["asked"]),
            shown=None if shown is None else msgspec.json.decode(shown, type=Shown),
            payment_id=row["payment_id"],
        ),
        asked_by=row["asked_by"],
        asker=row["asker_name"],
        asker_role=None if role is None else Role(role),
        asked_at=row["asked_at"],
        ends_at=row["ends_at"],
        ended=ended,
    )
