"""How many attempts may be under way at once: in all, and at each rail.

An attempt holds its place until what it came to is recorded, so a rail that hangs holds as many as
one rail may, and what goes by another one goes on beside it.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import TypeAlias

from kpay.core.book import Environment
from kpay.instructions.model import Claim

Rail: TypeAlias = tuple[Environment, str | None]

# Of one type of operation in one process. A rail that lets every call run out holds each place for
# 25 seconds: 20 attempts a second are made there all the same.
MOST = 1_500
MOST_AT_ONE_RAIL = 500
# Free places are taken many at a time, rather than with a statement for each that becomes free.
WORTHWHILE = 100


class Bulkheads:
    """The places of one process for one type of operation."""

    def __init__(
        self,
        most: int = MOST,
        most_at_one_rail: int = MOST_AT_ONE_RAIL,
        worthwhile: int = WORTHWHILE,
    ) -> None:
        self._most = most
        self._most_at_one_rail = most_at_one_rail
        self._worthwhile = worthwhile
        self._held: Counter[Rail] = Counter()
        self._freed = asyncio.Event()

    def enter(self, claim: Claim) -> None:
        self._held[_rail(claim)] += 1

    def leave(self, claim: Claim) -> None:
        rail = _rail(claim)
        self._held[rail] -= 1
        if not self._held[rail]:
            del self._held[rail]
        self._freed.set()

    def held(self, rail: Rail) -> int:
        return self._held[rail]

    @property
    def full(self) -> list[Rail]:
        """The rails that have too few free places for more to be claimed for them."""
        return [rail for rail in self._held if self._free(rail) < self._worthwhile]

    @property
    def room(self) -> int:
        """How many may be claimed for the rails that are not full.

        However many of them turn out to be for one rail, it gets no more than it may have.
        """
        free = [self._free(rail) for rail in self._held]
        room = min(
            self._most - self._held.total(),
            self._most_at_one_rail,
            *(places for places in free if places >= self._worthwhile),
        )
        return room if room >= self._worthwhile else 0

    async def wait_for_room(self, seconds: float) -> None:
        """Return when there is room, or after so many seconds."""
        try:
            async with asyncio.timeout(seconds):
                while not self.room:
                    self._freed.clear()
                    await self._freed.wait()
        except TimeoutError:
            return

    def _free(self, rail: Rail) -> int:
        return self._most_at_one_rail - self._held[rail]


def _rail(claim: Claim) -> Rail:
    return claim.book.environment, claim.connector
