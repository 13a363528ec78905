"""What a keyed request makes or ends, asked of the verbs: its identifier, and its fence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
import pytest

from kpay.core.book import Book, Environment
from kpay.core.ids import parse_public_id
from kpay.core.keyed import Keyed
from kpay.core.refusals import Code, Refusal
from kpay.payments.model import PREFIX as PAYMENT
from kpay.payouts.model import PREFIX as PAYOUT
from kpay.refunds.model import PREFIX as REFUND
from tests.client import Answer, Merchant

Verb = Callable[[Merchant, Keyed], Awaitable[Any]]


def book_of(merchant: Merchant) -> Book:
    return Book(merchant.new.application.id, Environment.TEST)


async def attempt(merchant: Merchant) -> Keyed:
    """The right to carry out a request that nobody else has sent."""
    keyed = await merchant.house.keys.claim(book_of(merchant), "key-1", b"")
    assert isinstance(keyed, Keyed)
    return keyed


async def a_refund(merchant: Merchant, keyed: Keyed) -> Any:
    paid = await merchant.collect(1_000)
    identifier = parse_public_id(PAYMENT, paid["id"])
    assert identifier is not None
    return await merchant.house.refunds.request(
        book_of(merchant), identifier, reason=None, external_id=None, keyed=keyed
    )


async def a_cancelled_payout(merchant: Merchant, keyed: Keyed) -> Any:
    made = await merchant.withdraw()
    identifier = parse_public_id(PAYOUT, made["id"])
    assert identifier is not None
    return await merchant.house.payouts.cancel(book_of(merchant), identifier, keyed)


async def a_cancelled_refund(merchant: Merchant, keyed: Keyed) -> Any:
    made: Answer = await merchant.refund(await merchant.collect(1_000))
    identifier = parse_public_id(REFUND, made["id"])
    assert identifier is not None
    return await merchant.house.refunds.cancel(book_of(merchant), identifier, keyed)


VERBS: list[Verb] = [a_refund, a_cancelled_payout, a_cancelled_refund]


async def test_a_refund_is_made_under_the_identifier_that_its_key_s_attempts_share(
    funded: Merchant,
) -> None:
    keyed = await attempt(funded)
    made = await a_refund(funded, keyed)
    assert made.agreed.id == keyed.operation_id


@pytest.mark.parametrize("verb", VERBS)
async def test_the_last_attempt_of_a_key_carries_it_out(funded: Merchant, verb: Verb) -> None:
    done = await verb(funded, await attempt(funded))
    assert done.progress.status in ("PENDING", "CANCELLED")


@pytest.mark.parametrize("verb", VERBS)
async def test_an_attempt_that_was_overtaken_commits_nothing(funded: Merchant, verb: Verb) -> None:
    keyed = await attempt(funded)
    overtaken = msgspec.structs.replace(keyed, attempt=keyed.attempt - 1)

    with pytest.raises(Refusal) as refused:
        await verb(funded, overtaken)

    assert refused.value.code is Code.IDEMPOTENCY_IN_PROGRESS
    entries = await funded.house.database.search("select kind, step from entries")
    assert {(row["kind"], row["step"]) for row in entries} <= {
        ("payment_completed", 1),
        ("payout_requested", 1),
        ("refund_requested", 1),
    }
    refunds = await funded.house.database.search("select id from refunds")
    assert len(refunds) == (1 if verb is a_cancelled_refund else 0)
