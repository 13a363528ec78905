"""Two rails for every operator of the test environment, the first one first, stepped by hand."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from kpay.app import House
from kpay.connectors.capabilities import Callback, Heard, Judged
from kpay.connectors.model import Instruction, Refused
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from tests.rails import Said, ScriptedRail

DOWN = Refused("PROVIDER_TEMPORARILY_UNAVAILABLE", {"by": "the rail"}, own_trouble=True)
WRONG_NUMBER = Refused("RECIPIENT_NOT_FOUND")


class CallingRail(ScriptedRail):
    """One that calls back as well: what it sends is the reference."""

    async def judge(self, callback: Callback) -> Judged:
        return Heard(UUID(callback.body.decode()))


@dataclass
class TwoRails:
    """`first` stands in for the sandbox as well, so that it has what was begun before."""

    house: House
    clock: ManualClock
    first: CallingRail
    second: CallingRail

    @classmethod
    def serve(
        cls,
        house: House,
        clock: ManualClock,
        first: list[Said],
        second: list[Said] | None = None,
        environment: Environment = Environment.TEST,
    ) -> TwoRails:
        """What each says, in that order; then they pay."""
        made = cls(house, clock, CallingRail(*first), CallingRail(*(second or [])))
        made.first.name, made.second.name = "first", "second"
        connectors = {"sandbox": made.first, "first": made.first, "second": made.second}
        house.routing.serve(environment, connectors, {"*": ("first", "second")})
        return made

    async def works(self, **later: int) -> None:
        """Let time pass, then have everything done that is due."""
        self.clock.advance(**later)
        await self.house.worker.run_until_idle()

    async def calls_back(self, rail: CallingRail, reference: UUID) -> None:
        """A callback of a rail about a reference."""
        now = self.clock.now()
        body = str(reference).encode()
        callback = Callback("POST", "https://pay.example.com/callbacks/test", {}, body, now)
        await self.house.callbacks.take(Environment.TEST, rail.name, rail, callback)


def told(rail: ScriptedRail) -> list[Instruction]:
    """What a rail was handed, in that order."""
    return [instruction for verb, instruction in rail.asked if verb == "submit"]
