"""What was handed to a rail a while ago and has no answer that ends it, for the operator to see."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.database.pool import Database, Row, book_of
from kpay.instructions.store import SQL

# Rails answer within seconds, and a payer confirms within minutes.
WAITS_SINCE = timedelta(minutes=15)
# An instruction is asked about for days: the last answers say how it stands.
_LATEST = 5


class Evidence(msgspec.Struct, frozen=True):
    """One time that a rail was spoken to. Without an outcome, its answer was never recorded."""

    number: int
    action: str
    connector: str
    sent_at: datetime
    outcome: str | None
    answered_at: datetime | None
    answer: str | None
    """What the rail said, as JSON."""


class Waiting(msgspec.Struct, frozen=True):
    """An instruction that waits, whose it is, and its latest evidence, the newest first."""

    book: Book
    id: UUID
    type: str
    reference: UUID
    provider: str
    amount: Money
    submitted_at: datetime
    due_at: datetime
    attempts: int
    application_name: str
    company_id: UUID
    company_name: str
    evidence: list[Evidence]


async def waiting(
    database: Database, environment: Environment, now: datetime, limit: int
) -> list[Waiting]:
    """Those of all applications that wait for longer than WAITS_SINCE, the longest first."""
    rows = await database.read(SQL["waiting"], environment, now - WAITS_SINCE, limit, _LATEST)
    return [_waiting(row) for row in rows]


def _waiting(row: Row) -> Waiting:
    return Waiting(
        book=book_of(row),
        id=row["id"],
        type=row["type"],
        reference=row["reference"],
        provider=row["provider"],
        amount=Money(row["amount"], row["currency"]),
        submitted_at=row["submitted_at"],
        due_at=row["due_at"],
        attempts=row["attempts"],
        application_name=row["application_name"],
        company_id=row["company_id"],
        company_name=row["company_name"],
        evidence=msgspec.json.decode(row["evidence"] or "[]", type=list[Evidence]),
    )
