"""The balances that must follow from the journal, once everything has ended.

Written from docs/payout.md and the words for accounts, not from the program's own movements: two
ways to the same sums.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable

from soak.journal import Record
from soak.operations import Kind, Wanted

_CURRENCY = {"CMR": "XAF", "GAB": "XAF", "SEN": "XOF", "CIV": "XOF"}

Balances = dict[tuple[int, str], int]


def expected(records: Iterable[Record]) -> Balances:
    """The balance of every account that is not zero, in hundredths, by merchant and account.

    Every operation that is on record counts once, however often it was sent; what was cancelled
    leaves nothing.
    """
    sums: Counter[tuple[int, str]] = Counter()
    for record in records:
        if record.id is not None and not record.is_cancelled:
            for account, amount in _effect(record.wanted).items():
                sums[record.wanted.merchant, account] += amount
    return {key: amount for key, amount in sums.items() if amount}


def _effect(wanted: Wanted) -> Counter[str]:
    """What one operation leaves behind. What failed leaves nothing."""
    route = wanted.route
    moved: Counter[str] = Counter()
    if route.ends != "COMPLETED":
        return moved
    if wanted.kind is Kind.PAYMENT:
        moved[f"provider:{route.provider}"] -= wanted.amount
        moved[f"wallet:{route.destination}"] += wanted.net
        moved[f"fees:{_CURRENCY[route.destination]}"] += wanted.fee
        return moved
    if wanted.kind is Kind.REFUND:
        # All that was paid goes back, and the fee stays earned.
        moved[f"wallet:{route.source}"] -= wanted.amount
        moved[f"provider:{route.provider}"] += wanted.amount
        return moved
    given, got = _CURRENCY[route.source], _CURRENCY[route.destination]
    moved[f"wallet:{route.source}"] -= wanted.amount
    if route.is_converted:
        moved[f"fx:{given}"] += wanted.net
        moved[f"fx:{got}"] -= wanted.converted
    if wanted.kind is Kind.TRANSFER:
        moved[f"wallet:{route.destination}"] += wanted.converted
        return moved
    moved[f"fees:{given}"] += wanted.fee
    moved[f"provider:{route.provider}"] += wanted.sent
    moved[f"rounding:{got}"] += wanted.converted - wanted.sent
    return moved
