"""The least and the most that an operation may move."""

from __future__ import annotations

import msgspec

from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal


class Limits(msgspec.Struct, frozen=True):
    """The least and the most of one operation in one currency, both allowed."""

    least: Money
    most: Money

    def check(self, amount: Money) -> None:
        if not self.least.minor <= amount.minor <= self.most.minor:
            raise Refusal(
                Code.AMOUNT_OUT_OF_BOUNDS,
                f"amount must be between {self.least.number:,} and {self.most.number:,} "
                f"{amount.currency}.",
            )
