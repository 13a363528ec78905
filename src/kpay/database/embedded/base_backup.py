"""A copy of the data taken while it is in use, proved whole, and put in the place of a database.

PostgreSQL's own programs do what matters: `pg_basebackup` copies the files and the log that makes
them agree with each other, `pg_verifybackup` reads them all again and compares their checksums.
"""

from __future__ import annotations

import fcntl
import os
import re
import shutil
import signal
import subprocess
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote, urlsplit

from kpay.database.embedded.cluster import check_version
from kpay.database.embedded.log import Log, failure
from kpay.database.embedded.messages import (
    LEAST_FREE_BYTES,
    EmbeddedServerError,
    Say,
    explain,
    no_space,
)
from kpay.database.embedded.passage import allow_passage
from kpay.database.embedded.places import Places, is_empty, prepare_home
from kpay.database.embedded.private import (
    open_private,
    private_folder,
    sync_folder,
    write_private,
)
from kpay.database.embedded.programs import Programs, client_programs, usable_programs
from kpay.database.embedded.server import start_lock
from kpay.database.embedded.user import ServerUser, server_user

_MEGABYTE = 1024 * 1024


def take(url: str, folder: Path, say: Say) -> None:
    """Copy the data of a running embedded server into a folder that is not there yet.

    `url` is the server's. What was committed before this began is in the copy, and much of what was
    committed while it ran. The copy is on the disk when this returns, and nothing of it is proved.
    """
    address = urlsplit(url)
    told = _Told("copying the database", say)

    def line(text: str) -> None:
        if found := re.search(r"(\d+)/(\d+) kB", text):
            told.reached(int(found[1]) * 1024, int(found[2]) * 1024)

    _run(
        client_programs(),
        "pg_basebackup",
        (
            *("--dbname", address._replace(netloc=f"{address.username}@").geturl()),
            *("--pgdata", folder, "--wal-method", "stream", "--checkpoint", "fast"),
            *("--label", "kpay backup", "--no-password", "--progress"),
        ),
        {"PGPASSWORD": unquote(address.password or "")},
        line,
    )


def check(data: Path, say: Say) -> None:
    """Read a copy of the data and its log, and compare it with the list that was made with it.

    Raises EmbeddedServerError naming the first thing that differs.
    """
    say("checking the copy")
    _run(client_programs(), "pg_verifybackup", ("--quiet", data), {}, lambda _: None)


def put_in_place(home: Path, source: Places, kept: Mapping[str, bytes], say: Say) -> None:
    """Make a copy the database of a home that has none, and `kept` the home's files.

    `source` has the shape of a home; `kept` holds contents by their place under it. The database
    appears when everything else is there and on the disk, so whatever goes wrong before that leaves
    a home without a database.
    """
    try:
        places = prepare_home(home)
        with start_lock(places, say), open_private(places.postgres / "users.lock") as users:
            _check_unused(places, users.fileno())
            for name, content in kept.items():
                _check_may_write(places, places.home / name, content)
            _copy_data(places, source, say)
            for name, content in kept.items():
                write_private(places.home / name, content)
            (_beside(places) / "data").rename(places.data)
            sync_folder(places.postgres)
            _beside(places).rmdir()
    except OSError as error:
        raise explain(home, error) from error


def _beside(places: Places) -> Path:
    # Where a start makes a new database too, which clears away what was left there.
    return places.postgres / "data.new"


def _check_unused(places: Places, users: int) -> None:
    """Refuse a home that has a database, and one whose database somebody still thinks is there."""
    try:
        fcntl.flock(users, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise EmbeddedServerError(
            f"A program is using the database in {places.home}; stop it and try again."
        ) from None
    if not is_empty(places.data):
        raise EmbeddedServerError(
            f"There is a database in {places.data} already; move that folder away, or set "
            "KPAY_HOME to a new one."
        )


def _check_may_write(places: Places, path: Path, content: bytes) -> None:
    """A file that is there must be the same; only a password without its data is worth nothing."""
    if path != places.password and path.exists() and path.read_bytes() != content:
        raise EmbeddedServerError(
            f"{path} is another one than the backup's; move it away and try again."
        )


def _copy_data(places: Places, source: Places, say: Say) -> None:
    """Copy the data beside its place, in the hands of the server's user, proved and on the disk."""
    user = server_user(places.home, places.data)
    allow_passage(places.postgres, user)
    programs = usable_programs(places.postgres, user, say)
    check_version(source, programs)
    beside = _beside(places)
    if beside.exists():
        shutil.rmtree(beside)
    private_folder(beside, user)
    try:
        _copy_files(source.data, beside / "data", user, say)
        check(beside / "data", say)
        say("writing it to the disk")
        with Log(places) as log:
            sync = (programs.path("initdb"), "--sync-only", "-D", beside / "data")
            if user.run(sync, log.fileno())[0] != 0:
                raise failure(places, "written to the disk", log)
    except BaseException:
        shutil.rmtree(beside, ignore_errors=True)
        raise


def _copy_files(source: Path, target: Path, user: ServerUser, say: Say) -> None:
    files = [path for path in source.rglob("*") if path.is_file()]
    total = sum(path.stat().st_size for path in files)
    if shutil.disk_usage(target.parent).free < total + LEAST_FREE_BYTES:
        raise no_space(target.parent)
    told, copied = _Told("copying the database", say), 0
    private_folder(target, user)
    for folder in sorted(path for path in source.rglob("*") if path.is_dir()):
        private_folder(target / folder.relative_to(source), user)
    for path in files:
        made = target / path.relative_to(source)
        shutil.copyfile(path, made)
        made.chmod(0o600)
        os.chown(made, user.uid, user.gid)
        copied += path.stat().st_size
        told.reached(copied, total)


class _Told:
    """Says how far a long copy has come, at every tenth of the way."""

    def __init__(self, what: str, say: Say) -> None:
        self._what = what
        self._say = say
        self._tenths = -1

    def reached(self, done: int, total: int) -> None:
        tenths = min(10, done * 10 // max(total, 1))
        if tenths > self._tenths:
            self._tenths = tenths
            self._say(f"{self._what}: {tenths * 10} % of {max(total, 1) // _MEGABYTE:,} MB")


def _run(
    programs: Programs,
    name: str,
    arguments: Sequence[str | Path],
    environment: Mapping[str, str],
    line: Callable[[str], None],
) -> None:
    """Run one of PostgreSQL's client programs as ourselves; `line` hears what it says meanwhile.

    Raises EmbeddedServerError with its first complaint. Whatever ends us ends it too, with the
    process that it starts for the log.
    """
    process = subprocess.Popen(  # noqa: S603
        [str(programs.path(name)), *(str(argument) for argument in arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
        cwd="/",
        env={"LC_ALL": "C", "PATH": os.defpath, **environment},
        umask=0o077,
        start_new_session=True,
    )
    complaints = []
    try:
        assert process.stderr is not None  # noqa: S101 - it was asked for above
        for text in process.stderr:
            line(text)
            if found := re.search(r"(?:error|fatal|FATAL|ERROR|WARNING): +(.+)", text):
                complaints.append(found[1])
    except BaseException:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        raise
    finally:
        process.wait()
        if process.stderr is not None:
            process.stderr.close()
    if process.returncode != 0:
        reason = complaints[0] if complaints else f"it ended with {process.returncode}"
        raise EmbeddedServerError(f"{name}: {reason}.")
