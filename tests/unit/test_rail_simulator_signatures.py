"""HTTP message signatures of the rail simulator, checked with nothing of its own."""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from kpay.rail_simulator.signatures import (
    Message,
    PublicKey,
    SignatureError,
    Signer,
    load_public_key,
    load_signing_key,
    verify,
)

NOW = datetime(2026, 6, 23, 10, 0, 5, tzinfo=UTC)
BODY = b'{"payoutId":"f4401bd2-1568-4140-bf2d-eb77d2b2b639","status":"COMPLETED"}'
HOST, PATH = "127.0.0.1:8080", "/callbacks/payouts"
P256 = ec.generate_private_key(ec.SECP256R1())
P384 = ec.generate_private_key(ec.SECP384R1())
RSA = rsa.generate_private_key(65537, 2048)


def signed(*, raw: bool = False, key: ec.EllipticCurvePrivateKey = P256) -> dict[str, str]:
    return Signer(key, raw=raw).headers("POST", HOST, PATH, "application/json", BODY, NOW)


def base_of(headers: dict[str, str]) -> bytes:
    """The base, written down line by line, from the RFC."""
    parameters = headers["Signature-Input"].removeprefix("sig-pp=")
    return "\n".join(
        [
            '"@method": POST',
            f'"@authority": {HOST}',
            f'"@path": {PATH}',
            f'"signature-date": {headers["Signature-Date"]}',
            f'"content-digest": {headers["Content-Digest"]}',
            '"content-type": application/json',
            f'"@signature-params": {parameters}',
        ]
    ).encode()


def signature_of(headers: dict[str, str]) -> bytes:
    found = re.fullmatch("sig-pp=:(.+):", headers["Signature"])
    assert found is not None
    return base64.b64decode(found[1])


def test_a_callback_s_signature_is_der_over_the_rfc_s_base() -> None:
    headers = signed()

    P256.public_key().verify(signature_of(headers), base_of(headers), ec.ECDSA(hashes.SHA256()))
    decode_dss_signature(signature_of(headers))
    digest = base64.b64encode(hashlib.sha512(BODY).digest()).decode()
    assert headers["Content-Digest"] == f"sha-512=:{digest}:"
    assert headers["Signature-Input"] == (
        'sig-pp=("@method" "@authority" "@path" "signature-date" "content-digest" "content-type")'
        ';alg="ecdsa-p256-sha256";keyid="HTTP_EC_P256_KEY:1"'
        f";created={int(NOW.timestamp())};expires={int(NOW.timestamp()) + 60}"
    )
    assert headers["Signature-Date"] == "2026-06-23T10:00:05.000Z"


def test_or_the_rfc_s_two_numbers() -> None:
    headers = signed(raw=True)
    signature = signature_of(headers)
    assert len(signature) == 64

    first, second = (int.from_bytes(part, "big") for part in (signature[:32], signature[32:]))

    as_der = encode_dss_signature(first, second)
    P256.public_key().verify(as_der, base_of(headers), ec.ECDSA(hashes.SHA256()))


def checked(
    headers: dict[str, str],
    body: bytes = BODY,
    key: PublicKey | None = None,
    now: datetime = NOW,
    key_id: str = "HTTP_EC_P256_KEY:1",
    **changed: str,
) -> None:
    said = {"method": "POST", "authority": HOST, "path": PATH} | changed
    message = Message(
        said["method"],
        said["authority"],
        said["path"],
        {name.lower(): value for name, value in headers.items()},
    )
    verify(message, body, {key_id: key or P256.public_key()}, now)


@pytest.mark.parametrize("raw", [False, True])
def test_a_good_signature_is_taken_in_both_spellings(raw: bool) -> None:
    checked(signed(raw=raw))
    checked(signed(raw=raw), authority=HOST.upper())


def other_digest(headers: dict[str, str]) -> dict[str, str]:
    digest = base64.b64encode(hashlib.sha512(b"{}").digest()).decode()
    return headers | {"Content-Digest": f"sha-512=:{digest}:"}


CHANGES: dict[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "another body": lambda said: {"headers": said, "body": BODY + b" "},
    "another path": lambda said: {"headers": said, "path": "/callbacks/deposits"},
    "another host": lambda said: {"headers": said, "authority": "127.0.0.1:8081"},
    "another method": lambda said: {"headers": said, "method": "PUT"},
    "another type": lambda said: {"headers": said | {"Content-Type": "text/plain"}},
    "another date": lambda said: {"headers": said | {"Signature-Date": "2026-06-23T10:00:06Z"}},
    "another key": lambda said: {"headers": said, "key": P384.public_key()},
    "a key with another name": lambda said: {"headers": said, "key_id": "other"},
    "a digest of something else": lambda said: {"headers": other_digest(said), "body": b"{}"},
    "no signature": lambda said: {"headers": said | {"Signature": ""}},
    "no input": lambda said: {"headers": said | {"Signature-Input": ""}},
    "no digest": lambda said: {"headers": said | {"Content-Digest": ""}},
    "a signature that is no base64": lambda said: {"headers": said | {"Signature": "sig-pp=:=:"}},
    "another label": lambda said: {
        "headers": said | {"Signature": said["Signature"].replace("sig-pp", "sig")}
    },
    "less covered": lambda said: {
        "headers": said | {"Signature-Input": said["Signature-Input"].replace('"@path" ', "")}
    },
    "covered twice": lambda said: {
        "headers": said
        | {"Signature-Input": said["Signature-Input"].replace('"@path"', '"@path" "@path"')}
    },
    "a later end": lambda said: {
        "headers": said
        | {
            "Signature-Input": re.sub(
                r"expires=\d+", "expires=99999999999", said["Signature-Input"]
            )
        }
    },
    "an end that is no number": lambda said: {
        "headers": said
        | {"Signature-Input": re.sub(r"expires=\d+", 'expires="x"', said["Signature-Input"])}
    },
    "long after": lambda said: {"headers": said, "now": NOW + timedelta(minutes=3)},
    "long before": lambda said: {"headers": said, "now": NOW - timedelta(minutes=3)},
}


@pytest.mark.parametrize("change", sorted(CHANGES))
def test_a_message_that_is_not_as_it_was_signed_is_refused(change: str) -> None:
    with pytest.raises(SignatureError):
        checked(**CHANGES[change](signed()))


@pytest.mark.parametrize("left_out", ["@method", "@authority", "@path", "content-digest"])
def test_what_matters_must_be_covered_however_good_the_signature(left_out: str) -> None:
    headers = signed()
    headers["Signature-Input"] = headers["Signature-Input"].replace(f'"{left_out}" ', "")
    lines = base_of(headers).decode().splitlines()
    base = "\n".join(line for line in lines if not line.startswith(f'"{left_out}"')).encode()
    signature = base64.b64encode(P256.sign(base, ec.ECDSA(hashes.SHA256()))).decode()
    headers["Signature"] = f"sig-pp=:{signature}:"

    with pytest.raises(SignatureError, match=f"{left_out} must be covered"):
        checked(headers)


def resigned(algorithm: str, sign: Callable[[bytes], bytes]) -> dict[str, str]:
    headers = signed()
    headers["Signature-Input"] = headers["Signature-Input"].replace("ecdsa-p256-sha256", algorithm)
    signature = base64.b64encode(sign(base_of(headers))).decode()
    return headers | {"Signature": f"sig-pp=:{signature}:"}


PSS = padding.PSS(padding.MGF1(hashes.SHA512()), 64)
ALGORITHMS: dict[str, tuple[PublicKey, Callable[[bytes], bytes]]] = {
    "rsa-pss-sha512": (RSA.public_key(), lambda base: RSA.sign(base, PSS, hashes.SHA512())),
    "rsa-v1_5-sha256": (
        RSA.public_key(),
        lambda base: RSA.sign(base, padding.PKCS1v15(), hashes.SHA256()),
    ),
    "ecdsa-p384-sha384": (
        P384.public_key(),
        lambda base: P384.sign(base, ec.ECDSA(hashes.SHA384())),
    ),
}


@pytest.mark.parametrize("algorithm", sorted(ALGORITHMS))
def test_every_algorithm_that_pawapay_takes_is_checked(algorithm: str) -> None:
    key, sign = ALGORITHMS[algorithm]
    headers = resigned(algorithm, sign)

    checked(headers, key=key)
    with pytest.raises(SignatureError):
        checked(headers, body=BODY + b" ", key=key)
    with pytest.raises(SignatureError):
        checked(headers, key=P256.public_key())


def test_a_digest_of_256_bits_is_taken_too() -> None:
    headers = signed()
    digest = base64.b64encode(hashlib.sha256(BODY).digest()).decode()
    headers["Content-Digest"] = f"sha-256=:{digest}:"
    signature = P256.sign(base_of(headers), ec.ECDSA(hashes.SHA256()))
    headers["Signature"] = f"sig-pp=:{base64.b64encode(signature).decode()}:"

    checked(headers)
    with pytest.raises(SignatureError, match="Digest"):
        checked(headers, body=b"{}")


def pem(key: Any) -> bytes:
    return bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )


def test_keys_are_read_and_others_are_told() -> None:
    public = Signer(P256, raw=False).public_pem().encode()

    assert load_public_key(public) == P256.public_key()
    assert load_signing_key(pem(P256)).private_numbers() == P256.private_numbers()
    for wrong in (pem(P384), pem(RSA), public, b"no key"):
        with pytest.raises(SignatureError):
            load_signing_key(wrong)
    with pytest.raises(SignatureError):
        load_public_key(b"no key")


def test_a_signature_of_another_key_is_no_signature() -> None:
    other = signed(key=ec.generate_private_key(ec.SECP256R1()))

    with pytest.raises(InvalidSignature):
        P256.public_key().verify(signature_of(other), base_of(other), ec.ECDSA(hashes.SHA256()))
    with pytest.raises(SignatureError):
        checked(other)
