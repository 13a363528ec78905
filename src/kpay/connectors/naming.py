"""What a rail can do besides taking instructions, by name, for people and programs to read."""

from __future__ import annotations

from collections.abc import Mapping

from kpay.connectors.capabilities import (
    CancelsEnqueued,
    JudgesCallbacks,
    PredictsProviders,
    ResendsCallbacks,
    SubmitsMany,
    TellsBalances,
    TellsConditions,
)
from kpay.connectors.model import Connector
from kpay.connectors.statements import TellsStatements

_NAMES: Mapping[str, type] = {
    "conditions": TellsConditions,
    "balances": TellsBalances,
    "statements": TellsStatements,
    "predictions": PredictsProviders,
    "callbacks": JudgesCallbacks,
    "cancelling": CancelsEnqueued,
    "bulk": SubmitsMany,
    "resending": ResendsCallbacks,
}


def capabilities(connector: Connector) -> list[str]:
    """What a connector can do besides `submit` and `check`, in words."""
    return [name for name, protocol in _NAMES.items() if isinstance(connector, protocol)]
