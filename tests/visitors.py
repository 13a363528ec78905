"""A person at the dashboard, without a browser: forms are sent to the application itself."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from html import unescape
from urllib.parse import urlencode

from kpay.web.api import Api
from tests.client import Answer, Browser
from tests.people import Office

COOKIE = "kpay"


@dataclass
class Visitor:
    """Somebody with a browser, signed in or not. English, unless they say otherwise."""

    browser: Browser
    token: str | None = None
    csrf: str = ""
    headers: dict[str, str] = field(default_factory=lambda: {"Accept-Language": "en"})

    @classmethod
    async def signed_in(cls, api: Api, office: Office, name: str) -> Visitor:
        """A person who has given the password."""
        token = (await office.sign_in(name)).token
        return cls(Browser(api), token, (await office.of(token)).csrf_token)

    async def get(self, path: str, **query: str) -> Answer:
        return await self.browser.send("GET", path, query=query, headers=self._headers())

    async def post(self, path: str, *, site: str = "same-origin", **fields: str) -> Answer:
        """Send a form, as a page of `site` does."""
        return await self.browser.send(
            "POST",
            path,
            raw=urlencode({"csrf": self.csrf, **fields}).encode(),
            headers={
                **self._headers(),
                "Sec-Fetch-Site": site,
                "Content-Type": "application/x-www-form-urlencoded",
            },
        )

    def _headers(self) -> dict[str, str]:
        cookie = {} if self.token is None else {"Cookie": f"{COOKIE}={self.token}"}
        return {**self.headers, **cookie}


def words(answer: Answer) -> str:
    """What a page says, without its tags."""
    body = answer.raw.decode().partition("<body")[2].partition(">")[2]
    text = unescape(re.sub(r"<[^>]+>", " ", body)).replace("\u00a0", " ").replace("\u202f", " ")
    return " ".join(text.split())
