"""The real program, as a person starts it: a command, its output, its processes."""

from __future__ import annotations

import itertools
import json
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

import psutil  # type: ignore[import-untyped]

# Bounds, not expectations: a healthy program needs a fraction of them, a starved machine a part.
START_SECONDS = 120
STOP_SECONDS = 120
COMMAND_SECONDS = 180
ANSWER_SECONDS = 60
# What a fresh shell has.
_KEPT = ("PATH", "HOME", "LANG", "TMPDIR")
# Each has ports of its own.
_MOST_WORKERS = 16
# Of what a program said; more than it says before it is ready.
_MOST_READ = 65_536


@dataclass(frozen=True)
class Program:
    """The `kpay` command with its own home."""

    home: Path
    extra: Mapping[str, str]
    log: Path | None = None
    """Where what its servers say is kept; nowhere unless a test looks at it."""

    @property
    def environment(self) -> dict[str, str]:
        """Only what a fresh shell would have, so that nothing of the run's own leaks in.

        A merchant here calls as often as a test, a load or a fuzzer wants, unless one says not.
        """
        kept = {name: os.environ[name] for name in _KEPT if name in os.environ}
        source = str(Path(__file__).parents[2] / "src")
        ours = {"PYTHONPATH": source, "KPAY_HOME": str(self.home), "KPAY_RATE_LIMIT": "0"}
        return {**kept, **ours, **self.extra}

    def run(
        self, *words: str, seconds: float = COMMAND_SECONDS
    ) -> subprocess.CompletedProcess[str]:
        """Run a command to its end."""
        return subprocess.run(
            self._command(*words),
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
            stdin=subprocess.DEVNULL,
            check=False,
        )

    def json(self, *words: str) -> Any:
        """Run a command that prints JSON, and read it."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    @contextmanager
    def serving(
        self, command: str = "serve", *options: str, port: int | None = None
    ) -> Iterator[Server]:
        """A server that answers, stopped at the end however the test ends."""
        port = free_port() if port is None else port
        with self.started(command, "--port", str(port), *options) as process:
            server = Server(process, port)
            server.wait_until_ready()
            yield server

    @contextmanager
    def working(self) -> Iterator[subprocess.Popen[bytes]]:
        """`kpay worker` once it drives, stopped at the end."""
        with tempfile.TemporaryFile() as said, self.started("worker", stderr=said) as process:

            def drives() -> bool:
                words = os.pread(said.fileno(), _MOST_READ, 0)
                assert process.poll() is None, words.decode()
                return b"Driving" in words

            wait_for(drives, START_SECONDS)
            yield process

    @contextmanager
    def started(
        self, *words: str, stderr: IO[bytes] | None = None
    ) -> Iterator[subprocess.Popen[bytes]]:
        """A command that goes on, stopped at the end."""
        with open(self.log or os.devnull, "ab") as said:
            process = subprocess.Popen(
                self._command(*words),
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=said if stderr is None else stderr,
            )
        try:
            yield process
        finally:
            if process.poll() is None:
                process.terminate()
            process.wait(STOP_SECONDS)

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "kpay", *words]


@dataclass(frozen=True)
class Server:
    process: subprocess.Popen[bytes]
    port: int

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def wait_until_ready(self) -> None:
        wait_for(self._is_ready, START_SECONDS)

    def request(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Any]:
        """Status and JSON (or text) of an answer."""
        status, _, read = self.answer(method, path, body, headers)
        return status, read

    def answer(
        self, method: str, path: str, body: object = None, headers: Mapping[str, str] | None = None
    ) -> tuple[int, Mapping[str, str], Any]:
        """Status, headers and JSON (or text) of an answer."""
        request = urllib.request.Request(  # noqa: S310 - it is this server's own address
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Content-Type": "application/json", **(headers or {})},
        )
        try:
            with urllib.request.urlopen(request, timeout=ANSWER_SECONDS) as answer:  # noqa: S310
                return answer.status, dict(answer.headers), _read(answer.read())
        except urllib.error.HTTPError as problem:
            with problem:
                return problem.code, dict(problem.headers), _read(problem.read())

    def stop(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and wait for the end. Returns the exit code."""
        self.process.send_signal(number)
        return self.process.wait(STOP_SECONDS)

    def _is_ready(self) -> bool:
        assert self.process.poll() is None, "the server ended before it was ready"
        try:
            return self.request("GET", "/readyz")[0] == 200
        except OSError:
            return False


def wait_for(condition: Any, seconds: float) -> None:
    """Look again and again until another process has got so far; bounded."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, f"nothing came of it in {seconds} seconds"
        time.sleep(0.02)


def alive(process: psutil.Process) -> bool:
    """Whether it still runs: one that ended and was not yet waited for does not."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


def _own_ports() -> Iterator[int]:
    """Ports that no other process of the run tries, each once in a long while.

    They lie below those that a system gives to whoever connects: one of those could be taken by a
    connection in the moment before the program listens on it.
    """
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
    own = range(10_000 + worker % _MOST_WORKERS, 32_000, _MOST_WORKERS)
    return itertools.islice(itertools.cycle(own), os.getpid() % len(own), None)


_ports = _own_ports()


def free_port() -> int:
    """A port that nobody listens on."""
    for port in _ports:
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise AssertionError("the ports have no end")


def key_headers(pair: Mapping[str, str]) -> dict[str, str]:
    return {"X-API-Key": pair["apiKey"], "X-Secret-Key": pair["secretKey"]}


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode()
