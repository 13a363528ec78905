"""Payouts when a rail misbehaves: promise 5.

A rail that says nothing has not said no. Whatever it does, the hold stays, the question is asked
again, and the beneficiary is paid at most once.
"""

from __future__ import annotations

import asyncio
from datetime import timedelta
from itertools import pairwise

import pytest
from structlog.testing import capture_logs

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.connectors.model import Accepted, Instruction, NotFound, Outcome, Paid, Refused, Unknown
from kpay.core.clock import ManualClock
from kpay.instructions import rails as instructions
from kpay.instructions.model import outcome_name
from kpay.ledger.model import Reason
from tests.books import journal, operation_of
from tests.client import Answer, Merchant
from tests.rails import Said, ScriptedRail

HELD = {"CMR": (85_000, 10_000)}
PAID = {"CMR": (85_000, 0)}
GIVEN_BACK = {"CMR": (95_000, 0)}


async def hang(_instruction: Instruction) -> Outcome:
    await asyncio.Event().wait()
    return Paid()


async def test_without_an_answer_the_hold_stays_until_there_is_one(
    funded: Merchant, house: House, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(instructions, "_ANSWER_WITHIN_SECONDS", 0.01)
    silences: list[Said] = [
        Unknown("HTTP 500"),
        ConnectionResetError("by peer"),
        ValueError("no JSON"),
        TimeoutError(),
        hang,
    ]
    for silence in silences:
        before = await funded.wallets()
        rail = ScriptedRail(silence, silence, Paid()).serve(house)
        payout = await funded.withdraw(amount=10_000)
        held = await funded.wallets()
        for _ in range(2):
            await house.worker.run_until_idle()
            assert (await funded.payout(payout))["status"] == "PROCESSING"
            assert await funded.wallets() == held != before
            clock.advance(hours=1)

        await house.worker.run_until_idle()

        assert (await funded.payout(payout))["status"] == "COMPLETED"
        # It was handed over once; from then on it is only asked about.
        assert rail.verbs == ["submit", "check", "check"]
        assert await funded.attempts(payout) == [
            ("submit", "unknown"),
            ("check", "unknown"),
            ("check", "paid"),
        ]
    assert await funded.wallets() == {"CMR": (45_000, 0)}


async def test_an_answer_with_text_that_json_columns_cannot_hold_settles_all_the_same(
    funded: Merchant, house: House
) -> None:
    for note in ("nul \0", "half a pair \ud800"):
        ScriptedRail(Paid({"note": note})).serve(house)
        payout = await funded.withdraw()
        await house.worker.run_until_idle()
        assert (await funded.payout(payout))["status"] == "COMPLETED"


async def test_an_unknown_one_may_turn_out_to_have_been_refused(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    ScriptedRail(Unknown("lost"), Refused("RECIPIENT_NOT_FOUND")).serve(house)
    payout = await funded.withdraw(amount=10_000)
    await house.worker.run_until_idle()
    clock.advance(minutes=1)
    await house.worker.run_until_idle()

    assert (await funded.payout(payout))["failureReason"] == "RECIPIENT_NOT_FOUND"
    assert await funded.wallets() == GIVEN_BACK


async def test_questions_come_at_growing_intervals_up_to_a_quarter_of_an_hour(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail(otherwise=Unknown("no answer")).serve(house)
    payout = await funded.withdraw()
    await house.worker.run_until_idle()
    waits = []
    for _ in range(12):
        waits.append(await wait_of(house, payout))
        asked = len(rail.asked)
        clock.advance(milliseconds=int(waits[-1] / timedelta(milliseconds=1)) - 1)
        await house.worker.run_until_idle()
        assert len(rail.asked) == asked
        clock.advance(milliseconds=1)
        await house.worker.run_until_idle()
        assert len(rail.asked) == asked + 1

    assert waits == sorted(waits)
    assert all(later == 2 * earlier for earlier, later in pairwise(waits[:8]))
    assert timedelta(0) < waits[0] <= timedelta(seconds=5)
    assert waits[-1] == timedelta(minutes=15)
    assert await funded.wallets() == {"CMR": (94_000, 1_000)}


async def wait_of(house: House, payout: Answer) -> timedelta:
    """How long it is until the rail is asked again."""
    due = await house.database.fetchval(
        "select due_at from instructions where id = $1", operation_of(payout["id"])
    )
    wait: timedelta = due - house.clock.now()
    return wait


async def test_a_rail_that_says_when_to_ask_is_asked_then(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail(Accepted(ask_after=timedelta(minutes=5)), Paid()).serve(house)
    await funded.withdraw()
    await house.worker.run_until_idle()

    clock.advance(minutes=4, seconds=59)
    assert await house.worker.run_until_idle() == 0
    clock.advance(seconds=1)
    assert await house.worker.run_until_idle() == 1
    assert rail.verbs == ["submit", "check"]


async def test_what_the_rail_never_saw_is_handed_over_again_under_the_same_reference(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail(Unknown("lost"), NotFound(), Accepted(), Paid()).serve(house)
    payout = await funded.withdraw(amount=10_000)
    for _ in range(4):
        await house.worker.run_until_idle()
        clock.advance(minutes=1)

    assert rail.verbs == ["submit", "check", "submit", "check"]
    assert {str(asked.reference) for _, asked in rail.asked} == {payout["providerReference"]}
    assert (await funded.payout(payout))["status"] == "COMPLETED"
    assert await funded.wallets() == PAID


async def test_not_found_is_final_once_the_submission_is_fifteen_minutes_old(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail(Accepted(ask_after=timedelta(minutes=15)), NotFound()).serve(house)
    payout = await funded.withdraw(amount=10_000)
    await house.worker.run_until_idle()
    assert await funded.wallets() == HELD

    clock.advance(minutes=15)
    await house.worker.run_until_idle()

    detail = await funded.payout(payout)
    assert (detail["status"], detail["failureReason"]) == ("FAILED", "NOT_FOUND")
    assert await funded.wallets() == GIVEN_BACK
    clock.advance(hours=1)
    await house.worker.run_until_idle()
    assert rail.verbs == ["submit", "check"]


async def test_not_found_is_not_final_while_a_later_submission_is_young(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    """The last hand-over may still be on its way: giving back now could pay the money twice."""
    rail = ScriptedRail(
        Accepted(ask_after=timedelta(minutes=14)),
        NotFound(),
        Unknown("timeout"),
        NotFound(),
        Paid(),
    ).serve(house)
    payout = await funded.withdraw(amount=10_000)
    await house.worker.run_until_idle()
    clock.advance(minutes=14)
    await house.worker.run_until_idle()
    for _ in range(2):
        clock.advance(minutes=1)
        await house.worker.run_until_idle()
    assert rail.verbs == ["submit", "check", "submit", "check"]
    assert (await funded.payout(payout))["status"] == "PROCESSING"
    assert await funded.wallets() == HELD

    clock.advance(minutes=1)
    await house.worker.run_until_idle()
    assert rail.verbs[-1] == "submit"
    assert (await funded.payout(payout))["status"] == "COMPLETED"


async def test_a_rail_that_never_hears_of_it_ends_in_failure_at_last(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    """Handing over again and again must not keep a payout open, and its money held, for ever."""
    rail = Deaf().serve(house)
    payout = await funded.withdraw(amount=10_000)
    for _ in range(4 * 24):
        await house.worker.run_until_idle()
        clock.advance(minutes=15)

    assert (await funded.payout(payout))["failureReason"] == "NOT_FOUND"
    assert await funded.wallets() == GIVEN_BACK
    assert set(rail.verbs) == {"submit", "check"}


class Deaf(ScriptedRail):
    """A rail whose ear is broken: nothing arrives, and so it has never seen anything."""

    async def submit(self, instruction: Instruction) -> Outcome:
        self.otherwise = Unknown("connection refused")
        return await super().submit(instruction)

    async def check(self, instruction: Instruction) -> Outcome:
        self.otherwise = NotFound()
        return await super().check(instruction)


@pytest.mark.parametrize("first", [Paid(), Refused("RECIPIENT_NOT_FOUND")], ids=["paid", "refused"])
async def test_an_answer_after_the_end_changes_nothing_and_is_kept_as_evidence(
    funded: Merchant, house: House, clock: ManualClock, first: Outcome
) -> None:
    """A worker is stuck in its call until another one has taken over and seen the end."""
    for late in (Paid(), Refused("TOO_LATE"), Unknown("?"), NotFound(), Accepted()):
        call = Stuck(late)
        ScriptedRail(call.answer, first).serve(house)
        payout = await funded.withdraw(amount=10_000)
        stuck_worker = asyncio.create_task(house.worker.step())
        await call.begun.wait()
        clock.advance(minutes=1)
        await house.worker.run_until_idle()
        ended, books = await funded.payout(payout), await journal(house, payout["id"])
        wallets = await funded.wallets()

        call.released.set()
        await stuck_worker

        found = await funded.payout(payout)
        for name in ("status", "failureReason", "completedAt", "failedAt"):
            assert found[name] == ended[name]
        assert await journal(house, payout["id"]) == books
        assert await funded.wallets() == wallets
        assert found["attempts"][0]["outcome"] == outcome_name(late)


async def test_two_answers_at_one_moment_are_written_one_after_the_other(
    funded: Merchant, house: House
) -> None:
    """In one batch the second would find no hold, and be told that funds are short."""
    payout = await funded.withdraw(amount=10_000)
    (claim,) = await house.rails.claim(OperationType.PAYOUT, 10)
    agreed = (await house.payouts.get(claim.book, claim.id)).agreed

    with capture_logs() as logs:
        paid, refused = await asyncio.gather(
            house.payouts.record(claim, agreed, Paid()),
            house.payouts.record(claim, agreed, Refused("TOO_LATE")),
        )

    assert paid.posted
    assert refused.reason is Reason.STATE_CHANGED
    assert "posting_one_by_one" not in [line["event"] for line in logs]
    assert (await funded.payout(payout))["status"] == "COMPLETED"
    assert await funded.wallets() == PAID


class Stuck:
    """A call that is answered when the test says so."""

    def __init__(self, outcome: Outcome) -> None:
        self.begun, self.released = asyncio.Event(), asyncio.Event()
        self._outcome = outcome

    async def answer(self, _instruction: Instruction) -> Outcome:
        self.begun.set()
        await self.released.wait()
        return self._outcome
