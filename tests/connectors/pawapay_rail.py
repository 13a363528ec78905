"""A small pawaPay that remembers: what it was handed, what a test decided of it, and its callbacks.

It signs what it calls back with. It knows nothing that pawaPay's documents do not say.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from kpay.connectors.signatures import Signer
from tests.connectors.support import Saying, in_json, rail_server

_IDS = {"deposits": "depositId", "payouts": "payoutId", "refunds": "refundId"}
KEY_ID = "HTTP_EC_P256_KEY:1"


@dataclass
class PawapayRail:
    """`operations` by their references; what is not decided otherwise is PROCESSING."""

    url: str = ""
    operations: dict[str, dict[str, Any]] = field(default_factory=dict)
    # How many operations each call handed over, and which ones are refused, with a code.
    calls: list[int] = field(default_factory=list)
    refused: dict[str, str] = field(default_factory=dict)
    # What stands in a test's way, by the beginning of a path: an answer instead of the usual one.
    instead: dict[str, Saying] = field(default_factory=dict)
    # What happens between an operation's arrival and the answer to it.
    meanwhile: Callable[[str], Awaitable[None]] | None = None
    configured: list[dict[str, Any]] = field(default_factory=list)
    available: list[dict[str, Any]] = field(default_factory=list)
    key: ec.EllipticCurvePrivateKey = field(
        default_factory=lambda: ec.generate_private_key(ec.SECP256R1())
    )

    @property
    def only(self) -> str:
        """The reference of the one operation that there is."""
        (reference,) = self.operations
        return reference

    def decide(self, reference: str, status: str, **changes: Any) -> None:
        self.operations[reference] |= {"status": status, **changes}

    def callback(
        self,
        reference: str,
        status: str,
        url: str,
        now: datetime,
        key: ec.EllipticCurvePrivateKey | None = None,
    ) -> tuple[dict[str, str], bytes]:
        """The headers and the body of a callback about an operation, whatever it stands at."""
        told = {**self.operations[reference], "status": status, "amount": "1000.0000"}
        body = json.dumps(told).encode()
        pem = (key or self.key).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        return Signer(pem, KEY_ID).headers("POST", url, "application/json", body, now), body

    async def answer(self, request: web.Request) -> web.StreamResponse:
        for path, answer in self.instead.items():
            if request.path.startswith(path):
                return await answer(request)
        if request.path == "/v2/public-key/http":
            shown = self.key.public_key().public_bytes(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            )
            return in_json([{"id": KEY_ID, "key": shown.decode()}])
        if request.path == "/v2/active-conf":
            return in_json({"companyName": "Demo", "countries": self.configured})
        if request.path == "/v2/availability":
            return in_json(self.available)
        if request.method == "POST":
            return await self._take(request.path.removeprefix("/v2/"), await request.json())
        _, _, kind, reference = request.path.split("/")
        found = self.operations.get(reference)
        if found is None or _IDS[kind] not in found:
            return in_json({"status": "NOT_FOUND"})
        return in_json({"status": "FOUND", "data": found})

    async def _take(self, kind: str, wanted: Any) -> web.Response:
        if kind == "payouts/bulk":
            self.calls.append(len(wanted))
            return in_json([await self._take_one("payouts", one) for one in wanted])
        self.calls.append(1)
        return in_json(await self._take_one(kind, wanted))

    async def _take_one(self, kind: str, wanted: dict[str, Any]) -> dict[str, Any]:
        reference = wanted[_IDS[kind]]
        if reference in self.refused:
            reason = {"failureCode": self.refused[reference], "failureMessage": "No."}
            return {_IDS[kind]: reference, "status": "REJECTED", "failureReason": reason}
        known = reference in self.operations
        self.operations.setdefault(reference, {**wanted, "status": "PROCESSING"})
        if self.meanwhile is not None:
            await self.meanwhile(reference)
        return {_IDS[kind]: reference, "status": "DUPLICATE_IGNORED" if known else "ACCEPTED"}


@asynccontextmanager
async def pawapay_rail() -> AsyncIterator[PawapayRail]:
    """One that listens, at its `url`."""
    rail = PawapayRail()
    async with rail_server(otherwise=rail.answer) as server:
        rail.url = server.url
        yield rail
