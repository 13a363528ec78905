"""A transfer's story: check, fix the rate, move the money. It is done when it is answered."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kpay.access.model import Terms
from kpay.catalogue.model import Catalogue, Country
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.ids import Ids
from kpay.core.keyed import Keyed
from kpay.core.money import read_amount
from kpay.core.page import Filter
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from kpay.database.references import References
from kpay.ledger import movements
from kpay.ledger.fence import Beside
from kpay.ledger.model import Order, Reason, Verdict
from kpay.ledger.poster import Poster
from kpay.rates.flow import Rates
from kpay.rates.model import Quote
from kpay.transfers import store
from kpay.transfers.model import Priced, Transfer, Wanted, credited_for
from kpay.wallets.model import Crossings
from kpay.wallets.store import crossings


class Transfers:
    """The verbs of transfers."""

    def __init__(
        self,
        database: Database,
        poster: Poster,
        rates: Rates,
        catalogue: Catalogue,
        clock: Clock,
        ids: Ids,
        references: References,
    ) -> None:
        self._database = database
        self._poster = poster
        self._rates = rates
        self._catalogue = catalogue
        self._clock = clock
        self._ids = ids
        self._references = references
        self._records = store.TransferRecords()

    def check(
        self,
        terms: Terms,
        *,
        source_country: str,
        destination_country: str,
        amount: str,
        external_id: str | None,
        description: str | None,
    ) -> Wanted:
        """What is wanted, or the first thing that is wrong with it. `amount` is its JSON text."""
        source, destination = self.countries(source_country, destination_country)
        money = read_amount(amount, source.currency)
        terms.transfer_limits(source.currency).check(money)
        return Wanted(
            source_country=source.code,
            destination_country=destination.code,
            amount=money,
            destination_currency=destination.currency,
            external_id=external_id,
            description=description,
        )

    def countries(self, source_country: str, destination_country: str) -> tuple[Country, Country]:
        """From where to where. Refuses: unsupported_country, same_country."""
        source = self._catalogue.country(source_country, "sourceCountry")
        destination = self._catalogue.country(destination_country, "destinationCountry")
        if source == destination:
            raise Refusal(
                Code.SAME_COUNTRY,
                "sourceCountry and destinationCountry must be two different countries.",
            )
        return source, destination

    async def price(self, book: Book, wanted: Wanted) -> Priced:
        """What it comes to at this moment. Refuses: no_rate, amount_out_of_bounds."""
        quote = await self.quote(book, wanted.amount.currency, wanted.destination_currency)
        return Priced(quote, credited_for(wanted, quote))

    async def quote(self, book: Book, source: str, target: str) -> Quote:
        """The rate from one currency to another at this moment. Refuses: no_rate."""
        return await self._rates.quote(book.environment, source, target)

    async def request(
        self,
        book: Book,
        wanted: Wanted,
        keyed: Keyed | None = None,
        *,
        priced: Priced | None = None,
        beside: Beside | None = None,
    ) -> Transfer:
        """Move the money. When this returns, it has moved and is on disk.

        `priced` is what somebody has just agreed to; without it, it is what `price` says. `beside`
        is written in the transaction that moves the money. Refuses: no_rate, amount_out_of_bounds,
        no_wallet, transfer_exceeds_balance, external_id_used.
        """
        if priced is None:
            priced = await self.price(book, wanted)
        transfer = self._draw(book, wanted, priced, await self._references.draw(), keyed)
        verdict = await self._poster.post(_order(transfer), self._records, keyed, beside)
        if not verdict.posted:
            raise _refusal(transfer, verdict)
        return transfer

    async def find(self, book: Book, transfer_id: UUID) -> Transfer | None:
        return await store.find(self._database, book, transfer_id)

    async def of_ids(self, book: Book, identifiers: Sequence[UUID]) -> dict[UUID, Transfer]:
        """Those of a book with these identifiers."""
        return await store.of_ids(self._database, book, identifiers)

    async def page(self, book: Book, wanted: Filter) -> list[Transfer]:
        """A page of a book's, newest first, with one row more if there is another page.

        Refuses: unsupported_country.
        """
        if wanted.country is not None:
            self._catalogue.country(wanted.country, "country")
        return await store.page(self._database, book, wanted)

    async def crossings(self, book: Book, since: datetime) -> Crossings:
        """What was moved from country to country since a moment."""
        return await crossings(self._database, store.SQL["crossings"], book, since)

    def _draw(
        self, book: Book, wanted: Wanted, priced: Priced, suffix: str, keyed: Keyed | None
    ) -> Transfer:
        return Transfer(
            book=book,
            id=self._ids.uuid() if keyed is None else keyed.operation_id,
            destination_id=self._ids.uuid(),
            suffix=suffix,
            external_id=wanted.external_id,
            source_country=wanted.source_country,
            debited=wanted.amount,
            destination_country=wanted.destination_country,
            credited=priced.credited,
            quote=priced.quote,
            description=wanted.description,
            created_at=self._clock.now(),
        )


def _order(transfer: Transfer) -> Order[Transfer]:
    return Order(
        book=transfer.book,
        entry=movements.transfer(
            transfer.id,
            source=transfer.source_country,
            destination=transfer.destination_country,
            debited=transfer.debited,
            credited=transfer.credited,
        ),
        record=transfer,
        claim=None if transfer.external_id is None else ("transfer", transfer.external_id),
    )


def _refusal(transfer: Transfer, verdict: Verdict) -> Refusal:
    match verdict.reason:
        case Reason.NO_WALLET:
            return Refusal(
                Code.NO_WALLET,
                f"There is no wallet in {transfer.source_country}: collect a payment there first.",
            )
        case Reason.SHORT_FUNDS:
            return Refusal(
                Code.TRANSFER_EXCEEDS_BALANCE,
                f"Insufficient balance: the {transfer.source_country} wallet does not hold "
                f"{transfer.debited.number:,} {transfer.debited.currency}.",
            )
        case _:
            return Refusal(
                Code.EXTERNAL_ID_USED,
                f"A transfer with externalId {transfer.external_id} already exists.",
                existing_id=str(verdict.existing_id),
            )
