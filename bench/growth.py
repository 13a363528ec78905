"""Growth: what thousands, a million, ten million postings in the books cost.

Two databases on one server: one grows, and one is made anew for each round as a copy of what the
first was at its smallest. A round measures both, each in a pair with pgbench, so that "large
against small" is a ratio of one and the same minute. Which of the two comes first alternates.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from statistics import median

from bench import databases, house, loader, wrk
from bench.baseline import Baseline
from bench.cases import CONNECTIONS, UNIFORM
from bench.half import HalfRound, at_half
from bench.progress import out, stage
from bench.table import spread, table
from kpay.settings import Settings

WORKERS = 2
SIZES = (10_000, 1_000_000, 10_000_000)

_SEED, _SMALL = "seed", "small"
# What starting, warming up and stopping a server takes, for the estimate of the time left.
_AROUND_SECONDS = 5


@dataclass(frozen=True)
class Side:
    """One database in one round: pgbench's rate, ours at the peak, and at half of it."""

    base: float
    peak: wrk.Load
    half: HalfRound

    @property
    def ratio(self) -> float:
        return self.peak.rate / self.base


@dataclass(frozen=True)
class GrowthRound:
    large: Side
    small: Side


@dataclass
class GrowthRow:
    """The books at one size. The rounds add to them; everything here is of before the rounds."""

    postings: int
    transfers: int
    ledger_bytes: int
    all_bytes: int
    loaded: loader.Loaded
    run: str
    rounds: list[GrowthRound] = field(default_factory=list)

    @property
    def key(self) -> tuple[object, ...]:
        return (self.postings,)

    @property
    def ratios(self) -> list[float]:
        return [each.large.ratio for each in self.rounds]

    @property
    def against_small(self) -> list[float]:
        return [each.large.ratio / each.small.ratio for each in self.rounds]

    @property
    def errors(self) -> int:
        sides = [side for each in self.rounds for side in (each.large, each.small)]
        return sum(side.peak.errors + side.half.load.errors for side in sides)


class Growth:
    """One run on a database that is ready and empty."""

    def __init__(self, settings: Settings, rounds: int, seconds: int, run: str) -> None:
        self._settings = settings
        self._url = settings.migration_url or ""
        self._rounds = rounds
        self._seconds = seconds
        self._run = run
        self._baseline = Baseline(self._url)
        self._merchants = house.ready_merchants(settings)

    def measure(self, sizes: Sequence[int]) -> list[GrowthRow]:
        rows: list[GrowthRow] = []
        for size in sorted(sizes):
            row = self._grow(size)
            if not rows:
                databases.copy(self._url, _SEED, template=databases.name_of(self._url))
            self._measure(row)
            rows.append(row)
            out.print("  ".join(cells(row)), soft_wrap=True)
        return rows

    def _grow(self, size: int) -> GrowthRow:
        applications = [merchant.application_id for merchant in self._merchants]
        loaded = loader.fill(self._settings, applications, size)
        databases.settle(self._url)
        return GrowthRow(
            postings=databases.value(self._url, loader.COUNT),
            transfers=databases.value(self._url, "select count(*) from transfers"),
            ledger_bytes=databases.ledger_bytes(self._url),
            all_bytes=databases.all_bytes(self._url),
            loaded=loaded,
            run=self._run,
        )

    def _measure(self, row: GrowthRow) -> None:
        self._baseline.prepare()
        each = 2 * (3 * self._seconds + _AROUND_SECONDS)
        with stage(f"{row.postings:,} postings", self._rounds * each) as progress:
            for number in range(self._rounds):
                progress.at(f"round {number + 1} of {self._rounds}")
                row.rounds.append(self._round(small_first=number % 2 == 1))
                progress.advance(each)

    def _round(self, *, small_first: bool) -> GrowthRound:
        small = databases.copy(self._url, _SMALL, template=_SEED)
        if small_first:
            beside = self._side(small)
            return GrowthRound(self._side(self._url), beside)
        return GrowthRound(self._side(self._url), self._side(small))

    def _side(self, url: str) -> Side:
        # Both begin from one: a page that first changes after a checkpoint costs more.
        databases.execute(url, "checkpoint")
        # The owner copies the databases; the program runs on them as itself.
        own = databases.beside(self._settings.database_url or "", databases.name_of(url))
        ours = house.program(replace(self._settings, database_url=own))
        with ours.serving("serve", "--workers", str(WORKERS)) as server:
            requests = UNIFORM.requests(server, self._merchants)
            wrk.run(server.url, requests, connections=CONNECTIONS, seconds=1)
            base = self._baseline.run(UNIFORM.against, self._seconds)
            peak = wrk.run(server.url, requests, connections=CONNECTIONS, seconds=self._seconds)
            return Side(
                base, peak, at_half(server, requests, peak.rate, CONNECTIONS, self._seconds)
            )


def cells(row: GrowthRow) -> list[str]:
    large = [each.large for each in row.rounds]
    return [
        f"{row.postings:,}",
        spread(row.ratios, 2),
        spread(row.against_small, 2),
        spread([side.peak.rate for side in large], 0),
        *(f"{median(values):.1f}" for values in latencies(large)),
        f"{row.ledger_bytes / row.postings:,.0f}",
        f"{row.all_bytes / row.transfers:,.0f}",
        f"{row.loaded.rate:,.0f}" if row.loaded.transfers else "",
        str(row.errors),
        row.run,
    ]


def latencies(sides: Sequence[Side]) -> tuple[list[float], list[float], list[float]]:
    """p99 at the peak; p50 and p99 at half of it."""
    return (
        [side.peak.p99 for side in sides],
        [side.half.load.p50 for side in sides],
        [side.half.load.p99 for side in sides],
    )


def section(rows: Sequence[GrowthRow]) -> str:
    """The report's part."""
    heads = (
        *("Postings", "Ratio to pgbench", "Against the smallest", "A second", "p99 at the peak"),
        *("p50 at half", "p99 at half", "Ledger, bytes a posting", "All, bytes a transfer"),
        *("Loaded, transfers a second", "Errors", "Run"),
    )
    return f"""## Growth

The books are filled by the program's own transfers, two postings each, in 40 applications, to each
size in turn; then `vacuum analyze` and a checkpoint; then {UNIFORM.name}, {WORKERS}
workers, {CONNECTIONS} connections. "Against the smallest" divides the ratio by that of a
database of the smallest size, on the same server in the same round; its first line, two of the same
size, shows how exact the others are. Each round adds what it posts to the books that grow, and the
small ones are made anew for each. The ledger's bytes are those of accounts, entries and postings
with their indexes; all are those of every table. Latencies are in milliseconds. Measured with
`make bench ARGS="--growth"` (`--sizes` chooses others).

{table(heads, [cells(row) for row in rows])}

![Ratio to pgbench by size of the books](benchmarks/growth-ratio.svg)

![99th percentile of latency by size of the books](benchmarks/growth-p99.svg)
"""
