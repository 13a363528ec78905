"""One POST to a merchant's server: three seconds in all, no redirects, a bounded answer.

The address is judged when the socket for it is made, so what was judged is what is connected to,
whatever the name led to a moment before.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl
import time
from collections.abc import Mapping, Sequence

import aiohttp
from aiohttp import AddrInfoType
from yarl import URL

from kpay.connectors.model import storable_text
from kpay.core.book import Environment
from kpay.database.pool import outside_transaction
from kpay.settings import Settings
from kpay.webhooks import reasons
from kpay.webhooks.addresses import LOOPBACK, Network, is_forbidden
from kpay.webhooks.model import Answer
from kpay.webhooks.names import Names

WITHIN_SECONDS = 3.0
# What is kept of an answer; what is longer is read no further.
MOST_BYTES_KEPT = 1_000
_MOST_BYTES_READ = 16_384
# Many servers close a connection that was idle for five seconds. One that is used again at that
# moment fails for no reason of the receiver's, so ours are given up well before.
_KEPT_OPEN_SECONDS = 2.0
_NAME_WITHIN_SECONDS = 2.0
_NAMES_KEPT_SECONDS = 10
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


class ForbiddenAddressError(OSError):
    """A connection was about to be made to an address where no webhook goes."""

    def __init__(self, address: str) -> None:
        # Where a name has several, what went wrong with each is told as one, with its number alone.
        super().__init__(errno.EACCES, f"{address} is not called")


def allowed_networks(settings: Settings) -> dict[Environment, tuple[Network, ...]]:
    """Which of the addresses that are forbidden to webhooks may be called all the same.

    Those that the operator named. And in the sandbox this machine itself, while merchants are told
    that KPay is at an address of this machine: then there is nobody here but its developer.
    """
    local = URL(settings.public_url).host in _LOCAL_HOSTS
    named = settings.webhook_networks
    return {
        Environment.TEST: (*named, *LOOPBACK) if local else named,
        Environment.PRODUCTION: named,
    }


class Post:
    """Sends webhooks of one environment, over connections that are used again."""

    def __init__(self, allowed: Sequence[Network], within: float = WITHIN_SECONDS) -> None:
        self.within = within
        self._allowed = tuple(allowed)
        self._names = Names()
        self._opened: aiohttp.ClientSession | None = None

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What came of it. Nothing is raised, whatever the other side does."""
        outside_transaction()
        begun = time.monotonic()
        status, kept, retry_after = None, b"", None
        try:
            async with (
                asyncio.timeout(self.within),
                self._session().post(
                    # As it was set, to the letter.
                    URL(url, encoded=True),
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                ) as answer,
            ):
                status, retry_after = answer.status, answer.headers.get("Retry-After")
                async for chunk in answer.content.iter_chunked(_MOST_BYTES_READ):
                    kept += chunk
                    if len(kept) > _MOST_BYTES_READ:
                        # Endless, or no business of ours: the connection is not used again.
                        answer.close()
                        break
        except Exception as problem:
            # Whoever has said 2xx has taken it, even if the rest of the answer never comes.
            if status is None:
                return Answer(None, _elapsed(begun), error=_words(problem, self.within))
        text = storable_text(kept[:MOST_BYTES_KEPT].decode("utf-8", "replace"))
        return Answer(status, _elapsed(begun), body=text, retry_after=retry_after)

    async def look_up(self, host: str) -> list[str]:
        """The addresses of a name, and none where it has none now."""
        try:
            async with asyncio.timeout(_NAME_WITHIN_SECONDS):
                found = await self._names.resolve(host, family=socket.AF_UNSPEC)
        except (OSError, UnicodeError):
            return []
        return [address["host"] for address in found]

    def check_address(self, address: str) -> None:
        """Raises ForbiddenAddressError."""
        if is_forbidden(address, self._allowed):
            raise ForbiddenAddressError(address)

    async def close(self) -> None:
        if self._opened is not None:
            await self._opened.close()
            self._opened = None
        await self._names.close()

    def _session(self) -> aiohttp.ClientSession:
        if self._opened is None:
            self._opened = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(
                    # How many are sent at once is bounded by who sends: none waits here.
                    limit=0,
                    keepalive_timeout=_KEPT_OPEN_SECONDS,
                    socket_factory=self._socket,
                    resolver=self._names,
                    ttl_dns_cache=_NAMES_KEPT_SECONDS,
                ),
                cookie_jar=aiohttp.DummyCookieJar(),
                timeout=aiohttp.ClientTimeout(total=None),
                auto_decompress=False,
                skip_auto_headers=("Accept", "Accept-Encoding"),
            )
        return self._opened

    def _socket(self, address: AddrInfoType) -> socket.socket:
        family, kind, protocol, _, place = address
        self.check_address(str(place[0]))
        made = socket.socket(family, kind, protocol)
        made.setblocking(False)
        return made


def _elapsed(begun: float) -> int:
    """Milliseconds."""
    return round((time.monotonic() - begun) * 1_000)


def _words(problem: Exception, within: float) -> str:
    """What went wrong, in words for a merchant: its own server, and nothing of ours."""
    match problem:
        case TimeoutError():
            return reasons.LATE % {"seconds": f"{within:g}"}
        case aiohttp.ClientConnectorDNSError():
            return reasons.NO_ADDRESS
        case aiohttp.ClientConnectorCertificateError() | ssl.SSLCertVerificationError():
            return reasons.BAD_CERTIFICATE
        case aiohttp.ClientConnectorSSLError() | ssl.SSLError():
            return reasons.NO_TLS
        case aiohttp.ClientConnectorError():
            if problem.os_error.errno == errno.EACCES:
                return reasons.PRIVATE
            return reasons.REFUSED
        case aiohttp.ServerDisconnectedError() | ConnectionError() | aiohttp.ClientOSError():
            return reasons.BROKEN_OFF
        case _:
            return reasons.NO_HTTP % {"what": type(problem).__name__}
