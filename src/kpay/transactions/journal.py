"""The entry that a transaction's record comes to, by the same movements that posted it. Pure."""

from __future__ import annotations

from typing import TypeVar

from kpay.core.money import Money
from kpay.ledger import movements
from kpay.ledger.model import Entry, Kind
from kpay.transactions.model import Transaction

T = TypeVar("T")


def entry_of(kind: Kind, told: Transaction, sent: Money | None) -> Entry:
    """One of a transaction's entries; `sent` is what a rail was told.

    Raises ValueError for what no entry of this kind can have been posted for.
    """
    amount = told.amount
    match kind:
        case Kind.TRANSFER:
            return movements.transfer(
                told.id,
                source=_known(told.source),
                destination=_known(told.destination),
                debited=amount,
                credited=_known(told.arrives),
            )
        case Kind.PAYMENT_COMPLETED:
            return movements.payment_completed(
                told.id,
                provider=_known(told.provider),
                country=_known(told.destination),
                paid=amount,
                fee=_known(told.fee),
            )
        case Kind.PAYOUT_REQUESTED:
            return movements.payout_requested(told.id, country=_known(told.source), amount=amount)
        case Kind.PAYOUT_COMPLETED:
            return movements.payout_completed(
                told.id,
                country=_known(told.source),
                provider=_known(told.provider),
                amount=amount,
                fee=_known(told.fee),
                payout_amount=_known(told.arrives),
                sent=_known(sent),
            )
        case Kind.PAYOUT_RELEASED:
            return movements.payout_released(told.id, country=_known(told.source), amount=amount)
        case Kind.REFUND_REQUESTED:
            return movements.refund_requested(told.id, country=_known(told.source), amount=amount)
        case Kind.REFUND_COMPLETED:
            return movements.refund_completed(
                told.id,
                country=_known(told.source),
                provider=_known(told.provider),
                amount=amount,
            )
        case Kind.REFUND_RELEASED:
            return movements.refund_released(told.id, country=_known(told.source), amount=amount)


def _known(value: T | None) -> T:
    if value is None:
        raise ValueError("a transaction was posted before all of it was known")
    return value
