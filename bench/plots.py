"""Pictures of the results. The same figures make the same file, to the byte."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from statistics import median
from typing import Any

import matplotlib as mpl
from matplotlib.figure import Figure

from bench.growth import GrowthRow, Side
from bench.memory import Memory

# Of a middling lightness, so that they can be read on white and on black alike.
_INK = "#7b828c"
_BLUE, _ORANGE, _GREEN, _PINK = "#2f81f7", "#d9730d", "#2da44e", "#c44fa0"

# The keys are matplotlib's own; where it is installed it wants them as literals.
_STYLE: Any = {
    # Names inside the file are drawn from this and not at random.
    "svg.hashsalt": "kpay",
    # Text stays text: small, searchable, in the reader's own font.
    "svg.fonttype": "none",
    "font.sans-serif": ["DejaVu Sans"],
    "font.size": 10,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": _INK,
    "axes.titlecolor": _INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _INK,
    "grid.alpha": 0.25,
    "xtick.color": _INK,
    "ytick.color": _INK,
    "legend.frameon": False,
}


def growth(rows: Sequence[GrowthRow], folder: Path) -> None:
    """The ratio to pgbench by size, and latency by size."""
    with _picture(folder / "growth-ratio.svg") as axes:
        _curve(axes, rows, "the books that grow", _BLUE, lambda each: each.large.ratio)
        _curve(
            axes, rows, "the smallest, in the same rounds", _ORANGE, lambda each: each.small.ratio
        )
        _sizes(axes, rows)
        axes.set_ylabel("transfers a second, as a ratio to pgbench")
    with _picture(folder / "growth-p99.svg") as axes:
        _curve(axes, rows, "p99 at the peak", _BLUE, lambda each: each.large.peak.p99)
        _curve(axes, rows, "p99 at half of it", _GREEN, lambda each: _half(each.large).p99)
        _curve(axes, rows, "p50 at half of it", _PINK, lambda each: _half(each.large).p50)
        _sizes(axes, rows)
        axes.set_ylabel("latency, milliseconds")


def memory(measured: Memory, folder: Path) -> None:
    """What is resident over time."""
    minutes = [each.seconds / 60 for each in measured.samples]
    with _picture(folder / "memory.svg") as axes:
        for name, words, colour in (
            ("whole_pss", "the whole program (PSS)", _BLUE),
            ("postgres_pss", "PostgreSQL (PSS)", _ORANGE),
            ("ours_rss", "our processes (RSS)", _PINK),
            ("ours_uss", "our processes (USS)", _GREEN),
        ):
            values = [getattr(each, name) for each in measured.samples]
            axes.plot(minutes, values, label=words, color=colour)
        axes.set_xlabel("minutes of load")
        axes.set_ylabel("resident memory, MB")


@contextmanager
def _picture(path: Path) -> Iterator[Any]:
    """Axes to draw on; the picture is written when they are drawn. No date is put into it."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.2, 4.0), layout="constrained")
        axes = figure.add_subplot()
        yield axes
        # From zero, with room above the highest point; the legend is where no curve can be.
        axes.set_ylim(0, axes.dataLim.ymax * 1.08)
        axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1.0), ncols=2)
        figure.savefig(path, transparent=True, metadata={"Date": None, "Creator": None})


def _curve(
    axes: Any, rows: Sequence[GrowthRow], words: str, colour: str, of: Callable[[Any], float]
) -> None:
    """Medians as a line, and from the least to the most of the rounds as a bar across it."""
    sizes = [row.postings for row in rows]
    values = [[of(each) for each in row.rounds] for row in rows]
    middles = [median(each) for each in values]
    below = [middle - min(each) for middle, each in zip(middles, values, strict=True)]
    above = [max(each) - middle for middle, each in zip(middles, values, strict=True)]
    axes.errorbar(
        sizes, middles, yerr=[below, above], label=words, color=colour, marker="o", capsize=4
    )


def _sizes(axes: Any, rows: Sequence[GrowthRow]) -> None:
    axes.set_xscale("log")
    axes.set_xticks([row.postings for row in rows], [f"{row.postings:,}" for row in rows])
    axes.minorticks_off()
    axes.set_xlabel("postings in the books")


def _half(side: Side) -> Any:
    return side.half.load
