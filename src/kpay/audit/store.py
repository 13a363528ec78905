"""The SQL of the audit log."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kpay.audit.model import Action, Actor, AuditFilter, Details, Entry, Subject
from kpay.database.pool import Connection, Database, Row
from kpay.database.queries import beside

SQL = beside(__file__)


async def write(
    connection: Connection,
    lines: Sequence[tuple[UUID, UUID | None]],
    at: datetime,
    actor: Actor,
    action: Action,
    subject: Subject,
    details: Details,
) -> None:
    """Lines of one deed: the id of each, and the company that it concerns."""
    await connection.execute(
        SQL["write"],
        [identifier for identifier, _ in lines],
        [company_id for _, company_id in lines],
        at,
        actor.person_id,
        actor.command,
        actor.api_key,
        actor.address,
        action,
        subject.kind,
        subject.id,
        msgspec.json.encode(details).decode(),
    )


async def page(database: Database, wanted: AuditFilter) -> list[Entry]:
    """One line more than the page holds tells that there is another."""
    rows = await database.search(
        SQL["page"],
        wanted.company_id,
        wanted.person_id,
        wanted.action,
        None if wanted.subject is None else wanted.subject.kind,
        None if wanted.subject is None else wanted.subject.id,
        wanted.since,
        wanted.until,
        wanted.before,
        wanted.limit + 1,
    )
    return [_entry(row) for row in rows]


def _entry(row: Row) -> Entry:
    return Entry(
        id=row["id"],
        at=row["at"],
        company_id=row["company_id"],
        company_name=row["company_name"],
        person_id=row["person_id"],
        person_name=row["person_name"],
        person_email=row["person_email"],
        is_staff=row["is_staff"],
        command=row["command"],
        api_key=row["api_key"],
        address=row["address"],
        action=row["action"],
        subject=Subject(row["subject_kind"], row["subject_id"]),
        subject_name=row["subject_name"],
        details=msgspec.json.decode(row["details"], type=dict[str, str | int | bool | None]),
    )
