"""What waits for its operator for longer than was agreed: it ends, or its rail is asked to end it.

What no rail was told of by its deadline has failed, and all of its hold is given back. What a rail
has is as it always is: nothing fails before the rail says so. The rail is asked to cancel it, as a
merchant would ask; what it is paying already it pays, and a rail that can cancel nothing keeps what
it has, which its evidence says.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Any

import structlog

from kpay.instructions import store
from kpay.instructions.flow import Means, Outgoing
from kpay.instructions.model import Overdue, overdue
from kpay.ledger.model import Order

# How soon, and how late, a rail is asked once more to cancel what it still has.
_AGAIN_AFTER = timedelta(minutes=1)
_AGAIN_AT_LATEST = timedelta(minutes=15)

log = structlog.get_logger(__name__)


class Deadlines:
    """Sees to the deadlines of one noun."""

    def __init__(self, verbs: Outgoing[Any], means: Means) -> None:
        self._verbs = verbs
        self._means = means

    async def work(self, limit: int) -> int:
        """See to up to `limit` whose deadline has passed. Returns how many.

        Each is seen to again until it has ended, ever more seldom, unless its rail can cancel
        nothing: so nothing is lost with a process that dies over it.
        """
        now = self._means.clock.now()
        late = await store.overdue(
            self._means.database,
            self._verbs.type,
            now,
            limit,
            shortest=_AGAIN_AFTER,
            longest=_AGAIN_AT_LATEST,
        )
        seen = (self._see_to(one, now) for one in late)
        for came in await asyncio.gather(*seen, return_exceptions=True):
            if isinstance(came, Exception):
                # The database may be away; whatever it was, it is seen to again.
                log.warning("deadline_not_seen_to", type=self._verbs.type, exc_info=came)
        return len(late)

    async def _see_to(self, late: Overdue, now: datetime) -> None:
        if late.at_rail:
            ask = self._means.rails.cancellations.ask_overdue
            await ask(late.book, late.id, self._verbs.type)
            self._means.something_due()
        else:
            await self._end(late, now)

    async def _end(self, late: Overdue, now: datetime) -> None:
        """What no rail was told of. Where a worker has just taken it after all, nothing changes."""
        found = await self._verbs.get(late.book, late.id)
        step = overdue(late, self._verbs.type, now)
        entry = self._verbs.released(found.agreed)
        order = Order(late.book, entry, step, claim=("step", late.id))
        await self._means.poster.post(order, self._means.rails.steps)
