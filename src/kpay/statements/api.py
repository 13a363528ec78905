"""A wallet's movements and statements over HTTP, as JSON and as CSV."""

from __future__ import annotations

import msgspec

from kpay.core.clock import Clock
from kpay.core.fields import Page
from kpay.core.page import read_limit, read_period
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Download, Guard, Reply, Route
from kpay.core.sheet import MEDIA, file_name
from kpay.statements.answers import (
    MovementAnswer,
    StatementAnswer,
    movement_answer,
    statement_answer,
)
from kpay.statements.files import movements_file, statement_file
from kpay.statements.flow import Statements
from kpay.statements.model import Place, Wanted, parse_place, read_type, spell_place


class PeriodQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """From `from` on, before `to`: moments, or dates, which are whole days in UTC."""

    since: str | None = msgspec.field(default=None, name="from")
    until: str | None = msgspec.field(default=None, name="to")


class StatementExportQuery(PeriodQuery, rename="camel", forbid_unknown_fields=True):
    """A period as a file; with `bom` it begins with the mark by which Excel knows UTF-8."""

    bom: bool = False


class MovementNarrowQuery(PeriodQuery, rename="camel", forbid_unknown_fields=True):
    """How movements are narrowed."""

    type: str | None = None
    external_id: str | None = None


class MovementQuery(MovementNarrowQuery, rename="camel", forbid_unknown_fields=True):
    """A page of movements; `cursor` is the last page's nextCursor."""

    cursor: str | None = None
    limit: int | None = None


class MovementExportQuery(MovementNarrowQuery, rename="camel", forbid_unknown_fields=True):
    """Movements as a file; with `bom` it begins with the mark by which Excel knows UTF-8."""

    bom: bool = False


def routes(statements: Statements, clock: Clock) -> list[Route]:
    async def movements(call: Call) -> Reply:
        country, query = call.path["country"], call.query
        page = await statements.page(
            call.book,
            country,
            _wanted(query),
            _cursor(country, query.cursor),
            read_limit(query.limit),
        )
        return Reply(
            Page(
                [movement_answer(country, page.currency, row) for row in page.rows],
                None if page.next is None else spell_place(country, page.next),
            )
        )

    async def movements_export(call: Call) -> Download:
        country, wanted = call.path["country"], _wanted(call.query)
        return Download(
            movements_file(statements, call.book, country, wanted, marked=call.query.bom),
            file_name(call.book, f"movements-{country}", wanted.since, wanted.until),
        )

    async def statement(call: Call) -> Reply:
        since, until = read_period(call.query.since, call.query.until)
        opened = await statements.open(call.book, call.path["country"], since, until)
        return Reply(statement_answer(opened, await statements.short(opened)))

    async def statement_export(call: Call) -> Download:
        country = call.path["country"]
        since, until = read_period(call.query.since, call.query.until)
        now = clock.now()
        opened = await statements.open(call.book, country, since, until)
        return Download(
            statement_file(statements, opened, now, marked=call.query.bom),
            file_name(call.book, f"statement-{country}", since, until),
        )

    base = "/api/wallets/{country}"
    return [
        Route(
            "GET",
            f"{base}/movements",
            "What happened to a wallet, newest first",
            Guard.TOKEN,
            movements,
            Page[MovementAnswer],
            query=MovementQuery,
        ),
        Route(
            "GET",
            f"{base}/movements/export",
            "What happened to a wallet as CSV, newest first, however much it was",
            Guard.TOKEN,
            movements_export,
            str,
            query=MovementExportQuery,
            media=MEDIA,
        ),
        Route(
            "GET",
            f"{base}/statement",
            "A wallet's statement: opening balance, movements, totals, closing balance",
            Guard.TOKEN,
            statement,
            StatementAnswer,
            query=PeriodQuery,
        ),
        Route(
            "GET",
            f"{base}/statement/export",
            "A wallet's statement as CSV, however long",
            Guard.TOKEN,
            statement_export,
            str,
            query=StatementExportQuery,
            media=MEDIA,
        ),
    ]


def _wanted(query: MovementNarrowQuery) -> Wanted:
    since, until = read_period(query.since, query.until)
    return Wanted(since, until, read_type(query.type), query.external_id)


def _cursor(country: str, text: str | None) -> Place | None:
    """The place that a cursor names. Refuses: invalid_parameter."""
    if text is None:
        return None
    place = parse_place(country, text)
    if place is None:
        raise Refusal(
            Code.INVALID_PARAMETER, "cursor must be the nextCursor of the page before, unchanged."
        )
    return place
