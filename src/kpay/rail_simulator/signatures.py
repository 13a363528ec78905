"""HTTP message signatures (RFC 9421) as pawaPay uses them: ours on callbacks, a merchant's checked.

The base that is signed has a line for each covered component and a last one for the parameters, as
they stand in Signature-Input. ECDSA signatures are made in DER, as pawaPay's own samples make them;
both DER and the RFC's r||s are taken.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import TypeAlias

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import (
    decode_dss_signature,
    encode_dss_signature,
)

from kpay.core.clock import iso

COVERED = ("@method", "@authority", "@path", "signature-date", "content-digest", "content-type")
LABEL = "sig-pp"
LIFE_SECONDS = 60
# How far the clocks of the two sides may be apart.
_SKEW_SECONDS = 60
_MUST_COVER = frozenset(("@method", "@authority", "@path", "content-digest"))
_DIGESTS = {"sha-512": hashlib.sha512, "sha-256": hashlib.sha256}
_SALT_BYTES = 64

_INPUT = re.compile(r'\s*([a-z*][a-z0-9_\-.*]*)=(\(((?:"[^"]*"\s*)*)\)((?:;[^,]*)?))\s*')
_PARAMETER = re.compile(r';\s*([a-z]+)=("[^"]*"|-?[0-9]+)')

PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey


class SignatureError(Exception):
    """A message that is not signed as it must be; the message says what is wrong."""


class Message(msgspec.Struct, frozen=True):
    """What of an HTTP message can be covered. Names of headers in lower case."""

    method: str
    authority: str
    path: str
    headers: Mapping[str, str]

    def component(self, name: str) -> str:
        match name:
            case "@method":
                return self.method.upper()
            case "@authority":
                return self.authority.lower()
            case "@path":
                return self.path
        value = self.headers.get(name)
        if value is None:
            raise SignatureError(f"{name} is covered and is not there")
        return value.strip()


class Signer:
    """Signs with one P-256 key. `raw` gives the RFC's r||s in place of DER."""

    algorithm = "ecdsa-p256-sha256"

    def __init__(
        self, key: ec.EllipticCurvePrivateKey, key_id: str = "HTTP_EC_P256_KEY:1", *, raw: bool
    ) -> None:
        self._key = key
        self.key_id = key_id
        self._raw = raw

    def public_pem(self) -> str:
        return (
            self._key.public_key()
            .public_bytes(
                serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
            )
            .decode()
        )

    def headers(
        self, method: str, authority: str, path: str, content_type: str, body: bytes, now: datetime
    ) -> dict[str, str]:
        """What goes with a message so that its receiver can check it."""
        created = int(now.timestamp())
        names = " ".join(f'"{name}"' for name in COVERED)
        parameters = (
            f'({names});alg="{self.algorithm}";keyid="{self.key_id}"'
            f";created={created};expires={created + LIFE_SECONDS}"
        )
        headers = {
            "Content-Type": content_type,
            "Content-Digest": content_digest(body),
            "Signature-Date": iso(now),
        }
        lowered = {name.lower(): value for name, value in headers.items()}
        base = signature_base(Message(method, authority, path, lowered), COVERED, parameters)
        signature = self._key.sign(base, ec.ECDSA(hashes.SHA256()))
        if self._raw:
            signature = b"".join(
                part.to_bytes(32, "big") for part in decode_dss_signature(signature)
            )
        return headers | {
            "Signature-Input": f"{LABEL}={parameters}",
            "Signature": f"{LABEL}=:{base64.b64encode(signature).decode()}:",
        }


def content_digest(body: bytes, algorithm: str = "sha-512") -> str:
    value = base64.b64encode(_DIGESTS[algorithm](body).digest()).decode()
    return f"{algorithm}=:{value}:"


def signature_base(message: Message, covered: Sequence[str], parameters: str) -> bytes:
    """The bytes that are signed: no newline at their end."""
    lines = [f'"{name}": {message.component(name)}' for name in covered]
    return "\n".join([*lines, f'"@signature-params": {parameters}']).encode()


def verify(message: Message, body: bytes, keys: Mapping[str, PublicKey], now: datetime) -> None:
    """Whether a message was signed with one of `keys`, by their ids. Raises SignatureError."""
    label, parameters, covered, values = _read_input(message.headers.get("signature-input"))
    if left_out := _MUST_COVER - set(covered):
        raise SignatureError(f"{', '.join(sorted(left_out))} must be covered")
    key = keys.get(values.get("keyid", ""))
    if key is None:
        raise SignatureError("the key is not known")
    _check_times(values, int(now.timestamp()))
    _check_digest(message.headers.get("content-digest", ""), body)
    base = signature_base(message, covered, parameters)
    signature = _read_signature(message.headers.get("signature", ""), label)
    try:
        _verify_with(key, values.get("alg", ""), signature, base)
    except InvalidSignature:
        raise SignatureError("the signature is not of this message") from None


def load_public_key(pem: bytes) -> PublicKey:
    """Raises SignatureError for what is no key that pawaPay takes."""
    try:
        key = serialization.load_pem_public_key(pem)
    except ValueError:
        raise SignatureError("it is no public key in PEM") from None
    if not isinstance(key, ec.EllipticCurvePublicKey | rsa.RSAPublicKey):
        raise SignatureError("it is neither an RSA nor an elliptic-curve key")
    return key


def load_signing_key(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises SignatureError for what is no P-256 key."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (TypeError, ValueError):
        raise SignatureError("it is no private key in PEM without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or key.curve.name != "secp256r1":
        raise SignatureError("callbacks are signed with a P-256 key")
    return key


def _read_input(said: str | None) -> tuple[str, str, tuple[str, ...], dict[str, str]]:
    found = None if said is None else _INPUT.fullmatch(said)
    if found is None:
        raise SignatureError("Signature-Input is missing or is not one signature's")
    names = tuple(re.findall(r'"([^"]*)"', found[3]))
    if len(set(names)) != len(names):
        raise SignatureError("a component is covered twice")
    values = {name: value.strip('"') for name, value in _PARAMETER.findall(found[4])}
    return found[1], found[2], names, values


def _read_signature(said: str, label: str) -> bytes:
    found = re.fullmatch(rf"\s*{re.escape(label)}=:([A-Za-z0-9+/=]*):\s*", said)
    if found is None:
        raise SignatureError(f"Signature has no {label}")
    try:
        return base64.b64decode(found[1], validate=True)
    except ValueError:
        raise SignatureError("Signature is not base64") from None


def _check_times(values: Mapping[str, str], now: int) -> None:
    try:
        created, expires = int(values.get("created", now)), int(values.get("expires", now))
    except ValueError:
        raise SignatureError("created and expires must be whole seconds") from None
    if created > now + _SKEW_SECONDS:
        raise SignatureError("it was created in the future")
    if expires < now - _SKEW_SECONDS:
        raise SignatureError("it has expired")


def _check_digest(said: str, body: bytes) -> None:
    for algorithm in _DIGESTS:
        if said.strip().startswith(f"{algorithm}="):
            if hmac.compare_digest(said.strip(), content_digest(body, algorithm)):
                return
            raise SignatureError("Content-Digest is not of this body")
    raise SignatureError("Content-Digest must be of SHA-256 or SHA-512")


def _verify_with(key: PublicKey, algorithm: str, signature: bytes, base: bytes) -> None:
    if isinstance(key, rsa.RSAPublicKey):
        if algorithm == "rsa-pss-sha512":
            pss = padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=_SALT_BYTES)
            return key.verify(signature, base, pss, hashes.SHA512())
        if algorithm == "rsa-v1_5-sha256":
            return key.verify(signature, base, padding.PKCS1v15(), hashes.SHA256())
        raise SignatureError(f"{algorithm or 'no algorithm'} is not of an RSA key")
    known = {"secp256r1": ("ecdsa-p256-sha256", 32), "secp384r1": ("ecdsa-p384-sha384", 48)}
    name, size = known.get(key.curve.name, ("", 0))
    if algorithm != name or not name:
        raise SignatureError(f"{algorithm or 'no algorithm'} is not of a {key.curve.name} key")
    digest = hashes.SHA256() if size == 32 else hashes.SHA384()
    try:
        return key.verify(signature, base, ec.ECDSA(digest))
    except InvalidSignature:
        if len(signature) != 2 * size:
            raise
    first, second = (int.from_bytes(part, "big") for part in (signature[:size], signature[size:]))
    return key.verify(encode_dss_signature(first, second), base, ec.ECDSA(digest))
