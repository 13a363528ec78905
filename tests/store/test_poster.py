"""The poster on a real database: few transactions, and each order has its own verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Mapping, MutableMapping, Sequence
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
import structlog
from structlog.testing import capture_logs

from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection, Database
from kpay.ledger import movements
from kpay.ledger.model import POSTED, Entry, Order, Reason, Verdict
from kpay.ledger.poster import MOST_PER_FLUSH, Poster
from tests.soundness import assert_balances_are_sums

BOOK = Book(UUID(int=1), Environment.TEST)
POISON = "poison"
# Countries from each to the next and round to the first, and the same way back.
RING = ["BEN", "CIV", "CMR", "COG", "GAB", "SEN"]
THERE = list(zip(RING, RING[1:] + RING[:1], strict=True))
BACK = [(destination, source) for source, destination in reversed(THERE)]


class Notes:
    """Records of the tests' own, each a name that exists at most once. One of them is poisoned.

    `gate`, when it is closed, holds a flush where its accounts are locked and nothing is written.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()

    async def admit(self, connection: Connection, records: Sequence[str]) -> Mapping[int, Verdict]:
        self.reached.set()
        await self.gate.wait()
        rows = await connection.fetch("select name from notes where name = any($1)", records)
        used = {row["name"] for row in rows if row["name"].startswith("checked")}
        return {
            position: Verdict(Reason.ALREADY_USED)
            for position, name in enumerate(records)
            if name in used
        }

    async def write(self, connection: Connection, records: Sequence[str]) -> None:
        if POISON in records:
            raise ValueError("this record cannot be written")
        if "severed" in records:
            await connection.execute("select pg_terminate_backend(pg_backend_pid())")
        await connection.execute("insert into notes select unnest($1::text[]) order by 1", records)


class Till:
    """A poster at work on a database, and what a test asks of both."""

    def __init__(self, url: str, clock: ManualClock, queue_limit: int = 10_000) -> None:
        self.database = Database(url, size=4)
        self.poster = Poster(self.database, clock, queue_limit=queue_limit)
        self.notes = Notes()

    async def post(self, name: str, entry: Entry | None = None) -> Verdict:
        return await self.poster.post(Order(BOOK, uuid4(), entry, name), self.notes)

    async def collect(self, amount: int, country: str = "CMR") -> None:
        """So many hundredths into a wallet."""
        entry = movements.payment_completed(
            uuid4(),
            provider=f"MTN_MOMO_{country}",
            country=country,
            paid=Money(amount, "XAF"),
            fee=Money(0, "XAF"),
        )
        assert await self.post(f"collect-{entry.operation_id}", entry) == POSTED

    async def names(self) -> set[str]:
        rows = await self.database.fetch("select name from notes where name not like 'collect%'")
        return {row["name"] for row in rows}

    async def transactions(self, kind: str = "transfer") -> int:
        """How many transactions wrote the entries of a kind."""
        count: int = await self.database.fetchval(
            "select count(distinct xmin::text) from entries where kind = $1", kind
        )
        return count

    async def balance(self, account: str = "wallet:CMR") -> int:
        balance: int = await self.database.fetchval(
            "select balance from accounts where code = $1", account
        )
        return balance


def transfer(amount: int, source: str = "CMR", destination: str = "GAB") -> Entry:
    money = Money(amount, "XAF")
    return movements.transfer(
        uuid4(), source=source, destination=destination, debited=money, credited=money
    )


async def open_till(url: str, clock: ManualClock, **options: int) -> Till:
    made = Till(url, clock, **options)
    await made.database.open()
    await made.database.execute(
        "create table if not exists notes (name text constraint notes_pkey primary key)"
    )
    return made


@pytest.fixture
async def till(database_url: str, clock: ManualClock) -> AsyncIterator[Till]:
    """A till at work. After each test every balance is the sum of its postings."""
    made = await open_till(database_url, clock)
    made.poster.start()
    yield made
    await made.poster.stop()
    await made.database.close()
    await assert_balances_are_sums(database_url)


@pytest.fixture
async def other(till: Till, clock: ManualClock) -> AsyncIterator[Till]:
    """Another process on the same database."""
    made = await open_till(till.database.url, clock)
    made.poster.start()
    yield made
    await made.poster.stop()
    await made.database.close()


@pytest.fixture
def logs() -> Iterator[list[MutableMapping[str, Any]]]:
    """What is logged, which the other tests keep quiet."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("info"))
    with capture_logs() as captured:
        yield captured
    structlog.configure(**before)


def outcomes(results: Sequence[Verdict | BaseException]) -> list[str]:
    """Verdicts and problems in words."""
    return [
        type(result).__name__
        if isinstance(result, BaseException)
        else str(result.reason or "posted")
        for result in results
    ]


# Group commit.


async def test_what_waits_together_is_committed_together(till: Till) -> None:
    await till.collect(1_000)

    verdicts = await asyncio.gather(*(till.post(f"{n}", transfer(1)) for n in range(200)))

    assert set(outcomes(verdicts)) == {"posted"}
    assert await till.transactions() < 10
    assert await till.balance() == 800


async def test_a_flush_takes_no_more_than_its_most(till: Till) -> None:
    await till.collect(10_000)
    count = MOST_PER_FLUSH + 200

    await asyncio.gather(*(till.post(f"{n}", transfer(1)) for n in range(count)))

    assert await till.transactions() == 2
    assert await till.balance() == 10_000 - count


async def test_one_that_cannot_be_afforded_does_not_fail_its_neighbours(till: Till) -> None:
    await till.collect(1_000)

    amounts = (400, 700, 600, 1)
    verdicts = await asyncio.gather(*(till.post(f"{n}", transfer(n)) for n in amounts))

    assert outcomes(verdicts) == ["posted", "short_funds", "posted", "short_funds"]
    assert await till.names() == {"400", "600"}
    assert await till.transactions() == 1


async def test_a_wallet_that_was_never_paid_into_is_no_wallet_even_after_it_was_asked_for(
    till: Till,
) -> None:
    for attempt in range(2):
        assert outcomes([await till.post(f"{attempt}", transfer(1))]) == ["no_wallet"]
    assert await till.names() == set()


async def test_a_record_that_cannot_be_written_fails_alone(till: Till) -> None:
    await till.collect(1_000)

    results = await asyncio.gather(
        *(till.post(name, transfer(10)) for name in ("a", POISON, "b")), return_exceptions=True
    )

    assert outcomes(results) == ["posted", "ValueError", "posted"]
    assert await till.names() == {"a", "b"}
    assert await till.balance() == 980


# Races with other processes.


async def test_a_name_that_another_process_took_is_a_clash_and_the_neighbours_are_posted(
    till: Till,
) -> None:
    await till.collect(1_000)
    async with till.database.transaction() as connection:
        await connection.execute("insert into notes values ('b')")

    verdicts = await asyncio.gather(*(till.post(name, transfer(10)) for name in "abc"))

    assert outcomes(verdicts) == ["posted", "clash", "posted"]
    assert await till.balance() == 980


async def test_two_processes_that_take_the_same_names_share_them(till: Till, other: Till) -> None:
    names = [f"checked-{number}" for number in range(50)]

    verdicts = await asyncio.gather(
        *(till.post(name) for name in names), *(other.post(name) for name in reversed(names))
    )

    assert sorted(outcomes(verdicts)) == ["already_used"] * 50 + ["posted"] * 50
    assert await till.names() == set(names)


async def test_accounts_are_locked_in_the_order_of_their_keys(till: Till, other: Till) -> None:
    """So that no two batches can each hold what the other waits for."""
    for country in RING:
        await till.collect(1_000, country)
    async with other.database.transaction() as connection, asyncio.timeout(20):
        await connection.execute("select from accounts where code = 'wallet:CMR' for update")
        batch = asyncio.gather(*(till.post(f"{uuid4()}", transfer(1, *pair)) for pair in THERE))
        while not await other.database.fetchval(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        ):
            continue
        free = await other.database.fetch(
            "select code from accounts where code like 'wallet:%' for update skip locked"
        )
    # It waits for Cameroon with what sorts before it in hand, and has touched nothing after it.
    assert {row["code"] for row in free} == {"wallet:COG", "wallet:GAB", "wallet:SEN"}
    assert set(outcomes(await batch)) == {"posted"}


async def test_opposite_transfers_of_two_processes_never_deadlock(
    till: Till, other: Till, logs: list[MutableMapping[str, Any]]
) -> None:
    for country in RING:
        await till.collect(1_000, country)

    for _ in range(10):
        verdicts = await asyncio.gather(
            *(till.post(f"{uuid4()}", transfer(7, *pair)) for pair in THERE),
            *(other.post(f"{uuid4()}", transfer(7, *pair)) for pair in BACK),
        )
        assert set(outcomes(verdicts)) == {"posted"}

    # A deadlock would be told here: its batch is done again, order by order.
    assert logs == []
    assert {await till.balance(f"wallet:{country}") for country in RING} == {1_000}


# Bounds, and the database gone.


async def test_beyond_its_bound_the_queue_refuses_and_what_waits_is_still_posted(
    database_url: str, clock: ManualClock
) -> None:
    till = await open_till(database_url, clock, queue_limit=2)
    waiting = [asyncio.create_task(till.post(name)) for name in "ab"]
    await asyncio.sleep(0)

    with pytest.raises(Refusal) as caught:
        await till.post("c")
    assert caught.value.code is Code.BUSY

    till.poster.start()
    assert outcomes(await asyncio.gather(*waiting)) == ["posted", "posted"]
    await till.poster.stop()
    await till.database.close()


async def test_a_connection_that_breaks_in_a_flush_is_told_and_the_next_order_is_posted(
    till: Till,
) -> None:
    await till.collect(1_000)

    results = await asyncio.gather(
        *(till.post(name, transfer(10)) for name in ("a", "severed")), return_exceptions=True
    )

    assert {result.code for result in results if isinstance(result, Refusal)} == {
        Code.DATABASE_UNAVAILABLE
    }
    assert await till.balance() == 1_000
    assert await till.post("b", transfer(10)) == POSTED
    assert await till.names() == {"b"}


async def test_after_every_connection_was_cut_orders_are_posted_again(
    till: Till, database_url: str
) -> None:
    await till.collect(1_000)
    outside = await asyncpg.connect(database_url)
    await outside.execute(
        "select pg_terminate_backend(pid) from pg_stat_activity"
        " where datname = current_database() and pid <> pg_backend_pid()"
    )
    await outside.close()

    # At most each connection of the pool is found dead once.
    tries = 0
    while True:
        try:
            assert await till.post(f"{tries}", transfer(10)) == POSTED
            break
        except Refusal as refusal:
            assert refusal.code is Code.DATABASE_UNAVAILABLE  # noqa: PT017 — until it is posted
            tries += 1
            assert tries <= 4
    assert await till.names() == {f"{tries}"}


# Callers that give up, and the end.


async def test_a_caller_that_gives_up_does_not_disturb_the_others(till: Till) -> None:
    await till.collect(1_000)
    till.notes.gate.clear()
    till.notes.reached.clear()
    gone, stays = (asyncio.create_task(till.post(name, transfer(10))) for name in "ab")
    await till.notes.reached.wait()

    gone.cancel()
    till.notes.gate.set()

    assert await stays == POSTED
    assert await till.post("c", transfer(10)) == POSTED
    # It was in the batch already: what its caller no longer hears has happened all the same.
    assert await till.names() == {"a", "b", "c"}


async def test_a_caller_that_gives_up_while_a_clash_is_tried_again_leaves_the_poster_at_work(
    till: Till,
) -> None:
    assert await till.post("a") == POSTED
    till.notes.gate.clear()
    till.notes.reached.clear()
    gone = asyncio.create_task(till.post("a"))
    await till.notes.reached.wait()

    gone.cancel()
    till.notes.gate.set()

    async with asyncio.timeout(10):
        assert await till.post("b") == POSTED


async def test_to_stop_is_to_post_what_is_under_way_and_what_waits(till: Till) -> None:
    await till.collect(1_000)
    till.notes.gate.clear()
    till.notes.reached.clear()
    under_way = asyncio.create_task(till.post("a", transfer(10)))
    await till.notes.reached.wait()
    waits = asyncio.create_task(till.post("b", transfer(10)))
    await asyncio.sleep(0)

    stopping = asyncio.create_task(till.poster.stop())
    await asyncio.sleep(0)
    till.notes.gate.set()

    async with asyncio.timeout(10):
        await stopping
        assert outcomes(await asyncio.gather(under_way, waits)) == ["posted", "posted"]


async def test_a_poster_that_has_stopped_refuses_at_once(till: Till) -> None:
    await till.poster.stop()

    async with asyncio.timeout(10):
        with pytest.raises(Refusal) as caught:
            await till.post("a")
    assert caught.value.code is Code.BUSY
