"""The database's clock, kept in step by this process: one time for every machine of the house.

Timers are compared with this clock, so a machine whose own clock is ten minutes off is not ten
minutes early with a payout. Between two readings it runs on the monotonic clock, which never jumps.
"""

from __future__ import annotations

import time
from datetime import UTC, datetime

from kpay.database.pool import Database


class DatabaseClock:
    """Tells the database's time without asking it each time. The machine's, until first set."""

    def __init__(self) -> None:
        # The time, in seconds since 1970, at which the monotonic clock stood at zero.
        self._zero = time.time() - time.monotonic()

    def now(self) -> datetime:
        return datetime.fromtimestamp(self._zero + time.monotonic(), UTC)

    def now_ms(self) -> int:
        """The same in whole milliseconds since 1970, at a third of the price."""
        return int((self._zero + time.monotonic()) * 1_000)

    async def set(self, database: Database) -> None:
        """Read the database's clock. The answer's way back is half of the round trip."""
        before = time.monotonic()
        moment: datetime = await database.fetchval("select clock_timestamp()")
        after = time.monotonic()
        self._zero = moment.timestamp() - (before + after) / 2
