"""Signatures of messages: made by us, made by hand, and every way to cheat."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)
from msgspec.structs import replace

from kpay.connectors.signatures import (
    BadSignature,
    Message,
    PrivateKey,
    PublicKey,
    Signer,
    public_key,
    verify,
)
from tests.connectors.support import NOW

URL = "https://pay.example.com/callbacks/pawapay"
BODY = b'{"payoutId":"8917c345-4791-4285-a416-62f24b6982db","status":"COMPLETED"}'
COVERED = ("@method", "@authority", "@path", "content-digest")
OLDEST = timedelta(minutes=20)

KEYS: dict[str, PrivateKey] = {
    "ecdsa-p256-sha256": ec.generate_private_key(ec.SECP256R1()),
    "ecdsa-p384-sha384": ec.generate_private_key(ec.SECP384R1()),
    "rsa-pss-sha512": rsa.generate_private_key(65_537, 2_048),
}
P256 = KEYS["ecdsa-p256-sha256"]


def pem_of(key: PrivateKey) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def signed(key: PrivateKey = P256, body: bytes = BODY, at: datetime = NOW) -> Message:
    """A request as our own signer makes it."""
    headers = Signer(pem_of(key), "key-1").headers("POST", URL, "application/json", body, at)
    return Message("POST", URL, {name.lower(): value for name, value in headers.items()}, body)


def with_headers(message: Message, **headers: str | None) -> Message:
    changed = {
        **message.headers,
        **{name.replace("_", "-"): value for name, value in headers.items()},
    }
    return replace(message, headers={name: text for name, text in changed.items() if text})


def check(message: Message, key: PublicKey | None = None, now: datetime = NOW) -> None:
    verify(message, key or P256.public_key(), now, required=COVERED, oldest=OLDEST)


def by_hand(key: ec.EllipticCurvePrivateKey, *, raw: bool, size: int, digest: object) -> Message:
    """The same request, its base written out here and signed in one of the two encodings."""
    content_digest = f"sha-256=:{base64.b64encode(hashlib.sha256(BODY).digest()).decode()}:"
    parameters = (
        '("@method" "@authority" "@path" "content-digest")'
        f';keyid="HTTP_EC_P256_KEY:1";created={int(NOW.timestamp())}'
    )
    base = (
        '"@method": POST\n"@authority": pay.example.com\n"@path": /callbacks/pawapay\n'
        f'"content-digest": {content_digest}\n"@signature-params": {parameters}'
    ).encode()
    assert isinstance(digest, hashes.HashAlgorithm)
    signature = key.sign(base, ec.ECDSA(digest))
    if raw:
        signature = b"".join(part.to_bytes(size) for part in decode_dss_signature(signature))
    headers = {
        "content-digest": content_digest,
        "signature": f"sig1=:{base64.b64encode(signature).decode()}:",
        "signature-input": f"sig1={parameters}",
    }
    return Message("POST", URL, headers, BODY)


@pytest.mark.parametrize("algorithm", KEYS)
def test_what_we_sign_can_be_verified(algorithm: str) -> None:
    message = signed(KEYS[algorithm])

    check(message, KEYS[algorithm].public_key())
    assert f'alg="{algorithm}"' in message.headers["signature-input"]
    assert message.key_id == "key-1"


@pytest.mark.parametrize("host", ["pay.example.com:443", "PAY.example.com"])
def test_an_address_may_be_written_in_more_than_one_way(host: str) -> None:
    check(replace(signed(), url=URL.replace("pay.example.com", host)))


def test_ecdsa_is_signed_in_der() -> None:
    signature = base64.b64decode(signed().headers["signature"].removeprefix("sig-pp=:")[:-1])

    assert (signature[0], len(signature) > 64) == (0x30, True)


@pytest.mark.parametrize("raw", [False, True])
@pytest.mark.parametrize(
    ("curve", "size", "digest"),
    [(ec.SECP256R1(), 32, hashes.SHA256()), (ec.SECP384R1(), 48, hashes.SHA384())],
)
def test_both_encodings_of_ecdsa_are_accepted(
    raw: bool, curve: ec.EllipticCurve, size: int, digest: hashes.HashAlgorithm
) -> None:
    key = ec.generate_private_key(curve)

    check(by_hand(key, raw=raw, size=size, digest=digest), key.public_key())


def test_the_other_algorithm_of_rsa_is_accepted_where_it_is_named() -> None:
    key = KEYS["rsa-pss-sha512"]
    assert isinstance(key, rsa.RSAPrivateKey)
    made = signed(key)
    parameters = made.headers["signature-input"].removeprefix("sig-pp=")
    named = parameters.replace("rsa-pss-sha512", "rsa-v1_5-sha256")
    base = (
        '"@method": POST\n"@authority": pay.example.com\n"@path": /callbacks/pawapay\n'
        f'"signature-date": {made.headers["signature-date"]}\n'
        f'"content-digest": {made.headers["content-digest"]}\n'
        f'"content-type": application/json\n"@signature-params": {named}'
    ).encode()
    signature = base64.b64encode(key.sign(base, padding.PKCS1v15(), hashes.SHA256())).decode()
    message = with_headers(
        made, signature_input=f"sig-pp={named}", signature=f"sig-pp=:{signature}:"
    )

    check(message, key.public_key())
    with pytest.raises(BadSignature):
        # The same bytes under the other name.
        check(with_headers(message, signature_input=f"sig-pp={parameters}"), key.public_key())


CHEATS: dict[str, Callable[[Message], Message]] = {
    "another body": lambda made: replace(made, body=made.body + b" "),
    "another method": lambda made: replace(made, method="PUT"),
    "another address": lambda made: replace(made, url="https://other.example.com" + URL[23:]),
    "another path": lambda made: replace(made, url=URL + "/x"),
    "another type": lambda made: with_headers(made, content_type="text/plain"),
    "no signature": lambda made: with_headers(made, signature=None),
    "no input": lambda made: with_headers(made, signature_input=None),
    "no digest": lambda made: with_headers(made, content_digest=None),
    "a digest of nothing we know": lambda made: with_headers(made, content_digest="md5=:AAAA:"),
    "a second digest that is wrong": lambda made: with_headers(
        made, content_digest=made.headers["content-digest"] + ", sha-256=:AAAA:"
    ),
    "another label": lambda made: with_headers(
        made, signature=made.headers["signature"].replace("sig-pp", "sig")
    ),
    "another key id": lambda made: with_headers(
        made, signature_input=made.headers["signature-input"].replace("key-1", "key-2")
    ),
    "another algorithm": lambda made: with_headers(
        made, signature_input=made.headers["signature-input"].replace("p256-sha256", "p384-sha384")
    ),
    "no algorithm of ours": lambda made: with_headers(
        made, signature_input=made.headers["signature-input"].replace("ecdsa-p256-sha256", "none")
    ),
    "less covered": lambda made: with_headers(
        made, signature_input=made.headers["signature-input"].replace(' "content-digest"', "")
    ),
    "twice the same": lambda made: with_headers(
        made,
        signature_input=made.headers["signature-input"].replace('"@method"', '"@method" "@method"'),
    ),
    "a component with a parameter": lambda made: with_headers(
        made, signature_input=made.headers["signature-input"].replace('"@path"', '"@path";req')
    ),
    "a header that is not there": lambda made: with_headers(made, signature_date=None),
    "no time": lambda made: with_headers(
        made, signature_input=made.headers["signature-input"].replace(";created=", ";made=")
    ),
    "what is no structured field": lambda made: with_headers(made, signature_input="sig-pp=("),
    "a signature of nothing": lambda made: with_headers(made, signature="sig-pp=::"),
    "zeros": lambda made: with_headers(
        made, signature=f"sig-pp=:{base64.b64encode(bytes(64)).decode()}:"
    ),
    "a word": lambda made: with_headers(made, signature="sig-pp=word"),
}


@pytest.mark.parametrize("cheat", CHEATS)
def test_what_was_changed_is_not_believed(cheat: str) -> None:
    message = CHEATS[cheat](signed())

    with pytest.raises(BadSignature):
        check(message)


def test_another_s_key_is_not_believed() -> None:
    with pytest.raises(BadSignature):
        check(signed(ec.generate_private_key(ec.SECP256R1())))
    with pytest.raises(BadSignature):
        check(signed(), KEYS["rsa-pss-sha512"].public_key())


@pytest.mark.parametrize(
    ("age", "good"),
    [
        (timedelta(minutes=-2), False),
        (timedelta(seconds=-59), True),
        (timedelta(seconds=119), True),
        # Ours last a minute, and another's clock may be a minute ahead.
        (timedelta(seconds=121), False),
    ],
)
def test_a_signature_is_good_for_as_long_as_it_says(age: timedelta, good: bool) -> None:
    message = signed()

    if good:
        check(message, now=NOW + age)
    else:
        with pytest.raises(BadSignature):
            check(message, now=NOW + age)


def test_a_signature_without_an_end_is_good_for_as_long_as_a_rail_sends_again() -> None:
    assert isinstance(P256, ec.EllipticCurvePrivateKey)
    message = by_hand(P256, raw=False, size=32, digest=hashes.SHA256())

    check(message, now=NOW + timedelta(minutes=20))
    with pytest.raises(BadSignature):
        check(message, now=NOW + timedelta(minutes=22))


def test_a_key_is_read_with_and_without_its_frame() -> None:
    text = P256.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    bare = "".join(text.splitlines()[1:-1])

    assert public_key(text) == public_key(bare) == P256.public_key()


@pytest.mark.parametrize("text", ["", "no key", "-----BEGIN PUBLIC KEY-----"])
def test_what_is_no_key_is_told(text: str) -> None:
    with pytest.raises(ValueError, match=r"."):
        public_key(text)


@pytest.mark.parametrize("key_id", ["clé", "a\nb", "\x7f"])
def test_a_key_s_id_must_be_writable(key_id: str) -> None:
    with pytest.raises(ValueError, match="printable"):
        Signer(pem_of(P256), key_id)
