"""The SQL of contradictions."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kpay.contradictions.model import (
    Contradiction,
    ContradictionFilter,
    Decision,
    Settled,
    What,
)
from kpay.core.book import Book
from kpay.core.money import Money
from kpay.database.pool import Connection, Database, Row, book_of
from kpay.database.queries import beside

SQL = beside(__file__)


async def keep(
    connection: Connection,
    book: Book,
    operation_id: UUID,
    what: What,
    *,
    reference: UUID,
    connector: str,
    attempt: int | None,
    evidence: str,
    found_at: datetime,
) -> bool:
    """Hold one on the caller's connection, in its transaction; whether it was not held before.

    `evidence` is JSON.
    """
    kept = await connection.fetchval(
        SQL["keep"],
        book.application_id,
        book.environment,
        operation_id,
        what,
        reference,
        connector,
        attempt,
        evidence,
        found_at,
    )
    return kept is not None


async def page(database: Database, wanted: ContradictionFilter) -> Sequence[Contradiction]:
    after = wanted.after
    rows = await database.search(
        SQL["list"],
        wanted.operation_id,
        wanted.is_open,
        wanted.what,
        wanted.environment,
        None if after is None else after.operation_id,
        None if after is None else after.what,
        None if after is None else after.reference,
        wanted.limit,
    )
    return [_read(row) for row in rows]


async def settle(connection: Connection, found: Contradiction, settled: Settled) -> bool:
    """On the caller's connection; False where somebody else has settled it meanwhile."""
    done = await connection.fetchval(
        SQL["settle"],
        found.book.application_id,
        found.book.environment,
        found.operation_id,
        found.what,
        found.reference,
        settled.decision,
        settled.note,
        settled.by,
        settled.at,
    )
    return done is not None


async def count_open(database: Database) -> int:
    count: int = await database.fetchval(SQL["count_open"])
    return count


def _read(row: Row) -> Contradiction:
    settled = None
    if row["settled_at"] is not None:
        settled = Settled(
            Decision(row["decision"]),
            row["note"],
            row["settled_by"],
            row["settled_at"],
            row["settled_name"],
        )
    amount = row["amount"]
    return Contradiction(
        book=book_of(row),
        operation_id=row["instruction_id"],
        type=row["type"],
        what=What(row["what"]),
        reference=row["reference"],
        status=row["status"],
        told=None if amount is None else Money(amount, row["currency"]),
        provider=row["provider"],
        phone_number=row["phone_number"],
        connector=row["connector"],
        attempt=row["attempt"],
        evidence=json.loads(row["evidence"]),
        found_at=row["found_at"],
        company_id=row["company_id"],
        company_name=row["company_name"],
        application_name=row["application_name"],
        settled=settled,
    )
