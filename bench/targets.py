"""The targets, and whether what was measured meets them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from statistics import median

from bench import cases
from bench.cases import CONNECTIONS, Case
from bench.memory import AT_REST_MOST
from bench.results import Results
from bench.startup import AGAIN_MOST, FIRST_MOST
from bench.table import spread, table

WORKERS = 2
# The more connections, the larger the batches, so a ratio is shown for each of three numbers.
_WIDTHS = (CONNECTIONS, 256, 512)

# A ratio to pgbench: what has to be, and what is hoped for.
_RATIOS: Sequence[tuple[Case, float, float]] = (
    (cases.UNIFORM, 0.9, 1.3),
    (cases.HOT, 1.8, 2.8),
    (cases.ACROSS, 0.7, 1.1),
    (cases.DRAINED, 0.15, 0.3),
    (cases.TOLD, 0.08, 0.15),
)
_TAIL_MOST = 5

Line = tuple[str, str, str, str, str]
_NOT_YET = ("not measured", "")


def section(results: Results) -> str:
    """The report's part."""
    heads = ("What", "Target", "Aim", "Measured", "Met")
    lines = [
        *_ratio_lines(results),
        _tail_line(results),
        _errors_line(results),
        *_memory_lines(results),
        *_startup_lines(results),
    ]
    return f"""## Targets

Ratios to `pgbench` are at {WORKERS} workers.

{table(heads, lines)}
"""


def _ratio_lines(results: Results) -> Iterator[Line]:
    for case, target, aim in _RATIOS:
        for width in (0,) if case.backlog else _WIDTHS:
            found = [row for row in results.peak if row.key == (case.name, WORKERS, width)]
            measured, met = _NOT_YET
            if found:
                ratio = median(found[0].ratios)
                measured = spread(found[0].ratios, 2)
                met = "yes, and the aim" if ratio >= aim else _yes(ratio >= target)
            name = f"{case.name}, {width} connections" if width else case.name
            yield (name, f"{target} × pgbench", f"{aim} × pgbench", measured, met)


def _tail_line(results: Results) -> Line:
    measured, met = _NOT_YET
    if results.half:
        worst = max(results.half, key=lambda row: row.tail)
        measured = f"at most {worst.tail:.2f} × p50 ({worst.case}, {_workers(worst.workers)})"
        met = _yes(worst.tail <= _TAIL_MOST)
    return ("p99 at half of the peak, every case", f"at most {_TAIL_MOST} × p50", "", measured, met)


def _errors_line(results: Results) -> Line:
    counts = [
        *(row.errors for row in results.peak),
        *(row.errors for row in results.half),
        *(row.errors for row in results.growth),
        *([results.memory.load.load.errors] if results.memory else []),
    ]
    measured, met = (f"{sum(counts):,}", _yes(not any(counts))) if counts else _NOT_YET
    return ("errors, everywhere", "none", "", measured, met)


def _memory_lines(results: Results) -> Iterator[Line]:
    measured, met = _NOT_YET
    if results.memory:
        whole = results.memory.rest.whole_pss
        measured, met = f"{whole:,.0f} MB", _yes(whole < AT_REST_MOST)
    yield ("whole program at rest, 1 worker", f"under {AT_REST_MOST} MB", "", measured, met)


def _startup_lines(results: Results) -> Iterator[Line]:
    for words, most, seconds in (
        ("start in a used home", AGAIN_MOST, results.startup.again if results.startup else []),
        ("first start ever", FIRST_MOST, results.startup.first if results.startup else []),
    ):
        measured, met = _NOT_YET
        if seconds:
            measured, met = f"{spread(seconds, 2)} s", _yes(median(seconds) <= most)
        yield (words, f"at most {most:g} s", "", measured, met)


def _workers(count: int) -> str:
    return f"{count} worker{'s' * (count > 1)}"


def _yes(met: bool) -> str:
    return "yes" if met else "**no**"
