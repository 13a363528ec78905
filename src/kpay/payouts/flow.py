"""A payout's whole story, top to bottom: request → reserve (→ choose) → submit → settle or release.

Nothing else changes a payout's status. `request` prices it and sets the gross amount aside in one
entry; the worker then drives it with `work`, as it does payments and refunds
(`instructions/flow.py`): the rail is told once under our reference and asked until it says paid or
refused. Paid consumes the hold; refused or cancelled gives all of it back. No answer is unknown,
not failed: the hold stays and the question is asked again.

A payout may have a deadline, until when it may wait for its operator. What no rail was told of by
then fails; what a rail has, that rail is asked to cancel, and it goes on until the rail has said
how it ends (`instructions/deadlines.py`).

With a hosted page, the amount is set aside and the beneficiary chooses where it goes, at the rate
of that moment. A refusal leads back to the page until its time is over; then the hold is released.
"""

from __future__ import annotations

from datetime import datetime
from typing import TypeVar

from msgspec.structs import replace

from kpay.access.model import Terms
from kpay.catalogue.model import Catalogue, Country, OperationType, Provider
from kpay.connectors.model import Instruction
from kpay.core.book import Book
from kpay.core.ids import public_id
from kpay.core.keyed import Keyed
from kpay.core.limits import Limits
from kpay.core.money import Money, fee_of, read_amount, to_rail
from kpay.core.refusals import Code, Refusal
from kpay.gateways.flow import Gateways
from kpay.gateways.model import check_addresses
from kpay.instructions.flow import Chosen, Means, Outgoing
from kpay.instructions.model import Choice, Hosted, Progress, Status, Tracked
from kpay.instructions.store import TrackedRows
from kpay.ledger import movements
from kpay.ledger.fence import Beside
from kpay.ledger.model import Entry, Order, Reason, Verdict
from kpay.payouts import store
from kpay.payouts.model import (
    PREFIX,
    USUAL_WAIT,
    IfDelayed,
    Payout,
    Price,
    Priced,
    Wait,
    Wanted,
    WantedPage,
    price,
    price_after,
)
from kpay.rates.flow import Rates
from kpay.rates.model import Quote
from kpay.wallets.model import Crossings
from kpay.wallets.store import crossings, wallets

R = TypeVar("R")


class Payouts(Outgoing[Payout], Chosen[Payout]):
    """The verbs of payouts."""

    word = "withdrawal"
    type = OperationType.PAYOUT

    def __init__(
        self, means: Means, gateways: Gateways, rates: Rates, catalogue: Catalogue
    ) -> None:
        super().__init__(TrackedRows(means.database, store.SQL, store.read), means)
        self._gateways = gateways
        self._rates = rates
        self._catalogue = catalogue
        self._new = store.PayoutRecords()
        self._new_hosted = store.HostedPayoutRecords()

    # Request: is what was asked for possible at all?

    def check(
        self,
        book: Book,
        terms: Terms,
        *,
        amount: str,
        provider: str,
        phone_number: str,
        source_country: str | None,
        external_id: str | None,
        description: str | None,
        metadata: str | None,
        wait: Wait = USUAL_WAIT,
    ) -> Wanted:
        """What is wanted, or the first thing that is wrong with it. `amount` is its JSON text."""
        operator = self.operator(book, terms, provider, wait.if_delayed)
        # Without a sourceCountry the wallet of the provider's own country is debited.
        country = operator.country if source_country is None else source_country
        source, money = self.gross(terms, country, amount)
        return Wanted(
            source_country=source.code,
            amount=money,
            provider=operator,
            phone_number=self._rails.read_phone(
                book.environment, OperationType.PAYOUT, operator, phone_number
            ),
            external_id=external_id,
            description=description,
            metadata=metadata,
            wait=wait,
        )

    # Each part of the check by itself, for a form that is still being filled in.

    def operator(
        self, book: Book, terms: Terms, code: str, if_delayed: IfDelayed = IfDelayed.QUEUE
    ) -> Provider:
        """One that can pay now, or later where that will do.

        Refuses: unknown_provider, provider_suspended, provider_closed, provider_not_allowed.
        """
        operator = self._rails.open_provider(book.environment, code, terms, self.type)
        if not self._will_do(book, operator, if_delayed):
            raise Refusal(
                Code.PROVIDER_CLOSED,
                f"{code} is delayed in {book.environment.lower()}, and ifDelayed is "
                f"{IfDelayed.REFUSE}: with {IfDelayed.QUEUE} it would wait there, and be paid "
                "when the operator is back.",
            )
        return operator

    def _will_do(self, book: Book, operator: Provider, if_delayed: IfDelayed) -> bool:
        """Whether what an operator may keep waiting at present is taken all the same."""
        return if_delayed is IfDelayed.QUEUE or not self._rails.is_delayed(
            book.environment, operator, self.type
        )

    def limits(self, terms: Terms, currency: str) -> Limits:
        """The least and the most of one payout."""
        return self._rails.limits(OperationType.PAYOUT, currency, terms)

    def gross(self, terms: Terms, source_country: str, amount: str) -> tuple[Country, Money]:
        """Whose wallet is debited, and by how much.

        Refuses: unsupported_country, invalid_amount, amount_out_of_bounds.
        """
        source = self._catalogue.country(source_country, "sourceCountry")
        money = read_amount(amount, source.currency)
        self.limits(terms, source.currency).check(money)
        return source, money

    def number(self, book: Book, operator: Provider, typed: str) -> str:
        """A number as it is typed, in digits. Refuses: invalid_phone_number, not_a_test_number."""
        return self._rails.read_phone_as_typed(
            book.environment, OperationType.PAYOUT, operator, typed
        )

    def guess(self, book: Book, source_country: str, typed: str) -> Provider:
        """The operator that most likely serves a number, which may lack the wallet's own code.

        Refuses: not_a_test_number, invalid_phone_number.
        """
        return self._rails.predict(book.environment, source_country, typed)

    async def price(self, book: Book, wanted: Wanted, terms: Terms) -> Priced:
        """What it comes to at this moment. Refuses: no_rate, amount_out_of_bounds."""
        quote = await self.quote(book, wanted.amount.currency, wanted.provider)
        return Priced(quote, price(wanted, quote, terms.payout_fee_bps))

    async def quote(self, book: Book, currency: str, operator: Provider) -> Quote:
        """The rate from a wallet's currency to an operator's at this moment. Refuses: no_rate."""
        return await self._rates.quote(book.environment, currency, operator.currency)

    # Reserve: the price is fixed and the gross amount set aside, in one entry with the record.

    async def request(
        self,
        book: Book,
        wanted: Wanted,
        terms: Terms,
        keyed: Keyed | None = None,
        *,
        priced: Priced | None = None,
        beside: Beside | None = None,
    ) -> Tracked[Payout]:
        """Accept a payout. When this returns, it is on disk, its money held, and due at once.

        `priced` is what somebody has just agreed to; without it, it is what `price` says. `beside`
        is written in the transaction that holds the money. Refuses: no_rate, amount_out_of_bounds,
        no_wallet, withdrawal_exceeds_balance, external_id_used.
        """
        if priced is None:
            priced = await self.price(book, wanted, terms)
        agreed = priced.price
        payout = replace(
            await self._draw(book, wanted, agreed.fee, keyed),
            provider=wanted.provider.code,
            country=wanted.provider.country,
            phone_number=wanted.phone_number,
            payout_amount=agreed.payout_amount,
            quote=priced.quote,
        )
        payout = replace(payout, queue_until=payout.wait.until(payout.created_at))
        instruction = self._instruction(payout, wanted, agreed)
        order = _reserve(payout, (payout, instruction))
        verdict = await self._poster.post(order, self._new, keyed, beside)
        if not verdict.posted:
            raise _refusal(payout, verdict)
        self._something_due()
        return Tracked(payout, Progress(Status.PENDING, instruction.reference))

    # With a hosted page: the amount is set aside, and where it goes is the beneficiary's choice.

    async def check_hosted(
        self,
        book: Book,
        terms: Terms,
        *,
        amount: str,
        source_country: str | None,
        return_url: str,
        cancel_url: str | None,
        external_id: str | None,
        description: str | None,
        metadata: str | None,
        wait: Wait = USUAL_WAIT,
    ) -> WantedPage:
        """What is wanted, or the first thing that is wrong with it. `amount` is its JSON text."""
        addresses = check_addresses(book.environment, return_url, cancel_url)
        country = source_country or await self._only_wallet(book)
        source, money = self.gross(terms, country, amount)
        return WantedPage(
            source_country=source.code,
            amount=money,
            addresses=addresses,
            external_id=external_id,
            description=description,
            metadata=metadata,
            wait=wait,
        )

    async def request_hosted(
        self, book: Book, wanted: WantedPage, terms: Terms, keyed: Keyed | None = None
    ) -> Tracked[Payout]:
        """Accept a payout whose beneficiary is to choose. When this returns, its money is held.

        Refuses: no_wallet, withdrawal_exceeds_balance, external_id_used.
        """
        fee = fee_of(wanted.amount, terms.payout_fee_bps)
        payout = await self._draw(book, wanted, fee, keyed)
        opened = self._gateways.open(book, payout.id, wanted.addresses)
        payout = replace(payout, hosted=Hosted(opened.expires_at))
        reference = self._ids.reference()
        order = _reserve(payout, (payout, reference, opened))
        verdict = await self._poster.post(order, self._new_hosted, keyed)
        if not verdict.posted:
            raise _refusal(payout, verdict)
        return Tracked(payout, Progress(Status.PENDING, reference))

    def offers(
        self, book: Book, terms: Terms, if_delayed: IfDelayed = IfDelayed.QUEUE
    ) -> list[Provider]:
        """The operators that can pay a beneficiary at this moment, country by country."""
        return [
            operator
            for operator in self._rails.open_providers(book.environment, terms, self.type)
            if self._will_do(book, operator, if_delayed)
        ]

    async def read_choice(
        self, payout: Payout, terms: Terms, *, provider: str, phone_number: str
    ) -> Choice:
        """What a beneficiary picked and what arrives there, or the first thing that is wrong.

        Refuses: unknown_provider, provider_suspended, provider_closed, provider_not_allowed,
        invalid_phone_number, not_a_test_number, no_rate, amount_out_of_bounds.
        """
        operator = self.operator(payout.book, terms, provider, payout.wait.if_delayed)
        number = self.number(payout.book, operator, phone_number)
        quote = await self.quote(payout.book, payout.amount.currency, operator)
        agreed = price_after(payout.fee, payout.amount, operator, quote)
        return Choice(
            provider=operator.code,
            country=operator.country,
            phone_number=number,
            reference=self._ids.reference(),
            sent=agreed.sent,
            payout_amount=agreed.payout_amount,
            quote=quote,
            queue_minutes=payout.wait.minutes,
        )

    async def crossings(self, book: Book, since: datetime) -> Crossings:
        """What was paid from one country's wallet into another country since a moment."""
        return await crossings(self._database, store.SQL["crossings"], book, since)

    def told(self, payout: Payout) -> Money:
        """What its operator is told to pay; the net while nobody has chosen one."""
        if payout.provider is None or payout.payout_amount is None:
            return payout.net
        provider = self._rails.provider(payout.book.environment, payout.provider)
        return to_rail(payout.payout_amount, provider.decimals(self.type))

    def unchosen(self, agreed: Payout) -> Entry:
        """Nobody chose in time, or they do not want it: the hold is given back, as of a failure."""
        return self.released(agreed)

    async def _only_wallet(self, book: Book) -> str:
        """The country of a book's one wallet. Refuses: invalid_body, where there is not one."""
        found = await wallets(self._database, book)
        if len(found) != 1:
            countries = ", ".join(wallet.country for wallet in found)
            raise Refusal(
                Code.INVALID_BODY,
                "Missing field: sourceCountry. With returnUrl the wallet must be named"
                + (f", of {countries}." if countries else "; there is none yet."),
            )
        return found[0].country

    # Settle or release: what the rail said becomes an entry and a status, in one transaction.

    def paid(self, agreed: Payout, told: Instruction) -> Entry:
        """The hold is consumed, the fee earned, the residue of rounding kept."""
        if agreed.payout_amount is None:
            raise RuntimeError("a payout was paid that nobody had chosen where to pay")
        return movements.payout_completed(
            agreed.id,
            country=agreed.source_country,
            provider=told.provider,
            amount=agreed.amount,
            fee=agreed.fee,
            payout_amount=agreed.payout_amount,
            sent=told.amount,
        )

    def released(self, agreed: Payout) -> Entry:
        """All of the hold is given back: the payout failed or was cancelled."""
        return movements.payout_released(
            agreed.id, country=agreed.source_country, amount=agreed.amount
        )

    async def _draw(
        self, book: Book, wanted: Wanted | WantedPage, fee: Money, keyed: Keyed | None
    ) -> Payout:
        """A payout without a destination and without a page: one of them is still to be added."""
        return Payout(
            book=book,
            suffix=await self._references.draw(),
            id=self._new_id(keyed),
            external_id=wanted.external_id,
            source_country=wanted.source_country,
            amount=wanted.amount,
            fee=fee,
            description=wanted.description,
            metadata=wanted.metadata,
            wait=wanted.wait,
            created_at=self._clock.now(),
        )

    def _instruction(self, payout: Payout, wanted: Wanted, agreed: Price) -> Instruction:
        return Instruction(
            book=payout.book,
            type=OperationType.PAYOUT,
            reference=self._ids.reference(),
            provider=wanted.provider.code,
            phone_number=wanted.phone_number,
            amount=agreed.sent,
            submitted_at=payout.created_at,
        )


def _reserve(payout: Payout, record: R) -> Order[R]:
    return Order(
        book=payout.book,
        entry=movements.payout_requested(
            payout.id, country=payout.source_country, amount=payout.amount
        ),
        record=record,
        claim=None if payout.external_id is None else ("payout", payout.external_id),
    )


def _refusal(payout: Payout, verdict: Verdict) -> Refusal:
    match verdict.reason:
        case Reason.NO_WALLET:
            return Refusal(
                Code.NO_WALLET,
                f"There is no wallet in {payout.source_country}: collect a payment there first, or "
                "name another sourceCountry.",
            )
        case Reason.SHORT_FUNDS:
            return Refusal(
                Code.WITHDRAWAL_EXCEEDS_BALANCE,
                f"Insufficient balance: the {payout.source_country} wallet does not have "
                f"{payout.amount.number:,} {payout.amount.currency} available.",
            )
        case _:
            existing = verdict.existing_id
            return Refusal(
                Code.EXTERNAL_ID_USED,
                f"A withdrawal with externalId {payout.external_id} already exists.",
                existing_id=None if existing is None else public_id(PREFIX, existing),
            )
