"""Where everything is: the folder, the files in it, and the folder of the socket."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from kpay.database.embedded.messages import EmbeddedServerError
from kpay.database.embedded.private import hand_over, private_folder
from kpay.database.embedded.user import ServerUser

SOCKET = ".s.PGSQL.5432"
# The address of a Unix socket is a fixed field of 108 bytes (104 on macOS) that ends with a zero.
LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107


@dataclass(frozen=True, slots=True)
class Places:
    """Where everything is; `home` is absolute and free of symbolic links."""

    home: Path

    @property
    def postgres(self) -> Path:
        return self.home / "postgres"

    @property
    def data(self) -> Path:
        return self.postgres / "data"

    @property
    def log(self) -> Path:
        return self.postgres / "server.log"

    @property
    def password(self) -> Path:
        return self.postgres / "password"


def prepare_home(home: Path) -> Places:
    if home.exists() and not home.is_dir():
        raise EmbeddedServerError(f"{home} is a file; set KPAY_HOME to a folder.")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = home.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise EmbeddedServerError(
            f"{home} belongs to another user (number {owner}); run as that user or set KPAY_HOME "
            "to a folder of your own."
        )
    places = Places(home.resolve())
    with suppress(FileExistsError):
        places.postgres.mkdir(mode=0o700)
        hand_over(places.postgres)
    return places


def socket_folder(places: Places, user: ServerUser) -> Path:
    """`run` beside the data, or a short folder of ours where that name is too long or unusual."""
    folder = places.postgres / "run"
    # A comma separates folders both in PostgreSQL's setting and in a database URL.
    plain = re.fullmatch(r"[\w/.+ @~-]+", str(folder), re.ASCII)
    if not plain or len(os.fsencode(folder / SOCKET)) > LONGEST_SOCKET:
        folder = short_folder(places)
    private_folder(folder, user)
    return folder


def short_folder(places: Places) -> Path:
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108
    # Root's own runtime folder is closed to the user that the server runs as.
    if os.geteuid() == 0 or not base.is_dir() or len(os.fsencode(base)) > 60:
        base = Path("/tmp")  # noqa: S108
    return base / f"kpay-{hashlib.sha256(os.fsencode(places.home)).hexdigest()[:16]}"


def is_empty(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir())
