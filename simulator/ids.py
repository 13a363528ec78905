"""Identifiers from a seed, each greater than the one before, as the real ones are."""

from __future__ import annotations

from random import Random
from uuid import UUID


class SeededIds:
    """UUIDs by their form: a number that counts up, and random bits."""

    def __init__(self, random: Random) -> None:
        self._random = random
        self._last = 0

    def uuid(self) -> UUID:
        return self._made(version=7)

    def reference(self) -> UUID:
        """Of version 4 by its form; it grows too, for whoever reads a transcript."""
        return self._made(version=4)

    def _made(self, version: int) -> UUID:
        self._last += 1
        head = self._last << 80 | version << 76 | 0b10 << 62
        # The low 24 bits are the number, so that a transcript can name it in short.
        return UUID(int=head | self._random.getrandbits(36) << 24 | self._last)
