"""How many attempts may be under way at once: in all, and at each rail."""

from __future__ import annotations

import asyncio
import uuid

from kpay.core.book import Environment
from kpay.instructions.bulkheads import Bulkheads
from kpay.instructions.model import Action, Claim
from tests.connectors.support import instruction

SLOW = (Environment.TEST, "slow")
QUICK = (Environment.TEST, "quick")


def claims(count: int, connector: str | None = "slow") -> list[Claim]:
    return [Claim(uuid.uuid4(), 1, Action.SUBMIT, instruction(), connector) for _ in range(count)]


def made(**sizes: int) -> Bulkheads:
    return Bulkheads(**{"most": 100, "most_at_one_rail": 40, "worthwhile": 10, **sizes})


def test_while_nothing_is_under_way_one_rail_may_get_its_share_at_once() -> None:
    assert made().room == 40
    assert made().full == []


def test_however_a_claim_spreads_over_the_rails_none_gets_more_than_its_share() -> None:
    bulkheads = made()
    for claim in [*claims(25), *claims(5, "quick")]:
        bulkheads.enter(claim)

    # All that is claimed may be for the slow one.
    assert bulkheads.room == 15
    assert bulkheads.full == []


def test_a_rail_that_is_full_is_left_out_and_the_others_have_room() -> None:
    bulkheads = made()
    for claim in [*claims(31), *claims(5, "quick")]:
        bulkheads.enter(claim)

    assert bulkheads.full == [SLOW]
    assert bulkheads.room == 35


def test_all_rails_together_have_no_more_than_there_is() -> None:
    bulkheads = made(most=60)
    for claim in [*claims(31), *claims(17, "quick")]:
        bulkheads.enter(claim)
    assert bulkheads.room == 12

    for claim in claims(3, "another"):
        bulkheads.enter(claim)
    assert bulkheads.room == 0


def test_what_has_ended_leaves_its_place_at_its_own_rail() -> None:
    bulkheads = made()
    slow, quick = claims(40), claims(40, "quick")
    for claim in [*slow, *quick]:
        bulkheads.enter(claim)
    assert bulkheads.full == [SLOW, QUICK]

    for claim in quick[:10]:
        bulkheads.leave(claim)

    assert bulkheads.full == [SLOW]
    assert bulkheads.room == 10
    for claim in [*slow, *quick[10:]]:
        bulkheads.leave(claim)
    assert (bulkheads.held(SLOW), bulkheads.held(QUICK), bulkheads.room) == (0, 0, 40)


def test_what_no_rail_serves_has_places_of_its_own() -> None:
    bulkheads = made()
    for claim in claims(40, None):
        bulkheads.enter(claim)

    assert bulkheads.full == [(Environment.TEST, None)]
    assert bulkheads.room == 40


async def test_who_waits_for_room_goes_on_when_enough_have_ended() -> None:
    bulkheads = made(most=40)
    under_way = claims(40)
    for claim in under_way:
        bulkheads.enter(claim)
    waiting = asyncio.create_task(bulkheads.wait_for_room(60))

    for number, claim in enumerate(under_way[:10]):
        await asyncio.sleep(0)
        assert not waiting.done(), number
        bulkheads.leave(claim)

    await waiting
    assert bulkheads.room == 10


async def test_nobody_waits_for_room_for_ever() -> None:
    bulkheads = made(most=40)
    for claim in claims(40):
        bulkheads.enter(claim)

    await bulkheads.wait_for_room(0.01)

    assert bulkheads.room == 0
