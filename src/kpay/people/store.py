"""The SQL of people, sessions, memberships, invitations and links."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kpay.core.refusals import Code
from kpay.database.pool import Connection, Database, Row
from kpay.database.queries import beside
from kpay.people.model import (
    Colleague,
    Invitation,
    Member,
    Membership,
    OperatorRole,
    Person,
    RefusedSignIn,
    Role,
)

SQL = beside(__file__)


class Account(msgspec.Struct, frozen=True):
    """A person with what proves that it is the person."""

    person: Person
    companies: tuple[UUID, ...]
    password_hash: str | None
    factor_version: int | None
    factor_offered: int


class Found(msgspec.Struct, frozen=True):
    """A session as it stands, whether it is over or not."""

    id: UUID
    account: Account
    memberships: tuple[Membership, ...]
    created_at: datetime
    seen_at: datetime
    second_factor_at: datetime | None
    device: str | None
    address: str | None


class Listed(msgspec.Struct, frozen=True):
    """A person as the operator's list shows one, with the companies' names."""

    person: Person
    has_password: bool
    roles: tuple[tuple[str, Role], ...]


class NewInvitation(msgspec.Struct, frozen=True):
    id: UUID
    company_id: UUID
    email: str
    role: Role
    token_hash: bytes
    invited_by: UUID
    created_at: datetime
    ends_at: datetime


# Failures.


async def count_failures(
    connection: Connection,
    now: datetime,
    subjects: Sequence[tuple[str, bytes]],
    ends: Sequence[datetime],
) -> list[tuple[str, int, datetime]]:
    """Count in each; answers the scope, how many that makes, and until when they count."""
    scopes, hashes = [scope for scope, _ in subjects], [subject for _, subject in subjects]
    rows = await connection.fetch(SQL["count_failures"], now, scopes, hashes, ends)
    return [(row["scope"], row["failures"], row["ends_at"]) for row in rows]


async def uncount_failures(database: Database, subjects: Sequence[tuple[str, bytes]]) -> None:
    scopes, hashes = [scope for scope, _ in subjects], [subject for _, subject in subjects]
    await database.execute(SQL["uncount_failures"], scopes, hashes)


async def insert_refusal(
    database: Database,
    identifier: UUID,
    at: datetime,
    person_id: UUID | None,
    address: str | None,
    code: Code,
) -> None:
    await database.execute(SQL["insert_refusal"], identifier, at, person_id, address, code)


async def list_refusals(database: Database, limit: int) -> list[RefusedSignIn]:
    return [
        RefusedSignIn(
            at=row["at"],
            address=row["address"],
            code=row["code"],
            person_id=row["person_id"],
            name=row["name"],
            email=row["email"],
            is_staff=row["is_staff"],
            is_disabled=row["is_disabled"],
        )
        for row in await database.fetch(SQL["list_refusals"], limit)
    ]


async def sweep_refusals(database: Database, before: UUID, limit: int) -> int:
    removed = await database.execute(SQL["sweep_refusals"], before, limit)
    return int(removed.split()[-1])


async def sweep(database: Database, now: datetime, sessions_before: datetime, limit: int) -> int:
    """Forget counts and sessions that are over, up to `limit` of each. Returns how many."""
    counts = await database.execute(SQL["sweep_failures"], now, limit)
    sessions = await database.execute(SQL["sweep_sessions"], sessions_before, limit)
    return int(counts.split()[-1]) + int(sessions.split()[-1])


# People.


async def of_email(source: Database | Connection, email: str) -> Account | None:
    row = await source.fetchrow(SQL["of_email"], email)
    return None if row is None else _account(row)


async def of_id(source: Database | Connection, person_id: UUID) -> Account | None:
    row = await source.fetchrow(SQL["of_id"], person_id)
    return None if row is None else _account(row)


async def list_people(database: Database) -> list[Listed]:
    return [
        Listed(
            _person(row),
            row["password_hash"] is not None,
            tuple((company, Role(role)) for company, role in row["roles"]),
        )
        for row in await database.read(SQL["list_people"])
    ]


async def list_colleagues(
    database: Database, now: datetime, begun_after: datetime, seen_after: datetime
) -> list[Colleague]:
    """The operator's staff by name; sessions are those that began and were seen since then."""
    rows = await database.fetch(SQL["list_colleagues"], now, begun_after, seen_after)
    return [
        Colleague(
            person=_person(row),
            role=OperatorRole(row["operator_role"]),
            since=row["created_at"],
            has_password=row["password_hash"] is not None,
            link_until=row["link_until"],
            sessions=row["sessions"],
            seen_at=row["seen_at"],
        )
        for row in rows
    ]


async def hold_staff(connection: Connection) -> dict[UUID, OperatorRole]:
    """Take a turn at the operator's staff. Those who can sign in, with the role of each."""
    rows = await connection.fetch(SQL["hold_staff"])
    return {
        row["id"]: OperatorRole(row["operator_role"]) for row in rows if row["disabled_at"] is None
    }


async def insert_person(
    connection: Connection, person: Person, password_hash: str | None, at: datetime
) -> bool:
    """False when there is a person of that email."""
    inserted = await connection.fetchval(
        SQL["insert_person"],
        person.id,
        person.email,
        person.name,
        person.language,
        person.operator_role,
        password_hash,
        at,
    )
    return inserted is not None


async def change_person(
    connection: Connection, person_id: UUID, name: str, language: str | None
) -> None:
    await connection.execute(SQL["change_person"], person_id, name, language)


async def set_operator_role(connection: Connection, person_id: UUID, role: OperatorRole) -> bool:
    changed = await connection.fetchval(SQL["set_operator_role"], person_id, role)
    return changed is not None


async def replace_password(
    source: Database | Connection, person_id: UUID, known: str, new: str
) -> bool:
    """False when the hash in force is another by now."""
    return await source.fetchval(SQL["replace_password"], person_id, known, new) is not None


async def set_password(connection: Connection, person_id: UUID, new: str) -> bool:
    """False when the person was disabled."""
    return await connection.fetchval(SQL["set_password"], person_id, new) is not None


async def set_disabled(connection: Connection, person_id: UUID, at: datetime | None) -> None:
    await connection.execute(SQL["set_disabled"], person_id, at)


async def still_right(connection: Connection, person_id: UUID, known: str) -> bool:
    return await connection.fetchval(SQL["still_right"], person_id, known) is not None


# The second factor.


async def offer_factor(connection: Connection, person_id: UUID) -> int | None:
    offered: int | None = await connection.fetchval(SQL["offer_factor"], person_id)
    return offered


async def confirm_factor(
    connection: Connection, person_id: UUID, version: int, at: datetime, step: int
) -> bool:
    """False when it is in force already, or another was offered since."""
    confirmed = await connection.fetchval(SQL["confirm_factor"], person_id, version, at, step)
    return confirmed is not None


async def remove_factor(connection: Connection, person_id: UUID) -> bool:
    await connection.execute(SQL["remove_recovery_codes"], person_id)
    return await connection.fetchval(SQL["remove_factor"], person_id) is not None


async def use_step(connection: Connection, person_id: UUID, version: int, step: int) -> bool:
    return await connection.fetchval(SQL["use_step"], person_id, version, step) is not None


async def use_recovery_code(
    connection: Connection, person_id: UUID, code_hash: bytes, at: datetime
) -> bool:
    used = await connection.fetchval(SQL["use_recovery_code"], person_id, code_hash, at)
    return used is not None


async def recovery_codes_left(source: Database | Connection, person_id: UUID) -> int:
    left: int = await source.fetchval(SQL["count_recovery_codes"], person_id)
    return left


async def replace_recovery_codes(
    connection: Connection, person_id: UUID, hashes: Sequence[bytes]
) -> None:
    await connection.execute(SQL["remove_recovery_codes"], person_id)
    await connection.execute(SQL["insert_recovery_codes"], person_id, hashes)


# Sessions.


async def insert_session(
    connection: Connection,
    session_id: UUID,
    person_id: UUID,
    token_hash: bytes,
    at: datetime,
    device: str | None,
    address: str | None,
    agent: str,
) -> None:
    await connection.execute(
        SQL["insert_session"], session_id, person_id, token_hash, at, device, address, agent
    )


async def find_session(database: Database, token_hash: bytes) -> Found | None:
    row = await database.fetchrow(SQL["find_session"], token_hash)
    if row is None:
        return None
    memberships = tuple(
        Membership(UUID(company_id), name, Role(role), approved == "true")
        for company_id, name, role, approved in row["memberships"]
    )
    return Found(
        id=row["session_id"],
        account=Account(
            _person(row),
            tuple(membership.company_id for membership in memberships),
            row["password_hash"],
            row["factor_version"],
            row["factor_offered"],
        ),
        memberships=memberships,
        created_at=row["began_at"],
        seen_at=row["seen_at"],
        second_factor_at=row["second_factor_at"],
        device=row["device"],
        address=row["address"],
    )


async def see_session(database: Database, session_id: UUID, at: datetime) -> None:
    await database.execute(SQL["see_session"], session_id, at)


async def hold_person(connection: Connection, person_id: UUID) -> bool:
    """False when the person was disabled."""
    return await connection.fetchval(SQL["hold_person"], person_id) is not None


async def session_holds(connection: Connection, session_id: UUID) -> bool:
    return await connection.fetchval(SQL["session_holds"], session_id) is not None


async def prove_session(
    connection: Connection, session_id: UUID, at: datetime, token_hash: bytes
) -> bool:
    return await connection.fetchval(SQL["prove_session"], session_id, at, token_hash) is not None


async def mark_proved(connection: Connection, session_id: UUID, at: datetime) -> None:
    await connection.execute(SQL["mark_proved"], session_id, at)


async def list_sessions(database: Database, person_id: UUID) -> Sequence[Row]:
    return await database.fetch(SQL["list_sessions"], person_id)


async def end_session(connection: Connection, person_id: UUID, session_id: UUID) -> bool:
    return await connection.fetchval(SQL["end_session"], person_id, session_id) is not None


async def end_sessions(connection: Connection, person_id: UUID, keep: UUID | None = None) -> int:
    return len(await connection.fetch(SQL["end_sessions"], person_id, keep))


# Companies' people.


async def lock_company(connection: Connection, company_id: UUID) -> Row | None:
    return await connection.fetchrow(SQL["lock_company"], company_id)


async def role_of(connection: Connection, company_id: UUID, person_id: UUID) -> Role | None:
    role = await connection.fetchval(SQL["role_of"], company_id, person_id)
    return None if role is None else Role(role)


async def insert_member(
    connection: Connection, company_id: UUID, person_id: UUID, role: Role, at: datetime
) -> bool:
    """False when the person is a member already."""
    inserted = await connection.fetchval(SQL["insert_member"], company_id, person_id, role, at)
    return inserted is not None


async def change_role(
    connection: Connection, company_id: UUID, person_id: UUID, role: Role
) -> None:
    await connection.execute(SQL["change_role"], company_id, person_id, role)


async def remove_member(connection: Connection, company_id: UUID, person_id: UUID) -> None:
    await connection.execute(SQL["remove_member"], company_id, person_id)


async def list_members(database: Database, company_id: UUID) -> list[Member]:
    rows = await database.fetch(SQL["list_members"], company_id)
    return [Member(_person(row), Role(row["role"]), row["since"]) for row in rows]


async def count_members(database: Database, companies: Sequence[UUID]) -> dict[UUID, int]:
    rows = await database.fetch(SQL["count_members"], list(companies))
    return {row["company_id"]: row["members"] for row in rows}


async def owned_elsewhere(connection: Connection, person_id: UUID, owner_id: UUID) -> bool:
    elsewhere: bool = await connection.fetchval(SQL["owned_elsewhere"], person_id, owner_id)
    return elsewhere


# Invitations.


async def insert_invitation(connection: Connection, new: NewInvitation) -> None:
    """The newest of its address; those before it end."""
    await connection.execute(SQL["withdraw_invitations"], new.company_id, new.email, new.created_at)
    await connection.execute(
        SQL["insert_invitation"],
        new.id,
        new.company_id,
        new.email,
        new.role,
        new.token_hash,
        new.invited_by,
        new.created_at,
        new.ends_at,
    )


async def withdraw_invitation(
    connection: Connection, company_id: UUID, invitation_id: UUID, at: datetime
) -> str | None:
    """Whose it was, or None when it is open no more."""
    email: str | None = await connection.fetchval(
        SQL["withdraw_invitation"], company_id, invitation_id, at
    )
    return email


async def list_invitations(database: Database, company_id: UUID, now: datetime) -> list[Invitation]:
    rows = await database.fetch(SQL["find_invitations"], company_id, None, now)
    return [_invitation(row) for row in rows]


async def find_invitation(
    source: Database | Connection, token_hash: bytes, now: datetime
) -> Invitation | None:
    row = await source.fetchrow(SQL["find_invitations"], None, token_hash, now)
    return None if row is None else _invitation(row)


async def accept_invitation(connection: Connection, invitation_id: UUID, at: datetime) -> bool:
    return await connection.fetchval(SQL["accept_invitation"], invitation_id, at) is not None


# Links to set a password with.


async def insert_link(
    connection: Connection,
    link_id: UUID,
    person_id: UUID,
    token_hash: bytes,
    made_by: UUID | None,
    at: datetime,
    ends_at: datetime,
) -> None:
    """The person's only one; those before it end."""
    await connection.execute(SQL["withdraw_links"], person_id, at)
    await connection.execute(
        SQL["insert_link"], link_id, person_id, token_hash, made_by, at, ends_at
    )


async def withdraw_links(connection: Connection, person_id: UUID, at: datetime) -> None:
    """Those that set the person's own password."""
    await connection.execute(SQL["withdraw_links"], person_id, at)


async def withdraw_links_made_by(connection: Connection, person_id: UUID, at: datetime) -> None:
    await connection.execute(SQL["withdraw_links_made_by"], person_id, at)


async def find_link(database: Database, token_hash: bytes, now: datetime) -> UUID | None:
    person_id: UUID | None = await database.fetchval(SQL["find_link"], token_hash, now)
    return person_id


async def use_link(connection: Connection, token_hash: bytes, at: datetime) -> UUID | None:
    person_id: UUID | None = await connection.fetchval(SQL["use_link"], token_hash, at)
    return person_id


def _person(row: Row) -> Person:
    operator_role = row["operator_role"]
    return Person(
        id=row["id"],
        email=row["email"],
        name=row["name"],
        language=row["language"],
        operator_role=None if operator_role is None else OperatorRole(operator_role),
        disabled_at=row["disabled_at"],
        factor_since=row["factor_since"],
    )


def _account(row: Row) -> Account:
    return Account(
        _person(row),
        tuple(row["companies"]),
        row["password_hash"],
        row["factor_version"],
        row["factor_offered"],
    )


def _invitation(row: Row) -> Invitation:
    return Invitation(
        id=row["id"],
        company_id=row["company_id"],
        company_name=row["company_name"],
        email=row["email"],
        role=Role(row["role"]),
        created_at=row["created_at"],
        ends_at=row["ends_at"],
    )
