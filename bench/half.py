"""Half of the peak: how long an answer takes where the server has time to spare.

At the peak a latency says little more than how many connections wait in turn. So the same
connections think between an answer and the next request, for as long as brings the rate down to
half of what was reached a moment before.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from statistics import median

from tests.system.program import Server

from bench import wrk
from bench.table import spread, table

_TRIAL_SECONDS = 1


@dataclass(frozen=True)
class HalfRound:
    """A load that aimed at so many a second, and what came of it."""

    aim: float
    load: wrk.Load


@dataclass
class HalfRow:
    """The rounds of one case at half of its peak."""

    case: str
    workers: int
    connections: int
    run: str
    rounds: list[HalfRound] = field(default_factory=list)

    @property
    def key(self) -> tuple[object, ...]:
        return (self.case, self.workers, self.connections)

    @property
    def tail(self) -> float:
        """How many times the median the 99th percentile is."""
        return median(each.load.p99 / each.load.p50 for each in self.rounds)

    @property
    def errors(self) -> int:
        return sum(each.load.errors for each in self.rounds)


def at_half(
    server: Server, requests: Sequence[wrk.Request], peak: float, connections: int, seconds: int
) -> HalfRound:
    """Load at half of a rate. A short trial shows how much of a turn the answer takes."""
    turn = 1000 * connections / (peak / 2)
    pause = turn * 3 / 4
    for length in (_TRIAL_SECONDS, seconds):
        load = wrk.run(server.url, requests, connections=connections, seconds=length, pause=pause)
        pause = max(pause + turn - 1000 * connections / load.rate, 0.0)
    return HalfRound(round(peak / 2, 1), load)


def section(rows: Sequence[HalfRow]) -> str:
    """The report's part."""
    heads = (
        *("Case", "Workers", "Connections", "Aim, a second", "Reached", "p50", "p99", "p99.9"),
        *("p99 / p50", "Errors", "Run"),
    )
    lines = [
        [
            row.case,
            str(row.workers),
            str(row.connections),
            f"{median(each.aim for each in row.rounds):,.0f}",
            spread([each.load.rate for each in row.rounds], 0),
            spread([each.load.p50 for each in row.rounds], 1),
            spread([each.load.p99 for each in row.rounds], 1),
            spread([each.load.p999 for each in row.rounds], 1),
            f"{row.tail:.2f}",
            str(row.errors),
            row.run,
        ]
        for row in rows
    ]
    return f"""## Latency at half of the peak

In each round, right after the peak was measured, the same connections send again, but each thinks
between an answer and its next request, for a random while of 0.5 to 1.5 times the mean that brings
the rate down to half (`wrk`'s `delay`; the thinking is not in the latency, and coordinated omission
is corrected for: see [bench/wrk.py](../bench/wrk.py)). Latencies are in milliseconds.

{table(heads, lines)}
"""
