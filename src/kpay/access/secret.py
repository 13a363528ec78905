"""The program's own secret: given in KPAY_SECRET, or made once and kept under KPAY_HOME."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

SECRET_FILE = "secret"


def load_secret(home: Path, given: str | None) -> str:
    """The secret that keys are hashed with. Processes that start together end with the same one."""
    if given is not None:
        return given
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    path = home / SECRET_FILE
    if not path.exists():
        # Written beside and linked into place: whole or not there at all, and the first one wins.
        fresh = home / f".{SECRET_FILE}.{os.getpid()}"
        descriptor = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(secrets.token_urlsafe(48))
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(fresh, path)
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text().strip()
