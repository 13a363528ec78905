"""What holds of deadlines whatever the program does: constraints, and what `verify` finds."""

from __future__ import annotations

import asyncpg
import pytest

from kpay.app import House
from kpay.connectors.model import Accepted
from kpay.core.clock import ManualClock
from tests.client import Merchant
from tests.rails import ScriptedRail
from tests.soundness import assert_sound
from tests.store.test_hosted_guarantees import broken, changed


@pytest.fixture
async def waited(merchant: Merchant, house: House, clock: ManualClock, database_url: str) -> str:
    """Of three payouts one still waits, one was given up and one is left to a rail that cannot."""
    await merchant.collect(100_000)
    ScriptedRail(otherwise=Accepted()).serve(house)
    await merchant.withdraw(queueMinutes=5)
    await house.worker.run_until_idle()
    clock.advance(minutes=5)
    await house.worker.run_until_idle()
    await merchant.withdraw(queueMinutes=5)
    clock.advance(minutes=5)
    await house.worker.run_until_idle()
    await merchant.withdraw(queueMinutes=5)
    await house.worker.run_until_idle()
    await assert_sound(database_url)
    return database_url


@pytest.mark.parametrize(
    ("change", "check"),
    [
        ("delete from attempts where action = 'cancel'", "deadlines_are_seen_to"),
        (
            "update instructions set deadline_due_at = null where deadline_due_at is not null",
            "deadlines_are_seen_to",
        ),
        (
            "update instructions set ended_at = queue_until - interval '1 second'"
            " where failure_code = 'DEADLINE_PASSED'",
            "deadlines_had_passed",
        ),
        (
            "update instructions set connector = 'scripted' where failure_code = 'DEADLINE_PASSED'",
            "deadlines_had_passed",
        ),
        (
            "update instructions set queue_until = queue_until + interval '1 minute'"
            " where ended_at is null",
            "payouts_wait_as_agreed",
        ),
        (
            "update instructions set queue_until = null, deadline_due_at = null"
            " where ended_at is null",
            "payouts_wait_as_agreed",
        ),
        ("update payouts set queue_minutes = null", "payouts_wait_as_agreed"),
    ],
)
async def test_a_deadline_that_is_not_as_promised_is_found(
    waited: str, change: str, check: str
) -> None:
    await changed(waited, change, triggers=False)

    assert check in await broken(waited)


@pytest.mark.parametrize(
    ("change", "constraint"),
    [
        ("update payouts set if_delayed = 'LATER'", "payouts_if_delayed_known"),
        ("update payouts set queue_minutes = 0", "payouts_queue_minutes_in_bounds"),
        ("update payouts set queue_minutes = 10081", "payouts_queue_minutes_in_bounds"),
        (
            "update instructions set queue_until = null where deadline_due_at is not null",
            "instructions_deadline_until_ended",
        ),
        (
            "update instructions set deadline_due_at = now()"
            " where failure_code = 'DEADLINE_PASSED'",
            "instructions_deadline_until_ended",
        ),
    ],
)
async def test_the_database_refuses_what_no_deadline_can_be(
    waited: str, change: str, constraint: str
) -> None:
    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await changed(waited, change, triggers=False)

    assert refused.value.constraint_name == constraint
