"""What we send to merchants, as the document's `webhooks`."""

from __future__ import annotations

from typing import Any

from kpay.web.openapi.schemas import Schema
from kpay.webhooks.model import TEST_EVENT, USER_AGENT, WebhookBody

TAG = "Webhooks"
BODY = WebhookBody

_SUBJECTS = {"payment": "A payment", "payout": "A withdrawal", "refund": "A refund"}
_ENDS = ("completed", "failed", "cancelled")


def operations(schema: Schema) -> dict[str, Any]:
    """One for each event: payment, payout or refund, and how it ended; and the test."""
    summaries = {
        f"{subject}.{end}": f"{who} {'' if end == 'failed' else 'was '}{end}"
        for subject, who in _SUBJECTS.items()
        for end in _ENDS
    }
    summaries[TEST_EVENT] = "What a test sends"
    return {event: {"post": _told(event, summary, schema)} for event, summary in summaries.items()}


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
    "User-Agent": ("Who sends it.", USER_AGENT),
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
        "payment": ("pay_01jyegwm00e8g9wv3kcaw7b2sd", "KPAY-20260623-4FWK2S"),
        "payout": ("wdr_01jyegwm00f4dtc3y0mxq5r8hn", "KPAY-WD-20260623-ABC789"),
        "refund": ("rfd_01jyegyx8gf9q2n7v4t5m0c3kd", "KPAY-RF-20260623-7GH2KM"),
        "webhook": ("pay_01jyegwq2pf69s1b9wjn4hk3zc", "KPAY-TEST"),
    }[subject]
    example = {
        "event": event,
        "paymentId": identifier,
        "reference": reference,
        "status": end.upper(),
        "amount": 5000,
        "phoneNumber": "237653456789",
        "externalId": "ORDER-1",
        # A refund has none of its own.
        "metadata": {"cart": "7c1e"} if subject in ("payment", "payout") else {},
        "completedAt": ended if end == "completed" else None,
        "failedAt": ended if end in ("failed", "cancelled") else None,
        "failureReason": "PAYER_LIMIT_REACHED" if end == "failed" else None,
        "timestamp": "2026-06-23T10:00:03.120Z",
        "currency": "XAF",
        "isTest": True,
    }
    if subject == "refund":
        example["originalPaymentId"] = "pay_01jyegwm00e8g9wv3kcaw7b2sd"
    return example
