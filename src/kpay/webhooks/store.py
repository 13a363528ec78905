"""The SQL of endpoints, deliveries and attempts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kpay.core.book import Book
from kpay.database.pool import Connection, Database, Row, book_of
from kpay.database.queries import beside
from kpay.webhooks.model import (
    PAUSE_AFTER,
    WINDOW,
    Attempt,
    Claim,
    Delivery,
    Endpoint,
    Health,
    Sent,
    Signing,
    Status,
    Topic,
)

SQL = beside(__file__)

# How much of what is over is cleared away in one statement, of each endpoint.
_MOST_CLEARED = 1_000


class DeliveryFilter(msgspec.Struct, frozen=True):
    """What a list of deliveries is narrowed to; None narrows nothing."""

    limit: int
    topic: str | None = None
    type: str | None = None
    status: str | None = None
    operation_id: UUID | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None


class ReplayFilter(msgspec.Struct, frozen=True):
    """Which events are sent again, oldest first. `after` is the last one of the call before."""

    limit: int
    id: UUID | None = None
    type: str | None = None
    status: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    after: UUID | None = None


class Replayed(msgspec.Struct, frozen=True):
    """How many deliveries are due again, of how many events, and the last that was looked at."""

    queued: int
    looked_at: int
    last: UUID | None


class Paused(msgspec.Struct, frozen=True):
    """An endpoint that is paused, and whose it is, as the operator's list shows it."""

    endpoint: Endpoint
    application_name: str
    company_id: UUID
    company_name: str


class Turn(msgspec.Struct, frozen=True):
    """That an endpoint was paused, or is sent to again."""

    book: Book
    topic: str
    paused: bool
    reason: str | None


async def endpoints(database: Database, book: Book) -> list[Endpoint]:
    """The endpoints of a book: the generic one first."""
    rows = await database.fetch(SQL["endpoints"], book.application_id, book.environment)
    return [_endpoint(row) for row in rows]


async def hold_endpoint(connection: Connection, book: Book, topic: Topic) -> Endpoint | None:
    """A topic's endpoint as it stays until the transaction ends; None where it has none."""
    row = await connection.fetchrow(
        SQL["hold_endpoint"], book.application_id, book.environment, topic
    )
    return None if row is None else _endpoint(row)


async def set_endpoint(
    connection: Connection, book: Book, topic: Topic, url: str, now: datetime
) -> Endpoint:
    row = await connection.fetchrow(
        SQL["set_endpoint"], book.application_id, book.environment, topic, url, now
    )
    if row is None:
        raise RuntimeError("an endpoint was neither made nor changed")
    return _endpoint(row)


async def remove_endpoint(
    connection: Connection, book: Book, topic: Topic, now: datetime
) -> Endpoint | None:
    row = await connection.fetchrow(
        SQL["remove_endpoint"], book.application_id, book.environment, topic, now
    )
    return None if row is None else _endpoint(row)


async def resume_endpoint(connection: Connection, book: Book, topic: Topic) -> Endpoint | None:
    row = await connection.fetchrow(
        SQL["resume_endpoint"], book.application_id, book.environment, topic
    )
    return None if row is None else _endpoint(row)


async def signing(database: Database, book: Book) -> Signing:
    row = await database.fetchrow(SQL["signing"], book.application_id, book.environment)
    return _signing(row)


async def rotate(
    connection: Connection, book: Book, now: datetime, previous_until: datetime
) -> Signing:
    row = await connection.fetchrow(
        SQL["rotate"], book.application_id, book.environment, now, previous_until
    )
    return _signing(row)


async def claim(
    database: Database,
    *,
    now: datetime,
    until: datetime,
    room: int,
    usual: int,
    known: Mapping[tuple[Book, Topic], int],
) -> list[Claim]:
    """Claim up to `room`, and of one endpoint what it has room for: as `known`, or `usual`."""
    lanes = list(known)
    rows = await database.fetch(
        SQL["claim"],
        now,
        until,
        room,
        usual,
        [book.application_id for book, _ in lanes],
        [book.environment for book, _ in lanes],
        [topic for _, topic in lanes],
        list(known.values()),
    )
    return [_claim(row) for row in rows]


async def record(
    database: Database, batch: Sequence[Sent], health: Iterable[Health], now: datetime
) -> list[Turn]:
    """Record a batch of attempts; answers which endpoints were paused by it, or are so no more."""
    rows = await database.fetch(
        SQL["record"],
        [_sent(sent) for sent in batch],
        [_health(one) for one in health],
        now,
        PAUSE_AFTER,
    )
    return [Turn(book_of(row), row["topic"], row["paused"], row["reason"]) for row in rows]


async def page(database: Database, book: Book, wanted: DeliveryFilter) -> list[Delivery]:
    """One row more than the page holds tells that there is another."""
    rows = await database.search(
        SQL["deliveries"],
        book.application_id,
        book.environment,
        wanted.topic,
        wanted.type,
        wanted.status,
        wanted.operation_id,
        wanted.since,
        wanted.until,
        wanted.before,
        wanted.limit + 1,
    )
    return [_delivery(row) for row in rows]


async def delivery(database: Database, book: Book, identifier: UUID) -> Delivery | None:
    row = await database.fetchrow(
        SQL["delivery"], book.application_id, book.environment, identifier
    )
    return None if row is None else _delivery(row)


async def attempts(database: Database, book: Book, identifier: UUID) -> list[Attempt]:
    rows = await database.fetch(SQL["attempts"], book.application_id, book.environment, identifier)
    return [
        Attempt(
            number=row["number"],
            url=row["url"],
            headers=msgspec.json.decode(row["headers"], type=dict[str, str]),
            body=row["body"],
            sent_at=row["sent_at"],
            response_status=row["response_status"],
            response_body=row["response_body"],
            error=row["error"],
            duration_ms=row["duration_ms"],
        )
        for row in rows
    ]


async def begin_test(
    database: Database,
    book: Book,
    topic: Topic,
    identifier: UUID,
    event: str,
    now: datetime,
    until: datetime,
) -> Claim | None:
    """A test that is claimed as it is made; None where the topic has no URL."""
    row = await database.fetchrow(
        SQL["begin_test"],
        book.application_id,
        book.environment,
        topic,
        identifier,
        event,
        now,
        until,
    )
    return None if row is None else _claim(row)


async def replay(database: Database, book: Book, wanted: ReplayFilter, now: datetime) -> Replayed:
    """Make deliveries of events due now, also of those that nobody heard when they happened."""
    async with database.transaction() as connection:
        await connection.execute("set local plan_cache_mode = force_custom_plan")
        row = await connection.fetchrow(
            SQL["replay"],
            book.application_id,
            book.environment,
            wanted.since,
            wanted.until,
            wanted.type,
            wanted.status,
            wanted.after,
            wanted.id,
            wanted.limit,
            now,
        )
    if row is None:
        raise RuntimeError("a replay answers one row")
    return Replayed(row["queued"], row["looked_at"], row["last"])


async def replay_test(database: Database, book: Book, identifier: UUID, now: datetime) -> bool:
    found = await database.fetchval(
        SQL["replay_test"], book.application_id, book.environment, identifier, now
    )
    return found is not None


async def clear_away(database: Database, now: datetime, kept_since: datetime) -> int:
    """Settle what has waited too long, and forget old attempts. Returns how many rows that was."""
    over = await database.fetch(SQL["give_up"], now, now - WINDOW, _MOST_CLEARED)
    old = await database.fetch(SQL["forget_attempts"], kept_since, _MOST_CLEARED)
    return len(over) + len(old)


async def paused(database: Database, limit: int) -> list[Paused]:
    """Those that are paused for longest first."""
    return [
        Paused(_endpoint(row), row["application_name"], row["company_id"], row["company_name"])
        for row in await database.read(SQL["paused"], limit)
    ]


async def count_paused(database: Database) -> int:
    count: int = await database.fetchval(SQL["count_paused"])
    return count


def _endpoint(row: Row) -> Endpoint:
    return Endpoint(
        book=book_of(row),
        topic=Topic(row["topic"]),
        url=row["url"],
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        failures=row["failures"],
        paused_since=row["paused_since"],
        pause_reason=row["pause_reason"],
        probe_at=row["probe_at"],
    )


def _delivery(row: Row) -> Delivery:
    return Delivery(
        book=book_of(row),
        id=row["id"],
        topic=Topic(row["topic"]),
        type=row["type"],
        operation_id=row["operation_id"],
        status=Status(row["status"]),
        due_at=row["due_at"],
        attempts=row["attempts"],
        created_at=row["created_at"],
        settled_at=row["settled_at"],
        response_status=row["response_status"],
        error=row["error"],
        duration_ms=row["duration_ms"],
    )


def _claim(row: Row) -> Claim:
    return Claim(
        delivery=_delivery(row),
        url=row["url"],
        tries=row["tries"],
        asked_at=row["asked_at"],
        held_until=row["due_at"],
        probes=row["probes"],
        signing=_signing(row),
    )


def _signing(row: Row | None) -> Signing:
    """The first version where none is on record."""
    if row is None or row["version"] is None:
        return Signing()
    return Signing(row["version"], row["previous_until"])


def _sent(sent: Sent) -> tuple[object, ...]:
    """An attempt as the database's webhook_outcome."""
    claim, delivery_ = sent.claim, sent.claim.delivery
    return (
        delivery_.book.application_id,
        delivery_.book.environment,
        delivery_.id,
        delivery_.attempts,
        claim.held_until,
        sent.status,
        sent.due_at,
        sent.at,
        claim.url,
        sent.headers,
        sent.body,
        sent.sent_at,
        sent.answer.status,
        sent.answer.body,
        sent.answer.error,
        sent.answer.duration_ms,
    )


def _health(health: Health) -> tuple[object, ...]:
    """How an endpoint fared as the database's webhook_health."""
    return (
        health.book.application_id,
        health.book.environment,
        health.topic,
        health.url,
        health.answered,
        health.failures,
        health.reason,
        health.probed,
        health.probe_at,
    )
