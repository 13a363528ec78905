"""docs/benchmarks.md and its pictures, from whatever was ever measured."""

from __future__ import annotations

from collections import defaultdict

from bench import growth, half, memory, peak, plots, results, startup, targets
from bench.results import FOLDER, ROOT, Results

REPORT = ROOT / "docs" / "benchmarks.md"

# Written by hand: where the time went, and what was done about it.
_PROFILE = FOLDER / "profile.md"


def write() -> None:
    """Write the report and the pictures anew."""
    measured = results.read()
    sections = [_head(measured), targets.section(measured), *_sections(measured)]
    REPORT.write_text("\n".join(sections))
    if measured.growth:
        plots.growth(measured.growth, FOLDER)
    if measured.memory:
        plots.memory(measured.memory, FOLDER)


def _sections(measured: Results) -> list[str]:
    """A part for each kind that there are results of."""
    return [
        *([peak.section(measured.peak)] if measured.peak else []),
        *([half.section(measured.half)] if measured.half else []),
        *([growth.section(measured.growth)] if measured.growth else []),
        *([memory.section(measured.memory)] if measured.memory else []),
        *([startup.section(measured.startup)] if measured.startup else []),
    ]


def _head(measured: Results) -> str:
    profile = (
        "Where the time goes, and went before: [profile.md](benchmarks/profile.md).\n\n"
        if _PROFILE.exists()
        else ""
    )
    return f"""# Benchmarks

`make bench` writes this page from the raw results in [benchmarks/](benchmarks/); it runs the first
two parts anew, and the others when it is asked to. Figures of one machine drift by a third from
minute to minute, so what counts are ratios of pairs that were taken one right after the other;
figures are the median of the rounds, with the least and the most. A row says under "run" how many
rounds of how many seconds it is of, on which day, of which commit (with + where it was changed
since). After every part `kpay verify` checks all that was posted.

{profile}{_machines(measured)}
"""


def _machines(measured: Results) -> str:
    """On what it was measured: told once where it is the same for all."""
    kinds = defaultdict(list)
    for kind, words in measured.machines.items():
        kinds[words].append(kind)
    if len(kinds) == 1:
        return f"{next(iter(kinds))}."
    return "\n".join(f"- {', '.join(names)}: {words}." for words, names in kinds.items())
