"""The peak: each case as fast as it goes, in pairs with pgbench; and then at half of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from bench import house, wrk
from bench.baseline import CLIENTS, Baseline
from bench.cases import CONNECTIONS, Case
from bench.drain import drain
from bench.half import HalfRow, at_half
from bench.progress import Stage, out, stage
from bench.table import spread, table
from kpay.settings import Settings

# What starting, warming up and stopping a server takes, for the estimate of the time left.
_AROUND_SECONDS = 5


@dataclass(frozen=True)
class PeakRound:
    """One pair: pgbench's rate, and ours. Latencies are none where a backlog was drained."""

    base: float
    rate: float
    errors: int
    load: wrk.Load | None = None

    @property
    def ratio(self) -> float:
        return self.rate / self.base


@dataclass
class PeakRow:
    """The rounds of one case with so many server processes and connections."""

    case: str
    workers: int
    connections: int
    run: str
    rounds: list[PeakRound] = field(default_factory=list)

    @property
    def key(self) -> tuple[object, ...]:
        return (self.case, self.workers, self.connections)

    @property
    def ratios(self) -> list[float]:
        return [each.ratio for each in self.rounds]

    @property
    def errors(self) -> int:
        return sum(each.errors for each in self.rounds)

    def cells(self) -> list[str]:
        loads = [each.load for each in self.rounds if each.load is not None]
        percentiles = ([load.p50, load.p99, load.p999] for load in loads)
        return [
            self.case,
            str(self.workers),
            str(self.connections) if self.connections else "",
            spread(self.ratios, 2),
            spread([each.rate for each in self.rounds], 0),
            *([f"{median(each):.1f}" for each in zip(*percentiles, strict=True)] or [""] * 3),
            str(self.errors),
            self.run,
        ]


@dataclass(frozen=True)
class Plan:
    """What to run, and how long."""

    cases: Sequence[Case]
    workers: Sequence[int]
    connections: Sequence[int]
    rounds: int
    seconds: int
    run: str

    def seconds_of(self, case: Case, connections: int) -> int:
        """About how long a case takes."""
        halves = connections == CONNECTIONS and not case.backlog
        return self.rounds * self.seconds * (3 if halves or case.backlog else 2) + _AROUND_SECONDS

    def steps(self) -> list[tuple[int, Case, int]]:
        """Each number of server processes, case and number of connections. A backlog has none."""
        return [
            (workers, case, connections)
            for workers in self.workers
            for case in self.cases
            for connections in ([0] if case.backlog else self.connections)
        ]


def measure(settings: Settings, plan: Plan) -> tuple[list[PeakRow], list[HalfRow]]:
    """Run the plan on a database that is ready and empty."""
    bench = _Bench(settings, plan)
    steps = plan.steps()
    with stage("peak", sum(plan.seconds_of(case, width) for _, case, width in steps)) as progress:
        for workers, case, connections in steps:
            bench.step(case, workers, connections, progress)
    return bench.rows, bench.halves


class _Bench:
    """One run: a home of its own, thrown away at the end."""

    def __init__(self, settings: Settings, plan: Plan) -> None:
        self._url = settings.migration_url or ""
        self._ours = house.program(settings)
        self._plan = plan
        self._baseline = Baseline(self._url)
        self._baseline.prepare()
        self._merchants = house.ready_merchants(settings)
        self.rows: list[PeakRow] = []
        self.halves: list[HalfRow] = []

    def step(self, case: Case, workers: int, connections: int, progress: Stage) -> None:
        row = PeakRow(case.name, workers, connections, self._plan.run)
        half = HalfRow(case.name, workers, connections, self._plan.run)
        if case.backlog:
            self._drain(case, row, progress)
        else:
            self._load(case, row, half, progress)
        self.rows.append(row)
        out.print("  ".join(cell for cell in row.cells() if cell), soft_wrap=True)
        if half.rounds:
            self.halves.append(half)
        progress.advance(_AROUND_SECONDS)

    def _load(self, case: Case, row: PeakRow, half: HalfRow, progress: Stage) -> None:
        seconds, width = self._plan.seconds, row.connections
        with self._ours.serving(case.command, "--workers", str(row.workers)) as server:
            requests = case.requests(server, self._merchants)
            wrk.run(server.url, requests, connections=width, seconds=1)
            for number in range(self._plan.rounds):
                self._say(row, number, progress)
                base = self._baseline.run(case.against, seconds)
                load = wrk.run(server.url, requests, connections=width, seconds=seconds)
                row.rounds.append(PeakRound(base, load.rate, load.errors, load))
                progress.advance(2 * seconds)
                if width == CONNECTIONS:
                    half.rounds.append(at_half(server, requests, load.rate, width, seconds))
                    progress.advance(seconds)
        if case.command == "api":
            with house.driving(self._ours, 2):
                house.wait_until_all_ended(self._url)

    def _drain(self, case: Case, row: PeakRow, progress: Stage) -> None:
        for number in range(self._plan.rounds):
            self._say(row, number, progress)
            base = self._baseline.run(case.against, self._plan.seconds)
            rate, errors = drain(
                self._ours,
                self._url,
                row.workers,
                self._merchants,
                self._plan.seconds,
                told=case.told,
            )
            row.rounds.append(PeakRound(base, rate, errors))
            progress.advance(3 * self._plan.seconds)

    def _say(self, row: PeakRow, number: int, progress: Stage) -> None:
        width = f", {row.connections} connections" if row.connections else ""
        progress.at(
            f"{row.case}, {row.workers} worker{'s' * (row.workers > 1)}{width}, "
            f"round {number + 1} of {self._plan.rounds}"
        )


def section(rows: Sequence[PeakRow]) -> str:
    """The report's part."""
    heads = (
        *("Case", "Workers", "Connections", "Ratio", "A second", "p50", "p99", "p99.9"),
        *("Errors", "Run"),
    )
    return f"""## The peak

Each round runs `pgbench` ({CLIENTS} clients, prepared statements, one minimal posting function for
each transaction: [bench/baseline.sql](../bench/baseline.sql)) and then as long of HTTP requests by
`wrk` (one thread) against `kpay` on the same PostgreSQL; server, load and database share the
machine. A ratio is of one such pair. Latencies are in milliseconds, at full load. A backlog of
payouts is accepted by the API alone and then driven by as many `kpay worker` processes; its rate is
from the first that ended to the last. With a webhook each, that is when a receiver on the same
machine has answered it. Funds are checked, every request is authenticated and has an
externalId of its own.

{table(heads, [row.cells() for row in rows])}
"""
