"""The rail simulator's books: reserve, consume, release, and nothing twice."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.catalogue.model import OperationType
from kpay.core.money import Money
from kpay.rail_simulator.books import Books, BooksError, Operation, Order, Place, Status

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
CMR = Place("CMR", "XAF")


def order(
    type_: OperationType = OperationType.PAYOUT,
    identifier: str = "1",
    minor: int = 10_000,
    deposit_id: str | None = None,
) -> Order:
    return Order(
        type=type_,
        id=identifier,
        amount=Money(minor, "XAF"),
        country="CMR",
        provider="MTN_MOMO_CMR",
        phone_number="237653456789",
        deposit_id=deposit_id,
    )


def books(minor: int = 100_000, **fees: int) -> Books:
    made = Books({OperationType(name): fee for name, fee in fees.items()})
    made.top_up(CMR, minor, NOW)
    return made


def held(made: Books) -> tuple[int, int]:
    wallet = made.wallets[CMR]
    return wallet.available, wallet.reserved


def deposited(made: Books, minor: int = 10_000) -> Operation:
    operation = made.accept(order(OperationType.DEPOSIT, "d", minor), NOW)
    made.move(operation, Status.COMPLETED, NOW)
    return operation


def test_a_payout_reserves_when_it_is_accepted_and_consumes_when_it_is_completed() -> None:
    made = books()

    payout = made.accept(order(), NOW)
    assert held(made) == (90_000, 10_000)

    assert made.move(payout, Status.COMPLETED, NOW)
    assert held(made) == (90_000, 0)
    assert list(made.unsound()) == []


def test_a_payout_that_has_failed_is_released_whole_and_costs_no_fee() -> None:
    made = books(PAYOUT=100)
    payout = made.accept(order(), NOW)

    assert made.move(payout, Status.FAILED, NOW, "RECIPIENT_NOT_FOUND")

    assert held(made) == (100_000, 0)
    assert payout.failure_code == "RECIPIENT_NOT_FOUND"


def test_fees_are_taken_when_it_is_completed() -> None:
    made = books(PAYOUT=100, DEPOSIT=200)
    made.move(made.accept(order(), NOW), Status.COMPLETED, NOW)
    assert held(made) == (89_900, 0)

    deposited(made)

    assert held(made) == (99_700, 0)
    assert list(made.unsound()) == []


def test_a_deposit_is_credited_only_when_it_is_completed() -> None:
    made = books()
    deposit = made.accept(order(OperationType.DEPOSIT), NOW)
    assert held(made) == (100_000, 0)

    made.move(deposit, Status.COMPLETED, NOW)

    assert held(made) == (110_000, 0)


def test_what_is_reserved_cannot_be_spent_again() -> None:
    made = books(15_000)
    made.accept(order(), NOW)

    with pytest.raises(BooksError) as refused:
        made.accept(order(identifier="2"), NOW)

    assert refused.value.code == "PAWAPAY_WALLET_OUT_OF_FUNDS"
    assert held(made) == (5_000, 10_000)


def test_an_id_is_accepted_once() -> None:
    made = books()
    made.accept(order(), NOW)

    with pytest.raises(ValueError, match="before"):
        made.accept(order(), NOW)


@pytest.mark.parametrize("ended", [Status.COMPLETED, Status.FAILED])
@pytest.mark.parametrize("next_", list(Status))
def test_what_has_ended_stays_as_it_ended(ended: Status, next_: Status) -> None:
    made = books()
    payout = made.accept(order(), NOW)
    made.move(payout, ended, NOW)
    before = held(made)

    assert not made.move(payout, next_, NOW)

    assert (payout.status, held(made)) == (ended, before)


def test_an_operation_cannot_go_back() -> None:
    made = books()
    payout = made.accept(order(), NOW)
    made.move(payout, Status.PROCESSING, NOW)

    assert not made.move(payout, Status.ENQUEUED, NOW)
    assert not made.move(payout, Status.ACCEPTED, NOW)


def refused(made: Books, amount: Money | None) -> str:
    with pytest.raises(BooksError) as problem:
        made.refundable("d", amount)
    return problem.value.code


def test_a_refund_is_of_all_that_is_left_unless_it_says() -> None:
    made = books()
    assert refused(made, None) == "NOT_FOUND"
    deposited(made)

    assert made.refundable("d", None)[1].minor == 10_000
    assert made.refundable("d", Money(4_000, "XAF"))[1].minor == 4_000
    assert refused(made, Money(10_001, "XAF")) == "AMOUNT_TOO_LARGE"
    assert refused(made, Money(4_000, "XOF")) == "INVALID_CURRENCY"

    refund = made.accept(order(OperationType.REFUND, "r", 4_000, "d"), NOW)
    assert refused(made, None) == "REFUND_IN_PROGRESS"
    made.move(refund, Status.COMPLETED, NOW)
    assert made.refundable("d", None)[1].minor == 6_000
    assert refused(made, Money(6_001, "XAF")) == "AMOUNT_TOO_LARGE"

    made.move(made.accept(order(OperationType.REFUND, "s", 6_000, "d"), NOW), Status.COMPLETED, NOW)
    assert refused(made, None) == "DEPOSIT_ALREADY_REFUNDED"


def test_a_refund_that_has_failed_takes_nothing_from_what_is_left() -> None:
    made = books()
    deposited(made)
    refund = made.accept(order(OperationType.REFUND, "r", 4_000, "d"), NOW)

    made.move(refund, Status.FAILED, NOW, "UNSPECIFIED_FAILURE")

    assert made.refundable("d", None)[1].minor == 10_000


def test_only_a_completed_deposit_can_be_refunded() -> None:
    made = books()
    deposit = made.accept(order(OperationType.DEPOSIT, "d"), NOW)
    assert refused(made, None) == "INVALID_STATE"

    made.move(deposit, Status.FAILED, NOW, "PAYER_NOT_FOUND")

    assert refused(made, None) == "INVALID_STATE"


def test_books_that_do_not_add_up_say_so() -> None:
    made = books()
    payout = made.accept(order(), NOW)
    made.move(payout, Status.COMPLETED, NOW)

    made.lines.append(made.lines[-1])

    assert len(list(made.unsound())) == 2


@given(
    st.lists(
        st.tuples(
            st.sampled_from([OperationType.DEPOSIT, OperationType.PAYOUT]),
            st.integers(1, 50_000),
            st.sampled_from([None, *Status]),
        ),
        max_size=30,
    )
)
def test_whatever_happens_the_books_add_up(
    steps: list[tuple[OperationType, int, Status | None]],
) -> None:
    made = books(PAYOUT=150, DEPOSIT=90)
    for number, (type_, minor, status) in enumerate(steps):
        try:
            operation = made.accept(order(type_, str(number), minor), NOW)
        except BooksError:
            continue
        if status is not None:
            made.move(operation, status, NOW)

    assert list(made.unsound()) == []
    assert held(made)[1] >= 0
