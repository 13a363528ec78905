"""Whether a webhook is the server's: signed with our own code and with the standard's library."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from standardwebhooks import Webhook

from kpay_client import NotGenuine, webhooks
from kpay_client.answers import WebhookEvent

SECRET = "whsec_" + base64.b32encode(hashlib.sha256(b"one").digest()).decode().rstrip("=").lower()
OTHER = "whsec_" + base64.b32encode(hashlib.sha256(b"two").digest()).decode().rstrip("=").lower()
NOW = datetime(2026, 6, 23, 10, 0, 5, tzinfo=UTC)
BODY = json.dumps(
    {
        "event": "payout.completed",
        "paymentId": "wdr_abc789",
        "reference": "KPAY-WD-20260623-ABC789",
        "status": "COMPLETED",
        "amount": 48211.75,
        "phoneNumber": "237653456789",
        "externalId": "PAYOUT-CROSS-001",
        "metadata": {"order": "é"},
        "completedAt": "2026-06-23T10:00:03.000Z",
        "failedAt": None,
        "failureReason": None,
        "timestamp": "2026-06-23T10:00:03.000Z",
    }
).encode()


def test_kpays_own_signature_is_enough_where_there_is_no_other() -> None:
    event = _verify(_plain(SECRET))

    assert (event.event, event.payment_id, event.id) == ("payout.completed", "wdr_abc789", None)
    assert event.amount == Decimal("48211.75")
    assert event.metadata == {"order": "é"}
    assert event.completed_at == datetime(2026, 6, 23, 10, 0, 3, tzinfo=UTC)


def test_the_standards_signature_is_read_as_its_own_library_writes_it() -> None:
    event = _verify(_standard(SECRET))

    assert event.id == "evt_1"


def test_headers_are_found_however_they_are_spelled() -> None:
    headers = {
        name.upper(): value for name, value in {**_plain(SECRET), **_standard(SECRET)}.items()
    }

    assert _verify(headers).id == "evt_1"


@pytest.mark.parametrize("own", [SECRET, [SECRET], [OTHER, SECRET], (SECRET, OTHER)])
def test_while_secrets_are_replaced_either_may_have_signed(own: str | list[str]) -> None:
    both = " ".join(
        _standard(secret)["webhook-signature"] for secret in ("whsec_" + "a" * 52, SECRET)
    )
    headers = {**_plain("another"), **_standard(SECRET), "webhook-signature": f"v2,xyz {both}"}

    assert _verify(headers, own).id == "evt_1"


@pytest.mark.parametrize("headers", ["plain", "standard"])
def test_another_body_or_another_secret_is_not_genuine(headers: str) -> None:
    sign = {"plain": _plain, "standard": _standard}[headers]

    with pytest.raises(NotGenuine, match="signature"):
        _verify(sign(SECRET), body=BODY.replace(b"48211.75", b"98211.75"))
    with pytest.raises(NotGenuine, match="signature"):
        _verify(sign(OTHER))


def test_a_wrong_standard_signature_is_not_made_up_for_by_the_other() -> None:
    with pytest.raises(NotGenuine):
        _verify({**_plain(SECRET), **_standard(OTHER)})


@pytest.mark.parametrize("seconds", [-301, 301, -1_000_000])
def test_a_webhook_of_another_time_is_refused(seconds: int) -> None:
    with pytest.raises(NotGenuine, match="long ago"):
        _verify({**_plain(SECRET), **_standard(SECRET, NOW + timedelta(seconds=seconds))})


@pytest.mark.parametrize("seconds", [-300, 300])
def test_a_webhook_within_the_tolerance_is_taken(seconds: int) -> None:
    assert _verify(_standard(SECRET, NOW + timedelta(seconds=seconds))).id == "evt_1"


def test_the_time_can_be_insisted_on() -> None:
    """Who took a webhook down could leave the headers with its time out."""
    with pytest.raises(NotGenuine, match="timestamp"):
        webhooks.verify(BODY, _plain(SECRET), SECRET, require_timestamp=True, now=lambda: NOW)


@pytest.mark.parametrize("name", ["webhook-id", "webhook-timestamp", "webhook-signature"])
def test_half_of_the_standards_headers_is_not_none_of_them(name: str) -> None:
    headers = {**_plain(SECRET), **_standard(SECRET)}
    del headers[name]

    with pytest.raises(NotGenuine, match=name):
        _verify(headers)


@pytest.mark.parametrize(
    "changed",
    [
        {"webhook-timestamp": "soon"},
        {"webhook-timestamp": "1" * 30},
        {"webhook-timestamp": "-5"},
        {"webhook-signature": "v1"},
        {"webhook-signature": "v1,é\udcff"},
        {"webhook-signature": "v1a,abc v1,"},
        {"webhook-id": "evt_2"},
    ],
)
def test_headers_that_are_nonsense_are_not_genuine(changed: dict[str, str]) -> None:
    with pytest.raises(NotGenuine):
        _verify({**_standard(SECRET), **changed})


@pytest.mark.parametrize("signature", ["", "é", "0" * 64, "zz"])
def test_no_signature_or_nonsense_is_not_genuine(signature: str) -> None:
    with pytest.raises(NotGenuine):
        _verify({"X-KPAY-Signature": signature})
    with pytest.raises(NotGenuine, match="no signature"):
        _verify({})


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"event": 5, "paymentId": "p"}'])
def test_what_is_signed_and_no_event_is_not_genuine_either(body: bytes) -> None:
    signature = hmac.new(SECRET.encode(), body, hashlib.sha256).hexdigest()

    with pytest.raises(NotGenuine, match="read"):
        _verify({"X-KPAY-Signature": signature}, body=body)


@pytest.mark.parametrize("secret", ["", [], [SECRET, ""]])
def test_an_empty_secret_is_a_mistake_of_the_configuration(secret: str | list[str]) -> None:
    empty = hmac.new(b"", BODY, hashlib.sha256).hexdigest()

    with pytest.raises(ValueError, match="configuration"):
        _verify({"X-KPAY-Signature": empty}, secret)


def test_a_body_that_was_decoded_is_refused_for_what_it_is() -> None:
    with pytest.raises(TypeError, match="bytes"):
        webhooks.verify(BODY.decode(), _plain(SECRET), SECRET)  # type: ignore[arg-type]


def _verify(
    headers: Mapping[str, str], secret: str | list[str] = SECRET, body: bytes = BODY
) -> WebhookEvent:
    return webhooks.verify(body, headers, secret, now=lambda: NOW)


def _plain(secret: str) -> dict[str, str]:
    return {"X-KPAY-Signature": hmac.new(secret.encode(), BODY, hashlib.sha256).hexdigest()}


def _standard(secret: str, at: datetime = NOW) -> dict[str, str]:
    return {
        "webhook-id": "evt_1",
        "webhook-timestamp": str(int(at.timestamp())),
        "webhook-signature": Webhook(secret).sign("evt_1", at, BODY.decode()),
    }
