"""Structured fields: what the RFC says is read, and anything else is a ValueError and no more."""

from __future__ import annotations

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.connectors.amounts import read_rail_amount
from kpay.connectors.structured import encoded, parse_dictionary, quoted
from kpay.core.money import Money, rail_text

LIKELY = st.text(st.sampled_from('sig-p="@method";:,()?01 \\abc=\t-.9é'), max_size=40)


def test_a_signature_s_input_is_read_whole() -> None:
    text = (
        'sig-pp=("@method" "content-digest";sf);alg="rsa-pss-sha512";keyid="a\\"b";created=5, x=1'
    )
    found = parse_dictionary(text)

    member = found["sig-pp"]
    assert [item.value for item in member.items] == ["@method", "content-digest"]
    assert [dict(item.parameters) for item in member.items] == [{}, {"sf": True}]
    assert member.parameters == {"alg": "rsa-pss-sha512", "keyid": 'a"b', "created": 5}
    # To the letter: it is what was signed.
    assert f"sig-pp={member.text}, x=1" == text
    assert found["x"].items[0].value == 1


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("a=:AAEC:", b"\x00\x01\x02"),
        ("a=?1", True),
        ("a=?0", False),
        ("a", True),
        ("a=-7", -7),
        ("a=tok/en:x", "tok/en:x"),
        ('a=""', ""),
        ("a=1, a=2", 2),
        ("  a=1  ", 1),
    ],
)
def test_each_kind_of_value_is_read(text: str, value: object) -> None:
    assert parse_dictionary(text)["a"].items[0].value == value


@pytest.mark.parametrize(
    "text",
    ["=1", "a=", "a=1,", "a=1 b=2", "A=1", 'a="é"', 'a="', "a=(1", "a=:A:", "a=1.5", "a=?2", "a=é"],
)
def test_what_the_rfc_does_not_say_is_not_read(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        parse_dictionary(text)


@given(st.one_of(st.text(max_size=40), LIKELY))
def test_no_text_does_more_than_raise_a_value_error(text: str) -> None:
    try:
        found = parse_dictionary(text)
    except ValueError:
        return
    assert all(member.text in text for member in found.values())


@given(st.text(st.characters(min_codepoint=32, max_codepoint=126)))
def test_a_text_is_read_as_it_was_written(text: str) -> None:
    assert parse_dictionary(f"a={quoted(text)}")["a"].items[0].value == text


@given(st.binary())
def test_bytes_are_read_as_they_were_written(value: bytes) -> None:
    assert parse_dictionary(f"a={encoded(value)}")["a"].items[0].value == value
    assert encoded(value) == f":{base64.b64encode(value).decode()}:"


@given(st.integers(0, 10**17), st.integers(0, 6))
def test_an_amount_is_the_same_however_many_zeros_it_ends_with(minor: int, zeros: int) -> None:
    amount = Money(minor, "GHS")
    text = rail_text(amount)
    longer = text + ("." if "." not in text and zeros else "") + "0" * zeros

    assert read_rail_amount(longer, "GHS") == amount


@given(st.one_of(st.text(max_size=20), st.floats(), st.none(), st.booleans(), st.binary()))
def test_what_is_no_amount_is_none(value: object) -> None:
    found = read_rail_amount(value, "GHS")

    assert found is None or (isinstance(value, str) and value.replace(".", "", 1).isdigit())
