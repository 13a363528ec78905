"""Files from the real server: in chunks, broken off visibly, and given up when nobody reads on."""

from __future__ import annotations

import asyncio
import csv
import http.client
import io
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest

from kpay.core.page import OF_FILE
from tests.system.program import START_SECONDS, Program, Server, key_headers, wait_for

PATH = "/api/v1/payments/export"
# A file larger than all that lies between two programs, so that it waits for who reads it.
ROWS = 10_000
LINES = """
    with fresh as (
        select
            uuidv7() as id, number, repeat('description ', 80) as description, now() as at
        from generate_series(1, $2) as number
    ),
    instructed as (
        insert into instructions (
            application_id, environment, id, type, claimed_external_id, reference, provider,
            phone_number, currency, amount, status, next_action, ended_at
        )
        select
            $1, 'TEST', id, 'DEPOSIT', number, id, 'MTN_MOMO_CMR', '1', 'XAF', 100, 'CANCELLED',
            'submit', at
        from fresh
    )
    insert into payments (
        application_id, environment, id, suffix, external_id, provider, country, phone_number,
        currency, amount, fee, description, created_at
    )
    select
        $1, 'TEST', id, number, number, 'MTN_MOMO_CMR', 'CMR', '1', 'XAF', 100, 5, description, at
    from fresh
"""


@pytest.fixture
def served(
    program: Program, database_url: str, tmp_path: Path
) -> Iterator[tuple[Server, dict[str, str], Path]]:
    """A server on a database of its own, the keys to very many payments, and its log."""
    log = tmp_path / "server.log"
    own = replace(
        program,
        home=tmp_path,
        extra={**program.extra, "KPAY_DATABASE_URL": database_url, "KPAY_LOG_LEVEL": "info"},
        log=log,
    )
    made = own.json("app", "create", "--company", "Files", "--name", "one")
    asyncio.run(execute(database_url, LINES, UUID(made["application"]["id"]), ROWS))
    with own.serving("api") as server:
        yield server, key_headers(made["test"]), log


async def execute(url: str, sql: str, *arguments: object) -> None:
    connection = await asyncpg.connect(url)
    await connection.execute(sql, *arguments)
    await connection.close()


def asked(server: Server, keys: dict[str, str]) -> http.client.HTTPConnection:
    connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=START_SECONDS)
    connection.request("GET", PATH, headers=keys)
    return connection


def test_a_file_arrives_whole_in_chunks_and_is_given_up_with_its_client(
    served: tuple[Server, dict[str, str], Path],
) -> None:
    server, keys, log = served
    with closing(asked(server, keys)) as connection:
        answer = connection.getresponse()
        data = answer.read().decode()

    assert answer.status == 200
    assert answer.headers["Transfer-Encoding"] == "chunked"
    assert answer.headers["Content-Type"] == "text/csv; charset=utf-8"
    rows = list(csv.DictReader(io.StringIO(data, newline="")))
    assert {row["externalId"] for row in rows} == {str(number + 1) for number in range(ROWS)}
    assert len(rows) == ROWS

    # Nor is anything made for a client that has gone.
    with closing(asked(server, keys)) as connection:
        connection.getresponse().read(OF_FILE)

    wait_for(lambda: "download_abandoned" in log.read_text(), START_SECONDS)
    assert "download_broken" not in log.read_text()
    assert server.request("GET", "/api/v1/payments/balance", None, keys) == (200, [])


def test_a_file_that_breaks_in_the_middle_is_no_whole_file_to_any_client(
    served: tuple[Server, dict[str, str], Path], database_url: str
) -> None:
    server, keys, log = served
    with closing(asked(server, keys)) as connection:
        answer = connection.getresponse()
        begun = answer.read(OF_FILE)
        # What the next pages would be read from is gone.
        asyncio.run(execute(database_url, "alter table instructions rename to hidden"))
        with pytest.raises(http.client.IncompleteRead):
            answer.read()

    assert begun.startswith(b"id,")
    wait_for(lambda: "download_broken" in log.read_text(), START_SECONDS)
    assert server.request("GET", "/api/v1/payments/balance", None, keys) == (200, [])
