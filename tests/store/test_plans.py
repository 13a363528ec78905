"""Statements find their rows by a whole key, whatever was known of the tables when it was decided.

The plan of a batch's statement is made once and kept, perhaps while there is little of one type or
of one application. A plan that reads all of a type then takes longer with every row.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from uuid import UUID

import pytest

from kpay.core.book import Environment
from kpay.database.pool import Database
from kpay.database.queries import Queries
from kpay.gateways import store as gateways
from kpay.instructions import store as instructions
from kpay.payments import store as payments
from kpay.payouts import store as payouts
from kpay.refunds import store as refunds
from kpay.statements import store as statements
from kpay.transfers import store as transfers
from kpay.webhooks import store as webhooks

EXTERNAL_ID = "instructions_external_id_key", ("type", "claimed_external_id")
ALONG: list[tuple[str, tuple[str, ...]]] = [
    ("postings_pkey", ("account", "version")),
    ("entries_pkey", ("operation_id", "step")),
]
# Each statement, and the last columns of the keys that it has to use.
KEPT: dict[str, tuple[str, list[tuple[str, tuple[str, ...]]]]] = {
    "transfers": (transfers.SQL["write"], [("transfers_external_id_key", ("external_id",))]),
    "payouts": (payouts.SQL["write"], [EXTERNAL_ID]),
    "payments": (payments.SQL["write"], [EXTERNAL_ID]),
    "hosted payments": (payments.SQL["write_hosted"], [EXTERNAL_ID]),
    "hosted payouts": (payouts.SQL["write_hosted"], [EXTERNAL_ID]),
    "choices": (instructions.SQL["choose"], [("instructions_pkey", ("id",))]),
    "expired": (
        instructions.SQL["expired"],
        [("instructions_choosing_idx", ("type", "due_at"))],
    ),
    "payments of claims": (
        payments.SQL["of_ids"],
        [("payments_pkey", ("id",)), ("choices_pkey", ("id", "number"))],
    ),
    "payouts of claims": (
        payouts.SQL["of_ids"],
        [("payouts_pkey", ("id",)), ("choices_pkey", ("id", "number"))],
    ),
    "pages": (gateways.SQL["find"], [("gateways_token_hash_key", ("token_hash",))]),
    "refunds": (
        refunds.SQL["write"],
        [EXTERNAL_ID, ("instructions_refund_key", ("deposit_reference",))],
    ),
    "refunds of a payment": (
        refunds.SQL["of_payment"],
        [("refunds_payment_idx", ("payment_id",)), ("instructions_pkey", ("id",))],
    ),
    "steps": (
        instructions.SQL["write"],
        [("instructions_pkey", ("id",)), ("attempts_pkey", ("number",))],
    ),
    "claims": (
        instructions.SQL["claim"],
        [("instructions_due_idx", ("type", "due_at")), ("instructions_pkey", ("id",))],
    ),
    "webhooks": (
        webhooks.SQL["claim"],
        [
            ("deliveries_due_idx", ("topic", "due_at")),
            ("deliveries_resource_idx", ("resource_id",)),
            ("deliveries_pkey", ("id",)),
            ("webhook_endpoints_pkey", ("topic",)),
        ],
    ),
    "webhooks sent": (
        webhooks.SQL["record"],
        [("deliveries_pkey", ("id",)), ("webhook_endpoints_pkey", ("topic",))],
    ),
    # A wallet's past: along the chain of an account, each line with its entry.
    "place of a moment": (
        statements.SQL["behind"],
        [("postings_pkey", ("account", "version"))],
    ),
    "lines around a place": (statements.SQL["around"], ALONG),
    "lines onward": (statements.SQL["lines_onward"], ALONG),
    "lines backward": (statements.SQL["lines_backward"], ALONG),
    "moments of operations": (
        statements.SQL["moments_of"],
        [("entries_pkey", ("operation_id",))],
    ),
    "transfers of a page": (transfers.SQL["of_ids"], [("transfers_pkey", ("id",))]),
    "payments of a page": (
        payments.SQL["of_ids"],
        [("payments_pkey", ("id",)), ("instructions_pkey", ("id",))],
    ),
    "payouts of a page": (
        payouts.SQL["of_ids"],
        [("payouts_pkey", ("id",)), ("instructions_pkey", ("id",))],
    ),
    "refunds of a page": (
        refunds.SQL["of_ids"],
        [("refunds_pkey", ("id",)), ("instructions_pkey", ("id",))],
    ),
}

# What a first hour may leave: payments only, all of them ended, and the table just analysed.
ONE_SIDED = """
    insert into instructions (
        application_id, environment, id, type, claimed_external_id, reference, provider,
        phone_number, currency, amount, status, next_action, ended_at
    )
    select
        md5('application' || number % 40)::uuid, 'TEST', md5('id' || number)::uuid, 'DEPOSIT',
        'order-' || number, md5('reference' || number)::uuid, 'X', '1', 'XAF', 1, 'COMPLETED',
        'check', now()
    from generate_series(1, 500) as number;
    analyze instructions
"""

# Each noun's list, and how many filters it has besides the externalId.
LISTS = {
    "transfers_external_id_key": (transfers.SQL, 4),
    "payments_external_id_idx": (payments.SQL, 6),
    "payouts_external_id_idx": (payouts.SQL, 6),
    "refunds_external_id_idx": (refunds.SQL, 6),
}


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, size=2) as opened:
        yield opened


async def kept_plan(database: Database, sql: str) -> str:
    """The plan that a session of ours makes of a statement and keeps."""
    parameters = max(int(number) for number in re.findall(r"\$(\d+)", sql))
    async with database.connection() as connection:
        await connection.execute(f"prepare kept as {sql}")
        rows = await connection.fetch(f"explain execute kept ({', '.join(['null'] * parameters)})")
        await connection.execute("deallocate kept")
    return "\n".join(row[0] for row in rows)


@pytest.mark.parametrize("state", ["empty", "one-sided"])
@pytest.mark.parametrize("name", KEPT)
async def test_a_batch_finds_its_rows_by_the_whole_key(
    database: Database, name: str, state: str
) -> None:
    if state == "one-sided":
        async with database.connection() as connection:
            await connection.execute(ONE_SIDED)
    sql, keys = KEPT[name]

    plan = await kept_plan(database, sql)

    assert not re.search(r"(Seq Scan|Bitmap Heap Scan) on", plan), plan
    for index, columns in keys:
        used = re.search(rf"Index Scan (?:Backward )?using {index} .*\n\s*Index Cond: (.*)", plan)
        assert used, plan
        assert all(re.search(rf"\b{column} [<=]", used[1]) for column in columns), plan


@pytest.mark.parametrize("index", LISTS)
async def test_a_list_with_an_external_id_is_read_by_its_index(
    database: Database, index: str
) -> None:
    queries, others = LISTS[index]

    assert index in await list_plan(database, queries, "order-1", others)
    assert index not in await list_plan(database, queries, None, others)


async def list_plan(
    database: Database, queries: Queries, external_id: str | None, others: int
) -> str:
    """How a list is read, with this filter and none of the others."""
    rows = await database.search(
        "explain " + queries["list"],
        UUID(int=1),
        Environment.TEST,
        external_id,
        *[None] * others,
        20,
    )
    return "\n".join(row[0] for row in rows)
