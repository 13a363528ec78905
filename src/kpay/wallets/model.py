"""A wallet: one country's money of one application, what it can use and what is held of it."""

from __future__ import annotations

from dataclasses import dataclass

from kpay.core.money import Money


@dataclass(frozen=True, slots=True)
class Wallet:
    country: str
    available: Money
    reserved: Money

    @property
    def balance(self) -> Money:
        return self.available + self.reserved
