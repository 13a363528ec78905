"""Amounts as rails write them, read exactly."""

from __future__ import annotations

import re
from decimal import Decimal

from kpay.core.money import EXACT, Money, to_minor

# No sign, no exponent, and no more digits than any sum of money has.
_AMOUNT = re.compile(r"[0-9]{1,18}(\.[0-9]{1,18})?\Z", re.ASCII)


def read_rail_amount(value: object, currency: object) -> Money | None:
    """An amount such as "1000.0000" or 1000, or None where it is none that we could hold.

    Rails write the same amount in many ways, so amounts are compared as numbers and never as text.
    """
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        return None
    text = f"{value:f}" if isinstance(value, Decimal) else str(value)
    if not isinstance(currency, str) or not _AMOUNT.match(text):
        return None
    minor = to_minor(Decimal(text, EXACT))
    return None if minor is None else Money(minor, currency)
