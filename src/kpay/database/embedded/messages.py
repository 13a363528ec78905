"""What the caller is told: the stages that take long, and what went wrong, in one sentence."""

from __future__ import annotations

import errno
from collections.abc import Callable
from pathlib import Path

Say = Callable[[str], None]

LEAST_FREE_BYTES = 100 * 1024 * 1024


class EmbeddedServerError(Exception):
    """The embedded server cannot be used; the message is one sentence that says what to change."""


def explain(home: Path, error: OSError) -> EmbeddedServerError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return no_space(home)
    place, reason = error.filename or home, error.strerror or error
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return EmbeddedServerError(
            f"{place} cannot be used ({reason}); make it writable for this user or set KPAY_HOME "
            "to a folder of your own."
        )
    return EmbeddedServerError(f"{place} cannot be used ({reason}); set KPAY_HOME elsewhere.")


def no_space(home: Path) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"There is no space left for the database in {home}; free at least "
        f"{LEAST_FREE_BYTES // 1024**2} MB or set KPAY_HOME to a folder on another disk."
    )
