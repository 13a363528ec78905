"""The SQL of companies, applications and keys."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kpay.access.model import Application, Company, Key, KeyPair, PublicKey, Terms
from kpay.core.book import Book, Environment
from kpay.core.limits import Limits
from kpay.core.money import Money
from kpay.database.pool import Connection, Database, Row, book_of
from kpay.database.queries import beside

SQL = beside(__file__)


class CompanyFilter(msgspec.Struct, frozen=True):
    """What the list of companies is narrowed to; None narrows nothing.

    `ids` are of companies or of their applications; `after` is the last page's last name.
    """

    limit: int
    text: str | None = None
    ids: Sequence[UUID] | None = None
    approved: bool | None = None
    after: str | None = None


class Listed(msgspec.Struct, frozen=True):
    """A company as the operator's list shows it."""

    company: Company
    created_at: datetime
    applications: int = 0


async def claim_installation(database: Database, fingerprint: str) -> str:
    """The fingerprint on record, which is the given one on a new database."""
    recorded: str = await database.fetchval(SQL["claim_installation"], fingerprint)
    return recorded


async def upsert_company(
    connection: Connection, company_id: UUID, name: str, at: datetime
) -> Company:
    row = await connection.fetchrow(SQL["upsert_company"], company_id, name, at)
    if row is None:
        raise RuntimeError("a company was neither found nor made")
    return _company(row)


async def approve_company(
    connection: Connection, name_or_id: str, at: datetime
) -> tuple[Company, bool] | None:
    """The company, and whether it was approved just now."""
    row = await connection.fetchrow(SQL["approve_company"], name_or_id, at)
    return None if row is None else (_company(row), row["changed"])


async def withdraw_approval(
    connection: Connection, name_or_id: str, at: datetime
) -> tuple[Company, bool, int] | None:
    """The company, whether it was approved until now, and how many pairs of live keys ended."""
    row = await connection.fetchrow(SQL["withdraw_approval"], name_or_id, at)
    return None if row is None else (_company(row), row["changed"], row["keys_ended"])


async def hold_approval(connection: Connection, application_id: UUID) -> bool:
    """Whether the application's company is approved, until the transaction ends."""
    return await connection.fetchval(SQL["hold_approval"], application_id) is not None


async def find_company(database: Database, company_id: UUID) -> Listed | None:
    row = await database.fetchrow(SQL["find_company"], company_id)
    return None if row is None else Listed(_company(row), row["created_at"])


async def list_companies(database: Database, wanted: CompanyFilter) -> list[Listed]:
    """By name; one more than the page holds tells that there is another."""
    rows = await database.search(
        SQL["list_companies"],
        wanted.text,
        wanted.ids,
        wanted.approved,
        wanted.after,
        wanted.limit + 1,
    )
    return [Listed(_company(row), row["created_at"], row["applications"]) for row in rows]


async def insert_application(
    connection: Connection, application: Application, at: datetime
) -> bool:
    """False when the company has an application of that name already."""
    inserted = await connection.fetchval(
        SQL["insert_application"],
        application.id,
        application.company.id,
        application.name,
        application.terms.payment_fee_bps,
        at,
    )
    return inserted is not None


async def find_application(
    source: Database | Connection, application_id: UUID
) -> Application | None:
    row = await source.fetchrow(SQL["find_applications"], application_id, None)
    return None if row is None else _application(row)


async def of_company(database: Database, company_id: UUID) -> list[Application]:
    rows = await database.fetch(SQL["find_applications"], None, company_id)
    return [_application(row) for row in rows]


async def keys_in_force(database: Database, application_id: UUID) -> dict[Environment, PublicKey]:
    rows = await database.fetch(SQL["keys_in_force"], application_id)
    return {
        Environment(row["environment"]): PublicKey(row["api_key"], row["created_at"])
        for row in rows
    }


async def list_applications(database: Database) -> Sequence[Row]:
    return await database.fetch(SQL["list_applications"])


async def hold_application(connection: Connection, application_id: UUID) -> Application | None:
    """An application as it is until the transaction ends: nobody else changes its terms."""
    await connection.execute(SQL["hold_application"], application_id)
    return await find_application(connection, application_id)


async def configure(
    connection: Connection,
    application_id: UUID,
    payment_fee_bps: int | None,
    payout_fee_bps: int | None,
    allowed_providers: Sequence[str] | None,
    rate_limit: int | None,
) -> None:
    await connection.execute(
        SQL["configure_application"],
        application_id,
        payment_fee_bps,
        payout_fee_bps,
        allowed_providers,
        rate_limit,
    )


async def set_limit(
    connection: Connection, application_id: UUID, operation: str, limits: Limits
) -> None:
    await connection.execute(
        SQL["set_limit"],
        application_id,
        operation,
        limits.least.currency,
        limits.least.minor,
        limits.most.minor,
    )


async def lift_limit(
    connection: Connection, application_id: UUID, operation: str, currency: str
) -> None:
    await connection.execute(SQL["lift_limit"], application_id, operation, currency)


async def replace_keys(
    connection: Connection, book: Book, pair: KeyPair, secret_hash: bytes, at: datetime
) -> None:
    """The pair in force ends and the new one begins, in the caller's transaction."""
    await connection.execute(SQL["revoke_keys"], book.application_id, book.environment, at)
    await connection.execute(
        SQL["insert_key"],
        book.application_id,
        book.environment,
        pair.id,
        pair.api_key,
        secret_hash,
        at,
    )


async def find_key(database: Database, api_key: str) -> Key | None:
    row = await database.fetchrow(SQL["find_key"], api_key)
    if row is None:
        return None
    book = book_of(row)
    return Key(row["id"], book, row["company_id"], row["secret_hash"])


async def key_in_force(database: Database, book: Book, key_id: UUID) -> bool:
    holds: bool = await database.fetchval(
        SQL["key_in_force"], book.application_id, book.environment, key_id
    )
    return holds


async def token_keys(database: Database, retired_after: datetime) -> list[UUID]:
    """Newest first. A retired key is listed while tokens that it signed may still hold."""
    return [row["id"] for row in await database.fetch(SQL["token_keys"], retired_after)]


async def insert_token_key(connection: Connection, key_id: UUID, at: datetime) -> None:
    await connection.execute(SQL["insert_token_key"], key_id, at)


async def first_token_key(database: Database, key_id: UUID, at: datetime) -> None:
    await database.execute(SQL["first_token_key"], key_id, at)


def _company(row: Row) -> Company:
    return Company(row["id"], row["name"], row["approved_at"])


def _application(row: Row) -> Application:
    company = Company(row["company_id"], row["company_name"], row["approved_at"])
    return Application(row["id"], row["name"], company, _terms(row))


def _terms(row: Row) -> Terms:
    allowed = row["allowed_providers"]
    return Terms(
        payment_fee_bps=row["payment_fee_bps"],
        payout_fee_bps=row["payout_fee_bps"],
        allowed_providers=None if allowed is None else frozenset(allowed),
        limits={
            (operation, currency): Limits(Money(int(least), currency), Money(int(most), currency))
            for operation, currency, least, most in row["limits"]
        },
        rate_limit=row["rate_limit"],
    )
