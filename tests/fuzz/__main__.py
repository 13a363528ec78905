"""`make fuzz CASES=10000`: so many made-up requests to a server, and its books verified."""

from __future__ import annotations

import argparse
import sys
import tempfile
import time
from pathlib import Path

from tests.fuzz.run import fuzzed
from tests.system.program import Program


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=10_000, help="how many requests at least")
    parser.add_argument("--seed", type=int, default=None, help="what decides what is made up")
    given = parser.parse_args()
    seed = time.time_ns() % 2**32 if given.seed is None else given.seed
    sys.stdout.write(f"seed {seed}\n")
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="kpay-fuzz-", ignore_cleanup_errors=True) as home:
        told = fuzzed(Program(Path(home), {}), given.cases, seed)
    seconds = time.monotonic() - started
    for operation, cases in sorted(told.operations.items()):
        sys.stdout.write(f"{cases:>7,}  {operation}\n")
    statuses = ", ".join(f"{count:,} × {status}" for status, count in sorted(told.statuses.items()))
    sys.stdout.write(
        f"{told.cases:,} cases in {seconds:.0f} s: {statuses}\n"
        "no 5xx, every answer as documented, the books verified\n"
    )


if __name__ == "__main__":
    main()
