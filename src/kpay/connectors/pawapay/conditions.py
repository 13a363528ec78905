"""On which terms pawaPay works for our account at present: limits, decimals, availability.

`active-conf` tells what was agreed, `availability` what works at this moment. Both are kept by the
account, so they override what our catalogue has for everybody.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kpay.catalogue.model import OperationType
from kpay.connectors.amounts import read_rail_amount
from kpay.connectors.capabilities import CLOSED, DELAYED, OPERATIONAL, Condition
from kpay.connectors.pawapay.client import PawapayClient
from kpay.connectors.wire import Answer, NoAnswer
from kpay.core.limits import Limits

_CONFIGURED = "/v2/active-conf"
_AVAILABLE = "/v2/availability"
_DECIMALS = {"NONE": 0, "TWO_PLACES": 2}
_STATUSES = frozenset({OPERATIONAL, DELAYED, CLOSED})

Available = dict[tuple[str, str], str]


async def fetch_conditions(client: PawapayClient) -> list[Condition]:
    """Every operation of every provider that was agreed. Raises NoAnswer."""
    configured = await _fetch(client, _CONFIGURED)
    available = _available(await _fetch(client, _AVAILABLE))
    countries = configured.get("countries") if isinstance(configured, dict) else None
    return [
        condition
        for country in _objects(countries)
        for provider in _objects(country.get("providers"))
        for currency in _objects(provider.get("currencies"))
        for condition in _conditions(provider.get("provider"), currency, available)
    ]


async def _fetch(client: PawapayClient, path: str) -> Any:
    answer: Answer = await client.get(path)
    if answer.status != 200:
        raise NoAnswer(f"{path} answered {answer.status}")
    return answer.read()


def _conditions(
    provider: object, currency: dict[str, Any], available: Available
) -> list[Condition]:
    code = currency.get("currency")
    operations = currency.get("operationTypes")
    if not isinstance(provider, str) or not isinstance(code, str):
        return []
    found = []
    for name, terms in _named(operations):
        if name in set(OperationType):
            status = available.get((provider, name)) or terms.get("status")
            found.append(
                Condition(
                    provider=provider,
                    operation=OperationType(name),
                    currency=code,
                    # What it says nothing of is not known to be shut.
                    status=status if status in _STATUSES else OPERATIONAL,
                    decimals=_DECIMALS.get(str(terms.get("decimalsInAmount"))),
                    limits=_limits(terms, code),
                )
            )
    return found


def _limits(terms: dict[str, Any], currency: str) -> Limits | None:
    """Older answers have other names for the two."""
    least = terms.get("minAmount", terms.get("minTransactionLimit"))
    most = terms.get("maxAmount", terms.get("maxTransactionLimit"))
    found = [read_rail_amount(value, currency) for value in (least, most)]
    if found[0] is None or found[1] is None:
        return None
    return Limits(found[0], found[1])


def _available(told: Any) -> Available:
    return {
        (str(provider.get("provider")), name): str(terms.get("status"))
        for country in _objects(told)
        for provider in _objects(country.get("providers"))
        for name, terms in _named(provider.get("operationTypes"))
        if terms.get("status") in _STATUSES
    }


def _named(operations: Any) -> Iterator[tuple[str, dict[str, Any]]]:
    """Operations by their names, whether they come as an object or as a list that names each."""
    if isinstance(operations, dict):
        for name, terms in operations.items():
            if isinstance(terms, dict | str):
                yield str(name), terms if isinstance(terms, dict) else {"status": terms}
    for terms in _objects(operations):
        yield str(terms.get("operationType")), terms


def _objects(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []
