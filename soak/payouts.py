"""`make rails`: the program pays out by a rail at its worst, and its workers are killed meanwhile.

The rail is `kpay rail-simulator` in a process of its own, at its worst; the program is the real one
in its real processes, in production, pointed at it by configuration alone. At the end three books
are compared, payout by payout and to the franc: the merchant's, ours and the rail's.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import random
import secrets
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp
from rich.console import Console
from tests.system.program import Program, Server, free_port, key_headers, wait_for

from soak.journal import Defect
from soak.rail_books import Books, compare

# Only payouts are badly treated: with payments the wallets are filled beforehand.
WORST = """
seed = {seed}

[usual]
ends_after = 0

[[rules]]
operation = "PAYOUT"
ends_after = [0, 30]
slow_for = [1, 20]
late_for = 120
stale_for = 40
missing_for = 40
answer = {{ prompt = 30, slow = 10, timeout_before = 10, timeout_after = 10, error_before = 10, \
error_after = 10, gateway_error = 10, nonsense = 10 }}
outcome = {{ completed = 70, RECIPIENT_NOT_FOUND = 15, UNKNOWN_ERROR = 5, rejected = 10 }}
path = {{ direct = 80, reconciled = 20 }}
callback = {{ once = 20, first = 10, twice = 10, late = 10, out_of_order = 10, \
contradictory = 15, contradictory_first = 15, never = 10 }}
signature = {{ good = 80, tampered = 10, missing = 10 }}
status = {{ honest = 40, stale = 20, missing = 20, error = 20 }}
bulk = {{ whole = 40, cut = 12, short = 12, partial = 12, left_out = 12, reversed = 12 }}

[[operators]]
provider = "MTN_MOMO_CMR"
status = "DELAYED"
after = 90
[[operators]]
provider = "MTN_MOMO_CMR"
status = "OPERATIONAL"
after = 210
[[operators]]
provider = "ORANGE_CMR"
status = "CLOSED"
after = 120
[[operators]]
provider = "ORANGE_CMR"
status = "OPERATIONAL"
after = 240
"""
RATES = {
    "base": "EUR",
    "asOf": "2026-01-01T00:00:00Z",
    "rates": {"XAF": 655.957, "XOF": 655.957},
    "pairs": {"XAF/XOF": "1.0153"},
}
# How a country writes its operators' numbers, up to the last five digits.
NUMBERS = {"MTN_MOMO_CMR": "2376534", "ORANGE_CMR": "2376934", "MTN_MOMO_CIV": "22505034"}
TOKEN = "soak"

_AT_ONCE = 32
_FUNDING = 500_000
_MOST_AMOUNT = 5_000
_WORKERS = 2
_READY_SECONDS = 30
_ENDED_SECONDS = 3_600
_LOOK_EVERY_SECONDS = 5
_SENT_AGAIN_SECONDS = 0.5
_CREATED = 201

out = Console(highlight=False)


@dataclass
class Result:
    """What it came to."""

    seed: int
    payouts: int
    kills: int = 0
    seconds: float = 0
    ends: Counter[str] = field(default_factory=Counter)
    books: Books | None = None

    def __str__(self) -> str:
        ends = ", ".join(f"{count:,} {status}" for status, count in self.ends.most_common())
        return (
            f"{self.payouts:,} payouts in {self.seconds:.0f} s, {self.kills} workers killed: "
            f"{ends}; {self.books}"
        )


class Shop:
    """The merchant: its keys, and what it has asked for."""

    def __init__(self, session: aiohttp.ClientSession, keys: Mapping[str, str]) -> None:
        self._session = session
        self._keys = keys

    async def get(self, path: str, **query: str) -> Any:
        async with self._session.get(path, params=query, headers=self._keys) as answer:
            return await answer.json()

    async def rows(self, **narrowed: str) -> list[dict[str, Any]]:
        """All its payouts, page by page."""
        query, rows = {"limit": "100", **narrowed}, []
        while True:
            page = await self.get("/api/v1/payments/withdrawals", **query)
            rows += page["data"]
            if page["nextCursor"] is None:
                return rows
            query["cursor"] = page["nextCursor"]

    async def ask(self, path: str, body: Mapping[str, object]) -> None:
        """Ask until it is on record: with its externalId that is once."""
        while True:
            async with self._session.post(path, json=body, headers=self._keys) as answer:
                said = await answer.json()
            if answer.status == _CREATED or said.get("code") == "external_id_used":
                return
            if said.get("code") not in ("provider_closed", "busy", "database_unavailable"):
                raise Defect(f"{body} was answered {answer.status} {said}")
            await asyncio.sleep(_SENT_AGAIN_SECONDS)


class Workers:
    """The processes that pay. One after another they are killed, and replaced."""

    def __init__(self, program: Program, stack: ExitStack) -> None:
        self._program, self._stack = program, stack
        self._running = [self._started() for _ in range(_WORKERS)]

    def kill_one(self) -> None:
        first, *rest = self._running
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
        self._running = [*rest, self._started()]

    def _started(self) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(self._program.working())


async def play(
    home: Path, seed: int, payouts: int, kills: int, say: Callable[[str], None]
) -> Result:
    """The whole story on a new home. Raises Defect where the books do not agree."""
    result, begun = Result(seed, payouts), time.monotonic()
    with ExitStack() as stack:
        rail = stack.enter_context(_rail(home, seed))
        program, server = stack.enter_context(_program(home, rail.url))
        keys = _live_keys(program)
        async with (
            aiohttp.ClientSession(server.url) as session,
            aiohttp.ClientSession(rail.url, headers={"Authorization": f"Bearer {TOKEN}"}) as wire,
        ):
            shop = Shop(session, keys)
            workers = await asyncio.to_thread(Workers, program, stack)
            await _fund(shop, payouts)
            say(f"the wallet is filled; {payouts:,} payouts are asked for")
            killing = asyncio.create_task(_kill(workers, kills, result, say))
            await _ask(shop, seed, payouts)
            say("all are on record")
            await _wait_for_the_end(shop, wire, say)
            await killing
            rows = await shop.rows()
            result.ends.update(row["status"] for row in rows)
            wallets = await shop.get("/api/v1/payments/balance")
            result.books = await compare(rows, wallets, wire, program.home)
        _verify(program)
    result.seconds = time.monotonic() - begun
    return result


@contextmanager
def _rail(home: Path, seed: int) -> Iterator[Server]:
    """The rail, which knows where the program will hear its callbacks."""
    scenario = home / "worst.toml"
    scenario.write_text(WORST.format(seed=seed))
    port = free_port()
    words = ("--port", str(port), "--scenario", str(scenario), "--token", TOKEN)
    callbacks = ("--callback-url", f"http://127.0.0.1:{_api_port(home)}/callbacks/pawapay")
    with Program(home / "rail", {}).started("rail-simulator", *words, *callbacks) as process:
        rail = Server(process, port)
        wait_for(lambda: _listens(rail), _READY_SECONDS)
        yield rail


def _api_port(home: Path) -> int:
    """One port, chosen once: the rail is told of it before the program is there."""
    kept = home / "port"
    if not kept.exists():
        kept.write_text(str(free_port()))
    return int(kept.read_text())


def _listens(rail: Server) -> bool:
    try:
        status, _ = rail.request("GET", "/v2/active-conf")
    except OSError:
        return False
    return status in (200, 401)


@contextmanager
def _program(home: Path, rail_url: str) -> Iterator[tuple[Program, Server]]:
    rates = home / "rates.json"
    rates.write_text(json.dumps(RATES))
    port = _api_port(home)
    program = Program(
        home / "kpay",
        {
            "KPAY_RAILS": "pawapay",
            "KPAY_PAWAPAY_URL": rail_url,
            "KPAY_PAWAPAY_TOKEN": TOKEN,
            "KPAY_PUBLIC_URL": f"http://127.0.0.1:{port}",
            "KPAY_FX_SOURCES": f"file:{rates}",
            # The file's rates are as old as the file says.
            "KPAY_FX_MAX_AGE": "1000000000",
            "KPAY_LOG_LEVEL": "error",
        },
        home / "program.log",
    )
    with program.serving("api", port=port) as server:
        yield program, server


def _live_keys(program: Program) -> dict[str, str]:
    made = program.json("app", "create", "--company", "Soak", "--name", "Payer")
    approved = program.run("company", "approve", "Soak")
    if approved.returncode != 0:
        raise Defect(approved.stderr)
    return key_headers(program.json("key", "regenerate", made["application"]["id"], "live"))


async def _fund(shop: Shop, payouts: int) -> None:
    """Enough in Cameroon's wallet, by payments through the same rail."""
    needed = payouts * _MOST_AMOUNT // _FUNDING * 21 // 20 + 2
    for number in range(needed):
        await shop.ask(
            "/api/v1/payments/init",
            {
                "amount": _FUNDING,
                "provider": "MTN_MOMO_CMR",
                "phoneNumber": f"{NUMBERS['MTN_MOMO_CMR']}{number:05d}",
                "externalId": f"FUND-{number}",
            },
        )
    end = time.monotonic() + _ENDED_SECONDS
    while (await shop.get("/api/v1/payments", status="COMPLETED", externalId=f"FUND-{needed - 1}"))[
        "data"
    ] == [] or await _open(shop, "/api/v1/payments"):
        if time.monotonic() > end:
            raise Defect("the payments that fill the wallet do not end")
        await asyncio.sleep(_SENT_AGAIN_SECONDS)


async def _ask(shop: Shop, seed: int, payouts: int) -> None:
    chance = random.Random(seed)
    providers = tuple(NUMBERS)
    bodies = iter(
        [
            {
                "amount": chance.randint(500, _MOST_AMOUNT),
                "provider": (provider := providers[number % len(providers)]),
                "phoneNumber": f"{NUMBERS[provider]}{number % 100_000:05d}",
                "sourceCountry": "CMR",
                "externalId": f"PAY-{number}",
            }
            for number in range(payouts)
        ]
    )

    async def one_after_the_other() -> None:
        for body in bodies:
            await shop.ask("/api/v1/payments/withdraw", body)

    await asyncio.gather(*(one_after_the_other() for _ in range(_AT_ONCE)))


async def _kill(workers: Workers, kills: int, result: Result, say: Callable[[str], None]) -> None:
    chance = random.Random(result.seed)
    for _ in range(kills):
        await asyncio.sleep(chance.uniform(5, 20))
        await asyncio.to_thread(workers.kill_one)
        result.kills += 1
        say(f"worker killed and replaced ({result.kills} of {kills})")


async def _wait_for_the_end(
    shop: Shop, wire: aiohttp.ClientSession, say: Callable[[str], None]
) -> None:
    end = time.monotonic() + _ENDED_SECONDS
    while await _open(shop, "/api/v1/payments/withdrawals"):
        if time.monotonic() > end:
            raise Defect("there are payouts that do not end")
        await asyncio.sleep(_LOOK_EVERY_SECONDS)
        async with wire.get("/simulator/books") as answer:
            say(f"at the rail: {(await answer.json())['operations'].get('PAYOUT', {})}")


async def _open(shop: Shop, path: str) -> bool:
    for status in ("PROCESSING", "PENDING"):
        if (await shop.get(path, status=status, limit="1"))["data"]:
            return True
    return False


def _verify(program: Program) -> None:
    """The program finds nothing wrong itself, and nothing that waits for a person."""
    for words in (("verify", "--json"), ("contradiction", "list", "--json")):
        done = program.run(*words)
        if done.returncode != 0:
            raise Defect(f"kpay {' '.join(words)}: {done.stdout}{done.stderr}")


def main() -> None:
    parser = argparse.ArgumentParser(prog="make rails", description=__doc__)
    parser.add_argument("--payouts", type=int, default=20_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--seed", type=int, default=secrets.randbelow(1_000_000))
    options = parser.parse_args()
    begun = time.monotonic()

    def say(words: str) -> None:
        out.print(f"[dim]{time.monotonic() - begun:5.0f} s[/dim]  {words}", soft_wrap=True)

    out.print(f"Seed {options.seed}, {options.payouts:,} payouts, {options.kills} kills")
    with tempfile.TemporaryDirectory(prefix="kpay-rails-", ignore_cleanup_errors=True) as home:
        try:
            result = asyncio.run(
                play(Path(home), options.seed, options.payouts, options.kills, say)
            )
        except Defect as problem:
            out.print(f"Broken, with --seed {options.seed}: {problem}", style="red", markup=False)
            sys.exit(1)
    out.print(str(result), soft_wrap=True)


if __name__ == "__main__":
    main()
