"""Both clients against the real program on loopback, with some of what passes spoiled."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import httpx
import pytest

from kpay.access.flow import NewApplication
from kpay_client import (
    DRAWN_PREFIX,
    Conflict,
    Forbidden,
    InsufficientFunds,
    InvalidRequest,
    NotFound,
    RateLimited,
    Unauthorized,
    UnknownOutcome,
)
from tests.kpay_client.between import Between, first
from tests.kpay_client.conftest import Connect
from tests.kpay_client.script import Time
from tests.system.program import STOP_SECONDS, wait_for

_PAYERS = {
    "CMR": ("MTN_MOMO_CMR", "237653456789"),
    "GAB": ("AIRTEL_GAB", "24174345678"),
    "COG": ("AIRTEL_COG", "242053456789"),
}
_WITHDRAW = ("POST", "/api/v1/payments/withdraw")
_TRANSFER = ("POST", "/api/wallets/transfer")


def test_the_pages_three_scenarios(connect: Connect) -> None:
    client = connect()
    _collect(client, CMR=200000, GAB=50000, COG=20000)

    direct = client.withdrawals.create(
        amount=10000, provider="ORANGE_GAB", phone_number="237653456789", source_country="CMR"
    )
    assert (direct.net_amount, direct.fee_amount) == (9500, 500)
    assert direct.payout_amount is None

    across = client.withdrawals.create(
        amount=50000,
        provider="MTN_MOMO_CIV",
        phone_number="237653456789",
        source_country="CMR",
        external_id="PAYOUT-CROSS-002",
    )
    assert (across.payout_currency, across.payout_amount) == ("XOF", Decimal("48226.75"))
    assert across.exchange_rate == Decimal("1.0153")
    assert across.external_id == "PAYOUT-CROSS-002"

    for country, amount in (("GAB", 30000), ("COG", 15000)):
        moved = client.transfers.create(
            source_country=country, destination_country="CMR", amount=amount
        )
        assert moved.exchange_rate == 1
        assert moved.external_id.startswith(DRAWN_PREFIX)

    _until_ended(client.withdrawals, [direct.id, across.id])
    expected = {
        "CMR": Decimal(190000 - 10000 - 50000 + 30000 + 15000),
        "GAB": Decimal(17500),
        "COG": Decimal(4000),
    }
    assert {row.country: row.balance for row in client.balance()} == expected
    overview = client.wallets.overview()
    assert {row.country: row.available_balance for row in overview.wallets} == expected
    assert client.withdrawals.get(across.id).fx.rate == Decimal("1.0153")


def test_everything_else_that_can_be_asked(connect: Connect, application: NewApplication) -> None:
    client = connect()

    whose = client.me()
    assert whose.application.id == str(application.application.id)
    assert whose.environment == "TEST"
    rate = client.exchange_rate("XAF", "XOF")
    assert (rate.from_currency, rate.to_currency, rate.rate) == ("XAF", "XOF", Decimal("1.0153"))
    assert client.predict_provider("237653456789").provider == "MTN_MOMO_CMR"
    countries = {row.country: row.providers for row in client.availability()}
    assert countries["CMR"][0].operation_types[0].status == "OPERATIONAL"
    terms = {row.currency: row for row in client.platform_info().currencies}
    assert terms["XAF"].withdrawal.max == 500000
    assert list(client.events.list()) == []


def test_lists_are_narrowed_and_iterated_over_all_pages(connect: Connect) -> None:
    client = connect()
    _collect(client, CMR=10000)
    made = [
        client.transfers.create(source_country="CMR", destination_country="SEN", amount=100)
        for _ in range(5)
    ]

    rows = client.transfers.list(page_size=2)
    assert [row.id for row in rows] == [row.id for row in reversed(made)]
    found = list(client.transfers.list(external_id=made[2].external_id))
    assert [row.id for row in found] == [made[2].id]
    day = timedelta(days=1)
    now = datetime.now(UTC)
    assert len(list(client.payments.list(since=now - day, until=now + day))) == 1
    assert list(client.payments.list(until=now - day)) == []
    assert list(client.withdrawals.list(status="COMPLETED")) == []
    assert [event.event for event in client.events.list()] == ["payment.completed"]
    assert client.transfers.get(made[0].id) == made[0]


@pytest.mark.parametrize("external_id", ["PAYOUT-1", None])
def test_a_withdrawal_whose_answer_is_lost_is_made_once_and_found(
    connect: Connect, external_id: str | None
) -> None:
    between = Between(lose=first(*_WITHDRAW))
    client = connect(between)
    _collect(client, CMR=10000)

    made = _withdraw(client, external_id=external_id)

    assert made.amount == 1000
    assert between.passed.count("POST /api/v1/payments/withdraw") == 2
    assert [row.id for row in client.withdrawals.list()] == [made.id]
    _until_ended(client.withdrawals, [made.id])
    assert client.balance()[0].balance == 9500 - 1000


def test_a_transfer_whose_answer_is_lost_is_made_once_and_found(connect: Connect) -> None:
    between = Between(lose=first(*_TRANSFER))
    client = connect(between)
    _collect(client, CMR=10000)

    made = client.transfers.create(
        source_country="CMR",
        destination_country="GAB",
        amount=Decimal("1000.50"),
        external_id="TRF-1",
    )

    assert made.source_transaction.amount == Decimal("1000.5")
    assert [row.id for row in client.transfers.list()] == [made.id]
    assert {row.country: row.balance for row in client.balance()} == {
        "CMR": Decimal("8499.5"),
        "GAB": Decimal("1000.5"),
    }


def test_a_payment_whose_answer_is_lost_is_made_once_and_found(connect: Connect) -> None:
    client = connect(Between(lose=first("POST", "/api/v1/payments/init")))

    _collect(client, CMR=10000)

    assert client.balance()[0].balance == 9500


def test_a_second_call_with_the_same_external_id_conflicts_even_when_its_answer_is_lost(
    connect: Connect,
) -> None:
    """What is there is another amount: not this call's work."""
    client = connect()
    _collect(client, CMR=10000)
    earlier = _withdraw(client, external_id="PAYOUT-1")

    with pytest.raises(Conflict) as told:
        _withdraw(client, external_id="PAYOUT-1")
    assert told.value.existing_id == earlier.id
    assert told.value.code == "external_id_used"

    unlucky = connect(Between(lose=first(*_WITHDRAW)))
    with pytest.raises(Conflict) as told:
        _withdraw(unlucky, external_id="PAYOUT-1", amount=2000)
    assert told.value.existing_id == earlier.id
    assert len(list(client.withdrawals.list())) == 1


def test_when_every_answer_is_lost_the_outcome_is_unknown_and_can_be_looked_up(
    connect: Connect,
) -> None:
    unlucky = connect(Between(lose=lambda request: request.method == "POST"))
    client = connect()
    _collect(client, CMR=10000)

    with pytest.raises(UnknownOutcome) as told:
        _withdraw(unlucky, external_id=None)

    found = list(client.withdrawals.list(external_id=told.value.external_id))
    assert [row.amount for row in found] == [1000]


def test_a_passing_trouble_is_waited_out(connect: Connect) -> None:
    troubles = [
        httpx.Response(429, json={"message": "Slowly."}, headers={"Retry-After": "3"}),
        httpx.Response(503, json={"message": "Busy.", "code": "busy"}),
    ]
    time = Time()
    between = Between(
        instead=lambda request: (
            troubles.pop() if troubles and request.url.path.endswith("/withdraw") else None
        )
    )
    client = connect(between, time=time)
    _collect(client, CMR=10000)

    made = _withdraw(client)

    assert made.status == "PENDING"
    assert len(time.waited) == 2
    assert time.waited[1] >= 3
    assert between.passed.count("POST /api/v1/payments/withdraw") == 1


def test_the_throttle_of_the_server_itself_is_told_with_its_time(connect: Connect) -> None:
    guesser = connect(secret_key="sk_test_" + "x" * 52)

    for _ in range(10):
        with pytest.raises(Unauthorized) as told:
            guesser.balance()
    assert told.value.code == "invalid_credentials"
    with pytest.raises(RateLimited) as limited:
        guesser.balance()
    assert 1 <= (limited.value.retry_after or 0) <= 60


def test_a_token_is_renewed_before_its_end_and_when_it_is_refused(connect: Connect) -> None:
    spoiled = first("GET", "/api/wallets/overview")

    def spoil(request: httpx.Request) -> None:
        if spoiled(request):
            request.headers["Authorization"] = "Bearer worn.out.token"

    time = Time()
    between = Between(instead=spoil)
    client = connect(between, time=time)
    tokens = "POST /api/v1/payments/token"

    assert client.wallets.overview().wallets == ()
    assert between.passed == [tokens, "GET /api/wallets/overview"] * 2
    client.wallets.overview()
    assert between.passed.count(tokens) == 2
    time.seconds += 30 * 60
    client.wallets.overview()
    assert between.passed.count(tokens) == 3


def test_errors_are_typed_and_carry_what_finds_the_request(connect: Connect) -> None:
    client = connect()
    _collect(client, CMR=1000)

    with pytest.raises(InvalidRequest) as told:
        _withdraw(client, amount=1)
    assert told.value.code == "amount_out_of_bounds"
    assert str(told.value.request_id).startswith("req_")
    with pytest.raises(InsufficientFunds) as poor:
        _withdraw(client, amount=5000)
    assert poor.value.status == 422
    with pytest.raises(InsufficientFunds):
        client.transfers.create(source_country="CMR", destination_country="GAB", amount=5000)
    with pytest.raises(NotFound, match="wallet"):
        client.transfers.create(source_country="GAB", destination_country="CMR", amount=100)
    with pytest.raises(NotFound):
        client.payments.get("pay_00000000")
    with pytest.raises(Forbidden):
        client.transfers.create(
            source_country="CMR",
            destination_country="GAB",
            amount=100,
            application_id="00000000-0000-4000-8000-000000000000",
        )


def test_a_withdrawal_that_ended_cannot_be_cancelled(connect: Connect) -> None:
    client = connect()
    _collect(client, CMR=10000)
    made = _withdraw(client)
    _until_ended(client.withdrawals, [made.id])

    with pytest.raises(Conflict) as told:
        client.withdrawals.cancel(made.id)
    assert told.value.code == "not_cancellable"


def _collect(client: Any, **amounts: int) -> None:
    """Payments of these countries, complete when this returns."""
    made = []
    for country, amount in amounts.items():
        provider, phone = _PAYERS[country]
        made.append(client.payments.init(amount=amount, provider=provider, phone_number=phone).id)
    _until_ended(client.payments, made)


def _withdraw(client: Any, **changes: Any) -> Any:
    wanted = {"amount": 1000, "provider": "MTN_MOMO_CMR", "phone_number": "237653456789"}
    return client.withdrawals.create(**{**wanted, **changes})


def _until_ended(group: Any, identifiers: Iterable[str]) -> None:
    for identifier in identifiers:
        wait_for(lambda one=identifier: group.get(one).has_ended, STOP_SECONDS)
        assert group.get(identifier).status == "COMPLETED"
