"""Wallets: what every country holds and held, what it comes to in all, and what went where."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from decimal import Decimal
from typing import Any

import msgspec

from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.money import Money, convert
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.curves import PERIODS, Curve, Period, curve, moments, period_of
from kpay.dashboard.flows import NARROW, WIDE, picture, together
from kpay.dashboard.house import drawn
from kpay.dashboard.live import Live
from kpay.dashboard.moved import Moved
from kpay.dashboard.page import PREFIX, Page, Reach, Visit
from kpay.database.pool import Database
from kpay.payouts.flow import Payouts
from kpay.people.model import Right
from kpay.rates.flow import Rates
from kpay.rates.model import Quote
from kpay.statements.flow import Statements
from kpay.transfers.flow import Transfers
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


class Shown(msgspec.Struct, frozen=True):
    """A wallet with its balance over the period."""

    wallet: Wallet
    curve: Curve


class Wallets:
    """The overview of an application's wallets: what they hold, held, and sent each other."""

    def __init__(
        self,
        database: Database,
        rates: Rates,
        statements: Statements,
        transfers: Transfers,
        payouts: Payouts,
        clock: Clock,
        live: Live,
    ) -> None:
        self._database = database
        self._live = live
        self._rates = rates
        self._statements = statements
        self._transfers = transfers
        self._payouts = payouts
        self._clock = clock
        self._moved = Moved(transfers, payouts)

    def pages(self) -> list[Page]:
        address = f"{PREFIX}/app/{{application}}/{{environment}}/wallets"
        return [Page("GET", address, Reach.BOOK, self.overview, Right.VIEW_MONEY)]

    async def overview(self, visit: Visit) -> Answer:
        # Every entry of the book is news here, and is looked for before the balances are.
        state = await self._live.state(visit.book)
        wallets = await store.wallets(self._database, visit.book)
        currencies = sorted({wallet.available.currency for wallet in wallets})
        given: dict[str, Any] = {"whole": None}
        if currencies:
            wanted = visit.query.get("in", "")
            target = wanted if wanted in currencies else _largest(wallets)
            period = period_of(visit.query.get("days", ""))
            given = {
                "whole": await self._whole(visit.book, wallets, target),
                "wallets": await self._curves(visit.book, _by_name(visit, wallets), period),
                "period": period,
                "periods": PERIODS.values(),
                **await self._flows(visit.book, period, target),
            }
        return drawn(
            visit,
            "wallets.html",
            currencies=currencies,
            live=self._live.of_list(visit.book, state, (), newest=True),
            moved=await self._moved.told(visit),
            moves=visit.may(Right.MOVE_MONEY),
            sets=visit.may(Right.APPLICATIONS),
            **given,
        )

    async def _curves(
        self, book: Book, wallets: Sequence[Wallet], period: Period
    ) -> Sequence[Shown]:
        now = self._clock.now()
        at = moments(period, now)
        countries = [wallet.country for wallet in wallets]
        held = await self._statements.balances(book, countries, at)
        return [
            Shown(wallet, curve(at, held[wallet.country], now, wallet.balance))
            for wallet in wallets
        ]

    async def _flows(self, book: Book, period: Period, target: str) -> dict[str, object]:
        """What went between countries: its table, its picture, and whether that is all of it."""
        since = self._clock.now() - timedelta(days=period.days)
        moved = await self._transfers.crossings(book, since)
        paid = await self._payouts.crossings(book, since)
        worth = {}
        for crossing in (*moved.rows, *paid.rows):
            currency = crossing.left.currency
            if currency not in worth:
                worth[currency] = await self._rate(book, currency, target)

        def valued(money: Money) -> Money | None:
            rate = worth[money.currency]
            return None if rate is None else convert(money, rate, target)

        flows = together(moved.rows, paid.rows, valued)
        return {
            "flows": flows,
            "pictures": [picture(flows, WIDE), picture(flows, NARROW)],
            "all_flows": moved.whole and paid.whole,
        }

    async def _rate(self, book: Book, currency: str, target: str) -> Decimal | None:
        """None where there is none at the moment."""
        try:
            return (await self._rates.quote(book.environment, currency, target)).rate
        except Refusal as refusal:
            if refusal.code is not Code.NO_RATE:
                raise
            return None

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


def _by_name(visit: Visit, wallets: Sequence[Wallet]) -> list[Wallet]:
    """By the countries' names, as they are read on the page."""
    return sorted(wallets, key=lambda wallet: visit.speech.country(wallet.country).casefold())


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
