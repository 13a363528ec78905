"""What a merchant asks for, drawn from a seed, and what it is worth.

Nothing here is taken from the program: amounts are hundredths, and fees, conversions and roundings
are worked out with whole numbers alone, so that the program cannot agree with itself by mistake.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

FEE_BPS = 500
# The sandbox's rate from XAF to XOF: 1.0153.
_XOF_FOR_XAF = 10_153
_RATE_UNIT = 10_000
_UNIT = 100

_FUND = 10_000_000 * _UNIT


class Kind(Enum):
    """What is asked for. The values are the nouns of the lists that show it."""

    PAYMENT = "payments"
    PAYOUT = "withdrawals"
    TRANSFER = "transfers"
    REFUND = "refunds"


@dataclass(frozen=True, slots=True)
class Route:
    """Where money comes from and where it goes. `phone` is none for a transfer.

    `source` and `destination` are countries. `decimals` are those that the amount may have.
    """

    kind: Kind
    source: str
    destination: str
    weight: int
    provider: str = ""
    phone: str = ""
    ends: str = "COMPLETED"
    decimals: int = 2
    is_converted: bool = False


_MTN = "MTN_MOMO_CMR"
ROUTES: Sequence[Route] = (
    Route(Kind.PAYMENT, "", "CMR", 3, _MTN, "237653456789", decimals=0),
    Route(Kind.PAYMENT, "", "GAB", 2, "AIRTEL_GAB", "24174345678"),
    Route(Kind.PAYMENT, "", "CMR", 1, _MTN, "237653456019", "FAILED", decimals=0),
    Route(Kind.PAYOUT, "CMR", "CMR", 4, _MTN, "237653456789"),
    Route(Kind.PAYOUT, "CMR", "CIV", 4, "MTN_MOMO_CIV", "2250503456789", is_converted=True),
    Route(Kind.PAYOUT, "GAB", "CMR", 2, _MTN, "237653456789"),
    Route(Kind.PAYOUT, "CMR", "CMR", 2, _MTN, "237653456089", "FAILED"),
    Route(Kind.TRANSFER, "CMR", "GAB", 3),
    Route(Kind.TRANSFER, "GAB", "CMR", 3),
    Route(Kind.TRANSFER, "CMR", "SEN", 3, is_converted=True),
)
_LEAST, _MOST = 100, 2_000


@dataclass(frozen=True, slots=True)
class Wanted:
    """One operation as a merchant wants it: `merchant` is its number, `amount` in hundredths.

    A patient merchant sends again until it has an answer; another one leaves it at one try. A
    payout that `is_recalled` is cancelled as soon as it is acknowledged, if that is not too late; a
    payment that `is_refunded` is given back once it is complete: of that, `payment` is the id. What
    `is_keyed` has an Idempotency-Key, and what `is_repeated` too is sent again after its answer.
    """

    merchant: int
    external_id: str
    route: Route
    amount: int
    is_patient: bool = True
    is_recalled: bool = False
    is_refunded: bool = False
    is_keyed: bool = False
    is_repeated: bool = False
    payment: str = ""

    @property
    def kind(self) -> Kind:
        return self.route.kind

    @property
    def fee(self) -> int:
        """5 %, a half rounded up."""
        free = self.kind in (Kind.TRANSFER, Kind.REFUND)
        return 0 if free else _rounded(self.amount * FEE_BPS, 10_000)

    @property
    def net(self) -> int:
        return self.amount - self.fee

    @property
    def converted(self) -> int:
        """What arrives of the net, in the destination's currency."""
        return (
            _rounded(self.net * _XOF_FOR_XAF, _RATE_UNIT) if self.route.is_converted else self.net
        )

    @property
    def sent(self) -> int:
        """What the operator is told to pay: no operator here pays hundredths."""
        return _rounded(self.converted, _UNIT) * _UNIT


def draw(seed: str, number: int, merchants: int) -> Wanted:
    """The operation of a number: the same for the same seed, whatever was answered before."""
    chance = random.Random(f"{seed} {number}")
    route = chance.choices(ROUTES, [route.weight for route in ROUTES])[0]
    amount = chance.randint(_LEAST * _UNIT, _MOST * _UNIT)
    is_keyed = chance.random() < 0.4
    return Wanted(
        merchant=chance.randrange(merchants),
        external_id=f"{route.kind.value}-{number}",
        route=route,
        amount=amount - amount % _UNIT if route.decimals == 0 else amount,
        is_patient=chance.random() < 0.5,
        is_recalled=route.kind is Kind.PAYOUT and chance.random() < 0.3,
        is_refunded=route.kind is Kind.PAYMENT
        and route.ends == "COMPLETED"
        and chance.random() < 0.4,
        is_keyed=is_keyed,
        is_repeated=is_keyed and chance.random() < 0.5,
    )


def refund_of(paid: Wanted, payment_id: str) -> Wanted:
    """All of a payment back to its payer, asked for in the manner in which the payment was."""
    route = paid.route
    return Wanted(
        merchant=paid.merchant,
        external_id=f"refund-{paid.external_id}",
        route=Route(
            Kind.REFUND, route.destination, route.destination, 0, route.provider, route.phone
        ),
        amount=paid.amount,
        is_patient=paid.is_patient,
        is_keyed=paid.is_keyed,
        is_repeated=paid.is_repeated,
        payment=payment_id,
    )


def funds(merchants: int) -> list[Wanted]:
    """What each merchant collects first, so that no wallet runs dry."""
    return [
        Wanted(merchant, f"fund-{route.destination}-{number}", route, _FUND)
        for merchant in range(merchants)
        for route in ROUTES[:2]
        for number in range(2)
    ]


def number_of(minor: int) -> str:
    """An amount as a JSON number."""
    whole, cents = divmod(minor, _UNIT)
    return f"{whole}.{cents:02d}" if cents else f"{whole}"


def _rounded(dividend: int, divisor: int) -> int:
    """The nearest whole number, a half up. Neither may be negative."""
    return (2 * dividend + divisor) // (2 * divisor)
