"""Movements and statements as CSV, made as they are read."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from datetime import datetime

import msgspec

from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.money import to_number
from kpay.core.sheet import Cell, head, sheet
from kpay.statements.answers import MovementAnswer, movement_answer
from kpay.statements.flow import Statement, Statements
from kpay.statements.model import Standing, Totals, Wanted

_FIELDS = msgspec.structs.fields(MovementAnswer)
_PLACES = {field.encode_name: place for place, field in enumerate(_FIELDS)}
_NAMES = list(_PLACES)


async def movements_file(
    statements: Statements, book: Book, country: str, wanted: Wanted, *, marked: bool
) -> AsyncGenerator[bytes, None]:
    """Every movement, newest first. Refuses: unsupported_country, no_wallet."""
    currency = await statements.check(book, country)
    begin = head(_NAMES, marked=marked)
    async for rows in statements.all(book, country, wanted):
        lines = [msgspec.structs.astuple(movement_answer(country, currency, row)) for row in rows]
        yield begin + sheet(lines)
        begin = b""
    if begin:
        yield begin


async def statement_file(
    statements: Statements, statement: Statement, now: datetime, *, marked: bool
) -> AsyncGenerator[bytes, None]:
    """A statement from its opening balance to its closing one.

    The first column says what a line is: OPENING, MOVEMENT, TOTAL (one for each type) or CLOSING.
    """
    country, currency = statement.country, statement.currency
    totals = Totals()
    begin = head(["line", *_NAMES, "count"], marked=marked) + sheet(
        [_balance_line("OPENING", statement, statement.opening, statement.since)]
    )
    async for rows in statements.lines(statement):
        lines: list[list[Cell]] = []
        for row in rows:
            totals.add(row)
            answer = movement_answer(country, currency, row)
            lines.append(["MOVEMENT", *msgspec.structs.astuple(answer), None])
        yield begin + sheet(lines)
        begin = b""
    ends = [
        _line(
            "TOTAL",
            total.count,
            type=type_,
            currency=currency,
            amount=to_number(total.change),
            reservedAmount=to_number(total.reserved_change),
            feeAmount=to_number(total.fee),
        )
        for type_, total in totals.by_type()
    ]
    ends.append(_balance_line("CLOSING", statement, statement.closing, statement.until or now))
    yield begin + sheet(ends)


def _balance_line(
    word: str, statement: Statement, standing: Standing, moment: datetime | None
) -> list[Cell]:
    return _line(
        word,
        createdAt=None if moment is None else iso(moment),
        currency=statement.currency,
        balance=to_number(standing.balance),
        reservedBalance=to_number(standing.reserved),
        availableBalance=to_number(standing.available),
    )


def _line(word: str, count: int | None = None, **cells: Cell) -> list[Cell]:
    """A line that is no movement, with these cells under their columns."""
    line: list[Cell] = [None] * len(_FIELDS)
    for name, cell in cells.items():
        line[_PLACES[name]] = cell
    return [word, *line, count]
