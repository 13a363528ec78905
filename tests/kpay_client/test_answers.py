"""What is answered: typed, exact, and whole even where the server says more than is known here."""

from __future__ import annotations

import copy
import json
import pickle
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import httpx
import pytest

from kpay_client import UnknownOutcome, answers
from kpay_client._json import loads
from kpay_client._reading import Unreadable, read
from tests.kpay_client.script import WANTED, Script, withdrawal

# As the page has them, word for word.
_SAME_CURRENCY = b"""{
  "id": "wdr_abc789",
  "reference": "KPAY-WD-20260623-ABC789",
  "status": "PENDING",
  "amount": 10000,
  "netAmount": 9500,
  "feeAmount": 500,
  "currency": "XAF",
  "isTest": true,
  "message": "Withdrawal request received. Processing via Mobile Money."
}"""
_TRANSFER = b"""{
  "id": "c3d4e5f6-...",
  "sourceTransaction": {
    "id": "c3d4e5f6-...",
    "reference": "TRF-OUT-DEF456",
    "type": "WALLET_TRANSFER_OUT",
    "amount": 100000,
    "currency": "XAF",
    "country": "CMR"
  },
  "destinationTransaction": {
    "id": "g7h8i9j0-...",
    "reference": "TRF-IN-DEF456",
    "type": "WALLET_TRANSFER_IN",
    "amount": 101530,
    "currency": "XOF",
    "country": "SEN"
  },
  "exchangeRate": 1.0153,
  "description": "Supply Senegal wallet",
  "externalId": "TRF-2026-002",
  "createdAt": "2026-06-23T10:05:00.000Z"
}"""


def test_the_pages_withdrawal_is_read_though_it_says_less_than_ours() -> None:
    found = read(answers.Withdrawal, loads(_SAME_CURRENCY))

    assert (found.id, found.net_amount, found.is_test) == ("wdr_abc789", Decimal(9500), True)
    assert found.payout_amount is None
    assert not found.has_ended


def test_the_pages_transfer_is_read_exactly() -> None:
    found = read(answers.Transfer, loads(_TRANSFER))

    assert found.destination_transaction.amount == Decimal(101530)
    assert str(found.exchange_rate) == "1.0153"
    assert found.created_at == datetime(2026, 6, 23, 10, 5, tzinfo=UTC)


def test_amounts_come_as_decimals_with_the_digits_that_were_sent() -> None:
    text = json.dumps(withdrawal()).replace("48211.75", "48211.750000000000000001")

    found = read(answers.Withdrawal, loads(text.encode()))

    assert str(found.payout_amount) == "48211.750000000000000001"
    assert isinstance(found.amount, Decimal)


def test_what_a_newer_server_adds_is_kept() -> None:
    found = _read(priority={"level": 1.5}, status="ON_HOLD")

    assert found.raw["priority"] == {"level": Decimal("1.5")}
    assert found.status == "ON_HOLD"
    assert not found.has_ended


def test_answers_can_be_compared_hashed_copied_and_pickled() -> None:
    found = _read(metadata={"a": 1})

    assert copy.deepcopy(found) == found == pickle.loads(pickle.dumps(found))  # noqa: S301
    assert len({found, copy.deepcopy(found)}) == 1


def test_a_rate_that_is_spelled_in_text_is_a_decimal_too() -> None:
    fx = {"rate": "0.0015244901723741037", "source": "file", "asOf": "2026-06-23T10:00:00Z"}

    found = _read(fx=fx)

    assert found.fx is not None
    assert str(found.fx.rate) == "0.0015244901723741037"


def test_until_when_a_withdrawal_may_wait_is_read() -> None:
    found = _read(ifDelayed="QUEUE", queueMinutes=120, queueUntil="2026-06-23T12:00:00.000Z")

    assert (found.if_delayed, found.queue_minutes) == ("QUEUE", 120)
    assert isinstance(found.queue_minutes, int)
    assert found.queue_until == datetime(2026, 6, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({"queueMinutes": 1.5}, "queueMinutes"),
        ({"queueMinutes": "120"}, "queueMinutes"),
        ({"queueMinutes": True}, "queueMinutes"),
        ({"amount": True}, "amount"),
        ({"amount": "much"}, "amount"),
        ({"amount": "NaN"}, "amount"),
        ({"id": None}, "id"),
        ({"isTest": 1}, "isTest"),
        ({"createdAt": "2026-06-23T10:00:00"}, "createdAt"),
        ({"createdAt": "yesterday"}, "createdAt"),
        ({"fx": []}, "fx"),
    ],
)
def test_an_answer_of_another_shape_is_refused_by_the_name_of_its_field(
    changes: dict[str, Any], word: str
) -> None:
    with pytest.raises(Unreadable, match=rf"^{word}: "):
        _read(**changes)


@pytest.mark.parametrize("wallets", [None, {}, "CMR", [1]])
def test_a_list_that_is_none_or_has_strange_rows_is_refused(wallets: Any) -> None:
    with pytest.raises(Unreadable, match=r"^wallets: "):
        read(answers.Overview, {"applicationId": "a", "environment": "TEST", "wallets": wallets})


@pytest.mark.parametrize(
    "reply",
    [
        httpx.Response(200, content=b"<html>Welcome</html>"),
        httpx.Response(201, content=b'{"id": "wdr_1"}'),
        httpx.Response(201, content=b"[" * 100_000),
    ],
    ids=["a page", "half of it", "too deep"],
)
def test_a_creation_whose_answer_cannot_be_read_is_not_known_to_have_failed(
    client: Any, script: Script, reply: httpx.Response
) -> None:
    script.then(*[reply] * 5)

    with pytest.raises(UnknownOutcome) as told:
        client.withdrawals.create(**WANTED)

    assert told.value.code == "unreadable_answer"
    assert told.value.external_id == "PAYOUT-CROSS-002"


def _read(**changes: object) -> answers.Withdrawal:
    """A withdrawal, as the server's bytes are read."""
    return read(answers.Withdrawal, loads(json.dumps(withdrawal(**changes)).encode()))
