"""The rate of a pair, from memory while it is fresh; the database, and then the sources, after.

All processes share one snapshot for each configured list of sources, and one of them at a time asks
for the next. Promise 6 holds: no transaction is open while a source is asked. A conversion is made
at a rate that we fetched less than `fx_max_age` ago, or not at all.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID, uuid4

import aiohttp
import msgspec
import structlog

from kpay.core.book import Environment
from kpay.core.clock import Clock, iso
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database, outside_transaction
from kpay.rates.model import (
    FIXED,
    Incomplete,
    Quote,
    Snapshot,
    Standing,
    Unusable,
    check_complete,
    check_currency,
    check_jump,
    is_complete,
    less_margin,
    margin_of,
    mid,
)
from kpay.rates.sources import ADDRESSES, TIMEOUT_SECONDS, Source, configured, open_sources
from kpay.rates.store import RateStore
from kpay.settings import Settings

RETRY_AFTER = timedelta(seconds=30)
# What was known before this is no measure of what is likely now.
JUMP_MEMORY = timedelta(days=7)
# How long we wait for another process that asks, when we have nothing at all, before we ask too.
PATIENCE = timedelta(seconds=5)

_ONE = Decimal(1)
_PAR_KEPT = timedelta(seconds=1)
_POLL = timedelta(milliseconds=50)
# A claim outlasts the slowest sources by this much: reading a body, storing the snapshot.
_CLAIM_SLACK = timedelta(seconds=10)

_log = structlog.get_logger(__name__)


class _Plan(msgspec.Struct, frozen=True):
    """A configured list of sources, and the key that its snapshots are stored under."""

    key: str
    sources: list[Source]


class _Held(msgspec.Struct, frozen=True):
    """The snapshot in memory, and until when it is used without looking for a newer one."""

    key: str
    snapshot: Snapshot
    until: datetime
    quotes: dict[tuple[str, str], Quote] = msgspec.field(default_factory=dict)
    """What was quoted from it already: a pair's rate is worked out once."""


class Rates:
    """Quotes for conversions. One object in a process; `refresh` is the worker's."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        clock: Clock,
        *,
        addresses: Mapping[str, str] = ADDRESSES,
        timeout: float = TIMEOUT_SECONDS,
        patience: timedelta = PATIENCE,
    ) -> None:
        self._store = RateStore(database)
        self._settings = settings
        self._clock = clock
        self._addresses = addresses
        self._timeout = timeout
        self._polls = patience // _POLL
        self._max_age = settings.fx_max_age
        self._lifetime = min(settings.fx_ttl, settings.fx_max_age)
        self._held: dict[Environment, _Held] = {}
        self._looking = {environment: asyncio.Lock() for environment in Environment}
        self._session: aiohttp.ClientSession | None = None
        self._par: Quote | None = None

    async def quote(self, environment: Environment, source: str, target: str) -> Quote:
        """The rate for one conversion. Raises Refusal: unsupported_currency or no_rate."""
        check_currency(source)
        check_currency(target)
        now = self._clock.now()
        if source == target:
            return self._at_par(now)
        # Also when the answer is in memory: misuse must show at once, not when the hour is over.
        outside_transaction()
        held = self._held.get(environment)
        if held is None or now >= held.until:
            held = await self._look(environment)
        # While another look is under way an older one may serve: its quotes expire anew each time.
        made = None if held is None or now >= held.until else held.quotes.get((source, target))
        if made is not None:
            return made
        rate = None if held is None else mid(held.snapshot, source, target)
        if held is None or rate is None:
            raise Refusal(
                Code.NO_RATE,
                f"There is no usable exchange rate from {source} to {target} at the moment; "
                f"try again in {RETRY_AFTER.seconds} seconds.",
            )
        margin = margin_of(self._settings.fx_margins, source, target)
        made = held.quotes[source, target] = Quote(
            rate=less_margin(rate, margin),
            source=held.snapshot.source,
            as_of=held.snapshot.as_of,
            margin_bps=margin,
            expires_at=max(held.until, now),
        )
        return made

    def _at_par(self, now: datetime) -> Quote:
        """One for one, as of this second: the requests of a second share the quote."""
        kept = self._par
        if kept is None or not kept.as_of <= now < kept.as_of + _PAR_KEPT:
            kept = self._par = Quote(_ONE, FIXED, now, 0, now + self._settings.fx_ttl)
        return kept

    async def refresh(self, environments: Iterable[Environment] = Environment) -> int:
        """Fetch what is about to expire, ahead of those who need it. Returns how many were."""
        refreshed = 0
        almost = self._lifetime * 9 / 10
        plans = [await self._plan(environment) for environment in environments]
        # Both environments may have the same sources; they then share one snapshot.
        for plan in {plan.key: plan for plan in plans}.values():
            refreshed += await self._renew(plan, almost)
        return refreshed

    async def close(self) -> None:
        """Close the connections to the sources."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def _look(self, environment: Environment) -> _Held | None:
        """The snapshot to use from now on. One look at a time; with a usable one nobody waits."""
        lock = self._looking[environment]
        held = self._held.get(environment)
        if lock.locked() and held and held.snapshot.younger_than(self._max_age, self._clock.now()):
            return held
        async with lock:
            held = self._held.get(environment)
            if held and self._clock.now() < held.until:
                return held
            plan = await self._plan(environment)
            if held and held.key != plan.key:
                # The operator's file has changed; nobody may go on with what it said before.
                del self._held[environment]
            held = self._hold(plan, await self._best(plan))
            if held is None:
                self._held.pop(environment, None)
            else:
                self._held[environment] = held
            return held

    async def _plan(self, environment: Environment) -> _Plan:
        names = configured(self._settings, environment)
        sources = await asyncio.to_thread(
            open_sources, names, self._settings.fx_app_id, self._addresses, self._timeout
        )
        return _Plan(",".join(source.key for source in sources), sources)

    async def _best(self, plan: _Plan) -> Standing:
        """The newest snapshot there is, after an attempt at a fresh one where it is due."""
        for _ in range(1 + self._polls):
            renewed = await self._renew(plan, self._lifetime)
            standing = await self._standing(plan)
            now = self._clock.now()
            if renewed or standing.paused(now) or standing.snapshot_within(self._max_age, now):
                return standing
            # Another process is asking, and there is nothing to use until it has its answer.
            await asyncio.sleep(_POLL.total_seconds())
        await self._ask(plan, standing.snapshot, uuid4())
        return await self._standing(plan)

    async def _renew(self, plan: _Plan, limit: timedelta) -> bool:
        """Ask the sources if our snapshot is older than the limit and it is our turn to ask."""
        now = self._clock.now()
        standing = await self._standing(plan)
        if standing.snapshot_within(limit, now) or standing.claimed(now) or standing.paused(now):
            return False
        claim = uuid4()
        until = now + len(plan.sources) * timedelta(seconds=self._timeout) + _CLAIM_SLACK
        if not await self._store.claim(plan.key, claim, until=until, now=now):
            return False
        try:
            standing = await self._standing(plan)
            # Another process may have come and gone between our look and our claim.
            if standing.snapshot_within(limit, now):
                await self._store.release(plan.key, claim)
                return False
            return await self._ask(plan, standing.snapshot, claim)
        except BaseException:
            await self._store.release(plan.key, claim)
            raise

    async def _ask(self, plan: _Plan, last: Snapshot | None, claim: UUID) -> bool:
        """Ask one source after the other and keep the first sound answer, or note the failure."""
        outside_transaction()
        snapshot = await self._first_sound(plan, last)
        if snapshot is None:
            retry_at = self._clock.now() + RETRY_AFTER
            _log.warning("every rate source failed", configuration=plan.key, retry_at=iso(retry_at))
            await self._store.release(plan.key, claim, retry_at=retry_at)
            return False
        await self._store.keep(plan.key, claim, snapshot)
        _log.info("rates refreshed", source=snapshot.source, as_of=iso(snapshot.as_of))
        return True

    async def _first_sound(self, plan: _Plan, last: Snapshot | None) -> Snapshot | None:
        if self._session is None:
            self._session = aiohttp.ClientSession(headers={"User-Agent": "kpay"})
        now = self._clock.now()
        comparable = last is not None and last.younger_than(JUMP_MEMORY, now)
        partial: Snapshot | None = None
        for source in plan.sources:
            try:
                snapshot = await source.fetch(self._session, now)
                if last is not None and comparable:
                    check_jump(snapshot, last, self._settings.fx_jump_bps)
                check_complete(snapshot)
            except Incomplete as reason:
                _log.warning("rate source passed over", source=source.name, reason=str(reason))
                if source.may_be_incomplete and partial is None:
                    partial = snapshot
            except Unusable as reason:
                _log.warning("rate source passed over", source=source.name, reason=str(reason))
            else:
                return snapshot
        # What lacks currencies is for when there is nothing better, whole and not yet too old.
        whole = last is not None and is_complete(last) and last.younger_than(self._max_age, now)
        return None if whole else partial

    def _hold(self, plan: _Plan, standing: Standing) -> _Held | None:
        """The snapshot to use, or None when there is none that may be used."""
        now = self._clock.now()
        snapshot = standing.snapshot
        if snapshot is None or not snapshot.younger_than(self._max_age, now):
            return None
        until = snapshot.fetched_at + self._lifetime
        if now >= until and standing.paused(now) and standing.retry_at is not None:
            until = min(standing.retry_at, snapshot.fetched_at + self._max_age)
            _log.warning(
                "no newer rates, the last ones are used",
                source=snapshot.source,
                fetched_at=iso(snapshot.fetched_at),
                until=iso(until),
            )
        return _Held(plan.key, snapshot, until)

    async def _standing(self, plan: _Plan) -> Standing:
        return await self._store.standing(plan.key, self._clock.now())
