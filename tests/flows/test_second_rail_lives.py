"""Payouts at two rails that lose, delay and refuse whatever they can, by a seeded chance.

Both rails are honest: each pays what reaches it once under a reference, and says no more than is
true; but it forgets what it refused at the door, and what is on its way may arrive long after.
Whatever happens, nobody is paid twice. A rule that is too bold is planted: the database stops it,
and where that does not hold either, a payout that was paid twice is found.
"""

from __future__ import annotations

from collections import Counter
from random import Random
from uuid import UUID

import asyncpg
import pytest
from structlog.testing import capture_logs

from kpay.app import House
from kpay.connectors.model import Accepted, Instruction, NotFound, Outcome, Paid, Refused, Unknown
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.instructions import next_rails
from kpay.verify import verify
from tests.client import Answer, Merchant
from tests.soundness import assert_sound
from tests.two_rails import CallingRail

PAYOUTS, ROUNDS = 12, 50
DOWN = Refused("DOWN", own_trouble=True)
# What is on its way arrives within this time, or never.
LATEST_SECONDS = 12 * 60


class HonestRail(CallingRail):
    """Takes what it is handed, late or not at all, and pays or fails what it has taken."""

    def __init__(self, name: str, chance: Random) -> None:
        super().__init__()
        self.name = name
        self.chance = chance
        self.refuses = 0.0
        self.taken: dict[UUID, str] = {}
        self.under_way: list[tuple[float, UUID]] = []

    async def submit(self, instruction: Instruction) -> Outcome:
        match self.chance.choice(["prompt", "prompt", "answer lost", "late", "lost"]):
            case "prompt":
                return self._arrives(instruction.reference)
            case "answer lost":
                self._arrives(instruction.reference)
            case "late":
                seconds = self.chance.uniform(1, LATEST_SECONDS)
                self.under_way.append((seconds, instruction.reference))
        return Unknown("timeout")

    async def check(self, instruction: Instruction) -> Outcome:
        if self.chance.random() < 0.2:
            return Unknown("timeout")
        said: dict[str, Outcome] = {"open": Accepted(), "paid": Paid(), "failed": DOWN}
        return said.get(self.taken.get(instruction.reference, ""), NotFound())

    def passes(self, seconds: float) -> None:
        """What is under way arrives, and what is open ends or stays so."""
        waiting, self.under_way = self.under_way, []
        for left, reference in waiting:
            if left <= seconds:
                self._arrives(reference)
            else:
                self.under_way.append((left - seconds, reference))
        for reference, status in self.taken.items():
            if status == "open":
                self.taken[reference] = self.chance.choice(["paid", "failed", "open"])

    def _arrives(self, reference: UUID) -> Outcome:
        if reference not in self.taken and self.chance.random() < self.refuses:
            return DOWN
        self.taken.setdefault(reference, "open")
        return Accepted()


async def lived(
    funded: Merchant, house: House, clock: ManualClock, seed: int
) -> list[tuple[Answer, int]]:
    """Each payout of a life after its end, and how often it was paid."""
    chance = Random(seed)  # noqa: S311
    rails = [HonestRail("first", chance), HonestRail("second", chance)]
    connectors = {rail.name: rail for rail in rails}
    house.routing.serve(Environment.TEST, connectors, {"*": tuple(connectors)})
    made = [await funded.withdraw(amount=1_000 + number) for number in range(PAYOUTS)]
    for _ in range(ROUNDS):
        seconds = chance.choice([2, 20, 70, 300])
        rails[0].refuses = chance.choice([0.2, 0.9])
        for rail in rails:
            rail.passes(seconds)
        clock.advance(seconds=seconds)
        if chance.random() < 0.2:
            # A worker that dies with what it has claimed.
            await house.rails.claim(house.payouts.type, 2)
        await house.worker.run_until_idle()
    # Nothing is lost any more, and everything ends.
    for rail in rails:
        rail.passes(LATEST_SECONDS)
        rail.taken = {
            reference: "paid" if status == "open" else status
            for reference, status in rail.taken.items()
        }
    paid = Counter(
        str(reference)
        for rail in rails
        for reference, status in rail.taken.items()
        if status == "paid"
    )
    ended = [await funded.payout(one) for one in made]
    return [
        (one, sum(paid[reference] for reference in {_told(sent) for sent in one["attempts"]}))
        for one in ended
    ]


def _told(attempt: dict[str, dict[str, str]]) -> str:
    return attempt["sent"]["reference"]


@pytest.mark.parametrize("seed", range(4))
async def test_nobody_is_paid_twice(
    funded: Merchant, house: House, clock: ManualClock, database_url: str, seed: int
) -> None:
    payouts = await lived(funded, house, clock, seed)

    assert all(times <= 1 for _, times in payouts)
    assert all(times == 1 for one, times in payouts if one["status"] == "COMPLETED")
    # Some of them went on.
    assert any(len({_told(sent) for sent in one["attempts"]}) == 2 for one, _ in payouts)
    await assert_sound(database_url)


def bold(monkeypatch: pytest.MonkeyPatch) -> None:
    """Silence and not found are taken for refusals, and every reference for dead."""
    monkeypatch.setattr(
        next_rails, "is_rails_own", lambda outcome: isinstance(outcome, NotFound | Refused)
    )
    monkeypatch.setattr(next_rails, "may_go_on", lambda *_: True)
    monkeypatch.setattr(NotFound, "code", "NOT_FOUND", raising=False)


async def test_a_rule_that_is_too_bold_is_stopped_by_the_database(
    funded: Merchant, house: House, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    bold(monkeypatch)
    with capture_logs() as logs:
        payouts = await lived(funded, house, clock, 1)

    assert all(times <= 1 for _, times in payouts)
    stopped = [line["exc_info"] for line in logs if line["event"] == "attempt_failed"]
    assert stopped
    assert {type(one) for one in stopped} == {asyncpg.IntegrityConstraintViolationError}


async def test_without_the_database_s_guard_such_a_rule_is_found(
    funded: Merchant,
    house: House,
    clock: ManualClock,
    database_url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bold(monkeypatch)
    owner = await asyncpg.connect(database_url)
    await owner.execute("drop trigger instructions_one_reference on instructions")
    await owner.close()
    # One life in four has a copy that is late enough: it ends at the first that has.
    for seed in range(30):
        payouts = await lived(funded, house, clock, seed)
        if any(times == 2 for _, times in payouts):
            break
    else:
        raise AssertionError("no payout was paid twice, as if the rule were not too bold")
    broken = {finding.check.name async for finding in verify(database_url) if finding.broken}
    assert "one_reference_at_a_time" in broken
