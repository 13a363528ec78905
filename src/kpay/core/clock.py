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


# Spelled from tables: isoformat and strftime take several times as long, on every answer.
_TWO_DIGITS = tuple(f"{number:02d}" for number in range(60))
_MILLISECONDS = tuple(f".{number:03d}Z" for number in range(1_000))


def iso(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds and Z, as every timestamp of the API."""
    if moment.tzinfo is not UTC:
        moment = moment.astimezone(UTC)
    two = _TWO_DIGITS
    return (
        f"{moment.year:04d}-{two[moment.month]}-{two[moment.day]}"
        f"T{two[moment.hour]}:{two[moment.minute]}:{two[moment.second]}"
        f"{_MILLISECONDS[moment.microsecond // 1000]}"
    )
