"""pawaPay's version 2: what it is sent, and what each of its answers means."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kpay.catalogue.model import OperationType
from kpay.connectors.model import (
    Accepted,
    NotFound,
    Outcome,
    Paid,
    Refused,
    Unknown,
    outcome_evidence,
)
from kpay.connectors.opening import RAILS
from kpay.connectors.pawapay.connector import PawapayConnector
from kpay.connectors.variables import Variables
from kpay.core.money import Money
from tests.connectors.support import DEPOSIT, REFERENCE, instruction, place, rail_server, says
from tests.receivers import Receiver, Said

# What pawaPay accepts as an amount, to the letter.
AMOUNT = re.compile(r"^([0]|([1-9][0-9]{0,17}))([.][0-9]{0,3}[1-9])?$")
ACCOUNT = {
    "type": "MMO",
    "accountDetails": {"phoneNumber": "237653456789", "provider": "MTN_MOMO_CMR"},
}
KINDS = [
    (OperationType.DEPOSIT, "/v2/deposits", "depositId"),
    (OperationType.PAYOUT, "/v2/payouts", "payoutId"),
    (OperationType.REFUND, "/v2/refunds", "refundId"),
]


@asynccontextmanager
async def pawapay(*script: Said) -> AsyncIterator[tuple[PawapayConnector, Receiver]]:
    """The connector as it is configured, and the server that it speaks to."""
    async with rail_server(*script) as server:
        given = {"KPAY_PAWAPAY_URL": server.url, "KPAY_PAWAPAY_TOKEN": "a-token"}
        variables = Variables(given, "KPAY_PAWAPAY_")
        connector = RAILS["pawapay"](variables, place())
        variables.check()
        assert isinstance(connector, PawapayConnector)
        yield connector, server
        await connector.close()


def found(**changes: Any) -> dict[str, Any]:
    """A status check's answer about our payout."""
    data = {
        "payoutId": str(REFERENCE),
        "status": "COMPLETED",
        "amount": "15000",
        "currency": "XAF",
        "country": "CMR",
        **changes,
    }
    return {"status": "FOUND", "data": data}


async def submitted(answer: Said) -> Outcome:
    async with pawapay(answer) as (connector, _):
        return await connector.submit(instruction())


async def checked(answer: Said) -> Outcome:
    async with pawapay(answer) as (connector, _):
        return await connector.check(instruction())


@pytest.mark.parametrize(("type_", "path", "id_field"), KINDS)
async def test_each_operation_is_handed_over_under_our_reference(
    type_: OperationType, path: str, id_field: str
) -> None:
    answer = says({id_field: str(REFERENCE), "status": "ACCEPTED"})
    async with pawapay(answer) as (connector, server):
        outcome = await connector.submit(instruction(type_))

    (heard,) = server.heard
    assert isinstance(outcome, Accepted)
    assert (heard.path, heard.headers["Authorization"]) == (path, "Bearer a-token")
    assert heard.headers["Content-Type"] == "application/json"
    destinations: dict[OperationType, dict[str, Any]] = {
        OperationType.DEPOSIT: {"payer": ACCOUNT},
        OperationType.PAYOUT: {"recipient": ACCOUNT},
        OperationType.REFUND: {"depositId": str(DEPOSIT)},
    }
    assert json.loads(heard.raw) == {
        id_field: str(REFERENCE),
        "amount": "15000",
        "currency": "XAF",
        **destinations[type_],
    }


@pytest.mark.parametrize(("type_", "path", "id_field"), KINDS)
async def test_each_operation_is_asked_about_by_our_reference(
    type_: OperationType, path: str, id_field: str
) -> None:
    data = {
        id_field: str(REFERENCE),
        "status": "COMPLETED",
        "amount": "15000.00",
        "currency": "XAF",
    }
    async with pawapay(says({"status": "FOUND", "data": data})) as (connector, server):
        outcome = await connector.check(instruction(type_))

    assert isinstance(outcome, Paid)
    assert [heard.path for heard in server.heard] == [f"{path}/{REFERENCE}"]


@pytest.mark.parametrize(
    ("minor", "text"), [(1_500_000, "15000"), (10_050, "100.5"), (10_005, "100.05"), (50, "0.5")]
)
async def test_an_amount_has_no_zero_at_its_end(minor: int, text: str) -> None:
    async with pawapay(says({"status": "ACCEPTED"})) as (connector, server):
        await connector.submit(instruction(amount=Money(minor, "GHS")))

    sent = json.loads(server.heard[0].raw)["amount"]
    assert (sent, bool(AMOUNT.match(sent))) == (text, True)


async def test_the_same_reference_twice_is_accepted_and_then_asked_about() -> None:
    outcome = await submitted(says({"payoutId": str(REFERENCE), "status": "DUPLICATE_IGNORED"}))

    assert isinstance(outcome, Accepted)


@pytest.mark.parametrize("status", [200, 400])
async def test_a_rejection_with_a_reason_is_a_refusal(status: int) -> None:
    reason = {"failureCode": "PAWAPAY_WALLET_OUT_OF_FUNDS", "failureMessage": "No funds."}
    said = {"payoutId": str(REFERENCE), "status": "REJECTED", "failureReason": reason}

    outcome = await submitted(says(said, status))

    assert isinstance(outcome, Refused)
    assert outcome.code == "PAWAPAY_WALLET_OUT_OF_FUNDS"
    assert outcome_evidence(outcome)["answer"]["failureReason"] == reason


@pytest.mark.parametrize(
    ("said", "status"),
    [
        ({"status": "REJECTED"}, 200),
        ({"status": "REJECTED", "failureReason": {"failureCode": "UNKNOWN_ERROR"}}, 200),
        ({"status": "REJECTED", "failureReason": {"failureCode": ""}}, 200),
        ({"status": "REJECTED", "failureReason": {"failureCode": "NO_AUTHENTICATION"}}, 401),
        ({"status": "REJECTED", "failureReason": {"failureCode": "PAYOUTS_NOT_ALLOWED"}}, 403),
        ({"status": "REJECTED", "failureReason": {"failureCode": "INVALID_AMOUNT"}}, 500),
        ({"status": "ACCEPTED"}, 201),
        ({"status": "ACCEPTED"}, 302),
        ({"status": "COMPLETED"}, 200),
        ({"payoutId": str(DEPOSIT), "status": "ACCEPTED"}, 200),
        (
            {
                "payoutId": str(DEPOSIT),
                "status": "REJECTED",
                "failureReason": {"failureCode": "INVALID_AMOUNT"},
            },
            200,
        ),
        ({}, 200),
        ([], 200),
        ("<html>", 200),
        ("", 200),
        ("[" * 100_000, 200),
        ("1" * 100_000, 200),
        ({"error": "too many requests"}, 429),
    ],
)
async def test_whatever_else_a_submission_is_answered_is_unknown(said: Any, status: int) -> None:
    assert isinstance(await submitted(says(said, status)), Unknown)


@pytest.mark.parametrize(
    "status", ["ACCEPTED", "ENQUEUED", "PROCESSING", "SUBMITTED", "IN_RECONCILIATION"]
)
async def test_what_is_under_way_is_accepted(status: str) -> None:
    assert isinstance(await checked(says(found(status=status))), Accepted)


@pytest.mark.parametrize("amount", ["15000", "15000.0000", "15000.00", 15_000, 15000.0, "015000"])
async def test_the_amount_that_was_paid_is_compared_as_a_number(amount: object) -> None:
    assert isinstance(await checked(says(found(amount=amount))), Paid)


@pytest.mark.parametrize(
    "changes",
    [
        {"amount": "15000.01"},
        {"amount": "14999"},
        {"amount": "1500000"},
        {"amount": "15000.001"},
        {"amount": "-15000"},
        {"amount": "1.5e4"},
        {"amount": None},
        {"amount": True},
        {"amount": ""},
        {"currency": "XOF"},
        {"currency": None},
    ],
)
async def test_what_was_paid_and_is_not_what_was_agreed_is_unknown_and_an_alarm(
    changes: dict[str, Any],
) -> None:
    outcome = await checked(says(found(**changes)))

    assert isinstance(outcome, Unknown)
    assert outcome.alarm
    assert outcome_evidence(outcome)["why"] == "paid, and not what was agreed"


async def test_a_failure_has_pawapay_s_own_code() -> None:
    reason = {"failureCode": "RECIPIENT_NOT_FOUND", "failureMessage": "No such wallet."}
    outcome = await checked(says(found(status="FAILED", failureReason=reason)))

    assert isinstance(outcome, Refused)
    assert outcome.code == "RECIPIENT_NOT_FOUND"


async def test_a_failure_without_a_reason_has_failed_all_the_same() -> None:
    outcome = await checked(says(found(status="FAILED")))

    assert isinstance(outcome, Refused)
    assert outcome.code == "UNSPECIFIED_FAILURE"


async def test_what_pawapay_never_saw_is_not_found_and_no_failure_yet() -> None:
    assert isinstance(await checked(says({"status": "NOT_FOUND"})), NotFound)


@pytest.mark.parametrize(
    ("said", "status"),
    [
        # A proxy's own 404, or an address that is wrong, says nothing of our operation.
        ({"status": "NOT_FOUND"}, 404),
        ("not found", 404),
        ({"status": "FOUND"}, 200),
        ({"status": "FOUND", "data": []}, 200),
        (found(status="DONE"), 200),
        (found(payoutId=str(DEPOSIT)), 200),
        (found(payoutId=None), 200),
        (found(), 500),
        (found(), 401),
        (found(), 203),
        ("{", 200),
    ],
)
async def test_whatever_else_a_check_is_answered_is_unknown(said: Any, status: int) -> None:
    assert isinstance(await checked(says(said, status)), Unknown)


@pytest.mark.parametrize("status", [401, 403])
async def test_a_token_that_is_no_longer_good_is_an_alarm_and_fails_nothing(status: int) -> None:
    reason = {"failureCode": "AUTHENTICATION_ERROR", "failureMessage": "No."}
    outcome = await submitted(says({"status": "REJECTED", "failureReason": reason}, status))

    assert isinstance(outcome, Unknown)
    assert outcome.alarm


async def test_no_evidence_has_the_token() -> None:
    async with pawapay(says({"status": "ACCEPTED"})) as (connector, _):
        outcome = await connector.submit(instruction())

    assert "a-token" not in json.dumps(outcome_evidence(outcome))
