"""The story of a soak: merchants with money, rounds of load and kill, and the end of it all."""

from __future__ import annotations

import asyncio
import itertools
import json
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.system.program import key_headers

from soak import reading
from soak.client import Client, Merchant
from soak.journal import Defect, Journal, Record
from soak.load import Load
from soak.operations import Kind, Wanted, draw, funds
from soak.processes import Kill, Processes, Shape

_MERCHANTS = 8
_ANSWERS_BEFORE = 600
_ACKNOWLEDGED_AFTER = 100
# Bounds, not expectations. A program that was killed is back within seconds.
_BACK_SECONDS = 90
_LOADED_SECONDS = 120
_ENDED_SECONDS = 240


@dataclass
class Result:
    """What a soak came to."""

    seed: str
    kills: Counter[str] = field(default_factory=Counter)
    acknowledged: int = 0
    named: int = 0
    tries_without_answer: int = 0
    tries_unavailable: int = 0
    found_whole: int = 0
    found_absent: int = 0
    cancelled: int = 0
    refunded: int = 0
    keyed: int = 0
    repeated: int = 0
    accounts: int = 0
    # The longest that each kind of kill kept the program from work, in seconds.
    longest: dict[str, float] = field(default_factory=dict)

    def note(self, kill: Kill, seconds: float) -> None:
        """A kill was survived, and so long afterwards the program was at work again."""
        victim = kill.victim.value
        self.kills[victim] += 1
        self.longest[victim] = max(seconds, self.longest.get(victim, 0.0))

    def __str__(self) -> str:
        killed = ", ".join(
            f"{count} × {victim} (back within {self.longest[victim]:.1f} s)"
            for victim, count in self.kills.most_common()
        )
        return (
            f"{self.kills.total()} kills survived: {killed}.\n"
            f"{self.acknowledged:,} operations acknowledged, {self.named:,} more named by a 409, "
            f"each on record once and as it was answered: {self.refunded:,} refunds among them, "
            f"and {self.keyed:,} with a key, {self.repeated:,} of which were sent again and "
            f"answered the same; {self.cancelled:,} cancellations acknowledged, each kept.\n"
            f"{self.tries_without_answer:,} tries had no answer and {self.tries_unavailable:,} "
            f"were told 503; of those left at that, {self.found_whole:,} were on record whole and "
            f"{self.found_absent:,} not at all.\n"
            f"Everything ended by itself, and all {self.accounts:,} balances are what the "
            f"operations come to."
        )


async def play(
    home: Path, seed: str, rounds: int, say: Callable[[str], None] = lambda _: None
) -> Result:
    """So many rounds on a new home. Raises Defect at the first promise that is broken."""
    result = Result(seed)
    with Processes(home) as processes:
        async with Client(processes.url, _new_merchants(processes)) as client:
            soak = _Soak(processes, client, result, say)
            await soak.fund()
            for number in range(rounds):
                await soak.round(Kill.draw(seed, number, _ANSWERS_BEFORE))
            await soak.end(home)
    return result


def _new_merchants(processes: Processes) -> list[Merchant]:
    made = [
        processes.program.json("app", "create", "--company", "Soak", "--name", f"shop {number}")
        for number in range(_MERCHANTS)
    ]
    return [Merchant(one["application"]["id"], key_headers(one["test"])) for one in made]


class _Soak:
    """One soak under way."""

    def __init__(
        self, processes: Processes, client: Client, result: Result, say: Callable[[str], None]
    ) -> None:
        self._processes = processes
        self._client = client
        self._result = result
        self._say = say
        self._journal = Journal()
        self._to_refund: deque[Record] = deque()
        self._operations = (draw(result.seed, number, _MERCHANTS) for number in itertools.count())

    async def fund(self) -> None:
        """Give every merchant money, through the API."""
        await asyncio.to_thread(self._processes.start, Shape.WHOLE)
        load = self._load(iter(()))
        await asyncio.gather(*(load.settle(self._journal.open(each)) for each in funds(_MERCHANTS)))
        await reading.wait_until_all_ended(self._client, _ENDED_SECONDS)
        await self._stop()

    async def round(self, kill: Kill) -> None:
        """Load, a kill, back to work; then the books are compared."""
        await asyncio.to_thread(self._processes.start, kill.shape)
        await self._client.renew_tokens()
        load = self._load(self._operations)
        with _loading(load):
            await load.act_after(kill.answers, lambda: self._processes.kill(kill), _LOADED_SECONDS)
            killed = time.monotonic()
            again = asyncio.create_task(asyncio.to_thread(self._processes.start_again, kill))
            try:
                await load.acknowledged(_ACKNOWLEDGED_AFTER, _BACK_SECONDS)
                back = time.monotonic() - killed
            finally:
                # Whatever is found, what was started is known by then and can be stopped.
                await again
            await load.stop(_BACK_SECONDS)
        there, absent = await reading.settle_undecided(self._client, self._journal, load)
        still_open = await reading.compare(self._client, self._journal)
        await self._verify()
        await self._stop()
        result = self._result
        result.note(kill, back)
        result.found_whole += there
        result.found_absent += absent
        self._say(
            f"{kill.shape.value}: {kill.victim.value} killed after {kill.answers} answers, "
            f"{_ACKNOWLEDGED_AFTER} more acknowledged after {back:.1f} s; "
            f"{self._journal.acknowledged:,} acknowledged in all; without an answer {there} whole "
            f"and {absent} absent; {still_open} still under way"
        )

    async def end(self, home: Path) -> None:
        """Everything ends with no hand, and the balances are what the operations come to."""
        await asyncio.to_thread(self._processes.start, Shape.APART)
        await self._client.renew_tokens()
        self._say("waiting until everything has ended by itself")
        await reading.wait_until_all_ended(self._client, _ENDED_SECONDS)
        await reading.compare(self._client, self._journal)
        self._result.accounts = await reading.compare_balances(self._client, self._journal, home)
        await self._verify()
        await self._stop()
        self._count()

    def _load(self, operations: Iterator[Wanted]) -> Load:
        return Load(self._client, self._journal, operations, self._to_refund)

    async def _verify(self) -> None:
        done = await asyncio.to_thread(self._processes.program.run, "verify", "--json")
        if done.returncode != 0 or json.loads(done.stdout)["broken"]:
            raise Defect(f"kpay verify: {done.stdout}{done.stderr}")

    async def _stop(self) -> None:
        codes = await asyncio.to_thread(self._processes.stop)
        # Those that were killed are not among them: each was replaced, or came back.
        if any(codes):
            raise Defect(f"told to end, the program ended with {codes}")

    def _count(self) -> None:
        result = self._result
        result.acknowledged = self._journal.acknowledged
        result.named = sum(
            record.id is not None and record.acknowledged is None for record in self._journal
        )
        result.cancelled = sum(record.must_be_cancelled for record in self._journal)
        acknowledged = [each for each in self._journal if each.acknowledged is not None]
        result.refunded = sum(each.wanted.kind is Kind.REFUND for each in acknowledged)
        result.keyed = sum(each.wanted.is_keyed for each in acknowledged)
        result.repeated = sum(each.repeats for each in acknowledged)
        tries = Counter(answer.status for record in self._journal for answer in record.answers)
        result.tries_without_answer, result.tries_unavailable = tries[0], tries[503]


@contextmanager
def _loading(load: Load) -> Iterator[None]:
    load.start()
    try:
        yield
    finally:
        load.cancel()
