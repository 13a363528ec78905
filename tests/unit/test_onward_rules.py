"""When an operation may go on at another rail: promise 5, as a table."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from kpay.catalogue.model import OperationType
from kpay.connectors.model import (
    Accepted,
    Instruction,
    NotFound,
    Outcome,
    Paid,
    Refused,
    Unknown,
)
from kpay.connectors.mtn_momo.answers import of_status as of_mtn
from kpay.connectors.pawapay.answers import of_status as of_pawapay
from kpay.connectors.pawapay.answers import of_submission as of_pawapay_s_door
from kpay.connectors.wire import Answer
from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.instructions.model import Action, Claim, Hosted, Onward, Status, step_after
from kpay.instructions.onward import (
    PAYER_WAITS,
    Told,
    is_dead,
    may_go_on,
    tried,
)

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
HERE, BEFORE = UUID(int=7), UUID(int=6)
OWN = Refused("DOWN", own_trouble=True)
PAYOUT, DEPOSIT, REFUND = OperationType.PAYOUT, OperationType.DEPOSIT, OperationType.REFUND


def claim(number: int = 1, action: Action = Action.SUBMIT, type_: OperationType = PAYOUT) -> Claim:
    """An attempt that was begun at this moment."""
    return Claim(UUID(int=3), number, action, instruction(type_), "first")


def instruction(type_: OperationType = PAYOUT) -> Instruction:
    return Instruction(
        book=Book(UUID(int=1), Environment.PRODUCTION),
        type=type_,
        reference=HERE,
        provider="MTN_MOMO_CMR",
        phone_number="237650000000",
        amount=Money(100_000, "XAF"),
        submitted_at=NOW,
    )


def handed(number: int, reference: UUID = HERE, action: Action = Action.SUBMIT) -> Told:
    return Told(number, action, "first", reference)


ONCE = [handed(1)]


def test_what_a_rail_refused_for_a_reason_of_its_own_may_go_on() -> None:
    assert may_go_on(claim(), OWN, ONCE, NOW)


@pytest.mark.parametrize(
    "outcome",
    [
        Accepted(),
        Paid(),
        NotFound(),
        Unknown("HTTP 500"),
        Unknown("our token is not accepted", alarm=True),
        Refused("RECIPIENT_NOT_FOUND"),
        Refused("PAWAPAY_WALLET_OUT_OF_FUNDS", alarm=True),
        Refused("MANUALLY_CANCELLED", cancelled=True, own_trouble=True),
    ],
    ids=repr,
)
def test_nothing_else_may_at_any_age(outcome: Outcome) -> None:
    for age in (timedelta(0), timedelta(minutes=15), timedelta(days=30)):
        assert not may_go_on(claim(), outcome, ONCE, NOW + age)


def test_a_refund_may_not() -> None:
    assert not may_go_on(claim(type_=REFUND), OWN, ONCE, NOW)


def test_a_payment_may_while_its_payer_waits_and_a_payout_whenever() -> None:
    late = NOW + PAYER_WAITS
    assert may_go_on(claim(type_=DEPOSIT), OWN, ONCE, late - timedelta(microseconds=1))
    assert not may_go_on(claim(type_=DEPOSIT), OWN, ONCE, late)
    assert may_go_on(claim(), OWN, ONCE, late)


def test_what_was_to_be_cancelled_may_not_but_an_earlier_choice_s_cancelling_is_not_its_own() -> (
    None
):
    check = claim(3, Action.CHECK)
    assert not may_go_on(check, OWN, [handed(1), handed(2, action=Action.CANCEL)], NOW)
    assert may_go_on(check, OWN, [handed(1, BEFORE, Action.CANCEL), handed(2)], NOW)


@pytest.mark.parametrize(
    ("attempt", "told", "dead"),
    [
        # Refused at the door the only time that it was handed over.
        (claim(1), [handed(1)], True),
        # The first copy may arrive yet.
        (claim(3), [handed(1), handed(3)], False),
        # This one was answered late: it was handed over again since.
        (claim(1), [handed(1), handed(3)], False),
        # What another reference was handed over for says nothing of this one.
        (claim(2), [handed(1, BEFORE), handed(2)], True),
        # On record as failed: whatever arrives of it is a repetition.
        (claim(4, Action.CHECK), [handed(1), handed(3)], True),
    ],
)
def test_a_reference_is_dead_when_no_copy_of_it_can_be_taken(
    attempt: Claim, told: list[Told], dead: bool
) -> None:
    assert is_dead(attempt, told) is dead


def test_no_rail_has_one_choice_twice_and_each_choice_has_all_of_them() -> None:
    told = [
        Told(1, Action.SUBMIT, "zeroth", BEFORE),
        Told(2, Action.SUBMIT, "second", UUID(int=5), of_this_choice=False),
    ]
    assert tried(claim(3), told) == {"zeroth", "first"}


def test_going_on_ends_nothing_and_is_due_at_once() -> None:
    onward = Onward("second", UUID(int=8))
    step = step_after(claim(), OWN, NOW, Hosted(NOW + timedelta(hours=1)), onward)

    assert (step.status, step.due_at, step.next_action) == (Status.PROCESSING, NOW, Action.SUBMIT)
    assert (step.event_type, step.failure_code, step.outcome) == (None, None, OWN)


# Which reasons are a rail's own.


PAWAPAY = {
    "PROVIDER_TEMPORARILY_UNAVAILABLE": True,
    "PAWAPAY_WALLET_OUT_OF_FUNDS": True,
    "AMOUNT_OUT_OF_BOUNDS": True,
    "PAYOUTS_NOT_ALLOWED": True,
    "DEPOSITS_NOT_ALLOWED": True,
    "INVALID_PHONE_NUMBER": False,
    "RECIPIENT_NOT_FOUND": False,
    "WALLET_LIMIT_REACHED": False,
    "PAYER_LIMIT_REACHED": False,
    "INSUFFICIENT_BALANCE": False,
    "PAYMENT_NOT_APPROVED": False,
    "MANUALLY_CANCELLED": False,
    "UNSPECIFIED_FAILURE": False,
    "A_CODE_OF_NEXT_YEAR": False,
}


@pytest.mark.parametrize("code", PAWAPAY)
def test_which_of_pawapay_s_reasons_are_its_own(code: str) -> None:
    reason = {"failureReason": {"failureCode": code}}
    refused = of_pawapay_s_door(answer({"status": "REJECTED", **reason}), instruction(), "payoutId")
    data = {"payoutId": str(HERE), "status": "FAILED", **reason}
    failed = of_pawapay(answer({"status": "FOUND", "data": data}), instruction(), "payoutId")

    for outcome in (refused, failed):
        assert isinstance(outcome, Refused)
        assert outcome.own_trouble is PAWAPAY[code]


MTN = {
    (PAYOUT, "SERVICE_UNAVAILABLE"): True,
    (PAYOUT, "NOT_ALLOWED_TARGET_ENVIRONMENT"): True,
    # MTN's payer is our account where we pay, and the customer where we collect.
    (PAYOUT, "NOT_ENOUGH_FUNDS"): True,
    (DEPOSIT, "NOT_ENOUGH_FUNDS"): False,
    (PAYOUT, "PAYER_LIMIT_REACHED"): True,
    (DEPOSIT, "PAYER_LIMIT_REACHED"): False,
    (DEPOSIT, "SERVICE_UNAVAILABLE"): True,
    (PAYOUT, "PAYEE_NOT_FOUND"): False,
    (DEPOSIT, "APPROVAL_REJECTED"): False,
    (PAYOUT, "INTERNAL_PROCESSING_ERROR"): False,
    (PAYOUT, "NOT_ALLOWED"): False,
}


@pytest.mark.parametrize(("type_", "code"), MTN)
def test_which_of_mtn_s_reasons_are_its_own(type_: OperationType, code: str) -> None:
    said = {"status": "FAILED", "reason": {"code": code}}
    outcome = of_mtn(answer(said), instruction(type_), "XAF")

    assert isinstance(outcome, Refused)
    assert outcome.own_trouble is MTN[type_, code]
    assert outcome.alarm is (code == "NOT_ENOUGH_FUNDS" and type_ is PAYOUT)


def answer(said: object) -> Answer:
    return Answer(200, json.dumps(said).encode())
