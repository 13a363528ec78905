"""What became of what a rail has refused, after it went on at another rail.

The rail before is asked about it once more a while later, and whenever it calls back about it. One
that has paid it all the same is a contradiction, held for an operator: it never changes how the
operation stands, which is another rail's by then.
"""

from __future__ import annotations

from datetime import datetime

from kpay.connectors.model import Accepted, Outcome
from kpay.connectors.routing import Routing
from kpay.contradictions.flow import alarm
from kpay.core.clock import Clock
from kpay.database.pool import Database
from kpay.instructions import store
from kpay.instructions.alarms import rail_alarm
from kpay.instructions.model import CLAIM, Claim
from kpay.instructions.onward import again_at, said_of_earlier
from kpay.instructions.rails import Rails


class EarlierRails:
    """Asks rails about what they have refused, after it went on elsewhere."""

    def __init__(self, database: Database, routing: Routing, rails: Rails, clock: Clock) -> None:
        self._database = database
        self._routing = routing
        self._rails = rails
        self._clock = clock

    async def work(self, limit: int) -> int:
        """Ask about up to `limit` that are due. Returns how many were asked about."""
        done = 0
        while done < limit and await self._ask_one():
            done += 1
        return done

    async def _ask_one(self) -> bool:
        rails = [(environment, name) for environment, name, _ in self._routing.all()]
        if len(rails) == len({environment for environment, _ in rails}):
            # Only one: nothing was ever another's, or the other one is out of service.
            return False
        now = self._clock.now()
        until = now + CLAIM
        earlier = await store.claim_earlier(self._database, rails, now, until)
        if earlier is None:
            return False
        outcome = await self._rails.ask(earlier.claim)
        now = self._clock.now()
        await self._keep(earlier.claim, outcome, now)
        await store.settle_earlier(
            self._database, earlier, until, again_at(outcome, earlier.went_on_at, now)
        )
        return True

    async def _keep(self, claim: Claim, outcome: Outcome, now: datetime) -> None:
        """Keep what it says with its attempt, and say loudly what speaks against its refusal."""
        reference = claim.instruction.reference
        step = said_of_earlier(claim, outcome, now)
        found = await store.record_late_answer(self._database, step)
        if found is not None:
            alarm(claim.book, claim.id, found.what, connector=found.connector, reference=reference)
        elif isinstance(outcome, Accepted):
            why = "it refused this, and has it under way all the same"
            rail_alarm(claim.connector or "", why, reference)
