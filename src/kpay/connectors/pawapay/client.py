"""How pawaPay is spoken to: JSON under a bearer token, signed where a key is configured."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from kpay.connectors.signatures import Signer
from kpay.connectors.wire import Answer, Wire
from kpay.core.clock import Clock

_JSON = "application/json"


class PawapayClient:
    """Speaks to one account at one address. Every verb raises NoAnswer."""

    def __init__(
        self, wire: Wire, url: str, token: str, clock: Clock, signer: Signer | None
    ) -> None:
        self._wire = wire
        self._url = url
        self._clock = clock
        self._signer = signer
        self._headers = {"Authorization": f"Bearer {token}", "Accept": _JSON}

    async def get(self, path: str) -> Answer:
        return await self._wire.send("GET", self._url + path, self._headers)

    async def post(self, path: str, wanted: Mapping[str, Any]) -> Answer:
        url = self._url + path
        body = json.dumps(wanted, separators=(",", ":")).encode()
        headers = {**self._headers, "Content-Type": _JSON}
        if self._signer is not None:
            headers |= self._signer.headers("POST", url, _JSON, body, self._clock.now())
        return await self._wire.send("POST", url, headers, body)

    async def ask_for(self, path: str) -> Answer:
        """A POST that says everything with its address; pawaPay has none of these signed."""
        return await self._wire.send("POST", self._url + path, self._headers)

    async def close(self) -> None:
        await self._wire.close()
