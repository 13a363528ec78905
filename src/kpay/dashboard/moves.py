"""What a form to move money comes to while it is filled in, by the rules that it is moved by.

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
from kpay.catalogue.model import Catalogue, OperationType, Provider
from kpay.core.book import Book
from kpay.core.keyed import Keyed
from kpay.core.limits import Limits
from kpay.core.money import Money, fee_of, read_amount
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.typed import amount_text, line, phone_words
from kpay.dashboard.wrongs import (
    AMOUNT,
    DESCRIPTION,
    DESTINATION,
    FIELDS,
    PHONE,
    PROVIDER,
    REFERENCE,
    SOURCE,
    About,
)
from kpay.ledger.fence import Beside
from kpay.payouts.flow import Payouts
from kpay.payouts.model import Priced as PricedPayout
from kpay.payouts.model import Wanted as WantedPayout
from kpay.rates.model import Quote
from kpay.transfers.flow import Transfers
from kpay.transfers.model import Priced as PricedTransfer
from kpay.transfers.model import Wanted as WantedTransfer
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
        parts = (self.amount, self.fee, rate, self.arrives, self.destination, operator)
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


class TransferLook(Look):
    wanted: WantedTransfer | None = None
    priced: PricedTransfer | None = None


class PayoutLook(Look):
    wanted: WantedPayout | None = None
    priced: PricedPayout | None = None


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


class TransferMove(Move[TransferLook]):
    """Between two wallets."""

    word = "transfer"
    template = "move_transfer.html"
    fields = (SOURCE, DESTINATION, AMOUNT, REFERENCE, DESCRIPTION)
    shortage = Code.TRANSFER_EXCEEDS_BALANCE
    action = Action.TRANSFER_MADE

    def __init__(self, transfers: Transfers, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self._transfers = transfers

    def begin(self, wallets: Sequence[Wallet], given: Mapping[str, str]) -> dict[str, str]:
        typed = super().begin(wallets, given)
        if not typed[DESTINATION]:
            # Another wallet of theirs first, and else whichever country there is.
            countries = [*(wallet.country for wallet in wallets), *self._catalogue.countries]
            typed[DESTINATION] = next(each for each in countries if each != typed[SOURCE])
        return typed

    def choices(self, _book: Book, _terms: Terms, /) -> dict[str, object]:
        return {"countries": self._catalogue.countries}

    async def look(
        self, book: Book, terms: Terms, wallet: Wallet, typed: Mapping[str, str]
    ) -> TransferLook:
        currency = wallet.available.currency
        look = TransferLook(typed, wallet, limits=terms.transfer_limits(currency))
        look.destination = typed[DESTINATION]
        self._read(look)
        with look.at_its_field():
            _, to = self._transfers.countries(wallet.country, typed[DESTINATION])
            look.currency = to.currency
            look.quote = await self._transfers.quote(book, currency, to.currency)
        if look.missing or look.refused:
            return look
        look.fee = Money(0, currency)
        with look.at_its_field():
            look.wanted = self._transfers.check(
                terms,
                source_country=wallet.country,
                destination_country=typed[DESTINATION],
                amount=amount_text(typed[AMOUNT]),
                external_id=typed[REFERENCE] or None,
                description=typed[DESCRIPTION] or None,
            )
            look.priced = await self._transfers.price(book, look.wanted)
            look.quote, look.arrives = look.priced.quote, look.priced.credited
        return look

    async def make(
        self, book: Book, _terms: Terms, /, look: TransferLook, keyed: Keyed, beside: Beside
    ) -> None:
        if look.wanted is None:
            raise RuntimeError("a transfer was to be made that is not whole")
        await self._transfers.request(book, look.wanted, keyed, priced=look.priced, beside=beside)

    async def is_made(self, book: Book, operation_id: UUID) -> bool:
        return await self._transfers.find(book, operation_id) is not None


class PayoutMove(Move[PayoutLook]):
    """To somebody's phone."""

    word = "payout"
    template = "move_payout.html"
    fields = (SOURCE, AMOUNT, PHONE, PROVIDER, REFERENCE, DESCRIPTION)
    shortage = Code.WITHDRAWAL_EXCEEDS_BALANCE
    action = Action.PAYOUT_REQUESTED

    def __init__(self, payouts: Payouts, catalogue: Catalogue) -> None:
        super().__init__(catalogue)
        self._payouts = payouts

    def choices(self, book: Book, terms: Terms, /) -> dict[str, object]:
        numbers = self._catalogue.test_numbers if book.is_test else {}
        return {
            "operators": self._payouts.offers(book, terms),
            "test_numbers": [
                number for (type_, _), number in numbers.items() if type_ is OperationType.PAYOUT
            ],
        }

    async def look(
        self, book: Book, terms: Terms, wallet: Wallet, typed: Mapping[str, str]
    ) -> PayoutLook:
        currency = wallet.available.currency
        look = PayoutLook(typed, wallet, limits=self._payouts.limits(terms, currency))
        look.fee_bps = terms.payout_fee_bps
        self._read(look)
        if look.amount is not None and AMOUNT not in look.refused:
            look.fee = fee_of(look.amount, terms.payout_fee_bps)
        self._find_operator(look, book, terms)
        if look.operator is not None:
            with look.at_its_field():
                look.quote = await self._payouts.quote(book, currency, look.operator)
        if look.operator is not None and typed[PHONE]:
            with look.at_its_field():
                look.phone_number = self._payouts.number(book, look.operator, typed[PHONE])
                look.phone_shown = phone_words(look.phone_number)
        if look.amount is not None and AMOUNT not in look.refused and look.operator is not None:
            with look.at_its_field():
                await self._price(look, book, terms, look.amount, look.operator)
        return look

    async def make(
        self, book: Book, terms: Terms, /, look: PayoutLook, keyed: Keyed, beside: Beside
    ) -> None:
        if look.wanted is None:
            raise RuntimeError("a payout was to be made that is not whole")
        await self._payouts.request(
            book, look.wanted, terms, keyed, priced=look.priced, beside=beside
        )

    async def is_made(self, book: Book, operation_id: UUID) -> bool:
        return await self._payouts.find(book, operation_id) is not None

    def details(self, look: PayoutLook) -> Details:
        operator = look.operator
        return {**super().details(look), "provider": None if operator is None else operator.code}

    def _find_operator(self, look: PayoutLook, book: Book, terms: Terms) -> None:
        """The one that was chosen, else the one that the number speaks for."""
        chosen, phone = look.typed[PROVIDER], look.typed[PHONE]
        if not phone:
            look.missing.append(PHONE)
        with look.at_its_field():
            if chosen:
                look.operator = self._payouts.operator(book, terms, chosen)
            elif phone:
                guess = self._payouts.guess(book, look.wallet.country, phone)
                # The number may speak for one that is closed or that they may not use.
                look.operator = self._payouts.operator(book, terms, guess.code)
                look.guessed = True
        if look.operator is not None:
            look.destination = look.operator.country
            look.currency = look.operator.currency
            look.calling_code = self._catalogue.countries[look.destination].calling_code

    async def _price(
        self, look: PayoutLook, book: Book, terms: Terms, amount: Money, operator: Provider
    ) -> None:
        """What arrives. It does not depend on the number, so it is told before that is whole."""
        reference, description = look.typed[REFERENCE] or None, look.typed[DESCRIPTION] or None
        if look.phone_number is not None:
            look.wanted = self._payouts.check(
                book,
                terms,
                amount=amount_text(look.typed[AMOUNT]),
                provider=operator.code,
                phone_number=look.phone_number,
                source_country=look.wallet.country,
                external_id=reference,
                description=description,
                metadata=None,
            )
        wanted = look.wanted or WantedPayout(
            look.wallet.country, amount, operator, "", reference, description, None
        )
        look.priced = await self._payouts.price(book, wanted, terms)
        look.quote, price = look.priced.quote, look.priced.price
        look.fee, look.arrives = price.fee, price.sent
