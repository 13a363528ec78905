"""A wallet: one country's money of one application, what it can use and what is held of it."""

from __future__ import annotations

import msgspec

from kpay.core.money import Money


class Crossing(msgspec.Struct, frozen=True):
    """What went from one country's wallet to another country, in so many operations."""

    source: str
    destination: str
    count: int
    left: Money
    """What the wallet was debited, fees with it."""
    arrived: Money


class Crossings(msgspec.Struct, frozen=True):
    """By source and destination. Not `whole` where there were more than were looked at."""

    rows: list[Crossing]
    whole: bool


class Wallet(msgspec.Struct, frozen=True):
    country: str
    available: Money
    reserved: Money

    @property
    def balance(self) -> Money:
        return self.available + self.reserved
