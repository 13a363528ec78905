"""The verbs of contradictions: sound the alarm, list them for an operator, settle one."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

import structlog

from kpay import metrics
from kpay.audit.flow import Audit
from kpay.audit.model import Action, Actor, Subject
from kpay.contradictions import store
from kpay.contradictions.model import (
    MOST_NOTE,
    Contradiction,
    ContradictionFilter,
    Decision,
    Settled,
    What,
)
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database

MOST_SHOWN = 1_000

log = structlog.get_logger(__name__)


def alarm(book: Book, operation_id: UUID, what: What, *, connector: str, reference: UUID) -> None:
    """Say loudly that one was found: a person has to look."""
    log.error(
        "contradiction",
        what=str(what),
        application=str(book.application_id),
        environment=str(book.environment),
        instruction=str(operation_id),
        connector=connector,
        reference=str(reference),
    )


class Contradictions:
    """What an operator does about them."""

    def __init__(self, database: Database, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def list(self, *, open_only: bool = True) -> Sequence[Contradiction]:
        """Newest first."""
        return await self.page(ContradictionFilter(MOST_SHOWN, is_open=True if open_only else None))

    async def page(self, wanted: ContradictionFilter) -> Sequence[Contradiction]:
        """Newest first; one found at the moment of another is in one order with it always."""
        return await store.page(self._database, wanted)

    async def of_operation(self, operation_id: UUID) -> Sequence[Contradiction]:
        """All that was ever found of one operation. Refuses: not_found, where nothing was."""
        found = await self.page(ContradictionFilter(MOST_SHOWN, operation_id=operation_id))
        if not found:
            raise Refusal(Code.NOT_FOUND, "Nothing contradicts this operation.")
        return found

    async def settle(
        self,
        actor: Actor,
        operation_id: UUID,
        decision: Decision,
        note: str,
        *,
        what: What | None = None,
        reference: UUID | None = None,
    ) -> Contradiction:
        """Settle the one open contradiction of an operation that is meant; what for is on record.

        Refuses: not_found, invalid_parameter, where more than one could be meant or the note says
        nothing.
        """
        words = note.strip()
        if not words or len(words) > MOST_NOTE:
            raise Refusal(
                Code.INVALID_PARAMETER,
                f"The note must say how it was settled, in at most {MOST_NOTE:,} characters.",
            )
        found = _meant(await self.of_operation(operation_id), what, reference)
        settled = Settled(decision, words, actor.command or str(actor.person_id), self._clock.now())
        async with self._database.transaction() as connection:
            if not await store.settle(connection, found, settled):
                raise Refusal(Code.NOT_FOUND, "Somebody else has settled it at this moment.")
            await self._audit.write(
                connection,
                settled.at,
                actor,
                Action.CONTRADICTION_SETTLED,
                Subject("operation", str(operation_id)),
                details={"what": str(found.what), "decision": str(decision), "note": words},
            )
        await self.count()
        return found

    async def count(self) -> int:
        """How many wait for an operator, as the metric says as well."""
        waiting = await store.count_open(self._database)
        metrics.open_contradictions.set(waiting)
        return waiting


def _meant(
    found: Sequence[Contradiction], what: What | None, reference: UUID | None
) -> Contradiction:
    meant = [
        one
        for one in found
        if one.settled is None and what in (None, one.what) and reference in (None, one.reference)
    ]
    if not meant:
        raise Refusal(Code.NOT_FOUND, "Nothing that contradicts it is open; see the list.")
    if len(meant) > 1:
        choices = ", ".join(f"{one.what} of {one.reference}" for one in meant)
        raise Refusal(Code.INVALID_PARAMETER, f"Say which is settled: {choices}.")
    return meant[0]
