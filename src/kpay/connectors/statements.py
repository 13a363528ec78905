"""What rails tell of a whole day: every line that moved our money there. A capability like others.

A statement may take its rail minutes to make, so it is ordered first and read later, by whoever has
its ticket: nothing waits meanwhile, and a process that dies between the two loses nothing.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import date, datetime
from typing import Protocol, runtime_checkable
from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import Balance
from kpay.connectors.model import Evidence
from kpay.core.money import Money


class RailWallet(msgspec.Struct, frozen=True, order=True):
    """Where a rail keeps our money: a country's, or one provider's where it keeps those apart."""

    country: str
    currency: str
    provider: str | None = None


class Line(msgspec.Struct, frozen=True):
    """One line of a statement. `amount` is what it did to the wallet: what goes out is below zero.

    `operation` is None for what is no operation of ours: a top-up, a fee, what was swept to a bank.
    A fee that the rail shows beside an operation is a line of its own.
    """

    at: datetime
    word: str
    """What the rail calls it."""
    amount: Money
    operation: OperationType | None = None
    reference: UUID | None = None
    """Ours, of an operation."""
    balance: Money | None = None
    """What the wallet held after it, where the rail says so."""
    raw: Evidence = msgspec.field(default_factory=dict)


class TicketLost(Exception):
    """No statement will come of the ticket: order it anew."""


class NotReady(Exception):
    """The rail is still making the statement: ask again in a while."""


@runtime_checkable
class TellsStatements(Protocol):
    """Tells what a wallet holds and every line that moved it. Each raises NoAnswer where it cannot.

    A day is one of UTC, from midnight to midnight.
    """

    async def balances(self) -> Sequence[Balance]: ...

    async def order_statement(self, wallet: RailWallet, day: date) -> str:
        """Have a day's statement made. Returns the ticket that it is read by."""
        ...

    def read_statement(self, wallet: RailWallet, day: date, ticket: str) -> AsyncIterator[Line]:
        """The lines in the order in which they moved the balance, each time the same.

        A line is in the statement of one day and of no other.

        Raises NotReady while it is being made, and TicketLost where it never will be.
        """
        ...
