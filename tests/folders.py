"""Where what a run leaves lying about goes: into memory, so that no test waits for a disk.

PostgreSQL is the same one with the same settings, and still asks for everything to be on the disk.
It is only answered at once: a test's own copy of a database takes a twentieth of a second instead
of one, and there are some two thousand of them.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

# Linux has it everywhere; a container's is often too small to be of use.
MEMORY = Path("/dev/shm")  # noqa: S108 - a folder of the run's own is made there
_ROOM_BYTES = 3 << 30
_NAME = "kpay-tests-"
_VARIABLE = "TMPDIR"


@contextmanager
def temporary_in_memory(memory: Path = MEMORY, room: int = _ROOM_BYTES) -> Iterator[Path | None]:
    """Everything temporary of this process and of those that it starts is in memory meanwhile.

    Yields the folder, or None where there is not so much room: all stays in its usual place then.
    """
    if not os.access(memory, os.W_OK | os.X_OK) or shutil.disk_usage(memory).free < room:
        yield None
        return
    _clear_away(memory)
    with (
        tempfile.TemporaryDirectory(prefix=_NAME, dir=memory, ignore_cleanup_errors=True) as name,
        (Path(name) / "lock").open("wb") as lock,
    ):
        fcntl.flock(lock, fcntl.LOCK_EX)
        # PostgreSQL runs as another user where root tests, and has to pass through here.
        Path(name).chmod(0o711)
        before = os.environ.get(_VARIABLE)
        _put(name)
        try:
            yield Path(name)
        finally:
            _put(before)


def _put(folder: str | None) -> None:
    if folder is None:
        del os.environ[_VARIABLE]
    else:
        os.environ[_VARIABLE] = folder
    # It is looked up anew when it is next asked for.
    tempfile.tempdir = None


def _clear_away(memory: Path) -> None:
    """What runs that were killed have left; nobody holds its lock any more.

    A PostgreSQL that still runs on it notices within a minute that its data is gone, and ends.
    """
    for old in memory.glob(f"{_NAME}*/lock"):
        try:
            with old.open("r+b") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                shutil.rmtree(old.parent, ignore_errors=True)
        except OSError:
            # Another run's, or another user's.
            continue
