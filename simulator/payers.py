"""The payers and beneficiaries: who opens a hosted page, picks on it, confirms, and calls off.

They reach the real page of a process, without a browser: its forms are posted to it.
"""

from __future__ import annotations

import re
from random import Random
from typing import Any
from urllib.parse import urlencode, urlsplit

from kpay.catalogue.data import catalogue
from simulator.asking import PHONE
from simulator.merchants import PROVIDERS
from simulator.operations import Kind, Operation
from simulator.process import Process
from simulator.transcript import Transcript

_RECEIVES = re.compile(rb'type="hidden" name="receives" value="(\d+)"')
# How often somebody picks an operator that cannot be, or confirms without being asked.
_ASTRAY = 0.08


class Payers:
    """Everybody who was sent to a page."""

    def __init__(self, random: Random, transcript: Transcript) -> None:
        self._random = random
        self._transcript = transcript
        known = catalogue().providers
        self._currencies = {
            name: known[name].currency for names in PROVIDERS.values() for name in names
        }

    def draw(self, operation: Operation) -> str:
        """The operator that somebody picks; a payment's is of its currency, but for a mistake."""
        fitting = [
            name
            for name, currency in self._currencies.items()
            if operation.kind is Kind.PAYOUT or currency == operation.currency
        ]
        astray = self._random.random() < _ASTRAY
        return self._random.choice(list(self._currencies) if astray else fitting)

    async def look(self, process: Process, operation: Operation) -> None:
        """Open the page."""
        status, _ = await self._send(process, operation, "GET", "")
        self._tell(process, operation, "is shown", status)

    async def pick(self, process: Process, operation: Operation, provider: str) -> None:
        """Pick an operator, and confirm what is shown, if something is."""
        operation.picks.append(provider)
        form = {"provider": provider, "number": PHONE}
        status, body = await self._send(process, operation, "POST", "/choose", form)
        self._tell(process, operation, f"is to go by {provider}", status)
        shown = _RECEIVES.search(body)
        if status == 200 and shown is not None:
            operation.picks.append(provider)
            confirmed = {**form, "receives": shown[1].decode()}
            status, _ = await self._send(process, operation, "POST", "/choose", confirmed)
            self._tell(process, operation, f"is confirmed by {provider}", status)

    async def call_off(self, process: Process, operation: Operation) -> None:
        """Decline."""
        operation.cancel_asked = True
        status, _ = await self._send(process, operation, "POST", "/cancel", {})
        self._tell(process, operation, "is called off", status)

    def _tell(self, process: Process, operation: Operation, what: str, status: int) -> None:
        self._transcript.operation(
            f"{process.name}'s page of {operation.token} {what}: answered {status}"
        )

    async def _send(
        self,
        process: Process,
        operation: Operation,
        method: str,
        verb: str,
        form: dict[str, str] | None = None,
    ) -> tuple[int, bytes]:
        """Status and body of an answer."""
        if operation.record is None:
            raise ValueError(f"{operation} is not on record, so it has no page")
        url = process.house.gateways.url(operation.shop.book, operation.record.id)
        scope = {
            "type": "http",
            "method": method,
            "path": urlsplit(url).path + verb,
            "query_string": b"",
            "headers": [],
        }
        sent: list[Any] = []

        async def receive() -> dict[str, object]:
            return {"type": "http.request", "body": urlencode(form or {}).encode()}

        async def send(message: Any) -> None:
            sent.append(message)

        await process.pages(scope, receive, send)
        return sent[0]["status"], sent[-1]["body"]
