"""Payouts over HTTP: the API calls them withdrawals."""

from __future__ import annotations

from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from kpay.access.gate import Gate
from kpay.core.clock import iso
from kpay.core.fields import (
    AmountJson,
    CountryCode,
    ExternalId,
    MetadataJson,
    Number,
    PhoneNumber,
    ProviderCode,
    Text,
    json_text,
    metadata_text,
    no_metadata,
    shown_metadata,
)
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.instructions.api import Shapes, cancelling_route, reading_routes, recall
from kpay.instructions.flow import Attempt
from kpay.instructions.model import Status, Tracked
from kpay.payouts.flow import Payouts
from kpay.payouts.model import PREFIX, Payout
from kpay.rates.api import Exchange, exchange, shown_rate

_MESSAGES = {
    Status.PENDING: "Withdrawal request received. Processing via Mobile Money.",
    Status.PROCESSING: "The operator is processing this withdrawal.",
    Status.COMPLETED: "The beneficiary has been paid.",
    Status.FAILED: "The withdrawal failed: the whole amount is back in the wallet.",
    Status.CANCELLED: "The withdrawal was cancelled: the whole amount is back in the wallet.",
}


class WithdrawalRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Pay a phone. `amount` is gross, in the currency of the wallet that is debited."""

    amount: AmountJson
    provider: ProviderCode
    phone_number: PhoneNumber
    source_country: CountryCode | None = None
    external_id: ExternalId | None = None
    description: Text | None = None
    metadata: MetadataJson = msgspec.field(default_factory=no_metadata)


class WithdrawalAnswer(msgspec.Struct, rename="camel"):
    """A withdrawal. The last three of the page's fields are there only when it was converted."""

    id: str
    reference: str
    provider_reference: str
    status: str
    amount: Number
    net_amount: Number
    fee_amount: Number
    currency: str
    external_id: str | None
    provider: str
    country: str
    phone_number: str
    source_country: str
    is_test: bool
    message: str
    created_at: str
    payout_currency: str | UnsetType = UNSET
    payout_amount: Number | UnsetType = UNSET
    exchange_rate: Number | UnsetType = UNSET


class WithdrawalDetail(WithdrawalAnswer, rename="camel", kw_only=True):
    """A withdrawal with all that is known of it: its rate receipt and every attempt."""

    description: str | None
    metadata: Any
    completed_at: str | None
    failed_at: str | None
    failure_reason: str | None
    fx: Exchange | None
    attempts: list[Attempt]


def routes(payouts: Payouts, gate: Gate) -> list[Route]:
    async def withdraw(call: Call) -> Reply:
        body: WithdrawalRequest = call.body
        application = await gate.own_application(call.principal, call.book.application_id)
        wanted = payouts.check(
            call.book,
            application.terms,
            amount=json_text(body.amount),
            provider=body.provider,
            phone_number=body.phone_number,
            source_country=body.source_country,
            external_id=body.external_id,
            description=body.description,
            metadata=metadata_text(body.metadata),
        )
        tracked = await payouts.request(call.book, wanted, application.terms, call.keyed)
        return Reply(SHAPES.show(tracked), 201)

    base = "/api/v1/payments/withdraw"
    return [
        Route(
            "POST",
            base,
            "Pay a phone in any country from any wallet",
            Guard.KEYS,
            withdraw,
            WithdrawalAnswer,
            status=201,
            body=WithdrawalRequest,
            recall=recall(payouts, SHAPES),
        ),
        cancelling_route(payouts, SHAPES, one=base),
        *reading_routes(payouts, SHAPES, one=base, many="/api/v1/payments/withdrawals"),
    ]


def _fields(tracked: Tracked[Payout]) -> dict[str, Any]:
    """The fields that every answer about a withdrawal has."""
    payout, progress = tracked.agreed, tracked.progress
    fields: dict[str, Any] = {
        "id": payout.public_id,
        "reference": payout.reference,
        "provider_reference": str(progress.reference),
        "status": progress.status,
        "amount": payout.amount.number,
        "net_amount": payout.net.number,
        "fee_amount": payout.fee.number,
        "currency": payout.amount.currency,
        "external_id": payout.external_id,
        "provider": payout.provider,
        "country": payout.country,
        "phone_number": payout.phone_number,
        "source_country": payout.source_country,
        "is_test": payout.book.is_test,
        "message": _MESSAGES[progress.status],
        "created_at": iso(payout.created_at),
    }
    if payout.is_converted:
        fields["payout_currency"] = payout.payout_amount.currency
        fields["payout_amount"] = payout.payout_amount.number
        fields["exchange_rate"] = shown_rate(payout.quote)
    return fields


def _more(payout: Payout) -> dict[str, Any]:
    return {
        "description": payout.description,
        "metadata": shown_metadata(payout.metadata),
        "fx": exchange(payout.quote) if payout.is_converted else None,
    }


SHAPES = Shapes(PREFIX, WithdrawalAnswer, WithdrawalDetail, _fields, _more)
