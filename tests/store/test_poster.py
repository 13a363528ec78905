"""The poster on a real database: few transactions, and each order has its own verdict."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, MutableMapping, Sequence
from typing import Any, NoReturn
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
from kpay.ledger import movements, store
from kpay.ledger.model import POSTED, Entry, Order, Verdict
from kpay.ledger.poster import MOST_PER_FLUSH, Poster
from tests.books import open_books
from tests.soundness import assert_balances_are_sums

BOOK = Book(UUID(int=1), Environment.TEST)
CONNECTIONS = 4
POISON = "poison"
# With this among them, the connection breaks when all is written and nothing committed.
SEVERED = "severed"
# Countries from each to the next and round to the first, and the same way back.
RING = ["BEN", "CIV", "CMR", "COG", "GAB", "SEN"]
THERE = list(zip(RING, RING[1:] + RING[:1], strict=True))
BACK = [(destination, source) for source, destination in reversed(THERE)]


class Notes:
    """Records of the tests' own, each a name that exists at most once. One of them is poisoned.

    A name that begins with "checked" is looked up first, as an externalId is; any other that exists
    is a unique violation. `gate`, when it is closed, holds a flush before it writes anything.
    """

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.reached = asyncio.Event()
        self.flushes: list[list[str]] = []

    def hold(self) -> None:
        """Close the gate; `reached` is when the next flush stands before it."""
        self.gate.clear()
        self.reached.clear()

    async def write(
        self, connection: Connection, ledger: Sequence[object], records: Sequence[str]
    ) -> list[Verdict]:
        self.flushes.append(list(records))
        self.reached.set()
        await self.gate.wait()
        if POISON in records:
            raise ValueError("this record cannot be written")
        async with connection.transaction():
            row = await connection.fetchrow(WRITE, *ledger, records)
            if SEVERED in records:
                await connection.execute("select pg_terminate_backend(pg_backend_pid())")
        return store.verdicts(row)


# As every noun writes its records: one statement, in which `post` decides.
WRITE = """
with taken as materialized (
    select array_agg(wanted.place::int) as places, array_agg(notes.id) as ids
    from unnest($8::text[]) with ordinality as wanted (name, place)
    join notes on notes.name = wanted.name and starts_with(notes.name, 'checked')
),

posted as materialized (
    select places, ids, post($1, $2, $3, $4, $5, $6, $7, places, 'already_used') as verdicts
    from taken
),

recorded as (
    insert into notes (name)
    select fresh.name
    from posted, unnest($8::text[], posted.verdicts) as fresh (name, verdict)
    where fresh.verdict is null
    order by fresh.name
)

select verdicts, places, ids from posted
"""


class Till:
    """A poster at work on a database, and what a test asks of both."""

    def __init__(self, url: str, clock: ManualClock, queue_limit: int = 10_000) -> None:
        self.database = Database(url, size=CONNECTIONS)
        self.poster = Poster(self.database, clock, queue_limit=queue_limit)
        self.notes = Notes()

    async def post(
        self,
        name: str,
        entry: Entry | None = None,
        *,
        claim: tuple[object, ...] | None = None,
        book: Book = BOOK,
        notes: Notes | None = None,
    ) -> Verdict:
        """Post a note, in the till's own lane or that of other notes."""
        return await self.poster.post(Order(book, entry, name, claim), notes or self.notes)

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

    async def until_somebody_waits_for_a_lock(self) -> None:
        while not await self.database.fetchval(
            "select count(*) from pg_stat_activity"
            " where datname = current_database() and wait_event_type = 'Lock'"
        ):
            continue

    async def id_of(self, name: str) -> UUID | None:
        found: UUID | None = await self.database.fetchval(
            "select id from notes where name = $1", name
        )
        return found

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
        "create table if not exists notes ("
        " name text constraint notes_pkey primary key, id uuid not null default gen_random_uuid())"
    )
    return made


@pytest.fixture
async def till(database_url: str, clock: ManualClock) -> AsyncIterator[Till]:
    """A till at work. After each test every balance is the sum of its postings."""
    await open_books(database_url, BOOK)
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


# Claims: what two orders may not both have.


async def test_of_two_orders_with_one_claim_the_second_is_told_of_the_first(till: Till) -> None:
    first, neighbour, second = await asyncio.gather(
        till.post("checked-a", claim=("note", "A")),
        till.post("b"),
        till.post("checked-a", claim=("note", "A")),
    )

    assert outcomes([first, neighbour, second]) == ["posted", "posted", "already_used"]
    assert second.existing_id == await till.id_of("checked-a")
    # It waited for the first one's flush to be over, and its neighbour did not.
    assert till.notes.flushes == [["checked-a", "b"], ["checked-a"]]


async def test_a_claim_whose_order_was_refused_is_left_to_the_next(till: Till) -> None:
    await till.collect(100)

    verdicts = await asyncio.gather(
        *(till.post("checked-a", transfer(n), claim=("note", "A")) for n in (500, 60, 40))
    )

    assert outcomes(verdicts) == ["short_funds", "posted", "already_used"]
    assert await till.balance() == 40


async def test_orders_with_one_claim_are_written_in_the_order_in_which_they_came(
    till: Till,
) -> None:
    claims = {"a1": "A", "b1": "B", "a2": "A", "c": None, "a3": "A", "b2": "B"}

    verdicts = await asyncio.gather(
        *(till.post(name, claim=None if of is None else (of,)) for name, of in claims.items())
    )

    assert set(outcomes(verdicts)) == {"posted"}
    assert till.notes.flushes == [["a1", "b1", "c"], ["a2", "b2"], ["a3"]]


async def test_what_waited_for_a_claim_is_not_overtaken_by_what_no_flush_had_room_for(
    till: Till,
) -> None:
    others = [f"{number}" for number in range(MOST_PER_FLUSH)]
    names = ["a1", "a2", *others, "a3"]

    await asyncio.gather(
        *(till.post(name, claim=("A",) if name.startswith("a") else None) for name in names)
    )

    assert till.notes.flushes == [["a1", *others[:-1]], ["a2", others[-1]], ["a3"]]


async def test_the_same_claim_in_another_book_or_of_another_operation_is_another(
    till: Till,
) -> None:
    elsewhere = [Book(UUID(int=1), Environment.PRODUCTION), Book(UUID(int=2), Environment.TEST)]

    await asyncio.gather(
        till.post("a", claim=("payout", "A")),
        till.post("b", claim=("transfer", "A")),
        *(
            till.post(name, claim=("payout", "A"), book=book)
            for name, book in zip("cd", elsewhere, strict=True)
        ),
    )

    assert till.notes.flushes == [["a", "b", "c", "d"]]


# Lanes: one for each noun.


async def test_a_lane_that_is_held_up_does_not_hold_up_another(till: Till) -> None:
    await till.collect(1_000)
    till.notes.hold()
    held = asyncio.create_task(till.post("a", transfer(10)))
    await till.notes.reached.wait()

    async with asyncio.timeout(10):
        assert await till.post("b", transfer(10), notes=Notes()) == POSTED
    assert not held.done()

    till.notes.gate.set()
    assert await held == POSTED
    assert await till.balance() == 980


async def test_lanes_that_move_the_same_accounts_at_once_lose_nothing(
    till: Till, logs: list[MutableMapping[str, Any]]
) -> None:
    for country in RING:
        await till.collect(1_000, country)
    lanes = {f"{number}": Notes() for number in range(3)}

    for round_ in range(10):
        verdicts = await asyncio.gather(
            *(
                till.post(f"{round_}-{lane}-{pair}", transfer(7, *pair), notes=notes)
                for lane, notes in lanes.items()
                for pair in (THERE if lane == "0" else BACK)
            )
        )
        assert set(outcomes(verdicts)) == {"posted"}

    # No deadlock, and none that had to be tried again.
    assert logs == []
    assert {await till.balance(f"wallet:{country}") for country in RING} == {1_000}


async def test_more_lanes_than_connections_are_all_served(till: Till) -> None:
    lanes = [Notes() for _ in range(3 * CONNECTIONS)]
    names = [f"{number}" for number in range(200)]

    async with asyncio.timeout(20):
        await asyncio.gather(
            *(
                till.post(f"{lane}-{name}", notes=notes)
                for lane, notes in enumerate(lanes)
                for name in names
            )
        )

    assert len(await till.names()) == len(lanes) * len(names)


# Races with other processes.


async def test_a_name_that_is_taken_for_good_is_told_to_its_order_alone(till: Till) -> None:
    await till.collect(1_000)
    await till.database.execute("insert into notes values ('b')")

    results = await asyncio.gather(
        *(till.post(name, transfer(10)) for name in "abc"), return_exceptions=True
    )

    assert outcomes(results) == ["posted", "UniqueViolationError", "posted"]
    assert await till.balance() == 980


async def test_a_name_that_another_process_is_taking_is_told_as_used_when_it_has_it(
    till: Till, other: Till
) -> None:
    async with other.database.transaction() as connection, asyncio.timeout(20):
        await connection.execute("insert into notes values ('checked-a')")
        # It looked, found nothing, and waits for the other's commit to write the same name.
        late = asyncio.create_task(till.post("checked-a"))
        await other.until_somebody_waits_for_a_lock()

    verdict = await late
    assert outcomes([verdict]) == ["already_used"]
    assert verdict.existing_id == await till.id_of("checked-a")


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
        await other.until_somebody_waits_for_a_lock()
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

    async with asyncio.timeout(10):
        with pytest.raises(Refusal) as caught:
            await till.post("c")
    assert caught.value.code is Code.BUSY

    till.poster.start()
    assert outcomes(await asyncio.gather(*waiting)) == ["posted", "posted"]
    # What was written counts no longer: there is room for two again.
    again = [till.post(name) for name in "de"]
    assert outcomes(await asyncio.gather(*again)) == ["posted", "posted"]
    await till.poster.stop()
    await till.database.close()


async def test_the_bound_is_one_for_all_lanes(database_url: str, clock: ManualClock) -> None:
    till = await open_till(database_url, clock, queue_limit=2)
    other = Notes()
    waiting = [
        asyncio.create_task(till.post("a")),
        asyncio.create_task(till.post("b", notes=other)),
    ]
    await asyncio.sleep(0)

    async with asyncio.timeout(10):
        for notes in (till.notes, other, Notes()):
            with pytest.raises(Refusal) as caught:
                await till.post("c", notes=notes)
            assert caught.value.code is Code.BUSY

    till.poster.start()
    assert outcomes(await asyncio.gather(*waiting)) == ["posted", "posted"]
    # Those that were written count no longer.
    assert await till.post("c", notes=other) == POSTED
    await till.poster.stop()
    await till.database.close()


async def test_a_connection_that_breaks_in_a_flush_is_told_and_the_next_order_is_posted(
    till: Till,
) -> None:
    await till.collect(1_000)

    results = await asyncio.gather(
        *(till.post(name, transfer(10)) for name in ("a", SEVERED)), return_exceptions=True
    )

    assert {result.code for result in results if isinstance(result, Refusal)} == {
        Code.DATABASE_UNAVAILABLE
    }
    assert await till.balance() == 1_000
    assert await till.post("b", transfer(10)) == POSTED
    assert await till.names() == {"b"}


async def test_what_waits_behind_a_connection_that_breaks_is_posted_on_another(till: Till) -> None:
    await till.collect(1_000)
    till.notes.hold()
    breaks = asyncio.create_task(till.post(SEVERED, transfer(10)))
    await till.notes.reached.wait()
    waits = asyncio.create_task(till.post("a", transfer(10)))
    await asyncio.sleep(0)

    till.notes.gate.set()

    async with asyncio.timeout(10):
        with pytest.raises(Refusal) as caught:
            await breaks
        assert caught.value.code is Code.DATABASE_UNAVAILABLE
        assert await waits == POSTED
    assert await till.balance() == 990


async def test_while_no_connection_can_be_had_orders_are_told_and_afterwards_posted(
    till: Till, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> NoReturn:
        raise ConnectionRefusedError

    with monkeypatch.context() as outage:
        outage.setattr(till.database, "connection", refuse)
        async with asyncio.timeout(10):
            results = await asyncio.gather(
                *(till.post(name) for name in "ab"), return_exceptions=True
            )
    assert [result.code for result in results if isinstance(result, Refusal)] == [
        Code.DATABASE_UNAVAILABLE
    ] * 2

    assert await till.post("c") == POSTED
    assert await till.names() == {"c"}


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
            assert tries <= CONNECTIONS
    assert await till.names() == {f"{tries}"}


# Callers that give up, and the end.


async def test_a_caller_that_gives_up_does_not_disturb_the_others(till: Till) -> None:
    await till.collect(1_000)
    till.notes.hold()
    gone, stays = (asyncio.create_task(till.post(name, transfer(10))) for name in "ab")
    await till.notes.reached.wait()

    gone.cancel()
    till.notes.gate.set()

    async with asyncio.timeout(10):
        assert await stays == POSTED
        assert await till.post("c", transfer(10)) == POSTED
    # It was in the batch already: what its caller no longer hears has happened all the same.
    assert await till.names() == {"a", "b", "c"}


async def test_a_caller_that_gives_up_on_an_order_that_fails_leaves_the_poster_at_work(
    till: Till,
) -> None:
    assert await till.post("a") == POSTED
    till.notes.hold()
    gone = asyncio.create_task(till.post("a"))
    await till.notes.reached.wait()

    gone.cancel()
    till.notes.gate.set()

    async with asyncio.timeout(10):
        assert await till.post("b") == POSTED


async def test_to_stop_is_to_post_what_is_under_way_and_what_waits_in_every_lane(
    till: Till,
) -> None:
    await till.collect(1_000)
    lanes = [till.notes, Notes()]
    for notes in lanes:
        notes.hold()
    under_way = [
        asyncio.create_task(till.post(name, transfer(10), notes=notes))
        for name, notes in zip("ab", lanes, strict=True)
    ]
    for notes in lanes:
        await notes.reached.wait()
    wait = [
        asyncio.create_task(till.post(name, transfer(10), notes=notes))
        for name, notes in zip("cd", lanes, strict=True)
    ]
    await asyncio.sleep(0)

    stopping = asyncio.create_task(till.poster.stop())
    await asyncio.sleep(0)
    for notes in lanes:
        notes.gate.set()

    async with asyncio.timeout(10):
        await stopping
        assert set(outcomes(await asyncio.gather(*under_way, *wait))) == {"posted"}
    assert await till.names() == set("abcd")


async def test_a_poster_that_has_stopped_refuses_at_once(till: Till) -> None:
    await till.poster.stop()

    async with asyncio.timeout(10):
        with pytest.raises(Refusal) as caught:
            await till.post("a")
    assert caught.value.code is Code.BUSY
