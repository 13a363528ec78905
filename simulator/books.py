"""The books as they must be, in plain arithmetic of which nothing is the program's.

An operation changes them when it begins to exist and when it ends. Amounts are hundredths.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from decimal import Decimal
from fractions import Fraction
from uuid import UUID

from simulator.operations import OUTGOING, Kind, Operation, Record


class Books:
    """Every account of every application: by its application and its code, such as `wallet:CMR`."""

    def __init__(self) -> None:
        self.accounts: defaultdict[tuple[UUID, str], int] = defaultdict(int)
        self.entries = 0

    def begin(self, operation: Operation, record: Record) -> None:
        """It exists now: a transfer moves money, what goes out holds it, a payment only waits."""
        if operation.kind is Kind.TRANSFER:
            self._move(
                record,
                {
                    f"wallet:{record.country}": -record.amount,
                    f"wallet:{record.target}": record.arrives,
                    **_exchanged(record, record.amount, record.arrives),
                },
            )
        elif operation.kind in OUTGOING:
            self._move(
                record,
                {
                    f"wallet:{record.country}": -record.amount,
                    f"reserved:{record.country}": record.amount,
                },
            )

    def complete(self, operation: Operation, record: Record) -> None:
        """The rail has paid: a payment credits its net, what went out uses up what it held."""
        if operation.kind is Kind.PAYMENT:
            self._move(
                record,
                {
                    f"provider:{record.target}": -record.amount,
                    f"wallet:{record.country}": record.amount - record.fee,
                    f"fees:{record.currency}": record.fee,
                },
            )
            return
        self._move(
            record,
            {
                f"reserved:{record.country}": -record.amount,
                f"fees:{record.currency}": record.fee,
                f"provider:{record.target}": record.sent,
                f"rounding:{record.target_currency}": record.arrives - record.sent,
                **_exchanged(record, record.amount - record.fee, record.arrives),
            },
        )

    def give_back(self, operation: Operation, record: Record) -> None:
        """It failed or was cancelled: what was held goes back, a payment had moved nothing."""
        if operation.kind in OUTGOING:
            self._move(
                record,
                {
                    f"reserved:{record.country}": -record.amount,
                    f"wallet:{record.country}": record.amount,
                },
            )

    def _move(self, record: Record, lines: Mapping[str, int]) -> None:
        self.entries += 1
        for account, amount in lines.items():
            self.accounts[record.application_id, account] += amount


def _exchanged(record: Record, given: int, arrives: int) -> dict[str, int]:
    if record.currency == record.target_currency:
        return {}
    return {f"fx:{record.currency}": given, f"fx:{record.target_currency}": -arrives}


def fee_of(amount: int, basis_points: int) -> int:
    return _nearest(Fraction(amount * basis_points, 10_000))


def at_rate(amount: int, rate: Decimal) -> int:
    return _nearest(amount * Fraction(rate))


def in_decimals(amount: int, decimals: int) -> int:
    """An amount as an operator with so many decimals is told it, in hundredths."""
    unit: int = 10 ** (2 - decimals)
    return _nearest(Fraction(amount, unit)) * unit


def _nearest(value: Fraction) -> int:
    """To the nearest whole; a half goes up. Nothing here is below zero."""
    return int(value + Fraction(1, 2))
