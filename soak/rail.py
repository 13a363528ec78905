"""`python -m soak.rail`: a merchant pays out by a rail that misbehaves in every way it knows.

The merchant is a script that keeps the one rule: nothing has failed but what was REJECTED, FAILED,
or NOT_FOUND when it is fifteen minutes old; all else is unknown, and asked for again under the same
id. At the end its journal and the rail's own books are compared, payout by payout. Time is stepped.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sys
import time
import uuid
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import Any

import aiohttp
import psutil  # type: ignore[import-untyped]
from aiohttp import web
from rich.console import Console

from kpay.catalogue.model import OperationType
from kpay.core.clock import ManualClock
from kpay.rail_simulator.books import Status
from kpay.rail_simulator.scenario import read_scenario
from kpay.rail_simulator.server import Options, Simulator, serving

WORST = """
seed = {seed}

[account.balances]
"CMR/XAF" = 1000000000

[usual]
ends_after = [0, 90]
answer = {{ prompt = 30, slow = 10, timeout_before = 10, timeout_after = 10, error_before = 10, \
error_after = 10, gateway_error = 10, nonsense = 10 }}
outcome = {{ completed = 70, RECIPIENT_NOT_FOUND = 15, UNKNOWN_ERROR = 5, rejected = 10 }}
path = {{ direct = 80, reconciled = 20 }}
callback = {{ once = 20, first = 10, twice = 10, late = 10, out_of_order = 10, \
contradictory = 15, contradictory_first = 15, never = 10 }}
signature = {{ good = 80, tampered = 10, missing = 10 }}
status = {{ honest = 40, stale = 20, missing = 20, error = 20 }}
bulk = {{ whole = 20, cut = 20, short = 20, partial = 20, left_out = 10, reversed = 10 }}

[[operators]]
provider = "MTN_MOMO_CMR"
status = "DELAYED"
after = 600
[[operators]]
provider = "MTN_MOMO_CMR"
status = "OPERATIONAL"
after = 1200
[[operators]]
provider = "ORANGE_CMR"
status = "CLOSED"
after = 900
[[operators]]
provider = "ORANGE_CMR"
status = "OPERATIONAL"
after = 1500
"""

out = Console(highlight=False)

START = datetime(2026, 6, 23, 10, tzinfo=UTC)
CERTAIN_AFTER = timedelta(minutes=15)
TOKEN = "soak"
_AT_ONCE = 200
_NUMBERS = {"MTN_MOMO_CMR": "2376534{:05d}", "ORANGE_CMR": "2376934{:05d}"}


class BrokenError(Exception):
    """The merchant's journal and the rail's books do not say the same."""


@dataclass
class Payout:
    """What the merchant has on record before it sends anything."""

    number: int
    body: dict[str, Any]
    sent_at: datetime = START
    end: str | None = None

    @property
    def id(self) -> str:
        return str(self.body["payoutId"])


class Merchant:
    """Sends each payout until it knows how it ended."""

    def __init__(
        self, session: aiohttp.ClientSession, url: str, simulator: Simulator, chance: random.Random
    ) -> None:
        self.calls: Counter[str] = Counter()
        self._session = session
        self._url = url
        self._simulator = simulator
        self._chance = chance

    async def see_through(self, payouts: Sequence[Payout]) -> None:
        """Several are sent in bulk; afterwards each is on its own."""
        now = self._simulator.clock.now()
        for payout in payouts:
            payout.sent_at = now
        if len(payouts) > 1:
            said = await self._call("POST", "/v2/payouts/bulk", [one.body for one in payouts])
            answers = {one.get("payoutId"): one for one in said or [] if isinstance(said, list)}
        else:
            answers = {payouts[0].id: await self._send(payouts[0])}
        await asyncio.gather(*(self._end(one, answers.get(one.id)) for one in payouts))

    async def _send(self, payout: Payout) -> Any:
        """Now and then twice at once: two processes of ours took it up."""
        sent = [self._call("POST", "/v2/payouts", payout.body)]
        if self._chance.random() < 0.1:
            sent.append(self._call("POST", "/v2/payouts", payout.body))
        said = await asyncio.gather(*sent)
        # One may be refused and the other accepted: only if all were is it refused.
        refused = [one for one in said if one is not None and one.get("status") == "REJECTED"]
        return refused[0] if len(refused) == len(said) else None

    async def _end(self, payout: Payout, answer: Any) -> None:
        if answer is not None and answer.get("status") == "REJECTED":
            payout.end = "REJECTED"
            return
        while payout.end is None:
            await self._simulator.agenda.until(self._chance.randint(20, 90))
            said = await self._call("GET", f"/v2/payouts/{payout.id}")
            if said is None or "status" not in said:
                continue
            if said["status"] == "FOUND":
                status = said["data"]["status"]
                payout.end = status if status in ("COMPLETED", "FAILED") else None
            elif self._simulator.clock.now() - payout.sent_at >= CERTAIN_AFTER:
                payout.end = "NOT_FOUND"
            elif self._chance.random() < 0.3:
                # Not there, it says, but that is not certain yet: the same id again is safe.
                payout.sent_at = self._simulator.clock.now()
                again = await self._send(payout)
                if again is not None:
                    payout.end = "REJECTED"

    async def _call(self, method: str, path: str, body: Any = None) -> Any:
        """What was said, or None where that cannot be known."""
        headers = {"Authorization": f"Bearer {TOKEN}"}
        try:
            async with self._session.request(
                method, f"{self._url}{path}", json=body, headers=headers
            ) as answer:
                said = await answer.json() if answer.status == 200 else None
                self.calls[str(answer.status)] += 1
                return said
        except (aiohttp.ClientError, ValueError):
            self.calls["none"] += 1
            return None


def made(count: int, chance: random.Random) -> list[Payout]:
    """Payouts of many amounts to many numbers, each with a reference of its own."""
    payouts = []
    for number in range(count):
        provider = chance.choice(list(_NUMBERS))
        body = {
            "payoutId": str(uuid.UUID(int=chance.getrandbits(128), version=4)),
            "amount": str(chance.randint(100, 20_000)),
            "currency": "XAF",
            "clientReferenceId": f"payout-{number}",
            "recipient": {
                "type": "MMO",
                "accountDetails": {
                    "phoneNumber": _NUMBERS[provider].format(chance.randrange(100_000)),
                    "provider": provider,
                },
            },
        }
        payouts.append(Payout(number, body))
    return payouts


def compare(payouts: Sequence[Payout], simulator: Simulator) -> Counter[str]:
    """How they ended. Raises BrokenError where the two sides differ."""
    books = simulator.rail.books
    for problem in books.unsound():
        raise BrokenError(problem)
    paid = Counter(
        line.operation.order.client_reference for line in books.lines if line.operation is not None
    )
    for payout in payouts:
        found = books.find(OperationType.PAYOUT, payout.id)
        truth = None if found is None else found.status
        believed = payout.end == "COMPLETED"
        if paid[payout.body["clientReferenceId"]] > 1:
            raise BrokenError(f"payout {payout.number} was paid more than once")
        if believed is not (truth is Status.COMPLETED):
            raise BrokenError(f"payout {payout.number} is {payout.end} here and {truth} there")
    return Counter(str(payout.end) for payout in payouts)


@dataclass(frozen=True)
class Result:
    """How the payouts ended, what the merchant's requests were answered, what callbacks said."""

    ends: Counter[str]
    calls: Counter[str]
    heard: Counter[str]
    took: timedelta


async def play(count: int, seed: int) -> Result:
    """Raises BrokenError."""
    chance = random.Random(seed)
    clock = ManualClock(START)
    payouts = made(count, chance)
    heard: Counter[str] = Counter()

    async def hear(request: web.Request) -> web.Response:
        heard[(await request.json())["status"]] += 1
        return web.Response(status=200 if chance.random() < 0.9 else 503)

    receiver = web.Application()
    receiver.router.add_post("/hook", hear)
    runner = web.AppRunner(receiver, access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    hook = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    scenario = read_scenario(WORST.format(seed=seed))
    simulator = Simulator(Options(token=TOKEN, scenario=scenario, callback_url=hook), clock)
    connector = aiohttp.TCPConnector(limit=0)
    async with (
        serving(simulator, "127.0.0.1", 0) as url,
        aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout()) as session,
    ):
        merchant = Merchant(session, url, simulator, chance)
        await _see_all_through(merchant, payouts, simulator, clock, chance)
        # Whatever is late or sent again has its time.
        await simulator.agenda.advance(clock, 3_600)
        ends = compare(payouts, simulator)
    await runner.cleanup()
    return Result(ends, merchant.calls, heard, clock.now() - START)


async def _see_all_through(
    merchant: Merchant,
    payouts: Sequence[Payout],
    simulator: Simulator,
    clock: ManualClock,
    chance: random.Random,
) -> None:
    """Some at a time, some of them in bulk, while time goes on."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(group: Sequence[Payout]) -> None:
        async with places:
            await merchant.see_through(group)

    tasks, left = [], list(payouts)
    while left:
        size = chance.choice([1, 1, 1, 5, 20])
        tasks.append(asyncio.create_task(one(left[:size])))
        left = left[size:]
    everything = asyncio.gather(*tasks)
    while not everything.done():
        await simulator.agenda.advance(clock, 1)
        # What is on its way over the wire arrives before time goes on.
        await asyncio.sleep(0.002)
    await everything


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m soak.rail", description=__doc__)
    parser.add_argument("--payouts", type=int, default=20_000)
    parser.add_argument("--seed", type=int, default=7)
    options = parser.parse_args()
    begun, memory = time.monotonic(), psutil.Process().memory_info().rss
    say = partial(out.print, markup=False, soft_wrap=True)
    try:
        result = asyncio.run(play(options.payouts, options.seed))
    except BrokenError as problem:
        say(f"Broken, with --seed {options.seed}: {problem}")
        sys.exit(1)
    grown, count = psutil.Process().memory_info().rss - memory, options.payouts
    say(f"seed {options.seed}: {count} payouts in {time.monotonic() - begun:.0f} s")
    say(f"{result.took} of the rail's time; memory grew by {grown / 1e6:.0f} MB")
    say(f"ended {dict(result.ends)}: none paid twice, both sides agree")
    say(f"calls {dict(result.calls)}; callbacks {dict(result.heard)}")


if __name__ == "__main__":
    main()
