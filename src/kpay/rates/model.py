"""Rates as values: a snapshot of a source, the rate of a pair, the margin, what is nonsense.

A snapshot holds units of each currency for one unit of its base; the rate of a pair is the cross
of two of them, unless the pair was given as such. Every number is a Decimal, and a conversion is
only ever made at a rate that passed `positive`, so no zero and no NaN can reach an amount.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Context, Decimal
from itertools import permutations

import msgspec

from kpay.core.money import BASIS_POINTS, EXACT, parse_number
from kpay.core.refusals import Code, Refusal

CURRENCIES = ("XAF", "XOF", "KES", "CDF", "UGX", "RWF", "GHS", "ZMW", "SLE")

# The source of the rate of a currency in itself. CEMAC is all XAF and UEMOA all XOF, so this is
# also the 1:1 inside a zone.
FIXED = "fixed"

# A clock that is further ahead than this is wrong: what it wrote is not believed until then.
CLOCK_SKEW = timedelta(minutes=5)

_CROSS = Context(prec=18, rounding=ROUND_HALF_UP)
_ONE = Decimal(1)
# An amount times a rate with a margin stays exact within 60 digits while a rate has 40 at most.
_MOST_DIGITS = 40
_LARGEST_EXPONENT = 12


class Unusable(Exception):
    """What a source answered cannot be used; the message is the reason, for the log."""


class Incomplete(Unusable):
    """The answer is sound as far as it goes, but lacks currencies."""


class Quote(msgspec.Struct, frozen=True):
    """A rate as applied to one conversion, kept with the operation."""

    rate: Decimal
    """Effective: after the margin, units of target per unit of source, unrounded."""
    source: str
    as_of: datetime
    margin_bps: int
    expires_at: datetime


class Snapshot(msgspec.Struct, frozen=True):
    """What one source said at one time."""

    source: str
    as_of: datetime
    fetched_at: datetime
    rates: Mapping[str, Decimal]
    """Units of each currency for one unit of the base."""
    pairs: Mapping[str, Decimal]
    """`XAF/XOF` → units of XOF for one XAF, overriding the cross."""

    def younger_than(self, limit: timedelta, now: datetime) -> bool:
        """Age counts from the moment we asked: nobody can say how old a source's own date is."""
        return now - self.fetched_at < limit


class Standing(msgspec.Struct, frozen=True):
    """What the database knows of a configuration: its newest snapshot and who is refreshing it."""

    snapshot: Snapshot | None
    held_until: datetime | None
    retry_at: datetime | None

    def snapshot_within(self, limit: timedelta, now: datetime) -> bool:
        return self.snapshot is not None and self.snapshot.younger_than(limit, now)

    def claimed(self, now: datetime) -> bool:
        """Somebody is asking the sources right now."""
        return _ahead(self.held_until, now)

    def paused(self, now: datetime) -> bool:
        """All sources failed a moment ago; they are not asked again yet."""
        return _ahead(self.retry_at, now)


def _ahead(moment: datetime | None, now: datetime) -> bool:
    return moment is not None and now < moment <= now + CLOCK_SKEW


def check_currency(currency: str) -> None:
    """Refuse a currency that no rate can be had for."""
    if currency not in CURRENCIES:
        raise Refusal(
            Code.UNSUPPORTED_CURRENCY,
            f"The currency {currency[:20]!r} is not supported; use one of {', '.join(CURRENCIES)}.",
        )


def positive(value: object, name: str) -> Decimal:
    """A rate out of a JSON answer, exactly as written. Raises Unusable."""
    rate = parse_number(value) if isinstance(value, str) else value
    if not isinstance(rate, Decimal):
        raise Unusable(f"{name} is not a number")
    if not rate.is_finite():
        raise Unusable(f"{name} is {rate}")
    if rate <= 0:
        raise Unusable(f"{name} is not above zero")
    if abs(rate.adjusted()) > _LARGEST_EXPONENT or len(rate.as_tuple().digits) > _MOST_DIGITS:
        raise Unusable(f"{name} is absurdly large, small or long")
    return rate


def mid(snapshot: Snapshot, source: str, target: str) -> Decimal | None:
    """Units of target for one unit of source, before any margin; None where it is not known."""
    pairs, rates = snapshot.pairs, snapshot.rates
    given = pairs.get(f"{source}/{target}")
    if given is not None:
        return given
    reverse = pairs.get(f"{target}/{source}")
    if reverse is not None:
        return _CROSS.plus(EXACT.divide(_ONE, reverse))
    if source in rates and target in rates:
        return _CROSS.plus(EXACT.divide(rates[target], rates[source]))
    return None


def margin_of(margins: Mapping[str, int] | None, source: str, target: str) -> int:
    """Basis points kept from a pair: its own margin, else that of every pair, else none."""
    if not margins:
        return 0
    return margins.get(f"{source}/{target}", margins.get("*", 0))


def less_margin(rate: Decimal, basis_points: int) -> Decimal:
    """The rate that the merchant gets: 50 basis points off 1.0153 leave 1.0102235."""
    share = EXACT.divide(Decimal(BASIS_POINTS - basis_points), Decimal(BASIS_POINTS))
    return EXACT.multiply(rate, share)


def is_complete(snapshot: Snapshot) -> bool:
    """Whether there is a rate for every pair."""
    return not _missing(snapshot)


def check_complete(snapshot: Snapshot) -> None:
    """Raise Incomplete, naming the currencies that the source has no rate for."""
    missing = _missing(snapshot)
    if missing:
        raise Incomplete(f"it has no rate for {', '.join(missing)}")


def _missing(snapshot: Snapshot) -> list[str]:
    return [currency for currency in CURRENCIES if currency not in snapshot.rates]


def check_jump(snapshot: Snapshot, last: Snapshot, limit_bps: int) -> None:
    """Raise Unusable when a rate is further from the last known one than the limit allows.

    Sources have different bases, so the rates of pairs are compared: they are what is converted
    at. Each pair is looked at in both directions, for a rise one way is a fall the other way.
    """
    allowed = EXACT.divide(Decimal(BASIS_POINTS + limit_bps), Decimal(BASIS_POINTS))
    for source, target in permutations(CURRENCIES, 2):
        new, old = mid(snapshot, source, target), mid(last, source, target)
        if new is not None and old is not None and new > EXACT.multiply(old, allowed):
            raise Unusable(f"{source}/{target} jumped from {old} to {new}")
