"""Attempts are numbered by their operation, inquiries among them: no two ever have one number.

What a rail has refused before is asked about while its operation goes on elsewhere, by processes
that know nothing of each other.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import TypeAlias

import asyncpg
import pytest

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.connectors.model import Accepted, Refused
from kpay.core.clock import ManualClock
from kpay.instructions import store
from kpay.instructions.model import CLAIM
from tests.client import Answer, Merchant
from tests.flows.test_faults import until_somebody_waits_for_a_lock
from tests.hosted import PAYS, Visitor, init
from tests.soundness import assert_sound
from tests.two_rails import DOWN, TwoRails

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"


@pytest.fixture
async def other(database_url: str) -> AsyncIterator[Connection]:
    """Another process, which takes its time between its statements."""
    connection = await asyncpg.connect(database_url)
    yield connection
    await connection.close()


@pytest.fixture
async def rails(house: House, clock: ManualClock) -> TwoRails:
    """The first has refused everything, and the second has it under way."""
    rails = TwoRails.serve(house, clock, [])
    rails.first.otherwise = DOWN
    rails.second.otherwise = Accepted()
    return rails


async def numbered(merchant: Merchant, made: Answer) -> list[tuple[int, str, str]]:
    """Each attempt's number, rail and action."""
    attempts = (await merchant.payout(made))["attempts"]
    return [(one["number"], one["connector"], one["action"]) for one in attempts]


async def claim_inquiries(
    connection: Connection, clock: ManualClock, limit: int = 10
) -> list[asyncpg.Record]:
    now = clock.now()
    return await connection.fetch(store.SQL["claim_inquiries"], now, limit, now + CLAIM)


async def gone_on(merchant: Merchant, rails: TwoRails) -> Answer:
    """A payout that the second rail has, when both rails are to be asked about it."""
    made = await merchant.withdraw(amount=10_000)
    await rails.works()
    rails.clock.advance(minutes=15)
    return made


async def test_while_one_process_begins_an_inquiry_another_begins_nothing_with_it(
    funded: Merchant, house: House, clock: ManualClock, rails: TwoRails, other: Connection
) -> None:
    made = await gone_on(funded, rails)
    async with other.transaction():
        assert [row["number"] for row in await claim_inquiries(other, clock)] == [3]
        assert await house.rails.claim(OperationType.PAYOUT, 10) == []
        assert await house.inquiries.work(10) == 0

    (claim,) = await house.rails.claim(OperationType.PAYOUT, 10)
    assert claim.number == 4
    assert await numbered(funded, made) == [
        (1, "first", "submit"),
        (2, "second", "submit"),
        (3, "first", "check"),
        (4, "second", "check"),
    ]


async def test_while_one_process_begins_an_attempt_another_begins_no_inquiry(
    funded: Merchant, house: House, clock: ManualClock, rails: TwoRails, other: Connection
) -> None:
    made = await gone_on(funded, rails)
    now = clock.now()
    async with other.transaction():
        claimed = await other.fetch(
            store.SQL["claim"], now, OperationType.PAYOUT, 10, now + CLAIM, "{}", []
        )
        assert [row["number"] for row in claimed] == [3]
        assert await house.inquiries.work(10) == 0

    assert await house.inquiries.work(10) == 1
    assert (await numbered(funded, made))[2:] == [(3, "second", "check"), (4, "first", "check")]


async def test_a_number_that_another_process_has_just_taken_is_not_used_and_it_is_asked_later(
    funded: Merchant,
    house: House,
    clock: ManualClock,
    rails: TwoRails,
    other: Connection,
    database_url: str,
) -> None:
    """What has ended counts nothing more: the other's attempt is not seen until it is committed."""
    rails.second.otherwise = Refused("RECIPIENT_NOT_FOUND")
    made = await gone_on(funded, rails)
    assert (await funded.payout(made))["status"] == "FAILED"
    async with other.transaction():
        await other.execute(
            "insert into attempts (application_id, environment, instruction_id, number, action,"
            " connector, sent, sent_at)"
            " select application_id, environment, instruction_id, 3, 'check', connector, sent, $1"
            " from attempts where number = 1",
            clock.now(),
        )
        asking = asyncio.create_task(house.inquiries.work(10))
        await until_somebody_waits_for_a_lock(house)
    assert await asking == 0
    assert len(await numbered(funded, made)) == 3

    clock.advance(seconds=CLAIM // timedelta(seconds=1))
    assert await house.inquiries.work(10) == 1
    assert (await numbered(funded, made))[2:] == [(3, "first", "check"), (4, "first", "check")]
    await assert_sound(database_url)


async def test_two_inquiries_of_one_operation_have_two_numbers(
    merchant: Merchant, house: House, clock: ManualClock, rails: TwoRails, database_url: str
) -> None:
    """Each choice of a page was at the first rail before it was at the second."""
    rails.second.script.append(Refused("PAYER_LIMIT_REACHED"))
    made = await init(merchant)
    visitor = Visitor.at(merchant, made)
    for _ in range(2):
        await visitor.choose("MTN_MOMO_CMR", PAYS)
        await rails.works()
    assert await visitor.state() == "waiting"
    await rails.works(minutes=15)

    attempts = (await merchant.payment(made))["attempts"]
    assert [one["number"] for one in attempts] == list(range(1, len(attempts) + 1))
    asked = [one.reference for verb, one in rails.first.asked if verb == "check"]
    assert len(asked) == len(set(asked)) == 2
    rails.second.otherwise = DOWN
    await rails.works(minutes=15)
    assert (await merchant.payment(made))["status"] in {"FAILED", "PENDING"}
    await assert_sound(database_url)


async def test_processes_that_ask_at_once_use_every_number_once(
    funded: Merchant, house: House, rails: TwoRails, database_url: str
) -> None:
    made = [await funded.withdraw(amount=1_000 + number) for number in range(8)]
    await rails.works()
    for _ in range(4):
        rails.clock.advance(minutes=15)
        await asyncio.gather(
            *(house.inquiries.work(3) for _ in range(4)), *(house.payouts.work(5) for _ in range(3))
        )
        await house.database.execute("update inquiries set due_at = $1", rails.clock.now())
    await rails.works()

    for one in made:
        attempts = await numbered(funded, one)
        assert [number for number, _, _ in attempts] == list(range(1, len(attempts) + 1))
        asked = [rail for _, rail, action in attempts if action == "check"]
        assert {"first", "second"} == set(asked)
    await assert_sound(database_url)
