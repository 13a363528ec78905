"""The merchants, over real HTTP: what they send, and what they ask about afterwards."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

import aiohttp

from soak.journal import CREATED, UNAVAILABLE, Answer, Defect
from soak.operations import Kind, Wanted, number_of

# Longer than any answer may take: what has none by then counts as lost.
_ANSWER_SECONDS = 45
_AGAIN_SECONDS = 0.1
_TRIES = 300
_OK = 200
_ROWS_PER_PAGE = 100

_PATHS = {
    Kind.PAYMENT: "/api/v1/payments/init",
    Kind.PAYOUT: "/api/v1/payments/withdraw",
    Kind.TRANSFER: "/api/wallets/transfer",
    Kind.REFUND: "/api/v1/payments/{payment}/refund",
}
_LISTS = {
    Kind.PAYMENT: "/api/v1/payments",
    Kind.PAYOUT: "/api/v1/payments/withdrawals",
    Kind.TRANSFER: "/api/wallets/transfers",
    Kind.REFUND: "/api/v1/payments/refunds",
}


class NotSentError(Exception):
    """Nobody listens at the address: the request never left."""


@dataclass
class Merchant:
    """An application, its keys, and a token for its wallets."""

    application_id: str
    keys: Mapping[str, str]
    token: dict[str, str] = field(default_factory=dict)


class Client:
    """Every merchant's way to the program at `url`, for as long as it is entered."""

    def __init__(self, url: str, merchants: Sequence[Merchant]) -> None:
        self._url = url
        self.merchants = merchants
        self._session: aiohttp.ClientSession | None = None

    async def __aenter__(self) -> Client:
        self._session = aiohttp.ClientSession(
            self._url,
            timeout=aiohttp.ClientTimeout(total=_ANSWER_SECONDS),
            connector=aiohttp.TCPConnector(limit=0),
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._session is not None:
            await self._session.close()

    async def send(self, wanted: Wanted) -> Answer:
        """Ask for an operation once. Raises NotSentError where nobody listens."""
        merchant = self.merchants[wanted.merchant]
        headers = merchant.token if wanted.kind is Kind.TRANSFER else merchant.keys
        if wanted.is_keyed:
            headers = {**headers, "Idempotency-Key": f"of {wanted.external_id}"}
        path = _PATHS[wanted.kind].format(payment=wanted.payment)
        return await self._once("POST", path, headers, _body(wanted, merchant))

    async def look_at_payment(self, merchant: int, payment_id: str) -> Answer:
        """How a payment stands, asked once. Raises NotSentError where nobody listens."""
        path = f"{_LISTS[Kind.PAYMENT]}/{payment_id}"
        return await self._once("GET", path, self.merchants[merchant].keys)

    async def recall(self, merchant: int, payout_id: str) -> Answer:
        """Cancel a payout, once. Raises NotSentError where nobody listens."""
        path = f"{_PATHS[Kind.PAYOUT]}/{payout_id}/cancel"
        return await self._once("POST", path, self.merchants[merchant].keys)

    async def _once(self, *request: Any) -> Answer:
        try:
            return await self._exchange(*request)
        except aiohttp.ClientConnectorError as problem:
            raise NotSentError from problem
        except (aiohttp.ClientError, TimeoutError, OSError):
            return Answer(0)

    async def renew_tokens(self) -> None:
        for merchant in self.merchants:
            answer = await self._surely("POST", "/api/v1/payments/token", merchant.keys, "{}")
            if answer.status != CREATED:
                raise Defect(f"no token was given: {answer}")
            merchant.token = {"Authorization": f"Bearer {answer.body['accessToken']}"}

    async def rows(self, merchant: Merchant, kind: Kind, **narrowed: str) -> list[dict[str, Any]]:
        """Every row of a list, page by page."""
        headers = merchant.token if kind is Kind.TRANSFER else merchant.keys
        rows: list[dict[str, Any]] = []
        query = {"limit": str(_ROWS_PER_PAGE), **narrowed}
        while True:
            answer = await self._surely("GET", _LISTS[kind], headers, query=query)
            if answer.status != _OK:
                raise Defect(f"{_LISTS[kind]} was answered {answer}")
            rows += answer.body["data"]
            if answer.body["nextCursor"] is None:
                return rows
            query["cursor"] = answer.body["nextCursor"]

    async def _surely(self, *request: Any, **more: Any) -> Answer:
        """Ask for what can be asked for again, as often as it is put off."""
        for _ in range(_TRIES):
            answer = await self._exchange(*request, **more)
            if answer.status != UNAVAILABLE:
                return answer
            await asyncio.sleep(_AGAIN_SECONDS)
        raise Defect(f"{request} was put off {_TRIES} times")

    async def _exchange(
        self,
        method: str,
        path: str,
        headers: Mapping[str, str],
        body: str | None = None,
        query: Mapping[str, str] | None = None,
    ) -> Answer:
        if self._session is None:
            raise RuntimeError("the client was used before it was entered")
        async with self._session.request(
            method,
            path,
            data=body,
            params=query,
            headers={"Content-Type": "application/json", **headers},
        ) as answer:
            text = await answer.read()
            return Answer(answer.status, json.loads(text, parse_float=Decimal))


def _body(wanted: Wanted, merchant: Merchant) -> str:
    route = wanted.route
    fields: dict[str, object] = {"externalId": wanted.external_id}
    if wanted.kind is Kind.REFUND:
        return json.dumps(fields)
    if wanted.kind is Kind.TRANSFER:
        fields |= {
            "applicationId": merchant.application_id,
            "sourceCountry": route.source,
            "destinationCountry": route.destination,
        }
    else:
        fields |= {"provider": route.provider, "phoneNumber": route.phone}
    if wanted.kind is Kind.PAYOUT:
        fields["sourceCountry"] = route.source
    # The amount is put in as text: a float would come near money.
    return json.dumps(fields)[:-1] + f', "amount": {number_of(wanted.amount)}}}'


async def gathered(client: Client, kind: Kind, **narrowed: str) -> list[list[dict[str, Any]]]:
    """The rows of every merchant, in the merchants' order."""
    return await asyncio.gather(
        *(client.rows(merchant, kind, **narrowed) for merchant in client.merchants)
    )
