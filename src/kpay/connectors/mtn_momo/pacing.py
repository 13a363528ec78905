"""How often MTN is asked for a status: evenly, within its bound, and seldomer the longer it takes.

MTN lets ten reads a second through for each product of a contract and refuses the rest. Pure: time
comes in as an argument.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b

from kpay.connectors.model import Instruction

MOST_READS = 10
"""A second, of one product of one contract: MTN's own bound."""

# Whoever waits for a place and is then answered slowly still answers within an attempt's time.
_LONGEST_WAIT = timedelta(seconds=4)
_SHORTEST = timedelta(seconds=2)
_LONGEST = timedelta(minutes=12)


class Pace:
    """Places for reads, one after the other at even distances.

    Processes do not know of each other: each keeps to a pace of its own.
    """

    def __init__(self, reads: int) -> None:
        """`reads` a second."""
        self._apart = timedelta(seconds=1) / reads
        self._next: datetime | None = None

    def take(self, now: datetime) -> timedelta | None:
        """How long to wait for the place that was taken; None, and no place, where that is long."""
        last = now + _LONGEST_WAIT
        # Further ahead than a place can be given: the clock was set back since.
        if self._next is None or self._next < now or self._next > last + self._apart:
            self._next = now
        if self._next > last:
            return None
        wait = self._next - now
        self._next += self._apart
        return wait


def ask_after(instruction: Instruction, now: datetime) -> timedelta:
    """When a status is worth asking for again: after half as long as it has taken so far.

    What was handed over together is spread by up to a quarter to either side, so that it is not
    asked for together for ever; by what is told, so that it can be told again.
    """
    age = max(now - instruction.submitted_at, timedelta(0))
    usual = min(max(age / 2, _SHORTEST), _LONGEST)
    text = f"{instruction.reference}/{age // timedelta(seconds=1)}"
    lot = int.from_bytes(blake2b(text.encode(), digest_size=2).digest(), "big")
    return usual * (49_152 + lot // 2) / 65_536
