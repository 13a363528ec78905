"""The courier: claims what is due, sends it, and records what came of it, many at a time.

Each endpoint is a lane of its own. How many of its deliveries are under way at once depends on how
fast it answers: one that is slow or dead holds a few places and no more, and one that is fast is
sent to as fast as it likes. Nothing is kept here that a killed process could lose: what was claimed
is due again when the claim has run out.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import msgspec
import structlog

from kpay import metrics
from kpay.access.model import Vault
from kpay.core.book import Book, Environment
from kpay.core.clock import Clock
from kpay.core.money import UNIT, Money
from kpay.database.pool import UNAVAILABLE, Database
from kpay.events.model import Teller, Told
from kpay.webhooks import reasons, store
from kpay.webhooks.addresses import Network
from kpay.webhooks.model import (
    CLAIM,
    TEST_EVENT,
    Answer,
    Claim,
    Sent,
    Status,
    Topic,
    body_of,
    headers_of,
    health_of,
    is_delivered,
    is_final,
    settle,
)
from kpay.webhooks.sending import Post

# Places of one process: in all, and for one endpoint by how long it takes to answer.
_MOST_HELD = 1_000
_LEAST_WINDOW = 4
_MOST_WINDOW = 100
# Up to so many endpoints the pace of each is remembered while nothing is under way to it.
_MOST_LANES_KEPT = 500
_MOST_SECRETS = 1_000
_FIRST_PACE_SECONDS = 0.5
_WINDOW_SECONDS = 5.0
# How long outcomes are gathered before they are recorded together.
_GATHER_SECONDS = 0.01
_LOOK_AGAIN_SECONDS = 0.1
_RECORD_TRIES = 100
_BETWEEN_RECORD_TRIES_SECONDS = 0.25
_DRAIN_SECONDS = 5.0

Lane = tuple[Book, Topic]

log = structlog.get_logger(__name__)


@dataclass(slots=True)
class _Traffic:
    """What this process has under way to one endpoint, and how long that takes to answer."""

    held: int = 0
    pace: float = _FIRST_PACE_SECONDS

    @property
    def window(self) -> int:
        return min(max(int(_WINDOW_SECONDS / self.pace), _LEAST_WINDOW), _MOST_WINDOW)

    @property
    def room(self) -> int:
        """How many more may be claimed. Many at once, rather than one for each that has ended."""
        return self.window - self.held if self.held <= self.window // 2 else 0

    def note(self, seconds: float) -> None:
        self.pace = max(0.8 * self.pace + 0.2 * seconds, 0.001)


class Courier:
    """Sends what is due. `tellers` read what an event is about, by the first word of its type."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        tellers: Mapping[str, Teller],
        allowed: Mapping[Environment, Sequence[Network]],
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._tellers = tellers
        # Spreads load and decides nothing: from 0 to 1.
        self.jitter: Callable[[], float] = random.random
        self.posts = {environment: Post(networks) for environment, networks in allowed.items()}
        self._lanes: dict[Lane, _Traffic] = {}
        self._secrets: dict[tuple[Book, int], str] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._has_room = asyncio.Event()
        self._ended: list[tuple[Sent, asyncio.Future[None]]] = []
        self._recorder: asyncio.Task[None] | None = None

    async def work(self, limit: int) -> int:
        """Claim up to `limit` that are due and begin to send them.

        It does not wait for their ends, or a slow one would hold up all that comes after. Returns
        how many were claimed, or are still under way: 0 when there is nothing to do at all.
        """
        # As it was before the claim: what ends during it leaves room for what this one passed over.
        under_way = len(self._tasks)
        if under_way:
            await self._wait_for_room()
        claims = await self.claim(limit)
        if claims:
            told = await self._read(claims)
            for claim in claims:
                self._begin(claim, told.get(claim.delivery.operation_id))
        return len(claims) or under_way

    async def claim(self, limit: int) -> list[Claim]:
        """Take up to `limit` of what is due; nobody else does, until the claim runs out."""
        held = sum(lane.held for lane in self._lanes.values())
        room = min(limit, _MOST_HELD - held)
        if room <= 0:
            return []
        now = self._clock.now()
        return await store.claim(
            self._database,
            now=now,
            until=now + CLAIM,
            room=room,
            usual=_Traffic().window,
            known={lane: traffic.room for lane, traffic in self._lanes.items()},
        )

    async def deliver(self, claim: Claim, told: Told | None) -> None:
        """Send what was claimed and record what came of it."""
        now = self._clock.now()
        if now >= claim.held_until:
            # This process was stopped for a while: somebody else may have sent it, or will.
            log.warning("webhook_claim_ran_out", delivery=claim.delivery.public_id)
            return
        delivery = claim.delivery
        if delivery.type == TEST_EVENT:
            told = _example(delivery.payment_id)
        versions = claim.signing.versions(now)
        secrets = [self._secret(delivery.book, version) for version in versions]
        body = b"" if told is None else body_of(delivery.book, delivery.type, told, now)
        headers = headers_of(delivery.type, delivery.public_id, body, secrets, now)
        if told is None:
            log.error("webhook_without_operation", delivery=delivery.public_id)
            answer = Answer(None, 0, error=reasons.UNREADABLE)
        else:
            answer = await self.posts[delivery.book.environment].send(claim.url, headers, body)
        metrics.webhooks.labels(_outcome(answer)).inc()
        await self._record(self._sent(claim, headers, body, now, answer))

    async def stop(self) -> None:
        """Wait for what is under way, within reason; what is cut off is sent again."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_DRAIN_SECONDS)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for post in self.posts.values():
            await post.close()

    def _secret(self, book: Book, version: int) -> str:
        """Derived once: a batch is often of one book."""
        if len(self._secrets) > _MOST_SECRETS:
            self._secrets.clear()
        secret = self._secrets.get((book, version))
        if secret is None:
            secret = self._secrets[book, version] = self._vault.webhook_secret(book, version)
        return secret

    async def _wait_for_room(self) -> None:
        try:
            async with asyncio.timeout(_LOOK_AGAIN_SECONDS):
                await self._has_room.wait()
        except TimeoutError:
            # Others may have something due all the same.
            pass
        self._has_room.clear()

    async def _read(self, claims: Sequence[Claim]) -> dict[UUID, Told]:
        """What each is about, as it is committed now, with one statement for each noun."""
        by_noun: dict[str, list[tuple[Book, UUID]]] = {}
        for claim in claims:
            delivery = claim.delivery
            noun = delivery.type.partition(".")[0]
            by_noun.setdefault(noun, []).append((delivery.book, delivery.operation_id))
        told: dict[UUID, Told] = {}
        for noun, wanted in by_noun.items():
            if noun in self._tellers:
                told.update(await self._tellers[noun](wanted))
        return told

    def _begin(self, claim: Claim, told: Told | None) -> None:
        traffic = self._lanes.setdefault(claim.lane, _Traffic())
        traffic.held += 1
        task = asyncio.create_task(self.deliver(claim, told), name="webhook")
        self._tasks.add(task)
        task.add_done_callback(lambda done: self._end(claim.lane, done))

    def _end(self, lane: Lane, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        traffic = self._lanes[lane]
        traffic.held -= 1
        if traffic.room:
            self._has_room.set()
        if not traffic.held and len(self._lanes) > _MOST_LANES_KEPT:
            del self._lanes[lane]
        if not task.cancelled() and (problem := task.exception()) is not None:
            # It is still due: it is sent again when the claim has run out.
            log.error("webhook_failed", exc_info=problem)

    def _sent(
        self,
        claim: Claim,
        headers: Mapping[str, str],
        body: bytes,
        sent_at: datetime,
        answer: Answer,
    ) -> Sent:
        at = self._clock.now()
        status, due_at = settle(
            answer, tries=claim.tries, asked_at=claim.asked_at, now=at, jitter=self.jitter()
        )
        if claim.delivery.type == TEST_EVENT and status is Status.PENDING:
            # Who asked for it is told at once, and can ask again.
            status, due_at = Status.FAILED, None
        if claim.lane in self._lanes:
            self._lanes[claim.lane].note(answer.duration_ms / 1_000)
        return Sent(
            claim=claim,
            headers=msgspec.json.encode(headers).decode(),
            body=body.decode(),
            sent_at=sent_at,
            at=at,
            answer=answer,
            status=status,
            due_at=due_at,
        )

    async def _record(self, sent: Sent) -> None:
        """Returns when it is on disk, with whatever else ended at about the same time."""
        recorded = asyncio.get_running_loop().create_future()
        self._ended.append((sent, recorded))
        if self._recorder is None:
            self._recorder = asyncio.create_task(self._record_all(), name="webhook-recorder")
        await recorded

    async def _record_all(self) -> None:
        try:
            while self._ended:
                await asyncio.sleep(_GATHER_SECONDS)
                batch, self._ended = self._ended, []
                problem = await self._try_to_record([sent for sent, _ in batch])
                for _, recorded in batch:
                    if recorded.done():
                        continue
                    if problem is None:
                        recorded.set_result(None)
                    else:
                        recorded.set_exception(problem)
        finally:
            self._recorder = None

    async def _try_to_record(self, batch: Sequence[Sent]) -> Exception | None:
        """Record a batch, however long the database is away while its claims are ours."""
        health = health_of(batch, self._clock.now(), self.jitter())
        for _ in range(_RECORD_TRIES):
            try:
                turns = await store.record(self._database, batch, health, self._clock.now())
            except UNAVAILABLE:
                await asyncio.sleep(_BETWEEN_RECORD_TRIES_SECONDS)
            except Exception as problem:
                return problem
            else:
                for turn in turns:
                    _tell(turn)
                return None
        return RuntimeError("the database was away for as long as the claims were ours")


def _tell(turn: store.Turn) -> None:
    """The notice that an endpoint is paused, or no more."""
    words = {
        "application": str(turn.book.application_id),
        "environment": str(turn.book.environment),
        "topic": turn.topic,
    }
    if turn.paused:
        metrics.webhook_pauses.inc()
        log.warning("webhook_endpoint_paused", reason=turn.reason, **words)
    else:
        log.info("webhook_endpoint_resumed", **words)


def _outcome(answer: Answer) -> str:
    """The word that an attempt is counted under."""
    if is_delivered(answer):
        return "delivered"
    return "refused" if is_final(answer) else "failed"


def _example(payment_id: str) -> Told:
    """What a test tells: in the form of a payment, of a status that no operation has."""
    return Told(
        public_id=payment_id,
        reference="KPAY-TEST",
        status="TEST",
        amount=Money(1_000 * UNIT, "XAF"),
        phone_number="237653456789",
        external_id="webhook-test",
        metadata=None,
        ended_at=None,
        failure_code=None,
    )
