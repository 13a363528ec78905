"""Wallets: what every country holds, and what that comes to in one currency."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kpay.core.book import Book
from kpay.core.money import Money, convert
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.house import drawn
from kpay.dashboard.page import PREFIX, Page, Reach, Visit
from kpay.database.pool import Database
from kpay.people.model import Right
from kpay.rates.flow import Rates
from kpay.rates.model import Quote
from kpay.wallets import store
from kpay.wallets.model import Wallet
from kpay.web.pages import Answer


class Share(msgspec.Struct, frozen=True):
    """A currency's part of the whole: the sum of its wallets, and what that is worth."""

    held: Money
    worth: Money
    quote: Quote | None
    """None for the currency itself."""


class Whole(msgspec.Struct, frozen=True):
    """All wallets in one currency, at the rates in force; `missing` have none at the moment."""

    worth: Money
    shares: Sequence[Share]
    missing: Sequence[Money]


class Wallets:
    """The overview of an application's wallets."""

    def __init__(self, database: Database, rates: Rates) -> None:
        self._database = database
        self._rates = rates

    def pages(self) -> list[Page]:
        address = f"{PREFIX}/app/{{application}}/{{environment}}/wallets"
        return [Page("GET", address, Reach.BOOK, self.overview, Right.VIEW_MONEY)]

    async def overview(self, visit: Visit) -> Answer:
        wallets = await store.wallets(self._database, visit.book)
        currencies = sorted({wallet.available.currency for wallet in wallets})
        whole = None
        if currencies:
            wanted = visit.query.get("in", "")
            target = wanted if wanted in currencies else _largest(wallets)
            whole = await self._whole(visit.book, wallets, target)
        return drawn(visit, "wallets.html", wallets=wallets, currencies=currencies, whole=whole)

    async def _whole(self, book: Book, wallets: Sequence[Wallet], target: str) -> Whole:
        worth, shares, missing = Money(0, target), [], []
        for held in _by_currency(wallets):
            try:
                share = await self._share(book, held, target)
            except Refusal as refusal:
                if refusal.code is not Code.NO_RATE:
                    raise
                # Said beside the sum, which is then not of everything.
                missing.append(held)
                continue
            worth += share.worth
            shares.append(share)
        return Whole(worth, shares, missing)

    async def _share(self, book: Book, held: Money, target: str) -> Share:
        if held.currency == target:
            return Share(held, held, None)
        quote = await self._rates.quote(book.environment, held.currency, target)
        return Share(held, convert(held, quote.rate, target), quote)


def _by_currency(wallets: Sequence[Wallet]) -> list[Money]:
    sums: dict[str, Money] = {}
    for wallet in wallets:
        currency = wallet.available.currency
        sums[currency] = sums.get(currency, Money(0, currency)) + wallet.balance
    return [sums[currency] for currency in sorted(sums)]


def _largest(wallets: Sequence[Wallet]) -> str:
    """The currency that most wallets are in, which is where the merchant is at home."""
    names = [wallet.available.currency for wallet in wallets]
    return max(sorted(set(names)), key=names.count)
