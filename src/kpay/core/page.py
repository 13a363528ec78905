"""Pages of a list: newest first, cut at an identifier (keyset), never at an offset."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar
from uuid import UUID

import msgspec

from kpay.core.ids import first_id
from kpay.core.refusals import Code, Refusal

R = TypeVar("R")

MOST = 100
USUAL = 20
# A page of a file: read in a few milliseconds, so that requests beside it are hardly delayed.
OF_FILE = 100


# How far the time in an operation's identifier may be from the operation's own moment. Both come
# from the house's clock, one after the other, so it is hardly later: an hour is for machines whose
# clocks were off when identifiers were made from those. It is earlier where a request has an
# Idempotency-Key: the first attempt draws the identifier, and the last may come days later.
ID_IS_LATER_BY_AT_MOST = timedelta(hours=1)
ID_IS_EARLIER_BY_AT_MOST = timedelta(days=7)


class Filter(msgspec.Struct, frozen=True):
    """What a list is narrowed to; None narrows nothing. `before` is the last page's last row."""

    external_id: str | None = None
    status: str | None = None
    country: str | None = None
    provider: str | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None
    limit: int = USUAL

    @property
    def first(self) -> UUID | None:
        """No row of the period has a lesser identifier, so what is older need not be read."""
        return None if self.since is None else _first_id(self.since, -ID_IS_EARLIER_BY_AT_MOST)

    @property
    def end(self) -> UUID | None:
        """Every row of the page has a lesser identifier, so what is newer need not be read."""
        if self.until is None:
            return self.before
        end = _first_id(self.until, ID_IS_LATER_BY_AT_MOST)
        return end if self.before is None else min(end, self.before)


def _first_id(moment: datetime, distance: timedelta) -> UUID:
    """The first identifier of a moment so far away, or of the first or the last that there is."""
    try:
        return first_id(moment + distance)
    except OverflowError:
        return first_id(moment)


def read_moment(text: str | None, field: str) -> datetime | None:
    """A moment in a query, ISO 8601; without a zone it is UTC. Refuses: invalid_parameter."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
        return moment.replace(tzinfo=moment.tzinfo or UTC).astimezone(UTC)
    except (ValueError, OverflowError) as problem:
        raise Refusal(
            Code.INVALID_PARAMETER, f"{field} must be a date such as 2026-06-23T10:00:00Z."
        ) from problem


def read_end(text: str | None, field: str) -> datetime | None:
    """Where a period ends: the first moment that is no longer in it. Refuses: invalid_parameter.

    A date without a time is a whole day, so a period up to the 30th ends when the 30th has ended.
    """
    moment = read_moment(text, field)
    if text is None or moment is None or not _is_date(text):
        return moment
    try:
        return moment + timedelta(days=1)
    except OverflowError as problem:
        raise Refusal(Code.INVALID_PARAMETER, f"{field} must be an earlier date.") from problem


def read_period(since: str | None, until: str | None) -> tuple[datetime | None, datetime | None]:
    """The `from` and the `to` of a query: from the first moment on, up to before the second.

    Refuses: invalid_parameter, also for a period that ends before it begins.
    """
    start, end = read_moment(since, "from"), read_end(until, "to")
    # Between two moments there may be nothing; a day that has ended by then is an earlier one.
    ends_with_a_day = until is not None and _is_date(until)
    if start is not None and end is not None and (start, ends_with_a_day) > (end, False):
        raise Refusal(Code.INVALID_PARAMETER, "from must not be after to.")
    return start, end


def _is_date(text: str) -> bool:
    try:
        date.fromisoformat(text)
    except ValueError:
        return False
    return True


async def every_page(
    read: Callable[[Filter], Awaitable[Sequence[R]]], wanted: Filter, key: Callable[[R], UUID]
) -> AsyncGenerator[Sequence[R], None]:
    """The pages of a list to its end. `read` gives one row more than a page where there is another.

    Nothing is held between two pages. Rows that were made after the first was read do not come.
    """
    while True:
        rows = await read(wanted)
        page = rows[: wanted.limit]
        yield page
        if len(rows) <= wanted.limit:
            return
        wanted = msgspec.structs.replace(wanted, before=key(page[-1]))


def read_limit(limit: int | None) -> int:
    """How many rows a page has. Refuses: invalid_parameter."""
    if limit is None:
        return USUAL
    if not 1 <= limit <= MOST:
        raise Refusal(Code.INVALID_PARAMETER, f"limit must be between 1 and {MOST}.")
    return limit
