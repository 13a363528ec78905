"""Passage through the folders above the data, for the system user that needs it.

That user may pass through them by an entry for it alone in their access lists; it may read none of
them, and nobody else gains anything.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
from pathlib import Path
from typing import NamedTuple

from kpay.database.embedded.user import ServerUser

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
