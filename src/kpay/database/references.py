"""References: numbers that no two operations share, without a look at those that exist.

The database gives each process a thousand at a time, so a number costs nothing while it is drawn.
Those that a process had left when it ended are never used.
"""

from __future__ import annotations

import asyncio

from kpay.core.ids import reference_suffix
from kpay.database.pool import Database

# The increment of the sequence reference_numbers.
_BLOCK = 1_000


class References:
    """The suffixes of references: ABC789 in KPAY-WD-20260623-ABC789. One object per process."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._next = self._end = 0
        self._reserving = asyncio.Lock()

    async def draw(self) -> str:
        """A suffix that was never drawn before, in this database."""
        while self._next == self._end:
            await self._reserve()
        number = self._next
        self._next = number + 1
        return reference_suffix(number)

    async def _reserve(self) -> None:
        async with self._reserving:
            # Another task may have fetched a block while this one waited for the lock.
            if self._next == self._end:
                first = await self._database.fetchval("select nextval('reference_numbers')")
                self._next, self._end = first, first + _BLOCK
