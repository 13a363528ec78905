"""What we send to merchants, as the document's `webhooks`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import Meta

from kpay.core.fields import Number
from kpay.core.forms import (
    CompletedAt,
    FailedAt,
    FailureReason,
    Metadata,
    Moment,
    OperationId,
    OwnId,
    Phone,
)
from kpay.instructions.model import Status
from kpay.web.openapi.schemas import Schema

TAG = "Webhooks"

_SUBJECTS = {"payment": "A payment", "payout": "A withdrawal", "refund": "A refund"}
_ENDS = {"completed": Status.COMPLETED, "failed": Status.FAILED, "cancelled": Status.CANCELLED}


class WebhookBody(msgspec.Struct, rename="camel"):
    """What is told of an operation that ended, as it was recorded with its end."""

    event: Annotated[str, Meta(description="What ended, and how.", examples=["payment.completed"])]
    payment_id: OperationId
    reference: Annotated[
        str, Meta(description="The operation's reference.", examples=["KPAY-20260623-ABC123"])
    ]
    status: Annotated[Status, Meta(description="COMPLETED, FAILED or CANCELLED.")]
    amount: Annotated[Number, Meta(description="The operation's `amount`.", examples=[5000])]
    phone_number: Phone
    external_id: OwnId | None
    metadata: Metadata
    completed_at: CompletedAt
    failed_at: FailedAt
    failure_reason: FailureReason
    timestamp: Annotated[Moment, Meta(description="When this was stamped.")]


# The one definition of what is sent, for who sends it and for this document.
BODY: type[msgspec.Struct] = WebhookBody


def operations(schema: Schema) -> dict[str, Any]:
    """One for each event: payment, payout or refund, and completed, failed or cancelled."""
    return {
        f"{subject}.{end}": {"post": _told(f"{subject}.{end}", f"{who} was {end}", schema)}
        for subject, who in _SUBJECTS.items()
        for end in _ENDS
    }


def _told(event: str, summary: str, schema: Schema) -> dict[str, Any]:
    return {
        "tags": [TAG],
        "summary": summary,
        "description": _ABOUT,
        "operationId": f"webhook_{event.replace('.', '_')}",
        "security": [],
        "parameters": [_header(name, *told, event=event) for name, told in _HEADERS.items()],
        "requestBody": {
            "required": True,
            "content": {
                "application/json": {
                    "schema": schema,
                    "examples": {event: {"summary": summary, "value": _example(event)}},
                }
            },
        },
        "responses": {
            "2XX": {"description": "Heard; it is not told again. Answer within three seconds."},
            "4XX": {"description": "Not told again, except for 408, 425 and 429."},
            "default": {"description": "Told again later, for three days."},
        },
    }


_ABOUT = (
    "Sent at least once, and again until you answer 2xx: keep `webhook-id` to know one that you "
    "have seen. Check `X-KPAY-Signature` against the raw body before you read it."
)
_HEADERS = {
    "X-KPAY-Event": ("The event, as in the body.", None),
    "X-KPAY-Signature": (
        "HMAC-SHA256 of the raw body with your webhook secret, in hexadecimal.",
        "5257a869e7ecebeda32affa62cdca3fa51cad7e77a0e56ff536d0ce8e108d8bd",
    ),
    "webhook-id": ("The same each time that this is told.", "evt_01jyegwq2pf69s1b9wjn4hk3zc"),
    "webhook-timestamp": ("When it was sent, in seconds since 1970.", "1782208803"),
    "webhook-signature": (
        "As Standard Webhooks has it: v1 and a signature, more than one while a secret is rotated.",
        "v1,K5oZfzN95Z9UVu1EsfQmfVNQhnkZ2pj9o9NDN/H/pI4=",
    ),
}


def _header(name: str, description: str, example: str | None, *, event: str) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string"},
        "example": example or event,
    }


def _example(event: str) -> dict[str, Any]:
    subject, _, end = event.partition(".")
    ended = "2026-06-23T10:00:03.000Z"
    identifier, reference = {
        "payment": ("pay_01jyegwm00e8g9wv3kcaw7b2sd", "KPAY-20260623-ABC123"),
        "payout": ("wdr_01jyegwm00f4dtc3y0mxq5r8hn", "KPAY-WD-20260623-ABC789"),
        "refund": ("pay_01jyegwm00e8g9wv3kcaw7b2sd", "KPAY-20260623-ABC123"),
    }[subject]
    return {
        "event": event,
        "paymentId": identifier,
        "reference": reference,
        "status": _ENDS[end],
        "amount": 5000,
        "phoneNumber": "237653456789",
        "externalId": "ORDER-1",
        "metadata": {"cart": "7c1e"},
        "completedAt": ended if end == "completed" else None,
        "failedAt": ended if end == "failed" else None,
        "failureReason": "PAYER_LIMIT_REACHED" if end == "failed" else None,
        "timestamp": ended,
    }
