"""The rate in force over HTTP, and how a rate is shown on what was made with it."""

from __future__ import annotations

from decimal import Decimal
from functools import lru_cache
from typing import Annotated

import msgspec
from msgspec import Meta

from kpay.core.clock import iso
from kpay.core.fields import ENUM_OF, Number
from kpay.core.forms import Currency, Moment
from kpay.core.money import round_half_up
from kpay.core.refusals import Code
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.rates import examples
from kpay.rates.flow import Rates
from kpay.rates.model import Quote

# The page shows 1.015 where the rate is 1.0149842105…; all the digits are in `fx.rate`.
_SHOWN_DECIMALS = 4


class Exchange(msgspec.Struct, rename="camel"):
    """A rate with all its digits, its source, its time, and the margin that is in it."""

    rate: Annotated[
        str,
        Meta(
            pattern=r"^\d+(\.\d+)?$",
            description="Every digit of the rate, as text so that none is lost.",
            examples=["1.01498421052631578947"],
        ),
    ]
    source: Annotated[str, Meta(description="Where it is from.", examples=["open-er-api"])]
    as_of: Annotated[Moment, Meta(description="When the source said so.")]
    margin_bps: Annotated[
        int, Meta(description="What the house keeps of it, in basis points.", examples=[0])
    ]


class RateQuery(
    msgspec.Struct, rename={"source": "from", "target": "to"}, forbid_unknown_fields=True
):
    """Two currencies, such as from=XAF&to=XOF."""

    source: Annotated[
        str,
        Meta(
            description="The currency that is given.",
            examples=["XAF"],
            extra_json_schema={ENUM_OF: "currencies"},
        ),
    ]
    target: Annotated[
        str,
        Meta(
            description="The currency that is got.",
            examples=["XOF"],
            extra_json_schema={ENUM_OF: "currencies"},
        ),
    ]


class RateAnswer(msgspec.Struct, rename={"source_currency": "from", "target": "to"}):
    """Units of `to` for one unit of `from`."""

    source_currency: Annotated[Currency, Meta(description="The currency that is given.")]
    target: Annotated[Currency, Meta(description="The currency that is got.", examples=["XOF"])]
    rate: Annotated[Number, Meta(description="With all its digits.", examples=[1.0153])]
    source: Annotated[str, Meta(description="Where it is from.", examples=["open-er-api"])]
    as_of: Annotated[Moment, Meta(description="When the source said so.")] = msgspec.field(
        name="asOf"
    )
    expires_at: Annotated[Moment, Meta(description="Until when it is used.")] = msgspec.field(
        name="expiresAt"
    )


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
        """What a conversion made now would use, the house's margin included.

        It is kept for an hour. A conversion fixes its rate when it is accepted, and says which.
        """
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
            examples=examples.RATE,
            tag="Rates",
            refuses=(Code.UNSUPPORTED_CURRENCY, Code.NO_RATE),
        )
    ]
