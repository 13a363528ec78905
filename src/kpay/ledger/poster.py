"""The poster: group commit on the request path.

Orders wait in a lane for each noun, and one flush of a lane is in flight per process; when it
returns, everything that waits goes into the next. So a busy moment makes larger batches rather than
more transactions. A flush is one statement, which writes records and, through the database's
function `post`, their entries. Accounts are locked for as long as that takes and no longer, and an
answer is given only when it is committed to disk (promise 1). A batch that the database refuses is
tried again order by order, so that one bad one never fails its neighbours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

import asyncpg
import msgspec
import structlog

from kpay import metrics
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.keyed import Keyed
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import UNAVAILABLE, Connection, Database
from kpay.ledger import store
from kpay.ledger.fence import Beside, Fenced, Records
from kpay.ledger.model import Order, Verdict

R = TypeVar("R")

# Enough to fill a disk write; beyond it a flush would only make its last order wait longer.
MOST_PER_FLUSH = 1_000
_TRIES = 3

# Two processes met on one unique value or one row; the loser's batch is simply done again.
_RACES = (
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
)

log = structlog.get_logger(__name__)


class Poster:
    """Posts orders in batches. Start it once per process; stop it to drain."""

    def __init__(self, database: Database, clock: Clock, *, queue_limit: int = 10_000) -> None:
        self._database = database
        self._clock = clock
        self._queue_limit = queue_limit
        self._lanes: dict[Records[Any], _Lane] = {}
        # Requests with an Idempotency-Key have lanes of their own: the others pay nothing for them.
        self._fenced: dict[Records[Any], Fenced[Any]] = {}
        self._count = 0
        self._running = self._stopping = False
        # Accounts are never deleted, so one that was seen once need not be made again.
        self._known: set[tuple[Book, str]] = set()

    def start(self) -> None:
        self._running = True
        for lane in self._lanes.values():
            self._drive(lane)

    async def stop(self) -> None:
        """Take no more, post what is under way and what waits, then stop."""
        self._stopping = True
        await asyncio.gather(*(lane.task for lane in self._lanes.values() if lane.task is not None))

    async def post(
        self,
        order: Order[R],
        records: Records[R],
        keyed: Keyed | None = None,
        beside: Beside | None = None,
    ) -> Verdict:
        """Wait for the order's verdict: when it is posted, it is on disk.

        `keyed` is the attempt that it belongs to, of a request with an Idempotency-Key, and
        `beside` is what such a one writes in the transaction that posts it. Raises Refusal: busy
        when too much waits or the end has come, database_unavailable when the verdict cannot be
        known, idempotency_in_progress when another attempt has taken over.
        """
        if keyed is not None:
            fenced: Order[Any] = msgspec.structs.replace(
                order, record=(keyed, beside, order.record)
            )
            return await self.post(fenced, self._fence(records))
        if beside is not None:
            raise ValueError("only what has a key has a transaction to write something beside it")
        if self._stopping or self._count >= self._queue_limit:
            raise Refusal(Code.BUSY, "Too many requests are waiting: try again in a second.")
        lane = self._lanes.get(records)
        if lane is None:
            lane = self._lanes[records] = _Lane(records)
        item = _Waiting(order, asyncio.get_running_loop().create_future())
        lane.waiting.append(item)
        self._count += 1
        self._drive(lane)
        return await item.verdict

    def _fence(self, records: Records[Any]) -> Fenced[Any]:
        fenced = self._fenced.get(records)
        if fenced is None:
            fenced = self._fenced[records] = Fenced(records)
        return fenced

    def _drive(self, lane: _Lane) -> None:
        if self._running and lane.task is None:
            lane.task = asyncio.create_task(self._drain(lane), name="poster")

    async def _drain(self, lane: _Lane) -> None:
        """Flush until nothing waits. What comes meanwhile goes into the next flush."""
        try:
            while lane.waiting:
                await self._flush_all(lane)
        finally:
            lane.task = None

    async def _flush_all(self, lane: _Lane) -> None:
        """Flush on one connection, for as long as something waits and the connection holds."""
        flushed = False
        try:
            async with self._database.connection() as connection:
                while lane.waiting and not connection.is_closed():
                    await self._settle(connection, lane.records, self._take(lane))
                    flushed = True
        except UNAVAILABLE as problem:
            # One that breaks has told its own batch; the next batch is tried on another.
            if not flushed:
                _tell_unavailable(self._take(lane), problem)

    def _take(self, lane: _Lane) -> list[_Waiting]:
        batch = lane.take()
        self._count -= len(batch)
        metrics.waiting_orders.set(self._count)
        metrics.flushed_orders.observe(len(batch))
        return batch

    async def _settle(
        self, connection: Connection, records: Records[Any], batch: Sequence[_Waiting]
    ) -> None:
        """Flush a batch and give every order its verdict, whatever happens."""
        try:
            verdicts = await self._flush(connection, records, batch)
        except UNAVAILABLE as problem:
            _tell_unavailable(batch, problem)
        except Exception as problem:
            if len(batch) == 1:
                await self._settle_alone(connection, records, batch[0], problem)
                return
            log.info("posting_one_by_one", problem=repr(problem), orders=len(batch))
            for item in batch:
                await self._settle(connection, records, [item])
        else:
            _tell(batch, verdicts)

    async def _settle_alone(
        self, connection: Connection, records: Records[Any], item: _Waiting, problem: Exception
    ) -> None:
        """An order that failed by itself: tried again while it may be a race, then told."""
        for _ in range(_TRIES):
            if not isinstance(problem, _RACES):
                break
            try:
                verdicts = await self._flush(connection, records, [item])
            except UNAVAILABLE as gone:
                _tell_unavailable([item], gone)
                return
            except Exception as again:
                problem = again
            else:
                _tell([item], verdicts)
                return
        if not isinstance(problem, Refusal):
            log.error("posting_failed", kind=_kind(item.order), exc_info=problem)
        _fail([item], problem)

    async def _flush(
        self, connection: Connection, records: Records[Any], batch: Sequence[_Waiting]
    ) -> list[Verdict]:
        orders = [item.order for item in batch]
        await self._open_accounts(connection, orders)
        return await records.write(
            connection,
            store.post_arguments(orders, self._clock.now()),
            [order.record for order in orders],
        )

    async def _open_accounts(self, connection: Connection, orders: Sequence[Order[Any]]) -> None:
        """Make the accounts that are missing before anything is locked.

        A wallet made here and refused a moment later stays at version 0, which counts as absent.
        """
        known = self._known
        missing = {
            (order.book, posting.account): posting.amount.currency
            for order in orders
            if order.entry is not None
            for posting in order.entry.postings
            if (order.book, posting.account) not in known
        }
        if missing:
            await store.open_accounts(connection, missing)
            known.update(missing)


class _Waiting:
    """An order in its lane, and the future that its caller awaits."""

    __slots__ = ("order", "verdict")

    def __init__(self, order: Order[Any], verdict: asyncio.Future[Verdict]) -> None:
        self.order = order
        self.verdict = verdict


class _Lane:
    """What waits to be written by one noun, and the task that writes it while there is any."""

    __slots__ = ("records", "task", "waiting")

    def __init__(self, records: Records[Any]) -> None:
        self.records = records
        self.waiting: deque[_Waiting] = deque()
        self.task: asyncio.Task[None] | None = None

    def take(self) -> list[_Waiting]:
        """The next batch. What claims the same as one before it waits for that one's verdict."""
        batch: list[_Waiting] = []
        claimed: set[tuple[object, ...]] = set()
        postponed: list[_Waiting] = []
        while self.waiting and len(batch) < MOST_PER_FLUSH:
            item = self.waiting.popleft()
            claim = item.order.claim
            if claim is not None:
                whole = (item.order.book, *claim)
                if whole in claimed:
                    postponed.append(item)
                    continue
                claimed.add(whole)
            batch.append(item)
        self.waiting.extendleft(reversed(postponed))
        return batch


def _tell(batch: Sequence[_Waiting], verdicts: Sequence[Verdict]) -> None:
    """Give each its verdict, but for the callers that have given up waiting."""
    for item, verdict in zip(batch, verdicts, strict=True):
        if not item.verdict.done():
            item.verdict.set_result(verdict)


def _fail(batch: Sequence[_Waiting], problem: Exception) -> None:
    for item in batch:
        if not item.verdict.done():
            item.verdict.set_exception(problem)


def _kind(order: Order[Any]) -> str:
    return order.entry.kind if order.entry is not None else type(order.record).__name__


def _tell_unavailable(batch: Sequence[_Waiting], problem: Exception) -> None:
    log.warning("posting_unavailable", problem=repr(problem), orders=len(batch))
    refusal = Refusal(
        Code.DATABASE_UNAVAILABLE,
        "The database cannot be reached: try again with the same externalId; if the first try was "
        "recorded after all, the answer is 409 and names it.",
    )
    _fail(batch, refusal)
