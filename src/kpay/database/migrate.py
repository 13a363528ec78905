"""Migrations: plain numbered SQL files, forward only, run at start under a lock.

Each file runs in a transaction of its own and leaves a row with its checksum. A schema newer than
this program, or a file that was changed after it ran, is refused with one sentence: the wrong
program on the right database is how balances are lost.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kpay.database.pool import Connection, connect

FOLDER = Path(__file__).with_name("migrations")

LEAST_SERVER = 18

# An arbitrary number that names this lock; every program on this database takes the same one.
SCHEMA_LOCK = 7_262_110

_TABLE = """
create table schema_migrations (
    number integer constraint schema_migrations_pkey primary key,
    name text not null,
    checksum text not null,
    applied_at timestamptz not null default now()
)
"""


class MigrationError(Exception):
    """The database cannot be used by this program; the message says why and what to do."""


@dataclass(frozen=True, slots=True)
class Migration:
    number: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(folder: Path = FOLDER) -> list[Migration]:
    """Every migration that this program knows, in order."""
    found = []
    for path in sorted(folder.glob("*.sql")):
        number, _, name = path.stem.partition("_")
        found.append(Migration(int(number), name, path.read_text(encoding="utf-8")))
    return found


async def migrate(
    url: str,
    known: Sequence[Migration] | None = None,
    progress: Callable[[str], None] | None = None,
) -> int:
    """Bring the database to this program's schema. Returns how many migrations ran."""
    wanted = migrations() if known is None else known
    connection = await connect(url)
    try:
        check_server(connection.get_server_version().major)
        await connection.execute("select pg_advisory_lock($1)", SCHEMA_LOCK)
        # Asked first: a role that may not create tables can still see that there is nothing to do.
        if await connection.fetchval("select to_regclass('schema_migrations')") is None:
            await connection.execute(_TABLE)
        applied = await connection.fetch(
            "select number, name, checksum from schema_migrations order by number"
        )
        _check({row["number"]: (row["name"], row["checksum"]) for row in applied}, wanted)
        pending = wanted[len(applied) :]
        if pending:
            await _check_rights(connection)
        for migration in pending:
            if progress:
                progress(f"migration {migration.number:04d}: {migration.name.replace('_', ' ')}")
            await _apply(connection, migration)
        return len(pending)
    finally:
        await connection.close()


async def _check_rights(connection: Connection) -> None:
    """Say in one sentence what the first statement of a migration would be refused for."""
    if not await connection.fetchval(
        "select has_schema_privilege(current_schema(), 'CREATE') "
        "and pg_has_role(current_user, relowner, 'MEMBER') "
        "from pg_class where oid = 'schema_migrations'::regclass"
    ):
        raise MigrationError(
            "The database's schema has to be migrated and this role may not: set "
            "KPAY_MIGRATION_URL to the address of the schema's owner for this start."
        )


def check_server(major: int) -> None:
    """Say at once what the first statement that an old server does not know would say badly."""
    if major < LEAST_SERVER:
        raise MigrationError(
            f"KPay needs PostgreSQL {LEAST_SERVER} or newer and this server is {major}: upgrade "
            "it, or leave KPAY_DATABASE_URL out to use the embedded one."
        )


def _check(applied: dict[int, tuple[str, str]], wanted: Sequence[Migration]) -> None:
    newest = wanted[-1].number if wanted else 0
    if applied and max(applied) > newest:
        raise MigrationError(
            f"The database's schema is at version {max(applied)} and this program knows only "
            f"{newest}: install the newer kpay that migrated it."
        )
    for migration in wanted[: len(applied)]:
        name, checksum = applied.get(migration.number, ("", ""))
        if checksum != migration.checksum:
            raise MigrationError(
                f"Migration {migration.number:04d} ({name or 'missing'}) was not run as this "
                "program has it: use the program that made this database, or another KPAY_HOME."
            )


async def _apply(connection: Connection, migration: Migration) -> None:
    async with connection.transaction():
        await connection.execute("set local lock_timeout = '10s'")
        await connection.execute(migration.sql)
        await connection.execute(
            "insert into schema_migrations (number, name, checksum) values ($1, $2, $3)",
            migration.number,
            migration.name,
            migration.checksum,
        )
