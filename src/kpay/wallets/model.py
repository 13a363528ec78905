"""A wallet: one country's money of one application, what it can use and what is held of it."""

from __future__ import annotations

import msgspec

from kpay.core.money import Money


class Wallet(msgspec.Struct, frozen=True):
    country: str
    available: Money
    reserved: Money

    @property
    def balance(self) -> Money:
        return self.available + self.reserved
