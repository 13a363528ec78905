"""Our books against the rails': the floats, the breaks, the days that are not finished."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kpay.database.pool import Database
from kpay.reconciliation.breaks import Break, Breaks
from kpay.reconciliation.floats import Float, Unfinished, floats, unfinished


class Report(msgspec.Struct, frozen=True):
    """As of the last day of which there is a statement. `breaks` has those that are closed too."""

    floats: Sequence[Float]
    breaks: Sequence[Break]
    unfinished: Sequence[Unfinished]

    @property
    def open(self) -> list[Break]:
        """The breaks that somebody has to look into."""
        return [one for one in self.breaks if one.is_open]

    @property
    def is_sound(self) -> bool:
        """Whether there is nothing to look into."""
        explained = all(one.unexplained.minor == 0 for one in self.floats)
        return explained and not self.unfinished and not self.open


async def read_report(database: Database, breaks: Breaks) -> Report:
    return Report(
        await floats(database), await breaks.list(open_only=False), await unfinished(database)
    )
