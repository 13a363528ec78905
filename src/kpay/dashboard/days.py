"""Days as filters have them: read from an address, and the moment at which one begins."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta

_DAY = timedelta(days=1)


def read_day(text: str) -> date | None:
    """A day of four digits for its year, which leaves room for the one after it."""
    try:
        found = date.fromisoformat(text)
    except ValueError:
        return None
    return found if date.min < found < date(9999, 1, 1) else None


def begins(day: date | None) -> datetime | None:
    """The first moment of a day, in UTC."""
    return None if day is None else datetime.combine(day, time.min, UTC)


def ends(day: date | None) -> datetime | None:
    """The first moment that is no longer of a day."""
    return None if day is None else datetime.combine(day + _DAY, time.min, UTC)
