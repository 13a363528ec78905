"""The cases: what is sent, and what it is held against."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tests.system.program import Server

from bench import house, wrk

Requests = Callable[[Server, list[house.Merchant]], list[wrk.Request]]

# Where one number of connections has to do: the targets, half load, growth.
CONNECTIONS = 64


@dataclass(frozen=True)
class Case:
    """What is sent, and which of pgbench's two scripts it is held against."""

    name: str
    against: str
    requests: Requests
    command: str = "serve"
    """Payouts are accepted apart from being driven: the worker would share the measure."""

    backlog: bool = False
    """Whether what is measured is the way to the end of what was accepted, not the accepting."""

    told: bool = False
    """Whether each one of a backlog has a webhook, which is sent and answered as well."""


def _payouts(_server: Server, merchants: list[house.Merchant]) -> list[wrk.Request]:
    return house.payouts(merchants)


UNIFORM = Case(
    "uniform transfers, 40 applications",
    "uniform",
    lambda server, merchants: house.transfers(server, merchants, "CMR", "GAB"),
)
HOT = Case(
    "hot transfers, one application, two wallets",
    "hot",
    lambda server, merchants: house.transfers(server, merchants[:1], "CMR", "GAB"),
)
ACROSS = Case(
    "cross-currency transfers, 40 applications",
    "uniform",
    lambda server, merchants: house.transfers(server, merchants, "CMR", "SEN"),
)
ACCEPTED = Case("payouts accepted", "uniform", _payouts, command="api")
BALANCES = Case("balances read", "uniform", lambda _, merchants: house.balances(merchants))
DRAINED = Case("payouts drained to COMPLETED", "uniform", _payouts, command="api", backlog=True)
TOLD = Case(
    "payouts drained to COMPLETED, a webhook each",
    "uniform",
    _payouts,
    command="api",
    backlog=True,
    told=True,
)

CASES = (UNIFORM, HOT, ACROSS, ACCEPTED, BALANCES, DRAINED, TOLD)


def in_order(key: tuple[object, ...]) -> tuple[object, ...]:
    """Where a row of this case, workers and connections comes in a table."""
    case, workers, connections = key
    return (workers, [each.name for each in CASES].index(str(case)), connections)


def chosen(words: Sequence[str]) -> list[Case]:
    """The cases whose name holds one of the words; all of them where no word is given."""
    return [case for case in CASES if not words or any(word in case.name for word in words)]
