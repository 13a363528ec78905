"""`make simulate`: one seed or many, on an embedded database of their own."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from bench.databases import copy, execute, name_of
from bench.progress import out, stage

from kpay.database.ready import ready_database
from kpay.settings import Settings
from simulator.simulation import Report, SimulationFailed, simulate


def main() -> None:
    options = _options()
    told_to_stop: list[int] = []
    signal.signal(signal.SIGTERM, lambda number, _frame: told_to_stop.append(number))
    seeds = range(options.seed, options.seed + options.seeds)
    failed = 0
    with tempfile.TemporaryDirectory(prefix="kpay-simulate-", ignore_cleanup_errors=True) as home:
        settings = replace(Settings.from_env({}), home=Path(home))
        title = f"{len(seeds)} × {options.steps} steps"
        with (
            ready_database(settings, say=out.print) as ready,
            stage(title, len(seeds) * options.steps) as bar,
        ):
            for number, seed in enumerate(seeds):
                before = number * options.steps

                def reached(step: int, seed: int = seed, before: int = before) -> None:
                    bar.reached(before + step, f"seed {seed}, step {step}")
                    # Between two steps nothing is under way, and the database goes with us.
                    if told_to_stop:
                        sys.exit(f"Told to stop at seed {seed}, step {step}.")

                failed += not _run(ready, seed, options.steps, reached)
    if failed:
        sys.exit(f"{failed} of {len(seeds)} seeds broke a promise.")


def _run(settings: Settings, seed: int, steps: int, reached: Callable[[int], None]) -> bool:
    """One seed on a database of its own. Whether every promise held."""
    template = settings.migration_url or ""
    name = f"seed_{seed}"
    url = copy(template, name, name_of(template))
    began = time.monotonic()
    try:
        report = simulate(url, seed, steps, home=settings.home, on_step=reached)
    except SimulationFailed as failure:
        out.print(str(failure), style="red", markup=False, soft_wrap=True)
        return False
    finally:
        execute(template, f"drop database if exists {name} with (force)")
    out.print(_words(report, time.monotonic() - began), soft_wrap=True)
    return True


def _words(report: Report, seconds: float) -> str:
    return (
        f"Seed {report.seed}: every promise held over {report.steps} steps, {report.operations} "
        f"operations ({report.sent_again} sent again with their key), {report.choices} picks on "
        f"pages, {report.webhooks} webhooks ({report.pauses} pauses), {report.deaths} deaths and "
        f"{report.contradictions} ends that the rail told wrongly; {report.digest[:16]}, "
        f"{seconds:.0f} s"
    )


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="make simulate ARGS=…", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="the first, or the only one")
    parser.add_argument("--seeds", type=int, default=1, help="how many, one after the other")
    parser.add_argument("--steps", type=int, default=1_000, help="of each seed")
    return parser.parse_args()


if __name__ == "__main__":
    main()
