"""Webhooks as plain rules: who hears what, what is sent, how it is signed, when it is sent again.

The headers and the body are KPay's, to the letter; the Standard Webhooks headers stand beside them
(https://www.standardwebhooks.com). Nothing here knows a clock, a network or a database.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from kpay.core.book import Book
from kpay.core.clock import iso
from kpay.core.fields import Number
from kpay.core.forms import (
    CompletedAt,
    Currency,
    FailureReason,
    IsTest,
    Moment,
    OperationId,
    OwnId,
    PaymentId,
    Phone,
)
from kpay.core.ids import public_id
from kpay.events.model import OPERATION_PREFIXES, PREFIX, Told
from kpay.webhooks import reasons

TEST_EVENT = "webhook.test"
USER_AGENT = "KPAY-Webhook/1.0"
SECRET_PREFIX = "whsec_"


class Topic(StrEnum):
    """What one URL hears: everything that has none of its own, or one kind of operation."""

    GENERIC = "generic"
    PAYMENTS = "payments"
    PAYOUTS = "payouts"
    REFUNDS = "refunds"


class Status(StrEnum):
    """How far a delivery has come."""

    PENDING = "PENDING"
    """It is sent when it is due."""
    DELIVERED = "DELIVERED"
    """It was answered 2xx."""
    FAILED = "FAILED"
    """It was refused, or three days or every try have passed. It can be replayed."""
    CANCELLED = "CANCELLED"
    """Its URL was taken away while it waited."""


class Endpoint(msgspec.Struct, frozen=True):
    """A merchant's URL and how it fares."""

    book: Book
    topic: Topic
    url: str
    created_at: datetime
    changed_at: datetime
    failures: int = 0
    paused_since: datetime | None = None
    pause_reason: str | None = None
    probe_at: datetime | None = None


class Delivery(msgspec.Struct, frozen=True):
    """An event on its way to an endpoint, and what became of the last attempt."""

    book: Book
    id: UUID
    topic: Topic
    type: str
    operation_id: UUID
    status: Status
    due_at: datetime | None
    attempts: int
    created_at: datetime
    settled_at: datetime | None
    response_status: int | None
    error: str | None
    duration_ms: int | None

    @property
    def public_id(self) -> str:
        return public_id(PREFIX, self.id)

    @property
    def payment_id(self) -> str:
        """The public identifier of what it is about; a test is about nothing that there is."""
        prefix = OPERATION_PREFIXES.get(self.type.partition(".")[0], "pay")
        return public_id(prefix, self.operation_id)


class Attempt(msgspec.Struct, frozen=True):
    """One sending, as it was sent, and what came back."""

    number: int
    url: str
    headers: Mapping[str, str]
    body: str
    sent_at: datetime
    response_status: int | None
    response_body: str | None
    error: str | None
    duration_ms: int


class Signing(msgspec.Struct, frozen=True):
    """Which versions of a book's secret sign: the one in force, and for a while the one before."""

    version: int = 1
    previous_until: datetime | None = None

    def versions(self, now: datetime) -> list[int]:
        """The newest first."""
        if self.previous_until is not None and now < self.previous_until:
            return [self.version, self.version - 1]
        return [self.version]


class Claim(msgspec.Struct, frozen=True):
    """The right to send one delivery once, until it runs out; the intent is committed."""

    delivery: Delivery
    url: str
    tries: int
    asked_at: datetime
    held_until: datetime
    probes: int | None
    """Of a paused endpoint: how many probes failed before this one. Else None."""
    signing: Signing

    @property
    def lane(self) -> tuple[Book, Topic]:
        return self.delivery.book, self.delivery.topic


class Answer(msgspec.Struct, frozen=True):
    """What came back: a status with the beginning of a body, or what went wrong instead."""

    status: int | None
    duration_ms: int
    body: str | None = None
    error: str | None = None
    retry_after: str | None = None


class Sent(msgspec.Struct, frozen=True):
    """An attempt that was made, and what is to become of its delivery."""

    claim: Claim
    headers: str
    body: str
    sent_at: datetime
    at: datetime
    answer: Answer
    status: Status
    due_at: datetime | None


class Health(msgspec.Struct, frozen=True):
    """How an endpoint fared in one batch of attempts, in the order in which they ended."""

    book: Book
    topic: Topic
    url: str
    answered: bool
    """Whether any was answered with a word that is final, however unwelcome."""
    failures: int
    """How many failed after the last that was answered so."""
    reason: str
    probed: bool
    probe_at: datetime


# --- What is sent -------------------------------------------------------------------------------


class WebhookBody(msgspec.Struct, rename="camel"):
    """What is told of an operation that ended: KPay's twelve fields in its order, then ours."""

    event: Annotated[str, Meta(description="What ended, and how.", examples=["payment.completed"])]
    payment_id: OperationId
    reference: Annotated[
        str, Meta(description="The operation's reference.", examples=["KPAY-20260623-4FWK2S"])
    ]
    status: Annotated[
        str,
        Meta(
            description="How it ended; TEST in a test, which no operation has.",
            extra_json_schema={"enum": ["COMPLETED", "FAILED", "CANCELLED", "TEST"]},
        ),
    ]
    amount: Annotated[
        Number, Meta(description="The operation's `amount`, in `currency`.", examples=[5000])
    ]
    phone_number: Annotated[Phone | None, Meta(description="The payer's or the beneficiary's.")]
    external_id: Annotated[OwnId | None, Meta(description="Your own identifier, or null.")]
    metadata: Annotated[
        Any,
        Meta(
            description="Your own object as it was sent, `{}` if there was none.",
            examples=[{"cart": "7c1e"}],
            extra_json_schema={"type": "object"},
        ),
    ]
    completed_at: CompletedAt
    failed_at: Annotated[
        Moment | None, Meta(description="When it failed or was cancelled, or null.")
    ]
    failure_reason: FailureReason
    timestamp: Annotated[
        Moment, Meta(description="When this was sent: all else is what was on record then.")
    ]
    currency: Currency
    is_test: IsTest
    original_payment_id: Annotated[
        PaymentId | msgspec.UnsetType,
        Meta(description="The payment that is given back; only of a refund."),
    ] = msgspec.UNSET


_encoder = msgspec.json.Encoder(decimal_format="number")


def body_of(book: Book, event: str, told: Told, now: datetime) -> bytes:
    """The body of an event, stamped from the committed state of what it is about."""
    ended = None if told.ended_at is None else iso(told.ended_at)
    completed = told.status == "COMPLETED"
    return _encoder.encode(
        WebhookBody(
            event=event,
            payment_id=told.public_id,
            reference=told.reference,
            status=told.status,
            amount=told.amount.number,
            phone_number=told.phone_number,
            external_id=told.external_id,
            # KPay's own page has an object here, never null.
            metadata=msgspec.Raw((told.metadata or "{}").encode()),
            completed_at=ended if completed else None,
            # As KPay has it: also of what was cancelled.
            failed_at=None if completed else ended,
            failure_reason=told.failure_code,
            timestamp=iso(now),
            currency=told.amount.currency,
            is_test=book.is_test,
            original_payment_id=told.original_payment_id or msgspec.UNSET,
        )
    )


def headers_of(
    event: str, delivery_id: str, body: bytes, secrets: Sequence[str], now: datetime
) -> dict[str, str]:
    """KPay's headers and the Standard Webhooks ones. `secrets` are those in force, newest first.

    KPay's signature has room for one secret and is the newest's; the standard's has one for each.
    `delivery_id` is the same however often an event is sent, so that a receiver can know it again.
    """
    stamp = str(int(now.timestamp()))
    return {
        "Content-Type": "application/json",
        "User-Agent": USER_AGENT,
        "X-KPAY-Event": event,
        "X-KPAY-Signature": hmac.new(secrets[0].encode(), body, hashlib.sha256).hexdigest(),
        "webhook-id": delivery_id,
        "webhook-timestamp": stamp,
        "webhook-signature": " ".join(
            _standard_signature(secret, delivery_id, stamp, body) for secret in secrets
        ),
    }


def _standard_signature(secret: str, delivery_id: str, stamp: str, body: bytes) -> str:
    key = standard_key(secret)
    signature = hmac.digest(key, f"{delivery_id}.{stamp}.".encode() + body, "sha256")
    return f"v1,{base64.b64encode(signature).decode()}"


def standard_key(secret: str) -> bytes:
    """The bytes that the standard's libraries make of our secret's text.

    They take what follows `whsec_` for base64. Ours are letters and digits that base64 has too, 52
    of them, so every library reads the same 39 bytes from them. For KPay's signature its clients
    take the whole text as it is.
    """
    return base64.b64decode(secret.removeprefix(SECRET_PREFIX), validate=True)


# --- What an answer means -----------------------------------------------------------------------

# How long a claim holds: longer than any sending that waits its turn in a process.
CLAIM = timedelta(seconds=60)
# After so long it is given up, and after so many tries: what is longer is for a person to replay.
WINDOW = timedelta(days=3)
MOST_TRIES = 25
_FIRST_WAIT = timedelta(seconds=2)
_LONGEST_WAIT = timedelta(hours=6)
_SHORTEST_WAIT = timedelta(seconds=1)
# A 4xx is the receiver's last word, but for these: too slow, too early, too many.
_WORTH_ANOTHER_TRY = frozenset({408, 425, 429})

# So many failures in a row pause an endpoint; then one delivery at a time tries again.
PAUSE_AFTER = 10
_FIRST_PROBE = timedelta(seconds=5)
_LONGEST_PROBE = timedelta(minutes=10)


def is_delivered(answer: Answer) -> bool:
    return answer.status is not None and 200 <= answer.status < 300


def is_final(answer: Answer) -> bool:
    """Whether asking again would be no use: it was taken, or refused for good."""
    if answer.status is None:
        return False
    return is_delivered(answer) or (
        400 <= answer.status < 500 and answer.status not in _WORTH_ANOTHER_TRY
    )


def settle(
    answer: Answer, *, tries: int, asked_at: datetime, now: datetime, jitter: float
) -> tuple[Status, datetime | None]:
    """What becomes of a delivery after so many tries, and when to send it again. 0 ≤ jitter ≤ 1."""
    if is_delivered(answer):
        return Status.DELIVERED, None
    due_at = now + wait_after(answer, tries, now, jitter)
    if is_final(answer) or tries >= MOST_TRIES or due_at >= asked_at + WINDOW:
        return Status.FAILED, None
    return Status.PENDING, due_at


def wait_after(answer: Answer, tries: int, now: datetime, jitter: float) -> timedelta:
    """What the receiver asks for, within bounds; else doubling from two seconds, a fifth apart."""
    wanted = _retry_after(answer.retry_after, now)
    if wanted is not None:
        return min(max(wanted, _SHORTEST_WAIT), _LONGEST_WAIT)
    return _spread(min(_FIRST_WAIT * (1 << min(tries - 1, 20)), _LONGEST_WAIT), jitter)


def wait_for_probe(probes: int, jitter: float) -> timedelta:
    """How long a paused endpoint is left alone after so many probes in vain."""
    return _spread(min(_FIRST_PROBE * (1 << min(probes, 20)), _LONGEST_PROBE), jitter)


def _spread(wait: timedelta, jitter: float) -> timedelta:
    """So that what failed together does not come back together."""
    return wait * (0.8 + 0.4 * jitter)


def _retry_after(text: str | None, now: datetime) -> timedelta | None:
    """`Retry-After` in seconds or as a date (RFC 9110, 10.2.3); None where it is neither."""
    if text is None:
        return None
    text = text.strip()
    if text.isascii() and text.isdigit():
        return timedelta(seconds=min(int(text[:10]), 10**9))
    try:
        moment = parsedate_to_datetime(text)
    except ValueError:
        return None
    return moment.replace(tzinfo=moment.tzinfo or UTC) - now


def health_of(batch: Sequence[Sent], now: datetime, jitter: float) -> list[Health]:
    """How each endpoint of a batch fared; the batch is in the order in which its attempts ended."""
    grouped: dict[tuple[Book, Topic, str], list[Sent]] = {}
    for sent in batch:
        grouped.setdefault((*sent.claim.lane, sent.claim.url), []).append(sent)
    return [_health(group, now, jitter) for group in grouped.values()]


def _health(group: Sequence[Sent], now: datetime, jitter: float) -> Health:
    failures, answered, reason = 0, False, ""
    for sent in group:
        if is_final(sent.answer):
            failures, answered = 0, True
        else:
            failures += 1
            reason = sent.answer.error or reasons.ANSWERED % {"status": sent.answer.status}
    book, topic = group[0].claim.lane
    probes = [sent.claim.probes for sent in group if sent.claim.probes is not None]
    return Health(
        book=book,
        topic=topic,
        url=group[0].claim.url,
        answered=answered,
        failures=failures,
        reason=reason,
        probed=bool(probes),
        probe_at=now + wait_for_probe(max(probes) + 1 if probes else 0, jitter),
    )
