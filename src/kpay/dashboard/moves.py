"""The ways to move money at the dashboard: between two wallets, and to somebody's phone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import UUID

from kpay.access.model import Terms
from kpay.audit.model import Action, Details
from kpay.catalogue.model import Catalogue, OperationType, Provider
from kpay.core.book import Book
from kpay.core.keyed import Keyed
from kpay.core.money import Money, fee_of
from kpay.core.refusals import Code
from kpay.dashboard.look import Look, Move
from kpay.dashboard.typed import amount_text, phone_words
from kpay.dashboard.wrongs import (
    AMOUNT,
    DESCRIPTION,
    DESTINATION,
    PHONE,
    PROVIDER,
    REFERENCE,
    SOURCE,
)
from kpay.ledger.fence import Beside
from kpay.payouts.flow import Payouts
from kpay.payouts.model import Priced as PricedPayout
from kpay.payouts.model import Wanted as WantedPayout
from kpay.transfers.flow import Transfers
from kpay.transfers.model import Priced as PricedTransfer
from kpay.transfers.model import Wanted as WantedTransfer
from kpay.wallets.model import Wallet


class TransferLook(Look):
    wanted: WantedTransfer | None = None
    priced: PricedTransfer | None = None


class PayoutLook(Look):
    wanted: WantedPayout | None = None
    priced: PricedPayout | None = None


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
