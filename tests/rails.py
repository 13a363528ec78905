"""A rail whose answers a test decides, put in the place of the sandbox's."""

from __future__ import annotations

from collections import deque
from collections.abc import Awaitable, Callable
from typing import TypeAlias

from kpay.app import House
from kpay.connectors.model import Instruction, Outcome, Paid
from kpay.core.book import Environment

Said: TypeAlias = Outcome | Exception | Callable[[Instruction], Awaitable[Outcome]]


class ScriptedRail:
    """Says what it was told to, in that order, then `otherwise`; keeps what it was asked."""

    name = "scripted"

    def __init__(self, *script: Said, otherwise: Said | None = None) -> None:
        self.script = deque(script)
        self.otherwise: Said = Paid() if otherwise is None else otherwise
        self.asked: list[tuple[str, Instruction]] = []

    @property
    def verbs(self) -> list[str]:
        return [verb for verb, _ in self.asked]

    async def submit(self, instruction: Instruction) -> Outcome:
        return await self._say("submit", instruction)

    async def check(self, instruction: Instruction) -> Outcome:
        return await self._say("check", instruction)

    async def _say(self, verb: str, instruction: Instruction) -> Outcome:
        self.asked.append((verb, instruction))
        said = self.script.popleft() if self.script else self.otherwise
        if isinstance(said, Exception):
            raise said
        return said if isinstance(said, Outcome) else await said(instruction)

    def serve(self, house: House, environment: Environment = Environment.TEST) -> ScriptedRail:
        """Take the place of the connector of an environment."""
        # What the sandbox has is asked of this one from now on.
        house.routing.serve(environment, {"sandbox": self, self.name: self}, {"*": self.name})
        return self
