"""Wallets: what every country holds, and what that comes to in one currency."""

from __future__ import annotations

from collections.abc import Sequence

import msgspec

from kpay.core.money import Money, convert
from kpay.core.refusals import Refusal
from kpay.dashboard.drawing import HEADERS, draw
from kpay.dashboard.menu import menu
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
    """None for the currency itself, and within a pair at par."""


class Whole(msgspec.Struct, frozen=True):
    """All wallets in one currency, at the rates in force; `missing` have none at the moment."""

    worth: Money
    shares: Sequence[Share]
    missing: Sequence[Money]


def pages(database: Database, rates: Rates) -> list[Page]:
    """The overview of an application's wallets."""

    async def overview(visit: Visit) -> Answer:
        wallets = await store.wallets(database, visit.book)
        currencies = sorted({wallet.available.currency for wallet in wallets})
        wanted = visit.query.get("in", "")
        whole = None
        if currencies:
            target = wanted if wanted in currencies else _largest(wallets)
            whole = await _whole(visit, wallets, target)
        body = draw(
            "wallets.html",
            visit.speech,
            visit=visit,
            menu=menu(visit),
            wallets=wallets,
            currencies=currencies,
            whole=whole,
        )
        return Answer(200, body, HEADERS)

    async def _whole(visit: Visit, wallets: Sequence[Wallet], target: str) -> Whole:
        worth, shares, missing = Money(0, target), [], []
        for held in _by_currency(wallets):
            try:
                share = await _share(visit, held, target)
            except Refusal:
                # No rate at the moment: said beside the sum, which is then not of everything.
                missing.append(held)
                continue
            worth += share.worth
            shares.append(share)
        return Whole(worth, shares, missing)

    async def _share(visit: Visit, held: Money, target: str) -> Share:
        if held.currency == target:
            return Share(held, held, None)
        quote = await rates.quote(visit.book.environment, held.currency, target)
        return Share(held, convert(held, quote.rate, target), quote)

    return [
        Page(
            "GET",
            f"{PREFIX}/app/{{application}}/{{environment}}/wallets",
            Reach.BOOK,
            overview,
            Right.VIEW_MONEY,
        )
    ]


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
