"""The rate in force over HTTP, and how a rate is shown on what was made with it."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache

import msgspec

from kpay.core.clock import iso
from kpay.core.fields import Number
from kpay.core.money import round_half_up
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.rates.flow import Rates
from kpay.rates.model import Quote

# The page shows 1.015 where the rate is 1.0149842105…; all the digits are in `fx.rate`.
_SHOWN_DECIMALS = 4


class Exchange(msgspec.Struct, rename="camel"):
    """A rate with all its digits, its source, its time, and the margin that is in it."""

    rate: str
    source: str
    as_of: str
    margin_bps: int


class RateQuery(
    msgspec.Struct, rename={"source": "from", "target": "to"}, forbid_unknown_fields=True
):
    """Two currencies, such as from=XAF&to=XOF."""

    source: str
    target: str


class RateAnswer(msgspec.Struct, rename={"source_currency": "from", "target": "to"}):
    """Units of `to` for one unit of `from`."""

    source_currency: str
    target: str
    rate: Number
    source: str
    as_of: str = msgspec.field(name="asOf")
    expires_at: str = msgspec.field(name="expiresAt")


def exchange(quote: Quote) -> Exchange:
    return Exchange(_spelled(quote.rate), quote.source, iso(quote.as_of), quote.margin_bps)


def shown_rate(quote: Quote) -> Number:
    """The rate to four decimals, whole where it is whole."""
    return _rounded(quote.rate)


# Between two refreshes there are only as many rates as pairs, and each is shown again and again.


@lru_cache(maxsize=1_000)
def _spelled(rate: Decimal) -> str:
    return f"{rate:f}"


@lru_cache(maxsize=1_000)
def _rounded(rate: Decimal) -> Number:
    rounded = round_half_up(rate, _SHOWN_DECIMALS).normalize()
    return int(rounded) if rounded == rounded.to_integral_value() else rounded


def routes(rates: Rates) -> list[Route]:
    async def exchange_rate(call: Call) -> Reply:
        query: RateQuery = call.query
        quote = await rates.quote(call.principal.environment, query.source, query.target)
        whole = quote.rate == quote.rate.to_integral_value()
        return Reply(
            RateAnswer(
                source_currency=query.source,
                target=query.target,
                rate=int(quote.rate) if whole else quote.rate,
                source=quote.source,
                as_of=iso(quote.as_of),
                expires_at=iso(quote.expires_at),
            )
        )

    return [
        Route(
            "GET",
            "/api/v1/payments/exchange-rate",
            "The rate between two currencies, as a conversion now would use it",
            Guard.KEYS,
            exchange_rate,
            RateAnswer,
            query=RateQuery,
        )
    ]
