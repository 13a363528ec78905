"""Statements find their rows by a whole key, whatever was known of the tables when it was decided.

The plan of a batch's statement is made once and kept, perhaps while there is little of one type or
of one application. A plan that reads all of a type then takes longer with every row.
"""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg
import pytest

from kpay.core.book import Book, Environment
from kpay.core.ids import first_id
from kpay.core.page import Filter
from kpay.database.pool import Connection, Database, Row
from kpay.database.queries import Queries
from kpay.gateways import store as gateways
from kpay.instructions import store as instructions
from kpay.instructions.store import TrackedRows
from kpay.ledger import journal
from kpay.payments import store as payments
from kpay.payouts import store as payouts
from kpay.reconciliation import store as reconciliation
from kpay.refunds import store as refunds
from kpay.statements import store as statements
from kpay.transactions import store as transactions
from kpay.transfers import store as transfers
from kpay.verify import Check, checks, described, snapshot
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
    "overdue": (
        instructions.SQL["overdue"],
        [
            ("instructions_deadline_idx", ("type", "deadline_due_at")),
            ("instructions_pkey", ("id",)),
        ],
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
    "callbacks": (
        instructions.SQL["hear"],
        [("instructions_reference_idx", ("reference",)), ("choices_reference_idx", ("reference",))],
    ),
    "inquiries": (
        instructions.SQL["claim_inquiries"],
        [
            ("inquiries_due_idx", ("due_at",)),
            ("inquiries_pkey", ("instruction_id", "reference")),
            ("instructions_pkey", ("id",)),
            ("attempts_pkey", ("instruction_id",)),
        ],
    ),
    "inquiries made": (instructions.SQL["inquiry_made"], [("inquiries_pkey", ("reference",))]),
    "inquiries cleared": (
        instructions.SQL["clear_inquiries"],
        [("inquiries_heard_idx", ("heard_at",))],
    ),
    "waiting for an answer": (
        instructions.SQL["waiting"],
        [
            ("instructions_waiting_idx", ("environment", "submitted_at")),
            ("attempts_pkey", ("instruction_id",)),
        ],
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
    "balances over time": (
        statements.SQL["balances"],
        [("accounts_pkey", ("code",)), ("postings_pkey", ("account", "version"))],
    ),
    "crossings of transfers": (transfers.SQL["crossings"], [("transfers_pkey", ("id",))]),
    "crossings of payouts": (
        payouts.SQL["crossings"],
        [
            ("payouts_pkey", ("id",)),
            ("instructions_pkey", ("id",)),
            ("choices_pkey", ("id", "number")),
        ],
    ),
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
    # Reconciliation: each part of a day, of however long a past.
    "operations of a statement": (
        reconciliation.SQL["lines"],
        [("rail_lines_pkey", ("provider", "day"))],
    ),
    "completed of a day": (
        reconciliation.SQL["completed"],
        [("instructions_completed_idx", ("connector", "ended_at"))],
    ),
    "lines of references": (
        reconciliation.SQL["theirs"],
        [("rail_lines_reference_idx", ("provider", "reference"))],
    ),
    "operations of references": (
        reconciliation.SQL["ours"],
        [("instructions_reference_idx", ("reference",)), ("choices_reference_idx", ("reference",))],
    ),
    "breaks of references": (reconciliation.SQL["standing"], [("breaks_pkey", ("key",))]),
    "late answers": (
        instructions.SQL["record_late_answer"],
        [("instructions_pkey", ("id",)), ("attempts_pkey", ("number",))],
    ),
    "refunds of a page": (
        refunds.SQL["of_ids"],
        [("refunds_pkey", ("id",)), ("instructions_pkey", ("id",))],
    ),
    # One transaction's story, and whether a page that is looked at is still as it was.
    "entries of an operation": (
        transactions.SQL["entries"],
        [("entries_pkey", ("operation_id",))],
    ),
    "lines of an operation": (
        transactions.SQL["lines"],
        [("accounts_pkey", ("code",)), ("postings_pkey", ("account", "version"))],
    ),
    "choices of an operation": (transactions.SQL["choices"], [("choices_pkey", ("id",))]),
    "event of an operation": (
        transactions.SQL["event"],
        [("events_operation_key", ("operation_id",))],
    ),
    "states of what is looked at": (
        transactions.SQL["states"],
        [
            ("instructions_pkey", ("id",)),
            ("events_operation_key", ("operation_id",)),
            ("deliveries_pkey", ("id",)),
        ],
    ),
    "how far books have come": (
        transactions.SQL["newest"],
        [
            ("journals_pkey", ("application_id", "environment")),
            ("payments_pkey", ("application_id", "environment")),
            ("events_pkey", ("application_id", "environment")),
        ],
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
    "transfers_external_id_key": (transfers.SQL, 5),
    "payments_external_id_idx": (payments.SQL, 7),
    "payouts_external_id_idx": (payouts.SQL, 7),
    "refunds_external_id_idx": (refunds.SQL, 7),
}

# What the list of transactions can be searched for, and what finds it in every noun that has it.
SEARCHES = {
    "id": {"payments_pkey", "payouts_pkey", "refunds_pkey", "transfers_pkey"},
    "suffix": {
        "payments_suffix_idx",
        "payouts_suffix_idx",
        "refunds_suffix_idx",
    },
    "external_id": set(LISTS),
    "phone_number": {"payments_phone_idx", "payouts_phone_idx", "refunds_phone_idx"},
    "chosen_number": {"choices_phone_idx"},
}

# A year of a merchant's operations, three an hour, with the identifiers that they would have.
YEAR = datetime(2025, 6, 23, tzinfo=UTC)
A_YEAR = """
    with old as materialized (
        select * from unnest($2::uuid[], $3::timestamptz[]) with ordinality as made (id, at, number)
    ),
    instructed as (
        insert into instructions (
            application_id, environment, id, type, reference, provider, phone_number, currency,
            amount, status, next_action, ended_at
        )
        select
            $1, 'TEST', id, type, gen_random_uuid(), 'MTN_MOMO_CMR', '1', 'XAF', 100, 'CANCELLED',
            'submit', at
        from old
        cross join (values ('DEPOSIT'), ('PAYOUT')) as types (type)
        where (number % 2 = 0) = (type = 'DEPOSIT')
    ),
    paid as (
        insert into payments (
            application_id, environment, id, suffix, external_id, provider, country, phone_number,
            currency, amount, fee, created_at
        )
        select
            $1, 'TEST', id, number, number, 'MTN_MOMO_CMR', 'CMR', '1', 'XAF', 100, 5, at
        from old where number % 2 = 0
    ),
    withdrawn as (
        insert into payouts (
            application_id, environment, id, suffix, source_country, provider, country,
            phone_number, currency, amount, fee, payout_currency, payout_amount, rate, rate_source,
            rate_as_of, rate_margin_bps, created_at
        )
        select
            $1, 'TEST', id, number, 'CMR', 'MTN_MOMO_CMR', 'CMR', '1', 'XAF', 100, 5, 'XAF', 95, 1,
            'none', at, 0, at
        from old where number % 2 = 1
    )
    insert into transfers (
        application_id, environment, id, destination_id, suffix, source_country, source_currency,
        source_amount, destination_country, destination_currency, destination_amount, rate,
        rate_source, rate_as_of, rate_margin_bps, created_at
    )
    select
        $1, 'TEST', id, gen_random_uuid(), number, 'CMR', 'XAF', 100, 'GAB', 'XAF', 100, 1, 'none',
        at, 0, at
    from old where number % 2 = 0
"""


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, size=2) as opened:
        yield opened


async def kept_plan(database: Database, sql: str) -> str:
    """The plan that a session of ours makes of a statement and keeps."""
    async with database.connection() as connection:
        return await plan_of(connection, sql)


async def plan_of(connection: Connection, sql: str) -> str:
    """The plan that a connection makes of a statement for whatever values."""
    parameters = ["null" for _ in range(max(map(int, re.findall(r"\$(\d+)", sql)), default=0))]
    given = f"({', '.join(parameters)})" if parameters else ""
    await connection.execute(f"prepare kept as {sql}")
    rows = await connection.fetch(f"explain execute kept{given}")
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
        found = [
            re.search(
                rf"Index {only}Scan (?:Backward )?using {index} .*\n\s*Index Cond: (.*)", plan
            )
            for only in ("", "Only ")
        ]
        used = found[0] or found[1]
        assert used, plan
        assert all(re.search(rf"\b{column} [<=>]", used[1]) for column in columns), plan


# Where each account ends is one look-up for an account, and there is no other way to join that.
LOOKED_UP = {"balances_recomputed"}
CHECKS = [
    *described(journal.WINDOWS),
    *described(journal.CHAINS),
    *(check for check in checks() if check.name not in LOOKED_UP),
]


@pytest.mark.parametrize("check", CHECKS, ids=lambda check: check.name)
async def test_verify_joins_no_rows_one_by_one(database_url: str, check: Check) -> None:
    """Of tables that were never analysed, as those of a first busy hour."""
    async with snapshot(database_url) as connection:
        plan = await plan_of(connection, check.sql)

    assert "Nested Loop" not in plan, plan


async def test_entries_would_be_joined_to_their_postings_one_by_one(database: Database) -> None:
    async with database.connection() as connection:
        assert "Nested Loop" in await plan_of(connection, journal.CHAINS["entries_chained"])


async def test_paused_endpoints_are_found_without_those_that_do_well(database: Database) -> None:
    plan = await kept_plan(database, webhooks.SQL["paused"])

    assert "using webhook_endpoints_paused_idx" in plan
    assert not re.search(r"(Seq Scan|Bitmap Heap Scan) on", plan), plan


@pytest.mark.parametrize("index", LISTS)
async def test_a_list_with_an_external_id_is_read_by_its_index(
    database: Database, index: str
) -> None:
    queries, others = LISTS[index]

    assert index in await list_plan(database, queries, "order-1", others)
    assert index not in await list_plan(database, queries, None, others)


@pytest.fixture
async def year(database: Database, database_url: str) -> Book:
    """The book of a merchant who has been here for a year; nothing was analysed since."""
    book = Book(UUID(int=1), Environment.TEST)
    connection = await asyncpg.connect(database_url)
    moments = [YEAR + number * timedelta(minutes=20) for number in range(26_280)]
    await connection.execute(
        A_YEAR, book.application_id, [first_id(moment) for moment in moments], moments
    )
    await connection.close()
    return book


@pytest.mark.parametrize("analysed", [False, True], ids=["never analysed", "analysed"])
async def test_a_day_long_ago_is_read_without_all_that_came_since(
    database: Database, database_url: str, year: Book, analysed: bool
) -> None:
    if analysed:
        connection = await asyncpg.connect(database_url)
        await connection.execute("analyze")
        await connection.close()
    noon = YEAR + timedelta(days=182, hours=12)
    wanted = Filter(since=noon, until=noon + timedelta(days=1), limit=100)
    looked_at: dict[str, int] = {}

    async with listened(database, looked_at):
        of_payments = await TrackedRows(database, payments.SQL, payments.read).page(year, wanted)
        of_payouts = await TrackedRows(database, payouts.SQL, payouts.read).page(year, wanted)
        of_transfers = await transfers.page(database, year, wanted)

    # Thirty-six of each in a day, and those of the week before, whose time may have come late.
    assert len(of_payments) == len(of_payouts) == len(of_transfers) == 36
    assert set(looked_at) == {"payments", "payouts", "transfers"}
    assert all(36 <= rows <= 8 * 36 + 2 for rows in looked_at.values()), looked_at


@pytest.mark.parametrize("sought", SEARCHES)
async def test_the_transactions_that_a_text_names_are_found_by_its_indexes(
    database: Database, sought: str
) -> None:
    text = UUID(int=2) if sought == "id" else "237653456789"
    asked = [text if name == sought else None for name in SEARCHES]
    rows = await database.search(
        "explain " + transactions.SQL["list"],
        UUID(int=1),
        Environment.TEST,
        *[None] * 7,
        *asked,
        51,
    )
    plan = "\n".join(row[0] for row in rows)
    found = re.findall(
        r"Index (?:Only )?Scan (?:Backward )?using (\w+) .*\n\s*Index Cond: (.*)", plan
    )
    column = {"chosen_number": "phone_number"}.get(sought, sought)
    used = {index for index, condition in found if re.search(rf"\b{column} =", condition)}
    assert SEARCHES[sought] <= used, plan
    assert not re.search(r"(Seq Scan|Bitmap Heap Scan) on", plan), plan


async def test_the_newest_transactions_of_a_year_are_read_without_the_rest(
    database: Database, year: Book
) -> None:
    rows = await database.search(
        "explain (analyze, format json) " + transactions.SQL["list"],
        year.application_id,
        year.environment,
        *[None] * 12,
        51,
    )
    plan = json.loads(rows[0][0])[0]["Plan"]
    for table in ("payments", "payouts", "transfers"):
        assert sum(_rows_of(table, plan)) <= 2 * 51, (table, plan)


# A wallet with a line every quarter of an hour, each with its other side.
A_LONG_CHAIN = """
    with old as (
        select number, md5('operation' || number)::uuid as id from generate_series(1, $2) as number
    ),
    opened as (
        insert into accounts (application_id, environment, code, currency, balance, version)
        values ($1, 'TEST', 'wallet:CMR', 'XAF', $2, $2)
    )
    insert into postings (
        application_id, environment, operation_id, step, account, currency, amount, balance_after,
        version, at
    )
    select
        $1, 'TEST', id, 1, account, 'XAF', sign, sign * number, number,
        $3::timestamptz + number * interval '15 minutes'
    from old
    cross join (values ('wallet:CMR', 1), ('provider:X', -1)) as sides (account, sign)
"""


async def test_balances_of_a_year_are_found_in_a_few_steps_each(
    database: Database, database_url: str
) -> None:
    lines, days = 20_000, 30
    book = Book(UUID(int=1), Environment.TEST)
    connection = await asyncpg.connect(database_url)
    await connection.execute(A_LONG_CHAIN, book.application_id, lines, YEAR)
    await connection.close()
    moments = [YEAR + number * timedelta(days=7) for number in range(days)]

    held = await statements.balances(database, book, ["CMR", "SEN"], moments)
    plan = await database.search(
        f"explain (analyze, format json) {statements.SQL['balances']}",
        book.application_id,
        book.environment,
        ["wallet:CMR"],
        moments,
    )

    a_week = 7 * 24 * 4
    assert held["CMR"] == [max(0, min(lines, number * a_week - 1)) for number in range(days)]
    assert held["SEN"] == [0] * days
    looked_at = sum(_rows_of("postings", json.loads(plan[0][0])[0]["Plan"]))
    # Halving 20,000 lines takes 15 steps, and the line that was found is read once more.
    assert days * 10 < looked_at <= days * 16


@asynccontextmanager
async def listened(database: Database, looked_at: dict[str, int]) -> AsyncIterator[None]:
    """Notes of each search how many rows of its noun's table were looked at."""
    search = database.search

    async def explained(sql: str, *arguments: object) -> Sequence[Row]:
        noun = re.search(r"\bfrom (\w+)", sql)
        assert noun, sql
        plan = await search(f"explain (analyze, format json) {sql}", *arguments)
        looked_at[noun[1]] = sum(_rows_of(noun[1], json.loads(plan[0][0])[0]["Plan"]))
        return await search(sql, *arguments)

    with patch.object(database, "search", explained):
        yield


def _rows_of(table: str, node: dict[str, Any]) -> Iterator[int]:
    """How many rows each part of a plan took out of a table, or left there."""
    if node.get("Relation Name") == table:
        rows = node["Actual Rows"] + node.get("Rows Removed by Filter", 0)
        yield round(rows * node["Actual Loops"])
    for part in node.get("Plans", []):
        yield from _rows_of(table, part)


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
