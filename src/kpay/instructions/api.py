"""What payments, payouts and refunds share over HTTP: one, lists, ending them by hand."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Annotated, Any, Generic, Literal, TypeVar
from uuid import UUID

import msgspec
from msgspec import Meta

from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.fields import (
    Bom,
    CountryFilter,
    Cursor,
    ExternalIdFilter,
    Limit,
    Page,
    ProviderFilter,
    ShortText,
    Since,
    Until,
    page_of,
    read_cursor,
)
from kpay.core.ids import parse_public_id
from kpay.core.page import OF_FILE, Filter, every_page, read_limit, read_period
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Also, Call, Download, Example, Guard, Reply, Route
from kpay.core.sheet import MEDIA, Cell, file_name, head, sheet
from kpay.instructions.flow import Followed, Outgoing
from kpay.instructions.model import Agreed, Status, Tracked
from kpay.instructions.rails import Attempt

A = TypeVar("A", bound=Agreed)
Examples = tuple[Example, ...]

_ASKED = "if it still can, it ends FAILED and the whole amount is back in the wallet."
_USUAL_FAILURE = "UNSPECIFIED_FAILURE"
_OF_A_FILTER = (Code.UNSUPPORTED_COUNTRY, Code.UNKNOWN_PROVIDER)

# What a line of a file has no room for: sentences, what is a list of its own, the way to a page.
_NOT_IN_A_FILE = frozenset(
    {"message", "attempts", "fx", "refunds", "refunded_amount", "gateway_url"}
)


class NarrowQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How a list is narrowed. `from` and `to` are moments, or dates, which are whole days."""

    external_id: ExternalIdFilter = None
    status: Annotated[
        str | None,
        Meta(
            description="Only what stands there.",
            examples=["COMPLETED"],
            extra_json_schema={"enum": list(Status)},
        ),
    ] = None
    country: CountryFilter = None
    provider: ProviderFilter = None
    since: Since = msgspec.field(default=None, name="from")
    until: Until = msgspec.field(default=None, name="to")


class ListQuery(NarrowQuery, rename="camel", forbid_unknown_fields=True):
    """A page of a list; `cursor` is the last page's nextCursor."""

    cursor: Cursor = None
    limit: Limit = None


class ExportQuery(NarrowQuery, rename="camel", forbid_unknown_fields=True):
    """A whole list as a file; with `bom` it begins with the mark by which Excel knows UTF-8."""

    bom: Bom = False


class FinishRequest(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """How an open sandbox operation ends; `failureCode` goes with FAILED."""

    outcome: Annotated[Literal["COMPLETED", "FAILED"], Meta(description="How it is to end.")]
    failure_code: Annotated[
        ShortText | None,
        Meta(
            description=f"Why it failed; {_USUAL_FAILURE} unless it is given.",
            examples=["PAYER_LIMIT_REACHED"],
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class Shapes(Generic[A]):
    """How one noun is shown: the fields of every answer about it, and what its detail adds."""

    prefix: str
    answer: type[Any]
    detail: type[Any]
    fields: Callable[[Tracked[A]], dict[str, Any]]
    more: Callable[[A], dict[str, Any]]
    tag: str = ""
    id_type: Any = str
    detail_examples: Examples = ()
    page_examples: Examples = ()
    file_examples: Examples = ()
    finish_examples: Examples = ()
    cancel_examples: Examples = ()
    asked_examples: Examples = ()

    def show(self, tracked: Tracked[A]) -> Any:
        return self.answer(**self.fields(tracked))

    def show_detail(self, tracked: Tracked[A], attempts: list[Attempt], **besides: Any) -> Any:
        """In full: how it ended, every attempt at the operator, and what others know of it."""
        return self.detail(**self._in_full(tracked), attempts=attempts, **besides)

    def columns(self) -> dict[str, str]:
        """What a file has of each: the names of our fields, and of its columns."""
        return {
            field.name: field.encode_name
            for field in msgspec.structs.fields(self.detail)
            if field.name not in _NOT_IN_A_FILE
        }

    def line(self, tracked: Tracked[A], columns: Iterable[str]) -> list[Cell]:
        """One of them as a line of a file."""
        told = self._in_full(tracked)
        return [told.get(name) for name in columns]

    def _in_full(self, tracked: Tracked[A]) -> dict[str, Any]:
        progress = tracked.progress
        ended = None if progress.ended_at is None else iso(progress.ended_at)
        return {
            **self.fields(tracked),
            **self.more(tracked.agreed),
            "completed_at": ended if progress.status is Status.COMPLETED else None,
            "failed_at": ended if progress.status is Status.FAILED else None,
            # On a hosted page the last refusal is no failure yet: the attempts tell of it.
            "failure_reason": progress.failure_code if progress.status is Status.FAILED else None,
        }


async def _nothing(_tracked: Tracked[Any]) -> dict[str, Any]:
    return {}


def reading_routes(
    verbs: Followed[A],
    shapes: Shapes[A],
    *,
    one: str,
    many: str,
    besides: Callable[[Tracked[A]], Awaitable[dict[str, Any]]] = _nothing,
) -> list[Route]:
    """The routes that look at what was agreed: `one` and `many` are their paths.

    `besides` finds the fields of a detail that another noun knows.
    """
    return [
        _detail_route(verbs, shapes, one, besides),
        _list_route(verbs, shapes, many),
        _export_route(verbs, shapes, many),
        _finish_route(verbs, shapes, one),
    ]


def _detail_route(
    verbs: Followed[A],
    shapes: Shapes[A],
    one: str,
    besides: Callable[[Tracked[A]], Awaitable[dict[str, Any]]],
) -> Route:
    async def detail(call: Call) -> Reply:
        """With how it ended, and every attempt at the operator: what was sent and what came back.

        Ask until `status` is COMPLETED, FAILED or CANCELLED; it never changes after that.
        """
        tracked = await verbs.get(call.book, read_id(call, shapes.prefix, verbs.word))
        attempts = await verbs.attempts(call.book, tracked.agreed.id)
        return Reply(shapes.show_detail(tracked, attempts, **await besides(tracked)))

    return Route(
        "GET",
        f"{one}/{{id}}",
        f"One {verbs.word}",
        Guard.KEYS,
        detail,
        shapes.detail,
        examples=shapes.detail_examples,
        tag=shapes.tag,
        refuses=(Code.NOT_FOUND,),
        path_types={"id": shapes.id_type},
    )


def _list_route(verbs: Followed[A], shapes: Shapes[A], many: str) -> Route:
    async def listing(call: Call) -> Reply:
        """Narrowed by `externalId` it tells who lost an answer what became of the call."""
        wanted = msgspec.structs.replace(
            _filter(call.query),
            before=read_cursor(
                call.query.cursor, lambda text: parse_public_id(shapes.prefix, text)
            ),
            limit=read_limit(call.query.limit),
        )
        rows = await verbs.page(call.book, wanted)
        return Reply(page_of(rows, wanted.limit, shapes.show, lambda row: row.agreed.public_id))

    return Route(
        "GET",
        many,
        f"The {verbs.word}s, newest first",
        Guard.KEYS,
        listing,
        Page[shapes.answer],  # type: ignore[name-defined]
        query=ListQuery,
        examples=shapes.page_examples,
        tag=shapes.tag,
        refuses=_OF_A_FILTER,
    )


def _export_route(verbs: Followed[A], shapes: Shapes[A], many: str) -> Route:
    async def export(call: Call) -> Download:
        """Each with all that its own address tells of it, but for what is a list itself. A file
        that broke off arrives as an error of the connection, never as a shorter file.
        """
        wanted = _filter(call.query)
        return Download(
            _file(verbs, shapes, call.book, wanted, marked=call.query.bom),
            file_name(call.book, f"{verbs.word}s", wanted.since, wanted.until),
        )

    return Route(
        "GET",
        f"{many}/export",
        f"The {verbs.word}s as CSV, newest first, however many there are",
        Guard.KEYS,
        export,
        str,
        query=ExportQuery,
        media=MEDIA,
        examples=shapes.file_examples,
        tag=shapes.tag,
        refuses=_OF_A_FILTER,
    )


def _finish_route(verbs: Followed[A], shapes: Shapes[A], one: str) -> Route:
    async def finish(call: Call) -> Reply:
        """For the test numbers whose operations stay PROCESSING: the sandbox ends one as told.

        It is accepted with 202 and happens at the worker's next turn.
        """
        identifier = read_id(call, shapes.prefix, verbs.word)
        found = await verbs.finish_in_sandbox(call.book, identifier, _failure(call.body))
        return Reply(shapes.show(found), 202)

    return Route(
        "POST",
        f"{one}/{{id}}/sandbox/finish",
        f"Decide how a sandbox {verbs.word} that stays open ends",
        Guard.KEYS,
        finish,
        shapes.answer,
        status=202,
        body=FinishRequest,
        examples=shapes.finish_examples,
        tag=shapes.tag,
        refuses=(Code.NOT_FOUND, Code.NOT_OPEN),
        path_types={"id": shapes.id_type},
    )


def cancelling_route(verbs: Outgoing[A], shapes: Shapes[A], *, one: str) -> Route:
    """The route that calls one back; `one` is the path of them all."""

    async def cancel(call: Call) -> Reply:
        """While it is PENDING, all of `amount` is back in the wallet with the answer, 200.

        While it is PROCESSING because its operator is delayed, the operator is asked to cancel it
        and the answer is 202: it ends FAILED with MANUALLY_CANCELLED if it still could be, and
        COMPLETED if not. Whatever else is PROCESSING, or has ended, is refused.
        """
        identifier = read_id(call, shapes.prefix, verbs.word)
        return answered(await verbs.cancel(call.book, identifier, call.keyed))

    async def recalled(call: Call) -> Reply | None:
        """Cancelling makes nothing of its own: how it stands, and was asked, is all there is."""
        tracked = await verbs.get(call.book, read_id(call, shapes.prefix, verbs.word))
        if tracked.progress.status is Status.CANCELLED:
            return answered(tracked)
        asked = await verbs.was_asked_to_cancel(call.book, tracked.agreed.id)
        return answered(tracked) if asked else None

    def answered(tracked: Tracked[A]) -> Reply:
        shown = shapes.show(tracked)
        match tracked.progress.status:
            case Status.CANCELLED:
                return Reply(shown)
            case Status.PROCESSING:
                asked = f"The operator was asked to cancel this {verbs.word}: {_ASKED}"
                return Reply(msgspec.structs.replace(shown, message=asked), 202)
            case _:
                return Reply(shown, 202)

    return Route(
        "POST",
        f"{one}/{{id}}/cancel",
        f"Call back a {verbs.word} that was not sent yet, or that waits for its operator",
        Guard.KEYS,
        cancel,
        shapes.answer,
        examples=shapes.cancel_examples,
        tag=shapes.tag,
        refuses=(Code.NOT_FOUND, Code.NOT_CANCELLABLE, Code.BUSY),
        path_types={"id": shapes.id_type},
        recall=recalled,
        also=Also(
            202,
            "The operator was asked to cancel it: how it ends, its status tells.",
            shapes.asked_examples,
        ),
    )


def recall(verbs: Followed[A], shapes: Shapes[A]) -> Callable[[Call], Awaitable[Reply | None]]:
    """How a request with an Idempotency-Key is answered from what it made."""

    async def recalled(call: Call) -> Reply | None:
        found = None if call.keyed is None else await verbs.find(call.book, call.keyed.operation_id)
        return None if found is None else Reply(shapes.show(found), 201)

    return recalled


def read_id(call: Call, prefix: str, word: str) -> UUID:
    """The identifier in the path. Refuses: not_found, for text that was never one of ours."""
    identifier = parse_public_id(prefix, call.path["id"])
    if identifier is None:
        raise Refusal(Code.NOT_FOUND, f"There is no {word} with this id.")
    return identifier


def _filter(query: NarrowQuery) -> Filter:
    since, until = read_period(query.since, query.until)
    return Filter(
        external_id=query.external_id,
        status=_status(query.status),
        country=query.country,
        provider=query.provider,
        since=since,
        until=until,
        limit=OF_FILE,
    )


async def _file(
    verbs: Followed[A], shapes: Shapes[A], book: Book, wanted: Filter, *, marked: bool
) -> AsyncGenerator[bytes, None]:
    """The whole list as CSV, a page at a time, each read on a connection of its own."""
    columns = shapes.columns()
    begin = head(list(columns.values()), marked=marked)
    pages = every_page(
        lambda narrowed: verbs.page(book, narrowed), wanted, lambda row: row.agreed.id
    )
    async for page in pages:
        yield begin + sheet(shapes.line(row, columns) for row in page)
        begin = b""


def _status(text: str | None) -> str | None:
    if text is not None and text not in set(Status):
        raise Refusal(Code.INVALID_PARAMETER, f"status must be one of {', '.join(Status)}.")
    return text


def _failure(request: FinishRequest) -> str | None:
    """The failure code that was decided, or None for a completion."""
    if request.outcome == "COMPLETED":
        return None
    return request.failure_code or _USUAL_FAILURE
