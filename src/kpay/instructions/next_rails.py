"""Where an operation goes on that a rail has refused for a reason of its own.

`onward.py` says whether it may; here is where to, which the routing knows.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from kpay.catalogue.model import Catalogue
from kpay.connectors.model import Outcome
from kpay.connectors.routing import Routing
from kpay.core.ids import Ids
from kpay.database.pool import Database
from kpay.instructions import store
from kpay.instructions.model import Claim, Onward
from kpay.instructions.onward import is_rails_own, may_go_on, tried

log = structlog.get_logger(__name__)


class NextRails:
    """Finds the next rail for what one has refused."""

    def __init__(self, database: Database, catalogue: Catalogue, routing: Routing) -> None:
        self._database = database
        self._catalogue = catalogue
        self._routing = routing

    async def after(self, claim: Claim, outcome: Outcome, now: datetime, ids: Ids) -> Onward | None:
        """Where it goes on, under which reference; None where it does not."""
        if not is_rails_own(outcome):
            return None
        told = await store.told_so_far(self._database, claim.book, claim.id)
        if not may_go_on(claim, outcome, told, now):
            return None
        instruction = claim.instruction
        rail = self._routing.next_rail(
            claim.book.environment,
            self._catalogue.providers[instruction.provider],
            claim.type,
            instruction.amount,
            tried(claim, told),
        )
        if rail is None:
            return None
        onward = Onward(rail.name, ids.reference())
        log.warning(
            "goes_on_at_next_rail",
            instruction=str(claim.id),
            why=outcome.code,
            connector=claim.connector,
            reference=str(instruction.reference),
            next_connector=onward.connector,
            next_reference=str(onward.reference),
        )
        return onward
