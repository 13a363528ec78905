"""The time of a simulation: how it truly passes, and what the program's clock says of it."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from simulator.loop import MICROSECONDS, VirtualLoop

ONE_MINUTE = 60 * MICROSECONDS
START = datetime(2026, 6, 23, 10, 0, 0, tzinfo=UTC)
NEVER = -1_000_000 * ONE_MINUTE


class Time:
    """True time in microseconds, and the clock, which is set forward and back meanwhile."""

    def __init__(self, loop: VirtualLoop) -> None:
        self._loop = loop
        self._off = 0
        self.set_back_at = NEVER
        """When the clock was last set back."""

    @property
    def true(self) -> int:
        return self._loop.microseconds

    @property
    def off(self) -> int:
        """How far the clock is ahead of the truth, in microseconds."""
        return self._off

    def now(self) -> datetime:
        """What the clock says: the `Clock` of every process."""
        return START + timedelta(microseconds=self.true + self._off)

    def set_clock(self, off: int) -> None:
        if off < self._off:
            self.set_back_at = self.true
        self._off = off
