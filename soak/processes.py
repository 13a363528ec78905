"""The program's processes: how they are started, and which of them is killed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
from contextlib import ExitStack
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import psutil  # type: ignore[import-untyped]
from tests.system.program import STOP_SECONDS, Program, Server, alive, free_port, wait_for


class Shape(Enum):
    """How the program runs: as one, or the API and its workers apart."""

    WHOLE = "kpay serve"
    APART = "kpay api and kpay worker"


class Victim(Enum):
    """What is killed. The first three come back by themselves, the others are started again."""

    SERVER_PROCESS = "a process of the server"
    POSTMASTER = "PostgreSQL"
    BACKEND = "a process of PostgreSQL"
    SERVER = "the server"
    WORKER = "a worker"
    EVERYTHING = "everything at once"


@dataclass(frozen=True)
class Kill:
    """What is killed in a round, of a program that runs how, and after how many answers."""

    shape: Shape
    victim: Victim
    answers: int

    @classmethod
    def draw(cls, seed: str, number: int, answers: int) -> Kill:
        """The kill of a round; no more than `answers` come before it.

        Victims take turns, in an order of the seed's, so that few rounds still see every kind.
        """
        chance = random.Random(f"{seed} round {number}")
        kinds = [(shape, victim) for shape in Shape for victim in Victim if _has(shape, victim)]
        order = random.Random(f"{seed} order {number // len(kinds)}")
        order.shuffle(kinds)
        shape, victim = kinds[number % len(kinds)]
        return cls(shape, victim, chance.randint(1, answers))


def _has(shape: Shape, victim: Victim) -> bool:
    return shape is Shape.APART or victim is not Victim.WORKER


class Processes:
    """The program under one home, in one shape at a time. Leave it to stop everything."""

    def __init__(self, home: Path) -> None:
        # The sandbox waits a little, so that payouts are also caught between two questions.
        settings = {"KPAY_SANDBOX_DELAY": "0.3", "KPAY_LOG_LEVEL": "error"}
        self.program = Program(home, settings)
        self._home = home
        self._port = free_port()
        self._stack = ExitStack()
        self._server: Server | None = None
        self._workers: list[subprocess.Popen[bytes]] = []
        # What a kill hits, and what is left of a server without its main process.
        self._dying: list[psutil.Process] = []

    def __enter__(self) -> Processes:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._port}"

    def start(self, shape: Shape) -> None:
        self._start_server(shape)
        if shape is Shape.APART:
            self._workers = [self._new_worker() for _ in range(2)]

    def stop(self) -> list[int]:
        """Tell everything to end, and wait for it. Returns the exit codes."""
        processes = [*self._workers]
        if self._server is not None:
            processes.append(self._server.process)
        self._stack.close()
        self._server, self._workers = None, []
        return [process.returncode for process in processes]

    def kill(self, kill: Kill) -> None:
        """SIGKILL, at once."""
        server = psutil.Process(self._running_server.process.pid)
        serving = server.children(recursive=True)
        victims = self._victims(kill, server, serving)
        self._dying = [*victims, *serving]
        for process in victims:
            try:
                os.kill(process.pid, signal.SIGKILL)
            except ProcessLookupError:
                # It ended with another one that was killed a moment ago.
                continue

    def start_again(self, kill: Kill) -> None:
        """Start what nothing in the program starts again by itself; a restarting service would."""
        if kill.victim is Victim.WORKER:
            self._workers = [*self._workers[1:], self._new_worker()]
        elif kill.victim in (Victim.SERVER, Victim.EVERYTHING):
            # What is left of a server ends by itself, or it would hold the port.
            wait_for(lambda: not any(map(alive, self._dying)), STOP_SECONDS)
            self._start_server(kill.shape)
            if kill.victim is Victim.EVERYTHING and kill.shape is Shape.APART:
                self._workers = [self._new_worker() for _ in range(2)]

    def _start_server(self, shape: Shape) -> None:
        command = "serve" if shape is Shape.WHOLE else "api"
        options = ("--workers", "2")
        self._server = self._stack.enter_context(
            self.program.serving(command, *options, port=self._port)
        )

    def _new_worker(self) -> subprocess.Popen[bytes]:
        return self._stack.enter_context(self.program.working())

    def _victims(
        self, kill: Kill, server: psutil.Process, serving: list[psutil.Process]
    ) -> list[psutil.Process]:
        postmaster = psutil.Process(self.postmaster)
        workers = [psutil.Process(worker.pid) for worker in self._workers]
        chance = random.Random(kill.answers)
        match kill.victim:
            case Victim.SERVER:
                return [server]
            case Victim.SERVER_PROCESS:
                return [chance.choice(_answering(serving))]
            case Victim.WORKER:
                return workers[:1]
            case Victim.POSTMASTER:
                return [postmaster]
            case Victim.BACKEND:
                return [chance.choice(postmaster.children())]
            case Victim.EVERYTHING:
                return [server, *serving, *workers, postmaster, *postmaster.children()]

    @property
    def postmaster(self) -> int:
        """The number of PostgreSQL's main process."""
        file = self._home / "postgres" / "data" / "postmaster.pid"
        return int(file.read_text().split()[0])

    @property
    def _running_server(self) -> Server:
        if self._server is None:
            raise RuntimeError("the server was not started")
        return self._server


def _answering(children: list[psutil.Process]) -> list[psutil.Process]:
    """Those that answer requests; Python's own helper among them does not."""
    return [child for child in children if "resource_tracker" not in " ".join(child.cmdline())]
