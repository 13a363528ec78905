"""New identifiers, as the database driver's own UUID: made, hashed and spelled without Python.

It is a `uuid.UUID` to everything else. On the request path a handful of them are made and written
for each operation, at a tenth of what the standard library's takes.
"""

from __future__ import annotations

import os
import time
from uuid import UUID

from asyncpg.pgproto import pgproto

_RANDOM_BYTES = 8
_BUFFER = 512 * _RANDOM_BYTES


class SystemIds:
    """Identifiers from the system's clock and its secure random source."""

    def __init__(self) -> None:
        self._last_ms = 0
        self._counter = 0
        self._random = b""
        self._used = 0
        # A forked process must not go on with the bytes that its parent has fetched.
        self._owner = 0

    def uuid(self) -> UUID:
        """A UUIDv7 (RFC 9562). Within one process each is greater than the one before."""
        random = self._draw()
        now_ms = time.time_ns() // 1_000_000
        if now_ms > self._last_ms:
            # The counter begins in the lower half, so that it seldom runs over.
            self._last_ms, self._counter = now_ms, random >> 53
        else:
            self._counter += 1
            if self._counter > 0xFFF:
                self._last_ms, self._counter = self._last_ms + 1, 0
        value = self._last_ms << 80 | 0x7 << 76 | self._counter << 64 | 0b10 << 62
        return pgproto.UUID((value | random & (1 << 62) - 1).to_bytes(16))

    def _draw(self) -> int:
        """64 random bits, fetched from the system a few thousand at a time."""
        if self._used == len(self._random) or self._owner != os.getpid():
            self._random, self._used, self._owner = os.urandom(_BUFFER), 0, os.getpid()
        start = self._used
        self._used = start + _RANDOM_BYTES
        return int.from_bytes(self._random[start : self._used])
