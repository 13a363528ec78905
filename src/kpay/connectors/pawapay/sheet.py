"""What a row of a statement says. Pure: a header and rows of text go in, lines of money come out.

The columns are read by their names, in any order and with any others beside them, because pawaPay
says that they change. What is about money is read strictly: a column that is missing, a cell that
is not understood or amounts that do not add up are trouble in words, and never a guess.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from kpay.catalogue.model import OperationType
from kpay.connectors.amounts import read_rail_amount
from kpay.connectors.statements import Line, RailWallet
from kpay.connectors.wire import NoAnswer
from kpay.core.ids import parse_uuid
from kpay.core.money import Money

ID = "Transaction ID"
TYPE = "Transaction Type"
STATUS = "Status"
CURRENCY = "Currency"
AMOUNT = "Amount"
FEE = "Fee"
NET = "Net Amount"
COMPLETED_AT = "Completed At"
NEEDED = (ID, TYPE, STATUS, CURRENCY, AMOUNT, FEE, NET, COMPLETED_AT)

_MOVED = "COMPLETED"
# What has not ended, or has ended and moved nothing.
_NOT_MOVED = frozenset(
    ("ACCEPTED", "ENQUEUED", "PROCESSING", "SUBMITTED", "IN_RECONCILIATION", "FAILED", "REJECTED")
)
_FEE_WORD = "FEE"


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a type of transaction does to the wallet, and which operation of ours it can be."""

    sign: int
    operation: OperationType | None


_KINDS: Mapping[str, _Kind] = {
    "DEPOSIT": _Kind(1, OperationType.DEPOSIT),
    "PAYOUT": _Kind(-1, OperationType.PAYOUT),
    "REFUND": _Kind(-1, OperationType.REFUND),
    # We make none: whoever does pays out of our account, and that is to be found.
    "REMITTANCE": _Kind(-1, OperationType.PAYOUT),
    "TOPUP": _Kind(1, None),
}


class Sheet:
    """A statement's table, from its header on."""

    def __init__(self, header: Sequence[str], wallet: RailWallet, day: date) -> None:
        """Raises NoAnswer where a column is missing, or is there twice."""
        self._header = [name.strip() for name in header]
        self._wallet = wallet
        self._start = datetime.combine(day, time(), UTC)
        self._end = self._start + timedelta(days=1)
        self._row = 1
        for name in NEEDED:
            if self._header.count(name) != 1:
                columns = ", ".join(self._header)[:500]
                raise NoAnswer(f"the statement needs one column {name!r}, and has: {columns}")

    def read(self, cells: Sequence[str]) -> list[Line]:
        """The lines of a row: what it moved and, beside it, its fee. Raises NoAnswer."""
        self._row += 1
        if len(cells) != len(self._header):
            raise self._trouble("it has not as many cells as there are columns")
        row = {name: cell.strip() for name, cell in zip(self._header, cells, strict=True)}
        if row[STATUS] in _NOT_MOVED:
            return []
        if row[STATUS] != _MOVED:
            raise self._trouble(f"{STATUS} is {row[STATUS][:40]!r}, which is not known")
        kind = _KINDS.get(row[TYPE])
        if kind is None:
            raise self._trouble(f"{TYPE} is {row[TYPE][:40]!r}, which is not known")
        at = self._moment(row)
        # The midnight that ends a day is the next one's, whichever of both it is told in.
        return [] if at == self._end else self._lines(row, kind, at)

    def _lines(self, row: Mapping[str, str], kind: _Kind, at: datetime) -> list[Line]:
        amount, fee = self._amount(row, AMOUNT), self._amount(row, FEE)
        moved = amount if kind.sign > 0 else -amount
        self._check(row, moved - fee)
        lines = [
            Line(
                at=at,
                word=row[TYPE],
                amount=moved,
                operation=kind.operation,
                reference=None if kind.operation is None else parse_uuid(row[ID]),
                raw=dict(row),
            )
        ]
        if fee.minor:
            lines.append(
                Line(at=at, word=_FEE_WORD, amount=-fee, raw={TYPE: row[TYPE], ID: row[ID]})
            )
        return lines

    def _amount(self, row: Mapping[str, str], column: str) -> Money:
        """An amount without a sign: the type says which way it went."""
        found = read_rail_amount(row[column], row[CURRENCY])
        if found is None:
            raise self._trouble(f"{column} is {row[column][:40]!r}, which is no amount")
        if found.currency != self._wallet.currency:
            raise self._trouble(f"{CURRENCY} is not {self._wallet.currency}")
        return found

    def _check(self, row: Mapping[str, str], moved: Money) -> None:
        """Hold what pawaPay says of the whole against its parts; it may leave the sign out."""
        told = row[NET]
        net = read_rail_amount(told.removeprefix("-"), row[CURRENCY])
        minor = None if net is None else -net.minor if told.startswith("-") else net.minor
        if minor not in (moved.minor, abs(moved.minor)):
            raise self._trouble(f"{NET} is {told[:40]!r}, and its parts come to {moved}")

    def _moment(self, row: Mapping[str, str]) -> datetime:
        """When it moved the balance; without an offset it is UTC, as pawaPay's moments are."""
        try:
            told = datetime.fromisoformat(row[COMPLETED_AT])
        except ValueError:
            told = None
        if told is None:
            raise self._trouble(f"{COMPLETED_AT} is {row[COMPLETED_AT][:40]!r}, which is no moment")
        at = told.replace(tzinfo=UTC) if told.tzinfo is None else told.astimezone(UTC)
        if not self._start <= at <= self._end:
            raise self._trouble(f"{COMPLETED_AT} is on another day than the statement's")
        return at

    def _trouble(self, words: str) -> NoAnswer:
        return NoAnswer(f"row {self._row} of the statement cannot be read: {words}")
