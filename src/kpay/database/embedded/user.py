"""The system user that PostgreSQL runs as.

PostgreSQL refuses to run as root. When root starts us, the server runs as the owner of its data
or as a system user of its own.
"""

from __future__ import annotations

import os
import pwd
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kpay.database.embedded.messages import EmbeddedServerError

SYSTEM_USER = "kpay"


@dataclass(frozen=True, slots=True)
class ServerUser:
    """The user that PostgreSQL runs as, which is ourselves unless we are root."""

    uid: int
    gid: int

    def run(self, command: Sequence[str | Path], log: int, text: str = "") -> tuple[int, str]:
        """Run a command as this user, its errors to `log`; returns its exit code and its output.

        It runs in a session of its own, so a Ctrl-C in our terminal does not reach it, and with
        almost no environment: ours holds secrets, and PG… variables change what PostgreSQL does.
        """
        other = self.uid != os.geteuid()
        done = subprocess.run(  # noqa: S603
            [str(part) for part in command],
            input=text,
            stdout=subprocess.PIPE,
            stderr=log,
            check=False,
            text=True,
            errors="replace",
            cwd="/",
            env={"LC_ALL": "C", "PATH": os.defpath},
            user=self.uid if other else None,
            group=self.gid if other else None,
            extra_groups=[] if other else None,
            umask=0o077,
            start_new_session=True,
        )
        return done.returncode, done.stdout


def server_user(home: Path, data: Path) -> ServerUser:
    """Ourselves; for root the owner of the data, else of the home, else the system user."""
    if os.geteuid() != 0:
        return ServerUser(os.geteuid(), os.getegid())
    for folder in (data, home):
        if folder.is_dir() and (info := folder.stat()).st_uid != 0:
            try:
                return ServerUser(info.st_uid, pwd.getpwuid(info.st_uid).pw_gid)
            except KeyError:  # The user of a mounted volume may have no account on this system.
                return ServerUser(info.st_uid, info.st_gid)
    return _system_user()


def _system_user() -> ServerUser:
    try:
        entry = pwd.getpwnam(SYSTEM_USER)
    except KeyError:
        # The result is ignored: two processes may both add the user, and the slower one fails.
        useradd = shutil.which("useradd", path="/usr/sbin:/sbin:/usr/bin:/bin") or "useradd"
        options = ["--system", "--no-create-home", "--shell", "/usr/sbin/nologin"]
        _ignore_missing([useradd, *options, SYSTEM_USER])
        try:
            entry = pwd.getpwnam(SYSTEM_USER)
        except KeyError:
            raise EmbeddedServerError(
                f"PostgreSQL does not run as root and the system user {SYSTEM_USER} could not be "
                "added; add that user, or run as an ordinary user, or set KPAY_DATABASE_URL."
            ) from None
    return ServerUser(entry.pw_uid, entry.pw_gid)


def _ignore_missing(command: list[str]) -> None:
    try:
        subprocess.run(command, check=False, capture_output=True)  # noqa: S603
    except FileNotFoundError:
        return
