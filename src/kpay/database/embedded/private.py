"""Files and folders that nobody else may read, in the hands of the right owner."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from io import FileIO
from pathlib import Path

from kpay.database.embedded.messages import EmbeddedServerError
from kpay.database.embedded.user import ServerUser


def open_private(path: Path) -> FileIO:
    """Open for reading and appending, made with mode 0600 if need be; links are not followed."""
    flags = os.O_RDWR | os.O_APPEND | os.O_NOFOLLOW
    try:
        file = os.open(path, flags | os.O_CREAT | os.O_EXCL, 0o600)
        hand_over(path)
    except FileExistsError:
        file = os.open(path, flags)
    return FileIO(file, "r+")


def write_private(path: Path, content: bytes) -> None:
    """Write a file with mode 0600: whole and on the disk, or as it was before."""
    new = path.with_name(f"{path.name}.new")
    new.unlink(missing_ok=True)
    with open_private(new) as file:
        file.write(content)
        os.fsync(file)
    new.replace(path)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Have on the disk what was made, renamed or removed in a folder."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


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


def hand_over(path: Path) -> None:
    """Give what root has just made to the owner of the folder it is in, who may come back later."""
    if os.geteuid() == 0:
        owner = path.parent.stat()
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
