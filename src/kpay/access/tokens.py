"""Tokens as they are spelled: a JSON Web Token signed with HMAC-SHA256 (RFC 7515, 7519).

There is one algorithm and one shape. Nothing is chosen by what a token says of itself, so there is
nothing to be talked into; the tests forge theirs with a library that knows all of them. A library
would also load what signs with keys of every kind, ten megabytes that no token of ours needs.
Pure: keys and claims come in as arguments.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Mapping
from typing import Any

import msgspec

ALGORITHM = "HS256"


class BadToken(Exception):
    """It is not one of ours, or not whole; its text says what is wrong."""


class _Header(msgspec.Struct):
    alg: str
    kid: str


def sign(claims: Mapping[str, Any], key: bytes, key_id: str) -> str:
    """A token that carries the claims, whose moments are whole seconds since 1970."""
    header = {"alg": ALGORITHM, "kid": key_id, "typ": "JWT"}
    signed = f"{_spelled(header)}.{_spelled(claims)}"
    return f"{signed}.{_signature(signed, key)}"


def key_id_of(token: str) -> str:
    """Which key a token says that it is signed with, for `read`. Raises BadToken."""
    header = _part(token.partition(".")[0])
    try:
        return msgspec.json.decode(header, type=_Header).kid
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError):
        raise BadToken("its header cannot be read") from None


def read(token: str, key: bytes, issuer: str) -> dict[str, Any]:
    """What a token that was signed with this key carries. Raises BadToken.

    Whether it has run out is for the caller, whose clock it is.
    """
    signed, _, signature = token.rpartition(".")
    # Compared as text: what is not spelled as we spell it is not ours either.
    if not hmac.compare_digest(_signature(signed, key).encode(), signature.encode()):
        raise BadToken("it is not signed with this key")
    header, _, payload = signed.partition(".")
    try:
        if msgspec.json.decode(_part(header), type=_Header).alg != ALGORITHM:
            raise BadToken("it is signed otherwise")
        claims = msgspec.json.decode(_part(payload), type=dict[str, Any])
    except msgspec.MsgspecError:
        raise BadToken("it cannot be read") from None
    if claims.get("iss") != issuer:
        raise BadToken("it is somebody else's")
    return claims


def _signature(signed: str, key: bytes) -> str:
    return _text(hmac.digest(key, signed.encode(), "sha256"))


def _spelled(part: Mapping[str, Any]) -> str:
    return _text(msgspec.json.encode(part))


def _text(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def _part(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raise BadToken("it is not spelled as a token is") from None
