"""Refunds over HTTP: asked of a payment, then looked at and called back as withdrawals are."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kpay.core.clock import iso
from kpay.core.fields import ExternalId, Text
from kpay.core.forms import (
    Amount,
    CompletedAt,
    Country,
    CreatedAt,
    Currency,
    FailedAt,
    FailureReason,
    IsTest,
    Message,
    OwnId,
    PaymentId,
    Phone,
    Provider,
    ProviderReference,
    RefundId,
    RefundReference,
)
from kpay.core.money import to_number
from kpay.core.refusals import Code
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.instructions.api import Shapes, cancelling_route, read_id, reading_routes, recall
from kpay.instructions.model import Status, Tracked
from kpay.instructions.rails import Attempt
from kpay.payments.api import PaymentRefund
from kpay.payments.model import PREFIX as PAYMENT
from kpay.payments.model import Payment
from kpay.refunds import examples
from kpay.refunds.flow import Refunds
from kpay.refunds.model import PREFIX, Refund

_MESSAGES = {
    Status.PENDING: "Refund request received. Processing via Mobile Money.",
    Status.PROCESSING: "The operator is processing this refund.",
    Status.COMPLETED: "The payer has got back all that was paid.",
    Status.FAILED: "The refund failed: the whole amount is back in the wallet.",
    Status.CANCELLED: "The refund was cancelled: the whole amount is back in the wallet.",
}


class RefundRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Give a payment back, all of it."""

    reason: Annotated[
        Text | None, Meta(description="Why, in your own words.", examples=["Out of stock"])
    ] = None
    external_id: Annotated[ExternalId | None, Meta(examples=["REFUND-1"])] = None


class RefundAnswer(msgspec.Struct, rename="camel"):
    """A refund. `originalPaymentStatus` is COMPLETED: to be refunded does not change a payment."""

    id: RefundId
    reference: RefundReference
    provider_reference: ProviderReference
    status: Annotated[Status, Meta(description="Where it stands.")]
    amount: Annotated[
        Amount, Meta(description="What the payer gets back: all that was paid.", examples=[5000])
    ]
    currency: Currency
    original_payment_id: Annotated[PaymentId, Meta(description="The payment that it gives back.")]
    original_payment_status: Annotated[
        Status, Meta(description="Always COMPLETED: to be refunded does not change a payment.")
    ]
    external_id: OwnId | None
    provider: Provider
    country: Country
    phone_number: Phone
    is_test: IsTest
    message: Message
    created_at: CreatedAt


class RefundDetail(RefundAnswer, rename="camel", kw_only=True):
    """A refund with all that is known of it and every attempt."""

    reason: Annotated[
        str | None, Meta(description="Your own reason, or null.", examples=["Out of stock"])
    ]
    completed_at: CompletedAt
    failed_at: FailedAt
    failure_reason: FailureReason
    attempts: Annotated[list[Attempt], Meta(description="Each time the operator was spoken to.")]


def routes(refunds: Refunds) -> list[Route]:
    async def refund(call: Call) -> Reply:
        """Gives a payment of the last seven days back, all of it, to the phone that paid. The
        answer is the refund, PENDING, with its money set aside.

        The wallet that the payment was credited to is debited all that was paid: the fee is not
        returned. A refund that fails or is cancelled gives all of it back, and the payment can be
        refunded again. The payment itself stays COMPLETED.
        """
        body: RefundRequest = call.body
        tracked = await refunds.request(
            call.book,
            read_id(call, PAYMENT, "payment"),
            reason=body.reason,
            external_id=body.external_id,
            keyed=call.keyed,
        )
        return Reply(SHAPES.show(tracked), 201)

    base = "/api/v1/payments/refunds"
    return [
        Route(
            "POST",
            "/api/v1/payments/{id}/refund",
            "Give a payer back all that was paid",
            Guard.KEYS,
            refund,
            RefundAnswer,
            status=201,
            body=RefundRequest,
            body_optional=True,
            examples=examples.REFUNDS,
            tag="Refunds",
            refuses=(
                Code.NOT_FOUND,
                Code.NOT_REFUNDABLE,
                Code.REFUND_WINDOW_CLOSED,
                Code.REFUND_EXISTS,
                Code.REFUND_EXCEEDS_BALANCE,
                Code.PROVIDER_CLOSED,
                Code.EXTERNAL_ID_USED,
                Code.BUSY,
            ),
            path_types={"id": PaymentId},
            recall=recall(refunds, SHAPES),
        ),
        cancelling_route(refunds, SHAPES, one=base),
        *reading_routes(refunds, SHAPES, one=base, many=base),
    ]


async def of_payment(refunds: Refunds, payment: Payment) -> dict[str, Any]:
    """What a payment's own answer says of its refunds: each of them, and what has gone back."""
    found = await refunds.of_payment(payment.book, payment.id)
    return {
        "refunds": [
            PaymentRefund(each.agreed.public_id, each.progress.status, each.agreed.amount.number)
            for each in found
        ],
        "refunded_amount": to_number(
            sum(
                each.agreed.amount.minor
                for each in found
                if each.progress.status is Status.COMPLETED
            )
        ),
    }


def _fields(tracked: Tracked[Refund]) -> dict[str, Any]:
    """The fields that every answer about a refund has."""
    refund, progress = tracked.agreed, tracked.progress
    return {
        "id": refund.public_id,
        "reference": refund.reference,
        "provider_reference": str(progress.reference),
        "status": progress.status,
        "amount": refund.amount.number,
        "currency": refund.amount.currency,
        "original_payment_id": refund.original_payment_id,
        # No other can be refunded, and an end is never left.
        "original_payment_status": Status.COMPLETED,
        "external_id": refund.external_id,
        "provider": refund.provider,
        "country": refund.country,
        "phone_number": refund.phone_number,
        "is_test": refund.book.is_test,
        "message": _MESSAGES[progress.status],
        "created_at": iso(refund.created_at),
    }


def _more(refund: Refund) -> dict[str, Any]:
    return {"reason": refund.reason}


SHAPES = Shapes(
    PREFIX,
    RefundAnswer,
    RefundDetail,
    _fields,
    _more,
    tag="Refunds",
    id_type=RefundId,
    detail_examples=examples.DETAIL,
    page_examples=examples.PAGE,
    file_examples=examples.FILE,
    finish_examples=examples.FINISH,
    cancel_examples=examples.CANCEL,
    asked_examples=examples.ASKED,
)
