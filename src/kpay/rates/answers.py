"""What sources answer, read: one pure function for the JSON of each.

Each returns a snapshot or raises Unusable with the reason, whatever the bytes are; currencies that
are not ours are passed over. Numbers become Decimal straight from the text, so that no float ever
stands for a rate.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime
from decimal import Decimal

from kpay.rates.model import CURRENCIES, Snapshot, Unusable, positive

# The currency that services are asked for the rates of.
BASE = "EUR"

# Seconds since 1970 have ten digits; what is longer is not a time and must not become an int.
_LONGEST_TIME = 12


def parse_open_er_api(body: bytes, now: datetime) -> Snapshot:
    """`{"result":"success","time_last_update_unix":…,"base_code":"EUR","rates":{…}}`"""
    answer = _object(_json(body), "its answer")
    if answer.get("result") != "success":
        raise Unusable(f"it reports {str(answer.get('error-type'))[:80]!r}")
    as_of = _unix(answer.get("time_last_update_unix"))
    rates = _rates(answer.get("base_code"), answer.get("rates"))
    return Snapshot("open-er-api", as_of, now, rates, {})


def parse_openexchangerates(body: bytes, now: datetime) -> Snapshot:
    """`{"timestamp":…,"base":"USD","rates":{…}}`"""
    answer = _object(_json(body), "its answer")
    as_of = _unix(answer.get("timestamp"))
    rates = _rates(answer.get("base"), answer.get("rates"))
    return Snapshot("openexchangerates", as_of, now, rates, {})


def parse_frankfurter(body: bytes, now: datetime) -> Snapshot:
    """`[{"date":"2026-06-23","base":"EUR","quote":"XAF","rate":655.957},…]`"""
    rows = _json(body)
    if not isinstance(rows, list) or not rows:
        raise Unusable("its answer is not a list of rates")
    quotes: dict[str, object] = {}
    dates = []
    for item in rows:
        row = _object(item, "a row of its answer")
        if row.get("base") != BASE:
            raise Unusable(f"a row of its answer is not on the base {BASE}")
        quotes[str(row.get("quote"))] = row.get("rate")
        dates.append(_moment(row.get("date")))
    # Currencies may be of different days; the oldest is what can be said of all of them.
    return Snapshot("frankfurter", min(dates), now, _rates(BASE, quotes), {})


def parse_file(body: bytes, now: datetime) -> Snapshot:
    """`{"base":"EUR","asOf":"…Z","rates":{"XAF":655.957,…},"pairs":{"XAF/XOF":"1.0153"}}`

    The operator may leave out the time, the pairs, or rates that pairs make up for.
    """
    answer = _object(_json(body), "it")
    as_of = _moment(answer["asOf"]) if "asOf" in answer else now
    pairs: dict[str, Decimal] = {}
    for pair, rate in _object(answer.get("pairs", {}), "pairs").items():
        source, slash, target = pair.partition("/")
        if not (slash and _is_code(source) and _is_code(target)):
            raise Unusable(f"{pair[:20]!r} is not a pair such as XAF/XOF")
        if source in CURRENCIES and target in CURRENCIES:
            pairs[pair] = positive(rate, pair)
    rates = _rates(answer.get("base"), answer["rates"]) if "rates" in answer else {}
    if not rates and not pairs:
        raise Unusable("it gives no rate of any currency of ours")
    return Snapshot("file", as_of, now, rates, pairs)


def _json(body: bytes) -> object:
    try:
        parsed: object = json.loads(
            body, parse_float=Decimal, parse_int=Decimal, parse_constant=Decimal
        )
    except (ValueError, ArithmeticError, RecursionError):
        # ArithmeticError is an exponent that not even a Decimal can hold.
        raise Unusable("it is not JSON") from None
    return parsed


def _object(value: object, what: str) -> Mapping[str, object]:
    if not isinstance(value, dict):
        raise Unusable(f"{what} is not a JSON object")
    return value


def _rates(base: object, value: object) -> dict[str, Decimal]:
    """The rates of our currencies among those of a source."""
    if not isinstance(base, str) or not _is_code(base):
        raise Unusable("its base is not a currency")
    given = {**_object(value, "rates"), base: Decimal(1)}
    return {name: positive(given[name], name) for name in CURRENCIES if name in given}


def _is_code(text: str) -> bool:
    return len(text) == 3 and text.isascii() and text.isalpha() and text.isupper()


def _unix(value: object) -> datetime:
    if not isinstance(value, Decimal) or not value.is_finite() or value.adjusted() > _LONGEST_TIME:
        raise _timeless()
    try:
        return datetime.fromtimestamp(int(value), UTC)
    except (ValueError, ArithmeticError, OSError):
        raise _timeless() from None


def _moment(value: object) -> datetime:
    """An ISO date or time; in UTC where it does not say."""
    if not isinstance(value, str):
        raise _timeless()
    try:
        moment = datetime.fromisoformat(value)
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except (ValueError, ArithmeticError):
        raise _timeless() from None


def _timeless() -> Unusable:
    return Unusable("it does not say when its rates are from")
