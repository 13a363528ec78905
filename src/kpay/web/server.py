"""The server: Granian's processes around the application, started and drained as one."""

from __future__ import annotations

import ctypes
import gc
import os
import shutil
import signal
import socket
import sys
import tempfile
from contextlib import closing
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from granian import Granian
from granian.constants import HTTPModes, Interfaces, Loops
from granian.http import HTTP1Settings

from kpay.access.secret import load_secret
from kpay.settings import Settings

_DRAIN_SECONDS = 20

# What a connection may take before it is closed: seconds until a request's head is there, which is
# also how long one may be idle, and how much of what it sends is held at once. A body has bounds of
# its own, in reading.py.
_HEADERS_WITHIN_SECONDS = 30
_MOST_HEAD_BYTES = 65_536

# Where the processes of one server share their counters. prometheus_client reads it when it is
# imported, so it is set before kpay.metrics is, and that is why this module does not import it.
_METRICS_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"
_SERVER_VARIABLE = "KPAY_SERVER_PID"

_ENDING = (signal.SIGTERM, signal.SIGINT)
# Beside the counters: that the server was told to end.
_MARK = "ending"


class ServerError(Exception):
    """The server cannot start; the message says why and what to change."""


def check_port(host: str, port: int) -> None:
    """Say now, in one sentence, what would otherwise fail after everything else was started."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with closing(socket.socket(family, socket.SOCK_STREAM)) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except PermissionError:
            raise ServerError(
                f"Port {port} needs an administrator's rights: choose one above 1023 with --port."
            ) from None
        except (OSError, OverflowError) as problem:
            reason = problem.strerror if isinstance(problem, OSError) else str(problem)
            raise ServerError(
                f"Cannot listen on {host}:{port} ({reason}): another program may use it; stop that "
                "one or choose another port with --port."
            ) from None


def stop_with_parent() -> None:
    """Have the kernel kill this worker process when the server's own process is killed.

    Otherwise it would go on holding the port and the database while the server is started again. It
    is not asked to end: in the moment between its start-up and its first request it would hear that
    and serve on, and nobody is left to insist.
    """
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None, use_errno=True).prctl(pr_set_pdeathsig, signal.SIGKILL)
    # It may have been killed before we asked.
    if os.getppid() != int(os.environ.get(_SERVER_VARIABLE, os.getppid())):
        sys.exit("the server's own process has ended")


def is_ending() -> bool:
    """Whether the server whose process this is was told to end.

    It is drained then, and waits for every answer: one that would go on has to know.
    """
    folder = os.environ.get(_METRICS_VARIABLE)
    return folder is not None and Path(folder, _MARK).exists()


def _note_the_end(folder: str) -> None:
    """Have the server note where its processes can see it that it was told to end."""
    for number in _ENDING:
        before = signal.getsignal(number)

        def noted(received: int, frame: FrameType | None, before: Any = before) -> None:
            Path(folder, _MARK).touch()
            before(received, frame)

        signal.signal(number, noted)


def _let_starting_processes_end() -> None:
    """Have a process that was forked a moment ago end when it is told to.

    Until Granian has set the handlers of its worker it would have those of the server, which only
    note that it is to end: it would serve on, and be killed when the drain is over. It has accepted
    nothing, so it just dies. The signals wait while it is forked, so that none comes in between.
    """
    if not hasattr(os, "register_at_fork"):
        return

    def begin() -> None:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        # Ctrl-C is the whole terminal's: the server hears it too, and tells its processes.
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        go_on()

    def go_on() -> None:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _ENDING)

    os.register_at_fork(
        before=lambda: signal.pthread_sigmask(signal.SIG_BLOCK, _ENDING),
        after_in_parent=go_on,
        after_in_child=begin,
    )


def public_url(settings: Settings, port: int) -> str:
    """The operator's own, or else this machine's at the port that is served."""
    if settings.public_url != Settings.public_url:
        return settings.public_url
    return f"http://localhost:{port}"


def serve(settings: Settings, *, host: str, port: int, workers: int, drive_work: bool) -> None:
    """Serve until SIGTERM or SIGINT, then finish what was accepted. `settings` has its database."""
    folder = tempfile.mkdtemp(prefix="kpay-metrics-")
    # The worker processes read their settings from the environment, as any start does.
    os.environ.update(
        {
            "KPAY_HOME": str(settings.home),
            "KPAY_DATABASE_URL": settings.database_url or "",
            "KPAY_SECRET": load_secret(settings.home, settings.secret),
            "KPAY_DRIVE_WORK": "1" if drive_work else "0",
            "KPAY_PUBLIC_URL": public_url(settings, port),
            _METRICS_VARIABLE: folder,
            _SERVER_VARIABLE: str(os.getpid()),
        }
    )
    _let_starting_processes_end()
    try:
        server = Granian(
            "kpay.app:asgi",
            factory=True,
            address=host,
            port=port,
            interface=Interfaces.ASGI,
            loop=Loops.uvloop,
            workers=workers,
            workers_kill_timeout=_DRAIN_SECONDS,
            respawn_failed_workers=True,
            websockets=False,
            # A reverse proxy speaks HTTP/1.1 to us; what nobody needs, nobody can abuse.
            http=HTTPModes.http1,
            http1_settings=HTTP1Settings(
                header_read_timeout=_HEADERS_WITHIN_SECONDS * 1_000,
                max_buffer_size=_MOST_HEAD_BYTES,
            ),
            log_enabled=settings.log_level == "debug",
        )
        # The workers are forked from here. What they inherit stays shared with them while no
        # collector walks over it and writes into each object's head.
        gc.collect()
        gc.freeze()
        # When this is called, Granian has set its own handlers.
        server.on_startup(partial(_note_the_end, folder))
        server.serve()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
