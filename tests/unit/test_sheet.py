"""CSV: what goes in comes out of a reader as it was, and nothing begins like a formula."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.core.book import Book, Environment
from kpay.core.sheet import BYTE_ORDER_MARK, Cell, file_name, head, sheet

# What PostgreSQL can hold: any text without NUL and without halves of characters.
texts = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"))


def read(data: bytes) -> list[list[str]]:
    return list(csv.reader(io.StringIO(data.decode(), newline=""), strict=True))


@pytest.mark.parametrize(
    ("value", "cell"),
    [
        (None, ""),
        (msgspec.UNSET, ""),
        ("", ""),
        ("Basket", "Basket"),
        (9_500, "9500"),
        (-9_500, "-9500"),
        (10**30, "1" + "0" * 30),
        (Decimal("48211.75"), "48211.75"),
        (Decimal("-0.05"), "-0.05"),
        (Decimal("1E+3"), "1000"),
        (True, "true"),
        (False, "false"),
        (msgspec.Raw(b'{"order":"=1+1"}'), '{"order":"=1+1"}'),
        ('Supplier, "Abidjan"\nCôte d\'Ivoire', 'Supplier, "Abidjan"\nCôte d\'Ivoire'),
        ("日本 🛒", "日本 🛒"),
    ],
)
def test_a_value_is_the_cell_that_the_api_would_say(value: Cell, cell: str) -> None:
    assert read(sheet([["x", value]])) == [["x", cell]]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"])
def test_a_text_that_begins_like_a_formula_is_marked_as_text(start: str) -> None:
    for text in (start, f"{start}HYPERLINK(0)", f"{start}1"):
        assert read(sheet([[text]])) == [[f"'{text}"]]
    # Only at the beginning: there a spreadsheet looks.
    assert read(sheet([[f"a{start}1"]])) == [[f"a{start}1"]]


@given(st.lists(st.lists(texts, min_size=2, max_size=4), max_size=5))
def test_any_text_comes_back_and_no_cell_begins_a_formula(rows: list[list[str]]) -> None:
    back = read(sheet(rows))

    assert [[cell.removeprefix("'") for cell in row] for row in back] == [
        [text.removeprefix("'") for text in row] for row in rows
    ]
    assert not [cell for row in back for cell in row if cell.startswith(tuple("=+-@\t\r\n"))]


@given(st.lists(texts, min_size=2, max_size=4))
def test_a_line_ends_with_crlf_and_holds_a_bare_one_only_in_quotes(row: list[str]) -> None:
    data = sheet([row]).decode()
    outside = "".join(data.split('"')[::2])

    assert data.endswith("\r\n")
    assert outside.count("\r") == outside.count("\n") == 1


def test_the_mark_for_excel_is_there_only_where_it_is_wanted() -> None:
    assert head(["id", "amount"]) == b"id,amount\r\n"
    assert head(["id", "amount"], marked=True) == BYTE_ORDER_MARK + b"id,amount\r\n"


def test_a_file_s_name_tells_what_is_in_it() -> None:
    book = Book(UUID(int=1), Environment.PRODUCTION)
    june, july = datetime(2026, 6, 1, tzinfo=UTC), datetime(2026, 7, 1, tzinfo=UTC)

    assert file_name(book, "payments", None, None) == "kpay-live-payments.csv"
    assert file_name(book, "payments", june, july) == (
        "kpay-live-payments-from-20260601T000000Z-to-20260701T000000Z.csv"
    )
