"""The server as processes: whether one is running on our data, how it is started and stopped."""

from __future__ import annotations

import os
import signal
import socket
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import psutil  # type: ignore[import-untyped]

from kpay.database.embedded.log import Log, failure
from kpay.database.embedded.messages import Say
from kpay.database.embedded.places import LONGEST_SOCKET, SOCKET, Places, short_folder
from kpay.database.embedded.programs import Programs
from kpay.database.embedded.user import ServerUser

START_SECONDS = 60.0
ORPHAN_SECONDS = 10.0
POLL_SECONDS = 0.005

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
    # Without the rows that a constraint refused: they are merchants' and payers' own data.
    "log_error_verbosity": "terse",
    "log_timezone": "UTC",
    "timezone": "UTC",
}


@dataclass(frozen=True, slots=True)
class Postmaster:
    """A running server: the main process, which is 0 if we cannot see it, and what it says."""

    pid: int
    status: str
    socket_folder: Path

    @property
    def reachable(self) -> bool:
        return self.status == "ready" and (self.socket_folder / SOCKET).exists()


def running(places: Places) -> Postmaster | None:
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
    if not lines[4] or not (folder / SOCKET).exists():
        # The folder in the file is out of date when KPAY_HOME was moved.
        folder = places.postgres / "run"
    status = lines[7].strip()
    if _works_in(pid, places.data):
        return Postmaster(pid, status, folder)
    # A server in another container is out of sight, but it answers; a second one would destroy
    # the data.
    return Postmaster(0, status, folder) if _answers(folder) else None


@dataclass(frozen=True, slots=True)
class Plan:
    """What a start needs: who runs which programs, and where the socket goes."""

    user: ServerUser
    programs: Programs
    socket_folder: Path


def launch(places: Places, plan: Plan, log: Log, say: Say) -> int:
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
    for file in (places.data / "postmaster.pid", plan.socket_folder / f"{SOCKET}.lock"):
        file.unlink(missing_ok=True)
    log.mark()
    options = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
    postgres = plan.programs.path("postgres")
    background = '"$@" </dev/null >&2 & echo $!'
    server = [str(postgres), "-D", str(places.data), *options]
    _, output = plan.user.run(["/bin/sh", "-c", background, "sh", *server], log.fileno())
    return int(output)


def stop(places: Places) -> None:
    server = running(places)
    if server is None or server.pid == 0:
        return
    os.kill(server.pid, signal.SIGINT)  # A "fast" stop: connections are ended, data is saved.
    give_up = time.monotonic() + START_SECONDS
    while alive(server.pid) and time.monotonic() < give_up:
        time.sleep(POLL_SECONDS)
    if server.socket_folder == short_folder(places):
        with suppress(OSError):
            server.socket_folder.rmdir()


def wait_for_orphans(places: Places, log: Log, began: float, say: Say) -> None:
    """After a failed start: go on only if it failed for processes that are about to die.

    The processes of a server that was killed notice that after a moment; until then they use its
    shared memory, and PostgreSQL refuses to start beside them.
    """
    orphans = "pre-existing shared memory block" in log.added()
    if not orphans or time.monotonic() > began + ORPHAN_SECONDS:
        raise failure(places, "started", log)
    say("waiting for the processes of the old database to end")
    time.sleep(0.1)


def alive(pid: int) -> bool:
    # A dead process stays behind as a zombie where the first process of a container reaps late.
    try:
        return bool(psutil.Process(pid).status() != psutil.STATUS_ZOMBIE)
    except psutil.Error:
        return False


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
    address = str(folder / SOCKET)
    if len(os.fsencode(address)) > LONGEST_SOCKET:
        return False
    with socket.socket(socket.AF_UNIX) as client:
        client.settimeout(1)
        return client.connect_ex(address) == 0
