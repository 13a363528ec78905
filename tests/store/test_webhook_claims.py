"""Claims of webhooks are fair: an endpoint gets its turn however much waits for another one."""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import asyncpg
import pytest

from kpay.core.book import Book, Environment
from kpay.database.pool import Database
from kpay.webhooks import store
from kpay.webhooks.model import Claim, Topic

NOW = datetime(2026, 6, 23, 10, 0, 0, tzinfo=UTC)
UNTIL = NOW + timedelta(minutes=1)

ENDPOINT = """
    insert into webhook_endpoints (application_id, environment, topic, url, created_at, changed_at)
    values ($1, 'TEST', 'generic', 'http://shop.example/', $2, $2)
"""
WAITING = """
    insert into deliveries (
        application_id, environment, id, topic, type, operation_id, resource_id, due_at, asked_at,
        created_at
    )
    select
        $1, 'TEST', uuidv7(), 'generic', 'payment.completed', id, id, $2, $2, $2
    from (select gen_random_uuid() as id from generate_series(1, $3)) as made
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, size=4) as opened:
        yield opened


@pytest.fixture
async def owner(database_url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(database_url)
    # Applications that exist in a test alone.
    await connection.execute("set session_replication_role = 'replica'")
    yield connection
    await connection.close()


async def waiting(owner: Any, number: int, count: int, due_at: datetime = NOW) -> Book:
    """An application with an endpoint for which so many deliveries wait."""
    book = Book(UUID(int=number), Environment.TEST)
    await owner.execute(ENDPOINT, book.application_id, NOW)
    await owner.execute(WAITING, book.application_id, due_at, count)
    return book


async def claim(
    database: Database, room: int, known: dict[tuple[Book, Topic], int] | None = None
) -> list[Claim]:
    return await store.claim(database, now=NOW, until=UNTIL, room=room, usual=10, known=known or {})


def books(claims: list[Claim]) -> Counter[Book]:
    return Counter(claimed.delivery.book for claimed in claims)


async def test_one_row_beside_twenty_thousand_older_ones_of_another_is_claimed_at_once(
    database: Database, owner: Any
) -> None:
    full = await waiting(owner, 1, 20_000, NOW - timedelta(days=1))
    one = await waiting(owner, 2, 1)

    assert books(await claim(database, 20)) == {full: 10, one: 1}
    # And when all that is under way to the first one fills its share.
    later = await waiting(owner, 3, 1)
    full_lane = {(full, Topic.GENERIC): 0}
    assert books(await claim(database, 20, full_lane)) == {later: 1}


async def test_where_there_is_less_room_than_endpoints_each_has_the_same_chance(
    database: Database, owner: Any
) -> None:
    every = [await waiting(owner, number, 50) for number in range(1, 21)]

    seen: Counter[Book] = Counter()
    for _ in range(100):
        seen += books(await claim(database, 5))

    assert seen.total() == 500
    # Chosen at random: 25 each, and below 5 for one of them once in a hundred million runs.
    assert min(seen[book] for book in every) >= 5


async def test_what_is_not_due_takes_no_share(database: Database, owner: Any) -> None:
    for number in range(1, 30):
        await waiting(owner, number, 1, NOW + timedelta(microseconds=1))
    due = await waiting(owner, 30, 50)

    assert books(await claim(database, 10)) == {due: 10}


async def test_a_claim_is_nobody_else_s_until_it_runs_out(database: Database, owner: Any) -> None:
    book = await waiting(owner, 1, 5)

    first = await claim(database, 10)
    assert (len(first), {claimed.held_until for claimed in first}) == (5, {UNTIL})
    assert await claim(database, 10) == []
    again = await store.claim(
        database, now=UNTIL, until=UNTIL + timedelta(minutes=1), room=10, usual=10, known={}
    )
    assert books(again) == {book: 5}
    assert {claimed.tries for claimed in again} == {2}


async def test_a_row_that_another_one_is_claiming_is_passed_over(
    database: Database, owner: Any
) -> None:
    await waiting(owner, 1, 3)
    async with owner.transaction():
        await owner.execute("select from deliveries order by id limit 1 for update")
        assert len(await claim(database, 10)) == 2


async def test_of_a_paused_endpoint_one_is_claimed_by_one_process_when_a_probe_is_due(
    database: Database, owner: Any
) -> None:
    await waiting(owner, 1, 5)
    pause = (
        "update webhook_endpoints set paused_since = $1, pause_reason = 'No answer.',"
        " failures = 10, probes = 3, probe_at = $2"
    )
    await owner.execute(pause, NOW, NOW + timedelta(seconds=1))
    assert await claim(database, 10) == []

    await owner.execute(pause, NOW, NOW)
    (probe,) = await claim(database, 10)
    assert probe.probes == 3
    assert await claim(database, 10) == []


async def test_events_of_an_application_without_a_url_make_no_deliveries(
    database: Database, owner: Any
) -> None:
    heard = await waiting(owner, 1, 0)
    silent = Book(UUID(int=2), Environment.TEST)
    await owner.execute("set session_replication_role = 'origin'")
    await owner.executemany(
        "insert into events (application_id, environment, type, operation_id, at)"
        " values ($1, 'TEST', 'payment.completed', gen_random_uuid(), $2)",
        [(heard.application_id, NOW), (silent.application_id, NOW)] * 3,
    )

    rows = await owner.fetch("select application_id, count(*) from deliveries group by 1")
    assert [tuple(row) for row in rows] == [(heard.application_id, 3)]
