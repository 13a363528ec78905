"""Claims on due work: each taken once, its intent on record, taken up again when they run out."""

from __future__ import annotations

import asyncio
from collections import Counter

import pytest

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.connectors.model import NotFound, Unknown
from kpay.core.clock import ManualClock
from kpay.instructions.model import CLAIM, Action, Claim, Status, step_after
from kpay.settings import Settings
from tests.client import Merchant
from tests.houses import opened


@pytest.fixture
async def funded(merchant: Merchant) -> Merchant:
    """A merchant whose Cameroon wallet holds 95,000."""
    await merchant.collect(100_000)
    return merchant


async def due(merchant: Merchant, count: int) -> set[str]:
    """So many payouts, recorded and due; their public identifiers."""
    answers = [await merchant.withdraw() for _ in range(count)]
    return {answer["id"] for answer in answers}


async def take(house: House, limit: int = 100) -> list[Claim]:
    return await house.rails.claim(OperationType.PAYOUT, limit)


async def attempts_of(house: House, claim: Claim) -> list[tuple[int, str, str | None]]:
    """Number, action and outcome of each attempt on record."""
    return [
        (attempt.number, attempt.action, attempt.outcome)
        for attempt in await house.rails.attempts(claim.book, claim.id)
    ]


async def test_workers_of_several_processes_share_what_is_due(
    funded: Merchant, settings: Settings, clock: ManualClock
) -> None:
    await due(funded, 30)

    async with opened(settings, clock) as other:
        taken = await asyncio.gather(*(take(house, 7) for house in [funded.house, other] * 4))

    counts = Counter(claim.id for claims in taken for claim in claims)
    assert set(counts.values()) == {1}
    # What another worker holds is passed over, not waited for, so some may be left for later.
    assert len(counts) + len(await take(funded.house)) == 30


async def test_the_intent_is_on_record_before_anybody_is_spoken_to(funded: Merchant) -> None:
    await due(funded, 1)

    (claim,) = await take(funded.house)

    assert (claim.number, claim.action) == (1, Action.SUBMIT)
    assert await attempts_of(funded.house, claim) == [(1, "submit", None)]
    assert (await funded.house.payouts.get(claim.book, claim.id)).progress.status is (
        Status.PROCESSING
    )


async def test_what_a_process_died_with_is_asked_about_when_its_claim_runs_out(
    funded: Merchant, clock: ManualClock
) -> None:
    await due(funded, 1)
    (first,) = await take(funded.house)

    assert await take(funded.house) == []
    clock.advance(seconds=int(CLAIM.total_seconds()))
    (second,) = await take(funded.house)

    # It may have been handed over before the process died, so now it is only asked about.
    assert (second.id, second.number, second.action) == (first.id, 2, Action.CHECK)
    assert second.instruction.reference == first.instruction.reference
    assert await attempts_of(funded.house, second) == [(1, "submit", None), (2, "check", None)]


async def test_the_age_of_what_the_rail_never_saw_counts_from_the_last_handing_over(
    funded: Merchant, clock: ManualClock
) -> None:
    await due(funded, 1)
    (first,) = await take(funded.house)
    handed_over = first.instruction.submitted_at
    await answer(funded.house, first, Unknown("no answer"))
    clock.advance(minutes=1)
    (second,) = await take(funded.house)
    await answer(funded.house, second, NotFound())
    clock.advance(minutes=14)
    (third,) = await take(funded.house)

    assert second.instruction.submitted_at == handed_over
    # Handed over a second time a quarter of an hour after the first: that is not old at all.
    assert third.action is Action.SUBMIT
    assert third.instruction.submitted_at == clock.now()
    assert step_after(third, NotFound(), clock.now()).status is Status.PROCESSING


async def test_only_what_is_due_of_its_own_type_is_taken(
    funded: Merchant, clock: ManualClock
) -> None:
    await due(funded, 1)

    assert await funded.house.rails.claim(OperationType.DEPOSIT, 100) == []
    assert {claim.type for claim in await take(funded.house)} == {OperationType.PAYOUT}


async def test_the_first_answer_on_record_stays(funded: Merchant) -> None:
    await due(funded, 1)
    (claim,) = await take(funded.house)
    await answer(funded.house, claim, Unknown("first"))
    await answer(funded.house, claim, NotFound())

    assert await attempts_of(funded.house, claim) == [(1, "submit", "unknown")]


async def answer(house: House, claim: Claim, outcome: Unknown | NotFound) -> None:
    """Record what an attempt came to, when it moves no money."""
    found = await house.payouts.get(claim.book, claim.id)
    verdict = await house.payouts.record(claim, found.agreed, outcome)
    assert verdict.posted
