"""A rail that hangs holds its share of the places, and what goes by another one goes on.

The worker claims as there is room, and does not wait for the ends of what it has begun.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sized

import pytest

from kpay.app import House
from kpay.connectors.model import Instruction, Outcome, Paid, Unknown
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.instructions import work
from kpay.instructions.bulkheads import Bulkheads
from tests.client import Answer, Merchant
from tests.rails import ScriptedRail

BOUND_SECONDS = 20


class HangingRail(ScriptedRail):
    """Answers nothing until it is let go; then it has paid."""

    name = "hanging"

    def __init__(self) -> None:
        self.let_go = asyncio.Event()
        self.under_way = self.most_under_way = 0
        super().__init__(otherwise=self._hang)

    async def _hang(self, _instruction: Instruction) -> Outcome:
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await self.let_go.wait()
        finally:
            self.under_way -= 1
        return Paid()


@pytest.fixture
def hanging(house: House) -> HangingRail:
    """It serves MTN; Orange goes by one that answers at once. Four places each, six in all."""
    rail, quick = HangingRail(), ScriptedRail()
    house.routing.serve(
        Environment.TEST,
        {rail.name: rail, quick.name: quick},
        {"MTN_MOMO_CMR": rail.name, "ORANGE_CMR": quick.name},
    )
    house.payouts.attempting.bulkheads = Bulkheads(most=6, most_at_one_rail=4, worthwhile=1)
    return rail


async def by_the_other(merchant: Merchant) -> Answer:
    return await merchant.withdraw(provider="ORANGE_CMR")


async def until(come: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(BOUND_SECONDS):
        while not await come():
            continue


def completes(merchant: Merchant, *payouts: Answer) -> Callable[[], Awaitable[bool]]:
    async def come() -> bool:
        found = [await merchant.payout(payout) for payout in payouts]
        return all(one["status"] == "COMPLETED" for one in found)

    return come


def going_on(house: House, come: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
    """As the loop in service does: what is due is claimed whenever there is a place for it."""

    async def went_on() -> bool:
        await house.payouts.attempting.go_on(200)
        return await come()

    return went_on


async def test_what_goes_by_another_rail_goes_on_behind_one_that_hangs(
    funded: Merchant, house: House, hanging: HangingRail
) -> None:
    stuck = [await funded.withdraw() for _ in range(10)]
    others = [await by_the_other(funded) for _ in range(5)]

    # All of the first claims may be for the one that hangs; it gets four, and no more.
    await until(going_on(house, completes(funded, *others)))
    assert hanging.under_way == hanging.most_under_way == 4
    # What has no place yet was not claimed, so it can still be called back.
    standing = [(await funded.payout(one))["status"] for one in stuck]
    assert standing == ["PROCESSING"] * 4 + ["PENDING"] * 6
    cancelled = await funded.keys.send(
        "POST", f"/api/v1/payments/withdraw/{stuck[-1]['id']}/cancel"
    )
    assert cancelled["status"] == "CANCELLED"

    hanging.let_go.set()
    await until(going_on(house, completes(funded, *stuck[:-1])))
    assert hanging.most_under_way == 4
    assert await funded.wallets() == {"CMR": (95_000 - 14_000, 0)}


async def test_places_are_taken_again_one_by_one_as_answers_come(
    funded: Merchant, house: House, hanging: HangingRail
) -> None:
    answers: list[asyncio.Future[Outcome]] = []

    async def when_told(_instruction: Instruction) -> Outcome:
        answers.append(asyncio.get_running_loop().create_future())
        return await answers[-1]

    hanging.otherwise = when_told
    payouts = [await funded.withdraw() for _ in range(6)]
    await until(going_on(house, called(answers, 4)))

    answers[2].set_result(Paid())
    await until(completes(funded, payouts[2]))
    # The others hang on, and the next one is not kept waiting for them.
    await until(going_on(house, called(answers, 5)))
    assert len(answers) == 5

    for answer in answers:
        if not answer.done():
            answer.set_result(Paid())
    await until(completes(funded, *payouts[:5]))
    assert (await funded.payout(payouts[5]))["status"] == "PENDING"


def called(answers: Sized, count: int) -> Callable[[], Awaitable[bool]]:
    async def come() -> bool:
        # They come while others run.
        await asyncio.sleep(0)
        return len(answers) >= count

    return come


async def test_nothing_is_claimed_while_every_place_is_taken(
    funded: Merchant, house: House, hanging: HangingRail, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(work, "_LOOK_AGAIN_SECONDS", 0.01)
    house.payouts.attempting.bulkheads = Bulkheads(most=2, most_at_one_rail=2, worthwhile=1)
    for _ in range(2):
        await funded.withdraw()
    assert await house.payouts.attempting.go_on(200) == 2
    other = await by_the_other(funded)

    assert await house.payouts.attempting.go_on(200) == 0

    assert (await funded.payout(other))["status"] == "PENDING"
    hanging.let_go.set()
    await until(going_on(house, completes(funded, other)))


async def test_the_worker_in_service_does_the_same(
    funded: Merchant, house: House, hanging: HangingRail
) -> None:
    stuck = [await funded.withdraw() for _ in range(10)]
    house.worker.start()
    # Asked for while the first rail hangs already.
    others = [await by_the_other(funded) for _ in range(5)]

    await until(completes(funded, *others))
    assert hanging.most_under_way == 4

    hanging.let_go.set()
    await until(completes(funded, *stuck))
    assert hanging.most_under_way == 4


async def test_what_is_under_way_when_it_is_told_to_stop_is_waited_for_and_written_down(
    funded: Merchant, house: House, hanging: HangingRail
) -> None:
    payout = await funded.withdraw()
    house.worker.start()

    async def is_called() -> bool:
        await asyncio.sleep(0)
        return hanging.under_way == 1

    await until(is_called)
    await house.worker.stop()
    stopping = asyncio.create_task(house.payouts.attempting.stop())
    await asyncio.sleep(0)
    assert not stopping.done()

    hanging.let_go.set()
    await stopping

    assert await funded.attempts(payout) == [("submit", "paid")]
    assert await funded.wallets() == {"CMR": (94_000, 0)}


async def test_what_hangs_for_longer_than_a_stop_may_take_is_cut_off_and_asked_about_later(
    funded: Merchant,
    house: House,
    hanging: HangingRail,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(work, "_DRAIN_SECONDS", 0.01)
    payout = await funded.withdraw()
    await house.payouts.attempting.go_on(200)

    await house.payouts.attempting.stop()

    assert hanging.under_way == 0
    assert await funded.attempts(payout) == [("submit", None)]
    assert await funded.wallets() == {"CMR": (94_000, 1_000)}
    hanging.let_go.set()
    clock.advance(minutes=1)
    await house.worker.run_until_idle()
    assert hanging.verbs == ["submit", "check"]
    assert await funded.wallets() == {"CMR": (94_000, 0)}


async def test_one_that_cannot_be_recorded_leaves_its_place(
    funded: Merchant, house: House, hanging: HangingRail, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def breaks(*_: object) -> None:
        raise ValueError("a defect")

    hanging.otherwise = Unknown("lost")
    attempting = house.payouts.attempting
    monkeypatch.setattr(attempting, "_record", breaks)
    payout = await funded.withdraw()

    assert await attempting.round(200) == 1

    assert attempting.bulkheads.held((Environment.TEST, hanging.name)) == 0
    assert await funded.attempts(payout) == [("submit", None)]
