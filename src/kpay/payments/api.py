"""Payments over HTTP: init by USSD, detail, list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import Meta

from kpay.access.gate import Gate
from kpay.core.clock import iso
from kpay.core.fields import (
    BOUNDS_OF,
    ENUM_OF,
    PHONE_FORM,
    AmountJson,
    ExternalId,
    MetadataJson,
    PhoneNumber,
    ProviderCode,
    ShortText,
    Text,
    json_text,
    metadata_text,
    no_metadata,
    shown_metadata,
)
from kpay.core.forms import (
    Amount,
    CompletedAt,
    Country,
    CreatedAt,
    Currency,
    Description,
    FailedAt,
    FailureReason,
    FeeAmount,
    IsTest,
    Message,
    Metadata,
    NetAmount,
    OwnId,
    PaymentId,
    PaymentReference,
    Phone,
    Provider,
    ProviderReference,
    RefundId,
)
from kpay.core.refusals import Code
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.instructions.api import Shapes, reading_routes, recall
from kpay.instructions.flow import Attempt
from kpay.instructions.model import Status, Tracked
from kpay.payments import examples
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

    amount: Annotated[
        AmountJson,
        Meta(
            description="What the payer pays, in the provider's currency and with no more decimals "
            "than it takes.",
            examples=[5000],
            extra_json_schema={BOUNDS_OF: "DEPOSIT"},
        ),
    ]
    provider: ProviderCode
    phone_number: Annotated[PhoneNumber, Meta(description=f"The payer's. {PHONE_FORM}")]
    external_id: ExternalId
    currency: Annotated[
        ShortText | None,
        Meta(
            description="The provider's currency, or left out.",
            examples=["XAF"],
            extra_json_schema={ENUM_OF: "currencies"},
        ),
    ] = None
    description: Annotated[
        Text | None, Meta(description="Your own description.", examples=["Order 1"])
    ] = None
    customer_name: Annotated[
        ShortText | None, Meta(description="The payer's name.", examples=["Awa Ndiaye"])
    ] = None
    customer_email: Annotated[
        ShortText | None, Meta(description="The payer's address.", examples=["awa@example.com"])
    ] = None
    metadata: MetadataJson = msgspec.field(default_factory=no_metadata)


class PaymentAnswer(msgspec.Struct, rename="camel"):
    """A payment."""

    id: PaymentId
    reference: PaymentReference
    provider_reference: ProviderReference
    status: Annotated[Status, Meta(description="Where it stands.")]
    amount: Annotated[Amount, Meta(description="What the payer pays.", examples=[5000])]
    currency: Currency
    external_id: OwnId
    provider: Provider
    country: Country
    phone_number: Phone
    is_test: IsTest
    message: Message
    created_at: CreatedAt


class PaymentRefund(msgspec.Struct, rename="camel"):
    """A refund of a payment, as the payment shows it."""

    id: RefundId
    status: Annotated[Status, Meta(description="Where it stands.")]
    amount: Annotated[Amount, Meta(description="What the payer gets back.", examples=[5000])]


class PaymentDetail(PaymentAnswer, rename="camel", kw_only=True):
    """A payment with all that is known of it, every attempt, and what of it was given back."""

    net_amount: Annotated[
        NetAmount, Meta(description="What the wallet gets: `amount` less `feeAmount`.")
    ]
    fee_amount: FeeAmount
    description: Description
    customer_name: Annotated[str | None, Meta(description="The payer's name, or null.")]
    customer_email: Annotated[str | None, Meta(description="The payer's address, or null.")]
    metadata: Metadata
    completed_at: CompletedAt
    failed_at: FailedAt
    failure_reason: FailureReason
    attempts: Annotated[list[Attempt], Meta(description="Each time the operator was spoken to.")]
    refunds: Annotated[
        list[PaymentRefund],
        Meta(description="Every refund of it, oldest first; at most one has not failed."),
    ]
    refunded_amount: Annotated[
        Amount, Meta(description="What the payer has got back, in `currency`.", examples=[0])
    ]


RefundsOf: TypeAlias = Callable[[Payment], Awaitable[dict[str, Any]]]
"""Finds the last two fields of a detail: refunds live on a floor above."""


def routes(payments: Payments, gate: Gate, refunds_of: RefundsOf) -> list[Route]:
    async def besides(tracked: Tracked[Payment]) -> dict[str, Any]:
        return await refunds_of(tracked.agreed)

    async def init(call: Call) -> Reply:
        """Asks a payer to confirm a payment on their phone. The answer is the payment, PENDING.

        When it is COMPLETED, `amount` less the fee is in the wallet of the provider's country,
        which its first payment opens. Its end is told by a webhook and shown by `GET
        /api/v1/payments/{id}`. A failed payment's `externalId` can be used again.
        """
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
            examples=examples.PAYMENTS,
            tag="Payments",
            refuses=(
                Code.UNKNOWN_PROVIDER,
                Code.PROVIDER_SUSPENDED,
                Code.PROVIDER_CLOSED,
                Code.PROVIDER_NOT_ALLOWED,
                Code.CURRENCY_MISMATCH,
                Code.INVALID_AMOUNT,
                Code.AMOUNT_OUT_OF_BOUNDS,
                Code.INVALID_PHONE_NUMBER,
                Code.NOT_A_TEST_NUMBER,
                Code.EXTERNAL_ID_USED,
                Code.BUSY,
            ),
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


SHAPES = Shapes(
    PREFIX,
    PaymentAnswer,
    PaymentDetail,
    _fields,
    _more,
    tag="Payments",
    id_type=PaymentId,
    detail_examples=examples.DETAIL,
    page_examples=examples.PAGE,
    finish_examples=examples.FINISH,
)
