"""Memory: what the whole program holds, at rest and over minutes of steady load.

PostgreSQL's processes share their buffers, and each would count all of them as its own, so they are
counted in proportion (PSS: a page that four processes share is a quarter of a page to each). So is
the whole. Our own processes are told by what they alone hold (USS) and by what they show (RSS).
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import psutil  # type: ignore[import-untyped]
from tests.system.program import Server

from bench import house, wrk
from bench.cases import CONNECTIONS
from bench.half import HalfRound, at_half
from bench.progress import out, stage
from bench.table import table
from kpay.database.ready import ready_database
from kpay.settings import Settings

AT_REST_MOST = 400
"""The target for the whole program, in megabytes."""

_EVERY_SECONDS = 5
_REST_SECONDS = 10
_MINUTE = 60
MB = 1024 * 1024


@dataclass(frozen=True)
class Sample:
    """Megabytes, so many seconds after the load began."""

    seconds: float
    ours_uss: float
    ours_rss: float
    postgres_pss: float
    whole_pss: float


@dataclass(frozen=True)
class Memory:
    """At rest before any request, then under a load that aimed at half of the peak."""

    run: str
    rest: Sample
    load: HalfRound
    samples: list[Sample]

    def first(self) -> list[Sample]:
        return [each for each in self.samples if each.seconds <= _MINUTE]

    def last(self) -> list[Sample]:
        end = self.samples[-1].seconds
        return [each for each in self.samples if each.seconds >= end - _MINUTE]


def measure(settings: Settings, minutes: float, seconds: int, run: str) -> Memory:
    """One worker on its own embedded database, in a home of its own."""
    with ready_database(settings, say=out.print) as ready:
        merchants = house.ready_merchants(ready)
    ours = house.program(settings)
    with ours.serving("serve", "--workers", "1") as server:
        time.sleep(_REST_SECONDS)
        rest = _sample(settings.home, server, 0)
        requests = _mixed(server, merchants)
        wrk.run(server.url, requests, connections=CONNECTIONS, seconds=1)
        peak = wrk.run(server.url, requests, connections=CONNECTIONS, seconds=seconds)
        length = max(round(minutes * _MINUTE), _EVERY_SECONDS)
        with ThreadPoolExecutor(1) as pool:
            load = pool.submit(at_half, server, requests, peak.rate, CONNECTIONS, length)
            samples = list(_watch(settings.home, server, load, length))
        memory = Memory(run, rest, load.result(), samples)
    house.verify(ours)
    return memory


def _mixed(server: Server, merchants: list[house.Merchant]) -> list[wrk.Request]:
    """Of everything some: half are transfers, a quarter payouts, a quarter reads."""
    parts = (
        house.transfers(server, merchants, "CMR", "GAB"),
        house.payouts(merchants),
        house.balances(merchants),
    )
    return [request for part in parts for request in part]


def _watch(home: Path, server: Server, load: Future[HalfRound], length: int) -> Iterable[Sample]:
    begun = time.monotonic()
    with stage("memory under load", length) as progress:
        while not load.done():
            seconds = time.monotonic() - begun
            sample = _sample(home, server, seconds)
            progress.reached(
                min(seconds, length),
                f"{sample.whole_pss:,.0f} MB, ours {sample.ours_uss:,.0f}, "
                f"PostgreSQL {sample.postgres_pss:,.0f}",
            )
            yield sample
            time.sleep(_EVERY_SECONDS)


def _sample(home: Path, server: Server, seconds: float) -> Sample:
    postmaster = int((home / "postgres/data/postmaster.pid").read_text().split("\n")[0])
    postgres = family(postmaster)
    theirs = {process.pid for process in postgres}
    ours = [process for process in family(server.process.pid) if process.pid not in theirs]
    pss = summed(postgres, "pss")
    return Sample(
        seconds=round(seconds, 1),
        ours_uss=summed(ours, "uss"),
        ours_rss=summed(ours, "rss"),
        postgres_pss=pss,
        whole_pss=round(summed(ours, "pss") + pss, 1),
    )


def family(pid: int) -> list[psutil.Process]:
    parent = psutil.Process(pid)
    return [parent, *parent.children(recursive=True)]


def summed(processes: Sequence[psutil.Process], kind: str) -> float:
    total = 0
    for process in processes:
        try:
            total += getattr(process.memory_full_info(), kind)
        except psutil.NoSuchProcess:
            # One of PostgreSQL's helpers that had done its work.
            continue
    return round(total / MB, 1)


def section(memory: Memory) -> str:
    """The report's part."""
    columns = ("ours_uss", "ours_rss", "postgres_pss", "whole_pss")
    lines = [
        [words, *(f"{median(getattr(each, name) for each in samples):,.0f}" for name in columns)]
        for words, samples in (
            (f"at rest, {_REST_SECONDS} s after the start", [memory.rest]),
            ("load, the first minute", memory.first()),
            ("load, the last minute", memory.last()),
        )
    ]
    load = memory.load.load
    heads = ("", "Our processes, USS", "RSS", "PostgreSQL, PSS", "The whole program, PSS")
    return f"""## Memory

`kpay serve --workers 1` with its embedded database, every process of it, in megabytes (medians of
samples every {_EVERY_SECONDS} s). PSS counts what processes share once. The load is a mix of
transfers, payouts, which the same process drives, and reads over 40 applications: it aimed at half
of the peak, {memory.load.aim:,.0f} a second, and came to {load.rate:,.0f} (p50
{load.p50:.1f} ms, p99 {load.p99:.1f} ms, {load.errors} errors) for
{memory.samples[-1].seconds / _MINUTE:.1f} minutes. PostgreSQL's part grows until every page of its
shared buffers was used once. Run: {memory.run}. Measured with `make bench ARGS="--memory"`.

{table(heads, lines)}

![Resident memory over time](benchmarks/memory.svg)
"""
