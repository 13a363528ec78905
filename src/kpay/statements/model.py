"""Movements of a wallet, and how balances run through them. Pure rules.

What a merchant owns in a country is on two accounts: the wallet, and what is reserved of it. Each
has a chain of lines, numbered without a gap. A movement is one entry's lines on both, so it changes
the balance (all that is owned), what is reserved of it, or both:

    balance = available + reserved, as in every answer of the API

Money that is set aside for a withdrawal or a refund, or that comes back, changes what is reserved
and not the balance; one that was paid changes the balance, once, by its whole amount.
"""

from __future__ import annotations

import re
from datetime import datetime
from enum import StrEnum
from uuid import UUID

import msgspec

from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.ledger.model import Kind

_PLACE = re.compile(r"mov_([A-Z]{3})_(\d{1,18})_(\d{1,18})", re.ASCII)


class MovementType(StrEnum):
    """What a movement is, in the merchant's words."""

    PAYMENT = "PAYMENT"
    WALLET_TRANSFER_IN = "WALLET_TRANSFER_IN"
    WALLET_TRANSFER_OUT = "WALLET_TRANSFER_OUT"
    WITHDRAWAL_RESERVED = "WITHDRAWAL_RESERVED"
    WITHDRAWAL_COMPLETED = "WITHDRAWAL_COMPLETED"
    WITHDRAWAL_RELEASED = "WITHDRAWAL_RELEASED"
    REFUND_RESERVED = "REFUND_RESERVED"
    REFUND_COMPLETED = "REFUND_COMPLETED"
    REFUND_RELEASED = "REFUND_RELEASED"


# A transfer is one of two, by whether money came or went.
_TYPES = {
    Kind.PAYMENT_COMPLETED: MovementType.PAYMENT,
    Kind.PAYOUT_REQUESTED: MovementType.WITHDRAWAL_RESERVED,
    Kind.PAYOUT_COMPLETED: MovementType.WITHDRAWAL_COMPLETED,
    Kind.PAYOUT_RELEASED: MovementType.WITHDRAWAL_RELEASED,
    Kind.REFUND_REQUESTED: MovementType.REFUND_RESERVED,
    Kind.REFUND_COMPLETED: MovementType.REFUND_COMPLETED,
    Kind.REFUND_RELEASED: MovementType.REFUND_RELEASED,
}


def type_of(kind: Kind, change: int) -> MovementType:
    """What an entry is to a wallet whose available balance it changed by so much."""
    if kind is Kind.TRANSFER:
        return MovementType.WALLET_TRANSFER_OUT if change < 0 else MovementType.WALLET_TRANSFER_IN
    return _TYPES[kind]


class Place(msgspec.Struct, frozen=True):
    """How many lines of each of the two chains are behind: between two movements, or at an end."""

    wallet: int = 0
    reserved: int = 0


class Standing(msgspec.Struct, frozen=True):
    """What a wallet holds at a place, in hundredths."""

    place: Place
    available: int
    reserved: int

    @property
    def balance(self) -> int:
        return self.available + self.reserved

    def moved(self, wallet: Line | None, reserved: Line | None, sign: int) -> Standing:
        """Where the next lines lead: onward with sign 1, back with -1."""
        return Standing(
            Place(
                self.place.wallet + (sign if wallet else 0),
                self.place.reserved + (sign if reserved else 0),
            ),
            self.available + (sign * wallet.amount if wallet else 0),
            self.reserved + (sign * reserved.amount if reserved else 0),
        )


NOTHING = Standing(Place(), 0, 0)


class Line(msgspec.Struct, frozen=True):
    """One line of a chain, with what its entry says. `number` is the entry's in its journal."""

    version: int
    amount: int
    balance_after: int
    number: int
    operation_id: UUID
    kind: Kind
    at: datetime


class Movement(msgspec.Struct, frozen=True):
    """What one entry did to a wallet, and where the wallet stood then."""

    type: MovementType
    kind: Kind
    operation_id: UUID
    at: datetime
    change: int
    """Of the balance, in hundredths."""
    reserved_change: int
    before: Place
    after: Standing


def onward(standing: Standing, wallet: Line | None, reserved: Line | None) -> Movement | None:
    """The next movement, of the next line of each chain; None when there is neither.

    Raises ValueError where a balance that was recorded is not what the lines before add up to: a
    statement that does not add up is not to be shown.
    """
    taken = _together(wallet, reserved, sign=1)
    if taken is None:
        return None
    after = standing.moved(*taken, 1)
    _check(after, *taken)
    return _movement(*taken, standing.place, after)


def backward(standing: Standing, wallet: Line | None, reserved: Line | None) -> Movement | None:
    """The movement that led here, of the last line of each chain; None when there is neither.

    Raises ValueError as `onward` does.
    """
    taken = _together(wallet, reserved, sign=-1)
    if taken is None:
        return None
    _check(standing, *taken)
    return _movement(*taken, standing.moved(*taken, -1).place, standing)


def _together(
    wallet: Line | None, reserved: Line | None, *, sign: int
) -> tuple[Line | None, Line | None] | None:
    """The lines of the entry that comes first; a chain that it leaves alone has none."""
    if wallet is None or reserved is None:
        return None if wallet is reserved else (wallet, reserved)
    if wallet.number == reserved.number:
        return wallet, reserved
    return (wallet, None) if sign * (reserved.number - wallet.number) > 0 else (None, reserved)


def _check(after: Standing, wallet: Line | None, reserved: Line | None) -> None:
    place = after.place
    for line, version, balance in (
        (wallet, place.wallet, after.available),
        (reserved, place.reserved, after.reserved),
    ):
        if line is not None and (line.version, line.balance_after) != (version, balance):
            raise ValueError("a wallet's lines do not add up to the balances that they record")


def _movement(
    wallet: Line | None, reserved: Line | None, before: Place, after: Standing
) -> Movement:
    line = wallet or reserved
    if line is None:
        raise ValueError("a movement has a line")
    change = wallet.amount if wallet else 0
    reserved_change = reserved.amount if reserved else 0
    return Movement(
        type=type_of(line.kind, change),
        kind=line.kind,
        operation_id=line.operation_id,
        at=line.at,
        change=change + reserved_change,
        reserved_change=reserved_change,
        before=before,
        after=after,
    )


class Operation(msgspec.Struct, frozen=True):
    """What a movement belongs to, as its merchant knows it.

    `gross` and `fee` are of the operation in the wallet's currency; `counter` is what stands on the
    other side: what another wallet gave or got, or what the beneficiary was sent.
    """

    id: str
    reference: str
    external_id: str | None
    description: str | None
    provider: str | None = None
    gross: Money | None = None
    fee: Money | None = None
    counter_country: str | None = None
    counter: Money | None = None
    failure_code: str | None = None


class Told(msgspec.Struct, frozen=True):
    """A movement and the operation that it belongs to."""

    movement: Movement
    operation: Operation

    @property
    def settles(self) -> bool:
        """Whether it is the one movement of its operation at which the fee is taken."""
        return self.movement.type in (MovementType.PAYMENT, MovementType.WITHDRAWAL_COMPLETED)


class Total(msgspec.Struct):
    """All movements of one type in a period; amounts in hundredths."""

    count: int = 0
    change: int = 0
    reserved_change: int = 0
    fee: int = 0


class Totals:
    """Adds up what passes, by type."""

    def __init__(self) -> None:
        self._of_type: dict[MovementType, Total] = {}

    def add(self, told: Told) -> None:
        total = self._of_type.setdefault(told.movement.type, Total())
        total.count += 1
        total.change += told.movement.change
        total.reserved_change += told.movement.reserved_change
        if told.settles and told.operation.fee is not None:
            total.fee += told.operation.fee.minor

    def by_type(self) -> list[tuple[MovementType, Total]]:
        """Of the types that there were, in the order in which the types are listed."""
        return [(type_, self._of_type[type_]) for type_ in MovementType if type_ in self._of_type]


class Wanted(msgspec.Struct, frozen=True):
    """Which movements: from `since` on, before `until`; None narrows nothing."""

    since: datetime | None = None
    until: datetime | None = None
    type: MovementType | None = None
    external_id: str | None = None


def spell_place(country: str, place: Place) -> str:
    """A place as a cursor, and as the name of the movement that led there: mov_CMR_15_4."""
    return f"mov_{country}_{place.wallet}_{place.reserved}"


def parse_place(country: str, text: str) -> Place | None:
    """The place behind a text of ours for this wallet, or None."""
    found = _PLACE.fullmatch(text)
    if found is None or found[1] != country:
        return None
    return Place(int(found[2]), int(found[3]))


def read_type(text: str | None) -> MovementType | None:
    """The type in a query. Refuses: invalid_parameter."""
    if text is None:
        return None
    if text not in set(MovementType):
        raise Refusal(Code.INVALID_PARAMETER, f"type must be one of {', '.join(MovementType)}.")
    return MovementType(text)
