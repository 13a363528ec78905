"""A merchant's server that takes every webhook and does nothing with it, so as to take little time.

`python -m bench.receiver PORT` answers a POST with 204, and a GET with how many there were.
"""

from __future__ import annotations

import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from granian import Granian
from granian.constants import Interfaces, Loops
from tests.system.program import START_SECONDS, STOP_SECONDS, free_port, wait_for

_taken = 0


async def take(scope: Any, protocol: Any) -> None:
    """One request, as Granian's own interface has it."""
    global _taken
    if scope.method == "POST":
        await protocol()
        _taken += 1
        protocol.response_empty(204, [])
    else:
        protocol.response_str(200, [("content-type", "text/plain")], str(_taken))


class Receiver:
    """A running one, from the side of who waits for its webhooks."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}/webhooks"

    def taken(self) -> int:
        """How many webhooks it has answered."""
        with urllib.request.urlopen(self.url, timeout=START_SECONDS) as answer:
            return int(answer.read())

    def answers(self) -> bool:
        try:
            return self.taken() >= 0
        except OSError:
            return False


@contextmanager
def receiving() -> Iterator[Receiver]:
    """A receiver in a process of its own, until the end."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.receiver", str(port)], stdin=subprocess.DEVNULL
    )
    try:
        receiver = Receiver(port)
        wait_for(receiver.answers, START_SECONDS)
        yield receiver
    finally:
        process.terminate()
        process.wait(STOP_SECONDS)


def main() -> None:
    Granian(
        "bench.receiver:take",
        address="127.0.0.1",
        port=int(sys.argv[1]),
        interface=Interfaces.RSGI,
        loop=Loops.uvloop,
        websockets=False,
        log_enabled=False,
    ).serve()


if __name__ == "__main__":
    main()
