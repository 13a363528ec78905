"""The rules of the Idempotency-Key: what one looks like, what is the same request, what is kept."""

from __future__ import annotations

import hashlib
from datetime import timedelta
from uuid import UUID

import msgspec

from kpay.core.refusals import ANSWERS, Code, Refusal

LONGEST_KEY = 255

# How long an attempt has its request to itself. It is longer than any request takes; one that takes
# longer all the same finds that it was overtaken, and commits nothing.
HOLD = timedelta(seconds=30)

# How long an answer is kept. A day is usual; after a weekend somebody may find out on Monday.
KEEP = timedelta(hours=72)

_SERVER_ERROR = 500
# Not for the request but for the moment.
_PASSING = frozenset({Code.IDEMPOTENCY_IN_PROGRESS, Code.RATE_LIMITED})


class Stored(msgspec.Struct, frozen=True):
    """The first answer of a key, as it was sent."""

    status: int
    body: bytes


class Known(msgspec.Struct, frozen=True):
    """What there is of a key that somebody else holds: `answer` is None while there is none."""

    fingerprint: bytes
    operation_id: UUID
    answer: Stored | None


def read_key(text: str) -> str:
    """The key of a header: up to 255 printable characters of ASCII, as they are.

    Refuses: invalid_idempotency_key.
    """
    key = text.strip()
    if not 1 <= len(key) <= LONGEST_KEY or not key.isascii() or not key.isprintable():
        raise Refusal(
            Code.INVALID_IDEMPOTENCY_KEY,
            f"Idempotency-Key must be 1 to {LONGEST_KEY} printable characters, such as a UUID.",
        )
    return key


def fingerprint_of(method: str, path: str, body: bytes) -> bytes:
    """Tells one request from another: its method, its address and its body, byte for byte."""
    return hashlib.sha256(f"{method} {path}\n".encode() + body).digest()


def is_final(refusal: Refusal) -> bool:
    """Whether a refusal is the answer for as long as the key is kept.

    Every refusal that blames the request, once it was being carried out: who was told that nothing
    was done must be able to rely on it, even if a copy of the request arrives later when it could
    be done. What is our own trouble is no answer, and the request can be sent again.
    """
    return refusal.code not in _PASSING and ANSWERS[refusal.code].status < _SERVER_ERROR
