"""Webhooks over HTTP: the URLs, a test, what was delivered or was not, and sending it again."""

from __future__ import annotations

from uuid import UUID

import msgspec

from kpay.audit.model import Actor
from kpay.core.fields import Page, page_of, read_cursor
from kpay.core.ids import parse_public_id, public_id
from kpay.core.page import read_limit, read_period
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.events.model import OPERATION_PREFIXES, PREFIX
from kpay.webhooks import examples
from kpay.webhooks.flow import MOST_REPLAYED, Webhooks
from kpay.webhooks.model import Topic
from kpay.webhooks.shapes import (
    DeliveryAnswer,
    DeliveryDetail,
    DeliveryId,
    DeliveryQuery,
    EndpointAnswer,
    EndpointRequest,
    ReplayAnswer,
    ReplayRequest,
    TestRequest,
    TopicName,
    attempt_answer,
    delivery_answer,
    endpoint_answer,
)
from kpay.webhooks.store import DeliveryFilter, ReplayFilter

_BASE = "/api/v1/payments/webhooks"


def routes(webhooks: Webhooks) -> list[Route]:
    return [
        *_endpoint_routes(webhooks),
        *_sending_routes(webhooks),
        *_delivery_routes(webhooks),
    ]


def _endpoint_routes(webhooks: Webhooks) -> list[Route]:
    """The routes that set the URLs and look after them."""

    async def listing(call: Call) -> Reply:
        """At most one for each topic, and how it fares: whether it is paused, since when, why."""
        return Reply([endpoint_answer(one) for one in await webhooks.endpoints(call.book)])

    async def put(call: Call) -> Reply:
        """What waits for the URL before goes to the new one. In production it begins with https://.

        Send a test next, with `POST /api/v1/payments/webhooks/test`.
        """
        topic, url = _topic(call), call.body.url
        return Reply(endpoint_answer(await webhooks.set_url(call.book, topic, url, by=_by(call))))

    async def delete(call: Call) -> Reply:
        """The answer is the URL as it was; what waited for it is CANCELLED and can be replayed."""
        removed = await webhooks.remove_url(call.book, _topic(call), by=_by(call))
        return Reply(endpoint_answer(removed))

    async def resume(call: Call) -> Reply:
        """For when your server is back: what waits is sent now, not at the next try."""
        resumed = await webhooks.resume(call.book, _topic(call), by=_by(call))
        return Reply(endpoint_answer(resumed))

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
    ]


def _sending_routes(webhooks: Webhooks) -> list[Route]:
    """The routes that send what nothing happened for just now."""

    async def test(call: Call) -> Reply:
        """Sends `webhook.test` and waits up to three seconds for what your server answers.

        Its `status` is TEST, which no operation has.
        """
        return Reply(delivery_answer(await webhooks.test(call.book, Topic(call.body.topic))), 201)

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
    ]


def _delivery_routes(webhooks: Webhooks) -> list[Route]:
    """The routes that look at what was delivered."""

    async def deliveries(call: Call) -> Reply:
        """Each event on its way to a URL, and what came of the last attempt."""
        wanted = _filter(call.query)
        rows = await webhooks.page(call.book, wanted)
        return Reply(page_of(rows, wanted.limit, delivery_answer, lambda row: row.public_id))

    async def detail(call: Call) -> Reply:
        """With headers and body as they were sent, and the beginning of what came back."""
        found = await webhooks.delivery(call.book, _id(call))
        attempts = await webhooks.attempts(call.book, found.id)
        return Reply(
            DeliveryDetail(
                **msgspec.structs.asdict(delivery_answer(found)),
                attempts=[attempt_answer(attempt) for attempt in attempts],
            )
        )

    async def replay_one(call: Call) -> Reply:
        """Whatever became of it: it is due at once, at the URL that hears it now."""
        return Reply(delivery_answer(await webhooks.replay_one(call.book, _id(call))), 202)

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


def _by(call: Call) -> Actor:
    """The key pair that calls, for the audit log: a program that sets a URL is on record too."""
    return Actor(api_key=call.principal.api_key, address=call.principal.address)


def _id(call: Call) -> UUID:
    """The event in the path. Refuses: not_found."""
    identifier = parse_public_id(PREFIX, call.path["id"])
    if identifier is None:
        raise Refusal(Code.NOT_FOUND, "There is no delivery and no event with this id.")
    return identifier


def _filter(query: DeliveryQuery) -> DeliveryFilter:
    since, until = read_period(query.since, query.until)
    return DeliveryFilter(
        limit=read_limit(query.limit),
        topic=query.topic,
        type=query.event,
        status=query.status,
        operation_id=_operation(query.payment_id),
        since=since,
        until=until,
        before=_cursor(query.cursor),
    )


def _replay(body: ReplayRequest) -> ReplayFilter:
    since, until = read_period(body.since, body.until)
    return ReplayFilter(
        limit=MOST_REPLAYED,
        type=body.event,
        status=body.status,
        since=since,
        until=until,
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
