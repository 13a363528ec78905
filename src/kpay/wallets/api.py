"""Balances over HTTP: with keys as a bare list, with a token as the page's overview."""

from __future__ import annotations

import msgspec

from kpay.core.fields import Number
from kpay.core.routes import Call, Guard, Reply, Route
from kpay.database.pool import Database
from kpay.wallets import store
from kpay.wallets.model import Wallet


class WalletAnswer(msgspec.Struct, rename="camel"):
    """One country's wallet: `availableBalance` is `balance` less `reservedBalance`."""

    country: str
    currency: str
    balance: Number
    reserved_balance: Number
    available_balance: Number


class OverviewAnswer(msgspec.Struct, rename="camel"):
    """Every wallet of the application in the token's environment."""

    application_id: str
    environment: str
    wallets: list[WalletAnswer]


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
        return Reply([answer(wallet) for wallet in await store.wallets(database, call.book)])

    async def overview(call: Call) -> Reply:
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
        ),
        Route(
            "GET",
            "/api/wallets/overview",
            "What each wallet holds, with a token",
            Guard.TOKEN,
            overview,
            OverviewAnswer,
        ),
    ]
