"""`make bench`: run the cases, show the ratios, write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import asyncio
import platform
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from statistics import median

from rich.console import Console
from tests.system.program import Server

from bench import house, wrk
from bench.baseline import CLIENTS, Baseline
from kpay.database.ready import ready_database
from kpay.settings import Settings

_REPORT = Path(__file__).parents[1] / "docs" / "benchmarks.md"

out = Console(highlight=False)


@dataclass(frozen=True)
class Case:
    """What is sent, and which of pgbench's two scripts it is held against."""

    name: str
    against: str
    requests: Callable[[Server, list[house.Merchant]], list[wrk.Request]]


CASES = (
    Case(
        "transfers, 40 applications",
        "uniform",
        lambda server, merchants: house.transfers(server, merchants, "CMR", "GAB"),
    ),
    Case(
        "transfers, one application, two wallets",
        "hot",
        lambda server, merchants: house.transfers(server, merchants[:1], "CMR", "GAB"),
    ),
    Case(
        "transfers across currencies, 40 applications",
        "uniform",
        lambda server, merchants: house.transfers(server, merchants, "CMR", "SEN"),
    ),
    Case("payouts accepted", "uniform", lambda _server, merchants: house.payouts(merchants)),
    Case("balances read", "uniform", lambda _server, merchants: house.balances(merchants)),
)


@dataclass
class Row:
    """The rounds of one case with so many server processes and connections."""

    case: str
    workers: int
    connections: int
    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    p50: list[float] = field(default_factory=list)
    p99: list[float] = field(default_factory=list)
    p999: list[float] = field(default_factory=list)
    errors: int = 0

    def cells(self) -> list[str]:
        return [
            self.case,
            str(self.workers),
            str(self.connections) if self.connections else "",
            _spread(self.ratios, 2),
            _spread(self.rates, 0),
            *(f"{median(each):.1f}" if each else "" for each in (self.p50, self.p99, self.p999)),
            str(self.errors),
        ]


_HEADS = ("Case", "Workers", "Connections", "Ratio", "A second", "p50", "p99", "p99.9", "Errors")


class Bench:
    """One run: a home of its own, thrown away at the end."""

    def __init__(self, settings: Settings, rounds: int, seconds: int) -> None:
        self._settings = settings
        self._ours = house.program(settings)
        self._rounds = rounds
        self._seconds = seconds
        self._baseline = Baseline(settings.database_url or "")
        self._sent = 0
        self.rows: list[Row] = []

    def run(self, workers: Sequence[int], connections: Sequence[int]) -> None:
        self._baseline.prepare()
        merchants = asyncio.run(house.make_merchants(self._settings))
        with self._ours.serving() as server:
            house.fund(server, merchants)
            house.wait_until_all_ended(self._settings.database_url or "")
        for count in workers:
            for case in CASES:
                for width in connections:
                    self._measure(case, count, width, merchants)
            self._drain(count, merchants)

    def _measure(
        self, case: Case, workers: int, connections: int, merchants: list[house.Merchant]
    ) -> None:
        row = Row(case.name, workers, connections)
        # Payouts are accepted apart from being driven: the worker would share the measure.
        command = "api" if case.name == "payouts accepted" else "serve"
        with self._ours.serving(command, "--workers", str(workers)) as server:
            requests = case.requests(server, merchants)
            self._load(server, requests, connections, 1)
            for _ in range(self._rounds):
                base = self._baseline.run(case.against, self._seconds)
                load = self._load(server, requests, connections, self._seconds)
                row.rates.append(load.rate)
                row.ratios.append(load.rate / base)
                row.p50.append(load.latency["50"])
                row.p99.append(load.latency["99"])
                row.p999.append(load.latency["99.9"])
                row.errors += load.errors
        self._add(row)
        if command == "api":
            with house.driving(self._ours, 2):
                house.wait_until_all_ended(self._settings.database_url or "")

    def _drain(self, workers: int, merchants: list[house.Merchant]) -> None:
        """A backlog of payouts, from the first one completed to the last."""
        row = Row("payouts drained to COMPLETED", workers, 0)
        url = self._settings.database_url or ""
        for _ in range(self._rounds):
            base = self._baseline.run("uniform", self._seconds)
            with self._ours.serving("api", "--workers", str(workers)) as server:
                self._load(server, house.payouts(merchants), 64, self._seconds)
            waiting = asyncio.run(house.still_open(url))
            with house.driving(self._ours, workers):
                rate = _drain_rate(url, waiting)
            row.rates.append(rate)
            row.ratios.append(rate / base)
        self._add(row)

    def _load(
        self,
        server: Server,
        requests: Sequence[wrk.Request],
        connections: int,
        seconds: int,
    ) -> wrk.Load:
        self._sent += 1
        return wrk.run(
            server.url,
            requests,
            connections=connections,
            seconds=seconds,
            prefix=f"{self._sent}-",
        )

    def _add(self, row: Row) -> None:
        self.rows.append(row)
        out.print("  ".join(cell for cell in row.cells() if cell))


def _drain_rate(url: str, waiting: int) -> float:
    """Payouts a second, from the first that is seen to have ended to the last."""
    begun: tuple[float, int] | None = None
    while True:
        left = asyncio.run(house.still_open(url))
        now = time.monotonic()
        if begun is None and left < waiting:
            begun = (now, left)
        if left == 0:
            first = begun or (now, waiting)
            return first[1] / max(now - first[0], 0.001)
        time.sleep(0.05)


def _spread(values: Sequence[float], places: int) -> str:
    """The median, with the least and the most."""
    return f"{median(values):,.{places}f} ({min(values):,.{places}f}–{max(values):,.{places}f})"


def _write(rows: Sequence[Row], rounds: int, seconds: int) -> None:
    table = "\n".join(
        "| " + " | ".join(cells) + " |"
        for cells in (_HEADS, ["---"] * len(_HEADS), *(row.cells() for row in rows))
    )
    commit = subprocess.run(
        ["git", "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    ).stdout.strip()
    _REPORT.write_text(
        f"""# Benchmarks

`make bench` writes this page. Each round runs `pgbench` ({CLIENTS} clients, prepared statements,
one minimal posting function for each transaction: [bench/baseline.sql](../bench/baseline.sql)) for
{seconds} seconds and then as long of HTTP requests by `wrk` (one thread) against `kpay` on the same
PostgreSQL; server, load and database share the machine. A ratio is of one such pair; the figures
are the median of {rounds} rounds with the least and the most. Latencies are in milliseconds, at
full load. Funds are checked, every request is authenticated and has an externalId of its own.

{datetime.now(UTC):%Y-%m-%d}, {_machine()}, Python {platform.python_version()}, commit {commit}.

{table}
"""
    )


def _machine() -> str:
    cores = subprocess.run(["nproc"], capture_output=True, text=True, check=False).stdout.strip()
    return f"{platform.system()} {platform.machine()}, {cores} cores"


def main() -> None:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5)
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--connections", type=int, nargs="+", default=[16, 64, 256])
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kpay-bench-", ignore_cleanup_errors=True) as home:
        settings = replace(Settings.from_env({}), home=Path(home))
        with ready_database(settings, say=out.print) as ready:
            bench = Bench(ready, options.rounds, options.seconds)
            bench.run(options.workers, options.connections)
            # Figures of a ledger that is wrong would be worth nothing.
            house.verify(house.program(ready))
    if options.write:
        _write(bench.rows, options.rounds, options.seconds)
        out.print(f"Written to {_REPORT}")


if __name__ == "__main__":
    main()
