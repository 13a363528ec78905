"""Which payments can be given back, and until when: pure rules."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from kpay.catalogue.model import OFFERED, OperationType
from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.instructions.model import Progress, Status, Tracked
from kpay.refunds.model import WINDOW, Refund, check_refundable, is_live

ENDED = datetime(2026, 6, 23, 10, tzinfo=UTC)
INSTANT = timedelta(microseconds=1)


def progress(status: Status, ended_at: datetime | None = ENDED) -> Progress:
    return Progress(status, UUID(int=1), ended_at=ended_at)


def refusal(found: Progress, now: datetime) -> Refusal:
    with pytest.raises(Refusal) as caught:
        check_refundable(found, now)
    return caught.value


@pytest.mark.parametrize("status", [each for each in Status if each is not Status.COMPLETED])
def test_only_a_completed_payment_can_be_refunded(status: Status) -> None:
    told = refusal(progress(status), ENDED)

    assert told.code is Code.NOT_REFUNDABLE
    assert f"this one is {status}." in told.message


def test_the_window_is_seven_days_and_its_last_moment_is_in_it() -> None:
    completed = progress(Status.COMPLETED)
    assert timedelta(days=7) == WINDOW
    for age in (timedelta(0), WINDOW - INSTANT, WINDOW):
        check_refundable(completed, ENDED + age)

    told = refusal(completed, ENDED + WINDOW + INSTANT)

    assert told.code is Code.REFUND_WINDOW_CLOSED
    assert "for 7 days" in told.message
    assert "until 2026-06-30T10:00:00.000Z" in told.message


def test_a_clock_that_is_a_little_behind_refuses_nothing() -> None:
    check_refundable(progress(Status.COMPLETED), ENDED - timedelta(minutes=3))


def test_a_refund_is_live_until_it_failed_or_was_cancelled() -> None:
    refund = Refund(
        book=Book(UUID(int=1), Environment.TEST),
        id=UUID(int=2),
        suffix="ABC123",
        external_id=None,
        payment_id=UUID(int=3),
        provider="MTN_MOMO_CMR",
        country="CMR",
        phone_number="237653456789",
        amount=Money(100_000, "XAF"),
        reason=None,
        created_at=ENDED,
    )

    live = {status for status in Status if is_live(Tracked(refund, progress(status)))}

    assert live == {Status.PENDING, Status.PROCESSING, Status.COMPLETED}
    assert refund.reference == "KPAY-RF-20260623-ABC123"
    assert refund.public_id == "rfd_00000000000000000000000002"


def test_in_the_sandbox_the_number_that_paid_decides_over_its_refund() -> None:
    assert OperationType.REFUND.decided_by is OperationType.DEPOSIT
    assert [type_.decided_by for type_ in OFFERED] == list(OFFERED)
