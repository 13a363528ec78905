"""Money: integers at a fixed scale of 2 for every currency, and the few ways to round them.

The scale is ours, not ISO 4217's: the seed page pays out 48211.75 XOF, and a fee of 5 % makes
fractions of a franc. What an operator accepts is another matter, settled by `to_rail` when money
leaves, and the difference is posted to a rounding account. Nothing here knows a float.
"""

from __future__ import annotations

import re
from decimal import ROUND_HALF_UP, Context, Decimal

import msgspec

from kpay.core.refusals import Code, Refusal

SCALE = 2
UNIT = 100
BASIS_POINTS = 10_000

# Wide enough that a product of any amount and any rate is exact before it is rounded once.
EXACT = Context(prec=60, rounding=ROUND_HALF_UP)

# An exponent of more than three digits is absurd, and one of twenty not even a Decimal can hold.
_JSON_NUMBER = re.compile(r"-?(0|[1-9]\d*)(\.\d+)?([eE][+-]?0*\d{1,3})?\Z", re.ASCII)
_MAX_DIGITS = 40
_PLAIN_DIGITS = 15


class Money(msgspec.Struct, frozen=True):
    """An amount in hundredths of one currency. It refuses to meet another currency."""

    minor: int
    currency: str

    def __add__(self, other: Money) -> Money:
        return Money(self.minor + self._same(other), self.currency)

    def __sub__(self, other: Money) -> Money:
        return Money(self.minor - self._same(other), self.currency)

    def __neg__(self) -> Money:
        return Money(-self.minor, self.currency)

    def __str__(self) -> str:
        return f"{self.minor / Decimal(UNIT):,.2f} {self.currency}"

    def _same(self, other: Money) -> int:
        if other.currency != self.currency:
            raise ValueError(f"{self.currency} and {other.currency} cannot be added together")
        return other.minor

    @property
    def number(self) -> int | Decimal:
        """The amount as a JSON number: 9500, or 48211.75 where there is a fraction."""
        return to_number(self.minor)


def to_number(minor: int) -> int | Decimal:
    """Minor units as the number that the API shows: whole where it is whole."""
    if minor % UNIT == 0:
        return minor // UNIT
    return Decimal(minor).scaleb(-SCALE).normalize(EXACT)


def parse_number(text: str) -> Decimal | None:
    """The exact value of a JSON number, or None for anything else or anything absurdly long.

    A number in quotes is not a number: the page says number, and a client that sends text is told.
    """
    if len(text) > _MAX_DIGITS or not _JSON_NUMBER.match(text):
        return None
    value = Decimal(text)
    # 1e999 is a well-formed number; as an integer of hundredths it would fill a screen.
    return value if value.is_zero() or abs(value.adjusted()) <= _MAX_DIGITS else None


def to_minor(value: Decimal, *, decimals: int = SCALE) -> int | None:
    """Minor units of an exact amount, or None when it has more decimals than allowed."""
    if value != value.quantize(Decimal(1).scaleb(-decimals), context=EXACT):
        return None
    return int(value.scaleb(SCALE, context=EXACT))


def read_amount(text: str, currency: str, *, decimals: int = SCALE) -> Money:
    """The `amount` of a request, as its JSON says it. Refuses: invalid_amount."""
    # Nearly every amount is plain digits, and needs no Decimal to be exact.
    if len(text) <= _PLAIN_DIGITS and text.isascii() and text.isdigit() and text[0] != "0":
        return Money(int(text) * UNIT, currency)
    value = parse_number(text)
    if value is None:
        raise Refusal(
            Code.INVALID_AMOUNT, "amount must be a plain JSON number such as 5000, without quotes."
        )
    minor = to_minor(value, decimals=decimals)
    if minor is None:
        places = "a whole number" if decimals == 0 else f"at most {decimals} decimals"
        raise Refusal(Code.INVALID_AMOUNT, f"amount must have {places} in {currency} here.")
    if minor <= 0:
        raise Refusal(Code.INVALID_AMOUNT, "amount must be greater than zero.")
    return Money(minor, currency)


def round_half_up(value: Decimal, decimals: int) -> Decimal:
    """The one rounding rule of the house: to the nearest, a half away from zero."""
    return value.quantize(Decimal(1).scaleb(-decimals), rounding=ROUND_HALF_UP, context=EXACT)


def fee_of(amount: Money, basis_points: int) -> Money:
    """The fee on an amount: 500 basis points of 10,000.00 is 500.00."""
    exact = EXACT.divide(Decimal(amount.minor * basis_points), Decimal(BASIS_POINTS))
    return Money(int(round_half_up(exact, 0)), amount.currency)


def convert(amount: Money, rate: Decimal, currency: str) -> Money:
    """An amount at a rate (units of `currency` per unit of the amount's), to hundredths."""
    exact = EXACT.multiply(Decimal(amount.minor), rate)
    return Money(int(round_half_up(exact, 0)), currency)


def to_rail(amount: Money, decimals: int) -> Money:
    """What an operator that accepts so many decimals is told: 48,211.75 becomes 48,212."""
    exact = round_half_up(Decimal(amount.minor).scaleb(-SCALE), decimals)
    return Money(int(exact.scaleb(SCALE)), amount.currency)


def rail_text(amount: Money) -> str:
    """The amount as rails spell it, without trailing zeros: "48212", "100.5"."""
    return f"{Decimal(to_number(amount.minor)):f}"
