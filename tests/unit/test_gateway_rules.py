"""The address of a hosted page's merchant: what it may be, and what proves who came back to it."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlsplit

import pytest

from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal
from kpay.gateways.model import (
    MOBILE_MONEY,
    MOST_ADDRESS_CHARACTERS,
    Addresses,
    check_addresses,
    check_method,
    is_token,
    refuse_destination,
    require_destination,
    way_back,
)

TEST, PRODUCTION = Environment.TEST, Environment.PRODUCTION
SHOP = "https://shop.example.com/paid"
SECRET = "a gateway secret"
NOW = datetime(2026, 6, 23, 10, 0, 0, 123_000, tzinfo=UTC)


def back(addresses: Addresses, **changes: str | None) -> str:
    given: dict[str, str | None] = {
        "status": "COMPLETED",
        "reference": "KPAY-20260623-ABC123",
        "external_id": "ORDER 1&2",
        **changes,
    }
    return way_back(addresses, SECRET, now=NOW, **given)  # type: ignore[arg-type]


# The way back.


def test_who_is_sent_back_brings_how_it_ended_and_its_proof() -> None:
    address = back(Addresses(SHOP))
    query = dict(parse_qsl(urlsplit(address).query, keep_blank_values=True))

    signed = f"COMPLETED|KPAY-20260623-ABC123|ORDER 1&2|{query['ts']}"
    assert address.startswith(f"{SHOP}?status=COMPLETED&reference=KPAY-20260623-ABC123&externalId=")
    assert list(query) == ["status", "reference", "externalId", "ts", "sig"]
    assert query["externalId"] == "ORDER 1&2"
    assert query["ts"] == str(round((NOW - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() * 1e3))
    assert query["sig"] == hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()


def test_the_moment_is_told_in_milliseconds() -> None:
    (first, second) = (
        dict(parse_qsl(urlsplit(way_back_at(moment)).query))["ts"]
        for moment in (NOW, NOW + timedelta(seconds=2))
    )

    assert int(second) - int(first) == 2_000


def way_back_at(moment: datetime) -> str:
    return way_back(
        Addresses(SHOP), SECRET, status="FAILED", reference="R", external_id="E", now=moment
    )


def test_without_an_external_id_its_place_is_empty_and_signed_so() -> None:
    query = dict(
        parse_qsl(urlsplit(back(Addresses(SHOP), external_id=None)).query, keep_blank_values=True)
    )
    signed = f"COMPLETED|KPAY-20260623-ABC123||{query['ts']}"

    assert query["externalId"] == ""
    assert query["sig"] == hmac.new(SECRET.encode(), signed.encode(), hashlib.sha256).hexdigest()


def test_what_the_merchant_had_in_its_address_stays_in_front() -> None:
    parts = urlsplit(back(Addresses("https://shop.example.com/a?step=2&status=old#end")))

    assert parts.query.startswith("step=2&status=old&status=COMPLETED&")
    assert parts.fragment == "end"
    assert urlsplit(back(Addresses("https://shop.example.com"))).path == "/"
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "shop.example.com", "/a")


def test_a_slash_in_a_value_is_no_part_of_an_address() -> None:
    assert "externalId=a%2Fb%3F&" in back(Addresses(SHOP), external_id="a/b?")


@pytest.mark.parametrize(
    ("status", "cancel_url", "where"),
    [
        ("CANCELLED", f"{SHOP}/basket", f"{SHOP}/basket?"),
        ("CANCELLED", None, f"{SHOP}?"),
        ("FAILED", f"{SHOP}/basket", f"{SHOP}?"),
        ("COMPLETED", f"{SHOP}/basket", f"{SHOP}?"),
    ],
)
def test_only_what_was_called_off_goes_where_that_leads(
    status: str, cancel_url: str | None, where: str
) -> None:
    assert back(Addresses(SHOP, cancel_url), status=status).startswith(where)


# Addresses.


@pytest.mark.parametrize(
    ("environment", "address"),
    [
        (PRODUCTION, SHOP),
        (TEST, SHOP),
        (TEST, "http://localhost:3000/paid"),
        (TEST, "https://shop.example.com/?q=a%20b#c"),
        (TEST, "https://shop.example.com/" + "a" * (MOST_ADDRESS_CHARACTERS - 25)),
    ],
)
def test_an_address_that_a_browser_opens_is_taken(environment: Environment, address: str) -> None:
    assert check_addresses(environment, address, None) == Addresses(address, None)
    assert check_addresses(environment, SHOP, address) == Addresses(SHOP, address)


@pytest.mark.parametrize(
    ("environment", "address", "words"),
    [
        (PRODUCTION, "http://shop.example.com", "begins with https://"),
        (TEST, "ftp://shop.example.com", "begins with https:// or http://"),
        (TEST, "//shop.example.com/paid", "begins with"),
        (TEST, "https:///paid", "begins with"),
        (TEST, "javascript:alert(1)", "begins with"),
        (TEST, "https://shop.example.com/a b", "ASCII without spaces"),
        (TEST, "https://shop.example.com\\@evil.example", "ASCII without spaces"),
        (TEST, "https://shop.example.com/\n", "ASCII without spaces"),
        (TEST, "https://müller.example.com/", "ASCII without spaces"),
        (TEST, "", "ASCII without spaces"),
        (TEST, "https://[half/paid", "no address that a browser could open"),
        (TEST, "https://shop.example.com:99999/", "no address that a browser could open"),
        (TEST, "https://user@shop.example.com/", "name or a password"),
        (TEST, "https://user:pass@shop.example.com/", "name or a password"),
        (TEST, "https://shop.example.com/" + "a" * MOST_ADDRESS_CHARACTERS, "at most 2,048"),
    ],
)
def test_any_other_address_is_refused_and_named(
    environment: Environment, address: str, words: str
) -> None:
    for field, given in (("returnUrl", (address, None)), ("cancelUrl", (SHOP, address))):
        with pytest.raises(Refusal) as refused:
            check_addresses(environment, *given)
        assert refused.value.code is Code.INVALID_ADDRESS
        assert refused.value.message.startswith(field)
        assert words in refused.value.message


# What goes with a page, and what without.


def test_with_a_page_nothing_names_where_money_goes() -> None:
    refuse_destination(None, None)
    for given, named in (
        (("MTN_MOMO_CMR", None), "provider must"),
        ((None, "237653456789"), "phoneNumber must"),
        (("MTN_MOMO_CMR", "237653456789"), "provider and phoneNumber must"),
    ):
        with pytest.raises(Refusal) as refused:
            refuse_destination(*given)
        assert refused.value.code is Code.INVALID_BODY
        assert refused.value.message.startswith(named)


def test_without_a_page_both_are_named_and_there_is_no_way_back() -> None:
    assert require_destination("MTN_MOMO_CMR", "237653456789", None) == (
        "MTN_MOMO_CMR",
        "237653456789",
    )
    for given, missing in (
        (("MTN_MOMO_CMR", None, None), "Missing field: phoneNumber."),
        ((None, "237653456789", None), "Missing field: provider."),
        ((None, None, None), "Missing field: provider, phoneNumber."),
        (("MTN_MOMO_CMR", "237653456789", SHOP), "cancelUrl goes with returnUrl"),
    ):
        with pytest.raises(Refusal) as refused:
            require_destination(*given)
        assert refused.value.code is Code.INVALID_BODY
        assert refused.value.message.startswith(missing)


def test_mobile_money_is_the_only_method() -> None:
    check_method(None)
    check_method(MOBILE_MONEY)
    with pytest.raises(Refusal) as refused:
        check_method("CARD" * 100)
    assert refused.value.code is Code.METHOD_NOT_CONFIGURED
    assert len(refused.value.message) < 200


@pytest.mark.parametrize(
    ("text", "could_be"),
    [
        ("gw_" + "a" * 52, True),
        ("gw_" + "a" * 51, False),
        ("gw_" + "a" * 53, False),
        ("gw_" + "1" * 52, False),
        ("xgw_" + "a" * 52, False),
        ("gw_" + "a" * 52 + "\n", False),
        ("", False),
    ],
)
def test_a_token_is_of_one_form(text: str, could_be: bool) -> None:
    assert is_token(text) is could_be
