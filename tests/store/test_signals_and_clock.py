"""Signals are heard, also after the connection broke; the clock is the database's."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest

from kpay.database.clock import DatabaseClock
from kpay.database.pool import Database
from kpay.database.signals import Signals

PATIENCE_SECONDS = 20


class Ear:
    """Counts what it heard, and can be waited for."""

    def __init__(self) -> None:
        self._heard: asyncio.Queue[None] = asyncio.Queue()

    def hear(self) -> None:
        self._heard.put_nowait(None)

    async def next(self) -> None:
        async with asyncio.timeout(PATIENCE_SECONDS):
            await self._heard.get()

    @property
    def is_quiet(self) -> bool:
        return self._heard.empty()


@pytest.fixture
async def outside(database_url: str) -> AsyncIterator[asyncpg.Connection[asyncpg.Record]]:
    """Another process's connection."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def ears(database_url: str) -> AsyncIterator[dict[str, Ear]]:
    """One ear on each of two channels, listening."""
    ears = {"access": Ear(), "work": Ear()}
    signals = Signals(database_url, {channel: ear.hear for channel, ear in ears.items()})
    await signals.start()
    yield ears
    await signals.stop()


async def cut_the_listener(outside: asyncpg.Connection[asyncpg.Record]) -> None:
    cut = await outside.fetch(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
        " and backend_type = 'client backend'"
    )
    assert len(cut) == 1


async def test_a_signal_of_another_process_is_heard_on_its_own_channel(
    ears: dict[str, Ear], outside: asyncpg.Connection[asyncpg.Record]
) -> None:
    await outside.execute("select pg_notify('access', '')")
    await ears["access"].next()

    await outside.execute("select pg_notify('work', 'with a word to it')")
    await ears["work"].next()

    assert all(ear.is_quiet for ear in ears.values())


async def test_a_signal_is_heard_when_its_transaction_is_committed_and_not_before(
    ears: dict[str, Ear], outside: asyncpg.Connection[asyncpg.Record]
) -> None:
    undone = outside.transaction()
    await undone.start()
    await outside.execute("select pg_notify('access', '')")
    await undone.rollback()
    await outside.execute("select pg_notify('work', '')")

    # Signals come in order, so the one that was undone would have come first.
    await ears["work"].next()
    assert ears["access"].is_quiet


async def test_a_listener_whose_connection_broke_looks_again_at_everything_and_listens_on(
    ears: dict[str, Ear], outside: asyncpg.Connection[asyncpg.Record]
) -> None:
    for _ in range(2):
        await cut_the_listener(outside)
        # Whatever was said meanwhile is lost, so every channel is told.
        for ear in ears.values():
            await ear.next()
        await outside.execute("select pg_notify('access', '')")
        await ears["access"].next()


async def test_to_stop_is_to_let_go_of_the_connection(
    database_url: str, outside: asyncpg.Connection[asyncpg.Record]
) -> None:
    signals = Signals(database_url, {"access": lambda: None})
    await signals.start()
    await signals.stop()
    await signals.stop()

    # The server takes a moment to see that the client has gone.
    async with asyncio.timeout(PATIENCE_SECONDS):
        while await outside.fetchval(
            "select count(*) from pg_stat_activity where datname = current_database()"
            " and pid <> pg_backend_pid() and backend_type = 'client backend'"
        ):
            continue


async def test_a_database_that_cannot_be_reached_is_told_at_the_start() -> None:
    signals = Signals("postgresql://127.0.0.1:1/kpay", {"access": lambda: None})

    with pytest.raises(OSError, match="Connect call failed"):
        await signals.start()


# The clock.


class Elsewhere(Database):
    """A database whose own clock stands at one moment, far from this machine's."""

    def __init__(self, moment: datetime) -> None:
        super().__init__("postgresql://elsewhere/kpay", size=1)
        self._moment = moment

    async def fetchval(self, sql: str, *_arguments: object) -> Any:
        assert "clock_timestamp()" in sql
        return self._moment


async def test_the_clock_tells_the_database_s_time(database_url: str) -> None:
    clock = DatabaseClock()
    async with Database(database_url, size=1) as database:
        before = await database.fetchval("select clock_timestamp()")
        await clock.set(database)
        told = clock.now()
        after = await database.fetchval("select clock_timestamp()")

    # Half of a round trip is what it can be off by.
    assert before - (after - before) < told < after + (after - before)
    assert told.tzinfo is not None


@pytest.mark.parametrize("years", [-20, 20])
async def test_the_clock_follows_the_database_wherever_it_is(years: int) -> None:
    far = datetime.now(UTC) + timedelta(days=365 * years)
    clock = DatabaseClock()

    await clock.set(Elsewhere(far))

    assert timedelta(0) <= clock.now() - far < timedelta(seconds=PATIENCE_SECONDS)


async def test_between_two_readings_the_clock_runs_and_never_goes_back() -> None:
    clock = DatabaseClock()
    await clock.set(Elsewhere(datetime(2026, 6, 23, 10, tzinfo=UTC)))

    told = [clock.now() for _ in range(1_000)]

    assert told == sorted(told)
    assert told[-1] > told[0]


def test_until_it_is_set_the_clock_is_the_machine_s() -> None:
    before = datetime.now(UTC)

    assert abs(DatabaseClock().now() - before) < timedelta(seconds=PATIENCE_SECONDS)
