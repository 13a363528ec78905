"""Raw results: a small JSON file for each kind, so that one run does not wipe out another's."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol, TypeVar

import msgspec
import psutil  # type: ignore[import-untyped]

from bench import baseline
from bench.cases import CASES, in_order
from bench.growth import GrowthRow
from bench.half import HalfRow
from bench.memory import Memory
from bench.peak import PeakRow
from bench.startup import Startup

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "docs" / "benchmarks"


class _Row(Protocol):
    @property
    def key(self) -> tuple[object, ...]: ...


Row = TypeVar("Row", bound=_Row)
T = TypeVar("T")


@dataclass(frozen=True)
class Results:
    """Whatever was ever measured."""

    peak: list[PeakRow]
    half: list[HalfRow]
    growth: list[GrowthRow]
    memory: Memory | None
    startup: Startup | None
    machines: dict[str, str]
    """What each kind was last measured on."""


def read() -> Results:
    return Results(
        peak=_in_order(_read("peak", list[PeakRow]) or []),
        half=_in_order(_read("half", list[HalfRow]) or []),
        growth=_read("growth", list[GrowthRow]) or [],
        memory=_read("memory", Memory),
        startup=_read("startup", Startup),
        machines=_read("machines", dict[str, str]) or {},
    )


def write(**values: object) -> None:
    """Keep what was measured just now, on this machine."""
    FOLDER.mkdir(exist_ok=True)
    machines = read().machines | dict.fromkeys(values, _machine())
    for name, value in {**values, "machines": machines}.items():
        text = msgspec.json.format(msgspec.json.encode(value), indent=1)
        _path(name).write_bytes(text + b"\n")


def merged(old: Sequence[Row], new: Sequence[Row]) -> list[Row]:
    """New rows in the place of the old ones that they repeat; what was not measured again stays."""
    again = {row.key: row for row in new}
    kept = [again.pop(row.key, row) for row in old]
    return [*kept, *again.values()]


def this_run(*words: str) -> str:
    """What a row says of the run that it is from: how much, when, of which commit."""
    return ", ".join((*words, f"{datetime.now(UTC):%Y-%m-%d}", _commit()))


def _machine() -> str:
    """What it ran on and with."""
    memory = psutil.virtual_memory().total / 1024**3
    parts = (
        f"PostgreSQL {baseline.server_version()}",
        f"wrk {_wrk()}",
        f"Python {platform.python_version()}",
        f"granian {version('granian')}",
        f"asyncpg {version('asyncpg')}",
    )
    return (
        f"{platform.system()} {platform.machine()}, {psutil.cpu_count()} processors "
        f"({_processor()}), {memory:.0f} GB of memory; {', '.join(parts)}"
    )


def _in_order(rows: Sequence[Row]) -> list[Row]:
    """As the cases are; what is left of a case that there no longer is means nothing any more."""
    names = {case.name for case in CASES}
    return sorted((row for row in rows if row.key[0] in names), key=lambda row: in_order(row.key))


def _read(name: str, kind: type[T]) -> T | None:
    path = _path(name)
    return msgspec.json.decode(path.read_bytes(), type=kind) if path.exists() else None


def _path(name: str) -> Path:
    return FOLDER / f"{name}.json"


def _commit() -> str:
    """The commit, with a plus where what is measured differs from it."""
    head = _told("git", "-C", str(ROOT), "rev-parse", "--short", "HEAD")
    changed = _told("git", "-C", str(ROOT), "status", "--porcelain", "--", "src", "bench")
    return head.strip() + ("+" if changed.strip() else "")


def _processor() -> str:
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.processor()
    found = re.search(r"^model name\s*: (.+)$", text, re.MULTILINE)
    return found[1] if found else platform.processor()


def _wrk() -> str:
    """It tells its version only together with an error about its arguments."""
    program = shutil.which("wrk")
    found = re.search(r"wrk (\S+)", _told(program, "-v")) if program else None
    return found[1] if found else "unknown"


def _told(*command: Any) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr
