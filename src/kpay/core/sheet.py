"""Rows as CSV, for spreadsheets and for programs (RFC 4180: commas, CRLF, quotes where needed).

UTF-8. Amounts are plain decimals, as the API's JSON has them. A spreadsheet takes a cell that
begins like a formula for one and may carry it out, and texts come from strangers: such a text gets
an apostrophe in front, by which spreadsheets know a text. Numbers are left alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Container, Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from typing import TypeAlias

import msgspec

from kpay.core.book import Book

Cell: TypeAlias = str | int | Decimal | msgspec.Raw | msgspec.UnsetType | None

MEDIA = "text/csv; charset=utf-8"

# Tells Excel that a file is UTF-8. A program would read it as a part of the first column's name.
BYTE_ORDER_MARK = "\ufeff".encode()

# What a formula begins with, also in the wide forms of East Asian keyboards.
_BEGINS_A_FORMULA = frozenset("=+-@\t\r\n＝＋－＠")


def sheet(rows: Iterable[Sequence[Cell]]) -> bytes:
    """Rows as lines of CSV."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerows([_cell(value) for value in row] for row in rows)
    return text.getvalue().encode()


def head(columns: Sequence[str], *, marked: bool = False) -> bytes:
    """The first line: the names of the columns, after a byte order mark where one is wanted."""
    return (BYTE_ORDER_MARK if marked else b"") + sheet([columns])


def table(*rows: Mapping[str, Cell], without: Container[str] = ()) -> str:
    """A whole file as text, of rows that all have the columns of the first one."""
    columns = [name for name in rows[0] if name not in without]
    return sheet([columns, *([row[name] for name in columns] for row in rows)]).decode()


def file_name(book: Book, what: str, since: datetime | None, until: datetime | None) -> str:
    """kpay-test-payments-from-20260601T000000Z-to-20260701T000000Z.csv"""
    parts = ["kpay", book.environment.word, what]
    for word, moment in (("from", since), ("to", until)):
        if moment is not None:
            parts += [word, f"{moment:%Y%m%dT%H%M%SZ}"]
    return f"{'-'.join(parts)}.csv"


def _cell(value: Cell) -> str:
    # Nearly every cell is a text or empty, and a file has millions of them.
    if isinstance(value, str):
        return f"'{value}" if value[:1] in _BEGINS_A_FORMULA else value
    if value is None or value is msgspec.UNSET:
        return ""
    match value:
        case bool():
            return "true" if value else "false"
        case Decimal():
            return f"{value:f}"
        case msgspec.Raw():
            return bytes(value).decode()
        case _:
            return str(value)
