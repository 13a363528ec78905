"""What a rail says against what is settled: held once with its evidence, and never guessed from.

Promise 5. The ledger stays as it was, the alarm is raised, and an operator settles it with a note.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Coroutine
from typing import Any

import asyncpg
import pytest
from structlog.testing import capture_logs

from kpay import metrics
from kpay.app import House
from kpay.audit.model import Action, Actor, AuditFilter
from kpay.connectors.model import Accepted, Instruction, NotFound, Outcome, Paid, Refused, Unknown
from kpay.contradiction_commands import _tell
from kpay.contradictions.model import Contradiction, Decision, What, next_action
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.database.embedded import as_program
from kpay.office.shapes import shown_contradiction
from tests.books import journal, operation_of
from tests.client import Answer, Merchant
from tests.hosted import PAYS, Visitor, to_confirm, withdraw
from tests.rails import ScriptedRail
from tests.soundness import assert_sound

OPERATOR = Actor(command="kpay contradiction settle, by somebody")
REFUSED = Refused("RECIPIENT_NOT_FOUND", {"by": "the rail"})
LATE = Paid({"financialTransactionId": "42"})


class Stuck:
    """A call that is answered when the test says so."""

    def __init__(self, outcome: Outcome) -> None:
        self.begun, self.released = asyncio.Event(), asyncio.Event()
        self._outcome = outcome

    async def answer(self, _instruction: Instruction) -> Outcome:
        self.begun.set()
        await self.released.wait()
        return self._outcome


async def answered_late(
    house: House,
    clock: ManualClock,
    make: Callable[[], Coroutine[Any, Any, Answer]],
    *,
    first: Outcome,
    late: Outcome,
) -> Answer:
    """An operation that ended by one answer while a worker still waited for another."""
    call = Stuck(late)
    ScriptedRail(call.answer, first).serve(house)
    made = await make()
    worker = asyncio.create_task(house.worker.step())
    await call.begun.wait()
    clock.advance(minutes=1)
    await house.worker.run_until_idle()
    call.released.set()
    await worker
    return made


async def the_one(house: House) -> Contradiction:
    """The only contradiction there is."""
    (found,) = await house.contradictions.list(open_only=False)
    return found


async def test_paid_after_it_failed_is_held_with_its_evidence_and_moves_nothing(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    with capture_logs() as logs:
        payout = await answered_late(
            house, clock, lambda: funded.withdraw(amount=10_000), first=REFUSED, late=LATE
        )

    found = await the_one(house)
    assert found.what is What.PAID_AFTER_FAILED
    assert found.operation_id == operation_of(payout["id"])
    assert (found.status, found.attempt, found.connector) == ("FAILED", 1, "scripted")
    assert found.evidence == {"financialTransactionId": "42"}
    assert found.told is not None
    assert found.told.number == 9_500
    assert found.settled is None
    (alarm,) = [line for line in logs if line["event"] == "contradiction"]
    assert alarm["log_level"] == "error"
    assert alarm["instruction"] == str(found.operation_id)
    assert await funded.wallets() == {"CMR": (95_000, 0)}
    assert "payout_completed" not in await journal(house, payout["id"])
    await assert_sound(database_url)


async def test_refused_after_it_was_completed_is_held_too(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    await answered_late(
        house, clock, lambda: funded.withdraw(amount=10_000), first=Paid(), late=REFUSED
    )

    found = await the_one(house)
    assert (found.what, found.status) == (What.REFUSED_AFTER_COMPLETED, "COMPLETED")
    assert found.evidence == {"by": "the rail", "failureCode": "RECIPIENT_NOT_FOUND"}
    assert await funded.wallets() == {"CMR": (85_000, 0)}
    await assert_sound(database_url)


async def test_a_payment_and_a_refund_are_held_like_a_payout(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    payment = await answered_late(house, clock, funded.pay, first=REFUSED, late=LATE)
    assert (await the_one(house)).type == "DEPOSIT"
    ScriptedRail().serve(house)
    paid = await funded.pay()
    await house.worker.run_until_idle()
    refund = await answered_late(
        house, clock, lambda: funded.refund(paid), first=REFUSED, late=LATE
    )

    found = await house.contradictions.list()
    assert {(one.type, one.what, one.operation_id) for one in found} == {
        ("DEPOSIT", What.PAID_AFTER_FAILED, operation_of(payment["id"])),
        ("REFUND", What.PAID_AFTER_FAILED, operation_of(refund["id"])),
    }
    await assert_sound(database_url)


@pytest.mark.parametrize("late", [Unknown("?"), NotFound(), Accepted()])
@pytest.mark.parametrize("first", [Paid(), REFUSED], ids=["paid", "refused"])
async def test_what_is_no_definite_answer_contradicts_nothing(
    funded: Merchant, house: House, clock: ManualClock, first: Outcome, late: Outcome
) -> None:
    await answered_late(house, clock, funded.withdraw, first=first, late=late)

    assert await house.contradictions.list(open_only=False) == []


@pytest.mark.parametrize("outcome", [Paid(), REFUSED], ids=["paid", "refused"])
async def test_the_same_answer_again_contradicts_nothing(
    funded: Merchant, house: House, clock: ManualClock, outcome: Outcome
) -> None:
    await answered_late(house, clock, funded.withdraw, first=outcome, late=outcome)

    assert await house.contradictions.list(open_only=False) == []


async def test_an_amount_that_is_not_the_one_agreed_is_held_once_and_the_hold_stays(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    told = Unknown("paid, and not what was agreed", {"amount": "90"}, contradicts=True)
    ScriptedRail(Accepted(), otherwise=told).serve(house)
    with capture_logs() as logs:
        payout = await funded.withdraw(amount=10_000)
        for _ in range(4):
            await house.worker.run_until_idle()
            clock.advance(minutes=20)

    found = await the_one(house)
    assert (found.what, found.status) == (What.PAID_DIFFERENTLY, "PROCESSING")
    assert found.evidence == {"amount": "90", "why": "paid, and not what was agreed"}
    assert [line["log_level"] for line in logs if line["event"] == "contradiction"] == ["error"] * 3
    assert (await funded.payout(payout))["status"] == "PROCESSING"
    assert await funded.wallets() == {"CMR": (85_000, 10_000)}
    await assert_sound(database_url)


async def test_an_earlier_choice_of_a_hosted_page_that_is_paid_after_all_is_held(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    """The beneficiary may have been paid twice; under each choice's own reference."""
    call = Stuck(LATE)
    rail = ScriptedRail(call.answer, REFUSED).serve(house)
    payout = await withdraw(funded)
    visitor = Visitor.at(funded, payout)
    await confirm(visitor)
    worker = asyncio.create_task(house.worker.step())
    await call.begun.wait()
    clock.advance(minutes=1)
    await house.worker.run_until_idle()
    await confirm(visitor)
    await house.worker.run_until_idle()
    call.released.set()
    await worker

    found = await the_one(house)
    assert (found.what, found.status) == (What.PAID_AFTER_REFUSED, "COMPLETED")
    assert found.reference == rail.asked[0][1].reference != rail.asked[-1][1].reference
    assert found.told == rail.asked[0][1].amount
    await assert_sound(database_url)


async def confirm(visitor: Visitor) -> None:
    """Choose an operator and a number of the wallet's own country, and confirm it."""
    shown = await visitor.choose("MTN_MOMO_CMR", PAYS)
    assert (await visitor.post("/choose", **to_confirm(shown))).status == 303


async def test_a_contradiction_is_settled_once_with_a_note_that_is_in_the_audit_log(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    payout = await answered_late(
        house, clock, lambda: funded.withdraw(amount=10_000), first=REFUSED, late=LATE
    )
    operation = operation_of(payout["id"])
    assert await house.contradictions.count() == 1
    assert gauge() == 1

    with pytest.raises(Refusal) as refused:
        await house.contradictions.settle(OPERATOR, operation, Decision.NOTED, "  ")
    assert refused.value.code is Code.INVALID_PARAMETER
    note = "The rail reversed it on 24 June: ticket 7."
    await house.contradictions.settle(OPERATOR, operation, Decision.NOTED, note)

    assert await house.contradictions.list() == []
    assert gauge() == 0
    settled = (await the_one(house)).settled
    assert settled is not None
    assert (settled.decision, settled.note, settled.by) == (
        Decision.NOTED,
        note,
        "kpay contradiction settle, by somebody",
    )
    with pytest.raises(Refusal) as again:
        await house.contradictions.settle(OPERATOR, operation, Decision.NOTED, note)
    assert again.value.code is Code.NOT_FOUND
    (line,) = await house.audit.page(AuditFilter(action=Action.CONTRADICTION_SETTLED))
    assert line.details == {"what": "paid_after_failed", "decision": "noted", "note": note}
    assert await funded.wallets() == {"CMR": (95_000, 0)}
    await assert_sound(database_url)


async def test_an_operation_with_two_open_ones_has_to_be_told_which(
    funded: Merchant, house: House, clock: ManualClock
) -> None:
    """Paid with another amount, then refused, then paid: a rail that does not know what it did."""
    told = Unknown("paid, and not what was agreed", {"amount": "90"}, contradicts=True)
    call = Stuck(LATE)
    ScriptedRail(told, call.answer, REFUSED).serve(house)
    payout = await funded.withdraw(amount=10_000)
    await house.worker.run_until_idle()
    clock.advance(seconds=30)
    worker = asyncio.create_task(house.worker.step())
    await call.begun.wait()
    clock.advance(minutes=1)
    await house.worker.run_until_idle()
    call.released.set()
    await worker
    operation = operation_of(payout["id"])

    with pytest.raises(Refusal) as refused:
        await house.contradictions.settle(OPERATOR, operation, Decision.NOTED, "both")
    assert refused.value.code is Code.INVALID_PARAMETER
    await house.contradictions.settle(
        OPERATOR, operation, Decision.NOTED, "this one", what=What.PAID_DIFFERENTLY
    )

    (left,) = await house.contradictions.list()
    assert left.what is What.PAID_AFTER_FAILED


async def test_what_was_found_can_be_neither_changed_nor_taken_away(
    funded: Merchant, house: House, clock: ManualClock, database_url: str
) -> None:
    await answered_late(house, clock, funded.withdraw, first=REFUSED, late=LATE)
    connection = await asyncpg.connect(as_program(database_url))
    try:
        with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
            await connection.execute("update contradictions set evidence = '{}'")
        assert refused.value.constraint_name == "contradictions_settled_once"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("delete from contradictions")
    finally:
        await connection.close()


async def test_the_command_says_what_was_found_and_what_to_do(
    funded: Merchant, house: House, clock: ManualClock, capsys: pytest.CaptureFixture[str]
) -> None:
    payout = await answered_late(
        house, clock, lambda: funded.withdraw(amount=10_000), first=REFUSED, late=LATE
    )
    found = await house.contradictions.list()

    _tell(found)

    told = " ".join(capsys.readouterr().out.split())
    assert payout["id"] in told
    assert f"{payout['id']} paid_after_failed 9,500.00 XAF" in told
    assert f"{payout['id']} stands FAILED. " + next_action("PAYOUT", What.PAID_AFTER_FAILED) in told
    shown = shown_contradiction(found[0])
    assert json.dumps(shown)
    assert (shown["amount"], shown["currency"], shown["decision"]) == ("9500", "XAF", None)
    assert shown["evidence"] == {"financialTransactionId": "42"}


def gauge() -> float:
    """What Prometheus is told of open ones."""
    (family,) = metrics.open_contradictions.collect()
    return family.samples[0].value
