"""Whether a payer's return is the server's: the query signed with the gateway secret."""

from __future__ import annotations

import hashlib
import hmac
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qsl, urlencode

import pytest

from kpay_client import NotGenuine, Return, verify_return

SECRET = "gwsec_abcdefghijklmnop"
NOW = datetime(2026, 6, 23, 10, 5, 0, tzinfo=UTC)
AT = datetime(2026, 6, 23, 10, 4, 59, 250_000, tzinfo=UTC)
FOUND = Return("COMPLETED", "KPAY-20260623-ABC789", "ORDER 1/é", AT)


def test_a_whole_address_its_query_or_its_parameters_can_be_given() -> None:
    query = _query()

    for given in (f"https://shop.example/done?{query}#top", f"?{query}", query):
        assert _verify(given) == FOUND
    assert verify_return(dict(parse_qsl(query)), SECRET, now=lambda: NOW) == FOUND


def test_what_the_merchants_own_address_had_in_front_does_not_disturb() -> None:
    assert _verify(f"https://shop.example/?status=new&cart=7&{_query()}") == FOUND


def test_what_somebody_adds_behind_is_not_believed() -> None:
    with pytest.raises(NotGenuine, match="signature"):
        _verify(f"{_query(status='FAILED')}&status=COMPLETED")


def test_without_an_external_id_it_is_signed_as_empty() -> None:
    assert _verify(_query(externalId="")).external_id is None


@pytest.mark.parametrize("name", ["status", "reference", "externalId", "ts"])
def test_every_part_is_signed(name: str) -> None:
    signed = dict(parse_qsl(_query()))

    with pytest.raises(NotGenuine, match="signature"):
        _verify(urlencode({**signed, name: "1782209098000"}))


@pytest.mark.parametrize("name", ["status", "reference", "externalId", "ts", "sig"])
def test_a_part_that_is_missing_is_named(name: str) -> None:
    signed = dict(parse_qsl(_query()))
    del signed[name]

    with pytest.raises(NotGenuine, match=name):
        _verify(urlencode(signed))


@pytest.mark.parametrize(
    ("age", "genuine"),
    [
        (timedelta(0), True),
        (timedelta(minutes=10), True),
        (timedelta(minutes=10, milliseconds=1), False),
        (timedelta(minutes=-1), True),
        (timedelta(minutes=-1, milliseconds=-1), False),
    ],
)
def test_it_is_believed_for_ten_minutes(age: timedelta, genuine: bool) -> None:
    query = _query(ts=str(int((NOW - age).timestamp() * 1_000)))

    if genuine:
        assert _verify(query).at == NOW - age
    else:
        with pytest.raises(NotGenuine, match="long ago"):
            _verify(query)


@pytest.mark.parametrize("stamp", ["soon", "-1", "1" * 30, "1e3", ""])
def test_a_time_that_is_none_is_refused_though_it_is_signed(stamp: str) -> None:
    with pytest.raises(NotGenuine, match="milliseconds"):
        _verify(_query(ts=stamp))


@pytest.mark.parametrize("signature", ["", "é", "0" * 64, "\ud800"])
def test_a_signature_that_is_nonsense_is_refused(signature: str) -> None:
    parts = {**dict(parse_qsl(_query())), "sig": signature}

    with pytest.raises(NotGenuine, match="signature"):
        verify_return(parts, SECRET, now=lambda: NOW)


def test_another_secret_is_refused_and_an_empty_one_is_a_mistake() -> None:
    with pytest.raises(NotGenuine):
        verify_return(_query(), "gwsec_other", now=lambda: NOW)
    with pytest.raises(ValueError, match="configuration"):
        verify_return(_query(), "", now=lambda: NOW)


def _verify(given: str) -> Return:
    return verify_return(given, SECRET, now=lambda: NOW)


def _query(**changes: str) -> str:
    """A query as the server signs it."""
    parts = {
        "status": "COMPLETED",
        "reference": "KPAY-20260623-ABC789",
        "externalId": "ORDER 1/é",
        "ts": "1782209099250",
        **changes,
    }
    signed = "|".join(parts.values()).encode()
    return urlencode(
        {**parts, "sig": hmac.new(SECRET.encode(), signed, hashlib.sha256).hexdigest()}
    )
