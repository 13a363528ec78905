"""The SQL of idempotency keys."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from kpay.core.book import Book
from kpay.core.keyed import Keyed
from kpay.database.pool import Database
from kpay.database.queries import beside
from kpay.idempotency.model import Known, Stored

SQL = beside(__file__)


async def claim(
    database: Database,
    book: Book,
    key: str,
    fingerprint: bytes,
    operation_id: UUID,
    *,
    now: datetime,
    until: datetime,
) -> Keyed | None:
    """An attempt of ours, or None where the key is held or answered, or another request's."""
    row = await database.fetchrow(
        SQL["claim"],
        book.application_id,
        book.environment,
        key,
        fingerprint,
        operation_id,
        now,
        until,
    )
    return None if row is None else Keyed(book, key, row["attempt"], row["operation_id"])


async def find(database: Database, book: Book, key: str) -> Known | None:
    row = await database.fetchrow(SQL["find"], book.application_id, book.environment, key)
    if row is None:
        return None
    answer = None if row["status"] is None else Stored(row["status"], row["body"])
    return Known(row["fingerprint"], row["operation_id"], answer)


async def keep(database: Database, keyed: Keyed, answer: Stored) -> bool:
    """False when the attempt was overtaken, and the answer is not the key's."""
    done = await database.execute(SQL["keep"], *_attempt(keyed), answer.status, answer.body)
    return done != "UPDATE 0"


async def release(database: Database, keyed: Keyed, now: datetime) -> None:
    await database.execute(SQL["release"], *_attempt(keyed), now)


async def sweep(database: Database, before: datetime, limit: int) -> int:
    """Forget up to `limit` keys from before then. Returns how many."""
    done = await database.execute(SQL["sweep"], before, limit)
    return int(done.split()[-1])


def _attempt(keyed: Keyed) -> tuple[UUID, str, str, int]:
    return keyed.book.application_id, keyed.book.environment, keyed.key, keyed.attempt
