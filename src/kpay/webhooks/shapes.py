"""The shapes of webhooks over HTTP: what is asked, and what is answered."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

import msgspec
from msgspec import Meta

from kpay.core.clock import iso
from kpay.core.fields import Cursor, Limit, Since, Until
from kpay.core.forms import EventId, Moment, OperationId
from kpay.webhooks.model import Attempt, Delivery, Endpoint, Status, Topic

_ABOUT_TOPICS = "What a URL hears: one kind of operation, or what has no URL of its own."
_ABOUT_STATUSES = (
    "PENDING is sent when it is due, DELIVERED was answered 2xx, FAILED was refused or given up, "
    "CANCELLED lost its URL while it waited."
)
TopicName: TypeAlias = Annotated[
    Literal["generic", "payments", "payouts", "refunds"],
    Meta(description=_ABOUT_TOPICS, extra_json_schema={"type": "string"}),
]
StatusName: TypeAlias = Annotated[
    Literal["PENDING", "DELIVERED", "FAILED", "CANCELLED"],
    Meta(description=_ABOUT_STATUSES, extra_json_schema={"type": "string"}),
]
ShownTopic: TypeAlias = Annotated[
    str, Meta(description=_ABOUT_TOPICS, extra_json_schema={"enum": list(Topic)})
]
ShownStatus: TypeAlias = Annotated[
    str, Meta(description=_ABOUT_STATUSES, extra_json_schema={"enum": list(Status)})
]
EventName: TypeAlias = Annotated[
    str,
    Meta(
        pattern=r"^((payment|payout|refund)\.(completed|failed|cancelled)|webhook\.test)$",
        max_length=64,
        description="What ended, and how; or webhook.test.",
        examples=["payment.completed"],
    ),
]
DeliveryId: TypeAlias = Annotated[
    EventId, Meta(description="The event's identifier, which is `webhook-id`.")
]
HttpStatus: TypeAlias = Annotated[
    int | None, Meta(description="The status that your server answered, or null.", examples=[200])
]
SendingError: TypeAlias = Annotated[
    str | None, Meta(description="What went wrong where there was no answer, or null.")
]


class EndpointRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Where the events of a topic are sent: a public address, with https:// in production."""

    url: Annotated[
        str,
        Meta(
            description="It leads to a public address and has no user, password or #fragment.",
            examples=["https://shop.example/webhooks/kpay"],
        ),
    ]


class EndpointAnswer(msgspec.Struct, rename="camel"):
    """A URL and how it fares: ACTIVE, or PAUSED since, why, and when it is tried again."""

    topic: ShownTopic
    url: Annotated[
        str,
        Meta(description="Where it is sent.", examples=["https://shop.example/webhooks/kpay"]),
    ]
    status: Annotated[
        str,
        Meta(
            description="PAUSED after ten failures in a row: then one at a time tries again.",
            extra_json_schema={"enum": ["ACTIVE", "PAUSED"]},
        ),
    ]
    failures_in_a_row: Annotated[
        int, Meta(description="How many sendings failed since one did not.")
    ]
    paused_since: Annotated[Moment | None, Meta(description="Null unless it is PAUSED.")]
    pause_reason: Annotated[
        str | None, Meta(description="What went wrong last; null unless it is PAUSED.")
    ]
    next_try_at: Annotated[
        Moment | None, Meta(description="When it is tried again; null unless it is PAUSED.")
    ]
    created_at: Annotated[Moment, Meta(description="When a URL was first set.")]
    updated_at: Annotated[Moment, Meta(description="When this URL was set.")]


class TestRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which URL a test is sent to."""

    topic: TopicName = "generic"


class DeliveryAnswer(msgspec.Struct, rename="camel"):
    """An event on its way to a URL; the last three say what came of the last attempt."""

    id: DeliveryId
    event: EventName
    payment_id: OperationId
    topic: ShownTopic
    status: ShownStatus
    attempt_count: Annotated[int, Meta(description="How often it was sent.")]
    next_attempt_at: Annotated[
        Moment | None, Meta(description="When it is due; null unless it is PENDING.")
    ]
    created_at: Annotated[Moment, Meta(description="When the event happened.")]
    settled_at: Annotated[
        Moment | None, Meta(description="When it was settled; null while it is PENDING.")
    ]
    response_status: HttpStatus
    error: SendingError
    duration_ms: Annotated[
        int | None, Meta(description="How long the last attempt took, in milliseconds.")
    ]


class AttemptAnswer(msgspec.Struct, rename="camel"):
    """One sending: what was sent, and the beginning of what came back."""

    number: Annotated[int, Meta(description="The first is 1.")]
    url: Annotated[str, Meta(description="Where it was sent.")]
    headers: Annotated[dict[str, str], Meta(description="The headers as they were sent.")]
    body: Annotated[str, Meta(description="The body as it was sent, byte for byte.")]
    sent_at: Annotated[Moment, Meta(description="When it was sent.")]
    response_status: HttpStatus
    response_body: Annotated[
        str | None, Meta(description="The beginning of what your server answered, or null.")
    ]
    error: SendingError
    duration_ms: Annotated[int, Meta(description="How long it took, in milliseconds.")]


class DeliveryDetail(DeliveryAnswer, rename="camel", kw_only=True):
    """A delivery with every attempt, oldest first, for as long as they are kept."""

    attempts: Annotated[
        list[AttemptAnswer], Meta(description="Each sending that is still kept, oldest first.")
    ]


class DeliveryQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How the list is narrowed. `from` and `to` are when it happened."""

    topic: Annotated[TopicName | None, Meta(description="Only what this URL was to hear.")] = None
    event: Annotated[EventName | None, Meta(description="Only this event.")] = None
    status: Annotated[StatusName | None, Meta(description="Only what stands there.")] = None
    payment_id: Annotated[
        str | None,
        Meta(
            description="Only what is about this payment, withdrawal or refund.",
            examples=["pay_01jyegwm00e8g9wv3kcaw7b2sd"],
        ),
    ] = None
    since: Since = msgspec.field(default=None, name="from")
    until: Until = msgspec.field(default=None, name="to")
    cursor: Cursor = None
    limit: Limit = None


class ReplayRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which events are sent again: those of some time, of one kind, of one status."""

    since: Annotated[
        str,
        Meta(
            description="What happened then or later. A date is its first moment, UTC.",
            examples=["2026-06-23T00:00:00Z"],
            extra_json_schema={"format": "date-time"},
        ),
    ] = msgspec.field(name="from")
    until: Annotated[
        str | None,
        Meta(
            description="What happened before then, or up to now. A date is a whole day in UTC.",
            examples=["2026-06-24T00:00:00Z"],
            extra_json_schema={"format": "date-time"},
        ),
    ] = msgspec.field(default=None, name="to")
    event: Annotated[EventName | None, Meta(description="Only this event.")] = None
    status: Annotated[
        StatusName | None, Meta(description="Only what stands there, such as FAILED.")
    ] = None
    cursor: Annotated[
        str | None, Meta(description="The `nextCursor` of the answer before, unchanged.")
    ] = None


class ReplayAnswer(msgspec.Struct, rename="camel"):
    """How many are due again. `nextCursor` is null unless there are more: call again with it."""

    queued: Annotated[int, Meta(description="How many are due again.")]
    next_cursor: Annotated[
        str | None, Meta(description="Give it as `cursor` for the rest; null where that was all.")
    ]


def endpoint_answer(endpoint: Endpoint) -> EndpointAnswer:
    """A URL as it is shown."""
    paused = endpoint.paused_since
    return EndpointAnswer(
        topic=endpoint.topic,
        url=endpoint.url,
        status="ACTIVE" if paused is None else "PAUSED",
        failures_in_a_row=endpoint.failures,
        paused_since=None if paused is None else iso(paused),
        pause_reason=endpoint.pause_reason,
        next_try_at=None if endpoint.probe_at is None else iso(endpoint.probe_at),
        created_at=iso(endpoint.created_at),
        updated_at=iso(endpoint.changed_at),
    )


def delivery_answer(delivery: Delivery) -> DeliveryAnswer:
    """An event on its way as it is shown."""
    due_at = delivery.due_at if delivery.status is Status.PENDING else None
    return DeliveryAnswer(
        id=delivery.public_id,
        event=delivery.type,
        payment_id=delivery.payment_id,
        topic=delivery.topic,
        status=delivery.status,
        attempt_count=delivery.attempts,
        next_attempt_at=None if due_at is None else iso(due_at),
        created_at=iso(delivery.created_at),
        settled_at=None if delivery.settled_at is None else iso(delivery.settled_at),
        response_status=delivery.response_status,
        error=delivery.error,
        duration_ms=delivery.duration_ms,
    )


def attempt_answer(attempt: Attempt) -> AttemptAnswer:
    """One sending as it is shown."""
    return AttemptAnswer(
        number=attempt.number,
        url=attempt.url,
        headers=dict(attempt.headers),
        body=attempt.body,
        sent_at=iso(attempt.sent_at),
        response_status=attempt.response_status,
        response_body=attempt.response_body,
        error=attempt.error,
        duration_ms=attempt.duration_ms,
    )
