"""The audit log as the rest of the house uses it: write beside a deed, read a page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from uuid import UUID

import msgspec

from kpay.audit import store
from kpay.audit.model import Action, Actor, AuditFilter, Details, Entry, Subject
from kpay.core.ids import Ids
from kpay.database.pool import Connection, Database


class Audit:
    """Who did what. A line is written in the transaction that does the thing, or neither is."""

    def __init__(self, database: Database, ids: Ids) -> None:
        self._database = database
        self._ids = ids

    async def write(
        self,
        connection: Connection,
        at: datetime,
        actor: Actor,
        action: Action,
        subject: Subject,
        *,
        companies: Sequence[UUID] = (),
        details: Details | None = None,
    ) -> None:
        """Record a deed on the caller's connection, in its transaction.

        Each of `companies` finds it in its own log; without one it concerns the installation.
        Details must hold no secret: they are shown to everybody who may read the log.
        """
        lines = [(self._ids.uuid(), company_id) for company_id in companies or (None,)]
        await store.write(connection, lines, at, actor, action, subject, details or {})

    async def page(self, wanted: AuditFilter) -> list[Entry]:
        """Newest first, with one line more than the page holds where there is another page.

        Whoever asks must have been allowed to: a company's log by `Right.AUDIT_LOG` and its
        `company_id`, everything by the operator's own.
        """
        return await store.page(self._database, wanted)

    async def every_page(self, wanted: AuditFilter) -> AsyncGenerator[Sequence[Entry], None]:
        """The log's pages to its end, of `wanted.limit` lines each; between two nothing is held."""
        while True:
            entries = await self.page(wanted)
            yield entries[: wanted.limit]
            if len(entries) <= wanted.limit:
                return
            wanted = msgspec.structs.replace(wanted, before=entries[wanted.limit - 1].id)
