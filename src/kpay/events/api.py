"""The events of an application over HTTP, for who would rather ask than be told."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kpay.core.clock import iso
from kpay.core.fields import Cursor, Limit, Page, page_of, read_cursor
from kpay.core.forms import EventId, Moment, OperationId
from kpay.core.ids import parse_public_id, public_id
from kpay.core.page import Filter, read_limit
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.database.pool import Database
from kpay.events import examples, store
from kpay.events.model import OPERATION_PREFIXES, PREFIX, Recorded


class EventAnswer(msgspec.Struct, rename="camel"):
    """`event` is such as payout.completed; `paymentId` is the id of what has ended, of any kind."""

    id: EventId
    event: Annotated[
        str,
        Meta(
            description="What ended, and how: completed, failed or cancelled.",
            examples=["payout.completed"],
        ),
    ]
    payment_id: OperationId
    created_at: Annotated[Moment, Meta(description="When it ended.")]


class EventQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """`cursor` is the last page's nextCursor."""

    cursor: Cursor = None
    limit: Limit = None


def routes(database: Database) -> list[Route]:
    async def listing(call: Call) -> Reply:
        """Every end of a payment, a withdrawal or a refund, as it was recorded with the end itself.

        For who would rather ask than be told, and for catching up after a time of silence.
        """
        query: EventQuery = call.query
        wanted = Filter(
            before=read_cursor(query.cursor, lambda text: parse_public_id(PREFIX, text)),
            limit=read_limit(query.limit),
        )
        rows = await store.page(database, call.book, wanted)
        return Reply(page_of(rows, wanted.limit, _answer, lambda row: public_id(PREFIX, row.id)))

    return [
        Route(
            "GET",
            "/api/v1/payments/events",
            "What happened to payments, withdrawals and refunds, newest first",
            Guard.KEYS,
            listing,
            Page[EventAnswer],
            query=EventQuery,
            examples=examples.EVENTS,
            tag="Events",
        )
    ]


def _answer(recorded: Recorded) -> EventAnswer:
    event = recorded.event
    subject = event.type.partition(".")[0]
    return EventAnswer(
        id=public_id(PREFIX, recorded.id),
        event=event.type,
        payment_id=public_id(OPERATION_PREFIXES[subject], event.operation_id),
        created_at=iso(event.at),
    )
