"""The soak of `python -m soak.rail`, a small one, and that it would notice."""

from __future__ import annotations

import random

import pytest
from soak.rail import START, TOKEN, BrokenError, Payout, compare, made, play

from kpay.catalogue.model import OperationType
from kpay.core.clock import ManualClock
from kpay.rail_simulator.books import Order, Status
from kpay.rail_simulator.server import Options, Simulator
from kpay.rail_simulator.wire import read_request


async def test_a_merchant_at_the_worst_rail_pays_each_at_most_once() -> None:
    ends = (await play(150, 3)).ends

    assert ends.total() == 150
    assert ends["COMPLETED"] > 75
    assert ends["FAILED"] > 10


class Rail:
    """A simulator that nobody serves, with one payout that it knows."""

    def __init__(self) -> None:
        self.simulator = Simulator(Options(token=TOKEN), ManualClock(START))
        (self.payout,) = made(1, random.Random(1))  # noqa: S311

    def accept(self, payout: Payout, *, paid: bool) -> None:
        rail = self.simulator.rail
        order: Order = rail.account.judge(read_request(OperationType.PAYOUT, payout.body))
        operation = rail.books.accept(order, START)
        status = Status.COMPLETED if paid else Status.FAILED
        rail.books.move(operation, status, START, None if paid else "RECIPIENT_NOT_FOUND")


def test_a_payout_that_was_paid_and_is_held_for_failed_is_noticed() -> None:
    rail = Rail()
    rail.accept(rail.payout, paid=True)
    rail.payout.end = "NOT_FOUND"

    with pytest.raises(BrokenError, match="NOT_FOUND here and COMPLETED there"):
        compare([rail.payout], rail.simulator)


def test_a_payout_that_was_not_paid_and_is_held_for_paid_is_noticed() -> None:
    rail = Rail()
    rail.accept(rail.payout, paid=False)
    rail.payout.end = "COMPLETED"

    with pytest.raises(BrokenError, match="COMPLETED here and FAILED there"):
        compare([rail.payout], rail.simulator)


def test_a_payout_that_was_paid_under_two_ids_is_noticed() -> None:
    rail = Rail()
    (other,) = made(1, random.Random(2))  # noqa: S311
    rail.accept(rail.payout, paid=True)
    rail.accept(other, paid=True)
    rail.payout.end = "COMPLETED"

    with pytest.raises(BrokenError, match="more than once"):
        compare([rail.payout], rail.simulator)


def test_what_both_sides_say_alike_is_no_defect() -> None:
    rail = Rail()
    rail.accept(rail.payout, paid=True)
    rail.payout.end = "COMPLETED"

    assert compare([rail.payout], rail.simulator) == {"COMPLETED": 1}
