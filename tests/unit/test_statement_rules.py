"""Movements: two chains told as one, forwards and backwards, and nothing that does not add up."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.ledger.model import Kind
from kpay.statements.model import (
    NOTHING,
    Line,
    Movement,
    MovementType,
    Operation,
    Place,
    Standing,
    Told,
    Total,
    Totals,
    backward,
    onward,
    parse_place,
    read_type,
    spell_place,
    type_of,
)
from tests.route_table import house_of_routes

AT = datetime(2026, 6, 23, 10, tzinfo=UTC)

# What each kind does to a wallet and to what is reserved of it, as a model of ours has it.
amounts = st.integers(1, 10**12)
entries = st.one_of(
    st.tuples(st.just(Kind.PAYMENT_COMPLETED), amounts, st.just(0)),
    st.tuples(st.just(Kind.TRANSFER), st.integers(-(10**12), 10**12).filter(bool), st.just(0)),
    st.tuples(st.just(Kind.PAYOUT_REQUESTED), amounts.map(lambda a: -a), amounts),
    st.tuples(st.just(Kind.PAYOUT_COMPLETED), st.just(0), amounts.map(lambda a: -a)),
    st.tuples(st.just(Kind.PAYOUT_RELEASED), amounts, amounts.map(lambda a: -a)),
)


@dataclass
class Chains:
    """The two chains that some entries leave, and the balances after each entry."""

    own: list[Line] = field(default_factory=list)
    held: list[Line] = field(default_factory=list)
    after: list[Standing] = field(default_factory=list)

    @classmethod
    def of(cls, made: list[tuple[Kind, int, int]]) -> Chains:
        chains = cls()
        # Entries of other wallets lie between ours.
        for number, (kind, change, reserved_change) in enumerate(made):
            for chain, amount in ((chains.own, change), (chains.held, reserved_change)):
                if amount:
                    before = chain[-1].balance_after if chain else 0
                    chain.append(
                        Line(
                            version=len(chain) + 1,
                            amount=amount,
                            balance_after=before + amount,
                            number=3 * number + 1,
                            operation_id=UUID(int=number),
                            kind=kind,
                            at=AT,
                        )
                    )
            chains.after.append(chains.end)
        return chains

    @property
    def end(self) -> Standing:
        return Standing(
            Place(len(self.own), len(self.held)),
            self.own[-1].balance_after if self.own else 0,
            self.held[-1].balance_after if self.held else 0,
        )


def told_onward(chains: Chains) -> list[Movement]:
    told: list[Movement] = []
    place = Place()
    while movement := onward(
        told[-1].after if told else NOTHING,
        next(iter(chains.own[place.wallet :]), None),
        next(iter(chains.held[place.reserved :]), None),
    ):
        told.append(movement)
        place = movement.after.place
    return told


def told_backward(chains: Chains) -> list[Movement]:
    told: list[Movement] = []
    standing = chains.end
    while movement := backward(
        standing,
        chains.own[standing.place.wallet - 1] if standing.place.wallet else None,
        chains.held[standing.place.reserved - 1] if standing.place.reserved else None,
    ):
        told.append(movement)
        place = movement.before
        standing = Standing(
            place,
            standing.available - movement.change + movement.reserved_change,
            standing.reserved - movement.reserved_change,
        )
    return told


@given(st.lists(entries, max_size=20))
def test_each_entry_is_one_movement_with_the_balances_that_it_left(
    made: list[tuple[Kind, int, int]],
) -> None:
    chains = Chains.of(made)
    told = told_onward(chains)

    assert [movement.after for movement in told] == chains.after
    assert [movement.operation_id.int for movement in told] == list(range(len(made)))
    assert [(movement.change, movement.reserved_change) for movement in told] == [
        (change + reserved_change, reserved_change) for _, change, reserved_change in made
    ]
    assert told_backward(chains) == told[::-1]


def test_a_line_that_does_not_add_up_is_not_told() -> None:
    chains = Chains.of([(Kind.PAYMENT_COMPLETED, 500, 0), (Kind.PAYOUT_REQUESTED, -200, 200)])
    changes: list[dict[str, Any]] = [{"amount": 501}, {"balance_after": 499}, {"version": 2}]
    for change in changes:
        wrong = msgspec.structs.replace(chains.own[0], **change)
        with pytest.raises(ValueError, match="do not add up"):
            onward(NOTHING, wrong, chains.held[0])
    with pytest.raises(ValueError, match="do not add up"):
        backward(
            chains.end, msgspec.structs.replace(chains.own[1], balance_after=301), chains.held[0]
        )


@pytest.mark.parametrize("kind", Kind)
def test_every_kind_of_entry_has_a_type_and_somebody_who_tells_of_its_operation(
    kind: Kind,
) -> None:
    """A kind that is added one day is told in statements, or fails here."""
    assert {type_of(kind, 1), type_of(kind, -1)} <= set(MovementType)
    assert kind in house_of_routes().statements.told_kinds


def test_a_transfer_is_told_by_its_direction() -> None:
    assert type_of(Kind.TRANSFER, -1) is MovementType.WALLET_TRANSFER_OUT
    assert type_of(Kind.TRANSFER, 1) is MovementType.WALLET_TRANSFER_IN


@given(st.integers(0, 10**18 - 1), st.integers(0, 10**18 - 1))
def test_a_place_reads_back_for_its_own_wallet_only(own: int, held: int) -> None:
    text = spell_place("CMR", Place(own, held))

    assert parse_place("CMR", text) == Place(own, held)
    assert parse_place("GAB", text) is None


@given(st.text(max_size=40))
def test_any_other_text_is_no_place(text: str) -> None:
    assert parse_place("CMR", text) is None


def movement(type_: MovementType, change: int, reserved_change: int) -> Movement:
    kind = Kind.PAYMENT_COMPLETED
    return Movement(
        type_, kind, UUID(int=1), AT, change, reserved_change, before=Place(), after=NOTHING
    )


def told(
    type_: MovementType, change: int, reserved_change: int = 0, fee: int | None = None
) -> Told:
    money = None if fee is None else Money(fee, "XAF")
    operation = Operation("id", "reference", None, None, fee=money)
    return Told(movement(type_, change, reserved_change), operation)


def test_movements_are_added_up_by_type_and_told_in_the_order_of_the_types() -> None:
    totals = Totals()
    for each in (
        told(MovementType.WITHDRAWAL_COMPLETED, -700, -700, fee=35),
        told(MovementType.PAYMENT, 1_000, fee=50),
        told(MovementType.WITHDRAWAL_RESERVED, 0, 700, fee=35),
        told(MovementType.PAYMENT, 300, fee=15),
        told(MovementType.WALLET_TRANSFER_IN, 40),
        told(MovementType.WITHDRAWAL_RELEASED, 0, -20, fee=1),
        told(MovementType.WITHDRAWAL_COMPLETED, -30, -30),
    ):
        totals.add(each)

    assert totals.by_type() == [
        (MovementType.PAYMENT, Total(2, 1_300, 0, 65)),
        (MovementType.WALLET_TRANSFER_IN, Total(1, 40, 0, 0)),
        (MovementType.WITHDRAWAL_RESERVED, Total(1, 0, 700, 0)),
        (MovementType.WITHDRAWAL_COMPLETED, Total(2, -730, -730, 35)),
        (MovementType.WITHDRAWAL_RELEASED, Total(1, 0, -20, 0)),
    ]
    assert Totals().by_type() == []


def test_the_lines_of_two_entries_one_right_after_the_other_are_two_movements() -> None:
    own = Line(1, 500, 500, 7, UUID(int=1), Kind.PAYMENT_COMPLETED, AT)
    held = Line(1, 200, 200, 8, UUID(int=2), Kind.PAYOUT_REQUESTED, AT)

    first = onward(NOTHING, own, held)
    assert first is not None
    assert (first.change, first.reserved_change) == (500, 0)
    last = backward(Standing(Place(1, 1), 500, 200), own, held)
    assert last is not None
    assert (last.change, last.reserved_change) == (200, 200)
    assert first.after.balance == 500


def test_a_type_is_read_by_its_name() -> None:
    assert read_type(None) is None
    for type_ in MovementType:
        assert read_type(str(type_)) is type_
    for text in ("", "payment", "TRANSFER"):
        with pytest.raises(Refusal, match="must be one of PAYMENT, ") as refused:
            read_type(text)
        assert refused.value.code is Code.INVALID_PARAMETER
