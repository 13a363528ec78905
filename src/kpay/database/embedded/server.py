"""The story of the server: a process attaches, the server is brought up, the last one stops it."""

from __future__ import annotations

import fcntl
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from io import FileIO
from pathlib import Path
from types import TracebackType
from urllib.parse import quote

from kpay.database.embedded.cluster import (
    PROGRAM_ROLE,
    ROLE,
    check_version,
    initialise,
    password_of,
)
from kpay.database.embedded.log import Log
from kpay.database.embedded.messages import (
    LEAST_FREE_BYTES,
    EmbeddedServerError,
    Say,
    explain,
    no_space,
)
from kpay.database.embedded.passage import allow_passage
from kpay.database.embedded.places import Places, is_empty, prepare_home, socket_folder
from kpay.database.embedded.private import open_private
from kpay.database.embedded.process import (
    POLL_SECONDS,
    START_SECONDS,
    Plan,
    alive,
    launch,
    running,
    stop,
    wait_for_orphans,
)
from kpay.database.embedded.programs import usable_programs
from kpay.database.embedded.user import server_user

LOCK_SECONDS = 60.0


class EmbeddedServer:
    """The PostgreSQL server that lives under KPAY_HOME, and our share in keeping it running."""

    def __init__(self, home: Path, folder: Path, password: str, share: FileIO) -> None:
        self._socket_folder = folder
        self.password = password
        self._places = Places(home)
        self._share = share

    @classmethod
    def attach(cls, home: Path, progress: Say | None = None) -> EmbeddedServer:
        """Use the server under `home`, starting it (and making it) when it is not running.

        `progress` is told of each stage that takes long. Raises EmbeddedServerError.
        """
        say: Say = progress or (lambda _: None)
        try:
            places = prepare_home(home)
            with start_lock(places, say):
                folder = _ensure_running(places, say)
                password = password_of(places)
                share = open_private(places.postgres / "users.lock")
                fcntl.flock(share, fcntl.LOCK_SH)
        except OSError as error:
            raise explain(home, error) from error
        return cls(places.home, folder, password, share)

    @property
    def url(self) -> str:
        """The owner's address: it may change the schema."""
        host = quote(str(self._socket_folder))
        return f"postgresql://{ROLE}:{self.password}@/{ROLE}?host={host}"

    @property
    def program_url(self) -> str:
        """The address of the role that the program runs as, once it was made."""
        return as_program(self.url)

    def revive(self, progress: Say | None = None) -> None:
        """Start the server again if it died while we have our share. Raises EmbeddedServerError."""
        say: Say = progress or (lambda _: None)
        try:
            with start_lock(self._places, say):
                _ensure_running(self._places, say)
        except OSError as error:
            raise explain(self._places.home, error) from error

    def release(self) -> None:
        """Give up our share; the last one to do so stops the server. A second call does nothing."""
        share = self._share
        if share.closed:
            return
        # The share ends before start.lock does, else the next one to release would still see it.
        # If start.lock cannot be had, the process that has it decides about the server.
        unable = suppress(EmbeddedServerError, OSError)
        with share, unable, start_lock(self._places, lambda _: None), share:
            fcntl.flock(share, fcntl.LOCK_EX | fcntl.LOCK_NB)
            stop(self._places)

    def __enter__(self) -> EmbeddedServer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()


def as_program(url: str) -> str:
    """A database of the embedded server, as its owner has it, for the role that the program has."""
    return url.replace(f"//{ROLE}:", f"//{PROGRAM_ROLE}:", 1)


def _ensure_running(places: Places, say: Say) -> Path:
    """Bring the server up if it is down; returns the folder of its socket once it is ready."""
    server = running(places)
    if server is not None and server.reachable:
        return server.socket_folder
    with Log(places) as log:
        plan: Plan | None = None
        pid: int | None = None
        began = time.monotonic()
        while time.monotonic() < began + START_SECONDS:
            server = running(places)
            if server is not None and server.reachable:
                return server.socket_folder
            if server is not None and server.status == "ready":
                # A cleaner of temporary files, or the end of a login, took the socket away.
                stop(places)
            if server is None and (pid is None or not alive(pid)):
                if pid is not None:
                    wait_for_orphans(places, log, began, say)
                plan = plan or _plan(places, log, say)
                pid = launch(places, plan, log, say)
            time.sleep(POLL_SECONDS)
    raise EmbeddedServerError(
        f"The database in {places.home} was not ready after {START_SECONDS:.0f} seconds; it may "
        f"still be recovering, so try again in a minute (see {places.log})."
    )


def _plan(places: Places, log: Log, say: Say) -> Plan:
    if shutil.disk_usage(places.postgres).free < LEAST_FREE_BYTES:
        raise no_space(places.home)
    user = server_user(places.home, places.data)
    allow_passage(places.postgres, user)
    programs = usable_programs(places.postgres, user, say)
    password = password_of(places)
    if is_empty(places.data):
        say("initialising the database")
        initialise(places, user, programs, log, password)
    check_version(places, programs)
    return Plan(user, programs, socket_folder(places, user))


@contextmanager
def start_lock(places: Places, say: Say) -> Iterator[None]:
    """Nobody else starts, stops or makes the database for as long as this lasts."""
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
