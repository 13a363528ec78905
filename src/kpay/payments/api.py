"""Payments over HTTP: init by USSD, detail, list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import msgspec

from kpay.access.gate import Gate
from kpay.core.clock import iso
from kpay.core.fields import (
    AmountJson,
    ExternalId,
    MetadataJson,
    Number,
    PhoneNumber,
    ProviderCode,
    ShortText,
    Text,
    json_text,
    metadata_text,
    no_metadata,
    shown_metadata,
)
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.instructions.api import Shapes, reading_routes, recall
from kpay.instructions.flow import Attempt
from kpay.instructions.model import Status, Tracked
from kpay.payments.flow import Payments
from kpay.payments.model import PREFIX, Payment

_MESSAGES = {
    Status.PENDING: "Payment request received. The payer will be asked to confirm it.",
    Status.PROCESSING: "The payer is asked to confirm the payment on their phone.",
    Status.COMPLETED: "The payment is complete and credited to the wallet.",
    Status.FAILED: "The payment failed: nothing was collected.",
    Status.CANCELLED: "The payment was cancelled: nothing was collected.",
}


class PaymentRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Ask a payer for money on their phone. `currency`, if given, must be the provider's."""

    amount: AmountJson
    provider: ProviderCode
    phone_number: PhoneNumber
    external_id: ExternalId
    currency: ShortText | None = None
    description: Text | None = None
    customer_name: ShortText | None = None
    customer_email: ShortText | None = None
    metadata: MetadataJson = msgspec.field(default_factory=no_metadata)


class PaymentAnswer(msgspec.Struct, rename="camel"):
    """A payment."""

    id: str
    reference: str
    provider_reference: str
    status: str
    amount: Number
    currency: str
    external_id: str
    provider: str
    country: str
    phone_number: str
    is_test: bool
    message: str
    created_at: str


class PaymentRefund(msgspec.Struct, rename="camel"):
    """A refund of a payment, as the payment shows it."""

    id: str
    status: str
    amount: Number


class PaymentDetail(PaymentAnswer, rename="camel", kw_only=True):
    """A payment with all that is known of it, every attempt, and what of it was given back."""

    net_amount: Number
    fee_amount: Number
    description: str | None
    customer_name: str | None
    customer_email: str | None
    metadata: Any
    completed_at: str | None
    failed_at: str | None
    failure_reason: str | None
    attempts: list[Attempt]
    refunds: list[PaymentRefund]
    refunded_amount: Number


RefundsOf: TypeAlias = Callable[[Payment], Awaitable[dict[str, Any]]]
"""Finds the last two fields of a detail: refunds live on a floor above."""


def routes(payments: Payments, gate: Gate, refunds_of: RefundsOf) -> list[Route]:
    async def besides(tracked: Tracked[Payment]) -> dict[str, Any]:
        return await refunds_of(tracked.agreed)

    async def init(call: Call) -> Reply:
        body: PaymentRequest = call.body
        application = await gate.own_application(call.principal, call.book.application_id)
        wanted = payments.check(
            call.book,
            application.terms,
            amount=json_text(body.amount),
            provider=body.provider,
            phone_number=body.phone_number,
            external_id=body.external_id,
            currency=body.currency,
            customer_name=body.customer_name,
            customer_email=body.customer_email,
            description=body.description,
            metadata=metadata_text(body.metadata),
        )
        tracked = await payments.init(call.book, wanted, application.terms, call.keyed)
        return Reply(SHAPES.show(tracked), 201)

    base = "/api/v1/payments"
    return [
        Route(
            "POST",
            f"{base}/init",
            "Ask a payer for money",
            Guard.KEYS,
            init,
            PaymentAnswer,
            status=201,
            body=PaymentRequest,
            recall=recall(payments, SHAPES),
        ),
        *reading_routes(payments, SHAPES, one=base, many=base, besides=besides),
    ]


def _fields(tracked: Tracked[Payment]) -> dict[str, Any]:
    """The fields that every answer about a payment has."""
    payment, progress = tracked.agreed, tracked.progress
    return {
        "id": payment.public_id,
        "reference": payment.reference,
        "provider_reference": str(progress.reference),
        "status": progress.status,
        "amount": payment.amount.number,
        "currency": payment.amount.currency,
        "external_id": payment.external_id,
        "provider": payment.provider,
        "country": payment.country,
        "phone_number": payment.phone_number,
        "is_test": payment.book.is_test,
        "message": _MESSAGES[progress.status],
        "created_at": iso(payment.created_at),
    }


def _more(payment: Payment) -> dict[str, Any]:
    return {
        "net_amount": payment.net.number,
        "fee_amount": payment.fee.number,
        "description": payment.description,
        "customer_name": payment.customer_name,
        "customer_email": payment.customer_email,
        "metadata": shown_metadata(payment.metadata),
    }


SHAPES = Shapes(PREFIX, PaymentAnswer, PaymentDetail, _fields, _more)
