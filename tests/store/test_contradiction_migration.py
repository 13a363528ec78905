"""Answers that spoke against an end before there were contradictions: 0019 finds each of them."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import asyncpg

from kpay.database.migrate import migrate, migrations

AT = datetime(2026, 6, 23, 10, tzinfo=UTC)
APPLICATION = UUID(int=1)

# How an operation ended, what came late, and what that is found to be; None is no contradiction.
PAST = [
    ("FAILED", None, "paid", "paid_after_failed"),
    ("CANCELLED", None, "paid", "paid_after_cancelled"),
    ("COMPLETED", None, "refused", "refused_after_completed"),
    ("COMPLETED", 1, "paid", "paid_after_refused"),
    ("COMPLETED", 1, "refused", None),
    ("COMPLETED", None, "paid", None),
    ("FAILED", None, "refused", None),
    ("FAILED", None, "unknown", None),
    ("COMPLETED", None, "not_found", None),
]


async def keep_the_past(connection: asyncpg.Connection[asyncpg.Record]) -> None:
    for number, (status, earlier, outcome, _) in enumerate(PAST, 1):
        await connection.execute(
            """
            insert into instructions (
                application_id, environment, id, type, reference, provider, phone_number, currency,
                amount, status, failure_code, next_action, ended_at, choice, earlier_attempts
            )
            values (
                $1, 'TEST', $2, 'PAYOUT', $2, 'X', '1', 'XAF', 100, $3::text::instruction_status,
                case when $3::text = 'FAILED' then 'X' end, 'check', $4,
                case when $5::int is not null then 2 end, $5
            )
            """,
            APPLICATION,
            UUID(int=number),
            status,
            AT,
            earlier,
        )
        await connection.execute(
            """
            insert into attempts (
                application_id, environment, instruction_id, number, action, connector, sent,
                sent_at, outcome, answer, answered_at
            )
            values (
                $1, 'TEST', $2, 1, 'submit', 'rail', jsonb_build_object('reference', $2::uuid), $3,
                $4, '{"told": "late"}', $3
            )
            """,
            APPLICATION,
            UUID(int=number),
            AT,
            outcome,
        )


async def test_what_contradicts_an_end_of_the_past_is_held_with_its_evidence(
    database_url: str,
) -> None:
    connection = await asyncpg.connect(database_url)
    await connection.execute("drop schema public cascade; create schema public")
    await migrate(database_url, [one for one in migrations() if one.number < 19])
    await keep_the_past(connection)

    await migrate(database_url)

    rows = await connection.fetch("select * from contradictions order by instruction_id")
    assert {row["instruction_id"].int: row["what"] for row in rows} == {
        number: what for number, (*_, what) in enumerate(PAST, 1) if what is not None
    }
    assert {row["evidence"] for row in rows} == {'{"told": "late"}'}
    assert {row["found_at"] for row in rows} == {AT}
    await connection.close()
