"""How rails are spoken to: claim what is due, commit the intent, call, and hand back the outcome.

The intent is on disk before the call and no transaction is open during it (promise 6), so a process
that dies at any point leaves a row that says what to do next. What follows from the outcome is the
payment's or the payout's own business; their flows post it.
"""

from __future__ import annotations

import asyncio
from datetime import datetime
from typing import Any
from uuid import UUID

import msgspec
import structlog

from kpay.catalogue.model import Catalogue, OperationType
from kpay.connectors.model import Outcome, Unknown
from kpay.connectors.routing import Routing
from kpay.connectors.sandbox import SandboxConnector
from kpay.core.book import Book
from kpay.core.clock import Clock, iso
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database, Row, outside_transaction
from kpay.instructions import store
from kpay.instructions.model import CLAIM, Action, Claim, Progress, Status

_ANSWER_WITHIN_SECONDS = 30

log = structlog.get_logger(__name__)


class Attempt(msgspec.Struct, rename="camel"):
    """One time the operator was spoken to; `outcome` is null while no answer is recorded."""

    number: int
    action: str
    connector: str
    sent: Any
    sent_at: str
    outcome: str | None
    answer: Any
    answered_at: str | None


class Rails:
    """Speaks to the rails on behalf of payments and payouts."""

    def __init__(
        self,
        database: Database,
        catalogue: Catalogue,
        routing: Routing,
        sandbox: SandboxConnector,
        clock: Clock,
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._routing = routing
        self._sandbox = sandbox
        self._clock = clock

    async def claim(self, type_: OperationType, limit: int) -> list[Claim]:
        """Take up to `limit` of what is due; nobody else does, until the claim runs out."""
        now = self._clock.now()
        return await store.claim(
            self._database,
            type_,
            now=now,
            until=now + CLAIM,
            limit=limit,
            connectors=self._routing.names,
        )

    async def ask(self, claim: Claim) -> Outcome:
        """Make the attempt. Whatever goes wrong on the way is unknown, never failed (promise 5)."""
        outside_transaction()
        instruction = claim.instruction
        provider = self._catalogue.providers[instruction.provider]
        connector = self._routing.connector(instruction.book.environment, provider)
        if connector is None:
            return Unknown("no connector serves this provider now")
        verb = connector.submit if claim.action is Action.SUBMIT else connector.check
        try:
            async with asyncio.timeout(_ANSWER_WITHIN_SECONDS):
                return await verb(instruction)
        except Exception as problem:
            log.warning(
                "rail_call_unknown",
                connector=connector.name,
                action=claim.action,
                reference=str(instruction.reference),
                exc_info=problem,
            )
            return Unknown(type(problem).__name__)

    async def attempts(self, book: Book, instruction_id: UUID) -> list[Attempt]:
        """The evidence trail of one payment or payout, oldest first."""
        rows = await store.attempts(self._database, book, instruction_id)
        return [_attempt(row) for row in rows]

    async def finish_in_sandbox(
        self, book: Book, instruction_id: UUID, progress: Progress, failure_code: str | None
    ) -> None:
        """Decide how an open sandbox operation ends; the worker settles it as if the rail had said.

        Refuses: not_open, in production too, where only the rail decides.
        """
        if not book.is_test or progress.status is not Status.PROCESSING:
            raise Refusal(
                Code.NOT_OPEN,
                "Only an operation of the sandbox that is PROCESSING can be finished.",
            )
        await self._sandbox.decide(book, progress.reference, failure_code)
        await store.hasten(self._database, book, instruction_id, self._clock.now())


def _attempt(row: Row) -> Attempt:
    answered_at: datetime | None = row["answered_at"]
    return Attempt(
        number=row["number"],
        action=row["action"],
        connector=row["connector"],
        sent=msgspec.Raw(row["sent"].encode()),
        sent_at=iso(row["sent_at"]),
        outcome=row["outcome"],
        answer=None if row["answer"] is None else msgspec.Raw(row["answer"].encode()),
        answered_at=None if answered_at is None else iso(answered_at),
    )
