"""Where a request comes from: the peer, or what a proxy that the operator named says of it."""

from __future__ import annotations

from ipaddress import ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.web.address import Addresses

PROXIES = (ip_network("10.0.0.0/8"), ip_network("2001:db8:ffff::/48"))


def address(peer: str, *forwarded: str, proxies: bool = True) -> str | None:
    headers = [(b"x-forwarded-for", value.encode("latin-1")) for value in forwarded]
    scope = {"client": (peer, 443), "headers": [(b"host", b"pay.example.com"), *headers]}
    return Addresses(PROXIES if proxies else ()).of(scope)


def test_the_peer_is_the_caller_where_no_proxy_is_named() -> None:
    assert address("192.0.2.7", "203.0.113.9", proxies=False) == "192.0.2.7"


def test_a_stranger_s_header_is_not_believed() -> None:
    assert address("192.0.2.7", "203.0.113.9") == "192.0.2.7"


@pytest.mark.parametrize(
    ("forwarded", "found"),
    [
        (["203.0.113.9"], "203.0.113.9"),
        (["203.0.113.9:51000"], "203.0.113.9"),
        (["[2001:db8:1:2:3:4:5:6]:51000"], "2001:db8:1:2::/64"),
        # The caller wrote the first; the proxy added the second.
        (["198.51.100.1, 203.0.113.9"], "203.0.113.9"),
        (["198.51.100.1", "203.0.113.9"], "203.0.113.9"),
        # Two proxies of the operator's, one behind the other.
        (["198.51.100.1, 203.0.113.9, 10.0.0.2"], "203.0.113.9"),
        (["203.0.113.9, 2001:db8:ffff::1, 10.0.0.2"], "203.0.113.9"),
        # Nobody but the operator's own.
        (["10.0.0.2, 10.0.0.3"], "10.0.0.2"),
        # What is no address ends the chain at whoever wrote it.
        (["banana"], "10.0.0.1"),
        (["203.0.113.9, banana, 10.0.0.2"], "10.0.0.2"),
        ([""], "10.0.0.1"),
        ([], "10.0.0.1"),
        (["203.0.113.9, " + "198.51.100.1, " * 10_000 + "203.0.113.8"], "203.0.113.8"),
    ],
)
def test_a_proxy_that_is_named_is_believed_as_far_as_proxies_go(
    forwarded: list[str], found: str
) -> None:
    assert address("10.0.0.1", *forwarded) == found


def test_all_addresses_of_one_subscriber_are_one() -> None:
    assert address("2001:db8:1:2::1") == address("2001:db8:1:2:ffff::9") == "2001:db8:1:2::/64"
    assert address("::ffff:192.0.2.7") == address("192.0.2.7") == "192.0.2.7"


def test_a_local_socket_has_no_address() -> None:
    assert Addresses().of({"client": None, "headers": []}) is None
    assert address("a socket") is None


@given(st.lists(st.text(st.characters(max_codepoint=255), max_size=30), max_size=4))
def test_whatever_a_caller_writes_in_front_does_not_change_its_address(written: list[str]) -> None:
    assert address("10.0.0.1", *written, "203.0.113.9") == "203.0.113.9"
