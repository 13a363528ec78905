"""Balances over HTTP: with keys as a bare list, with a token as the page's overview."""

from __future__ import annotations

from typing import Annotated

import msgspec
from msgspec import Meta

from kpay.core.book import Environment
from kpay.core.fields import Number
from kpay.core.forms import ApplicationId, Country, Currency
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.database.pool import Database
from kpay.wallets import examples, store
from kpay.wallets.model import Wallet


class WalletAnswer(msgspec.Struct, rename="camel"):
    """One country's wallet: `availableBalance` is `balance` less `reservedBalance`."""

    country: Country
    currency: Currency
    balance: Annotated[Number, Meta(description="All that it holds.", examples=[190000])]
    reserved_balance: Annotated[
        Number, Meta(description="What open withdrawals hold of it.", examples=[10000])
    ]
    available_balance: Annotated[
        Number, Meta(description="What can be spent: `balance` less the rest.", examples=[180000])
    ]


class OverviewAnswer(msgspec.Struct, rename="camel"):
    """Every wallet of the application in the token's environment."""

    application_id: ApplicationId
    environment: Annotated[Environment, Meta(description="The token's environment.")]
    wallets: Annotated[list[WalletAnswer], Meta(description="One for each country.")]


def answer(wallet: Wallet) -> WalletAnswer:
    return WalletAnswer(
        country=wallet.country,
        currency=wallet.available.currency,
        balance=wallet.balance.number,
        reserved_balance=wallet.reserved.number,
        available_balance=wallet.available.number,
    )


def routes(database: Database) -> list[Route]:
    async def balance(call: Call) -> Reply:
        """One row for each wallet of the application, by country.

        A country's wallet is opened by its first completed payment or by a transfer to it.
        """
        return Reply([answer(wallet) for wallet in await store.wallets(database, call.book)])

    async def overview(call: Call) -> Reply:
        """The same wallets as `GET /api/v1/payments/balance`, for who holds a token."""
        found = await store.wallets(database, call.book)
        return Reply(
            OverviewAnswer(
                application_id=str(call.book.application_id),
                environment=call.book.environment,
                wallets=[answer(wallet) for wallet in found],
            )
        )

    return [
        Route(
            "GET",
            "/api/v1/payments/balance",
            "What each wallet holds",
            Guard.KEYS,
            balance,
            list[WalletAnswer],
            examples=examples.BALANCE,
            tag="Wallets",
        ),
        Route(
            "GET",
            "/api/wallets/overview",
            "What each wallet holds, with a token",
            Guard.TOKEN,
            overview,
            OverviewAnswer,
            examples=examples.OVERVIEW,
            tag="Wallets",
        ),
    ]
