"""A form to move money while it is filled in: what it comes to, and what every such form can do.

A look is never a computation of its own: whether something is possible, what it costs and what
arrives is asked of the flow that moves it, field by field, and what is moved in the end is the very
price that was looked at.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Generic, TypeVar
from uuid import UUID

import msgspec

from kpay.access.model import Terms
from kpay.audit.model import Action, Details, Subject
from kpay.catalogue.model import Catalogue, Provider
from kpay.core.book import Book
from kpay.core.keyed import Keyed
from kpay.core.limits import Limits
from kpay.core.money import Money, read_amount
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.typed import amount_text, line
from kpay.dashboard.wrongs import AMOUNT, DESCRIPTION, FIELDS, REFERENCE, SOURCE, About
from kpay.ledger.fence import Beside
from kpay.rates.model import Quote
from kpay.wallets.model import Wallet

MOST_DESCRIPTION = 1_000
MOST_REFERENCE = 255
_MOST_TYPED = 64


class Look(msgspec.Struct):
    """What a form comes to, as far as it can be told yet."""

    typed: Mapping[str, str]
    wallet: Wallet
    destination: str | None = None
    """The country where it arrives."""
    amount: Money | None = None
    limits: Limits | None = None
    fee_bps: int = 0
    fee: Money | None = None
    currency: str | None = None
    """What it arrives in."""
    quote: Quote | None = None
    arrives: Money | None = None
    operator: Provider | None = None
    guessed: bool = False
    """Whether the operator is what the number says and nobody chose it."""
    phone_number: str | None = None
    phone_shown: str = ""
    """The number as it is compared with what somebody has on paper."""
    calling_code: str | None = None
    """Of the operator's country, as soon as there is an operator."""
    refused: dict[str, Code] = msgspec.field(default_factory=dict)
    """What is wrong, by the field where it can be mended."""
    missing: list[str] = msgspec.field(default_factory=list)

    @property
    def net(self) -> Money | None:
        return None if self.amount is None or self.fee is None else self.amount - self.fee

    @property
    def left(self) -> Money | None:
        """What can still be used of the wallet afterwards; less than nothing where it is short."""
        return None if self.amount is None else self.wallet.available - self.amount

    @property
    def short(self) -> bool:
        return self.left is not None and self.left.minor < 0

    @property
    def exchanged(self) -> bool:
        return self.currency not in (None, self.wallet.available.currency)

    @property
    def stamp(self) -> str:
        """Everything that was agreed to: if any of it has changed, it is to be looked at again."""
        operator = None if self.operator is None else self.operator.code
        rate = None if self.quote is None else self.quote.rate
        parts = (
            self.wallet.country,
            self.amount,
            self.fee,
            rate,
            self.arrives,
            self.destination,
            operator,
        )
        return " ".join(str(part) for part in (*parts, self.phone_number))

    @property
    def about(self) -> About:
        return About(self.amount, self.limits, self.wallet.available, self.calling_code)

    @contextmanager
    def at_its_field(self) -> Iterator[None]:
        """What is refused in here is noted where it can be mended, instead of going on."""
        try:
            yield
        except Refusal as refusal:
            if refusal.code not in FIELDS:
                raise
            self.refused.setdefault(FIELDS[refusal.code], refusal.code)


L = TypeVar("L", bound=Look)


class Move(ABC, Generic[L]):
    """One way to move money, as a form."""

    word: str
    """In the address, and in a notice's query."""
    template: str
    fields: tuple[str, ...]
    shortage: Code
    action: Action

    def __init__(self, catalogue: Catalogue) -> None:
        self._catalogue = catalogue

    @abstractmethod
    async def look(self, book: Book, terms: Terms, wallet: Wallet, typed: Mapping[str, str]) -> L:
        """What the form comes to."""

    @abstractmethod
    async def make(
        self, book: Book, terms: Terms, /, look: L, keyed: Keyed, beside: Beside
    ) -> None:
        """Move it, under the operation's identifier. Refuses what the flow refuses."""

    @abstractmethod
    async def is_made(self, book: Book, operation_id: UUID) -> bool:
        """Whether it was moved already."""

    @abstractmethod
    def choices(self, book: Book, terms: Terms, /) -> dict[str, object]:
        """What there is to choose from, as the form's template has it."""

    def begin(self, wallets: Sequence[Wallet], given: Mapping[str, str]) -> dict[str, str]:
        """The form's fields as they came, or as they stand when it is opened."""
        typed = {name: line(given.get(name, ""), self._most(name)) for name in self.fields}
        if typed[SOURCE] not in {wallet.country for wallet in wallets}:
            typed[SOURCE] = _likely(wallets).country
        return typed

    def subject(self, operation_id: UUID) -> Subject:
        """The operation as the audit log names it."""
        return Subject(self.word, str(operation_id))

    def details(self, look: L) -> Details:
        """The operation as the audit log tells it."""
        amount, arrives = look.amount, look.arrives
        return {
            "source": look.wallet.country,
            "destination": look.destination,
            "amount": None if amount is None else amount.minor,
            "currency": look.wallet.available.currency,
            "arrives": None if arrives is None else arrives.minor,
            "arrivesIn": None if arrives is None else arrives.currency,
        }

    def _read(self, look: L) -> None:
        """The amount by itself, so that it can be told before the rest is there."""
        if not look.typed[AMOUNT]:
            look.missing.append(AMOUNT)
            return
        with look.at_its_field():
            amount = read_amount(amount_text(look.typed[AMOUNT]), look.wallet.available.currency)
            look.amount = amount
            if look.limits is not None:
                look.limits.check(amount)

    @staticmethod
    def _most(name: str) -> int:
        return {DESCRIPTION: MOST_DESCRIPTION, REFERENCE: MOST_REFERENCE}.get(name, _MOST_TYPED)


def _likely(wallets: Sequence[Wallet]) -> Wallet:
    """The fullest of those in the currency that most are in: amounts of two do not compare."""
    names = [wallet.available.currency for wallet in wallets]
    at_home = max(sorted(set(names)), key=names.count)
    of_home = [wallet for wallet in wallets if wallet.available.currency == at_home]
    return max(of_home, key=lambda wallet: wallet.available.minor)
