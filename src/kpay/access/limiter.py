"""How often keys may call, shared by every process through one row for each quota.

A process takes a small share of a quota at a time and lets requests pass from it without asking
anybody. Whoever finds nothing at hand waits for the next question to the database; one is under way
in each process, and all that wait go into it together.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from kpay.access import windows
from kpay.access.gate import Gate
from kpay.access.quota import WINDOW, Bucket, Name, Quota, Share, Wanted, portion
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.database.pool import UNAVAILABLE, Database

# What one process remembers at most; each is some 200 bytes.
MOST_SHARES = 50_000
_SWEEP_EVERY = timedelta(minutes=1)

log = structlog.get_logger(__name__)


class Limiter:
    """Lets requests pass or not. One per process; `limits` is how many a minute, 0 for any."""

    def __init__(
        self, database: Database, gate: Gate, clock: Clock, limits: Mapping[Bucket, int]
    ) -> None:
        self._database = database
        self._gate = gate
        self._clock = clock
        self._limits = dict(limits)
        self._shares: dict[Name, Share] = {}
        self._asked: dict[Name, _Asked] = {}
        self._asking: asyncio.Task[None] | None = None
        self._swept: datetime | None = None

    def limits(self, bucket: Bucket) -> bool:
        """Whether this bucket is limited at all. Where it is not, nothing need be asked."""
        return self._limits[bucket] > 0

    def at_hand(self, bucket: Bucket, subject: UUID) -> Quota | None:
        """Count one request where this process can decide alone; None where it cannot."""
        share = self._shares.get((bucket, subject))
        return None if share is None else share.take(self._clock.now())

    async def take(self, bucket: Bucket, book: Book, subject: UUID) -> Quota | None:
        """Count one request of a key pair, or of one session of the hosted page, of a book.

        None where nothing limits it, or where the database is away: what needs the database will be
        refused by it, and nothing else is worth refusing for that.
        """
        if not self.limits(bucket):
            return None
        quota = self.at_hand(bucket, subject)
        if quota is not None:
            return quota
        try:
            limit = await self._limit_of(bucket, book)
            return await self._ask(bucket, book, subject, limit) if limit else None
        except UNAVAILABLE as problem:
            log.warning("limits_not_held", problem=repr(problem))
            return None

    def look_again(self) -> None:
        """An application's limit may be another now: what was used up may not be."""
        self._shares = {name: share for name, share in self._shares.items() if share.left}

    async def sweep(self, limit: int) -> int:
        """Forget up to `limit` windows that are over, now and then. Returns how many."""
        now = self._clock.now()
        if self._swept is not None and self._swept <= now < self._swept + _SWEEP_EVERY:
            return 0
        swept = await windows.sweep(self._database, now - WINDOW, limit)
        if swept < limit:
            self._swept = now
        return swept

    async def _limit_of(self, bucket: Bucket, book: Book) -> int:
        if bucket is Bucket.KEY:
            application = await self._gate.application(book.application_id)
            if application is not None and application.terms.rate_limit is not None:
                return application.terms.rate_limit
        return self._limits[bucket]

    async def _ask(self, bucket: Bucket, book: Book, subject: UUID, limit: int) -> Quota | None:
        name = (bucket, subject)
        asked = self._asked.get(name)
        if asked is None:
            asked = self._asked[name] = _Asked(book)
        asked.limit = limit
        told: asyncio.Future[Quota] = asyncio.get_running_loop().create_future()
        asked.waiting.append(told)
        if self._asking is None:
            self._asking = asyncio.create_task(self._ask_for_all(), name="limits")
        return await told

    async def _ask_for_all(self) -> None:
        """Ask until nobody waits. Who comes meanwhile goes into the next question."""
        try:
            while self._asked:
                asked, self._asked = self._asked, {}
                try:
                    await self._lease(asked)
                except Exception as problem:
                    for one in asked.values():
                        one.fail(problem)
        finally:
            self._asking = None

    async def _lease(self, asked: Mapping[Name, _Asked]) -> None:
        self._make_room()
        now = self._clock.now()
        wanted = [
            Wanted(one.book, name, one.limit, self._portion(name, one))
            for name, one in asked.items()
        ]
        leases = await windows.lease(self._database, wanted, now)
        now = self._clock.now()
        for name, one in asked.items():
            share = self._shares.get(name)
            if share is None:
                share = self._shares[name] = Share(name[0], one.limit, leases[name].ends)
            share.add(leases[name], one.limit)
            one.tell(share, now)

    def _portion(self, name: Name, one: _Asked) -> int:
        share = self._shares.get(name)
        rest = one.limit if share is None else share.rest
        return portion(len(one.waiting), one.limit, rest)

    def _make_room(self) -> None:
        if len(self._shares) < MOST_SHARES:
            return
        now = self._clock.now()
        self._shares = {name: share for name, share in self._shares.items() if now < share.ends}
        if len(self._shares) >= MOST_SHARES:
            # What they had left lapses with their windows: less passes, never more.
            self._shares.clear()


class _Asked:
    """Who waits for the next share of one quota."""

    __slots__ = ("book", "limit", "waiting")

    def __init__(self, book: Book) -> None:
        self.book = book
        self.limit = 0
        self.waiting: list[asyncio.Future[Quota]] = []

    def tell(self, share: Share, now: datetime) -> None:
        """Let pass, in the order in which they came, as many as there is room for."""
        for told in self.waiting:
            # Whoever has given up waiting leaves its place to the next.
            if not told.done():
                told.set_result(share.settle(now))

    def fail(self, problem: Exception) -> None:
        for told in self.waiting:
            if not told.done():
                told.set_exception(problem)
