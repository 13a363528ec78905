"""The rail's own books: a wallet for each country and currency, and what became of each operation.

Pure rules. A payout or refund *reserves* its amount when it is accepted, *consumes* it when it is
completed, and *releases* it when it has failed; a deposit is credited when it is completed. What
has ended stays as it ended. Fees are taken on completion, from what is available.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple

import msgspec

from kpay.catalogue.model import OperationType
from kpay.core.money import Money, fee_of


class Status(StrEnum):
    """Where an operation stands, in pawaPay's words."""

    ACCEPTED = "ACCEPTED"
    ENQUEUED = "ENQUEUED"
    PROCESSING = "PROCESSING"
    IN_RECONCILIATION = "IN_RECONCILIATION"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"


FINAL = frozenset((Status.COMPLETED, Status.FAILED))

_NEXT: Mapping[Status, frozenset[Status]] = {
    Status.ACCEPTED: frozenset((Status.ENQUEUED, Status.PROCESSING, *FINAL)),
    Status.ENQUEUED: frozenset((Status.PROCESSING, *FINAL)),
    Status.PROCESSING: frozenset((Status.IN_RECONCILIATION, *FINAL)),
    Status.IN_RECONCILIATION: FINAL,
    Status.COMPLETED: frozenset(),
    Status.FAILED: frozenset(),
}


class BooksError(Exception):
    """What the books refuse, with pawaPay's code for it."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class Place(NamedTuple):
    """A wallet: one country's money in one currency."""

    country: str
    currency: str


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """What a merchant asked for, judged and found good."""

    type: OperationType
    id: str
    amount: Money
    country: str
    provider: str
    phone_number: str
    customer_message: str | None = None
    client_reference: str | None = None
    metadata: Mapping[str, str] = {}
    deposit_id: str | None = None

    @property
    def place(self) -> Place:
        return Place(self.country, self.amount.currency)


class Operation(msgspec.Struct):
    """An order that was accepted, and where it stands; its end brings the last two."""

    order: Order
    created: datetime
    status: Status = Status.ACCEPTED
    ended: datetime | None = None
    failure_code: str | None = None

    @property
    def open(self) -> bool:
        return self.status not in FINAL


class Wallet(msgspec.Struct):
    """Minor units. What is reserved is still the merchant's, and cannot be spent again."""

    available: int = 0
    reserved: int = 0

    @property
    def balance(self) -> int:
        return self.available + self.reserved


class Line(msgspec.Struct, frozen=True):
    """One movement of a wallet, as its statement shows it: signed, and the balance after it.

    Without an operation it is what the wallet was opened or topped up with.
    """

    at: datetime
    place: Place
    moved: int
    fee: int
    balance: int
    operation: Operation | None


class Books:
    """Everything that this rail knows of one merchant's money."""

    def __init__(self, fees: Mapping[OperationType, int] | None = None) -> None:
        """`fees` in basis points of the amount, by operation; none where nothing is said."""
        self.operations: dict[tuple[OperationType, str], Operation] = {}
        self.wallets: dict[Place, Wallet] = {}
        self.lines: list[Line] = []
        self._fees = dict(fees or {})
        self._refunds: dict[str, list[Operation]] = {}

    def top_up(self, place: Place, minor: int, now: datetime) -> None:
        """Money that comes from outside the rail, as a merchant sends it before its payouts."""
        wallet = self._wallet(place)
        wallet.available += minor
        self.lines.append(Line(now, place, minor, 0, wallet.balance, None))

    def find(self, type_: OperationType, identifier: str) -> Operation | None:
        return self.operations.get((type_, identifier))

    def accept(self, order: Order, now: datetime) -> Operation:
        """Take an order on, and reserve what it pays out.

        Refuses: PAWAPAY_WALLET_OUT_OF_FUNDS. A second order of the same id is the caller's mistake.
        """
        key = (order.type, order.id)
        if key in self.operations:
            raise ValueError(f"{order.id} was accepted before")
        wallet = self._wallet(order.place)
        if order.type is not OperationType.DEPOSIT:
            if wallet.available < order.amount.minor:
                raise BooksError(
                    "PAWAPAY_WALLET_OUT_OF_FUNDS",
                    f"The wallet of {order.country} in {order.amount.currency} has not that much.",
                )
            wallet.available -= order.amount.minor
            wallet.reserved += order.amount.minor
        operation = self.operations[key] = Operation(order, now)
        if order.deposit_id is not None:
            self._refunds.setdefault(order.deposit_id, []).append(operation)
        return operation

    def move(
        self, operation: Operation, status: Status, now: datetime, failure_code: str | None = None
    ) -> bool:
        """Bring an operation on. False, and nothing is changed, where it cannot go there."""
        if status not in _NEXT[operation.status]:
            return False
        operation.status = status
        if status in FINAL:
            operation.ended = now
            operation.failure_code = failure_code
            self._settle(operation, now)
        return True

    def refundable(self, deposit_id: str, amount: Money | None) -> tuple[Operation, Money]:
        """The deposit that a refund is of, and what of it: all that is left unless it says.

        Refuses: NOT_FOUND, INVALID_STATE, REFUND_IN_PROGRESS, DEPOSIT_ALREADY_REFUNDED,
        INVALID_CURRENCY, AMOUNT_TOO_LARGE.
        """
        deposit = self.find(OperationType.DEPOSIT, deposit_id)
        if deposit is None:
            raise BooksError("NOT_FOUND", f"Deposit with ID {deposit_id} was not found.")
        if deposit.status is not Status.COMPLETED:
            raise BooksError("INVALID_STATE", f"The deposit is {deposit.status}.")
        before = self._refunds.get(deposit_id, [])
        if any(refund.open for refund in before):
            raise BooksError("REFUND_IN_PROGRESS", "Another refund of this deposit is in progress.")
        left = deposit.order.amount
        for refund in before:
            if refund.status is Status.COMPLETED:
                left = left - refund.order.amount
        if left.minor == 0:
            raise BooksError("DEPOSIT_ALREADY_REFUNDED", "The deposit was refunded already.")
        if amount is None:
            return deposit, left
        if amount.currency != left.currency:
            raise BooksError("INVALID_CURRENCY", f"The deposit was in {left.currency}.")
        if amount.minor > left.minor:
            raise BooksError("AMOUNT_TOO_LARGE", f"Of the deposit {left} can be refunded yet.")
        return deposit, amount

    def counts(self) -> dict[str, dict[str, int]]:
        """How many operations of each type stand where."""
        found: dict[str, Counter[str]] = {}
        for (type_, _), operation in self.operations.items():
            found.setdefault(str(type_), Counter())[str(operation.status)] += 1
        return {type_: dict(sorted(counted.items())) for type_, counted in sorted(found.items())}

    def unsound(self) -> Iterator[str]:
        """What does not add up, in sentences: nothing, or this rail has a defect of its own."""
        balances: Counter[Place] = Counter()
        reserved: Counter[Place] = Counter()
        paid: Counter[tuple[OperationType, str]] = Counter()
        for line in self.lines:
            balances[line.place] += line.moved - line.fee
            if line.operation is not None:
                paid[(line.operation.order.type, line.operation.order.id)] += 1
        for operation in self.operations.values():
            if operation.open and operation.order.type is not OperationType.DEPOSIT:
                reserved[operation.order.place] += operation.order.amount.minor
        for place, wallet in self.wallets.items():
            if wallet.balance != balances[place]:
                yield f"{place} holds {wallet.balance}, and its lines say {balances[place]}."
            if wallet.reserved != reserved[place]:
                yield f"{place} reserves {wallet.reserved}, and what is open {reserved[place]}."
        for key, operation in self.operations.items():
            if paid[key] != (operation.status is Status.COMPLETED):
                yield f"{key[0]} {key[1]} is {operation.status} and has {paid[key]} lines."

    def _settle(self, operation: Operation, now: datetime) -> None:
        order = operation.order
        wallet, amount = self._wallet(order.place), order.amount.minor
        if order.type is not OperationType.DEPOSIT:
            wallet.reserved -= amount
            wallet.available += amount
        if operation.status is Status.FAILED:
            return
        moved = amount if order.type is OperationType.DEPOSIT else -amount
        fee = fee_of(order.amount, self._fees.get(order.type, 0)).minor
        wallet.available += moved - fee
        self.lines.append(Line(now, order.place, moved, fee, wallet.balance, operation))

    def _wallet(self, place: Place) -> Wallet:
        return self.wallets.setdefault(place, Wallet())
