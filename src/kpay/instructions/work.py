"""What is due of one type: claimed as there is room, attempted, and recorded as it comes.

The intent of an attempt is on disk before its call (promise 6); a process that is killed leaves
rows that say what to do next, so nothing that is kept here could be lost with it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar
from uuid import UUID

import structlog

from kpay import metrics
from kpay.catalogue.model import OperationType
from kpay.connectors.model import Outcome
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import UNAVAILABLE
from kpay.instructions.bulkheads import Bulkheads
from kpay.instructions.model import Agreed, Claim, Tracked
from kpay.instructions.rails import Rails
from kpay.instructions.store import TrackedRows

_RECORD_TRIES = 100
_BETWEEN_RECORD_TRIES_SECONDS = 0.25
_PASSING = (Code.DATABASE_UNAVAILABLE, Code.BUSY)
_LOOK_AGAIN_SECONDS = 1.0
# What becomes due one after the other is claimed together, rather than with a statement for each.
_GATHER_SECONDS = 0.02
_DRAIN_SECONDS = 10.0

G = TypeVar("G", bound=Agreed)

log = structlog.get_logger(__name__)


class Work(Generic[G]):
    """Drives payments, payouts or refunds. `record` writes what an attempt came to."""

    def __init__(
        self,
        rails: Rails,
        type_: OperationType,
        rows: TrackedRows[G],
        record: Callable[[Claim, G, Outcome], Awaitable[object]],
    ) -> None:
        self._rails = rails
        self._type = type_
        self._rows = rows
        self._record = record
        self._under_way: set[asyncio.Task[None]] = set()
        self.bulkheads = Bulkheads()

    async def round(self, limit: int) -> int:
        """Make one attempt at each of up to `limit` that are due, to its end. Returns how many."""
        claims, calls = await self._begin(limit)
        await asyncio.gather(*calls)
        return claims

    async def go_on(self, limit: int) -> int:
        """Begin up to `limit` attempts that are due, as there is room. Returns how many.

        It does not wait for their ends: one that hangs would hold up all that comes after.
        """
        await self.bulkheads.wait_for_room(_LOOK_AGAIN_SECONDS)
        claims, _ = await self._begin(limit)
        if 0 < claims < limit:
            await asyncio.sleep(_GATHER_SECONDS)
        return claims

    async def stop(self) -> None:
        """Wait for what is under way, within reason; what is cut off is asked about later."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_DRAIN_SECONDS)
        for late in self._under_way:
            late.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    async def _begin(self, limit: int) -> tuple[int, list[asyncio.Task[None]]]:
        """How many were claimed, and the calls that are made for them."""
        room = min(limit, self.bulkheads.room)
        claims = await self._rails.claim(self._type, room, self.bulkheads.full) if room else []
        if not claims:
            return 0, []
        found = await self._rows.of_ids([(claim.book, claim.id) for claim in claims])
        return len(claims), [self._start(call, found) for call in self._rails.calls(claims)]

    def _start(self, call: Sequence[Claim], found: Mapping[UUID, Tracked[G]]) -> asyncio.Task[None]:
        gauge = metrics.attempts_under_way.labels(call[0].connector or "none")
        gauge.inc(len(call))
        for claim in call:
            self.bulkheads.enter(claim)
        task = asyncio.create_task(self._attempt(call, found))
        self._under_way.add(task)

        def ended(task: asyncio.Task[None]) -> None:
            self._under_way.discard(task)
            gauge.dec(len(call))
            for claim in call:
                self.bulkheads.leave(claim)

        task.add_done_callback(ended)
        return task

    async def _attempt(self, call: Sequence[Claim], found: Mapping[UUID, Tracked[G]]) -> None:
        """One call to a rail; what it says of each goes into the poster's next batch."""
        outcomes = await self._rails.ask_together(call)
        kept = [
            self._keep_or_say(claim, found[claim.id].agreed, outcome)
            for claim, outcome in zip(call, outcomes, strict=True)
        ]
        if len(kept) == 1:
            await kept[0]
        else:
            await asyncio.gather(*kept)

    async def _keep_or_say(self, claim: Claim, agreed: G, outcome: Outcome) -> None:
        try:
            await self._keep(claim, agreed, outcome)
        except Exception as problem:
            # It is still due: another attempt is made when the claim has run out.
            log.error("attempt_failed", type=self._type, exc_info=problem)

    async def _keep(self, claim: Claim, agreed: G, outcome: Outcome) -> None:
        """Record what a rail said, however long the database is away, while the claim is ours.

        Otherwise an answer that is at hand would be lost, and asked for again a minute later.
        """
        for _ in range(_RECORD_TRIES):
            try:
                await self._record(claim, agreed, outcome)
            except (Refusal, *UNAVAILABLE) as problem:
                if isinstance(problem, Refusal) and problem.code not in _PASSING:
                    raise
                await asyncio.sleep(_BETWEEN_RECORD_TRIES_SECONDS)
            else:
                return
        raise RuntimeError("the database was away for as long as the claim was ours")
