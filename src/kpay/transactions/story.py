"""Everything that is known of one transaction: what was agreed, each attempt, each line posted."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kpay.core.money import Money, convert
from kpay.instructions.model import Action
from kpay.instructions.rails import Attempt
from kpay.ledger.model import Kind
from kpay.rates.model import Quote
from kpay.transactions.model import Transaction
from kpay.webhooks.model import Attempt as Sending
from kpay.webhooks.model import Delivery


class Desk(msgspec.Struct, frozen=True):
    """How far a rail is with an operation. `sent` is what it is told, in its own decimals."""

    reference: UUID
    next_action: Action
    attempts: int
    due_at: datetime | None
    sent: Money | None
    queue_until: datetime | None = None
    """Until when it may wait for its operator, if there is a bound to that."""


class Chosen(msgspec.Struct, frozen=True):
    """What somebody picked on a hosted page. The first is 1."""

    number: int
    provider: str
    country: str
    phone_number: str
    at: datetime


class Line(msgspec.Struct, frozen=True):
    """One posting: negative takes from the account. `balance_after` is the account's."""

    account: str
    amount: Money
    balance_after: Money


class Posted(msgspec.Struct, frozen=True):
    """An entry as it stands in its book's journal, where `number` is its own."""

    number: int
    kind: Kind
    at: datetime
    lines: Sequence[Line]


class Receipt(msgspec.Struct, frozen=True):
    """A conversion with all that it can be worked out again from.

    `given` at the rate, to hundredths, is `received`; `sent` is that in the operator's decimals,
    None where no operator is told anything.
    """

    given: Money
    received: Money
    quote: Quote
    sent: Money | None = None

    @property
    def recomputed(self) -> Money:
        """What the record comes to when it is worked out anew."""
        return convert(self.given, self.quote.rate, self.received.currency)

    @property
    def agrees(self) -> bool:
        return self.recomputed == self.received

    @property
    def residue(self) -> Money | None:
        """What the operator's decimals made more or less of it; None where that is nothing."""
        if self.sent is None or self.sent.currency != self.received.currency:
            return None
        rest = self.sent - self.received
        return rest if rest.minor else None


class Notice(msgspec.Struct, frozen=True):
    """How the merchant was told of the end. `delivery` is None where no URL hears it."""

    event_id: UUID
    delivery: Delivery | None
    sendings: Sequence[Sending] = ()


class Story(msgspec.Struct, frozen=True):
    """One transaction, whole."""

    transaction: Transaction
    desk: Desk | None = None
    attempts: Sequence[Attempt] = ()
    choices: Sequence[Chosen] = ()
    entries: Sequence[Posted] = ()
    receipt: Receipt | None = None
    notice: Notice | None = None
    refunds: Sequence[Transaction] = ()
    """Of a payment: all that there were, also those that failed."""
    original: Transaction | None = None
    """Of a refund: the payment that it gives back."""
    customer: str | None = None
    """Of a payment: who pays, as the merchant named them."""
    expires_at: datetime | None = None
    """Of what has a hosted page: until when something can be chosen there."""
    metadata: str | None = None
    """The merchant's own JSON object."""

    @property
    def sent(self) -> Money | None:
        """What the rail is told; None where there is none, or nobody has chosen yet."""
        return None if self.desk is None else self.desk.sent
