"""Whatever is changed in the journal afterwards is found by `verify`, whoever changed it.

Promise 11. Each change here is made as a database administrator could make it, with the triggers
off, and with the balances put right again: the books add up, and only the chain tells.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import AsyncIterator
from typing import TypeAlias

import asyncpg
import pytest

from kpay.core.clock import ManualClock
from kpay.ledger import journal
from kpay.ledger.journal import Heads
from kpay.verify import journal_ends, verify
from tests.client import Merchant

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# A wallet's credit and the debit of the same entry, made larger together with all that follows.
RAISE_BOTH_SIDES = """
with entry as (
    select application_id, environment, operation_id, step from entries
    where kind = 'transfer' order by number limit 1
),
changed as (
    select account, version, sign(amount) * 100 as more
    from postings join entry using (application_id, environment, operation_id, step)
),
lines as (
    update postings set
        amount = amount + case when postings.version = changed.version then more else 0 end,
        balance_after = balance_after + more
    from changed
    where postings.account = changed.account and postings.version >= changed.version
)
update accounts set balance = balance + more from changed where accounts.code = changed.account
"""

REMOVE_THE_LAST_ENTRY = """
with gone as (select * from entries order by number desc limit 1),
lines as (
    delete from postings using gone
    where postings.operation_id = gone.operation_id and postings.step = gone.step
    returning postings.account, postings.amount
),
entry as (delete from entries using gone where entries.operation_id = gone.operation_id)
update accounts set balance = balance - amount, version = version - 1
from lines where accounts.code = lines.account
"""

# What was done, and the check that finds it.
TAMPERINGS = {
    "an amount on both sides, and every balance after it": (RAISE_BOTH_SIDES, "entries_chained"),
    "the kind of an entry": (
        "update entries set kind = 'payment_completed' where kind = 'transfer'",
        "entries_chained",
    ),
    "the moment of an entry and its lines": (
        "with moved as (update entries set at = at - interval '1 second' where number = 2"
        " returning operation_id) update postings set at = at - interval '1 second'"
        " from moved where postings.operation_id = moved.operation_id",
        "entries_chained",
    ),
    "two entries that changed their places": (
        "update entries set number = 5 - number where number in (2, 3)",
        "entries_chained",
    ),
    "a line given to another account of the same balance": (
        "update postings set account = 'wallet:COG' where account = 'wallet:GAB'",
        "entries_chained",
    ),
    "the last entry taken away, and every balance with it": (
        REMOVE_THE_LAST_ENTRY,
        "journals_end",
    ),
    "an entry taken away from the middle": (
        "with gone as (delete from entries where number = 2 returning operation_id)"
        " delete from postings using gone where postings.operation_id = gone.operation_id",
        "entries_chained",
    ),
    "a balance": ("update accounts set balance = balance + 100", "balances_recomputed"),
    "a line's balance": (
        "update postings set balance_after = balance_after + 1 where version = 1",
        "chains_unbroken",
    ),
    "a line without its entry": (
        "delete from entries where number = 1",
        "entries_whole",
    ),
    "one line of an entry": (
        "delete from postings where account = 'wallet:GAB' and version = 1",
        "entries_balance",
    ),
    "a currency": (
        "update postings set currency = 'XOF' where account = 'wallet:GAB'",
        "accounts_known",
    ),
    "a wallet that was once below zero": (
        "alter table postings drop constraint postings_floor;"
        "update postings set balance_after = -1 where account = 'wallet:GAB' and version = 1",
        "floors_hold",
    ),
    "a closing without its opening": (
        "update entries set step = 2, kind = 'payout_completed' where kind = 'transfer'",
        "closings_have_openings",
    ),
    "the head of a journal": (
        "update journals set hash = sha256(hash) where entries > 0",
        "journals_end",
    ),
}


@pytest.fixture
async def books(merchant: Merchant, database_url: str) -> AsyncIterator[Connection]:
    """The owner's connection to books with a payment and three transfers, and no trigger at all."""
    await merchant.collect(10_000)
    for _ in range(3):
        await merchant.transfer(destinationCountry="GAB", amount=1_000)
    connection = await asyncpg.connect(database_url)
    await connection.execute("set session_replication_role = replica")
    yield connection
    await connection.close()


async def broken(url: str, earlier: Heads | None = None) -> set[str]:
    """The names of the checks that find something."""
    found = verify(url, earlier=earlier)
    return {finding.check.name async for finding in found if finding.broken}


async def test_books_that_nobody_touched_are_sound(books: Connection, database_url: str) -> None:
    assert await books.fetchval("select count(*) from entries") == 4
    assert await broken(database_url) == set()


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_a_change_is_found(books: Connection, database_url: str, what: str) -> None:
    sql, check = TAMPERINGS[what]
    await books.execute(sql)

    assert check in await broken(database_url)


async def test_an_administrator_who_works_out_one_hash_again_is_found_by_the_next(
    books: Connection, database_url: str
) -> None:
    await books.execute("update entries set kind = 'payment_completed' where number = 2")
    await books.execute(
        """
        update entries set hash = entry_hash(
            earlier.hash, entries.operation_id, entries.step, entries.kind, entries.at, (
                select string_agg(
                    posting_text(account, currency, amount, version, balance_after), ''
                    order by account
                )
                from postings where postings.operation_id = entries.operation_id
            )
        )
        from entries as earlier where entries.number = 2 and earlier.number = 1
        """
    )

    found = [finding async for finding in verify(database_url) if finding.broken]

    (chained,) = [finding for finding in found if finding.check.name == "entries_chained"]
    assert [row["number"] for row in chained.rows] == [3]


async def test_an_administrator_who_works_out_every_hash_again_is_found_by_an_earlier_report(
    books: Connection, database_url: str
) -> None:
    earlier = Heads.read({"journals": (await journal_ends(database_url)).report()})
    assert await broken(database_url, earlier) == set()

    # The last entry, its hash and the end of the journal: inside the database all of it fits.
    await books.execute("update entries set kind = 'payment_completed' where number = 4")
    await books.execute(
        """
        with again as (
            update entries set hash = entry_hash(
                earlier.hash, entries.operation_id, entries.step, entries.kind, entries.at, (
                    select string_agg(
                        posting_text(account, currency, amount, version, balance_after), ''
                        order by account
                    )
                    from postings where postings.operation_id = entries.operation_id
                )
            )
            from entries as earlier where entries.number = 4 and earlier.number = 3
            returning entries.*
        )
        update journals set hash = again.hash from again
        where journals.application_id = again.application_id
            and journals.environment = again.environment
        """
    )

    assert "entries_chained" not in await broken(database_url)
    assert "earlier_ends_kept" in await broken(database_url, earlier)


async def test_many_rows_are_counted_and_a_few_are_shown(
    books: Connection, database_url: str
) -> None:
    await books.execute("update entries set hash = ''")
    await books.execute(
        "insert into entries select application_id, environment, gen_random_uuid(), step, kind, at,"
        " 1, '' from entries, generate_series(1, 10) where number = 1"
    )

    (chained,) = [
        finding async for finding in verify(database_url) if finding.check.name == "entries_chained"
    ]

    assert (chained.broken, len(chained.rows)) == (14, 10)


async def test_a_journal_is_read_whole_whatever_a_window_holds(
    merchant: Merchant, clock: ManualClock, database_url: str
) -> None:
    """Entries over a day and a year: each is in one window, and windows follow one another."""
    await merchant.collect(100_000)

    async def move() -> None:
        made = await merchant.transfer(destinationCountry="GAB")
        assert made.status == 201, made.raw

    for number in range(9):
        clock.advance(hours=number, seconds=number)
        await merchant.renew_token()
        await move()
    clock.advance(days=365)
    await merchant.renew_token()
    await asyncio.gather(*(move() for _ in range(5)))

    connection = await asyncpg.connect(database_url)
    try:
        for size in (1, 3, 100):
            read = [window async for window in journal.windows(connection, size)]
            assert sum(window.entries for window in read) == 15
            assert all(one.end == next_.start for one, next_ in itertools.pairwise(read))
    finally:
        await connection.close()
    assert await broken(database_url) == set()
