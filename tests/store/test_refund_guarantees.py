"""What the database itself holds of refunds, and what `verify` finds where it was got round.

Promise 5: what was paid goes back once, whole, and to whom it was taken from.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID, uuid4

import asyncpg
import pytest

from kpay.app import House
from kpay.verify import verify
from tests.books import operation_of
from tests.client import Answer, Merchant

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

# A refund as the program writes it, with its instruction: of a payment, each field as is given.
WRITE = """
with told as (
    insert into instructions (
        application_id, environment, id, type, reference, provider, phone_number, currency, amount,
        deposit_reference, status, next_action, due_at
    )
    select
        application_id, environment, $2, 'REFUND', gen_random_uuid(), provider, phone_number,
        currency, amount + $3, coalesce($4, reference), 'PENDING', 'submit', now()
    from instructions where id = $1
)
insert into refunds (
    application_id, environment, id, suffix, payment_id, provider, country, phone_number, currency,
    amount, created_at
)
select
    application_id, environment, $2, 'ABC123', id, provider, 'CMR', coalesce($5, phone_number),
    currency, amount + $3, now()
from instructions where id = $1
"""


@dataclass
class Books:
    """A completed payment of 10,000, and the database as its owner sees it."""

    owner: Connection
    merchant: Merchant
    payment: Answer

    @property
    def payment_id(self) -> UUID:
        return operation_of(self.payment["id"])

    async def write(
        self,
        *,
        payment_id: UUID | None = None,
        more: int = 0,
        deposit: UUID | None = None,
        phone: str | None = None,
    ) -> None:
        await self.owner.execute(
            WRITE, payment_id or self.payment_id, uuid4(), more, deposit, phone
        )

    async def broken(self) -> set[str]:
        """The checks of `verify` that find something."""
        url = self.merchant.house.settings.database_url or ""
        return {finding.check.name async for finding in verify(url) if finding.broken}


@pytest.fixture
async def books(merchant: Merchant, database_url: str) -> AsyncIterator[Books]:
    await merchant.collect(50_000)
    payment = await merchant.collect(10_000)
    connection = await asyncpg.connect(database_url)
    yield Books(connection, merchant, payment)
    await connection.close()


def refused_by(constraint: str) -> pytest.RaisesExc[asyncpg.IntegrityConstraintViolationError]:
    return pytest.raises(
        asyncpg.IntegrityConstraintViolationError,
        check=lambda problem: problem.constraint_name == constraint,
    )


async def test_a_deposit_has_one_refund_that_neither_failed_nor_was_cancelled(
    books: Books, house: House
) -> None:
    await books.write()

    for status in ("PENDING", "PROCESSING", "COMPLETED"):
        if status != "PENDING":
            await books.owner.execute(
                "update instructions set status = $1::instruction_status,"
                " due_at = case when $1::instruction_status = 'PROCESSING' then now() end,"
                " ended_at = case when $1::instruction_status = 'COMPLETED' then now() end"
                " where type = 'REFUND'",
                status,
            )
        with refused_by("instructions_refund_key"):
            await books.write()


@pytest.mark.parametrize("ends", [("CANCELLED",), ("PROCESSING", "FAILED")], ids=lambda e: e[-1])
async def test_one_that_gave_nothing_back_may_be_followed_by_another(
    books: Books, ends: tuple[str, ...]
) -> None:
    await books.write()
    for status in ends:
        await books.owner.execute(
            "update instructions set status = $1::instruction_status,"
            " failure_code = case when $1::instruction_status = 'FAILED' then 'NO' end,"
            " due_at = case when $1::instruction_status = 'PROCESSING' then now() end,"
            " ended_at = case when $1::instruction_status <> 'PROCESSING' then now() end"
            " where type = 'REFUND'",
            status,
        )

    await books.write()
    with refused_by("instructions_refund_key"):
        await books.write()


async def test_a_refund_is_of_what_was_paid_to_who_paid_it(books: Books) -> None:
    pending = await books.merchant.pay()
    for wrong in (
        {"more": 1},
        {"more": -1},
        {"phone": "237653456129"},
        {"deposit": uuid4()},
        {"payment_id": operation_of(pending["id"])},
    ):
        with refused_by("refunds_of_a_deposit"):
            await books.write(**wrong)


async def test_a_payout_is_nothing_to_give_back(books: Books) -> None:
    payout = await books.merchant.withdraw()
    await books.merchant.house.worker.run_until_idle()

    with refused_by("refunds_of_a_deposit"):
        await books.write(payment_id=operation_of(payout["id"]))


async def test_only_a_refund_gives_a_deposit_back_and_none_gives_nothing(books: Books) -> None:
    for type_, reference in (("REFUND", None), ("PAYOUT", uuid4()), ("DEPOSIT", uuid4())):
        with refused_by("instructions_refund_has_deposit"):
            await books.owner.execute(
                "insert into instructions (application_id, environment, id, type, reference,"
                " provider, phone_number, currency, amount, deposit_reference, status,"
                " next_action, due_at)"
                " values ($1, 'TEST', $1, $2, $1, 'X', '1', 'XAF', 1, $3, 'PENDING', 'submit',"
                " now())",
                uuid4(),
                type_,
                reference,
            )


# What `verify` finds where somebody who may do anything got round all of that.

TAMPERINGS = {
    "a refund of half": (
        "update refunds set amount = amount / 2",
        {"refunds_recomputed"},
    ),
    "a refund to somebody else": (
        "update refunds set phone_number = '237653456129'",
        {"refunds_recomputed"},
    ),
    "more sent than was paid": (
        "update instructions set amount = amount * 2 where type = 'REFUND'",
        {"refunds_recomputed", "refunds_within_payments", "provider_accounts_are_operations"},
    ),
    "another deposit": (
        "update instructions set deposit_reference = gen_random_uuid() where type = 'REFUND'",
        {"refunds_recomputed"},
    ),
    "a second one": (
        "with told as (insert into instructions select (jsonb_populate_record(i,"
        " jsonb_build_object('id', '00000000-0000-7000-8000-000000000001',"
        " 'deposit_reference', gen_random_uuid(), 'claimed_external_id', null))).*"
        " from instructions i where type = 'REFUND')"
        " insert into refunds select (jsonb_populate_record(r, jsonb_build_object("
        "'id', '00000000-0000-7000-8000-000000000001'))).* from refunds r",
        {
            *(
                "refunds_within_payments",
                "refunds_recomputed",
                "refunds_posted",
                "one_live_operation",
            ),
            *("ends_are_told", "provider_accounts_are_operations"),
        },
    ),
    "a payment that was never completed": (
        "update instructions set status = 'FAILED', failure_code = 'NO', claimed_external_id = null"
        " where id = (select payment_id from refunds)",
        {
            *("refunds_within_payments", "payments_posted", "ends_are_told"),
            # Its attempt says that it was paid.
            *("provider_accounts_are_operations", "contradictions_are_held"),
        },
    ),
    "an end without its entry": (
        "delete from entries where kind = 'refund_completed'",
        {"refunds_posted", "entries_whole", "journals_end"},
    ),
    "another end": (
        "update instructions set status = 'FAILED', failure_code = 'NO', claimed_external_id = null"
        " where type = 'REFUND'",
        {
            *("refunds_posted", "ends_are_told"),
            *("provider_accounts_are_operations", "contradictions_are_held"),
        },
    ),
    "an open one without its hold": (
        "update instructions set status = 'PROCESSING', ended_at = null, due_at = now()"
        " where type = 'REFUND'",
        {
            *("refunds_posted", "holds_are_open_operations", "ends_are_told"),
            "provider_accounts_are_operations",
        },
    ),
    "its record taken away": (
        "delete from refunds",
        {"refund_entries_have_records", "one_live_operation"},
    ),
    "its externalId given away": (
        "update instructions set claimed_external_id = 'another' where type = 'REFUND'",
        {"one_live_operation"},
    ),
    "its event told as a payout's": (
        "update events set type = 'payout.completed' where type = 'refund.completed'",
        {"ends_are_told"},
    ),
}


@pytest.mark.parametrize("what", TAMPERINGS)
async def test_verify_finds_what_was_changed_behind_the_program_s_back(
    books: Books, house: House, what: str
) -> None:
    await books.merchant.refund(books.payment, externalId="mine")
    await house.worker.run_until_idle()
    assert await books.broken() == set()
    change, found = TAMPERINGS[what]

    async with books.owner.transaction():
        await books.owner.execute("set local session_replication_role = replica")
        await books.owner.execute(change)

    assert await books.broken() == found
