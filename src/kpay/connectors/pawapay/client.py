"""How pawaPay is spoken to: JSON under a bearer token, signed where a key is configured."""

from __future__ import annotations

import json
from collections.abc import AsyncGenerator, Mapping, Sequence
from typing import Any

from yarl import URL

from kpay.connectors.signatures import Signer
from kpay.connectors.wire import Answer, NoAnswer, Wire
from kpay.core.clock import Clock

_JSON = "application/json"


class PawapayClient:
    """Speaks to one account at one address. All that it does raises NoAnswer."""

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

    async def post(
        self, path: str, wanted: Mapping[str, Any] | Sequence[Mapping[str, Any]]
    ) -> Answer:
        url = self._url + path
        body = json.dumps(wanted, separators=(",", ":")).encode()
        headers = {**self._headers, "Content-Type": _JSON}
        if self._signer is not None:
            headers |= self._signer.headers("POST", url, _JSON, body, self._clock.now())
        return await self._wire.send("POST", url, headers, body)

    async def ask_for(self, path: str) -> Answer:
        """A POST that says everything with its address; pawaPay has none of these signed."""
        return await self._wire.send("POST", self._url + path, self._headers)

    def download(self, url: str, largest: int) -> AsyncGenerator[bytes, None]:
        """A file that an answer names. Raises NoFile where it is gone.

        Only from where the account itself is: an address in an answer is to lead nowhere else. Our
        token is not sent, because such an address is its own secret.
        """
        if not _is_within(url, self._url):
            raise NoAnswer("a file is said to be somewhere else than at pawaPay")
        return self._wire.download(url, largest)

    async def close(self) -> None:
        await self._wire.close()


def _is_within(url: str, ours: str) -> bool:
    """Whether an address is of the host of ours or of one below it, and as safe."""
    try:
        told, own = URL(url, encoded=True), URL(ours, encoded=True)
        same_door = (told.scheme, told.port) == (own.scheme, own.port)
    except ValueError:
        return False
    if not same_door or told.host is None or told.raw_user or told.raw_password:
        return False
    return told.host == own.host or told.host.endswith(f".{own.host}")
