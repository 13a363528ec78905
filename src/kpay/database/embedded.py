"""The PostgreSQL server that lives under KPAY_HOME.

`EmbeddedServer.attach` starts it or finds it running; `release` stops it when nobody else uses it.
Every decision to start or stop is made while `start.lock` is held, and every process that uses the
server holds a share of `users.lock`. The kernel drops both when a process dies, however it dies,
so nothing on disk can say that a process is there which is not. Passwords are always asked for,
and the server listens on a Unix socket only.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import re
import secrets
import shutil
import signal
import socket
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from io import FileIO
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

import psutil  # type: ignore[import-untyped]

from kpay.database.embedded_user import (
    EmbeddedServerError,
    Programs,
    Say,
    ServerUser,
    allow_passage,
    hand_over,
    open_private,
    private_folder,
    server_user,
    usable_programs,
)

__all__ = ["EmbeddedServer", "EmbeddedServerError"]

LOCK_SECONDS = 60.0
START_SECONDS = 60.0
ORPHAN_SECONDS = 10.0
POLL_SECONDS = 0.005
LEAST_FREE_BYTES = 100 * 1024 * 1024
LARGEST_LOG_BYTES = 10 * 1024 * 1024

_ROLE = "kpay"
_SOCKET = ".s.PGSQL.5432"
# The address of a Unix socket is a fixed field of 108 bytes (104 on macOS) that ends with a zero.
_LONGEST_SOCKET = 103 if sys.platform == "darwin" else 107

# Given on the command line at every start, so a new version of this program brings its own.
_SETTINGS = {
    "listen_addresses": "",
    "port": "5432",
    "unix_socket_permissions": "0700",
    "max_connections": "100",
    "shared_buffers": "64MB",
    "max_wal_size": "1GB",
    # The programs in the package are built without lz4.
    "wal_compression": "pglz",
    "jit": "off",
    "log_min_messages": "warning",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class _Places:
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


class EmbeddedServer:
    """The PostgreSQL server that lives under KPAY_HOME, and our share in keeping it running."""

    def __init__(self, home: Path, url: str, share: FileIO) -> None:
        self.url = url
        self._places = _Places(home)
        self._share = share

    @classmethod
    def attach(cls, home: Path, progress: Say | None = None) -> EmbeddedServer:
        """Use the server under `home`, starting it (and making it) when it is not running.

        `progress` is told of each stage that takes long. Raises EmbeddedServerError.
        """
        say: Say = progress or (lambda _: None)
        try:
            places = _prepare_home(home)
            with _start_lock(places, say):
                folder = _ensure_running(places, say)
                url = f"postgresql://{_ROLE}:{_password(places)}@/{_ROLE}?host={quote(str(folder))}"
                share = open_private(places.postgres / "users.lock")
                fcntl.flock(share, fcntl.LOCK_SH)
        except OSError as error:
            raise _explain(home, error) from error
        return cls(places.home, url, share)

    def release(self) -> None:
        """Give up our share; the last one to do so stops the server. A second call does nothing."""
        share = self._share
        if share.closed:
            return
        # The share ends before start.lock does, else the next one to release would still see it.
        # If start.lock cannot be had, the process that has it decides about the server.
        unable = suppress(EmbeddedServerError, OSError)
        with share, unable, _start_lock(self._places, lambda _: None), share:
            fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _stop(self._places)

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


# --- The folder and its files --------------------------------------------------------------------


def _prepare_home(home: Path) -> _Places:
    if home.exists() and not home.is_dir():
        raise EmbeddedServerError(f"{home} is a file; set KPAY_HOME to a folder.")
    home.mkdir(mode=0o700, parents=True, exist_ok=True)
    owner = home.stat().st_uid
    if os.geteuid() not in (0, owner):
        raise EmbeddedServerError(
            f"{home} belongs to another user (number {owner}); run as that user or set KPAY_HOME "
            "to a folder of your own."
        )
    places = _Places(home.resolve())
    with suppress(FileExistsError):
        places.postgres.mkdir(mode=0o700)
        hand_over(places.postgres)
    return places


def _password(places: _Places) -> str:
    """The password of our role, made before the database is."""
    with suppress(FileNotFoundError):
        if password := places.password.read_text().strip():
            return password
    if not _is_empty(places.data):
        raise EmbeddedServerError(
            f"The password of the database is gone from {places.password}; restore that file from "
            "a backup."
        )
    password = secrets.token_urlsafe(32)
    new = places.password.with_suffix(".new")
    new.unlink(missing_ok=True)
    with open_private(new) as file:
        file.write(password.encode())
        os.fsync(file)
    new.replace(places.password)
    return password


def _is_empty(folder: Path) -> bool:
    return not folder.exists() or not any(folder.iterdir())


@contextmanager
def _start_lock(places: _Places, say: Say) -> Iterator[None]:
    with open_private(places.postgres / "start.lock") as file:
        give_up = time.monotonic() + LOCK_SECONDS
        waiting = False
        while not _locked(file):
            if not waiting:
                say("waiting for another process to start or stop the database")
            waiting = True
            if time.monotonic() > give_up:
                raise EmbeddedServerError(
                    f"Another process has been starting or stopping the database in {places.home} "
                    f"for {LOCK_SECONDS:.0f} seconds; end that process and try again."
                )
            time.sleep(POLL_SECONDS)
        yield


def _locked(file: FileIO) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


class _Log:
    """The server's log, and what was added to it since `mark` was called."""

    def __init__(self, places: _Places) -> None:
        with suppress(FileNotFoundError):
            if places.log.stat().st_size > LARGEST_LOG_BYTES:
                places.log.replace(places.log.with_suffix(".log.old"))
        self.path = places.log
        self._file = open_private(places.log)
        self.mark()

    def __enter__(self) -> _Log:
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


# --- What went wrong, in one sentence ------------------------------------------------------------


def _explain(home: Path, error: OSError) -> EmbeddedServerError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return _no_space(home)
    place, reason = error.filename or home, error.strerror or error
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return EmbeddedServerError(
            f"{place} cannot be used ({reason}); make it writable for this user or set KPAY_HOME "
            "to a folder of your own."
        )
    return EmbeddedServerError(f"{place} cannot be used ({reason}); set KPAY_HOME elsewhere.")


def _no_space(home: Path) -> EmbeddedServerError:
    return EmbeddedServerError(
        f"There is no space left for the database in {home}; free at least "
        f"{LEAST_FREE_BYTES // 1024**2} MB or set KPAY_HOME to a folder on another disk."
    )


def _failure(places: _Places, what: str, log: _Log) -> EmbeddedServerError:
    """The last complaint in the log, as one sentence."""
    text = log.added()
    if "No space left on device" in text or "Disk quota exceeded" in text:
        return _no_space(places.home)
    complaints = re.findall(r"(?:FATAL|PANIC|ERROR|error): +(.+)", text)
    # What goes wrong before the log is set up, as a library that is missing, has no date.
    undated = re.findall(r"^(?!\d{4}-)(.+)", text, re.MULTILINE)
    reason = (complaints or undated or ["it was ended from outside; try again"])[-1]
    return EmbeddedServerError(f"The database could not be {what}: {reason} (see {log.path}).")


# --- Is it running? ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Postmaster:
    """A running server: the main process, which is 0 if we cannot see it, and what it says."""

    pid: int
    status: str
    socket_folder: Path

    @property
    def reachable(self) -> bool:
        return self.status == "ready" and (self.socket_folder / _SOCKET).exists()


def _running(places: _Places) -> _Postmaster | None:
    """The server that runs on our data, or None. A file that is left of an old one is seen through.

    After a restart of the computer the number in postmaster.pid may belong to any process, so that
    one must also be a PostgreSQL that works inside our data.
    """
    try:
        lines = os.fsdecode((places.data / "postmaster.pid").read_bytes()).split("\n")
        # A single-user PostgreSQL writes its number with a minus sign.
        pid = abs(int(lines[0]))
    except (FileNotFoundError, IndexError, ValueError):
        return None
    lines += [""] * 8
    folder = Path(lines[4])
    if not lines[4] or not (folder / _SOCKET).exists():
        # The folder in the file is out of date when KPAY_HOME was moved.
        folder = places.postgres / "run"
    status = lines[7].strip()
    if _works_in(pid, places.data):
        return _Postmaster(pid, status, folder)
    # A server in another container is out of sight, but it answers; a second one would destroy
    # the data.
    return _Postmaster(0, status, folder) if _answers(folder) else None


def _works_in(pid: int, data: Path) -> bool:
    try:
        process = psutil.Process(pid)
        if process.status() == psutil.STATUS_ZOMBIE:
            return False
        # The server changes into its data and stays there, wherever that is moved to.
        return process.name() == "postgres" and os.path.samefile(process.cwd(), data)
    except (psutil.Error, OSError):
        return False


def _answers(folder: Path) -> bool:
    address = str(folder / _SOCKET)
    if len(os.fsencode(address)) > _LONGEST_SOCKET:
        return False
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        return client.connect_ex(address) == 0


def _alive(pid: int) -> bool:
    # A dead process stays behind as a zombie where the first process of a container reaps late.
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


# --- Starting and stopping -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Plan:
    """What a start needs: who runs which programs, and where the socket goes."""

    user: ServerUser
    programs: Programs
    socket_folder: Path


def _ensure_running(places: _Places, say: Say) -> Path:
    """Bring the server up if it is down; returns the folder of its socket once it is ready."""
    server = _running(places)
    if server is not None and server.reachable:
        return server.socket_folder
    with _Log(places) as log:
        plan: _Plan | None = None
        pid: int | None = None
        began = time.monotonic()
        while time.monotonic() < began + START_SECONDS:
            server = _running(places)
            if server is not None and server.reachable:
                return server.socket_folder
            if server is not None and server.status == "ready":
                # A cleaner of temporary files, or the end of a login, took the socket away.
                _stop(places)
            if server is None and (pid is None or not _alive(pid)):
                if pid is not None:
                    _wait_for_orphans(places, log, began, say)
                plan = plan or _plan(places, log, say)
                pid = _launch(places, plan, log, say)
            time.sleep(POLL_SECONDS)
    raise EmbeddedServerError(
        f"The database in {places.home} was not ready after {START_SECONDS:.0f} seconds; it may "
        f"still be recovering, so try again in a minute (see {places.log})."
    )


def _wait_for_orphans(places: _Places, log: _Log, began: float, say: Say) -> None:
    """After a failed start: go on only if it failed for processes that are about to die.

    The processes of a server that was killed notice that after a moment; until then they use its
    shared memory, and PostgreSQL refuses to start beside them.
    """
    orphans = "pre-existing shared memory block" in log.added()
    if not orphans or time.monotonic() > began + ORPHAN_SECONDS:
        raise _failure(places, "started", log)
    say("waiting for the processes of the old database to end")
    time.sleep(0.1)


def _plan(places: _Places, log: _Log, say: Say) -> _Plan:
    if shutil.disk_usage(places.postgres).free < LEAST_FREE_BYTES:
        raise _no_space(places.home)
    user = server_user(places.home, places.data)
    allow_passage(places.postgres, user)
    programs = usable_programs(places.postgres, user, say)
    password = _password(places)
    if _is_empty(places.data):
        say("initialising the database")
        _initialise(places, user, programs, log, password)
    _check_version(places, programs)
    return _Plan(user, programs, _socket_folder(places, user))


def _initialise(
    places: _Places, user: ServerUser, programs: Programs, log: _Log, password: str
) -> None:
    """Make the data beside its place; it is moved there when it is whole and on the disk."""
    new = places.postgres / "data.new"
    if new.exists():
        shutil.rmtree(new)
    private_folder(new, user)
    data, password_file = new / "data", new / "password"
    with open_private(password_file) as file:
        file.write(password.encode())
    os.chown(password_file, user.uid, user.gid)
    options = (
        *("--username", _ROLE, "--auth", "scram-sha-256", "--pwfile", password_file),
        *("--encoding", "UTF8", "--locale", "C"),
        *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        *("--no-sync", "--no-instructions", "--no-clean"),
    )
    single = ("--single", "-D", data, "-c", "exit_on_error=on", "template1")
    for program, arguments, text in (
        ("initdb", (*options, "-D", data), ""),
        ("postgres", single, f"create database {_ROLE} strategy file_copy\n"),
        ("initdb", ("--sync-only", "-D", data), ""),
    ):
        code, _ = user.run([programs.path(program), *arguments], log.fileno(), text)
        if code != 0:
            shutil.rmtree(new, ignore_errors=True)
            raise _failure(places, "initialised", log)
    password_file.unlink()
    data.rename(places.data)
    folder = os.open(places.postgres, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)
    shutil.rmtree(new)


def _check_version(places: _Places, programs: Programs) -> None:
    try:
        version = (places.data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedServerError(
            f"{places.data} holds something else than a database; move it away and try again."
        ) from None
    if version != programs.major:
        raise EmbeddedServerError(
            f"The database in {places.data} was made by PostgreSQL {version} and this program "
            f"brings PostgreSQL {programs.major}; use the version of kpay that made it, or set "
            "KPAY_HOME to a new folder and restore a backup there."
        )


def _socket_folder(places: _Places, user: ServerUser) -> Path:
    """`run` beside the data, or a short folder of ours where that name is too long or unusual."""
    folder = places.postgres / "run"
    # A comma separates folders both in PostgreSQL's setting and in a database URL.
    plain = re.fullmatch(r"[\w/.+ @~-]+", str(folder), re.ASCII)
    if not plain or len(os.fsencode(folder / _SOCKET)) > _LONGEST_SOCKET:
        folder = _short_folder(places)
    private_folder(folder, user)
    return folder


def _short_folder(places: _Places) -> Path:
    base = Path(os.environ.get("XDG_RUNTIME_DIR") or "/tmp")  # noqa: S108
    # Root's own runtime folder is closed to the user that the server runs as.
    if os.geteuid() == 0 or not base.is_dir() or len(os.fsencode(base)) > 60:
        base = Path("/tmp")  # noqa: S108
    return base / f"kpay-{hashlib.sha256(os.fsencode(places.home)).hexdigest()[:16]}"


def _launch(places: _Places, plan: _Plan, log: _Log, say: Say) -> int:
    """Start the server and return its number; it may yet fail, or take a while to be ready.

    The shell starts it in the background and ends, so it is nobody's child: it outlives us, and
    nobody has to wait for it. This is pg_ctl without its waits of a tenth of a second.
    """
    say("starting the database")
    settings = {**_SETTINGS, "unix_socket_directories": str(plan.socket_folder)}
    if plan.programs.has_library("pg_stat_statements"):
        settings["shared_preload_libraries"] = "pg_stat_statements"
    # PostgreSQL removes these itself unless their number belongs to a new process by now. Nobody
    # else can be starting, for we hold start.lock, and the shared memory still shows PostgreSQL
    # any process that an old server left behind.
    for file in (places.data / "postmaster.pid", plan.socket_folder / f"{_SOCKET}.lock"):
        file.unlink(missing_ok=True)
    log.mark()
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    postgres = plan.programs.path("postgres")
    background = '"$@" </dev/null >&2 & echo $!'
    server = [str(postgres), "-D", str(places.data), *options]
    _, output = plan.user.run(["/bin/sh", "-c", background, "sh", *server], log.fileno())
    return int(output)


def _stop(places: _Places) -> None:
    server = _running(places)
    if server is None or server.pid == 0:
        return
    os.kill(server.pid, signal.SIGINT)  # A "fast" stop: connections are ended, data is saved.
    give_up = time.monotonic() + START_SECONDS
    while _alive(server.pid) and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS)
    if server.socket_folder == _short_folder(places):
        with suppress(OSError):
            server.socket_folder.rmdir()
