"""The poster: group commit on the request path.

One flush is in flight per process; when it returns, everything that waits goes into the next. So
a busy moment makes larger batches rather than more transactions, and an answer is given only when
its batch is committed to disk (promise 1). Accounts are locked in one order, so the batches of two
processes cannot deadlock; each order has its own verdict, and a batch that the database refuses is
tried again order by order, so that one bad one never fails its neighbours.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol, TypeVar

import asyncpg
import structlog

from kpay import metrics
from kpay.core.clock import Clock
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import UNAVAILABLE, Connection, Database
from kpay.ledger import store
from kpay.ledger.model import AccountKey, Order, Reason, Verdict, account_keys, judge

R_contra = TypeVar("R_contra", contravariant=True)
R = TypeVar("R")

# Enough to fill a disk write; beyond it a flush would only make its last order wait longer.
MOST_PER_FLUSH = 1_000
_TRIES = 3

# Two processes met on one unique value or one row; the loser's batch is simply done again.
_RACES = (
    asyncpg.UniqueViolationError,
    asyncpg.DeadlockDetectedError,
    asyncpg.SerializationError,
    asyncpg.LockNotAvailableError,
)

log = structlog.get_logger(__name__)


class Records(Protocol[R_contra]):
    """How one noun's rows take part in a batch. Instances are compared by identity."""

    async def admit(
        self, connection: Connection, records: Sequence[R_contra]
    ) -> Mapping[int, Verdict]:
        """Refuse, by position, the records that cannot be: a used externalId, a closed payout.

        Runs after the accounts are locked; locks what it decides on, in one order.
        """
        ...

    async def write(self, connection: Connection, records: Sequence[R_contra]) -> None:
        """Write the records that were accepted."""
        ...


class Poster:
    """Posts orders in batches, one flush at a time. Start it once per process; stop it to drain."""

    def __init__(self, database: Database, clock: Clock, *, queue_limit: int = 10_000) -> None:
        self._database = database
        self._clock = clock
        self._queue_limit = queue_limit
        self._waiting: deque[_Waiting] = deque()
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._stopping = False
        # Accounts are never deleted, so one that was seen once need not be made again.
        self._known: set[AccountKey] = set()

    def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name="poster")

    async def stop(self) -> None:
        """Take no more, post what is under way and what waits, then stop."""
        self._stopping = True
        self._wake.set()
        if self._task is not None:
            await asyncio.gather(self._task, return_exceptions=True)
            self._task = None

    async def post(self, order: Order[R], records: Records[R]) -> Verdict:
        """Wait for the order's verdict: when it is posted, it is on disk.

        Raises Refusal: busy when too much waits or the end has come, database_unavailable when the
        verdict cannot be known.
        """
        if self._stopping or len(self._waiting) >= self._queue_limit:
            raise Refusal(Code.BUSY, "Too many requests are waiting: try again in a second.")
        item = _Waiting(order, records, asyncio.get_running_loop().create_future())
        self._waiting.append(item)
        self._wake.set()
        return await item.verdict

    async def _run(self) -> None:
        while not self._stopping:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                count = min(len(self._waiting), MOST_PER_FLUSH)
                batch = [self._waiting.popleft() for _ in range(count)]
                metrics.waiting_orders.set(len(self._waiting))
                metrics.flushed_orders.observe(count)
                await self._settle(batch)

    async def _settle(self, batch: Sequence[_Waiting]) -> None:
        """Flush a batch and give every order its verdict, whatever happens."""
        try:
            verdicts = await self._flush(batch)
        except UNAVAILABLE as problem:
            log.warning("posting_unavailable", problem=repr(problem), orders=len(batch))
            _fail(batch, _unavailable())
        except Exception as problem:
            if len(batch) == 1:
                await self._settle_alone(batch[0], problem)
                return
            log.info("posting_one_by_one", problem=repr(problem), orders=len(batch))
            for item in batch:
                await self._settle([item])
        else:
            _tell(batch, verdicts)

    async def _settle_alone(self, item: _Waiting, problem: Exception) -> None:
        """An order that failed by itself: tried again while it may be a race, then told."""
        for _ in range(_TRIES):
            if not isinstance(problem, _RACES):
                break
            try:
                verdicts = await self._flush([item])
            except UNAVAILABLE:
                _fail([item], _unavailable())
                return
            except Exception as again:
                problem = again
            else:
                _tell([item], verdicts)
                return
        if isinstance(problem, asyncpg.UniqueViolationError):
            _tell([item], [Verdict(Reason.CLASH)])
        else:
            log.error("posting_failed", kind=_kind(item.order), exc_info=problem)
            _fail([item], problem)

    async def _flush(self, batch: Sequence[_Waiting]) -> list[Verdict]:
        orders = [item.order for item in batch]
        groups = _by_records(batch)
        await self._open_accounts(orders)
        async with self._database.transaction() as connection:
            books = {
                (order.book.application_id, order.book.environment.value): order.book
                for order in orders
            }
            accounts = await store.lock_accounts(connection, account_keys(orders), books)
            refused: dict[int, Verdict] = {}
            for records, positions in groups:
                said = await records.admit(connection, [orders[at].record for at in positions])
                refused.update({positions[index]: verdict for index, verdict in said.items()})
            judgement = judge(orders, refused, accounts)
            entries = [
                (order.book, order.entry)
                for order, verdict in zip(orders, judgement.verdicts, strict=True)
                if verdict.posted and order.entry is not None
            ]
            if entries:
                await store.write_entries(
                    connection, entries, judgement, accounts, self._clock.now()
                )
            for records, positions in groups:
                accepted = [orders[at].record for at in positions if judgement.verdicts[at].posted]
                if accepted:
                    await records.write(connection, accepted)
        return judgement.verdicts

    async def _open_accounts(self, orders: Sequence[Order[Any]]) -> None:
        """Make the accounts that are missing before anything is locked.

        A wallet made here and refused a moment later stays at version 0, which counts as absent.
        """
        missing = {
            (order.book, posting.account): posting.amount.currency
            for order in orders
            if order.entry is not None
            for posting in order.entry.postings
            if (order.book, posting.account) not in self._known
        }
        if missing:
            await store.open_accounts(self._database, missing)
            self._known.update(missing)


class _Waiting:
    """An order in the queue, and the future that its caller awaits."""

    __slots__ = ("order", "records", "verdict")

    def __init__(
        self, order: Order[Any], records: Records[Any], verdict: asyncio.Future[Verdict]
    ) -> None:
        self.order = order
        self.records = records
        self.verdict = verdict


def _by_records(batch: Sequence[_Waiting]) -> list[tuple[Records[Any], list[int]]]:
    """Positions in the batch, grouped by the noun that writes them, always in one order."""
    groups: dict[int, tuple[Records[Any], list[int]]] = {}
    for position, item in enumerate(batch):
        groups.setdefault(id(item.records), (item.records, []))[1].append(position)
    return sorted(groups.values(), key=lambda group: type(group[0]).__name__)


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


def _unavailable() -> Refusal:
    return Refusal(
        Code.DATABASE_UNAVAILABLE,
        "The database cannot be reached: try again with the same externalId; if the first try was "
        "recorded after all, the answer is 409 and names it.",
    )
