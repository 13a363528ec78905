"""How far it has come: a bar with the time that is left where somebody looks, lines where not."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, Progress, TaskID, TextColumn, TimeRemainingColumn
from rich.table import Column

out = Console(highlight=False)

# Rounds are long and differ: an estimate from the last few would jump.
_ESTIMATED_OVER_SECONDS = 3600.0
# Below it the time left is told in seconds.
_SHORT_SECONDS = 120


class Stage:
    """A long stretch of work, of which so much is done."""

    def __init__(self, bars: Progress, task: TaskID, title: str, total: float) -> None:
        self._bars = bars
        self._task = task
        self._title = title
        self._total = total
        self._tenths = 0

    def at(self, words: str) -> None:
        """Say what is done now."""
        self._bars.update(self._task, description=f"{self._title}: {words}")
        if not out.is_terminal:
            out.print(f"… {self._title}: {words}{self._left()}", soft_wrap=True)

    def reached(self, done: float, words: str) -> None:
        """Come so far, of work that goes on by itself; where nobody looks, only tenths are told."""
        self._bars.update(self._task, completed=done, description=f"{self._title}: {words}")
        tenths = int(10 * done / self._total)
        if tenths > self._tenths and not out.is_terminal:
            self._tenths = tenths
            out.print(f"… {self._title}: {words}{self._left()}", soft_wrap=True)

    def advance(self, done: float) -> None:
        self._bars.advance(self._task, done)

    def _left(self) -> str:
        seconds = next(task for task in self._bars.tasks if task.id == self._task).time_remaining
        if not seconds:
            return ""
        if seconds < _SHORT_SECONDS:
            return f" (about {seconds:.0f} s left)"
        return f" (about {seconds / 60:.0f} min left)"


@contextmanager
def stage(title: str, total: float) -> Iterator[Stage]:
    """Show a stage for as long as it lasts. What is printed meanwhile appears above its bar."""
    with Progress(
        BarColumn(bar_width=12),
        TextColumn("{task.percentage:3.0f} %"),
        TimeRemainingColumn(),
        TextColumn("left"),
        # On a narrow terminal the words are what is cut.
        TextColumn("{task.description}", table_column=Column(ratio=1, no_wrap=True)),
        expand=True,
        console=out,
        transient=True,
        disable=not out.is_terminal,
        speed_estimate_period=_ESTIMATED_OVER_SECONDS,
    ) as bars:
        yield Stage(bars, bars.add_task(title, total=total), title, total)
