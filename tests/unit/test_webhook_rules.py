"""What is sent to a merchant, how it is signed, what an answer means, where nothing is sent."""

from __future__ import annotations

import hashlib
import hmac
import json
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from kpay.access.model import Vault
from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.events.model import Told
from kpay.webhooks import reasons
from kpay.webhooks.addresses import LOOPBACK, check_addresses, check_url, is_forbidden
from kpay.webhooks.model import (
    MOST_TRIES,
    WINDOW,
    Answer,
    Signing,
    Status,
    body_of,
    headers_of,
    settle,
    wait_after,
    wait_for_probe,
)
from kpay.webhooks.store import SQL

# What the sentences about a webhook that was not taken can have in them.
PARTS = {"status": "503", "seconds": "0.5", "what": "BadStatusLine"}
NOW = datetime(2026, 6, 23, 10, 0, 0, 500_000, tzinfo=UTC)
BOOK = Book(UUID(int=7), Environment.TEST)
VAULT = Vault("a secret for tests that is long enough")
SECRET = VAULT.webhook_secret(BOOK, 1)
TOLD = Told(
    public_id="pay_01",
    reference="KPAY-20260623-ABC123",
    status="COMPLETED",
    amount=Money(500_075, "XAF"),
    phone_number="237653456789",
    external_id="ORDER-1",
    metadata='{"orderId": "12345"}',
    ended_at=NOW - timedelta(seconds=1),
    failure_code=None,
)
# What KPay's own page shows, in its order.
FIELDS = [
    "event",
    "paymentId",
    "reference",
    "status",
    "amount",
    "phoneNumber",
    "externalId",
    "metadata",
    "completedAt",
    "failedAt",
    "failureReason",
    "timestamp",
]


def body(told: Told = TOLD, event: str = "payment.completed") -> dict[str, Any]:
    decoded: dict[str, Any] = json.loads(body_of(BOOK, event, told, NOW))
    return decoded


def told_as(**changes: Any) -> Told:
    fields = {name: getattr(TOLD, name) for name in TOLD.__struct_fields__}
    return Told(**{**fields, **changes})


def failed(status: int | None = 500, **more: Any) -> Answer:
    return Answer(status, 10, **more)


# --- The body -----------------------------------------------------------------------------------


def test_the_body_has_kpay_s_fields_in_its_order_and_then_ours() -> None:
    assert list(body()) == [*FIELDS, "currency", "isTest"]
    assert body() == {
        "event": "payment.completed",
        "paymentId": "pay_01",
        "reference": "KPAY-20260623-ABC123",
        "status": "COMPLETED",
        "amount": 5000.75,
        "phoneNumber": "237653456789",
        "externalId": "ORDER-1",
        "metadata": {"orderId": "12345"},
        "completedAt": "2026-06-23T09:59:59.500Z",
        "failedAt": None,
        "failureReason": None,
        "timestamp": "2026-06-23T10:00:00.500Z",
        "currency": "XAF",
        "isTest": True,
    }


@pytest.mark.parametrize("status", ["FAILED", "CANCELLED"])
def test_what_did_not_complete_has_the_moment_as_failed_at(status: str) -> None:
    shown = body(told_as(status=status, failure_code="PAYER_NOT_FOUND"), "payment.failed")

    assert (shown["completedAt"], shown["failedAt"]) == (None, "2026-06-23T09:59:59.500Z")
    assert shown["failureReason"] == "PAYER_NOT_FOUND"


def test_metadata_is_an_object_also_where_none_was_given() -> None:
    assert body(told_as(metadata=None))["metadata"] == {}


def test_metadata_is_sent_as_it_came_to_the_last_digit() -> None:
    raw = body_of(BOOK, "payment.completed", told_as(metadata='{"n": 1.10, "é": "\\u00e9"}'), NOW)

    assert b'"metadata":{"n": 1.10, "\xc3\xa9": "\\u00e9"}' in raw


def test_a_refund_names_the_payment_that_it_is_of() -> None:
    assert body(told_as(original_payment_id="pay_02"))["originalPaymentId"] == "pay_02"
    assert "originalPaymentId" not in body()


# --- Signatures ---------------------------------------------------------------------------------


def test_kpay_s_signature_is_the_hex_hmac_of_the_raw_body_with_the_whole_secret() -> None:
    headers = headers_of("payment.completed", "evt_1", b'{"a":1}', [SECRET], NOW)

    expected = hmac.new(SECRET.encode(), b'{"a":1}', hashlib.sha256).hexdigest()
    assert headers["X-KPAY-Signature"] == expected
    assert headers["X-KPAY-Event"] == "payment.completed"
    assert headers["User-Agent"] == "KPAY-Webhook/1.0"
    assert headers["Content-Type"] == "application/json"


@given(application=st.uuids(), environment=st.sampled_from(Environment), version=st.integers(1))
def test_the_standard_s_own_library_verifies_with_our_secret_as_it_is(
    application: UUID, environment: Environment, version: int
) -> None:
    secret = VAULT.webhook_secret(Book(application, environment), version)
    now = datetime.now(UTC)
    raw = body_of(BOOK, "payment.completed", TOLD, now)

    headers = headers_of("payment.completed", "evt_1", raw, [secret], now)

    assert Webhook(secret).verify(raw, headers)["paymentId"] == "pay_01"


def test_the_standard_s_library_refuses_a_changed_body_and_another_secret() -> None:
    now = datetime.now(UTC)
    headers = headers_of("payment.completed", "evt_1", b"{}", [SECRET], now)

    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(b"[]", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(VAULT.webhook_secret(BOOK, 2)).verify(b"{}", headers)


def test_during_an_overlap_both_secrets_sign_and_kpay_s_header_is_the_new_one_s() -> None:
    now = datetime.now(UTC)
    newer = VAULT.webhook_secret(BOOK, 2)
    headers = headers_of("payment.completed", "evt_1", b"{}", [newer, SECRET], now)

    for secret in (newer, SECRET):
        assert Webhook(secret).verify(b"{}", headers) == {}
    assert headers["X-KPAY-Signature"] == hmac.new(newer.encode(), b"{}", "sha256").hexdigest()


def test_the_secret_before_signs_until_its_moment_and_no_longer() -> None:
    signing = Signing(version=3, previous_until=NOW)

    assert signing.versions(NOW - timedelta(microseconds=1)) == [3, 2]
    assert signing.versions(NOW) == [3]
    assert Signing().versions(NOW) == [1]


def test_each_book_has_a_secret_of_its_own() -> None:
    books = [BOOK, Book(UUID(int=7), Environment.PRODUCTION), Book(UUID(int=8), Environment.TEST)]
    secrets = {VAULT.webhook_secret(book, version) for book in books for version in (1, 2, 11)}

    assert len(secrets) == 9
    assert all(secret.startswith("whsec_") for secret in secrets)


# --- What an answer means -----------------------------------------------------------------------


@pytest.mark.parametrize("status", [200, 201, 202, 204, 299])
def test_2xx_is_delivered(status: int) -> None:
    settled = settle(failed(status), tries=1, asked_at=NOW, now=NOW, jitter=0)
    assert settled == (Status.DELIVERED, None)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 410, 422, 451, 499])
def test_4xx_is_the_last_word(status: int) -> None:
    settled = settle(failed(status), tries=1, asked_at=NOW, now=NOW, jitter=0)
    assert settled == (Status.FAILED, None)


@pytest.mark.parametrize(
    "status", [408, 425, 429, 300, 301, 302, 307, 308, 500, 502, 503, 599, None]
)
def test_everything_else_is_sent_again(status: int | None) -> None:
    became, due_at = settle(failed(status), tries=1, asked_at=NOW, now=NOW, jitter=0.5)

    assert became is Status.PENDING
    assert due_at == NOW + timedelta(seconds=2)


def test_waits_double_up_to_six_hours_and_are_spread_by_a_fifth_either_way() -> None:
    waits = [wait_after(failed(), tries, NOW, 0.5).total_seconds() for tries in range(1, 20)]

    assert waits[:5] == [2, 4, 8, 16, 32]
    assert waits == sorted(waits)
    assert waits[-1] == 6 * 3600
    assert wait_after(failed(), 3, NOW, 0).total_seconds() == pytest.approx(6.4)
    assert wait_after(failed(), 3, NOW, 1).total_seconds() == pytest.approx(9.6)


@given(jitters=st.lists(st.floats(0, 1), min_size=MOST_TRIES, max_size=MOST_TRIES))
def test_a_dead_endpoint_is_tried_for_nearly_three_days_and_at_most_25_times(
    jitters: list[float],
) -> None:
    now, tries = NOW, 0
    for jitter in jitters:
        tries += 1
        last = now
        became, due_at = settle(failed(None), tries=tries, asked_at=NOW, now=now, jitter=jitter)
        if due_at is None:
            break
        now = due_at

    assert became is Status.FAILED
    assert tries <= MOST_TRIES
    assert timedelta(days=2) < last - NOW < WINDOW


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        (" 7 ", 7),
        ("0", 1),
        ("999999999999999999", 6 * 3600),
        ("Tue, 23 Jun 2026 10:02:00 GMT", 119.5),
        ("Tue, 23 Jun 2026 09:00:00 GMT", 1),
        ("Tue, 23 Jun 2099 10:02:00 GMT", 6 * 3600),
        ("soon", 2),
        ("-5", 2),
        ("1.5", 2),
        ("٣", 2),
        ("", 2),
    ],
)
def test_retry_after_is_honoured_within_a_second_and_six_hours(text: str, seconds: float) -> None:
    waited = wait_after(failed(429, retry_after=text), 1, NOW, 0.5)

    assert waited.total_seconds() == seconds


def test_a_paused_endpoint_is_probed_ever_less_often_down_to_every_ten_minutes() -> None:
    waits = [wait_for_probe(probes, 0.5).total_seconds() for probes in range(10)]

    assert waits[:4] == [5, 10, 20, 40]
    assert waits[-1] == 600


# --- Where webhooks go --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "url",
    [
        "https://shop.example/webhooks",
        "https://shop.example",
        "https://shop.example:8443/a/b?c=d&e=%20f",
        "https://shop.example/@me",
        "https://203.0.113.7/hook",
        "https://[2606:4700::1111]/hook",
        "https://shop.example?x=1",
    ],
)
def test_a_url_of_a_server_is_taken(url: str) -> None:
    assert check_url(url, Environment.PRODUCTION)


@pytest.mark.parametrize(
    "url",
    [
        "",
        "shop.example/hook",
        "ftp://shop.example/",
        "file:///etc/passwd",
        "gopher://shop.example/",
        "HTTPS//shop.example",
        "https:/shop.example",
        "https://",
        "https:///hook",
        "https://user@shop.example/",
        "https://user:word@shop.example/",
        "https://shop.example/#part",
        "https://shop.example/a b",
        "https://shop.example/\n",
        "https://shop.example/\x00",
        "https://shop.example\\@evil.example/",
        "https://shop.example/\\evil",
        "https://bücher.example/",
        "https://shop.example:0/",
        "https://shop.example:65536/",
        "https://shop.example:x/",
        "https://shop.example/" + "a" * 2_048,
        "https://127.1/",
        "https://0x7f.0.0.1/",
        "https://2130706433/",
        "https://0177.0.0.1/",
        "https://127.0.0.1./",
        "https://[::1/",
        "https://[::gg]/",
        "https://[127.0.0.1]x/",
        " https://shop.example/",
    ],
)
def test_what_is_no_url_of_a_server_is_refused(url: str) -> None:
    with pytest.raises(Refusal) as caught:
        check_url(url, Environment.PRODUCTION)
    assert caught.value.code is Code.INVALID_WEBHOOK_URL


def test_http_is_for_the_sandbox_alone() -> None:
    assert check_url("http://shop.example/", Environment.TEST) == "shop.example"
    with pytest.raises(Refusal, match="https"):
        check_url("http://shop.example/", Environment.PRODUCTION)


FORBIDDEN = [
    "127.0.0.1",
    "127.255.255.254",
    "0.0.0.0",  # noqa: S104 - an address that is refused, not one that is listened on
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "169.254.169.254",
    "192.0.0.1",
    "192.0.2.1",
    "198.18.0.1",
    "224.0.0.1",
    "240.0.0.1",
    "255.255.255.255",
    "::",
    "::1",
    "fe80::1",
    "fe80::1%eth0",
    "fc00::1",
    "fd00:ec2::254",
    "ff02::1",
    "2001:db8::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "::ffff:a9fe:a9fe",
    "64:ff9b::7f00:1",
    "64:ff9b::a9fe:a9fe",
    "2002:7f00:1::",
    "2002:a9fe:a9fe::",
    "no address",
]


@pytest.mark.parametrize("address", FORBIDDEN)
def test_no_webhook_goes_to_an_address_of_a_private_network(address: str) -> None:
    assert is_forbidden(address, ())


@pytest.mark.parametrize(
    "address",
    ["8.8.8.8", "102.16.0.1", "2606:4700::1111", "::ffff:8.8.8.8", "64:ff9b::808:808"],
)
def test_webhooks_go_to_public_addresses(address: str) -> None:
    assert not is_forbidden(address, ())


def test_what_the_operator_allowed_is_allowed_and_nothing_beside_it() -> None:
    allowed = [ip_network("10.1.0.0/16")]

    assert not is_forbidden("10.1.2.3", allowed)
    assert not is_forbidden("::ffff:10.1.2.3", allowed)
    assert is_forbidden("10.2.0.1", allowed)
    assert not is_forbidden("127.0.0.1", LOOPBACK)
    assert not is_forbidden("::1", LOOPBACK)
    assert is_forbidden("10.1.2.3", LOOPBACK)


def test_of_a_name_with_several_addresses_one_that_is_private_is_too_many() -> None:
    check_addresses("shop.example", ["8.8.8.8", "1.1.1.1"], ())
    check_addresses("not.yet.known", [], ())
    with pytest.raises(Refusal, match="KPAY_WEBHOOK_NETWORKS"):
        check_addresses("shop.example", ["8.8.8.8", "10.0.0.1"], ())


@pytest.mark.parametrize("sentence", reasons.REASONS)
def test_why_a_webhook_was_not_taken_is_found_again_with_its_parts(sentence: str) -> None:
    parts = {name: value for name, value in PARTS.items() if f"%({name})s" in sentence}
    told = sentence % parts if parts else sentence
    assert "%" not in told
    assert reasons.read_reason(told) == (sentence, parts)


def test_what_is_no_sentence_of_ours_is_none() -> None:
    for told in ("", "It answered.", "It answered 503. Twice.", "Because.", "no http"):
        assert reasons.read_reason(told) is None


def test_the_database_says_of_a_removed_url_what_the_list_says() -> None:
    assert f"'{reasons.REMOVED}'" in SQL["remove_endpoint"]
