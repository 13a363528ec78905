"""Where a webhook may go: what a URL must look like, and which addresses are nobody's business.

A merchant chooses the URL and the operator's server calls it, so this is what keeps a merchant
from the operator's own network. A URL is read by one strict pattern, so that no two programs can
read it differently; a name is looked up when the URL is set, and the address of each connection is
looked at again at the moment when it is made: what a name leads to may change in between.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address
from typing import TypeAlias
from urllib.parse import urlsplit

from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal

Network: TypeAlias = IPv4Network | IPv6Network

LONGEST_URL = 2_048
LOOPBACK: tuple[Network, ...] = (IPv4Network("127.0.0.0/8"), IPv6Network("::1/128"))

# Nothing but what a URL of a server has: no user, no fragment, no backslash, nothing beyond ASCII.
_URL = re.compile(
    r"(?P<scheme>https?)://(?P<host>\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9._-]+)(?::(?P<port>\d{1,5}))?"
    r"(?P<rest>[/?][!$-;=?-Z\[\]_a-z~]*)?\Z",
    re.ASCII,
)
# A last label that is a number makes it an address, however spelled: 127.1, 0x7f.1, 2130706433.
_NUMBER = re.compile(r"(\d+|0[xX][0-9A-Fa-f]*)\Z", re.ASCII)
# IPv6 addresses that carry an IPv4 one to its own network (RFC 6052, RFC 8215).
_TRANSLATED = (IPv6Network("64:ff9b::/96"), IPv6Network("64:ff9b:1::/48"))


def check_url(url: str, environment: Environment) -> str:
    """The host of a URL that may be set. Refuses: invalid_webhook_url."""
    matched = _URL.match(url)
    if len(url) > LONGEST_URL or matched is None:
        raise _refusal(
            f"url must be such as https://shop.example/webhooks, up to {LONGEST_URL:,} characters "
            "of ASCII, without a user, a password or a #fragment."
        )
    if environment is Environment.PRODUCTION and matched["scheme"] != "https":
        raise _refusal("url must begin with https:// in production.")
    if matched["port"] and not 1 <= int(matched["port"]) <= 65_535:
        raise _refusal("url must have a port between 1 and 65535, or none.")
    host = matched["host"].strip("[]")
    if read_address(host) is None and (
        ":" in host or _NUMBER.match(host.rstrip(".").rpartition(".")[2])
    ):
        raise _refusal("url must have a name, or an address such as 203.0.113.7, as its host.")
    return host


def host_of(url: str) -> str:
    """Where a URL that was taken leads to, with its port: nothing of what it may hold besides."""
    return urlsplit(url).netloc


def check_addresses(host: str, addresses: Sequence[str], allowed: Sequence[Network]) -> None:
    """What a host was found to be. Refuses: invalid_webhook_url, if any of it is forbidden."""
    if any(is_forbidden(address, allowed) for address in addresses):
        raise _refusal(
            f"url must lead to a public address: {host} is one of a private network. The operator "
            "can allow it with KPAY_WEBHOOK_NETWORKS."
        )


def is_forbidden(text: str, allowed: Sequence[Network]) -> bool:
    """Whether no webhook goes to an address: anything but a public one that is one machine's.

    That is loopback, private and shared networks, link-local with the clouds' metadata, multicast,
    what is reserved, and IPv6 addresses that lead to such an IPv4 one. What the operator allowed is
    allowed.
    """
    address = read_address(text)
    if address is None:
        return True
    inner = _inner(address)
    if any(address in network or inner in network for network in allowed):
        return False
    return not _is_public(inner)


def read_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address in its usual spelling, or None."""
    try:
        return ip_address(text.partition("%")[0])
    except ValueError:
        return None


def _is_public(address: IPv4Address | IPv6Address) -> bool:
    return address.is_global and not (
        address.is_multicast
        or address.is_reserved
        or address.is_private
        or address.is_loopback
        or address.is_link_local
        or address.is_unspecified
    )


def _inner(address: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for, or the address itself."""
    if isinstance(address, IPv4Address):
        return address
    if address.ipv4_mapped or address.sixtofour:
        return address.ipv4_mapped or address.sixtofour or address
    if any(address in network for network in _TRANSLATED):
        return IPv4Address(int(address) & 0xFFFFFFFF)
    return address


def _refusal(sentence: str) -> Refusal:
    return Refusal(Code.INVALID_WEBHOOK_URL, sentence)
