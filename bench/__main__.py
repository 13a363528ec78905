"""`make bench`: run what is asked for, show it, and write docs/benchmarks.md."""

from __future__ import annotations

import argparse
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from bench import growth, house, memory, peak, report, results, startup
from bench.cases import chosen
from bench.progress import out
from kpay.database.ready import ready_database
from kpay.settings import Settings


def main() -> None:
    options = _options()
    run = results.this_run(f"{options.rounds} × {options.seconds} s")
    if options.growth:
        _growth(options, run)
    if options.memory is not None:
        with _new_home() as settings:
            _keep(
                options,
                memory=memory.measure(
                    settings, options.memory, options.seconds, results.this_run()
                ),
            )
    if options.startup:
        with _new_home() as settings:
            _keep(options, startup=startup.measure(settings, results.this_run()))
    if not (options.growth or options.startup or options.memory is not None):
        _peak(options, run)
    if options.write:
        report.write()
        out.print(f"Written to {report.REPORT.relative_to(results.ROOT)}")


def _peak(options: argparse.Namespace, run: str) -> None:
    plan = peak.Plan(
        chosen(options.only or []),
        options.workers,
        options.connections,
        options.rounds,
        options.seconds,
        run,
    )
    if not plan.cases:
        sys.exit(f"No case has {' or '.join(options.only)} in its name: see bench/cases.py.")
    with _ready() as ready:
        rows, halves = peak.measure(ready, plan)
    old = results.read()
    _keep(options, peak=results.merged(old.peak, rows), half=results.merged(old.half, halves))


def _growth(options: argparse.Namespace, run: str) -> None:
    with _ready() as ready:
        bench = growth.Growth(ready, options.rounds, options.seconds, run)
        rows = bench.measure(options.sizes)
    _keep(options, growth=rows)


@contextmanager
def _ready() -> Iterator[Settings]:
    """A database of our own, thrown away at the end."""
    with _new_home() as settings, ready_database(settings, say=out.print) as ready:
        yield ready
        # Figures of a ledger that is wrong would be worth nothing.
        house.verify(house.program(ready))


@contextmanager
def _new_home() -> Iterator[Settings]:
    with tempfile.TemporaryDirectory(prefix="kpay-bench-", ignore_cleanup_errors=True) as home:
        yield replace(Settings.from_env({}), home=Path(home))


def _keep(options: argparse.Namespace, **measured: object) -> None:
    if options.write:
        results.write(**measured)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make bench ARGS=…", description=__doc__)
    what = parser.add_argument_group("what to measure: the peak and half of it, or")
    what.add_argument("--growth", action="store_true", help="what large books cost")
    what.add_argument(
        "--memory",
        type=float,
        nargs="?",
        const=10.0,
        metavar="MINUTES",
        help="what is resident, at rest and under so many minutes of load (10)",
    )
    what.add_argument("--startup", action="store_true", help="how soon it answers")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each load in a round")
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2], help="of the peak")
    parser.add_argument(
        "--connections", type=int, nargs="+", default=[16, 64, 256, 512], help="of the peak"
    )
    parser.add_argument("--only", nargs="+", metavar="WORD", help="cases with a word in their name")
    parser.add_argument(
        "--sizes", type=int, nargs="+", default=growth.SIZES, help="postings, of the growth"
    )
    parser.add_argument("--write", action="store_true", help="write docs/benchmarks.md")
    return parser.parse_args()


if __name__ == "__main__":
    main()
