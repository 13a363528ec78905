"""The least and the most that an operation may move."""

from __future__ import annotations

import msgspec

from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal


class Limits(msgspec.Struct, frozen=True):
    """The least and the most of one operation in one currency, both allowed."""

    least: Money
    most: Money

    def allow(self, amount: Money) -> bool:
        return self.least.minor <= amount.minor <= self.most.minor

    def check(self, amount: Money) -> None:
        """Refuses: amount_out_of_bounds."""
        if not self.allow(amount):
            raise Refusal(
                Code.AMOUNT_OUT_OF_BOUNDS,
                f"amount must be between {self.least.number:,} and {self.most.number:,} "
                f"{amount.currency}.",
            )
