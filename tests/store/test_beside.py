"""What is written beside an operation: with it in one transaction, or neither of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from uuid import uuid4

import pytest

from kpay.core.clock import ManualClock
from kpay.core.keyed import Keyed
from kpay.database.pool import Connection
from kpay.idempotency import store as keys
from kpay.ledger.fence import Beside
from kpay.ledger.model import POSTED, Entry, Order, Reason, Verdict
from tests.books import open_books
from tests.soundness import assert_balances_are_sums
from tests.store.test_poster import BOOK, Till, open_till, transfer


@pytest.fixture
async def till(database_url: str, clock: ManualClock) -> AsyncIterator[Till]:
    """A till at work, with 10 in Cameroon's wallet and room for what is written beside."""
    await open_books(database_url, BOOK)
    made = await open_till(database_url, clock)
    await made.database.execute("create table deeds (who text not null)")
    made.poster.start()
    await made.collect(1_000)
    yield made
    await made.poster.stop()
    await made.database.close()
    await assert_balances_are_sums(database_url)


async def attempt(till: Till, clock: ManualClock) -> Keyed:
    """The right to carry out a request that nobody else has sent."""
    now = clock.now()
    claimed = await keys.claim(
        till.database, BOOK, f"{uuid4()}", b"", uuid4(), now=now, until=now + timedelta(minutes=1)
    )
    assert claimed is not None
    return claimed


def by(who: str) -> Beside:
    """Writes who it was."""

    async def write(connection: Connection) -> None:
        await connection.execute("insert into deeds values ($1)", who)

    return write


async def deeds(till: Till) -> list[str]:
    return [row["who"] for row in await till.database.fetch("select who from deeds order by who")]


async def test_it_is_written_for_what_is_posted_and_for_nothing_else(
    till: Till, clock: ManualClock
) -> None:
    async def post(name: str, entry: Entry, beside: Beside | None) -> Verdict:
        order = Order(BOOK, entry, name)
        return await till.poster.post(order, till.notes, await attempt(till, clock), beside)

    # All in one batch: the second cannot be afforded, and nobody is named for the third.
    till.notes.hold()
    verdicts = asyncio.gather(
        post("a", transfer(100), by("awa")),
        post("b", transfer(5_000), by("binta")),
        post("c", transfer(100), None),
        post("d", transfer(100), by("dado")),
    )
    await till.notes.reached.wait()
    till.notes.gate.set()

    assert list(await verdicts) == [POSTED, Verdict(Reason.SHORT_FUNDS), POSTED, POSTED]
    assert await deeds(till) == ["awa", "dado"]
    assert await till.balance() == 700


async def test_what_cannot_be_written_beside_it_keeps_it_from_being_posted_alone(
    till: Till, clock: ManualClock
) -> None:
    async def fail(connection: Connection) -> None:
        await connection.execute("insert into deeds values (null)")

    failing, sound = [
        till.poster.post(
            Order(BOOK, transfer(100), name), till.notes, await attempt(till, clock), beside
        )
        for name, beside in (("a", fail), ("b", by("binta")))
    ]
    found = await asyncio.gather(failing, sound, return_exceptions=True)

    assert isinstance(found[0], Exception)
    assert found[1] == POSTED
    assert await till.names() == {"b"}
    assert await deeds(till) == ["binta"]
    assert await till.balance() == 900


async def test_an_attempt_that_was_overtaken_writes_neither(till: Till, clock: ManualClock) -> None:
    held = await attempt(till, clock)
    late = Keyed(BOOK, held.key, held.attempt + 1, held.operation_id)

    with pytest.raises(Exception, match="being carried out"):
        await till.poster.post(Order(BOOK, transfer(100), "a"), till.notes, late, by("awa"))

    assert await deeds(till) == []
    assert await till.balance() == 1_000


async def test_without_a_key_there_is_no_transaction_to_write_it_in(till: Till) -> None:
    with pytest.raises(ValueError, match="has a key"):
        await till.poster.post(Order(BOOK, transfer(100), "a"), till.notes, None, by("awa"))
    assert await till.balance() == 1_000
