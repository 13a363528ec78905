"""What happened, line by line: hashed, to compare two runs; its end kept, to be read."""

from __future__ import annotations

import hashlib
from collections import deque

MOST_KEPT = 40


class Transcript:
    """Every turn and every operation in their order. A turn is hashed, an operation also kept."""

    def __init__(self) -> None:
        self._hash = hashlib.sha256()
        self._last: deque[str] = deque(maxlen=MOST_KEPT)
        self.step = 0

    def turn(self, line: str) -> None:
        self._hash.update(f"{self.step} {line}\n".encode())

    def operation(self, line: str) -> None:
        self.turn(line)
        self._last.append(f"{self.step:>5}  {line}")

    @property
    def digest(self) -> str:
        return self._hash.hexdigest()

    @property
    def tail(self) -> list[str]:
        """The last operations, each with its step."""
        return list(self._last)
