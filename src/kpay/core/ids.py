"""Identifiers: UUIDv7 inside (they sort by time), short prefixed text outside.

A payment is `pay_…`, a withdrawal `wdr_…`, so that a log line or a support ticket explains itself.
References are the merchant's words: KPAY-WD-20260623-ABC789, TRF-OUT-ABC123.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

# Crockford's base 32: no I, L, O or U, so nothing is misread over the telephone.
_ALPHABET = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
_VALUE = {letter: value for value, letter in enumerate(_ALPHABET)}
# Ten bits at a time: an answer spells several identifiers.
_PAIRS = tuple(first + second for first in _ALPHABET for second in _ALPHABET)
_TEXT_LENGTH = 26
_SUFFIX_LENGTH = 6
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
# The golden ratio in 64 bits, as multiplicative hashing has it.
_SCATTER = 0x9E3779B97F4A7C15


class Ids(Protocol):
    """Where new identifiers come from: `database.ids`, or in a simulation a seeded source."""

    def uuid(self) -> UUID: ...

    def reference(self) -> UUID:
        """What a rail knows an instruction by: a UUIDv4, because rails accept no other version."""
        ...


def reference_suffix(number: int) -> str:
    """The letters and digits of a reference, six until there have been a thousand million.

    Each number has its own, and one tells nothing of the next, so a reference shows nobody how much
    business is done.
    """
    length = _SUFFIX_LENGTH
    while number >> 5 * length:
        length += 1
    # An odd factor takes the numbers of so many bits to each other, one to one.
    return _spell(number * _SCATTER & (1 << 5 * length) - 1, length)


def milliseconds(moment: datetime) -> int:
    """Whole milliseconds since 1970, of which a UUIDv7 is made."""
    return (moment - _EPOCH) // _MILLISECOND


def first_id(moment: datetime) -> UUID:
    """No identifier of this millisecond or a later one is less; every earlier one is."""
    return UUID(int=max(0, milliseconds(moment)) << 80)


def public_id(prefix: str, value: UUID) -> str:
    """`pay_` and 26 characters; the order of the text is the order in time."""
    return f"{prefix}_{_spell(value.int, _TEXT_LENGTH).lower()}"


def parse_public_id(prefix: str, text: str) -> UUID | None:
    """The identifier behind a public one, or None for text that was never ours."""
    head, _, body = text.partition("_")
    if head != prefix or len(body) != _TEXT_LENGTH or not body.isascii():
        return None
    number = 0
    for letter in body.upper():
        value = _VALUE.get(letter)
        if value is None:
            return None
        number = number << 5 | value
    return UUID(int=number) if number < 1 << 128 else None


def parse_uuid(text: str) -> UUID | None:
    """A UUID in its canonical form, or None."""
    if len(text) != 36:
        return None
    try:
        return UUID(text)
    except ValueError:
        return None


def dated_reference(prefix: str, moment: datetime, suffix: str) -> str:
    """KPAY-WD-20260623-ABC789: the UTC day and the suffix."""
    return f"{prefix}-{moment.year:04d}{moment.month:02d}{moment.day:02d}-{suffix}"


def _spell(number: int, length: int) -> str:
    """A number in base 32, five bits a letter, from the front."""
    pairs = []
    for _ in range(0, length, 2):
        pairs.append(_PAIRS[number & 1023])
        number >>= 10
    pairs.reverse()
    # An odd length has one letter too many in front, and that one is a zero.
    return "".join(pairs)[-length:]
