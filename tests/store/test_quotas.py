"""Shares of quotas as the database gives them: by the plain program's rule, at once, and swept."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpay.access import windows
from kpay.access.quota import WINDOW, Bucket, Name, Wanted
from kpay.core.book import Book, Environment
from kpay.database.embedded import as_program
from kpay.database.pool import Database
from tests.windows import Windows

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
LIMIT = 60


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(as_program(database_url), size=6) as opened:
        yield opened


def wanted(name: Name, limit: int, asked: int) -> Wanted:
    # A subject belongs to one book.
    return Wanted(Book(UUID(int=name[1].int % 2), Environment.TEST), name, limit, asked)


names = st.tuples(st.sampled_from(Bucket), st.integers(0, 3).map(lambda number: UUID(int=number)))
questions = st.dictionaries(
    names, st.tuples(st.integers(1, 30), st.integers(1, 25)), min_size=1, max_size=4
)
# Mostly onwards by a little; clocks differ, and one may be set back by much.
moments = st.one_of(st.integers(-3, 30), st.sampled_from([60, 61, 3_600, -3_600]))


async def test_the_database_gives_what_the_plain_program_gives(database: Database) -> None:
    loop = asyncio.get_running_loop()

    @settings(
        max_examples=40,
        deadline=None,
        database=None,
        suppress_health_check=[HealthCheck.function_scoped_fixture],
    )
    @given(st.lists(st.tuples(moments, questions), min_size=1, max_size=12))
    def same(story: list[tuple[int, dict[Name, tuple[int, int]]]]) -> None:
        asyncio.run_coroutine_threadsafe(told(story), loop).result()

    async def told(story: list[tuple[int, dict[Name, tuple[int, int]]]]) -> None:
        await database.execute("delete from rate_windows")
        plain, now = Windows(), NOW
        for seconds, question in story:
            now += timedelta(seconds=seconds)
            asked = [wanted(name, *numbers) for name, numbers in question.items()]
            assert await windows.lease(database, asked, now) == plain.lease(asked, now)

    await asyncio.to_thread(same)


async def test_of_many_that_ask_at_once_no_more_is_given_than_there_is(
    database: Database,
) -> None:
    """Each names the same quotas in an order of its own, and none waits for another for ever."""
    every: list[Name] = [(Bucket.KEY, UUID(int=number)) for number in range(8)]

    async def ask(number: int) -> dict[Name, int]:
        order = every[number % 8 :] + every[: number % 8]
        asked = [wanted(name, LIMIT, 3) for name in (order if number % 2 else reversed(order))]
        leases = await windows.lease(database, asked, NOW)
        return {name: lease.granted for name, lease in leases.items()}

    given = await asyncio.gather(*(ask(number) for number in range(80)))
    assert {name: sum(each[name] for each in given) for name in every} == dict.fromkeys(
        every, LIMIT
    )


async def test_a_quota_that_was_lowered_gives_nothing_more_in_its_window(
    database: Database,
) -> None:
    name = (Bucket.KEY, UUID(int=1))
    for limit, asked, granted, rest in [(10, 8, 8, 2), (5, 1, 0, 0), (12, 9, 4, 0)]:
        lease = (await windows.lease(database, [wanted(name, limit, asked)], NOW))[name]
        assert (lease.ends, lease.granted, lease.rest) == (NOW + WINDOW, granted, rest)


async def test_windows_are_forgotten_in_batches_and_only_those_that_are_over(
    database: Database,
) -> None:
    for number in range(5):
        await windows.lease(database, [wanted((Bucket.KEY, UUID(int=number)), 9, 1)], NOW)
    later = NOW + timedelta(minutes=5)
    await windows.lease(database, [wanted((Bucket.KEY, UUID(int=9)), 9, 1)], later)

    over = NOW + timedelta(minutes=2)
    assert [await windows.sweep(database, over, 2) for _ in range(4)] == [2, 2, 1, 0]
    assert await database.fetchval("select count(*) from rate_windows") == 1


async def test_counting_waits_for_no_disk(database: Database) -> None:
    """An unlogged table writes no journal; after a crash every quota begins anew."""
    persistence = "select relpersistence::text from pg_class where relname = 'rate_windows'"
    assert await database.fetchval(persistence) == "u"
