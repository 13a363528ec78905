"""What goes wrong with an operation: a pure function of its content, the rules and a seed.

Each operation gets a *plan*: a word for each way in which a rail can misbehave (`WORDS`). It is
drawn by weights, from the seed and the operation's content (type, provider, number, amount, and how
many of the same content came before), so the same seed plays the same to the same requests in any
order. A retry under the same id meets the same plan.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from kpay.catalogue.model import OperationType
from kpay.rail_simulator.books import Status
from kpay.rail_simulator.wire import Request

WORDS: Mapping[str, Mapping[str, str]] = {
    # Of the first try: a retry under the same id is answered.
    "answer": {
        "prompt": "at once, and true",
        "slow": "accepted, and answered after `slow_for` seconds",
        "timeout_before": "never answered, and not accepted",
        "timeout_after": "accepted, and never answered",
        "error_before": "500 UNKNOWN_ERROR, and not accepted",
        "error_after": "500 UNKNOWN_ERROR, though it was accepted",
        "gateway_error": "502 in HTML, though it was accepted",
        "nonsense": "200 with a body that is cut off, though it was accepted",
    },
    "outcome": {
        "by_number": "what pawaPay's test number says; any other number completes",
        "completed": "the money arrives",
        "stuck": "PROCESSING until somebody ends it (POST /simulator/end)",
        "rejected": "200 with REJECTED, PROVIDER_TEMPORARILY_UNAVAILABLE",
    },
    "path": {
        "direct": "ACCEPTED, PROCESSING, and the end",
        "reconciled": "IN_RECONCILIATION for as long again before the end",
    },
    "callback": {
        "once": "when it has ended",
        "first": "it ends at once, and the callback comes before the answer",
        "twice": "again five seconds later",
        "late": "after `late_for` seconds",
        "out_of_order": "PROCESSING comes three seconds after the end",
        "contradictory": "the opposite of the truth comes five seconds after the truth",
        "contradictory_first": "the opposite of the truth, and thirty seconds later the truth",
        "never": "none, however it ends",
    },
    "signature": {
        "good": "as pawaPay signs",
        "tampered": "the first try is signed for another body; a retry is good",
        "missing": "the first try is not signed; a retry is",
    },
    "status": {
        "honest": "what is true",
        "stale": "PROCESSING for `stale_for` seconds after the end",
        "missing": "NOT_FOUND for `missing_for` seconds after it was accepted",
        "error": "500 UNKNOWN_ERROR each second time",
        "contradictory": "the opposite of the truth, the first time after the end",
    },
    "bulk": {
        "whole": "each payout of a bulk is answered",
        "cut": "the first half is carried out, and the answer is 500",
        "short": "all is carried out, and the answer leaves out the second half",
        "partial": "each second one is REJECTED",
        "left_out": "the first half is carried out and answered, the second half neither",
        "reversed": "each is answered, the last one first",
    },
}
"""Every dimension with its words; the first of each is how a rail should behave."""

FAILURES: Mapping[OperationType, tuple[str, ...]] = {
    OperationType.DEPOSIT: (
        *("PAYMENT_NOT_APPROVED", "INSUFFICIENT_BALANCE", "PAYMENT_IN_PROGRESS"),
        *("PAYER_NOT_FOUND", "PAYER_LIMIT_REACHED", "WALLET_LIMIT_REACHED"),
        *("TRANSACTION_ALREADY_IN_PROCESS", "UNSPECIFIED_FAILURE", "UNKNOWN_ERROR"),
    ),
    OperationType.PAYOUT: (
        *("RECIPIENT_NOT_FOUND", "RECIPIENT_LIMIT_REACHED", "WALLET_LIMIT_REACHED"),
        *("PAWAPAY_WALLET_OUT_OF_FUNDS", "MANUALLY_CANCELLED"),
        *("UNSPECIFIED_FAILURE", "UNKNOWN_ERROR"),
    ),
    OperationType.REFUND: (
        *("PAWAPAY_WALLET_OUT_OF_FUNDS", "RECIPIENT_NOT_FOUND", "WALLET_LIMIT_REACHED"),
        *("MANUALLY_CANCELLED", "UNSPECIFIED_FAILURE", "UNKNOWN_ERROR"),
    ),
}
EVERY_FAILURE = frozenset(code for codes in FAILURES.values() for code in codes)

LIE = "UNSPECIFIED_FAILURE"
"""Why something is said to have failed that has not."""

# An amount of 666NN, or a number that ends in 666NN, misbehaves whatever the scenario says.
MARK = "666"
MARKED: Mapping[str, tuple[str, str]] = {
    "01": ("answer", "slow"),
    "02": ("answer", "timeout_before"),
    "03": ("answer", "timeout_after"),
    "04": ("answer", "error_before"),
    "05": ("answer", "error_after"),
    "06": ("answer", "gateway_error"),
    "07": ("answer", "nonsense"),
    "11": ("callback", "first"),
    "12": ("callback", "twice"),
    "13": ("callback", "late"),
    "14": ("callback", "out_of_order"),
    "15": ("callback", "contradictory"),
    "16": ("callback", "contradictory_first"),
    "17": ("callback", "never"),
    "21": ("signature", "tampered"),
    "22": ("signature", "missing"),
    "31": ("status", "stale"),
    "32": ("status", "missing"),
    "33": ("status", "error"),
    "34": ("status", "contradictory"),
    "41": ("outcome", "stuck"),
    "42": ("outcome", "rejected"),
    "43": ("outcome", "UNSPECIFIED_FAILURE"),
    "51": ("path", "reconciled"),
    "61": ("bulk", "cut"),
    "62": ("bulk", "short"),
    "63": ("bulk", "partial"),
    "64": ("bulk", "left_out"),
    "65": ("bulk", "reversed"),
}


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """How one operation goes: words of `WORDS` (`outcome` may be a failure code), and seconds."""

    answer: str = "prompt"
    outcome: str = "by_number"
    path: str = "direct"
    callback: str = "once"
    signature: str = "good"
    status: str = "honest"
    bulk: str = "whole"
    ends_after: int = 1
    slow_for: int = 20
    late_for: int = 600
    stale_for: int = 120
    missing_for: int = 60


class Match(msgspec.Struct, frozen=True, kw_only=True):
    """Which operations a rule is for: all that is said must be so. `number` may end with *."""

    operation: OperationType | None = None
    provider: str | None = None
    number: str | None = None
    least: int | None = None
    most: int | None = None
    """Bounds of the amount in whole units of its currency, both in."""

    def takes(self, asked: Asked) -> bool:
        return (
            self.operation in (None, asked.type)
            and self.provider in (None, asked.provider)
            and (self.number is None or _alike(self.number, asked.number))
            and (self.least is None or asked.minor >= self.least * 100)
            and (self.most is None or asked.minor <= self.most * 100)
        )


class Rule(msgspec.Struct, frozen=True, kw_only=True):
    """Weights for some dimensions, and times, for the operations that it is for."""

    match: Match = Match()
    weights: Mapping[str, Mapping[str, int]] = {}
    seconds: Mapping[str, tuple[int, int]] = {}
    """A time of the plan, drawn between the two."""


class Asked(NamedTuple):
    """The content of an operation, from which its plan is drawn."""

    type: OperationType
    provider: str
    number: str
    minor: int

    @classmethod
    def of(cls, request: Request, minor: int) -> Asked:
        return cls(request.type, request.provider, request.phone_number, minor)


def plan_of(asked: Asked, nth: int, rules: Iterable[Rule], seed: int) -> Plan:
    """The plan of the `nth` operation of this content, counted from 0.

    For each dimension the first rule decides that is for this operation and names the dimension.
    """
    words: dict[str, str] = {}
    times: dict[str, int] = {}
    matching = [rule for rule in rules if rule.match.takes(asked)]
    for rule in matching:
        for dimension, weights in rule.weights.items():
            if dimension not in words:
                words[dimension] = _pick(weights, _lot(seed, dimension, asked, nth))
        for name, (least, most) in rule.seconds.items():
            if name not in times:
                times[name] = least + _lot(seed, name, asked, nth) % (most - least + 1)
    words.update(_marked(asked))
    return msgspec.convert(words | times, Plan)


def tellings(plan: Plan, failure_code: str | None) -> Sequence[tuple[int, Status, str | None]]:
    """The callbacks about an end: how many seconds after it, and what each says."""
    truth = (Status.COMPLETED if failure_code is None else Status.FAILED, failure_code)
    lie = opposite(failure_code)
    match plan.callback:
        case "never":
            return ()
        case "twice":
            return ((0, *truth), (5, *truth))
        case "late":
            return ((plan.late_for, *truth),)
        case "out_of_order":
            return ((0, *truth), (3, Status.PROCESSING, None))
        case "contradictory":
            return ((0, *truth), (5, *lie))
        case "contradictory_first":
            return ((0, *lie), (30, *truth))
        case _:
            return ((0, *truth),)


def opposite(failure_code: str | None) -> tuple[Status, str | None]:
    """What a lie about an end says."""
    return (Status.FAILED, LIE) if failure_code is None else (Status.COMPLETED, None)


def _marked(asked: Asked) -> Iterable[tuple[str, str]]:
    whole, cents = divmod(asked.minor, 100)
    texts = (asked.number, str(whole) if cents == 0 and whole < 100_000 else "")
    for text in texts:
        if text[-5:-2] == MARK and text[-2:] in MARKED:
            yield MARKED[text[-2:]]


def _alike(pattern: str, number: str) -> bool:
    if pattern.endswith("*"):
        return number.startswith(pattern[:-1])
    return number == pattern


def _lot(seed: int, name: str, asked: Asked, nth: int) -> int:
    """A number that looks like chance, and is the same on every machine and version of Python."""
    text = f"{seed}/{name}/{asked.type}/{asked.provider}/{asked.number}/{asked.minor}/{nth}"
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "big")


def _pick(weights: Mapping[str, int], lot: int) -> str:
    left = lot % sum(weights.values())
    for word, weight in weights.items():
        if left < weight:
            return word
        left -= weight
    raise AssertionError("a lot is less than the sum of its weights")
