"""`python -m bench.verify`: how long `kpay verify` takes over large books, and what it holds.

The books are filled as those of the growth measurement are. Then the command runs as an operator
runs it, on the embedded database beside it, and both are watched: what the command holds, and what
all of PostgreSQL's processes hold, each shared page of which is counted once.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]

from bench import databases, house, loader
from bench.memory import MB, family, summed
from bench.progress import out
from bench.table import table
from kpay.database.ready import ready_database
from kpay.settings import Settings

_SIZES = (1_000_000, 10_000_000)
_LOOK_EVERY_SECONDS = 0.5


@dataclass(frozen=True)
class Verified:
    """One run of the command over so many postings; memory in megabytes, at its highest."""

    postings: int
    entries: int
    seconds: float
    ours_rss: float
    postgres_pss: float
    broken: int


def measure(settings: Settings, sizes: Sequence[int]) -> list[Verified]:
    """Fill the books to each size in turn, on a database that is ready and empty, and verify."""
    applications = [each.application_id for each in house.ready_merchants(settings)]
    done = []
    for size in sorted(sizes):
        loader.fill(settings, applications, size)
        databases.settle(settings.migration_url or "")
        done.append(_verify(settings))
        out.print("  ".join(_cells(done[-1])), soft_wrap=True)
    return done


def _verify(settings: Settings) -> Verified:
    url = settings.migration_url or ""
    postings = databases.value(url, loader.COUNT)
    postmaster = int((settings.home / "postgres/data/postmaster.pid").read_text().split("\n")[0])
    out.print(f"… verifying {postings:,} postings")
    begun = time.monotonic()
    with (
        tempfile.TemporaryFile() as said,
        subprocess.Popen(
            [sys.executable, "-m", "kpay", "verify", "--json"],
            env=house.program(settings).environment,
            stdin=subprocess.DEVNULL,
            stdout=said,
        ) as command,
    ):
        highest = _watch(command, postmaster)
        seconds = time.monotonic() - begun
        said.seek(0)
        report: Any = json.loads(said.read())
    return Verified(
        postings=postings,
        entries=databases.value(url, "select count(*) from entries"),
        seconds=seconds,
        ours_rss=highest[0],
        postgres_pss=highest[1],
        broken=report["broken"],
    )


def _watch(command: subprocess.Popen[bytes], postmaster: int) -> tuple[float, float]:
    """Until the command ends: the most that it held, and the most that PostgreSQL did."""
    ours = postgres = 0.0
    while command.poll() is None:
        ours = max(ours, _resident(command.pid))
        postgres = max(postgres, summed(family(postmaster), "pss"))
        time.sleep(_LOOK_EVERY_SECONDS)
    return ours, postgres


def _resident(pid: int) -> float:
    try:
        return round(float(psutil.Process(pid).memory_info().rss) / MB, 1)
    except psutil.NoSuchProcess:
        return 0.0


def _cells(one: Verified) -> list[str]:
    return [
        f"{one.postings:,}",
        f"{one.entries:,}",
        f"{one.seconds:,.1f}",
        f"{one.postings / one.seconds:,.0f}",
        f"{one.ours_rss:,.0f}",
        f"{one.postgres_pss:,.0f}",
        str(one.broken),
    ]


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m bench.verify", description=__doc__)
    parser.add_argument("--sizes", type=int, nargs="+", default=_SIZES, help="postings")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kpay-verify-", ignore_cleanup_errors=True) as home:
        settings = replace(Settings.from_env({}), home=Path(home))
        with ready_database(settings, say=out.print) as ready:
            done = measure(ready, options.sizes)
    heads = (
        *("Postings", "Entries", "Seconds", "Postings a second"),
        *("The command, RSS at most (MB)", "PostgreSQL, PSS at most (MB)", "Broken"),
    )
    out.print(table(heads, [_cells(one) for one in done]), soft_wrap=True)
    sys.exit(any(one.broken for one in done))


if __name__ == "__main__":
    main()
