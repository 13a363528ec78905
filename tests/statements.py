"""A rail that keeps an account of what it moved, and tells it day by day as a real one does."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime, timedelta

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import Balance
from kpay.connectors.model import Instruction, Outcome, Paid
from kpay.connectors.statements import Line, RailWallet
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.core.money import Money
from tests.rails import Said, ScriptedRail

CMR = RailWallet("CMR", "XAF")


class AccountingRail(ScriptedRail):
    """Pays what it is told to and writes it down, unless a test has it do otherwise.

    `lag` is by how much its own moments are before ours; `silences` say what is raised each time
    that it is asked for balances, an order or a statement, None where it answers.
    """

    def __init__(self, clock: Clock, *script: Said, opening: int = 0) -> None:
        super().__init__(*script, otherwise=self._pay)
        self.clock = clock
        self.lag = timedelta(0)
        self.lines: list[Line] = []
        self.opening = opening
        self.silences: deque[Exception | None] = deque()
        self.fails_after: int | None = None
        self.ordered: list[date] = []
        self.wallets: Sequence[RailWallet] = (CMR,)

    def serve(self, house: House, environment: Environment = Environment.TEST) -> AccountingRail:
        """Take the place of every connector, under one name: it has one account."""
        house.routing.serve(environment, {self.name: self}, {"*": self.name})
        return self

    async def _pay(self, instruction: Instruction) -> Outcome:
        self.write(instruction)
        return Paid()

    def write(self, instruction: Instruction, *, minor: int | None = None) -> None:
        """A line for what it has moved."""
        moved = instruction.amount.minor if minor is None else minor
        sign = 1 if instruction.type is OperationType.DEPOSIT else -1
        self.add(
            instruction.type,
            Money(sign * moved, instruction.amount.currency),
            operation=instruction.type,
            instruction=instruction,
        )

    def add(
        self,
        word: str,
        amount: Money,
        *,
        operation: OperationType | None = None,
        instruction: Instruction | None = None,
        at: datetime | None = None,
    ) -> None:
        held = self.lines[-1].balance if self.lines else Money(self.opening, amount.currency)
        assert held is not None
        self.lines.append(
            Line(
                at=at or self.clock.now() - self.lag,
                word=word,
                amount=amount,
                operation=operation,
                reference=None if instruction is None else instruction.reference,
                balance=held + amount,
                raw={"word": word},
            )
        )

    @property
    def held(self) -> int:
        return self.opening + sum(line.amount.minor for line in self.lines)

    async def balances(self) -> Sequence[Balance]:
        self._maybe_silent()
        return [Balance(one.country, Money(self.held, one.currency)) for one in self.wallets]

    async def order_statement(self, wallet: RailWallet, day: date) -> str:
        self._maybe_silent()
        self.ordered.append(day)
        return f"{wallet.country}-{day}"

    async def read_statement(
        self, wallet: RailWallet, day: date, ticket: str
    ) -> AsyncIterator[Line]:
        assert ticket == f"{wallet.country}-{day}"
        self._maybe_silent()
        lines = [line for line in self.lines if line.at.date() == day]
        for number, line in enumerate(lines):
            if number == self.fails_after:
                self.fails_after = None
                raise ConnectionResetError("by peer")
            yield line

    def _maybe_silent(self) -> None:
        silence = self.silences.popleft() if self.silences else None
        if silence is not None:
            raise silence
