"""Webhooks over HTTP: the URLs, a test, what was delivered or was not, and sending it again."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec
from msgspec import Meta

from kpay.core.clock import iso
from kpay.core.fields import Cursor, Limit, Page, Since, Until, page_of, read_cursor
from kpay.core.forms import EventId, Moment, OperationId
from kpay.core.ids import parse_public_id, public_id
from kpay.core.page import read_limit, read_moment
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.events.model import OPERATION_PREFIXES, PREFIX
from kpay.webhooks import examples
from kpay.webhooks.flow import MOST_REPLAYED, Webhooks
from kpay.webhooks.model import Attempt, Delivery, Endpoint, Status, Topic
from kpay.webhooks.store import DeliveryFilter, ReplayFilter

_BASE = "/api/v1/payments/webhooks"

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
            description="What happened before then, or up to now.",
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


def routes(webhooks: Webhooks) -> list[Route]:
    async def listing(call: Call) -> Reply:
        """At most one for each topic, and how it fares: whether it is paused, since when, why."""
        return Reply([_endpoint(one) for one in await webhooks.endpoints(call.book)])

    async def put(call: Call) -> Reply:
        """What waits for the URL before goes to the new one. In production it begins with https://.

        Send a test next, with `POST /api/v1/payments/webhooks/test`.
        """
        return Reply(_endpoint(await webhooks.set_url(call.book, _topic(call), call.body.url)))

    async def delete(call: Call) -> Reply:
        """The answer is the URL as it was; what waited for it is CANCELLED and can be replayed."""
        return Reply(_endpoint(await webhooks.remove_url(call.book, _topic(call))))

    async def resume(call: Call) -> Reply:
        """For when your server is back: what waits is sent now, not at the next try."""
        return Reply(_endpoint(await webhooks.resume(call.book, _topic(call))))

    async def test(call: Call) -> Reply:
        """Sends `webhook.test` and waits up to three seconds for what your server answers.

        Its `status` is TEST, which no operation has.
        """
        return Reply(_delivery(await webhooks.test(call.book, Topic(call.body.topic))), 201)

    async def replay(call: Call) -> Reply:
        """Each event goes to the URL that hears it now, also where none was set when it happened.

        They are sent at the worker's next turn.
        """
        wanted = _replay(call.body)
        replayed = await webhooks.replay(call.book, wanted)
        more = replayed.last is not None and replayed.looked_at == wanted.limit
        cursor = public_id(PREFIX, replayed.last) if more and replayed.last else None
        return Reply(ReplayAnswer(replayed.queued, cursor), 202)

    return [
        Route(
            "GET",
            _BASE,
            "The URLs that webhooks are sent to",
            Guard.KEYS,
            listing,
            list[EndpointAnswer],
            examples=examples.ENDPOINTS,
            tag="Webhooks",
        ),
        Route(
            "PUT",
            f"{_BASE}/{{topic}}",
            "Set the URL of a topic: generic, payments, payouts or refunds",
            Guard.KEYS,
            put,
            EndpointAnswer,
            body=EndpointRequest,
            examples=examples.PUT,
            tag="Webhooks",
            refuses=(Code.NOT_FOUND, Code.INVALID_WEBHOOK_URL),
            path_types={"topic": TopicName},
        ),
        Route(
            "DELETE",
            f"{_BASE}/{{topic}}",
            "Take a URL away; what waits for it is cancelled",
            Guard.KEYS,
            delete,
            EndpointAnswer,
            examples=examples.DELETE,
            tag="Webhooks",
            refuses=(Code.NOT_FOUND,),
            path_types={"topic": TopicName},
        ),
        Route(
            "POST",
            f"{_BASE}/{{topic}}/resume",
            "Send again at once to a URL that is paused",
            Guard.KEYS,
            resume,
            EndpointAnswer,
            examples=examples.RESUME,
            tag="Webhooks",
            refuses=(Code.NOT_FOUND,),
            path_types={"topic": TopicName},
        ),
        Route(
            "POST",
            f"{_BASE}/test",
            "Send a test event and see what comes back",
            Guard.KEYS,
            test,
            DeliveryAnswer,
            status=201,
            body=TestRequest,
            body_optional=True,
            examples=examples.TEST,
            tag="Webhooks",
            refuses=(Code.NOT_FOUND,),
        ),
        Route(
            "POST",
            f"{_BASE}/replay",
            "Send the events of some time again",
            Guard.KEYS,
            replay,
            ReplayAnswer,
            status=202,
            body=ReplayRequest,
            examples=examples.REPLAY,
            tag="Webhooks",
            refuses=(Code.INVALID_PARAMETER,),
        ),
        *_delivery_routes(webhooks),
    ]


def _delivery_routes(webhooks: Webhooks) -> list[Route]:
    """The routes that look at what was delivered."""

    async def deliveries(call: Call) -> Reply:
        """Each event on its way to a URL, and what came of the last attempt."""
        wanted = _filter(call.query)
        rows = await webhooks.page(call.book, wanted)
        return Reply(page_of(rows, wanted.limit, _delivery, lambda row: row.public_id))

    async def detail(call: Call) -> Reply:
        """With headers and body as they were sent, and the beginning of what came back."""
        found = await webhooks.delivery(call.book, _id(call))
        attempts = await webhooks.attempts(call.book, found.id)
        return Reply(
            DeliveryDetail(
                **msgspec.structs.asdict(_delivery(found)),
                attempts=[_attempt(attempt) for attempt in attempts],
            )
        )

    async def replay_one(call: Call) -> Reply:
        """Whatever became of it: it is due at once, at the URL that hears it now."""
        return Reply(_delivery(await webhooks.replay_one(call.book, _id(call))), 202)

    return [
        Route(
            "GET",
            f"{_BASE}/deliveries",
            "What was sent to the webhooks, newest first",
            Guard.KEYS,
            deliveries,
            Page[DeliveryAnswer],
            query=DeliveryQuery,
            examples=examples.PAGE,
            tag="Webhooks",
        ),
        Route(
            "GET",
            f"{_BASE}/deliveries/{{id}}",
            "One delivery with every attempt",
            Guard.KEYS,
            detail,
            DeliveryDetail,
            examples=examples.DETAIL,
            tag="Webhooks",
            refuses=(Code.NOT_FOUND,),
            path_types={"id": DeliveryId},
        ),
        Route(
            "POST",
            f"{_BASE}/deliveries/{{id}}/replay",
            "Send one event again",
            Guard.KEYS,
            replay_one,
            DeliveryAnswer,
            status=202,
            examples=examples.REPLAY_ONE,
            tag="Webhooks",
            refuses=(Code.NOT_FOUND,),
            path_types={"id": DeliveryId},
        ),
    ]


def _topic(call: Call) -> Topic:
    """The topic in the path. Refuses: not_found."""
    try:
        return Topic(call.path["topic"])
    except ValueError:
        raise Refusal(
            Code.NOT_FOUND, f"There is no such topic: it is one of {', '.join(Topic)}."
        ) from None


def _id(call: Call) -> UUID:
    """The event in the path. Refuses: not_found."""
    identifier = parse_public_id(PREFIX, call.path["id"])
    if identifier is None:
        raise Refusal(Code.NOT_FOUND, "There is no delivery and no event with this id.")
    return identifier


def _filter(query: DeliveryQuery) -> DeliveryFilter:
    return DeliveryFilter(
        limit=read_limit(query.limit),
        topic=query.topic,
        type=query.event,
        status=query.status,
        operation_id=_operation(query.payment_id),
        since=read_moment(query.since, "from"),
        until=read_moment(query.until, "to"),
        before=_cursor(query.cursor),
    )


def _replay(body: ReplayRequest) -> ReplayFilter:
    return ReplayFilter(
        limit=MOST_REPLAYED,
        type=body.event,
        status=body.status,
        since=read_moment(body.since, "from"),
        until=read_moment(body.until, "to"),
        after=_cursor(body.cursor),
    )


def _cursor(text: str | None) -> UUID | None:
    return read_cursor(text, lambda given: parse_public_id(PREFIX, given))


def _operation(text: str | None) -> UUID | None:
    """The operation of a public identifier of any noun. Refuses: invalid_parameter."""
    if text is None:
        return None
    for prefix in OPERATION_PREFIXES.values():
        found = parse_public_id(prefix, text)
        if found is not None:
            return found
    raise Refusal(
        Code.INVALID_PARAMETER, "paymentId must be the id of a payment, a withdrawal or a refund."
    )


def _endpoint(endpoint: Endpoint) -> EndpointAnswer:
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


def _delivery(delivery: Delivery) -> DeliveryAnswer:
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


def _attempt(attempt: Attempt) -> AttemptAnswer:
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
