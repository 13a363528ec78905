"""Payouts when workers die or meet: promises 5, 6 and 10.

What is due is a row in the database. A worker claims it, and its intent is on record before it
calls the rail; so the next one knows what may have happened, and nobody is paid twice.
"""

from __future__ import annotations

import asyncio
from collections import Counter

import asyncpg
import pytest

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.connectors.model import Accepted, Instruction, NotFound, Outcome, Paid, Refused, Unknown
from kpay.core.clock import ManualClock
from kpay.database.pool import Database
from kpay.instructions import store as instruction_store
from kpay.instructions import work
from kpay.instructions.model import Claim, Step, outcome_name
from kpay.settings import Settings
from tests.books import operation_of
from tests.client import Merchant
from tests.houses import opened
from tests.rails import ScriptedRail
from tests.soundness import open_transactions

PAID = {"CMR": (85_000, 0)}


async def claim_one(house: House) -> Claim:
    """What a worker does before it calls a rail; a test may then let that worker die."""
    (claim,) = await house.rails.claim(OperationType.PAYOUT, 10)
    return claim


async def test_a_payout_whose_worker_died_before_the_call_is_taken_up_after_a_minute(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    """Promise 6: the intent is on record, so the successor asks first and never pays blindly."""
    rail = ScriptedRail(NotFound(), Accepted(), Paid()).serve(house)
    payout = await funded.withdraw(amount=10_000)
    await claim_one(house)
    assert (await funded.payout(payout))["status"] == "PROCESSING"

    clock.advance(seconds=59)
    assert await house.worker.run_until_idle() == 0
    clock.advance(seconds=1)
    for _ in range(3):
        await house.worker.run_until_idle()
        clock.advance(minutes=1)

    assert rail.verbs == ["check", "submit", "check"]
    assert await funded.attempts(payout) == [
        ("submit", None),
        ("check", "not_found"),
        ("submit", "accepted"),
        ("check", "paid"),
    ]
    assert await funded.wallets() == PAID


async def test_a_payout_whose_worker_died_after_the_call_is_not_paid_again(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail(Paid()).serve(house)
    await funded.withdraw(amount=10_000)
    claim = await claim_one(house)
    await rail.submit(claim.instruction)

    clock.advance(minutes=1)
    await house.worker.run_until_idle()

    assert rail.verbs == ["submit", "check"]
    assert await funded.wallets() == PAID


async def test_two_workers_never_pursue_one_payout_both(
    settings: Settings, clock: ManualClock, funded: Merchant, house: House
) -> None:
    async with opened(settings, clock) as other:
        rail = ScriptedRail(otherwise=linger)
        rail.serve(house)
        rail.serve(other)
        payouts = [await funded.withdraw() for _ in range(40)]

        # Claims of one row each, all at once: nearly every one of them meets another.
        await asyncio.gather(*(each.payouts.work(1) for each in (house, other) * 20))
        await asyncio.gather(*(each.worker.run_until_idle() for each in (house, other)))

        assert Counter(str(asked.reference) for _, asked in rail.asked) == Counter(
            payout["providerReference"] for payout in payouts
        )
        assert await funded.wallets() == {"CMR": (55_000, 0)}


async def test_a_worker_passes_over_what_another_one_is_claiming(
    funded: Merchant, house: House, database_url: str
) -> None:
    rail = ScriptedRail().serve(house)
    taken, free = await funded.withdraw(), await funded.withdraw()
    connection = await asyncpg.connect(database_url)
    async with connection.transaction():
        await connection.execute(
            "select from instructions where id = $1 for update", operation_of(taken["id"])
        )
        await house.worker.run_until_idle()
        assert [str(asked.reference) for _, asked in rail.asked] == [free["providerReference"]]
    await connection.close()

    await house.worker.run_until_idle()
    assert str(rail.asked[-1][1].reference) == taken["providerReference"]


async def linger(_instruction: Instruction) -> Outcome:
    """Let everybody else run before answering, so that two workers have every chance to meet."""
    for _ in range(20):
        await asyncio.sleep(0)
    return Paid()


async def test_no_transaction_is_open_while_a_rail_is_called(
    funded: Merchant, house: House, database_url: str
) -> None:
    seen: list[list[asyncpg.Record]] = []

    async def look(_instruction: Instruction) -> Outcome:
        seen.append(await open_transactions(database_url))
        return Paid()

    ScriptedRail(look).serve(house)
    await funded.withdraw(amount=10_000)
    # Payouts alone: the worker's other jobs have transactions of their own meanwhile.
    await house.payouts.work(1)

    assert seen == [[]]
    assert await funded.wallets() == PAID


async def test_a_call_to_a_rail_inside_a_transaction_is_refused(
    funded: Merchant, house: House
) -> None:
    rail = ScriptedRail().serve(house)
    await funded.withdraw()
    claim = await claim_one(house)

    async with house.database.transaction():
        with pytest.raises(RuntimeError, match="inside a transaction"):
            await house.rails.ask(claim)

    assert rail.asked == []


async def test_a_claim_that_has_run_out_hands_nothing_over(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    """A worker that was stopped wakes when others have failed the payout and given it back."""
    rail = ScriptedRail(NotFound()).serve(house)
    payout = await funded.withdraw(amount=10_000)
    stopped = await claim_one(house)
    clock.advance(minutes=15)
    await house.worker.run_until_idle()
    assert (await funded.payout(payout))["failureReason"] == "NOT_FOUND"

    outcome = await house.rails.ask(stopped)

    assert isinstance(outcome, Unknown)
    assert rail.verbs == ["check"]


async def test_a_claim_is_called_for_as_long_as_it_holds(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    rail = ScriptedRail(Paid()).serve(house)
    await funded.withdraw(amount=10_000)
    claim = await claim_one(house)
    clock.advance(seconds=59)

    assert isinstance(await house.rails.ask(claim), Paid)
    assert rail.verbs == ["submit"]


@pytest.mark.parametrize("late", [NotFound(), Unknown("lost"), Accepted()], ids=outcome_name)
async def test_an_uncertain_answer_of_an_earlier_attempt_counts_no_more(
    funded: Merchant, house: House, clock: ManualClock, late: Outcome
) -> None:
    """It was true before the payout was handed over again; now it would fail it, or repeat it."""
    rail = ScriptedRail(Unknown("lost"), NotFound(), Unknown("lost"), Paid()).serve(house)
    payout = await funded.withdraw(amount=10_000)
    await house.worker.run_until_idle()
    clock.advance(minutes=1)
    earlier = await claim_one(house)
    for minutes in (1, 13):
        clock.advance(minutes=minutes)
        await house.worker.run_until_idle()
    assert rail.verbs == ["submit", "check", "submit"]
    found = await house.payouts.get(earlier.book, operation_of(payout["id"]))

    verdict = await house.payouts.record(earlier, found.agreed, late)

    assert not verdict.posted
    assert await funded.attempts(payout) == [
        ("submit", "unknown"),
        ("check", outcome_name(late)),
        ("check", "not_found"),
        ("submit", "unknown"),
    ]
    assert (await funded.payout(payout))["status"] == "PROCESSING"
    clock.advance(minutes=1)
    await house.worker.run_until_idle()
    assert rail.verbs[-1] == "check"
    assert await funded.wallets() == PAID


@pytest.mark.parametrize(
    ("late", "status"), [(Paid(), "COMPLETED"), (Refused("NO"), "FAILED")], ids=["paid", "refused"]
)
async def test_a_certain_answer_of_an_earlier_attempt_counts(
    funded: Merchant, house: House, clock: ManualClock, late: Outcome, status: str
) -> None:
    ScriptedRail(Unknown("lost"), Unknown("lost")).serve(house)
    payout = await funded.withdraw(amount=10_000)
    await house.worker.run_until_idle()
    clock.advance(minutes=1)
    earlier = await claim_one(house)
    clock.advance(minutes=1)
    await house.worker.run_until_idle()
    found = await house.payouts.get(earlier.book, operation_of(payout["id"]))

    verdict = await house.payouts.record(earlier, found.agreed, late)

    assert verdict.posted
    assert (await funded.payout(payout))["status"] == status


async def test_a_late_answer_is_kept_when_the_connection_breaks_over_it(
    funded: Merchant, house: House, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    payout = await funded.withdraw(amount=10_000)
    real, broken = instruction_store.record_late_answer, [asyncpg.ConnectionDoesNotExistError()]

    async def breaks(database: Database, step: Step) -> None:
        if broken:
            raise broken.pop()
        await real(database, step)

    async def ended_meanwhile(_instruction: Instruction) -> Outcome:
        clock.advance(minutes=1)
        await house.payouts.work(1)
        return Paid()

    monkeypatch.setattr(instruction_store, "record_late_answer", breaks)
    monkeypatch.setattr(work, "_BETWEEN_RECORD_TRIES_SECONDS", 0)
    ScriptedRail(ended_meanwhile, Refused("NO")).serve(house)

    await house.payouts.work(1)

    assert broken == []
    assert await funded.attempts(payout) == [("submit", "paid"), ("check", "refused")]
