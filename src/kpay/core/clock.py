"""The clock. Every rule takes its time as an argument; only the shell reads a clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Anything that tells the time, in UTC."""

    def now(self) -> datetime: ...


class ManualClock:
    """A clock that moves when it is told to: tests and simulations step it by hand."""

    def __init__(self, start: datetime) -> None:
        self._now = start

    def now(self) -> datetime:
        return self._now

    def advance(self, **parts: int) -> None:
        """Move on: `advance(seconds=3)`, `advance(hours=1)`."""
        self._now += timedelta(**parts)


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z, as every timestamp of the API."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    # Spelled here: isoformat and strftime take several times as long, on every answer.
    return (
        f"{moment.year:04d}-{moment.month:02d}-{moment.day:02d}"
        f"T{moment.hour:02d}:{moment.minute:02d}:{moment.second:02d}"
        f".{moment.microsecond // 1000:03d}Z"
    )
