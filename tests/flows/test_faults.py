"""The database at its limits: no connection to be had, a lock that another session holds.

Every answer comes in bounded time, says 503 and when to try again, and leaves nothing half done;
when the trouble is over, the same process goes on. What takes processes is in tests/system.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager

import asyncpg
import pytest

from kpay.app import House
from kpay.app import house as houses
from kpay.core.clock import ManualClock
from kpay.database import pool
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.houses import opened
from tests.rails import ScriptedRail
from tests.soundness import assert_sound

BOUND_SECONDS = 30
# In service it is ten seconds; what is tested is what comes of it.
SOON = "200ms"
# What a house keeps open: its pool and the one that it listens on.
FEW = 3

CLIENTS = (
    "select pid from pg_stat_activity where datname = current_database() "
    "and pid <> pg_backend_pid() and backend_type = 'client backend'"
)


def assert_unavailable(answer: Answer) -> None:
    assert (answer.status, answer["code"]) == (503, "database_unavailable"), answer.raw
    assert int(answer.headers["retry-after"]) > 0


@pytest.fixture
async def hasty(
    settings: Settings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Merchant]:
    """A merchant with 95,000 in Cameroon, in a house that waits for locks and connections briefly.

    It has two connections.
    """
    monkeypatch.setitem(pool._SESSION, "lock_timeout", SOON)
    monkeypatch.setattr(pool, "_CONNECTION_WITHIN_SECONDS", 0.2)
    async with opened(settings, clock, pool_size=2) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(100_000)
        yield merchant


@asynccontextmanager
async def held(database_url: str, statement: str, *arguments: object) -> AsyncIterator[None]:
    """A session of somebody else's that has carried out a statement and does not commit."""
    connection = await asyncpg.connect(database_url)
    try:
        async with connection.transaction():
            await connection.execute(statement, *arguments)
            yield
    finally:
        await connection.close()


async def test_with_every_connection_in_use_answers_are_503_and_then_it_goes_on(
    hasty: Merchant, database_url: str
) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(BOUND_SECONDS):
        for _ in range(2):
            await stack.enter_async_context(hasty.house.database.connection())
        answers = await asyncio.gather(
            hasty.withdraw(externalId="W"),
            hasty.transfer(),
            hasty.pay(),
            hasty.keys.send("GET", "/api/v1/payments/balance"),
        )
    for answer in answers:
        assert_unavailable(answer)

    assert (await hasty.withdraw(externalId="W")).status == 201
    await hasty.house.worker.run_until_idle()
    assert await hasty.wallets() == {"CMR": (94_000, 0)}
    await assert_sound(database_url)


async def test_a_server_with_no_connection_left_is_answered_503_and_then_it_goes_on(
    hasty: Merchant, database_url: str
) -> None:
    async with AsyncExitStack() as stack, asyncio.timeout(BOUND_SECONDS):
        outside = await asyncpg.connect(database_url)
        stack.push_async_callback(outside.close)
        while True:
            # Others take every place, those that the house has lost as well.
            await fill(stack, database_url)
            if not (ours := set(await outside.fetch(f"{CLIENTS} and application_name = 'kpay'"))):
                break
            for row in ours:
                await outside.execute("select pg_terminate_backend($1)", row["pid"])
        assert_unavailable(await hasty.withdraw(externalId="W"))

    await until_there_is_room(database_url)
    async with asyncio.timeout(BOUND_SECONDS):
        # Each connection that was lost may be found out once.
        while (answer := await hasty.withdraw(externalId="W")).status == 503:
            assert_unavailable(answer)
    assert answer.status == 201
    await assert_sound(database_url)


async def fill(stack: AsyncExitStack, database_url: str) -> None:
    """Take every connection that the server has left, until the stack is closed."""
    while True:
        try:
            taken = await asyncpg.connect(database_url)
        except asyncpg.TooManyConnectionsError:
            return
        stack.push_async_callback(taken.close)


async def until_there_is_room(database_url: str) -> None:
    """A connection that was closed has its place for a moment longer."""
    async with asyncio.timeout(BOUND_SECONDS):
        while True:
            try:
                connection = await asyncpg.connect(database_url)
            except asyncpg.TooManyConnectionsError:
                continue
            others = await connection.fetch(CLIENTS)
            await connection.close()
            if len(others) <= FEW:
                return


@pytest.mark.parametrize("part", ["the pool", "the clock", "the listener"])
async def test_a_process_of_a_server_that_starts_while_the_database_is_away_waits_for_it(
    settings: Settings, clock: ManualClock, monkeypatch: pytest.MonkeyPatch, part: str
) -> None:
    """If it ended instead, the server would take it for one that cannot work, and end too."""
    house = House(settings, clock=clock)
    owner, name = {
        "the pool": (house.database, "open"),
        "the clock": (house.own_clock, "set"),
        "the listener": (house._signals, "start"),
    }[part]
    works, tries = getattr(owner, name), itertools.count(1)

    async def away_at_first(*arguments: object) -> None:
        if next(tries) < 3:
            raise ConnectionRefusedError
        await works(*arguments)

    monkeypatch.setattr(owner, name, away_at_first)
    monkeypatch.setattr(houses, "_OPEN_AGAIN_SECONDS", 0)

    async with asyncio.timeout(BOUND_SECONDS), served(house):
        merchant = await Merchant.join(house)
        assert (await merchant.pay()).status == 201
    assert next(tries) > 3


@asynccontextmanager
async def served(house: House) -> AsyncIterator[None]:
    """The house as a server opens and closes it: by the messages of ASGI's lifespan."""
    told: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    said: asyncio.Queue[dict[str, str]] = asyncio.Queue()
    serving = asyncio.create_task(
        house.asgi()({"type": "lifespan", "asgi": {"version": "3.0"}}, told.get, said.put)
    )
    await told.put({"type": "lifespan.startup"})
    assert (await said.get())["type"] == "lifespan.startup.complete"
    yield
    await told.put({"type": "lifespan.shutdown"})
    assert (await said.get())["type"] == "lifespan.shutdown.complete"
    await serving


@pytest.mark.parametrize(
    "lock",
    [
        "select from accounts where code = 'wallet:CMR' for update",
        "lock table accounts in access exclusive mode",
    ],
    ids=["a wallet", "the whole table"],
)
async def test_while_another_session_holds_a_lock_answers_are_bounded_and_then_it_goes_on(
    hasty: Merchant, database_url: str, lock: str
) -> None:
    async with held(database_url, lock), asyncio.timeout(BOUND_SECONDS):
        answers = await asyncio.gather(
            *(hasty.withdraw(externalId=f"W-{number}") for number in range(20)),
            *(hasty.transfer(externalId=f"T-{number}") for number in range(20)),
        )
    for answer in answers:
        assert_unavailable(answer)

    # None of them was recorded, so each can be sent again.
    again = await asyncio.gather(
        *(hasty.withdraw(externalId=f"W-{number}") for number in range(20)),
        *(hasty.transfer(externalId=f"T-{number}") for number in range(20)),
    )
    assert {answer.status for answer in again} == {201}
    await hasty.house.worker.run_until_idle()
    assert (await hasty.wallets())["CMR"] == (95_000 - 40_000, 0)
    await assert_sound(database_url)


async def test_a_balance_that_cannot_be_read_for_a_lock_is_answered_503(
    hasty: Merchant, database_url: str
) -> None:
    lock = "lock table accounts in access exclusive mode"
    async with held(database_url, lock), asyncio.timeout(BOUND_SECONDS):
        assert_unavailable(await hasty.keys.send("GET", "/api/v1/payments/balance"))

    assert await hasty.wallets() == {"CMR": (95_000, 0)}


async def test_a_payout_that_cannot_be_settled_for_a_lock_is_settled_when_it_is_gone(
    hasty: Merchant, database_url: str
) -> None:
    """The operator has paid; its answer is kept at hand until it can be written, and once only."""
    house = hasty.house
    rail = ScriptedRail().serve(house)
    await hasty.withdraw(amount=10_000)

    async with asyncio.timeout(BOUND_SECONDS):
        async with held(database_url, "select from accounts where code = 'fees:XAF' for update"):
            working = asyncio.create_task(house.worker.run_until_idle())
            await until_somebody_waits_for_a_lock(house)
        await working

    assert rail.verbs == ["submit"]
    assert await hasty.wallets() == {"CMR": (85_000, 0)}
    await assert_sound(database_url)


async def until_somebody_waits_for_a_lock(house: House) -> None:
    while not await house.database.fetchval(
        "select count(*) from pg_stat_activity"
        " where datname = current_database() and wait_event_type = 'Lock'"
    ):
        continue
