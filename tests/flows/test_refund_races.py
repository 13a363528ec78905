"""Refunds under pressure: many at once, in one process and in two, against each other and others.

After each test every balance is the sum of its postings and `kpay verify` finds nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.flows.test_concurrency import CALLERS, at_once, seated, statuses
from tests.houses import opened
from tests.soundness import assert_sound

REFUNDS = "/api/v1/payments/refunds"


@pytest.fixture(autouse=True)
async def sound(database_url: str) -> AsyncIterator[None]:
    """Whatever was tried on them, the books are right."""
    yield
    await assert_sound(database_url)


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
async def seats(
    request: pytest.FixtureRequest, merchant: Merchant, settings: Settings, clock: ManualClock
) -> AsyncIterator[list[Merchant]]:
    """One merchant at as many processes as there are, with 95,000 in Cameroon."""
    await merchant.collect(100_000)
    if request.param == 1:
        yield [merchant]
        return
    async with opened(settings, clock) as other:
        yield [merchant, seated(merchant, other)]


async def cancel(merchant: Merchant, refund: Answer) -> Answer:
    return await merchant.keys.send("POST", f"{REFUNDS}/{refund['id']}/cancel")


async def drained(seats: Sequence[Merchant]) -> dict[str, tuple[object, object]]:
    """What the wallets hold when every process has done all that is due."""
    await asyncio.gather(*(seat.house.worker.run_until_idle() for seat in seats))
    return await seats[0].wallets()


async def test_a_payment_is_refunded_once_however_many_ask_for_it(seats: list[Merchant]) -> None:
    payment = await seats[0].collect(10_000)

    async def refund(merchant: Merchant) -> Answer:
        return await merchant.refund(payment)

    answers = await at_once(seats, CALLERS, refund)

    assert statuses(answers) == {201: 1, 409: CALLERS - 1}
    (accepted,) = (answer for answer in answers if answer.status == 201)
    assert {
        (answer["code"], answer["existingId"]) for answer in answers if answer.status == 409
    } == {("refund_exists", accepted["id"])}
    assert await drained(seats) == {"CMR": (94_500, 0)}
    assert statuses(await at_once(seats, 4, refund)) == {409: 4}


async def test_a_replay_with_the_same_external_id_is_accepted_once(seats: list[Merchant]) -> None:
    payment = await seats[0].collect(10_000)

    async def refund(merchant: Merchant) -> Answer:
        return await merchant.refund(payment, externalId="ONE")

    answers = await at_once(seats, CALLERS, refund)

    assert statuses(answers) == {201: 1, 409: CALLERS - 1}
    assert {answer["code"] for answer in answers if answer.status == 409} == {"external_id_used"}
    assert await drained(seats) == {"CMR": (94_500, 0)}


async def test_one_external_id_refunds_one_of_many_payments(seats: list[Merchant]) -> None:
    payments = [await seats[0].pay(amount=1_000) for _ in range(20)]
    await drained(seats)

    answers = await asyncio.gather(
        *(
            seats[number % len(seats)].refund(payment, externalId="ONE")
            for number, payment in enumerate(payments)
        )
    )

    assert statuses(answers) == {201: 1, 409: 19}
    assert {answer["code"] for answer in answers if answer.status == 409} == {"external_id_used"}
    assert await drained(seats) == {"CMR": (95_000 + 20 * 950 - 1_000, 0)}


async def test_a_refund_that_failed_is_followed_by_one_and_no_more(seats: list[Merchant]) -> None:
    payment = await seats[0].collect(10_000)
    first = await seats[0].refund(payment)
    await cancel(seats[0], first)

    async def refund(merchant: Merchant) -> Answer:
        return await merchant.refund(payment)

    assert statuses(await at_once(seats, CALLERS, refund)) == {201: 1, 409: CALLERS - 1}
    assert await drained(seats) == {"CMR": (94_500, 0)}


async def test_refunds_and_payouts_take_the_last_of_a_wallet_and_not_more(
    seats: list[Merchant],
) -> None:
    here = seats[0]
    payments = [await here.pay(amount=1_000) for _ in range(20)]
    await drained(seats)
    assert (await here.withdraw(amount=95_000 + 20 * 950 - 15_000)).status == 201
    waiting = list(payments)

    async def refund(merchant: Merchant) -> Answer:
        return await merchant.refund(waiting.pop())

    answers = await at_once(seats, 40, refund, Merchant.withdraw)

    # 15,000 are left for twenty of each, at 1,000 apiece.
    assert statuses(answers) == {201: 15, 422: 25}
    assert {answer["code"] for answer in answers if answer.status == 422} <= {
        *("refund_exceeds_balance", "withdrawal_exceeds_balance"),
    }
    assert await drained(seats) == {"CMR": (0, 0)}


async def test_either_the_cancellation_or_the_worker_wins(seats: list[Merchant]) -> None:
    here, there = seats[0], seats[-1]
    payments = [await here.pay(amount=1_000) for _ in range(20)]
    await drained(seats)
    made = [await here.refund(payment) for payment in payments]

    working = asyncio.create_task(there.house.worker.run_until_idle())
    answers = await asyncio.gather(*(cancel(here, refund) for refund in made[:10]))
    await working
    answers += [await cancel(here, refund) for refund in made[10:]]

    ends = [(await here.refunded(refund))["status"] for refund in made]
    of_answer = {200: "CANCELLED", 409: "COMPLETED"}
    assert ends == [of_answer[answer.status] for answer in answers]
    given_back = ends.count("COMPLETED")
    assert given_back >= 10
    assert await drained(seats) == {"CMR": (95_000 + 20 * 950 - given_back * 1_000, 0)}


async def test_a_payment_that_is_being_settled_is_refunded_when_it_is_complete_and_not_before(
    seats: list[Merchant],
) -> None:
    here, there = seats[0], seats[-1]
    payments = [await here.pay(amount=1_000) for _ in range(20)]

    working = asyncio.create_task(there.house.worker.run_until_idle())
    answers = await asyncio.gather(*(here.refund(payment) for payment in payments))
    await working

    assert {answer.status for answer in answers} <= {201, 409}
    assert {answer["code"] for answer in answers if answer.status == 409} <= {"not_refundable"}
    accepted = statuses(answers).get(201, 0)
    assert await drained(seats) == {"CMR": (95_000 + 20 * 950 - accepted * 1_000, 0)}


async def test_a_refund_is_given_back_once_however_many_workers_there_are(
    seats: list[Merchant],
) -> None:
    payments = [await seats[0].pay(amount=1_000) for _ in range(20)]
    await drained(seats)
    made = [await seats[0].refund(payment) for payment in payments]

    await asyncio.gather(*(seats[n % len(seats)].house.worker.step() for n in range(8)))

    wallets = await drained(seats)
    ends = [await seats[0].refunded(refund) for refund in made]
    assert {(end["status"], len(end["attempts"])) for end in ends} == {("COMPLETED", 1)}
    assert wallets == {"CMR": (95_000 + 20 * 950 - 20 * 1_000, 0)}
