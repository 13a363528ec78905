"""What the server answers, as frozen dataclasses.

Money and rates are `Decimal`, moments are aware `datetime`s. Field names are the contract's in
snake_case. A server may add fields: `raw` keeps the whole answer as it was read, numbers exact.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Any, dataclass_transform

_ENDS = frozenset({"COMPLETED", "FAILED", "CANCELLED"})


@dataclass_transform(frozen_default=True, kw_only_default=True, field_specifiers=(field,))
class _Frozen:
    """Whatever is derived from it is a frozen dataclass that is made by keywords."""

    def __init_subclass__(cls) -> None:
        dataclass(frozen=True, kw_only=True)(cls)


class Answer(_Frozen):
    """Any answer, or a part of one."""

    raw: dict[str, Any] = field(default_factory=dict, repr=False, compare=False)


class Named(Answer):
    """An application or a company."""

    id: str
    name: str


class Me(Answer):
    """Whom the keys belong to. `environment` is TEST or PRODUCTION."""

    application: Named
    company: Named
    environment: str


class AccessToken(Answer):
    """A bearer token for the wallets; `expires_in` is such as 30m."""

    access_token: str = field(repr=False)
    expires_in: str
    environment: str | None = None


class Fx(Answer):
    """A rate with all its digits, where and when it is from, and the margin that is in it."""

    rate: Decimal
    source: str
    as_of: datetime
    margin_bps: Decimal | None = None


class Ended(Answer):
    """How something ended, if it has: one of the two moments, and why it failed."""

    completed_at: datetime | None = None
    failed_at: datetime | None = None
    failure_reason: str | None = None


class Followed(Ended):
    """What payments, withdrawals and refunds have in common.

    `status` is PENDING, PROCESSING, COMPLETED, FAILED or CANCELLED. What is None was not said: a
    detail says more than the answer to a request.
    """

    id: str
    status: str
    amount: Decimal
    currency: str
    external_id: str | None = None
    provider_reference: str | None = None
    provider: str | None = None
    country: str | None = None
    phone_number: str | None = None
    is_test: bool | None = None
    message: str | None = None
    created_at: datetime | None = None

    @property
    def has_ended(self) -> bool:
        """Whether `status` is one that never changes again."""
        return self.status in _ENDS


class Operation(Followed):
    """What payments and withdrawals have in common; `mode` is USSD, or GATEWAY for a hosted one."""

    reference: str
    net_amount: Decimal | None = None
    fee_amount: Decimal | None = None
    description: str | None = None
    metadata: Any = field(default=None, hash=False)
    mode: str | None = None
    gateway_url: str | None = None
    expires_at: datetime | None = None


class Payment(Operation):
    """Money in. A hosted one has a `gateway_url` to send the payer to."""

    customer_name: str | None = None
    customer_email: str | None = None


class Withdrawal(Operation):
    """Money out. `amount` left the wallet; where it was converted, `payout_amount` arrives.

    `if_delayed` is QUEUE or REFUSE; `queue_until` is until when it may wait for its operator, if
    there is an end to that.
    """

    source_country: str | None = None
    payout_currency: str | None = None
    payout_amount: Decimal | None = None
    exchange_rate: Decimal | None = None
    fx: Fx | None = None
    if_delayed: str | None = None
    queue_minutes: int | None = None
    queue_until: datetime | None = None


class Refund(Followed):
    """A payment given back to its payer; statuses are those of a withdrawal."""

    original_payment_id: str
    original_payment_status: str | None = None
    reference: str | None = None
    reason: str | None = None


class Side(Answer):
    """One side of a transfer. `type` is WALLET_TRANSFER_OUT or WALLET_TRANSFER_IN."""

    id: str
    reference: str
    type: str
    amount: Decimal
    currency: str
    country: str


class Transfer(Answer):
    """Money moved between two wallets: done when it is answered."""

    id: str
    source_transaction: Side
    destination_transaction: Side
    exchange_rate: Decimal
    description: str | None = None
    external_id: str | None = None
    created_at: datetime
    fx: Fx | None = None


class Wallet(Answer):
    """One country's money: `available_balance` is `balance` less `reserved_balance`."""

    country: str | None = None
    currency: str
    balance: Decimal
    reserved_balance: Decimal
    available_balance: Decimal


class Overview(Answer):
    """Every wallet of the application."""

    application_id: str
    environment: str
    wallets: tuple[Wallet, ...]


class ExchangeRate(Answer):
    """Units of `to_currency` for one unit of `from_currency`, as a conversion now would use it."""

    from_currency: str = field(metadata={"json": "from"})
    to_currency: str = field(metadata={"json": "to"})
    rate: Decimal
    source: str | None = None
    as_of: datetime | None = None
    expires_at: datetime | None = None


class Prediction(Answer):
    """The operator that most likely serves a number."""

    country: str
    provider: str
    phone_number: str


class OperationType(Answer):
    """DEPOSIT, PAYOUT or REMITTANCE, and whether it is OPERATIONAL, DELAYED or CLOSED."""

    operation_type: str
    status: str


class ProviderAvailability(Answer):
    provider: str
    operation_types: tuple[OperationType, ...]


class CountryAvailability(Answer):
    country: str
    providers: tuple[ProviderAvailability, ...]


class Bounds(Answer):
    """The least and the most of one operation, in the currency."""

    min: Decimal
    max: Decimal


class CurrencyTerms(Answer):
    """The bounds of each operation in one currency."""

    currency: str
    payment: Bounds
    withdrawal: Bounds
    transfer: Bounds


class PlatformInfo(Answer):
    """The usual fees, in per cent, and bounds."""

    payment_fee_percent: Decimal
    withdrawal_fee_percent: Decimal
    transfer_fee_percent: Decimal
    currencies: tuple[CurrencyTerms, ...]


class Event(Answer):
    """Something that happened, such as payout.completed, to the operation `payment_id`."""

    id: str
    event: str
    payment_id: str
    created_at: datetime


class WebhookEvent(Ended):
    """What a webhook told, verified. `id` is the same whenever the event is told again."""

    id: str | None = None
    event: str
    payment_id: str
    reference: str | None = None
    status: str | None = None
    amount: Decimal | None = None
    phone_number: str | None = None
    external_id: str | None = None
    metadata: Any = field(default=None, hash=False)
    timestamp: datetime | None = None
    currency: str | None = None
    is_test: bool | None = None
    original_payment_id: str | None = None
