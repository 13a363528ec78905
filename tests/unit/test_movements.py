"""Every way money can move: the table of movements line by line, and balanced for any amounts."""

from __future__ import annotations

import inspect
from collections import Counter
from decimal import Decimal
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.core.money import Money, convert, fee_of, to_rail
from kpay.ledger import movements
from kpay.ledger.model import Entry, Kind, Posting

OPERATION = UUID(int=7)
AMOUNTS = st.integers(1, 10**15)
BASIS_POINTS = st.integers(0, 9_999)
RATES = st.decimals("0.0001", "10000", places=8)
DECIMALS = st.integers(0, 2)


def xaf(amount: str | int) -> Money:
    return Money(int(Decimal(amount) * 100), "XAF")


def xof(amount: str | int) -> Money:
    return Money(int(Decimal(amount) * 100), "XOF")


def table(entry: Entry) -> dict[str, str]:
    """An entry as the table of movements has it: each account with its signed amount."""
    return {line.account: str(line.amount) for line in entry.postings}


def assert_balanced(entry: Entry) -> None:
    currencies = {line.amount.currency for line in entry.postings}
    for currency in currencies:
        assert sum(p.amount.minor for p in entry.postings if p.amount.currency == currency) == 0
    assert all(line.amount.minor != 0 for line in entry.postings)
    assert len(currencies) <= 2


# The table of movements.


def test_a_completed_payment_credits_the_net_and_earns_the_fee() -> None:
    entry = movements.payment_completed(
        OPERATION, provider="MTN_MOMO_CMR", country="CMR", paid=xaf(5_000), fee=xaf(250)
    )

    assert entry.kind is Kind.PAYMENT_COMPLETED
    assert table(entry) == {
        "provider:MTN_MOMO_CMR": "-5,000.00 XAF",
        "wallet:CMR": "4,750.00 XAF",
        "fees:XAF": "250.00 XAF",
    }


def test_a_transfer_in_one_currency_has_two_lines() -> None:
    entry = movements.transfer(
        OPERATION, source="CMR", destination="GAB", debited=xaf(50_000), credited=xaf(50_000)
    )

    assert entry.kind is Kind.TRANSFER
    assert table(entry) == {"wallet:CMR": "-50,000.00 XAF", "wallet:GAB": "50,000.00 XAF"}


def test_a_transfer_across_currencies_goes_by_way_of_the_house_s_position() -> None:
    entry = movements.transfer(
        OPERATION, source="CMR", destination="SEN", debited=xaf(100_000), credited=xof(101_530)
    )

    assert table(entry) == {
        "wallet:CMR": "-100,000.00 XAF",
        "fx:XAF": "100,000.00 XAF",
        "fx:XOF": "-101,530.00 XOF",
        "wallet:SEN": "101,530.00 XOF",
    }


def test_a_requested_payout_sets_the_gross_amount_aside() -> None:
    entry = movements.payout_requested(OPERATION, country="CMR", amount=xaf(50_000))

    assert entry.kind is Kind.PAYOUT_REQUESTED
    assert table(entry) == {"wallet:CMR": "-50,000.00 XAF", "reserved:CMR": "50,000.00 XAF"}


def test_a_completed_payout_consumes_the_hold_to_the_last_hundredth() -> None:
    entry = movements.payout_completed(
        OPERATION,
        country="CMR",
        provider="MTN_MOMO_CIV",
        amount=xaf(50_000),
        fee=xaf(2_500),
        payout_amount=xof("48211.75"),
        sent=xof(48_212),
    )

    assert entry.kind is Kind.PAYOUT_COMPLETED
    assert table(entry) == {
        "reserved:CMR": "-50,000.00 XAF",
        "fees:XAF": "2,500.00 XAF",
        "fx:XAF": "47,500.00 XAF",
        "fx:XOF": "-48,211.75 XOF",
        "provider:MTN_MOMO_CIV": "48,212.00 XOF",
        "rounding:XOF": "-0.25 XOF",
    }


def test_a_payout_in_one_currency_needs_no_exchange_and_no_rounding() -> None:
    entry = movements.payout_completed(
        OPERATION,
        country="CMR",
        provider="ORANGE_GAB",
        amount=xaf(10_000),
        fee=xaf(500),
        payout_amount=xaf(9_500),
        sent=xaf(9_500),
    )

    assert table(entry) == {
        "reserved:CMR": "-10,000.00 XAF",
        "fees:XAF": "500.00 XAF",
        "provider:ORANGE_GAB": "9,500.00 XAF",
    }


def test_a_payout_that_failed_or_was_cancelled_gives_all_of_the_hold_back() -> None:
    entry = movements.payout_released(OPERATION, country="CMR", amount=xaf(50_000))

    assert entry.kind is Kind.PAYOUT_RELEASED
    assert table(entry) == {"reserved:CMR": "-50,000.00 XAF", "wallet:CMR": "50,000.00 XAF"}


def test_a_requested_refund_sets_all_of_the_payment_aside() -> None:
    entry = movements.refund_requested(OPERATION, country="CMR", amount=xaf(5_000))

    assert entry.kind is Kind.REFUND_REQUESTED
    assert table(entry) == {"wallet:CMR": "-5,000.00 XAF", "reserved:CMR": "5,000.00 XAF"}


def test_a_completed_refund_consumes_the_hold_and_touches_no_fee() -> None:
    entry = movements.refund_completed(
        OPERATION, country="CMR", provider="MTN_MOMO_CMR", amount=xaf(5_000)
    )

    assert entry.kind is Kind.REFUND_COMPLETED
    assert table(entry) == {
        "reserved:CMR": "-5,000.00 XAF",
        "provider:MTN_MOMO_CMR": "5,000.00 XAF",
    }


def test_a_refund_that_failed_or_was_cancelled_gives_all_of_the_hold_back() -> None:
    entry = movements.refund_released(OPERATION, country="CMR", amount=xaf(5_000))

    assert entry.kind is Kind.REFUND_RELEASED
    assert table(entry) == {"reserved:CMR": "-5,000.00 XAF", "wallet:CMR": "5,000.00 XAF"}


# For any amounts.


@given(AMOUNTS, BASIS_POINTS)
def test_any_payment_balances(minor: int, basis_points: int) -> None:
    paid = Money(minor, "XAF")

    assert_balanced(
        movements.payment_completed(
            OPERATION,
            provider="MTN_MOMO_CMR",
            country="CMR",
            paid=paid,
            fee=fee_of(paid, basis_points),
        )
    )


@given(AMOUNTS, RATES)
def test_any_transfer_balances(minor: int, rate: Decimal) -> None:
    debited = Money(minor, "XAF")
    converted = convert(debited, rate, "KES")

    for destination, credited in (("GAB", debited), ("KEN", converted)):
        assert_balanced(
            movements.transfer(
                OPERATION,
                source="CMR",
                destination=destination,
                debited=debited,
                credited=credited,
            )
        )


@given(AMOUNTS, BASIS_POINTS, RATES, DECIMALS, st.sampled_from(["XAF", "XOF"]))
def test_any_payout_balances_at_each_of_its_steps(
    minor: int, basis_points: int, rate: Decimal, decimals: int, currency: str
) -> None:
    amount = Money(minor, "XAF")
    fee = fee_of(amount, basis_points)
    net = amount - fee
    payout_amount = net if currency == "XAF" else convert(net, rate, currency)
    requested = movements.payout_requested(OPERATION, country="CMR", amount=amount)
    released = movements.payout_released(OPERATION, country="CMR", amount=amount)
    completed = movements.payout_completed(
        OPERATION,
        country="CMR",
        provider="MTN_MOMO_CIV",
        amount=amount,
        fee=fee,
        payout_amount=payout_amount,
        sent=to_rail(payout_amount, decimals),
    )

    for entry in (requested, released, completed):
        assert_balanced(entry)
    # Whichever way it ends, the whole of the hold is gone and nothing more.
    held = {line.account: line.amount.minor for line in requested.postings}["reserved:CMR"]
    for ending in (released, completed):
        assert {line.account: line.amount.minor for line in ending.postings}["reserved:CMR"] == (
            -held
        )


@given(AMOUNTS, BASIS_POINTS)
def test_a_payment_and_its_refund_cost_the_merchant_the_fee_and_the_operator_nothing(
    minor: int, basis_points: int
) -> None:
    paid = Money(minor, "XAF")
    fee = fee_of(paid, basis_points)
    entries = (
        movements.payment_completed(
            OPERATION, provider="MTN_MOMO_CMR", country="CMR", paid=paid, fee=fee
        ),
        movements.refund_requested(OPERATION, country="CMR", amount=paid),
        movements.refund_completed(OPERATION, country="CMR", provider="MTN_MOMO_CMR", amount=paid),
        movements.refund_released(OPERATION, country="CMR", amount=paid),
    )
    for entry in entries:
        assert_balanced(entry)
    left: Counter[str] = Counter()
    for entry in entries[:3]:
        left.update({line.account: line.amount.minor for line in entry.postings})

    assert +left == Counter({"fees:XAF": fee.minor} if fee.minor else {})
    assert -left == Counter({"wallet:CMR": fee.minor} if fee.minor else {})


# What is no entry.


@pytest.mark.parametrize(
    "lines",
    [
        [("wallet:CMR", xaf(-100)), ("wallet:GAB", xaf(99))],
        [("wallet:CMR", xaf(-100)), ("wallet:SEN", xof(100))],
        [("wallet:CMR", xaf(100))],
        # Balanced, but an account that is named twice would have two places in its chain.
        [("wallet:CMR", xaf(-100)), ("wallet:CMR", xaf(100))],
        [("wallet:CMR", xaf(-100)), ("wallet:GAB", xaf(50)), ("wallet:GAB", xaf(50))],
    ],
)
def test_what_does_not_balance_or_names_an_account_twice_is_no_entry(
    lines: list[tuple[str, Money]],
) -> None:
    with pytest.raises(ValueError, match="does not balance, or names an account twice"):
        Entry(Kind.TRANSFER, OPERATION, tuple(Posting(*line) for line in lines))


def test_a_transfer_to_the_same_wallet_is_no_entry() -> None:
    with pytest.raises(ValueError, match="names an account twice"):
        movements.transfer(
            OPERATION, source="CMR", destination="CMR", debited=xaf(100), credited=xaf(100)
        )


def test_there_is_one_movement_for_each_kind_and_no_other() -> None:
    made = {
        name
        for name, function in inspect.getmembers(movements, inspect.isfunction)
        if inspect.signature(function).return_annotation == "Entry" and not name.startswith("_")
    }

    assert made == set(Kind)


def test_a_kind_opens_an_operation_or_closes_one() -> None:
    closing = {kind for kind in Kind if kind.step == 2}

    assert closing == {
        *(Kind.PAYOUT_COMPLETED, Kind.PAYOUT_RELEASED),
        *(Kind.REFUND_COMPLETED, Kind.REFUND_RELEASED),
    }
    assert {kind.step for kind in set(Kind) - closing} == {1}
