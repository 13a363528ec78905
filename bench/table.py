"""Tables of the report, and how a figure with its spread is written."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from statistics import median


def table(heads: Sequence[str], lines: Iterable[Sequence[str]]) -> str:
    return "\n".join(
        "| " + " | ".join(cells) + " |" for cells in (heads, ["---"] * len(heads), *lines)
    )


def spread(values: Sequence[float], places: int) -> str:
    """The median, with the least and the most."""
    return f"{median(values):,.{places}f} ({min(values):,.{places}f}–{max(values):,.{places}f})"
