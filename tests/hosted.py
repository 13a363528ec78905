"""A payer at a hosted page, without a browser: forms are sent to the application itself."""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode, urlsplit

from tests.client import Answer, Browser, Merchant

RETURN = "https://shop.example.com/paid"
CANCEL = "https://shop.example.com/basket?step=2"
PAYS, REFUSES, STAYS_OPEN = "237653456789", "237653456039", "237653456129"


@dataclass
class Visitor:
    """Somebody who was sent to a page's address. English, unless they say otherwise."""

    browser: Browser
    path: str
    language: str = "en"
    headers: dict[str, str] = field(default_factory=dict)

    @classmethod
    def at(cls, merchant: Merchant, made: Answer, language: str = "en") -> Visitor:
        return cls(Browser(merchant.api), urlsplit(made["gatewayUrl"]).path, language)

    async def look(self, verb: str = "", **query: str) -> Answer:
        return await self.browser.send(
            "GET", self.path + verb, query=query, headers={"Accept-Language": self.language}
        )

    async def post(self, verb: str, **fields: str) -> Answer:
        return await self.browser.send(
            "POST",
            self.path + verb,
            raw=urlencode(fields).encode(),
            headers={
                "Accept-Language": self.language,
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )

    async def choose(self, provider: str = "MTN_MOMO_CMR", number: str = PAYS) -> Answer:
        return await self.post("/choose", provider=provider, number=number)

    async def cancel(self) -> Answer:
        return await self.post("/cancel")

    async def state(self) -> str:
        """What the page is about: choosing, waiting, completed, …"""
        state: str = (await self.look("/status"))["state"]
        return state.partition("-")[0]


def words(answer: Answer) -> str:
    """What a page says, without its tags."""
    body = answer.raw.decode().partition("<body>")[2].partition("<script>")[0]
    text = unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ").replace("\u202f", " ")
    return " ".join(text.split())


def hosted(**fields: object) -> dict[str, object]:
    """The body of a hosted payment of 5,000 XAF, unless `fields` say otherwise; None leaves out."""
    body = {"amount": 5000, "externalId": "ORDER-1", "returnUrl": RETURN, **fields}
    return {name: value for name, value in body.items() if value is not None}


async def init(merchant: Merchant, **fields: object) -> Answer:
    """A hosted payment as the merchant asks for it."""
    return await merchant.keys.send("POST", "/api/v1/payments/init", hosted(**fields))


async def withdraw(merchant: Merchant, **fields: object) -> Answer:
    """A hosted withdrawal of 50,000 from Cameroon's wallet, unless `fields` say otherwise."""
    body = {"amount": 50_000, "sourceCountry": "CMR", "returnUrl": RETURN, **fields}
    given = {name: value for name, value in body.items() if value is not None}
    return await merchant.keys.send("POST", "/api/v1/payments/withdraw", given)


def to_confirm(answer: Answer) -> dict[str, str]:
    """The hidden fields of a page that asks for confirmation."""
    pairs = re.findall(r'type="hidden" name="(\w+)" value="([^"]*)"', answer.raw.decode())
    return {name: unescape(value) for name, value in pairs}


def signed(merchant: Merchant, query: dict[str, str]) -> str:
    """The signature as docs/hosted-page.md has a merchant work it out."""
    message = f"{query['status']}|{query['reference']}|{query['externalId']}|{query['ts']}"
    secret = merchant.new.gateway_secret
    return hmac.new(secret.encode(), message.encode(), hashlib.sha256).hexdigest()
