"""Asking a rail to cancel what waits there for its operator.

A merchant asks for it, or a deadline does. The rail's answer decides nothing. What it cancels it
says has failed, when it is asked for the status as always, and only that gives the money back; what
it was paying already, it pays.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from uuid import UUID

import structlog

from kpay import metrics
from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import CancelAnswer, Cancelling, CancelsEnqueued, Declined
from kpay.connectors.model import Unknown
from kpay.connectors.routing import Routing
from kpay.core.book import Book, Environment
from kpay.core.clock import Clock
from kpay.core.keyed import Keyed
from kpay.database.pool import Database, outside_transaction
from kpay.instructions import store
from kpay.instructions.alarms import rail_alarm
from kpay.instructions.model import CANNOT_CANCEL, CLAIM, Action, cancelling_name
from kpay.instructions.store import AtRail
from kpay.ledger.fence import hold

# A merchant waits for the answer; whoever is told nothing by then looks at the status.
_ANSWER_WITHIN_SECONDS = 10
# For as long as it may be on its way, a rail is not asked again.
_ASKED_AGAIN_AFTER = CLAIM

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Intent:
    """What a rail has and is asked to cancel; without a connector it is one that never does."""

    had: AtRail
    connector: CancelsEnqueued | None


class Cancellations:
    """Asks rails to cancel, on behalf of payouts and refunds."""

    def __init__(self, database: Database, routing: Routing, clock: Clock) -> None:
        self._database = database
        self._routing = routing
        self._clock = clock

    def offered(self, environment: Environment, connector: str | None) -> bool:
        """Whether a rail can be asked to."""
        return self._able(environment, connector) is not None

    async def ask(
        self, book: Book, identifier: UUID, type_: OperationType, keyed: Keyed | None
    ) -> bool:
        """Ask the rail that has it. False where none has it, it cannot cancel, or it declines.

        True means that it was asked now or a moment ago, and may do so: not that it does.
        """
        intent = await self._intend(book, identifier, type_, keyed)
        if not isinstance(intent, Intent):
            return intent
        return isinstance(await self._carry_out(book, identifier, intent), Cancelling | Unknown)

    async def ask_overdue(self, book: Book, identifier: UUID, type_: OperationType) -> None:
        """Ask the rail that has what is overdue, unless it was asked a moment ago.

        That the deadline is why, is on record with the attempt. A rail that can cancel nothing
        keeps what it has; that is on record alike, and the deadline is left alone from then on.
        """
        intent = await self._intend(book, identifier, type_, None, overdue=True)
        if isinstance(intent, Intent):
            await self._carry_out(book, identifier, intent)
            if intent.connector is None:
                await store.leave_overdue(self._database, book, identifier)

    async def _carry_out(self, book: Book, identifier: UUID, intent: Intent) -> CancelAnswer:
        had, answer = intent.had, await _answer(intent)
        now = self._clock.now()
        await store.record_cancelling(self._database, book, identifier, had.number, answer, now)
        if isinstance(answer, Cancelling):
            await store.hasten(self._database, book, identifier, now)
        return answer

    def _able(self, environment: Environment, name: str | None) -> CancelsEnqueued | None:
        connector: object = self._routing.named(environment, name)
        return connector if isinstance(connector, CancelsEnqueued) else None

    async def _intend(
        self,
        book: Book,
        identifier: UUID,
        type_: OperationType,
        keyed: Keyed | None,
        *,
        overdue: bool = False,
    ) -> Intent | bool:
        """Write the intent of asking, committed when this returns; or what is answered without."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            if keyed is not None:
                await hold(connection, [keyed])
            had = await store.lock_at_rail(connection, book, identifier, type_)
            if had is None:
                return False
            connector = self._able(book.environment, had.connector)
            if connector is None and not (overdue and self._serves(book.environment, had)):
                return False
            since = now - _ASKED_AGAIN_AFTER
            if await store.asked_to_cancel(
                connection, book, identifier, had.earlier_attempts, since
            ):
                return True
            await store.intend_to_cancel(connection, book, identifier, now, overdue=overdue)
        return Intent(had, connector)

    def _serves(self, environment: Environment, had: AtRail) -> bool:
        """Whether the rail is in service: of another nobody knows what it can do."""
        return self._routing.named(environment, had.connector) is not None


async def _answer(intent: Intent) -> CancelAnswer:
    if intent.connector is None:
        return Declined(CANNOT_CANCEL)
    return await _call(intent.connector, intent.had)


async def _call(connector: CancelsEnqueued, had: AtRail) -> CancelAnswer:
    outside_transaction()
    answer: CancelAnswer
    try:
        async with asyncio.timeout(_ANSWER_WITHIN_SECONDS):
            answer = await connector.cancel(had.instruction)
    except Exception as problem:
        log.warning(
            "rail_call_unknown",
            connector=had.connector,
            action=Action.CANCEL,
            reference=str(had.instruction.reference),
            exc_info=problem,
        )
        answer = Unknown(type(problem).__name__)
    metrics.attempts.labels(had.connector, Action.CANCEL, cancelling_name(answer)).inc()
    if isinstance(answer, Unknown) and answer.alarm:
        rail_alarm(had.connector, answer.why, had.instruction.reference)
    return answer
