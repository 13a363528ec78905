"""A merchant, as tests see one: keys, a token, and requests through the whole web edge.

Requests go to the ASGI application in this process, so a test steps the clock and the worker of the
same house between them. What a real server does is tested in tests/system.
"""

from __future__ import annotations

import asyncio
import csv
import io
import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from ipaddress import IPv4Address
from typing import Any
from urllib.parse import urlencode

from kpay.access.flow import NewApplication
from kpay.access.model import KeyPair
from kpay.app import House
from kpay.core.book import Environment
from kpay.web.api import Api
from tests.declared import assert_declared

# From 10.0.0.1 on: more than any run asks for.
_addresses = itertools.count(int(IPv4Address("10.0.0.1")))


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: its status, its headers, and its JSON with exact numbers."""

    status: int
    headers: Mapping[str, str]
    raw: bytes
    whole: bool = True
    """Whether it came to its end, or was broken off in the middle."""
    cookies: tuple[str, ...] = ()
    """Each cookie that is set, as its header has it."""

    @property
    def csv(self) -> list[dict[str, str]]:
        """The rows of a file, each by the names of its columns."""
        text = self.raw.decode("utf-8-sig")
        return list(csv.DictReader(io.StringIO(text, newline=""), strict=True))

    @property
    def json(self) -> Any:
        return json.loads(self.raw, parse_float=Decimal)

    def __getitem__(self, name: str) -> Any:
        return self.json[name]


@dataclass
class Browser:
    """Sends requests to an application in this process."""

    api: Api
    headers: dict[str, str] = field(default_factory=dict)
    address: str | None = "127.0.0.1"

    def elsewhere(self, address: str | None = None) -> Browser:
        """The same, at another address: one that nobody else in this run has, or a given one."""
        return replace(self, address=address or f"{IPv4Address(next(_addresses))}")

    async def send(
        self,
        method: str,
        path: str,
        body: object = None,
        *,
        raw: bytes | None = None,
        query: Mapping[str, object] | Sequence[tuple[str, object]] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> Answer:
        """`body` is sent as JSON; `raw` is sent as it is."""
        if raw is None:
            raw = b"" if body is None else json.dumps(body, default=_number).encode()
        sent = {"type": "http.request", "body": raw, "more_body": False}
        got: dict[str, Any] = {"body": b"", "whole": False}

        waiting = [sent]

        async def receive() -> dict[str, Any]:
            if waiting:
                return waiting.pop()
            # This client stays until it has its answer.
            await asyncio.Event().wait()
            raise AssertionError

        async def reply(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.start":
                got["status"] = message["status"]
                got["headers"] = {
                    name.decode(): value.decode() for name, value in message["headers"]
                }
                got["cookies"] = tuple(
                    value.decode() for name, value in message["headers"] if name == b"set-cookie"
                )
            else:
                got["body"] += message.get("body", b"")
                got["whole"] = not message.get("more_body", False)

        given = {**self.headers, **(headers or {})}
        await self.api(
            {
                "type": "http",
                "asgi": {"version": "3.0"},
                "http_version": "1.1",
                "scheme": "http",
                "method": method,
                "path": path,
                "raw_path": path.encode(),
                "root_path": "",
                "query_string": urlencode(query or {}).encode(),
                "headers": [
                    (name.lower().encode(), value.encode()) for name, value in given.items()
                ],
                "client": None if self.address is None else (self.address, 1),
                "server": ("127.0.0.1", 8080),
            },
            receive,
            reply,
        )
        answer = Answer(got["status"], got["headers"], got["body"], got["whole"], got["cookies"])
        assert_declared(self.api, method, path, answer.status, answer.raw)
        return answer


@dataclass
class Merchant:
    """A merchant with one application. `keys` and `token` are the two ways to call."""

    house: House
    new: NewApplication
    api: Api
    keys: Browser
    token: Browser

    @classmethod
    async def join(
        cls, house: House, company: str = "Acme", name: str = "shop", *, api: Api | None = None
    ) -> Merchant:
        """A new application of a company, with a token at hand."""
        new = await house.office.create_application(company, name)
        api = api or house.asgi()
        return await cls(house, new, api, Browser(api), Browser(api)).with_keys(new.test)

    async def with_keys(self, pair: KeyPair) -> Merchant:
        """The same application, called with this key pair and a token given for it."""
        keys = Browser(self.api, {"X-API-Key": pair.api_key, "X-Secret-Key": pair.secret_key})
        merchant = replace(self, keys=keys, token=Browser(self.api))
        await merchant.renew_token()
        return merchant

    async def live(self) -> Merchant:
        """The same application in production, its company approved."""
        office, application = self.house.office, self.new.application
        await office.approve_company(str(application.company.id))
        pair = await office.regenerate_keys(application.id, Environment.PRODUCTION)
        return await self.with_keys(pair)

    @property
    def application_id(self) -> str:
        return str(self.new.application.id)

    async def renew_token(self) -> None:
        answer = await self.keys.send("POST", "/api/v1/payments/token")
        self.token.headers["Authorization"] = f"Bearer {answer['accessToken']}"

    async def pay(self, country: str = "CMR", **fields: object) -> Answer:
        """A payment of 1,000 in a country, unless `fields` say otherwise; None leaves one out."""
        provider, phone = PAYERS[country]
        body = {
            "amount": 1000,
            "provider": provider,
            "phoneNumber": phone,
            "externalId": f"payment-{self.house.ids.uuid()}",
            **fields,
        }
        return await self.keys.send("POST", "/api/v1/payments/init", _given(body))

    async def collect(self, amount: int, country: str = "CMR", **fields: object) -> Answer:
        """A payment that is complete when this returns: the wallet has `amount` less 5 %."""
        made = await self.pay(country, amount=amount, **fields)
        assert made.status == 201, made.raw
        await self.house.worker.run_until_idle()
        return await self.payment(made)

    async def payment(self, made: Answer) -> Answer:
        """A payment as it stands now."""
        return await self.keys.send("GET", f"/api/v1/payments/{made['id']}")

    async def payout(self, made: Answer) -> Answer:
        """A withdrawal as it stands now."""
        return await self.keys.send("GET", f"/api/v1/payments/withdraw/{made['id']}")

    async def attempts(self, made: Answer) -> list[tuple[str, str | None]]:
        """What each attempt at a withdrawal did, and what came of it."""
        rows = (await self.payout(made))["attempts"]
        return [(row["action"], row["outcome"]) for row in rows]

    async def transfer(self, **fields: object) -> Answer:
        """A transfer from CMR to SEN, unless `fields` say otherwise; None leaves one out."""
        body = {
            "applicationId": self.application_id,
            "sourceCountry": "CMR",
            "destinationCountry": "SEN",
            "amount": 1000,
            **fields,
        }
        return await self.token.send("POST", "/api/wallets/transfer", _given(body))

    async def withdraw(self, **fields: object) -> Answer:
        """A payout of 1,000 from CMR to MTN Cameroon, unless `fields` say otherwise."""
        body = {
            "amount": 1000,
            "provider": "MTN_MOMO_CMR",
            "phoneNumber": "237653456789",
            **fields,
        }
        return await self.keys.send("POST", "/api/v1/payments/withdraw", _given(body))

    async def refund(self, payment: Answer, **fields: object) -> Answer:
        """Ask for a payment to be given back."""
        return await self.keys.send("POST", f"/api/v1/payments/{payment['id']}/refund", fields)

    async def refunded(self, made: Answer) -> Answer:
        """A refund as it stands now."""
        return await self.keys.send("GET", f"/api/v1/payments/refunds/{made['id']}")

    async def wallets(self) -> dict[str, tuple[object, object]]:
        """Available and reserved by country."""
        answer = await self.keys.send("GET", "/api/v1/payments/balance")
        return {
            row["country"]: (row["availableBalance"], row["reservedBalance"]) for row in answer.json
        }


# A provider and its paying test number for each country that tests collect in.
PAYERS = {
    "CMR": ("MTN_MOMO_CMR", "237653456789"),
    "GAB": ("AIRTEL_GAB", "24174345678"),
    "COG": ("AIRTEL_COG", "242053456789"),
    "SEN": ("FREE_SEN", "221763456789"),
    "CIV": ("MTN_MOMO_CIV", "2250503456789"),
    "BEN": ("MTN_MOMO_BEN", "22951345789"),
    "KEN": ("MPESA_KEN", "254703456789"),
    "COD": ("VODACOM_MPESA_COD", "243813456789"),
    "UGA": ("AIRTEL_OAPI_UGA", "256753456789"),
    "RWA": ("AIRTEL_RWA", "250733456789"),
    "GHA": ("MTN_MOMO_GHA", "233593456789"),
    "ZMB": ("AIRTEL_OAPI_ZMB", "260973456789"),
    "SLE": ("ORANGE_SLE", "23276123456"),
}


def _given(body: Mapping[str, object]) -> dict[str, object]:
    return {name: value for name, value in body.items() if value is not None}


def _number(value: object) -> object:
    if isinstance(value, Decimal):
        return int(value) if value == value.to_integral_value() else float(value)
    raise TypeError(f"{value!r} is no JSON")
