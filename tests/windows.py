"""The rule of quotas as a plain program: what `lease_quotas` does to a row, without a database."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kpay.access.quota import MOST_AHEAD, WINDOW, Lease, Name, Wanted


@dataclass
class Window:
    ends: datetime
    taken: int = 0


@dataclass
class Windows:
    """Each quota's present window, and those that are over."""

    present: dict[Name, Window] = field(default_factory=dict)
    begun: list[Window] = field(default_factory=list)
    leases: int = 0

    def lease(self, wanted: Sequence[Wanted], now: datetime) -> Mapping[Name, Lease]:
        """A window lasts a minute; within it no more is given than its quota has."""
        self.leases += 1
        return {one.name: self._lease(one, now) for one in wanted}

    def _lease(self, wanted: Wanted, now: datetime) -> Lease:
        window = self.present.get(wanted.name)
        if window is None or not now < window.ends <= now + MOST_AHEAD:
            window = self.present[wanted.name] = Window(now + WINDOW)
            self.begun.append(window)
        granted = max(0, min(wanted.asked, wanted.limit - window.taken))
        window.taken += granted
        return Lease(window.ends, granted, max(0, wanted.limit - window.taken))
