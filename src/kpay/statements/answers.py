"""How movements and statements are shown: the shapes of answers, which files share."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, TypeAlias

import msgspec
from msgspec import Meta

from kpay.core.book import Environment
from kpay.core.clock import iso
from kpay.core.fields import Number
from kpay.core.forms import Country, Currency, Description, Moment, OwnId, Provider
from kpay.core.money import to_number
from kpay.statements.flow import Statement
from kpay.statements.model import MovementType, Standing, Told, Totals, spell_place

# Where it can be said why nothing came of an operation.
_RELEASED = frozenset({MovementType.WITHDRAWAL_RELEASED, MovementType.REFUND_RELEASED})

MovementId: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^mov_[A-Z]{3}_\d+_\d+$",
        description="The movement's identifier: it never stands for another.",
        examples=["mov_CMR_3_2"],
    ),
]
Type: TypeAlias = Annotated[MovementType, Meta(description="What it is.")]
Change: TypeAlias = Annotated[
    Number, Meta(description="How `balance` changed, with its sign.", examples=[-50000])
]
ReservedChange: TypeAlias = Annotated[
    Number, Meta(description="How `reservedBalance` changed, with its sign.", examples=[-50000])
]
Balance: TypeAlias = Annotated[
    Number, Meta(description="All that the wallet held then.", examples=[40000])
]
ReservedBalance: TypeAlias = Annotated[
    Number, Meta(description="What of it open withdrawals and refunds held.", examples=[0])
]
AvailableBalance: TypeAlias = Annotated[
    Number, Meta(description="`balance` less `reservedBalance`.", examples=[40000])
]


class MovementAnswer(msgspec.Struct, rename="camel"):
    """What one operation did to a wallet.

    `amount` and `reservedAmount` are what changed, with their signs: of the balance, and of what is
    reserved of it. The balances are those afterwards. `grossAmount`, `feeAmount` and `netAmount`
    are there where the operation was settled, so that each fee is there once. What is on the other
    side has `counter` in front: another wallet, or the beneficiary.
    """

    id: MovementId
    created_at: Annotated[Moment, Meta(description="When it was posted.")]
    type: Type
    operation_id: Annotated[
        str,
        Meta(
            description="The payment, withdrawal, refund or transfer that did it.",
            examples=["wdr_01jyp7nz80fq3v6xk2m9t4c1ha"],
        ),
    ]
    reference: Annotated[
        str, Meta(description="That one's reference.", examples=["KPAY-WD-20260624-CRXS23"])
    ]
    external_id: OwnId | None
    description: Description
    currency: Annotated[Currency, Meta(description="The wallet's currency.")]
    amount: Change
    reserved_amount: ReservedChange
    balance: Balance
    reserved_balance: ReservedBalance
    available_balance: AvailableBalance
    gross_amount: Annotated[
        Number | None,
        Meta(description="What was paid or withdrawn; where it was settled.", examples=[50000]),
    ]
    fee_amount: Annotated[
        Number | None, Meta(description="What it cost; where it was settled.", examples=[2500])
    ]
    net_amount: Annotated[
        Number | None, Meta(description="`grossAmount` less `feeAmount`.", examples=[47500])
    ]
    provider: Provider | None
    counter_country: Annotated[
        Country | None, Meta(description="The country on the other side.", examples=["CIV"])
    ]
    counter_amount: Annotated[
        Number | None, Meta(description="What was sent or came there.", examples=[48226.75])
    ]
    counter_currency: Annotated[
        Currency | None, Meta(description="The currency of `counterAmount`.", examples=["XOF"])
    ]
    failure_reason: Annotated[
        str | None,
        Meta(
            description="Why nothing came of it, where what was reserved is available again.",
            examples=["RECIPIENT_NOT_FOUND"],
        ),
    ]


class BalanceAnswer(msgspec.Struct, rename="camel"):
    """What a wallet held: `availableBalance` is `balance` less `reservedBalance`."""

    balance: Balance
    reserved_balance: ReservedBalance
    available_balance: AvailableBalance


class TotalAnswer(msgspec.Struct, rename="camel"):
    """All movements of one type: how many, and their sums."""

    type: Type
    count: Annotated[int, Meta(description="How many there were.", examples=[1])]
    amount: Change
    reserved_amount: ReservedChange
    fee_amount: Annotated[Number, Meta(description="What they cost.", examples=[2500])]


class StatementAnswer(msgspec.Struct, rename={"since": "from", "until": "to"}):
    """A wallet from `from` on, before `to`: `opening` and every `amount` add up to `closing`.

    `from` is null from the beginning on; `to` is null up to now.
    """

    country: Country
    currency: Currency
    environment: Annotated[Environment, Meta(description="The token's environment.")]
    since: Annotated[
        Moment | None, Meta(description="The period's first moment; null from the beginning on.")
    ]
    until: Annotated[
        Moment | None, Meta(description="The first moment after the period; null up to now.")
    ]
    opening: Annotated[BalanceAnswer, Meta(description="What the wallet held before the period.")]
    movements: Annotated[
        list[MovementAnswer], Meta(description="What happened to it, oldest first.")
    ]
    totals: Annotated[list[TotalAnswer], Meta(description="The sums of each type that there was.")]
    closing: Annotated[BalanceAnswer, Meta(description="What the wallet held after the period.")]


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
