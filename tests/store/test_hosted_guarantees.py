"""What the database itself holds of hosted pages, and what `verify` finds beyond that."""

from __future__ import annotations

import asyncpg
import pytest

from kpay.app import House
from kpay.verify import verify
from tests.client import Answer, Merchant
from tests.hosted import REFUSES, Visitor, init, to_confirm, withdraw


async def changed(url: str, sql: str, *, triggers: bool = True) -> None:
    """A statement as the database's owner runs it, with or without the triggers."""
    connection = await asyncpg.connect(url)
    try:
        if not triggers:
            await connection.execute("set session_replication_role = replica")
        await connection.execute(sql)
    finally:
        await connection.close()


async def broken(url: str) -> set[str]:
    return {finding.check.name async for finding in verify(url) if finding.broken}


async def refused_once(merchant: Merchant, house: House) -> Answer:
    """A hosted payment whose first choice was refused, and a second one that waits."""
    made = await init(merchant)
    payer = Visitor.at(merchant, made)
    await payer.choose(number=REFUSES)
    await house.worker.run_until_idle()
    await payer.choose("ORANGE_CMR")
    return made


@pytest.mark.parametrize(
    "step",
    [
        # Neither is there a way back to a page, nor does any time run out, where there is no page.
        "set status = 'PENDING' where status = 'PROCESSING'",
        "set status = 'FAILED', failure_code = 'EXPIRED', due_at = null, ended_at = now()"
        " where status = 'PENDING'",
    ],
)
async def test_what_has_no_page_takes_no_step_of_one(
    merchant: Merchant, house: House, database_url: str, step: str
) -> None:
    await merchant.pay(phoneNumber="237653456129")
    await house.worker.run_until_idle()
    await merchant.pay()

    with pytest.raises(asyncpg.IntegrityConstraintViolationError) as refused:
        await changed(database_url, f"update instructions {step}")

    assert refused.value.constraint_name == "instructions_steps"


@pytest.mark.parametrize(
    ("sql", "constraint"),
    [
        (
            "update instructions set provider = null where choice is null and ended_at is null",
            "instructions_told_when_chosen",
        ),
        (
            "update instructions set next_action = 'submit' where choice = 0",
            "instructions_choosing_is_pending",
        ),
        (
            "update instructions set next_action = 'choose'"
            " where choice is null and ended_at is null",
            "instructions_choosing_is_pending",
        ),
        (
            "update instructions set earlier_attempts = null where choice = 0",
            "instructions_hosted_whole",
        ),
        (
            "insert into payments select (jsonb_populate_record(payments, jsonb_build_object("
            "'id', gen_random_uuid(), 'provider', 'MTN_MOMO_CMR'))).* from payments"
            " where provider is null",
            "payments_destination_or_hosted",
        ),
        (
            "insert into payments select (jsonb_populate_record(payments, jsonb_build_object("
            "'id', gen_random_uuid(), 'phone_number', null))).* from payments"
            " where provider is not null",
            "payments_destination_or_hosted",
        ),
        (
            "insert into payouts select (jsonb_populate_record(payouts, jsonb_build_object("
            "'id', gen_random_uuid(), 'rate', 2))).* from payouts",
            "payouts_destination_or_hosted",
        ),
        (
            "insert into choices (application_id, environment, id, number, provider, country,"
            " phone_number, reference, rate, at) select application_id, environment, id, 1, 'X',"
            " 'CMR', '1', gen_random_uuid(), 1, now() from payouts",
            "choices_quoted_whole",
        ),
    ],
)
async def test_a_row_that_is_half_chosen_is_refused(
    merchant: Merchant, database_url: str, sql: str, constraint: str
) -> None:
    await merchant.collect(100_000)
    await merchant.pay()
    await init(merchant)
    await withdraw(merchant, amount=1_000)

    with pytest.raises(asyncpg.CheckViolationError) as refused:
        await changed(database_url, sql)

    assert refused.value.constraint_name == constraint


@pytest.mark.parametrize(
    ("sql", "found"),
    [
        ("delete from choices where number = 1", "last_choice_is_told"),
        ("delete from choices where number = 2", "last_choice_is_told"),
        ("delete from choices", "last_choice_is_told"),
        ("update choices set provider = 'MTN_MOMO_CMR' where number = 2", "last_choice_is_told"),
        ("update choices set reference = gen_random_uuid()", "last_choice_is_told"),
        ("update choices set number = 3 where number = 1", "last_choice_is_told"),
        ("delete from gateways", "hosted_have_pages"),
        (
            "update payments set expires_at = null, provider = 'X', country = 'CMR',"
            " phone_number = '1'",
            "hosted_have_pages",
        ),
    ],
)
async def test_a_choice_or_a_page_that_was_tampered_with_is_found(
    merchant: Merchant, house: House, database_url: str, sql: str, found: str
) -> None:
    await refused_once(merchant, house)
    assert await broken(database_url) == set()

    await changed(database_url, sql, triggers=False)

    assert found in await broken(database_url)


async def test_a_beneficiary_s_price_that_was_tampered_with_is_found(
    merchant: Merchant, house: House, database_url: str
) -> None:
    await merchant.collect(100_000)
    made = await withdraw(merchant)
    payer = Visitor.at(merchant, made)
    shown = await payer.choose("MTN_MOMO_CIV", "2250503456789")
    await payer.post("/choose", **to_confirm(shown))
    await house.worker.run_until_idle()
    assert await broken(database_url) == set()

    await changed(
        database_url, "update choices set payout_amount = payout_amount + 1", triggers=False
    )

    assert await broken(database_url) == {"payouts_recomputed"}
