"""Start-up: how soon `kpay serve` answers, the first time ever and every other time."""

from __future__ import annotations

import tempfile
import time
from dataclasses import dataclass, replace
from pathlib import Path

from bench import house
from bench.progress import Stage, stage
from bench.table import spread, table
from kpay.settings import Settings

AGAIN_MOST, FIRST_MOST = 1.5, 5.0
"""The targets, in seconds."""

_FIRST_STARTS = 3
_STARTS = 5
# Only for the estimate of the time left.
_ABOUT_SECONDS = 3


@dataclass(frozen=True)
class Startup:
    """Seconds to the first 200 of /readyz: in empty homes, and in one that was used before."""

    run: str
    first: list[float]
    again: list[float]


def measure(settings: Settings, run: str) -> Startup:
    """`settings.home` is empty; other first starts have homes of their own."""
    first, again = [], []
    with stage("start-up", (_FIRST_STARTS + _STARTS) * _ABOUT_SECONDS) as progress:
        for number in range(_FIRST_STARTS - 1):
            progress.at(f"empty home, {number + 1} of {_FIRST_STARTS}")
            with tempfile.TemporaryDirectory(
                prefix="kpay-bench-", ignore_cleanup_errors=True
            ) as home:
                first.append(_start(replace(settings, home=Path(home)), progress))
        progress.at(f"empty home, {_FIRST_STARTS} of {_FIRST_STARTS}")
        first.append(_start(settings, progress))
        for number in range(_STARTS):
            progress.at(f"used home, {number + 1} of {_STARTS}")
            again.append(_start(settings, progress))
    return Startup(run, first, again)


def _start(settings: Settings, progress: Stage) -> float:
    begun = time.monotonic()
    with house.program(settings).serving("serve", "--workers", "1"):
        took = round(time.monotonic() - begun, 2)
    progress.advance(_ABOUT_SECONDS)
    return took


def section(startup: Startup) -> str:
    """The report's part."""
    lines = [
        ["in an empty home: the database is made and migrated", spread(startup.first, 2)],
        ["in a home that was used before", spread(startup.again, 2)],
    ]
    return f"""## Start-up

Seconds from starting `kpay serve` with its embedded database to the first 200 of `/readyz`, which
is asked for every 20 ms. Run: {startup.run}. Measured with `make bench ARGS="--startup"`.

{table(("Start", "Seconds"), lines)}
"""
