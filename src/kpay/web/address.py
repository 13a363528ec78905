"""Where a request comes from, for who counts failures.

The peer of the connection, unless the operator has said that it is a proxy: only then is
X-Forwarded-For believed, from its right end, as far as the proxies that were named go. Whatever
stands further left was written by the caller and proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import Any, TypeAlias

Network: TypeAlias = IPv4Network | IPv6Network

_HEADER = b"x-forwarded-for"
# More than a chain of proxies is long. What is further left does not count, so it may be cut off.
_MOST_BYTES = 500
_KEPT = 4_096
# One subscriber has a network of so many bits, and all of its addresses.
_IPV6_PREFIX = 64


class Addresses:
    """Works out addresses: IPv4 as it is, IPv6 as its /64, None where there is none."""

    def __init__(self, proxies: Sequence[Network] = ()) -> None:
        self._proxies = tuple(proxies)
        # The same few are asked for again and again; each is worked out once.
        self._found = lru_cache(_KEPT)(self._find)

    def of(self, scope: Mapping[str, Any]) -> str | None:
        """The caller's address of an ASGI scope."""
        client = scope.get("client")
        if not client:
            return None
        forwarded = b""
        if self._proxies:
            for name, value in scope["headers"]:
                if name == _HEADER:
                    forwarded = forwarded + b"," + value if forwarded else value
        return self._found(client[0], forwarded[-_MOST_BYTES:])

    def _find(self, peer: str, forwarded: bytes) -> str | None:
        address = _read(peer)
        for part in reversed(forwarded.decode("latin-1").split(",")):
            if address is None or not self._is_proxy(address):
                break
            further = _read(part)
            if further is None:
                break
            address = further
        return None if address is None else _grouped(address)

    def _is_proxy(self, address: IPv4Address | IPv6Address) -> bool:
        return any(address in network for network in self._proxies)


def _read(text: str) -> IPv4Address | IPv6Address | None:
    """An address, with or without a port: 192.0.2.1:443, 2001:db8::1, [2001:db8::1]:443."""
    text = text.strip()
    if text.startswith("["):
        text = text[1:].partition("]")[0]
    elif text.count(":") == 1:
        text = text.partition(":")[0]
    try:
        address = ip_address(text)
    except ValueError:
        return None
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return mapped or address


def _grouped(address: IPv4Address | IPv6Address) -> str:
    if isinstance(address, IPv4Address):
        return str(address)
    return str(IPv6Network((int(address), _IPV6_PREFIX), strict=False))
