"""Payments over HTTP: init by USSD or for the hosted page, detail, list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any, Literal, TypeAlias

import msgspec
from msgspec import UNSET, UnsetType

from kpay.access.gate import Gate
from kpay.access.model import Terms
from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.fields import (
    Address,
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
from kpay.core.keyed import Keyed
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.gateways.flow import Gateways
from kpay.gateways.model import check_method, counts_as, refuse_destination, require_destination
from kpay.instructions.api import Shapes, reading_routes, recall
from kpay.instructions.model import Status, Tracked
from kpay.instructions.rails import Attempt
from kpay.payments.flow import Payments
from kpay.payments.model import PREFIX, Payment

_MESSAGES = {
    Status.PENDING: "Payment request received. The payer will be asked to confirm it.",
    Status.PROCESSING: "The payer is asked to confirm the payment on their phone.",
    Status.COMPLETED: "The payment is complete and credited to the wallet.",
    Status.FAILED: "The payment failed: nothing was collected.",
    Status.CANCELLED: "The payment was cancelled: nothing was collected.",
}
_CHOOSING = "Send the payer to gatewayUrl: they choose there how to pay."


class PaymentRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Ask a payer for money on their phone, or with `returnUrl` on the hosted page.

    By phone, `provider` and `phoneNumber` are required, and `currency`, if given, must be the
    provider's. On the hosted page the payer chooses them: then both are left out.
    """

    amount: AmountJson
    external_id: ExternalId
    provider: ProviderCode | None = None
    phone_number: PhoneNumber | None = None
    return_url: Address | None = None
    cancel_url: Address | None = None
    payment_method: ShortText | None = None
    currency: ShortText | None = None
    description: Text | None = None
    customer_name: ShortText | None = None
    customer_email: ShortText | None = None
    metadata: MetadataJson = msgspec.field(default_factory=no_metadata)


class PaymentAnswer(msgspec.Struct, rename="camel"):
    """A payment. With `mode` GATEWAY, what the payer chooses is null until they have chosen."""

    id: str
    reference: str
    provider_reference: str | None
    status: str
    mode: Literal["USSD", "GATEWAY"]
    amount: Number
    currency: str
    external_id: str
    provider: str | None
    country: str | None
    phone_number: str | None
    is_test: bool
    message: str
    created_at: str
    gateway_url: str | UnsetType = UNSET
    expires_at: str | UnsetType = UNSET


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


def routes(
    payments: Payments, gateways: Gateways, gate: Gate, refunds_of: RefundsOf
) -> list[Route]:
    async def besides(tracked: Tracked[Payment]) -> dict[str, Any]:
        return await refunds_of(tracked.agreed)

    def fields(tracked: Tracked[Payment]) -> dict[str, Any]:
        """And the page's address, which only the program itself can tell."""
        payment = tracked.agreed
        if payment.hosted is None:
            return _fields(tracked)
        return {**_fields(tracked), "gateway_url": gateways.url(payment.book, payment.id)}

    shapes = replace(SHAPES, fields=fields)

    async def init(call: Call) -> Reply:
        body: PaymentRequest = call.body
        check_method(body.payment_method)
        application = await gate.own_application(call.principal, call.book.application_id)
        begin = _by_phone if body.return_url is None else _on_page
        tracked = await begin(payments, call.book, body, application.terms, call.keyed)
        return Reply(shapes.show(tracked), 201)

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
            recall=recall(payments, shapes),
            also_counts=counts_as,
        ),
        *reading_routes(payments, shapes, one=base, many=base, besides=besides),
    ]


async def _by_phone(
    payments: Payments, book: Book, body: PaymentRequest, terms: Terms, keyed: Keyed | None
) -> Tracked[Payment]:
    provider, phone_number = require_destination(body.provider, body.phone_number, body.cancel_url)
    wanted = payments.check(
        book,
        terms,
        amount=json_text(body.amount),
        provider=provider,
        phone_number=phone_number,
        external_id=body.external_id,
        currency=body.currency,
        customer_name=body.customer_name,
        customer_email=body.customer_email,
        description=body.description,
        metadata=metadata_text(body.metadata),
    )
    return await payments.init(book, wanted, terms, keyed)


async def _on_page(
    payments: Payments, book: Book, body: PaymentRequest, terms: Terms, keyed: Keyed | None
) -> Tracked[Payment]:
    refuse_destination(body.provider, body.phone_number)
    wanted = payments.check_hosted(
        book,
        terms,
        amount=json_text(body.amount),
        currency=body.currency,
        return_url=body.return_url or "",
        cancel_url=body.cancel_url,
        external_id=body.external_id,
        customer_name=body.customer_name,
        customer_email=body.customer_email,
        description=body.description,
        metadata=metadata_text(body.metadata),
    )
    return await payments.init_hosted(book, wanted, terms, keyed)


def _fields(tracked: Tracked[Payment]) -> dict[str, Any]:
    """The fields that every answer about a payment has."""
    payment, progress = tracked.agreed, tracked.progress
    hosted = payment.hosted
    chosen = payment.provider is not None
    choosing = hosted is not None and progress.status is Status.PENDING
    return {
        "id": payment.public_id,
        "reference": payment.reference,
        # Before the payer has chosen, nothing was made for a rail.
        "provider_reference": str(progress.reference) if chosen else None,
        "status": progress.status,
        "mode": "USSD" if hosted is None else "GATEWAY",
        "expires_at": UNSET if hosted is None else iso(hosted.expires_at),
        "amount": payment.amount.number,
        "currency": payment.amount.currency,
        "external_id": payment.external_id,
        "provider": payment.provider,
        "country": payment.country,
        "phone_number": payment.phone_number,
        "is_test": payment.book.is_test,
        "message": _CHOOSING if choosing else _MESSAGES[progress.status],
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
