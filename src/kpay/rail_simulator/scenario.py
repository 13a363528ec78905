"""Reads a scenario, TOML or JSON, strictly: a misspelt word stops the start and not a night.

Pure: text in, values out. docs/rail-simulator.md describes the file.
"""

from __future__ import annotations

import tomllib
from collections.abc import Iterator, Mapping
from typing import Annotated, Any, TypeAlias

import msgspec

from kpay.catalogue.model import OperationType
from kpay.core.money import UNIT
from kpay.rail_simulator.account import Availability
from kpay.rail_simulator.books import Place
from kpay.rail_simulator.misbehaviour import EVERY_FAILURE, WORDS, Match, Rule

EXAMPLE = """\
seed = 7

[usual]                                # every operation that no rule says more of
ends_after = [1, 5]                    # seconds, drawn between the two

[[rules]]                              # the first rule that names a dimension decides it
operation = "PAYOUT"
answer = { prompt = 90, timeout_after = 5, error_after = 5 }
callback = { once = 80, twice = 10, never = 10 }

[[operators]]
provider = "MTN_MOMO_CMR"
status = "DELAYED"
after = 60                             # seconds from the start
"""

USUAL_BALANCE = 1_000_000_000
"""Whole units in each wallet where the scenario says nothing."""

Weights: TypeAlias = str | dict[str, Annotated[int, msgspec.Meta(ge=0)]]
# A list, not a tuple of two: with one, msgspec 0.22 crashed the interpreter at the next collection.
Span: TypeAlias = int | list[int]


class ScenarioError(Exception):
    """A scenario that cannot be played; the message says where and what would do."""


class Turn(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """An operator's change of availability, so many seconds after the start."""

    provider: str
    status: Availability
    operation: OperationType | None = None
    after: Annotated[int, msgspec.Meta(ge=0)] = 0


class Scenario(msgspec.Struct, frozen=True, kw_only=True):
    """What is played. `balances` are minor units, `fees` basis points."""

    seed: int = 0
    rules: tuple[Rule, ...] = ()
    turns: tuple[Turn, ...] = ()
    company: str = "KPay"
    fees: Mapping[OperationType, int] = {}
    balances: Mapping[Place, int] = {}
    callbacks: Mapping[OperationType, str] = {}

    def balance(self, place: Place) -> int:
        return self.balances.get(place, USUAL_BALANCE * UNIT)


class _Behaviour(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The dimensions and the times, as they stand in a file."""

    answer: Weights | None = None
    outcome: Weights | None = None
    path: Weights | None = None
    callback: Weights | None = None
    signature: Weights | None = None
    status: Weights | None = None
    bulk: Weights | None = None
    ends_after: Span | None = None
    slow_for: Span | None = None
    late_for: Span | None = None
    stale_for: Span | None = None
    missing_for: Span | None = None


class _Rule(_Behaviour, frozen=True, kw_only=True, forbid_unknown_fields=True):
    operation: OperationType | None = None
    provider: str | None = None
    number: str | None = None
    amount: Span | None = None


class _Account(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    company: str = "KPay"
    fees: dict[OperationType, Annotated[int, msgspec.Meta(ge=0, le=10_000)]] = {}
    balances: dict[str, Annotated[int, msgspec.Meta(ge=0)]] = {}


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    seed: int = 0
    account: _Account = _Account()
    callbacks: dict[OperationType, str] = {}
    usual: _Behaviour = _Behaviour()
    rules: list[_Rule] = []
    operators: list[Turn] = []


_TIMES = ("ends_after", "slow_for", "late_for", "stale_for", "missing_for")


def read_scenario(text: str) -> Scenario:
    """A scenario in TOML, or in JSON where it begins with a brace. Raises ScenarioError."""
    try:
        said = msgspec.json.decode(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (msgspec.DecodeError, tomllib.TOMLDecodeError) as problem:
        raise ScenarioError(f"The scenario cannot be read: {problem}.") from None
    return scenario_of(said)


def scenario_of(said: Any) -> Scenario:
    """The same from what was read. Raises ScenarioError."""
    try:
        file = msgspec.convert(said, _File)
    except msgspec.ValidationError as problem:
        raise ScenarioError(f"The scenario is not right: {problem}.") from None
    rules = [
        _rule(one, Match(**_match(one, f"rules[{number}]")), f"rules[{number}]")
        for number, one in enumerate(file.rules)
    ]
    return Scenario(
        seed=file.seed,
        rules=(*rules, _rule(file.usual, Match(), "usual")),
        turns=tuple(sorted(file.operators, key=lambda turn: turn.after)),
        company=file.account.company,
        fees=file.account.fees,
        balances=dict(_balances(file.account.balances)),
        callbacks=file.callbacks,
    )


def _match(rule: _Rule, where: str) -> dict[str, Any]:
    least, most = (None, None) if rule.amount is None else _span(rule.amount, f"{where}.amount")
    return {
        "operation": rule.operation,
        "provider": rule.provider,
        "number": rule.number,
        "least": least,
        "most": most,
    }


def _rule(said: _Behaviour, match: Match, where: str) -> Rule:
    weights = {
        dimension: _weights(given, dimension, f"{where}.{dimension}")
        for dimension in WORDS
        if (given := getattr(said, dimension)) is not None
    }
    seconds = {
        name: _span(given, f"{where}.{name}")
        for name in _TIMES
        if (given := getattr(said, name)) is not None
    }
    return Rule(match=match, weights=weights, seconds=seconds)


def _weights(given: Weights, dimension: str, where: str) -> dict[str, int]:
    weights = {given: 1} if isinstance(given, str) else given
    for word in weights:
        if word not in WORDS[dimension] and not (dimension == "outcome" and word in EVERY_FAILURE):
            more = ", or a failure code" if dimension == "outcome" else ""
            raise ScenarioError(f"{where}: {word} is none of {', '.join(WORDS[dimension])}{more}.")
    if sum(weights.values()) == 0:
        raise ScenarioError(f"{where}: one weight at least must be more than 0.")
    return weights


def _span(given: Span, where: str) -> tuple[int, int]:
    ends = [given, given] if isinstance(given, int) else given
    if len(ends) != 2 or not 0 <= ends[0] <= ends[1]:
        raise ScenarioError(f"{where}: write one number, or two of which the second is no less.")
    return ends[0], ends[1]


def _balances(given: Mapping[str, int]) -> Iterator[tuple[Place, int]]:
    for name, whole in given.items():
        country, slash, currency = name.partition("/")
        if not slash:
            raise ScenarioError(f"account.balances: write {name} as CMR/XAF.")
        yield Place(country, currency), whole * UNIT
