"""How movements and statements are shown: the shapes of answers, which files share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

from kpay.core.clock import iso
from kpay.core.fields import Number
from kpay.core.money import to_number
from kpay.statements.flow import Statement
from kpay.statements.model import MovementType, Standing, Told, Totals, spell_place

# Where it can be said why nothing came of an operation.
_RELEASED = frozenset({MovementType.WITHDRAWAL_RELEASED, MovementType.REFUND_RELEASED})


class MovementAnswer(msgspec.Struct, rename="camel"):
    """What one operation did to a wallet.

    `amount` and `reservedAmount` are what changed, with their signs: of the balance, and of what is
    reserved of it. The balances are those afterwards. `grossAmount`, `feeAmount` and `netAmount`
    are there where the operation was settled, so that each fee is there once. What is on the other
    side has `counter` in front: another wallet, or the beneficiary.
    """

    id: str
    created_at: str
    type: str
    operation_id: str
    reference: str
    external_id: str | None
    description: str | None
    currency: str
    amount: Number
    reserved_amount: Number
    balance: Number
    reserved_balance: Number
    available_balance: Number
    gross_amount: Number | None
    fee_amount: Number | None
    net_amount: Number | None
    provider: str | None
    counter_country: str | None
    counter_amount: Number | None
    counter_currency: str | None
    failure_reason: str | None


class BalanceAnswer(msgspec.Struct, rename="camel"):
    """What a wallet held: `availableBalance` is `balance` less `reservedBalance`."""

    balance: Number
    reserved_balance: Number
    available_balance: Number


class TotalAnswer(msgspec.Struct, rename="camel"):
    """All movements of one type: how many, and their sums."""

    type: str
    count: int
    amount: Number
    reserved_amount: Number
    fee_amount: Number


class StatementAnswer(msgspec.Struct, rename={"since": "from", "until": "to"}):
    """A wallet from `from` on, before `to`: `opening` and every `amount` add up to `closing`.

    `from` is null from the beginning on; `to` is null up to now.
    """

    country: str
    currency: str
    environment: str
    since: str | None
    until: str | None
    opening: BalanceAnswer
    movements: list[MovementAnswer]
    totals: list[TotalAnswer]
    closing: BalanceAnswer


def movement_answer(country: str, currency: str, told: Told) -> MovementAnswer:
    movement, operation = told.movement, told.operation
    after = movement.after
    settled = told.settles and operation.gross is not None and operation.fee is not None
    gross, fee, counter = operation.gross, operation.fee, operation.counter
    return MovementAnswer(
        id=spell_place(country, after.place),
        created_at=iso(movement.at),
        type=movement.type,
        operation_id=operation.id,
        reference=operation.reference,
        external_id=operation.external_id,
        description=operation.description,
        currency=currency,
        amount=to_number(movement.change),
        reserved_amount=to_number(movement.reserved_change),
        balance=to_number(after.balance),
        reserved_balance=to_number(after.reserved),
        available_balance=to_number(after.available),
        gross_amount=gross.number if settled and gross else None,
        fee_amount=fee.number if settled and fee else None,
        net_amount=(gross - fee).number if settled and gross and fee else None,
        provider=operation.provider,
        counter_country=operation.counter_country,
        counter_amount=counter.number if counter else None,
        counter_currency=counter.currency if counter else None,
        failure_reason=(operation.failure_code if movement.type in _RELEASED else None),
    )


def statement_answer(statement: Statement, rows: Sequence[Told]) -> StatementAnswer:
    totals = Totals()
    for row in rows:
        totals.add(row)
    return StatementAnswer(
        country=statement.country,
        currency=statement.currency,
        environment=statement.book.environment,
        since=_moment(statement.since),
        until=_moment(statement.until),
        opening=_balance(statement.opening),
        movements=[movement_answer(statement.country, statement.currency, row) for row in rows],
        totals=[
            TotalAnswer(
                type=type_,
                count=total.count,
                amount=to_number(total.change),
                reserved_amount=to_number(total.reserved_change),
                fee_amount=to_number(total.fee),
            )
            for type_, total in totals.by_type()
        ],
        closing=_balance(statement.closing),
    )


def _balance(standing: Standing) -> BalanceAnswer:
    return BalanceAnswer(
        balance=to_number(standing.balance),
        reserved_balance=to_number(standing.reserved),
        available_balance=to_number(standing.available),
    )


def _moment(moment: datetime | None) -> str | None:
    return None if moment is None else iso(moment)
