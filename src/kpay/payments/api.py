"""Payments over HTTP: init by USSD, detail, list."""

from __future__ import annotations

from typing import Any

import msgspec

from kpay.access.gate import Gate
from kpay.core.clock import iso
from kpay.core.fields import (
    AmountJson,
    ExternalId,
    MetadataJson,
    Number,
    Page,
    PhoneNumber,
    ProviderCode,
    ShortText,
    Text,
    json_text,
    metadata_text,
    no_metadata,
    page_of,
    read_cursor,
    shown_metadata,
)
from kpay.core.ids import parse_public_id
from kpay.core.page import Filter, read_limit, read_moment
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.instructions.api import FinishRequest, ListQuery, failure_of, read_status
from kpay.instructions.flow import Attempt
from kpay.instructions.model import Status
from kpay.payments.flow import Payments
from kpay.payments.model import PREFIX, Tracked

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


class PaymentDetail(PaymentAnswer, rename="camel", kw_only=True):
    """A payment with all that is known of it and every attempt."""

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


def routes(payments: Payments, gate: Gate) -> list[Route]:
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
        tracked = await payments.init(call.book, wanted, application.terms)
        return Reply(PaymentAnswer(**_shown(tracked)), 201)

    async def detail(call: Call) -> Reply:
        tracked = await payments.get(call.book, _read_id(call))
        attempts = await payments.attempts(call.book, tracked.payment.id)
        return Reply(_detail(tracked, attempts))

    async def listing(call: Call) -> Reply:
        query: ListQuery = call.query
        wanted = Filter(
            external_id=query.external_id,
            status=read_status(query.status),
            country=query.country,
            provider=query.provider,
            since=read_moment(query.since, "from"),
            until=read_moment(query.until, "to"),
            before=read_cursor(query.cursor, lambda text: parse_public_id(PREFIX, text)),
            limit=read_limit(query.limit),
        )
        rows = await payments.page(call.book, wanted)
        return Reply(
            page_of(
                rows,
                wanted.limit,
                lambda row: PaymentAnswer(**_shown(row)),
                lambda row: row.payment.public_id,
            )
        )

    async def finish(call: Call) -> Reply:
        tracked = await payments.finish_in_sandbox(call.book, _read_id(call), failure_of(call.body))
        return Reply(PaymentAnswer(**_shown(tracked)), 202)

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
        ),
        Route("GET", f"{base}/{{id}}", "One payment", Guard.KEYS, detail, PaymentDetail),
        Route(
            "GET",
            base,
            "Payments, newest first",
            Guard.KEYS,
            listing,
            Page[PaymentAnswer],
            query=ListQuery,
        ),
        Route(
            "POST",
            f"{base}/{{id}}/sandbox/finish",
            "Decide how a sandbox payment that stays open ends",
            Guard.KEYS,
            finish,
            PaymentAnswer,
            status=202,
            body=FinishRequest,
        ),
    ]


def _read_id(call: Call) -> Any:
    payment_id = parse_public_id(PREFIX, call.path["id"])
    if payment_id is None:
        raise Refusal(Code.NOT_FOUND, "There is no payment with this id.")
    return payment_id


def _shown(tracked: Tracked) -> dict[str, Any]:
    """The fields that every answer about a payment has."""
    payment, progress = tracked.payment, tracked.progress
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


def _detail(tracked: Tracked, attempts: list[Attempt]) -> PaymentDetail:
    payment, progress = tracked.payment, tracked.progress
    ended = None if progress.ended_at is None else iso(progress.ended_at)
    return PaymentDetail(
        **_shown(tracked),
        net_amount=payment.net.number,
        fee_amount=payment.fee.number,
        description=payment.description,
        customer_name=payment.customer_name,
        customer_email=payment.customer_email,
        metadata=shown_metadata(payment.metadata),
        completed_at=ended if progress.status is Status.COMPLETED else None,
        failed_at=ended if progress.status is Status.FAILED else None,
        failure_reason=progress.failure_code,
        attempts=attempts,
    )
