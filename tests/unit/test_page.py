"""Lists: dates, limits and cursors of a query are read or refused, and pages know their last."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.core.fields import page_of, read_cursor
from kpay.core.ids import parse_uuid
from kpay.core.page import MOST, USUAL, read_limit, read_moment
from kpay.core.refusals import Code, Refusal

TEN_O_CLOCK = datetime(2026, 6, 23, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    "text",
    [
        "2026-06-23T10:00:00Z",
        "2026-06-23T10:00:00.000Z",
        "2026-06-23T10:00:00",
        "2026-06-23T11:00:00+01:00",
        "2026-06-23T05:00:00-05:00",
    ],
)
def test_a_moment_is_in_utc_whichever_zone_it_is_written_in(text: str) -> None:
    assert read_moment(text, "from") == TEN_O_CLOCK


def test_a_day_begins_at_midnight_utc() -> None:
    assert read_moment("2026-06-23", "from") == datetime(2026, 6, 23, tzinfo=UTC)


def test_what_is_not_given_narrows_nothing() -> None:
    assert read_moment(None, "from") is None
    assert read_cursor(None, parse_uuid) is None
    assert read_limit(None) == USUAL


@pytest.mark.parametrize(
    "text",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30",
        "23/06/2026",
        "1782208800",
        # Out of the calendar once it is in UTC.
        "0001-01-01T00:00:00+23:59",
        "9999-12-31T23:59:59-23:59",
        "2026-06-23T10:00:00 and a bit",
        "'; drop table payouts; --",
    ],
)
def test_what_is_no_moment_is_refused_by_the_name_of_its_field(text: str) -> None:
    with pytest.raises(Refusal, match=r"^to must be a date such as ") as caught:
        read_moment(text, "to")
    assert caught.value.code is Code.INVALID_PARAMETER


@given(st.text(max_size=40))
def test_any_text_is_a_moment_in_utc_or_an_invalid_parameter(text: str) -> None:
    try:
        moment = read_moment(text, "from")
    except Refusal as refusal:
        assert refusal.code is Code.INVALID_PARAMETER  # noqa: PT017 — either way out is right
    else:
        assert moment is not None
        assert moment.tzinfo is UTC


@pytest.mark.parametrize("limit", [1, USUAL, MOST])
def test_a_page_may_be_as_large_as_the_most(limit: int) -> None:
    assert read_limit(limit) == limit


@pytest.mark.parametrize("limit", [0, -1, MOST + 1, 10**30])
def test_a_page_out_of_bounds_is_refused(limit: int) -> None:
    with pytest.raises(Refusal, match="between 1 and 100") as caught:
        read_limit(limit)
    assert caught.value.code is Code.INVALID_PARAMETER


def test_a_cursor_that_was_never_ours_is_refused() -> None:
    with pytest.raises(Refusal, match="nextCursor") as caught:
        read_cursor("'; drop table payouts; --", parse_uuid)
    assert caught.value.code is Code.INVALID_PARAMETER


@given(st.lists(st.uuids(), max_size=12), st.integers(1, 10))
def test_following_the_cursors_shows_every_row_once(rows: list[UUID], limit: int) -> None:
    shown: list[str] = []
    rest = rows
    while True:
        page = page_of(rest[: limit + 1], limit, str, str)
        shown += page.data
        rest = rest[len(page.data) :]
        if page.next_cursor is None:
            break
        assert page.next_cursor == page.data[-1]

    assert rest == []
    assert shown == [str(row) for row in rows]


def test_a_cursor_reads_back() -> None:
    row = uuid4()

    assert read_cursor(str(row), parse_uuid) == row
