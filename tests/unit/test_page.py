"""Lists: dates, limits and cursors of a query are read or refused, and pages know their last."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.core.fields import page_of, read_cursor
from kpay.core.ids import first_id, parse_uuid
from kpay.core.page import (
    ID_IS_EARLIER_BY_AT_MOST,
    ID_IS_LATER_BY_AT_MOST,
    MOST,
    USUAL,
    Filter,
    every_page,
    read_end,
    read_limit,
    read_moment,
    read_period,
)
from kpay.core.refusals import Code, Refusal
from kpay.database.ids import _LONGEST_AHEAD_MS
from kpay.idempotency.model import KEEP

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


@pytest.mark.parametrize("text", ["2026-06-30", "20260630", "2026-W27-2"])
def test_a_period_up_to_a_day_ends_when_that_day_has_ended(text: str) -> None:
    assert read_end(text, "to") == datetime(2026, 7, 1, tzinfo=UTC)


@pytest.mark.parametrize("text", ["2026-06-30T00:00:00Z", "2026-06-30T01:00:00+01:00"])
def test_a_period_up_to_a_moment_ends_at_that_moment(text: str) -> None:
    assert read_end(text, "to") == datetime(2026, 6, 30, tzinfo=UTC)


def test_a_period_may_be_a_day_or_nothing_but_not_end_before_it_begins() -> None:
    assert read_period("2026-06-30", "2026-06-30") == (
        datetime(2026, 6, 30, tzinfo=UTC),
        datetime(2026, 7, 1, tzinfo=UTC),
    )
    moment = "2026-06-23T10:00:00Z"
    assert read_period(moment, moment) == (TEN_O_CLOCK, TEN_O_CLOCK)
    assert read_period("2026-06-30T23:59:59Z", "2026-06-30")[1] == datetime(2026, 7, 1, tzinfo=UTC)
    for since, until in (
        ("2026-07-02", "2026-06-30"),
        ("2026-07-01", "2026-06-30"),
        ("2026-06-30T00:00:01Z", "2026-06-30T00:00:00Z"),
    ):
        with pytest.raises(Refusal, match="from must not be after to") as caught:
            read_period(since, until)
        assert caught.value.code is Code.INVALID_PARAMETER


def test_a_day_after_which_there_is_none_is_refused() -> None:
    with pytest.raises(Refusal, match="to must be an earlier date") as caught:
        read_end("9999-12-31", "to")
    assert caught.value.code is Code.INVALID_PARAMETER


@given(st.sets(st.integers(1, 10**6), max_size=12), st.integers(1, 5))
async def test_every_page_of_a_list_is_every_row_once(numbers: set[int], limit: int) -> None:
    rows = [UUID(int=number) for number in sorted(numbers, reverse=True)]

    async def read(wanted: Filter) -> Sequence[UUID]:
        below = [row for row in rows if wanted.before is None or row < wanted.before]
        return below[: wanted.limit + 1]

    pages = [page async for page in every_page(read, Filter(limit=limit), lambda row: row)]

    assert [row for page in pages for row in page] == rows
    assert all(len(page) == limit for page in pages[:-1])
    # An empty list has a page as well: its file has the names of the columns.
    assert pages


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


def test_a_list_reads_what_may_lie_in_its_period_and_nothing_else() -> None:
    """A request with an Idempotency-Key may be carried out days after its identifier was drawn."""
    wanted = Filter(since=TEN_O_CLOCK, until=TEN_O_CLOCK + timedelta(days=1))

    assert wanted.first == first_id(TEN_O_CLOCK - timedelta(days=7))
    assert wanted.end == first_id(TEN_O_CLOCK + timedelta(days=1, hours=1))


def test_a_period_reaches_as_far_as_keys_are_kept_and_clocks_are_off() -> None:
    assert KEEP + timedelta(days=1) <= ID_IS_EARLIER_BY_AT_MOST
    assert timedelta(milliseconds=_LONGEST_AHEAD_MS) < ID_IS_LATER_BY_AT_MOST


def test_a_page_ends_where_the_last_one_or_its_period_does() -> None:
    inside, outside = (first_id(TEN_O_CLOCK + timedelta(hours=hours)) for hours in (-1, 3))

    assert Filter(before=outside).end == outside
    assert Filter(until=TEN_O_CLOCK, before=inside).end == inside
    assert Filter(until=TEN_O_CLOCK, before=outside).end == first_id(
        TEN_O_CLOCK + timedelta(hours=1)
    )


def test_a_list_of_no_period_reads_everything() -> None:
    assert (Filter().first, Filter().end) == (None, None)


def test_a_period_may_begin_and_end_where_time_does() -> None:
    first, last = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, tzinfo=UTC)

    assert Filter(since=first, until=first).first == UUID(int=0)
    assert Filter(since=first, until=first).end == UUID(int=0)
    assert Filter(since=last, until=last).end == first_id(last)
