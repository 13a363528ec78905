"""The program's own role: it can do what the program does, and cannot touch what was posted.

The schema's owner migrates; the program runs as another role that has no right to write the ledger
but by the functions `post` and `open_accounts` (promise 11; `program_rights`, migration 0010).
The embedded server always has both. On an operator's server they are the roles of
KPAY_MIGRATION_URL and KPAY_DATABASE_URL; where only the second is set, the program is the owner,
and what is written stays written by triggers alone.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from kpay.database.migrate import SCHEMA_LOCK
from kpay.database.pool import Connection, connect

_MAKE_ROLE = """
select format('create role %I login password %L', $1::text, $2::text)
where not exists (select from pg_roles where rolname = $1)
"""

# A table that a migration has just made is one that the role was told nothing of.
_LACKING = """
select not (
    has_function_privilege($1::text, 'post'::regproc, 'execute')
    and bool_and(has_table_privilege($1, pg_class.oid, 'select'))
)
from pg_class
where relkind = 'r' and relnamespace = current_schema()::regnamespace
"""


async def make_role(owner_url: str, role: str, password: str) -> None:
    """A role that can log in and has no rights yet; nothing, where it is there already."""
    async with _alone(owner_url) as owner:
        statement = await owner.fetchval(_MAKE_ROLE, role, password)
        if statement is not None:
            await owner.execute(statement)


async def grant(owner_url: str, program_url: str, *, anew: bool) -> None:
    """Give the second address's role its rights, unless it is the owner or has them.

    They are given `anew` when a migration ran: what is granted may have changed with it.
    """
    program = await connect(program_url)
    try:
        role = await program.fetchval("select current_user::text")
    finally:
        await program.close()
    async with _alone(owner_url) as owner:
        is_owner = await owner.fetchval("select current_user = $1", role)
        if is_owner or not (anew or await owner.fetchval(_LACKING, role)):
            return
        await owner.execute("select grant_to_program($1)", role)


@asynccontextmanager
async def _alone(url: str) -> AsyncIterator[Connection]:
    """A connection on which nobody else migrates or grants meanwhile."""
    connection = await connect(url)
    try:
        await connection.execute("select pg_advisory_lock($1)", SCHEMA_LOCK)
        yield connection
    finally:
        await connection.close()
