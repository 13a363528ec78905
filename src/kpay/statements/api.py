"""A wallet's movements and statements over HTTP, as JSON and as CSV."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kpay.core.clock import Clock
from kpay.core.fields import Bom, CountryCode, Cursor, ExternalIdFilter, Limit, Page, Since, Until
from kpay.core.page import read_limit, read_period
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Call, Download, Guard, Reply, Route
from kpay.core.sheet import MEDIA, file_name
from kpay.statements import examples
from kpay.statements.answers import (
    MovementAnswer,
    StatementAnswer,
    movement_answer,
    statement_answer,
)
from kpay.statements.files import movements_file, statement_file
from kpay.statements.flow import Statements
from kpay.statements.model import MovementType, Place, Wanted, parse_place, read_type, spell_place


class PeriodQuery(msgspec.Struct, rename="camel", forbid_unknown_fields=True):
    """From `from` on, before `to`: moments, or dates, which are whole days in UTC."""

    since: Since = msgspec.field(default=None, name="from")
    until: Until = msgspec.field(default=None, name="to")


class StatementExportQuery(PeriodQuery, rename="camel", forbid_unknown_fields=True):
    """A period as a file; with `bom` it begins with the mark by which Excel knows UTF-8."""

    bom: Bom = False


class MovementNarrowQuery(PeriodQuery, rename="camel", forbid_unknown_fields=True):
    """How movements are narrowed."""

    type: Annotated[
        str | None,
        Meta(
            description="Only movements of this type.",
            examples=["PAYMENT"],
            extra_json_schema={"enum": list(MovementType)},
        ),
    ] = None
    external_id: ExternalIdFilter = None


class MovementQuery(MovementNarrowQuery, rename="camel", forbid_unknown_fields=True):
    """A page of movements; `cursor` is the last page's nextCursor."""

    cursor: Cursor = None
    limit: Limit = None


class MovementExportQuery(MovementNarrowQuery, rename="camel", forbid_unknown_fields=True):
    """Movements as a file; with `bom` it begins with the mark by which Excel knows UTF-8."""

    bom: Bom = False


_BASE = "/api/wallets/{country}"
_OF_A_WALLET = (Code.UNSUPPORTED_COUNTRY, Code.NO_WALLET)
_PATH = {"country": Annotated[CountryCode, Meta(description="Whose wallet it is.")]}


def routes(statements: Statements, clock: Clock) -> list[Route]:
    return [*_movement_routes(statements), *_statement_routes(statements, clock)]


def _movement_routes(statements: Statements) -> list[Route]:
    async def movements(call: Call) -> Reply:
        """Each payment, transfer, withdrawal and refund as far as it changed this wallet: how, and
        what the wallet held afterwards.

        A page that is narrowed by `type` can have fewer rows than `limit`, even none, and still a
        `nextCursor`: go on until it is null.
        """
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
        """The rows of `GET /api/wallets/{country}/movements`, all of them, as they were when the
        file was begun. A file that broke off arrives as an error of the connection, never as a
        shorter file.
        """
        country, wanted = call.path["country"], _wanted(call.query)
        return Download(
            movements_file(statements, call.book, country, wanted, marked=call.query.bom),
            file_name(call.book, f"movements-{country}", wanted.since, wanted.until),
        )

    return [
        Route(
            "GET",
            f"{_BASE}/movements",
            "What happened to a wallet, newest first",
            Guard.TOKEN,
            movements,
            Page[MovementAnswer],
            query=MovementQuery,
            examples=examples.MOVEMENTS,
            tag="Statements",
            refuses=_OF_A_WALLET,
            path_types=_PATH,
        ),
        Route(
            "GET",
            f"{_BASE}/movements/export",
            "What happened to a wallet as CSV, newest first, however much it was",
            Guard.TOKEN,
            movements_export,
            str,
            query=MovementExportQuery,
            media=MEDIA,
            examples=examples.MOVEMENTS_FILE,
            tag="Statements",
            refuses=_OF_A_WALLET,
            path_types=_PATH,
        ),
    ]


def _statement_routes(statements: Statements, clock: Clock) -> list[Route]:
    async def statement(call: Call) -> Reply:
        """`opening.balance` and every `amount` add up to `closing.balance`; one period's closing
        balances are the next one's opening balances. Without `to` it closes with what the wallet
        holds now. What has been posted never changes.
        """
        since, until = read_period(call.query.since, call.query.until)
        opened = await statements.open(call.book, call.path["country"], since, until)
        return Reply(statement_answer(opened, await statements.short(opened)))

    async def statement_export(call: Call) -> Download:
        """The first column says what a line is: OPENING, MOVEMENT, TOTAL (one for each type) or
        CLOSING, which is always the last.
        """
        country = call.path["country"]
        since, until = read_period(call.query.since, call.query.until)
        now = clock.now()
        opened = await statements.open(call.book, country, since, until)
        return Download(
            statement_file(statements, opened, now, marked=call.query.bom),
            file_name(call.book, f"statement-{country}", since, until),
        )

    return [
        Route(
            "GET",
            f"{_BASE}/statement",
            "A wallet's statement: opening balance, movements, totals, closing balance",
            Guard.TOKEN,
            statement,
            StatementAnswer,
            query=PeriodQuery,
            examples=examples.STATEMENT,
            tag="Statements",
            refuses=(*_OF_A_WALLET, Code.STATEMENT_TOO_LONG),
            path_types=_PATH,
        ),
        Route(
            "GET",
            f"{_BASE}/statement/export",
            "A wallet's statement as CSV, however long",
            Guard.TOKEN,
            statement_export,
            str,
            query=StatementExportQuery,
            media=MEDIA,
            examples=examples.STATEMENT_FILE,
            tag="Statements",
            refuses=_OF_A_WALLET,
            path_types=_PATH,
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
