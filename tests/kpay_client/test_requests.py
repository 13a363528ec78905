"""What is sent: exact amounts, the contract's names, and nothing that should not be."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest

from kpay_client import KPay
from kpay_client._json import dumps, loads
from tests.kpay_client.script import (
    API_KEY,
    BASE,
    SECRET_KEY,
    WANTED,
    Script,
    answer,
    me,
    token,
    withdrawal,
)


def test_a_withdrawal_is_asked_for_in_the_words_of_the_contract(
    client: Any, script: Script
) -> None:
    script.then(answer(201, withdrawal()))

    client.withdrawals.create(
        **WANTED,
        description="Supplier",
        metadata={"order": [1, "é"]},
        if_delayed="QUEUE",
        queue_minutes=120,
    )

    request = script.asked[0]
    assert (request.method, request.url.path) == ("POST", "/api/v1/payments/withdraw")
    assert request.headers["x-api-key"] == API_KEY
    assert request.headers["x-secret-key"] == SECRET_KEY
    assert request.headers["content-type"] == "application/json"
    assert "authorization" not in request.headers
    assert script.body(0) == {
        "amount": 50000,
        "provider": "MTN_MOMO_CIV",
        "phoneNumber": "237653456789",
        "sourceCountry": "CMR",
        "externalId": "PAYOUT-CROSS-002",
        "description": "Supplier",
        "metadata": {"order": [1, "é"]},
        "ifDelayed": "QUEUE",
        "queueMinutes": 120,
    }


def test_a_transfer_is_of_the_keys_own_application_and_shows_the_token_alone(
    client: Any, script: Script
) -> None:
    script.then(me(), token(), answer(201, _transfer()), answer(201, _transfer()))

    for number in (1, 2):
        client.transfers.create(
            source_country="CMR",
            destination_country="SEN",
            amount=100000,
            external_id=f"TRF-{number}",
        )

    assert script.said == [
        "GET /api/v1/payments/me",
        "POST /api/v1/payments/token",
        "POST /api/wallets/transfer",
        "POST /api/wallets/transfer",
    ]
    request = script.asked[2]
    assert request.headers["authorization"] == "Bearer token-1"
    assert "x-secret-key" not in request.headers
    assert script.body(2) == {
        "applicationId": "app-1",
        "sourceCountry": "CMR",
        "destinationCountry": "SEN",
        "amount": 100000,
        "externalId": "TRF-1",
    }


def test_what_is_public_is_asked_for_without_credentials(client: Any, script: Script) -> None:
    terms = {"paymentFeePercent": 5, "withdrawalFeePercent": 5, "transferFeePercent": 0}
    script.then(answer(200, {**terms, "currencies": []}))

    client.platform_info()

    assert not {"x-api-key", "x-secret-key", "authorization"} & set(script.asked[0].headers)


def test_a_list_asks_for_the_next_page_when_its_rows_are_wanted(
    client: Any, script: Script
) -> None:
    first = {"data": [withdrawal(id="wdr_2"), withdrawal(id="wdr_1")], "nextCursor": "wdr_1"}
    script.then(answer(200, first))
    since = datetime(2026, 6, 1, 2, 0, tzinfo=timezone(timedelta(hours=2)))

    rows = client.withdrawals.list(status="PENDING", since=since, page_size=2)
    assert [next(rows).id, next(rows).id] == ["wdr_2", "wdr_1"]
    assert len(script.asked) == 1

    script.then(answer(200, {"data": [withdrawal(id="wdr_0")], "nextCursor": None}))
    assert [row.id for row in rows] == ["wdr_0"]
    query = {"status": "PENDING", "from": "2026-06-01T00:00:00Z", "limit": "2"}
    assert dict(script.asked[0].url.params) == query
    assert dict(script.asked[1].url.params) == {**query, "cursor": "wdr_1"}


@pytest.mark.parametrize("amount", [100.0, True, "100", None])
def test_an_amount_that_is_not_exact_is_refused_before_anything_is_sent(amount: Any) -> None:
    with KPay(API_KEY, SECRET_KEY, base_url=BASE) as client, pytest.raises(TypeError):
        client.withdrawals.create(amount=amount)


@pytest.mark.parametrize("amount", [Decimal("NaN"), Decimal("Infinity")])
def test_an_amount_that_is_no_number_is_refused(amount: Decimal) -> None:
    with KPay(API_KEY, SECRET_KEY, base_url=BASE) as client, pytest.raises(ValueError, match="num"):
        client.payments.init(amount=amount)


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Decimal("48211.75"), "48211.75"),
        (Decimal("0.1") + Decimal("0.2"), "0.3"),
        (Decimal("5E+4"), "50000"),
        (Decimal("1E-7"), "0.0000001"),
        (Decimal("12345678901234567890.12"), "12345678901234567890.12"),
        (9007199254740993, "9007199254740993"),
        (Decimal("1E+1000000"), "1E+1000000"),
    ],
)
def test_an_amount_is_written_with_exactly_its_digits(amount: Decimal | int, text: str) -> None:
    assert dumps({"amount": amount}) == f'{{"amount":{text}}}'.encode()


def test_json_is_read_as_it_was_written() -> None:
    value = {"a": [1, Decimal("2.50"), None, True, "é\n"], "b": {}, "c": []}

    assert loads(dumps(value)) == value
    assert str(loads(b"1.10")) == "1.10"


@pytest.mark.parametrize("value", [{1: "name"}, {"x": object()}, {"x": {1, 2}}])
def test_what_json_has_no_form_for_is_refused(value: object) -> None:
    with pytest.raises(TypeError):
        dumps(value)


@pytest.mark.parametrize("text", [b"NaN", b"[Infinity]", b"{", b"\xff"])
def test_what_is_no_json_is_not_read(text: bytes) -> None:
    with pytest.raises(ValueError, match=r"."):
        loads(text)


@pytest.mark.parametrize("identifier", ["", "..", "a/b", "a?b", "é", "wdr_1\n"])
def test_an_identifier_that_would_be_another_path_is_refused(identifier: str) -> None:
    with KPay(API_KEY, SECRET_KEY, base_url=BASE) as client:
        for get in (client.payments.get, client.withdrawals.cancel, client.transfers.get):
            with pytest.raises(ValueError, match="identifier"):
                get(identifier)


def test_a_moment_without_a_zone_is_refused() -> None:
    with (
        KPay(API_KEY, SECRET_KEY, base_url=BASE) as client,
        pytest.raises(ValueError, match="zone"),
    ):
        client.payments.list(since=datetime(2026, 1, 1, tzinfo=UTC).replace(tzinfo=None))


@pytest.mark.parametrize(
    "base_url", ["pay.example.com", "ftp://pay.example.com", "https://u:p@h", "https://h?a", ""]
)
def test_a_base_url_that_is_none_is_refused(base_url: str) -> None:
    with pytest.raises(ValueError, match="base_url"):
        KPay(API_KEY, SECRET_KEY, base_url=base_url)


@pytest.mark.parametrize("key", ["", "  ", "kpay_test_é", "kpay_test_a\nX-Other: b"])
def test_keys_that_cannot_be_are_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="secret_key") as told:
        KPay(API_KEY, key, base_url=BASE)
    assert "kpay_test_" not in str(told.value)


def _transfer() -> dict[str, object]:
    side = {"id": "t-1", "reference": "TRF-OUT-A", "amount": 100000, "currency": "XAF"}
    return {
        "id": "t-1",
        "sourceTransaction": {**side, "type": "WALLET_TRANSFER_OUT", "country": "CMR"},
        "destinationTransaction": {**side, "type": "WALLET_TRANSFER_IN", "country": "SEN"},
        "exchangeRate": 1.0153,
        "description": None,
        "externalId": "TRF-1",
        "createdAt": "2026-06-23T10:05:00.000Z",
    }
