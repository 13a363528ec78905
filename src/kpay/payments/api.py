"""Payments over HTTP: init by USSD or for the hosted page, detail, list."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Annotated, Any, TypeAlias

import msgspec
from msgspec import UNSET, Meta, UnsetType

from kpay.access.gate import Gate
from kpay.access.model import Terms
from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.fields import (
    BOUNDS_OF,
    ENUM_OF,
    PHONE_FORM,
    AmountJson,
    CancelUrl,
    ExternalId,
    MetadataJson,
    PhoneNumber,
    ProviderCode,
    ReturnUrl,
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
    ExpiresAt,
    FailedAt,
    FailureReason,
    FeeAmount,
    GatewayUrl,
    IsTest,
    Message,
    Metadata,
    Mode,
    NetAmount,
    OwnId,
    PaymentId,
    PaymentReference,
    Phone,
    Provider,
    ProviderReference,
    RefundId,
)
from kpay.core.keyed import Keyed
from kpay.core.refusals import Code
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.gateways.flow import Gateways
from kpay.gateways.model import (
    MOBILE_MONEY,
    check_method,
    counts_as,
    refuse_destination,
    require_destination,
)
from kpay.instructions.api import Shapes, reading_routes, recall
from kpay.instructions.model import Status, Tracked
from kpay.instructions.rails import Attempt
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
_CHOOSING = "Send the payer to gatewayUrl: they choose there how to pay."


class PaymentRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Ask a payer for money on their phone, or with `returnUrl` on the hosted page.

    By phone, `provider` and `phoneNumber` are required, and `currency`, if given, must be the
    provider's. On the hosted page the payer chooses them: then both are left out.
    """

    amount: Annotated[
        AmountJson,
        Meta(
            description="What the payer pays, in the provider's currency and with no more decimals "
            "than it takes; on the hosted page in `currency`.",
            examples=[5000],
            extra_json_schema={BOUNDS_OF: "DEPOSIT"},
        ),
    ]
    external_id: ExternalId
    provider: ProviderCode | None = None
    phone_number: Annotated[PhoneNumber | None, Meta(description=f"The payer's. {PHONE_FORM}")] = (
        None
    )
    return_url: ReturnUrl = None
    cancel_url: CancelUrl = None
    payment_method: Annotated[
        ShortText | None,
        Meta(
            description="How the payer pays: mobile money, which leaving it out means too. What "
            "only other installations of KPay take, such as CARD, is refused.",
            examples=[MOBILE_MONEY],
            extra_json_schema={"enum": [MOBILE_MONEY]},
        ),
    ] = None
    currency: Annotated[
        ShortText | None,
        Meta(
            description="The provider's currency, or left out. On the hosted page it decides which "
            "operators can be chosen.",
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
    """A payment. With `mode` GATEWAY, what the payer chooses is null until they have chosen."""

    id: PaymentId
    reference: PaymentReference
    provider_reference: ProviderReference | None
    status: Annotated[Status, Meta(description="Where it stands.")]
    mode: Mode
    amount: Annotated[Amount, Meta(description="What the payer pays.", examples=[5000])]
    currency: Currency
    external_id: OwnId
    provider: Provider | None
    country: Country | None
    phone_number: Phone | None
    is_test: IsTest
    message: Message
    created_at: CreatedAt
    gateway_url: GatewayUrl | UnsetType = UNSET
    expires_at: ExpiresAt | UnsetType = UNSET


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
        """Asks a payer to confirm a payment on their phone. The answer is the payment, PENDING.

        When it is COMPLETED, `amount` less the fee is in the wallet of the provider's country,
        which its first payment opens. Its end is told by a webhook and shown by `GET
        /api/v1/payments/{id}`. A failed payment's `externalId` can be used again.
        """
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
            examples=examples.PAYMENTS,
            tag="Payments",
            refuses=(
                Code.METHOD_NOT_CONFIGURED,
                Code.UNKNOWN_PROVIDER,
                Code.PROVIDER_SUSPENDED,
                Code.PROVIDER_CLOSED,
                Code.PROVIDER_NOT_ALLOWED,
                Code.CURRENCY_MISMATCH,
                Code.UNSUPPORTED_CURRENCY,
                Code.INVALID_AMOUNT,
                Code.AMOUNT_OUT_OF_BOUNDS,
                Code.INVALID_PHONE_NUMBER,
                Code.NOT_A_TEST_NUMBER,
                Code.INVALID_ADDRESS,
                Code.EXTERNAL_ID_USED,
                Code.BUSY,
            ),
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
    file_examples=examples.FILE,
    finish_examples=examples.FINISH,
)
