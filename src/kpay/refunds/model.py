"""A refund as plain values: which payment it gives back, and whether that can be done."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.ids import dated_reference, public_id
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.instructions.model import Progress, Status, Tracked
from kpay.payments.model import PREFIX as PAYMENT_PREFIX

PREFIX = "rfd"

# KPay: a refund within seven days of the payment.
WINDOW = timedelta(days=7)


class Refund(msgspec.Struct, frozen=True):
    """A refund as it was agreed: all that was paid, to the phone and by the operator that paid it.

    How far it has come is its `Progress`.
    """

    book: Book
    id: UUID
    suffix: str
    external_id: str | None
    payment_id: UUID
    provider: str
    country: str
    phone_number: str
    amount: Money
    reason: str | None
    created_at: datetime

    @property
    def public_id(self) -> str:
        return public_id(PREFIX, self.id)

    @property
    def reference(self) -> str:
        return dated_reference("KPAY-RF", self.created_at, self.suffix)

    @property
    def original_payment_id(self) -> str:
        return public_id(PAYMENT_PREFIX, self.payment_id)

    @property
    def metadata(self) -> None:
        """A refund has none of its own."""
        return None

    @property
    def hosted(self) -> None:
        """Where a refund goes is not chosen: it has no page."""
        return None


def check_refundable(payment: Progress, now: datetime) -> None:
    """Whether a payment can be given back at this moment; of its end both moments count in.

    Refuses: not_refundable, refund_window_closed.
    """
    if payment.status is not Status.COMPLETED or payment.ended_at is None:
        raise Refusal(
            Code.NOT_REFUNDABLE,
            f"Only a payment that is COMPLETED can be refunded: this one is {payment.status}.",
        )
    last = payment.ended_at + WINDOW
    if now > last:
        raise Refusal(
            Code.REFUND_WINDOW_CLOSED,
            f"A payment can be refunded for {WINDOW.days} days: this one could until {iso(last)}. "
            "Pay it back with a withdrawal instead.",
        )


def is_live(refund: Tracked[Refund]) -> bool:
    """Whether it gives its payment back, or has: then there can be no other."""
    return refund.progress.status not in (Status.FAILED, Status.CANCELLED)
