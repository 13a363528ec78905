"""Signatures of HTTP messages (RFC 9421) and digests of their bodies (RFC 9530).

`Signer` signs what we send, `verify` judges what we are sent. ECDSA is signed in DER, as pawaPay's
own samples do although the RFC says r and s one after the other; both are accepted from others.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import datetime, timedelta
from typing import TypeAlias
from urllib.parse import urlsplit

import msgspec
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import load_pem_private_key, load_pem_public_key

from kpay.connectors.structured import Member, encoded, parse_dictionary, quoted
from kpay.core.clock import iso

PrivateKey: TypeAlias = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey
PublicKey: TypeAlias = ec.EllipticCurvePublicKey | rsa.RSAPublicKey

# How far another machine's clock may be ahead of ours.
CLOCK_SKEW = timedelta(seconds=60)
_OUR_SIGNATURE_LASTS = timedelta(seconds=60)
_LEAST_RSA_BITS = 2_048
_LABEL = "sig-pp"

_DIGESTS: Mapping[str, Callable[[bytes], bytes]] = {
    "sha-256": lambda body: hashlib.sha256(body).digest(),
    "sha-512": lambda body: hashlib.sha512(body).digest(),
}
# By curve: what the RFC calls it, its hash, and the size of r and of s.
_CURVES: Mapping[str, tuple[str, hashes.HashAlgorithm, int]] = {
    "secp256r1": ("ecdsa-p256-sha256", hashes.SHA256(), 32),
    "secp384r1": ("ecdsa-p384-sha384", hashes.SHA384(), 48),
}
_RSA_PSS = "rsa-pss-sha512"
_RSA_V1_5 = "rsa-v1_5-sha256"


class BadSignature(Exception):
    """A message is not what it says it is, or does not say it well; its text says why."""


class Message(msgspec.Struct, frozen=True):
    """A request as it is signed. The names of its headers are in lower case."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def key_id(self) -> str | None:
        """The key that its signature names; None where it names none."""
        found = _signature_input(self.headers)
        key_id = None if found is None else found[1].parameters.get("keyid")
        return key_id if isinstance(key_id, str) else None


class Signer:
    """Signs requests with one key, which the rail knows by its id."""

    def __init__(self, pem: bytes, key_id: str) -> None:
        """Raises ValueError, in words for whoever configured it."""
        self._key = _private_key(pem)
        self._key_id = quoted(key_id)
        self._algorithm = _algorithms(self._key.public_key())[0]

    def headers(
        self, method: str, url: str, content_type: str, body: bytes, now: datetime
    ) -> dict[str, str]:
        """The headers to send with a request, `Content-Type` among them."""
        made = {
            "Content-Type": content_type,
            "Content-Digest": f"sha-512={encoded(_DIGESTS['sha-512'](body))}",
            "Signature-Date": iso(now),
        }
        created = int(now.timestamp())
        expires = created + int(_OUR_SIGNATURE_LASTS.total_seconds())
        covered = (
            "@method",
            "@authority",
            "@path",
            "signature-date",
            "content-digest",
            "content-type",
        )
        parameters = (
            f"({' '.join(quoted(name) for name in covered)})"
            f';alg="{self._algorithm}";keyid={self._key_id};created={created};expires={expires}'
        )
        lower = {name.lower(): value for name, value in made.items()}
        base = _base(Message(method, url, lower, body), covered, parameters)
        signature = _sign(self._key, base)
        return {
            **made,
            "Signature": f"{_LABEL}={encoded(signature)}",
            "Signature-Input": f"{_LABEL}={parameters}",
        }


def public_key(pem: str) -> PublicKey:
    """A rail's key. Raises ValueError for what is none, or none that is good enough."""
    text = pem.strip()
    if not text.startswith("-----"):
        text = f"-----BEGIN PUBLIC KEY-----\n{text}\n-----END PUBLIC KEY-----"
    try:
        key = load_pem_public_key(text.encode())
    except UnsupportedAlgorithm as problem:
        raise ValueError(str(problem)) from None
    return _checked(key)


def verify(
    message: Message,
    key: PublicKey,
    now: datetime,
    *,
    required: Collection[str],
    oldest: timedelta,
) -> None:
    """Whether a message was signed by a key, over its very bytes and not long ago.

    `required` are the components that the signature must cover. Raises BadSignature.
    """
    found = _signature_input(message.headers)
    if found is None:
        raise BadSignature("it has no signature that can be read")
    label, member = found
    names = [item.value for item in member.items]
    covered = [name for name in names if isinstance(name, str)]
    if len(covered) < len(names) or any(item.parameters for item in member.items):
        raise BadSignature("it covers what we cannot read")
    if len(set(covered)) < len(covered) or not set(required) <= set(covered):
        raise BadSignature(f"its signature must cover {', '.join(sorted(required))}")
    _check_times(member, now, oldest)
    _check_digest(message)
    base = _base(message, covered, member.text)
    _check_signature(key, member.parameters.get("alg"), _signature(message.headers, label), base)


def _signature_input(headers: Mapping[str, str]) -> tuple[str, Member] | None:
    """The label and what it covers, of the first signature that there is."""
    try:
        members = parse_dictionary(headers.get("signature-input", ""))
    except ValueError:
        return None
    return next(((label, one) for label, one in members.items() if one.is_list), None)


def _signature(headers: Mapping[str, str], label: str) -> bytes:
    try:
        member = parse_dictionary(headers.get("signature", "")).get(label)
    except ValueError:
        member = None
    value = None if member is None or member.is_list else member.items[0].value
    if not isinstance(value, bytes):
        raise BadSignature("it has no signature of that label")
    return value


def _check_times(member: Member, now: datetime, oldest: timedelta) -> None:
    created, expires = (member.parameters.get(name) for name in ("created", "expires"))
    second = now.timestamp()
    skew = CLOCK_SKEW.total_seconds()
    if not isinstance(created, int) or created is True:
        raise BadSignature("it does not say when it was signed")
    if created > second + skew or created < second - oldest.total_seconds() - skew:
        raise BadSignature("it was signed too long ago, or is of the future")
    if expires is not None and (not isinstance(expires, int) or expires < second - skew):
        raise BadSignature("its signature has expired")


def _check_digest(message: Message) -> None:
    """Every digest that we can make must be that of the body, and there must be one."""
    try:
        given = parse_dictionary(message.headers.get("content-digest", ""))
    except ValueError:
        raise BadSignature("its digest cannot be read") from None
    known = {name: member for name, member in given.items() if name in _DIGESTS}
    if not known:
        raise BadSignature("it has no digest that we can make")
    for name, member in known.items():
        value = member.items[0].value if member.items else None
        if not isinstance(value, bytes) or not hmac.compare_digest(
            value, _DIGESTS[name](message.body)
        ):
            raise BadSignature("its digest is of another body")


def _base(message: Message, covered: Iterable[str], parameters: str) -> bytes:
    """What is signed: a line for each component, and at the end what the signature says of itself.

    Raises BadSignature for a component that the message does not have.
    """
    lines = [f'"{name}": {_component(message, name)}' for name in covered]
    lines.append(f'"@signature-params": {parameters}')
    return "\n".join(lines).encode()


def _component(message: Message, name: str) -> str:
    url = urlsplit(message.url)
    match name:
        case "@method":
            return message.method
        case "@authority":
            return _authority(url.scheme, url.netloc.lower())
        case "@path":
            return url.path or "/"
        case "@scheme":
            return url.scheme
        case "@target-uri":
            return message.url
        case "@query":
            return f"?{url.query}"
        case _ if name in message.headers:
            return message.headers[name].strip()
        case _:
            raise BadSignature("it covers what it does not have")


def _authority(scheme: str, place: str) -> str:
    """A host and its port, which goes unsaid where it is the usual one."""
    return place.removesuffix({"https": ":443", "http": ":80"}.get(scheme, ":"))


def _sign(key: PrivateKey, base: bytes) -> bytes:
    if isinstance(key, ec.EllipticCurvePrivateKey):
        return key.sign(base, ec.ECDSA(_CURVES[key.curve.name][1]))
    return key.sign(base, _pss(), hashes.SHA512())


def _check_signature(key: PublicKey, named: object, signature: bytes, base: bytes) -> None:
    allowed = _algorithms(key)
    algorithm = allowed[0] if named is None else named
    if algorithm not in allowed:
        raise BadSignature("its algorithm is not its key's")
    try:
        if isinstance(key, rsa.RSAPublicKey):
            if algorithm == _RSA_PSS:
                key.verify(signature, base, _pss(), hashes.SHA512())
            else:
                key.verify(signature, base, padding.PKCS1v15(), hashes.SHA256())
            return
        _, digest, size = _CURVES[key.curve.name]
        if len(signature) == 2 * size and not _is_of(key, signature, base, digest):
            numbers = (int.from_bytes(part) for part in (signature[:size], signature[size:]))
            signature = encode_dss_signature(*numbers)
        key.verify(signature, base, ec.ECDSA(digest))
    except InvalidSignature:
        raise BadSignature("its signature is not its key's") from None


def _is_of(
    key: ec.EllipticCurvePublicKey, signature: bytes, base: bytes, digest: hashes.HashAlgorithm
) -> bool:
    """Whether it is in DER already: that may by chance be as long as r and s together."""
    try:
        key.verify(signature, base, ec.ECDSA(digest))
    except InvalidSignature:
        return False
    return True


def _pss() -> padding.PSS:
    return padding.PSS(mgf=padding.MGF1(hashes.SHA512()), salt_length=64)


def _private_key(pem: bytes) -> PrivateKey:
    try:
        key = load_pem_private_key(pem, password=None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise ValueError("it must be a private key in PEM, without a password") from None
    if not isinstance(key, ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey):
        raise ValueError("it must be a key of ECDSA P-256 or P-384, or of RSA")
    _checked(key.public_key())
    return key


def _checked(key: object) -> PublicKey:
    if isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES:
        return key
    if isinstance(key, rsa.RSAPublicKey) and key.key_size >= _LEAST_RSA_BITS:
        return key
    raise ValueError("it must be a key of ECDSA P-256 or P-384, or of RSA with 2,048 bits or more")


def _algorithms(key: PublicKey) -> tuple[str, ...]:
    if isinstance(key, ec.EllipticCurvePublicKey):
        return (_CURVES[key.curve.name][0],)
    return (_RSA_PSS, _RSA_V1_5)
