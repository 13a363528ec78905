"""`make kill`: so many rounds, shown as they go. Exits 1 when a promise was broken."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import sys
import tempfile
import time
from pathlib import Path

from rich.console import Console

from soak.journal import Defect
from soak.rounds import play

out = Console(highlight=False)


def main() -> None:
    parser = argparse.ArgumentParser(prog="make kill", description=__doc__)
    parser.add_argument("--rounds", type=int, default=50)
    parser.add_argument("--seed", default=secrets.token_hex(4), help="to repeat a soak")
    options = parser.parse_args()
    begun = time.monotonic()
    done = 0

    def say(words: str) -> None:
        nonlocal done
        done += 1
        spent = time.monotonic() - begun
        left = spent / done * (options.rounds - done)
        about = f", about {left / 60:.0f} min left" if done < options.rounds else ""
        place = f"{done}/{options.rounds}" if done <= options.rounds else "…"
        out.print(f"{place}  {words}  [dim]({spent:.0f} s{about})[/dim]", soft_wrap=True)

    out.print(f"Seed {options.seed}, {options.rounds} rounds")
    with tempfile.TemporaryDirectory(prefix="kpay-soak-", ignore_cleanup_errors=True) as home:
        try:
            result = asyncio.run(play(Path(home), options.seed, options.rounds, say))
        except Defect as problem:
            out.print(f"Broken, with --seed {options.seed}: {problem}", style="red", markup=False)
            sys.exit(1)
    out.print(str(result), soft_wrap=True)


if __name__ == "__main__":
    main()
