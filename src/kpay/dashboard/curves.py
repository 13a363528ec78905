"""A wallet's balance over time, as a line that is drawn here and said in words beside it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

import msgspec

from kpay.core.money import Money

WIDTH, HEIGHT = 300, 72
# Room for the line's own thickness above the highest point and below the lowest.
_EDGE = 3


class Period(msgspec.Struct, frozen=True):
    """How far back is looked, and how far the points on the way are apart."""

    days: int
    step: timedelta


PERIODS = {
    7: Period(7, timedelta(hours=6)),
    30: Period(30, timedelta(days=1)),
    90: Period(90, timedelta(days=3)),
}
USUAL = PERIODS[30]


class Point(msgspec.Struct, frozen=True):
    """What a wallet held at a moment, and where that stands in the drawing."""

    at: datetime
    balance: Money
    x: int
    y: int


class Curve(msgspec.Struct, frozen=True):
    """A drawing of WIDTH by HEIGHT, whose lower edge is zero."""

    points: Sequence[Point]
    line: str
    area: str

    @property
    def lowest(self) -> Point:
        return min(self.points, key=lambda point: point.balance.minor)

    @property
    def highest(self) -> Point:
        return max(self.points, key=lambda point: point.balance.minor)


def period_of(text: str) -> Period:
    """The period that an address asks for, else the usual one."""
    return next((period for days, period in PERIODS.items() if text == str(days)), USUAL)


def moments(period: Period, now: datetime) -> list[datetime]:
    """The points of a period before now, on whole days or quarters of days in UTC."""
    count = timedelta(days=period.days) // period.step
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    part = min(period.step, timedelta(days=1))
    last = midnight + (now - midnight) // part * part
    return [last - back * period.step for back in reversed(range(count))]


def curve(
    moments: Sequence[datetime], balances: Sequence[int], now: datetime, held: Money
) -> Curve:
    """The curve of these balances in hundredths, up to what is held now."""
    known = [Money(balance, held.currency) for balance in balances]
    series = [*zip(moments, known, strict=True), (now, held)]
    begin, length = series[0][0], (now - series[0][0]) or timedelta(seconds=1)
    most = max(balance.minor for _, balance in series) or 1
    depth = HEIGHT - 2 * _EDGE
    points = [
        Point(
            at,
            balance,
            x=WIDTH * (at - begin) // length if at < now else WIDTH,
            y=HEIGHT - _EDGE - depth * balance.minor // most,
        )
        for at, balance in series
    ]
    line = "M" + "L".join(f"{point.x} {point.y}" for point in points)
    return Curve(points, line, f"{line}V{HEIGHT}H0Z")
