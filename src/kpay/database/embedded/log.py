"""The server's log, and what it says about a failure."""

from __future__ import annotations

import os
import re
from contextlib import suppress

from kpay.database.embedded.messages import EmbeddedServerError, no_space
from kpay.database.embedded.places import Places
from kpay.database.embedded.private import open_private

LARGEST_LOG_BYTES = 10 * 1024 * 1024


class Log:
    """The server's log, and what was added to it since `mark` was called."""

    def __init__(self, places: Places) -> None:
        with suppress(FileNotFoundError):
            if places.log.stat().st_size > LARGEST_LOG_BYTES:
                places.log.replace(places.log.with_suffix(".log.old"))
        self.path = places.log
        self._file = open_private(places.log)
        self.mark()

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()

    def fileno(self) -> int:
        return self._file.fileno()

    def mark(self) -> None:
        self._start = os.fstat(self.fileno()).st_size

    def added(self) -> str:
        self._file.seek(self._start)
        return self._file.readall().decode(errors="replace")


def failure(places: Places, what: str, log: Log) -> EmbeddedServerError:
    """The last complaint in the log, as one sentence."""
    text = log.added()
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return no_space(places.home)
    complaints = re.findall(r"(?:FATAL|PANIC|ERROR|error): +(.+)", text)
    # What goes wrong before the log is set up, as a library that is missing, has no date.
    undated = re.findall(r"^(?!\d{4}-)(.+)", text, re.MULTILINE)
    reason = (complaints or undated or ["it was ended from outside; try again"])[-1]
    return EmbeddedServerError(f"The database could not be {what}: {reason} (see {log.path}).")
