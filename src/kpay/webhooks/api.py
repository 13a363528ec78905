"""Webhooks over HTTP: the URLs, a test, what was delivered or was not, and sending it again."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias
from uuid import UUID

import msgspec

from kpay.core.clock import iso
from kpay.core.fields import Page, page_of, read_cursor
from kpay.core.ids import parse_public_id, public_id
from kpay.core.page import read_limit, read_moment
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.events.model import OPERATION_PREFIXES, PREFIX
from kpay.webhooks.flow import MOST_REPLAYED, Webhooks
from kpay.webhooks.model import Attempt, Delivery, Endpoint, Status, Topic
from kpay.webhooks.store import DeliveryFilter, ReplayFilter

_BASE = "/api/v1/payments/webhooks"

TopicName = Literal["generic", "payments", "payouts", "refunds"]
StatusName = Literal["PENDING", "DELIVERED", "FAILED", "CANCELLED"]
EventName: TypeAlias = Annotated[
    str,
    msgspec.Meta(
        pattern=r"^((payment|payout|refund)\.(completed|failed|cancelled)|webhook\.test)$",
        max_length=64,
        description="Such as payment.completed.",
    ),
]


class EndpointRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Where the events of a topic are sent: a public address, with https:// in production."""

    url: str


class EndpointAnswer(msgspec.Struct, rename="camel"):
    """A URL and how it fares: ACTIVE, or PAUSED since, why, and when it is tried again."""

    topic: str
    url: str
    status: str
    failures_in_a_row: int
    paused_since: str | None
    pause_reason: str | None
    next_try_at: str | None
    created_at: str
    updated_at: str


class TestRequest(msgspec.Struct, forbid_unknown_fields=True):
    """Which URL a test is sent to."""

    topic: TopicName = "generic"


class DeliveryAnswer(msgspec.Struct, rename="camel"):
    """An event on its way to a URL; the last three say what came of the last attempt."""

    id: str
    event: str
    payment_id: str
    topic: str
    status: str
    attempt_count: int
    next_attempt_at: str | None
    created_at: str
    settled_at: str | None
    response_status: int | None
    error: str | None
    duration_ms: int | None


class AttemptAnswer(msgspec.Struct, rename="camel"):
    """One sending: what was sent, and the beginning of what came back."""

    number: int
    url: str
    headers: dict[str, str]
    body: str
    sent_at: str
    response_status: int | None
    response_body: str | None
    error: str | None
    duration_ms: int


class DeliveryDetail(DeliveryAnswer, rename="camel", kw_only=True):
    """A delivery with every attempt, oldest first, for as long as they are kept."""

    attempts: list[AttemptAnswer]


class DeliveryQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How the list is narrowed. `from` and `to` are when it happened."""

    topic: TopicName | None = None
    event: EventName | None = None
    status: StatusName | None = None
    payment_id: str | None = None
    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = msgspec.field(default=None, name="to")
    cursor: str | None = None
    limit: int | None = None


class ReplayRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """Which events are sent again: those of some time, of one kind, of one status."""

    since: str = msgspec.field(name="from")
    until: str | None = msgspec.field(default=None, name="to")
    event: EventName | None = None
    status: StatusName | None = None
    cursor: str | None = None


class ReplayAnswer(msgspec.Struct, rename="camel"):
    """How many are due again. `nextCursor` is null unless there are more: call again with it."""

    queued: int
    next_cursor: str | None


def routes(webhooks: Webhooks) -> list[Route]:
    async def listing(call: Call) -> Reply:
        return Reply([_endpoint(one) for one in await webhooks.endpoints(call.book)])

    async def put(call: Call) -> Reply:
        return Reply(_endpoint(await webhooks.set_url(call.book, _topic(call), call.body.url)))

    async def delete(call: Call) -> Reply:
        return Reply(_endpoint(await webhooks.remove_url(call.book, _topic(call))))

    async def resume(call: Call) -> Reply:
        return Reply(_endpoint(await webhooks.resume(call.book, _topic(call))))

    async def test(call: Call) -> Reply:
        return Reply(_delivery(await webhooks.test(call.book, Topic(call.body.topic))), 201)

    async def replay(call: Call) -> Reply:
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
        ),
        Route(
            "PUT",
            f"{_BASE}/{{topic}}",
            "Set the URL of a topic: generic, payments, payouts or refunds",
            Guard.KEYS,
            put,
            EndpointAnswer,
            body=EndpointRequest,
        ),
        Route(
            "DELETE",
            f"{_BASE}/{{topic}}",
            "Take a URL away; what waits for it is cancelled",
            Guard.KEYS,
            delete,
            EndpointAnswer,
        ),
        Route(
            "POST",
            f"{_BASE}/{{topic}}/resume",
            "Send again at once to a URL that is paused",
            Guard.KEYS,
            resume,
            EndpointAnswer,
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
        ),
        *_delivery_routes(webhooks),
    ]


def _delivery_routes(webhooks: Webhooks) -> list[Route]:
    """The routes that look at what was delivered."""

    async def deliveries(call: Call) -> Reply:
        wanted = _filter(call.query)
        rows = await webhooks.page(call.book, wanted)
        return Reply(page_of(rows, wanted.limit, _delivery, lambda row: row.public_id))

    async def detail(call: Call) -> Reply:
        found = await webhooks.delivery(call.book, _id(call))
        attempts = await webhooks.attempts(call.book, found.id)
        return Reply(
            DeliveryDetail(
                **msgspec.structs.asdict(_delivery(found)),
                attempts=[_attempt(attempt) for attempt in attempts],
            )
        )

    async def replay_one(call: Call) -> Reply:
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
        ),
        Route(
            "GET",
            f"{_BASE}/deliveries/{{id}}",
            "One delivery with every attempt",
            Guard.KEYS,
            detail,
            DeliveryDetail,
        ),
        Route(
            "POST",
            f"{_BASE}/deliveries/{{id}}/replay",
            "Send one event again",
            Guard.KEYS,
            replay_one,
            DeliveryAnswer,
            status=202,
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
