"""Tokens: spelled as any library of JSON Web Tokens spells them, and only ours are read."""

from __future__ import annotations

import base64
import hmac
from typing import Any

import jwt
import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.access.tokens import BadToken, key_id_of, read, sign

KEY, OTHER = b"k" * 32, b"o" * 32
CLAIMS: dict[str, Any] = {"iss": "kpay", "sub": "a", "exp": 1_782_208_800}


def token(key: bytes = KEY, **header: Any) -> str:
    return jwt.encode(CLAIMS, key, "HS256", headers={"kid": "1", **header})


def spelled(part: object) -> str:
    return base64.urlsafe_b64encode(msgspec.json.encode(part)).rstrip(b"=").decode()


def signed_over(header: object, payload: object = CLAIMS, key: bytes = KEY) -> str:
    """Signed as ours are, over whatever header."""
    text = f"{spelled(header)}.{spelled(payload)}"
    digest = hmac.digest(key, text.encode(), "sha256")
    return f"{text}.{base64.urlsafe_b64encode(digest).rstrip(b'=').decode()}"


def test_a_library_reads_ours_and_we_read_what_it_signs() -> None:
    ours = sign(CLAIMS, KEY, "1")
    assert jwt.decode(ours, KEY, algorithms=["HS256"], options={"verify_exp": False}) == CLAIMS
    assert jwt.get_unverified_header(ours) == {"alg": "HS256", "kid": "1", "typ": "JWT"}
    assert read(token(), KEY, "kpay") == CLAIMS
    assert (key_id_of(ours), key_id_of(token())) == ("1", "1")


@pytest.mark.parametrize(
    "bad",
    [
        "",
        ".",
        "..",
        "a.b.c",
        "é.é.é",
        token(OTHER),
        token() + "=",
        token() + "A",
        token()[:-1],
        f"{token()}.{token()}",
        jwt.encode(CLAIMS, KEY + KEY, "HS512", headers={"kid": "1"}),
        jwt.encode(CLAIMS, "", "none", headers={"kid": "1"}),
        signed_over({"alg": "none", "kid": "1"}),
        signed_over({"alg": "HS512", "kid": "1"}),
        signed_over({"kid": "1"}),
        signed_over(["HS256"]),
        signed_over({"alg": "HS256", "kid": "1"}, [CLAIMS]),
        signed_over({"alg": "HS256", "kid": "1"}, {**CLAIMS, "iss": "somebody"}),
        signed_over({"alg": "HS256", "kid": "1"}, {"sub": "a"}),
    ],
)
def test_what_is_not_signed_and_spelled_as_ours_is_not_read(bad: str) -> None:
    with pytest.raises(BadToken):
        read(bad, KEY, "kpay")


@given(st.integers(0, len(token()) - 1), st.sampled_from("AZaz09-_.=+/ "))
def test_not_one_character_can_be_another(place: int, character: str) -> None:
    good = token()
    changed = good[:place] + character + good[place + 1 :]
    if changed != good:
        with pytest.raises(BadToken):
            read(changed, KEY, "kpay")


@pytest.mark.parametrize(
    "bad", ["", "a", "é.x.y", "e30.x.y", "W10.x.y", f"{spelled({'kid': 7, 'alg': 'x'})}.x.y"]
)
def test_the_name_of_a_key_is_not_guessed(bad: str) -> None:
    with pytest.raises(BadToken):
        key_id_of(bad)


def test_a_header_that_is_nested_without_end_is_no_trouble() -> None:
    deep = base64.urlsafe_b64encode(b'{"x":' + b"[" * 100_000).rstrip(b"=").decode()
    with pytest.raises(BadToken):
        key_id_of(f"{deep}.x.y")
