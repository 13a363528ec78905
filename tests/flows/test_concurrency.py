"""Promises 3 and 4 under pressure: many callers at once, in one process and in two on one database.

After each test every balance is the sum of its postings and `kpay verify` finds nothing.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant
from tests.houses import opened
from tests.soundness import assert_sound

Send: TypeAlias = Callable[[Merchant], Awaitable[Answer]]

CALLERS = 64


@pytest.fixture(autouse=True)
async def sound(database_url: str) -> AsyncIterator[None]:
    """Whatever was tried on them, the books are right."""
    yield
    await assert_sound(database_url)


@pytest.fixture(params=[1, 2], ids=["one process", "two processes"])
async def seats(
    request: pytest.FixtureRequest, merchant: Merchant, settings: Settings, clock: ManualClock
) -> AsyncIterator[list[Merchant]]:
    """One merchant at as many processes as there are, with 95,000 in Cameroon and in Gabon."""
    for country in ("CMR", "GAB"):
        await merchant.collect(100_000, country)
    if request.param == 1:
        yield [merchant]
        return
    async with opened(settings, clock) as other:
        yield [merchant, seated(merchant, other)]


def seated(merchant: Merchant, house: House) -> Merchant:
    """The same merchant, with the same keys and token, at another process."""
    api = house.asgi()
    return replace(
        merchant,
        house=house,
        api=api,
        keys=Browser(api, dict(merchant.keys.headers)),
        token=Browser(api, dict(merchant.token.headers)),
    )


async def at_once(seats: Sequence[Merchant], count: int, *sends: Send) -> list[Answer]:
    """So many calls at the same time, dealt out over the processes, each kind of call in turn."""
    return await asyncio.gather(
        *(
            sends[number % len(sends)](seats[number // len(sends) % len(seats)])
            for number in range(count)
        )
    )


def statuses(answers: Sequence[Answer]) -> dict[int, int]:
    return dict(Counter(answer.status for answer in answers))


async def transfer_once(merchant: Merchant) -> Answer:
    return await merchant.transfer(destinationCountry="GAB", externalId="ONE")


async def withdraw_once(merchant: Merchant) -> Answer:
    return await merchant.withdraw(externalId="ONE")


async def pay_once(merchant: Merchant) -> Answer:
    return await merchant.pay(externalId="ONE")


async def cancel(merchant: Merchant, withdrawal: Answer) -> Answer:
    return await merchant.keys.send("POST", f"/api/v1/payments/withdraw/{withdrawal['id']}/cancel")


# What is available and what is reserved, by country, when it happened once and all work is done.
ONCE: dict[Send, dict[str, tuple[int, int]]] = {
    transfer_once: {"CMR": (94_000, 0), "GAB": (96_000, 0)},
    withdraw_once: {"CMR": (94_000, 0), "GAB": (95_000, 0)},
    pay_once: {"CMR": (95_950, 0), "GAB": (95_000, 0)},
}


@pytest.mark.parametrize("send", ONCE)
async def test_one_external_id_is_accepted_once_however_many_send_it(
    seats: list[Merchant], send: Send
) -> None:
    answers = await at_once(seats, CALLERS, send)

    assert statuses(answers) == {201: 1, 409: CALLERS - 1}
    (accepted,) = (answer for answer in answers if answer.status == 201)
    refused = [answer.json for answer in answers if answer.status == 409]
    assert {(body["code"], body["existingId"]) for body in refused} == {
        ("external_id_used", accepted["id"])
    }
    await seats[0].house.worker.run_until_idle()
    assert await seats[0].wallets() == ONCE[send]


async def test_an_external_id_that_failed_is_accepted_once_more(seats: list[Merchant]) -> None:
    async def to_nobody(merchant: Merchant) -> Answer:
        return await merchant.withdraw(externalId="ONE", phoneNumber="237653456089")

    for _ in range(2):
        assert statuses(await at_once(seats, CALLERS, to_nobody)) == {201: 1, 409: CALLERS - 1}
        await seats[0].house.worker.run_until_idle()
        assert await seats[0].wallets() == {"CMR": (95_000, 0), "GAB": (95_000, 0)}


async def test_transfers_beyond_a_wallet_succeed_until_it_is_empty(seats: list[Merchant]) -> None:
    async def send(merchant: Merchant) -> Answer:
        return await merchant.transfer(destinationCountry="GAB")

    answers = await at_once(seats, 300, send)

    assert statuses(answers) == {201: 95, 400: 205}
    assert {answer["code"] for answer in answers if answer.status == 400} == {
        "transfer_exceeds_balance"
    }
    assert await seats[0].wallets() == {"CMR": (0, 0), "GAB": (190_000, 0)}


async def test_withdrawals_beyond_a_wallet_are_held_until_it_is_empty(
    seats: list[Merchant],
) -> None:
    answers = await at_once(seats, 300, Merchant.withdraw)

    assert statuses(answers) == {201: 95, 422: 205}
    assert await seats[0].wallets() == {"CMR": (0, 95_000), "GAB": (95_000, 0)}

    await asyncio.gather(*(seat.house.worker.run_until_idle() for seat in seats))
    assert await seats[0].wallets() == {"CMR": (0, 0), "GAB": (95_000, 0)}


async def test_transfers_in_opposite_directions_all_succeed(seats: list[Merchant]) -> None:
    async def there(merchant: Merchant) -> Answer:
        return await merchant.transfer(sourceCountry="CMR", destinationCountry="GAB", amount=100)

    async def back(merchant: Merchant) -> Answer:
        return await merchant.transfer(sourceCountry="GAB", destinationCountry="CMR", amount=100)

    answers = await at_once(seats, 400, there, back)

    assert statuses(answers) == {201: 400}
    assert await seats[0].wallets() == {"CMR": (95_000, 0), "GAB": (95_000, 0)}


async def test_transfers_payments_and_withdrawals_at_once_leave_the_books_right(
    seats: list[Merchant],
) -> None:
    async def abroad(merchant: Merchant) -> Answer:
        return await merchant.transfer(destinationCountry="SEN")

    async def collect(merchant: Merchant) -> Answer:
        return await merchant.collect(1000)

    answers = await at_once(seats, 90, abroad, collect, Merchant.withdraw)
    await seats[0].house.worker.run_until_idle()

    assert statuses(answers) == {201: 60, 200: 30}
    assert (await seats[0].wallets())["CMR"] == (95_000 + 30 * 950 - 60 * 1_000, 0)


# Cancelling.


async def test_either_the_cancellation_or_the_worker_wins(seats: list[Merchant]) -> None:
    here, there = seats[0], seats[-1]
    made = [await here.withdraw() for _ in range(40)]

    working = asyncio.create_task(there.house.worker.run_until_idle())
    answers = await asyncio.gather(*(cancel(here, withdrawal) for withdrawal in made[:20]))
    await working
    answers += [await cancel(here, withdrawal) for withdrawal in made[20:]]

    ends = [(await here.payout(withdrawal))["status"] for withdrawal in made]
    of_answer = {200: "CANCELLED", 409: "COMPLETED"}
    assert ends == [of_answer[answer.status] for answer in answers]
    paid = ends.count("COMPLETED")
    assert (await here.wallets())["CMR"] == (95_000 - paid * 1_000, 0)


async def test_a_withdrawal_is_cancelled_once_however_many_ask_for_it(
    seats: list[Merchant],
) -> None:
    withdrawal = await seats[0].withdraw()

    async def send(merchant: Merchant) -> Answer:
        return await cancel(merchant, withdrawal)

    answers = await at_once(seats, CALLERS, send)

    assert statuses(answers) == {200: 1, 409: CALLERS - 1}
    assert (await seats[0].wallets())["CMR"] == (95_000, 0)


async def test_a_withdrawal_is_paid_once_however_many_workers_there_are(
    seats: list[Merchant],
) -> None:
    made = [await seats[0].withdraw() for _ in range(30)]

    await asyncio.gather(*(seats[n % len(seats)].house.worker.step() for n in range(8)))
    await seats[0].house.worker.run_until_idle()

    ends = [await seats[0].payout(withdrawal) for withdrawal in made]
    assert {(end["status"], len(end["attempts"])) for end in ends} == {("COMPLETED", 1)}
    assert (await seats[0].wallets())["CMR"] == (95_000 - 30 * 1_000, 0)
