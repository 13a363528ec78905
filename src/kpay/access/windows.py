"""The SQL of quotas: shares of what may pass within a window."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime

from kpay.access.quota import MOST_AHEAD, WINDOW, Bucket, Lease, Name, Wanted
from kpay.database.pool import Database
from kpay.database.queries import beside

SQL = beside(__file__)


async def lease(
    database: Database, wanted: Sequence[Wanted], now: datetime
) -> Mapping[Name, Lease]:
    """What is given of each, by its name. A subject belongs to one book, so it names it too."""
    rows = await database.fetch(
        SQL["lease_quotas"],
        now,
        now + WINDOW,
        now + MOST_AHEAD,
        [one.book.application_id for one in wanted],
        [one.book.environment for one in wanted],
        [one.name[0] for one in wanted],
        [one.name[1] for one in wanted],
        [one.limit for one in wanted],
        [one.asked for one in wanted],
    )
    return {
        (Bucket(row["bucket"]), row["subject"]): Lease(row["ends_at"], row["granted"], row["rest"])
        for row in rows
    }


async def sweep(database: Database, before: datetime, limit: int) -> int:
    """Forget up to `limit` windows that were over before then. Returns how many."""
    done = await database.execute(SQL["sweep_windows"], before, limit)
    return int(done.split()[-1])
