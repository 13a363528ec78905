"""The SQL of instructions and attempts, and how they take part in a posting batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Generic, TypeVar
from uuid import UUID

from kpay.catalogue.model import OperationType
from kpay.connectors.model import Instruction, outcome_evidence
from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.core.page import Filter
from kpay.database.pool import Connection, Database, Row
from kpay.database.queries import Queries, beside
from kpay.events import store as events
from kpay.events.model import Event
from kpay.instructions.model import (
    ENDS,
    Action,
    Claim,
    New,
    Progress,
    Status,
    Step,
    Tracked,
    outcome_name,
)
from kpay.ledger.model import Reason, Verdict

SQL = beside(__file__)

A = TypeVar("A")


async def taken(connection: Connection, fresh: Sequence[New]) -> Mapping[int, Verdict]:
    """Refuse, by position, what would be a second live operation of one externalId."""
    named = [(at, new) for at, new in enumerate(fresh) if new.external_id is not None]
    if not named:
        return {}
    rows = await connection.fetch(
        SQL["taken"],
        [position for position, _ in named],
        [new.instruction.book.application_id for _, new in named],
        [new.instruction.book.environment for _, new in named],
        [new.instruction.type for _, new in named],
        [new.external_id for _, new in named],
    )
    return {row["position"]: Verdict(Reason.ALREADY_USED, row["id"]) for row in rows}


async def insert(connection: Connection, fresh: Sequence[New], at: datetime) -> None:
    """Record instructions that are due at once."""
    await connection.execute(
        SQL["insert"],
        [new.instruction.book.application_id for new in fresh],
        [new.instruction.book.environment for new in fresh],
        [new.id for new in fresh],
        [new.instruction.type for new in fresh],
        [new.external_id for new in fresh],
        [new.instruction.reference for new in fresh],
        [new.instruction.provider for new in fresh],
        [new.instruction.phone_number for new in fresh],
        [new.instruction.amount.currency for new in fresh],
        [new.instruction.amount.minor for new in fresh],
        at,
    )


class StepRecords:
    """Steps of instructions, written in the transaction of the entries that go with them."""

    async def admit(self, connection: Connection, records: Sequence[Step]) -> Mapping[int, Verdict]:
        rows = await connection.fetch(
            SQL["lock"],
            list(range(len(records))),
            [step.book.application_id for step in records],
            [step.book.environment for step in records],
            [step.id for step in records],
        )
        return {
            row["position"]: Verdict(Reason.STATE_CHANGED)
            for row in rows
            if row["status"] != records[row["position"]].expected
        }

    async def write(self, connection: Connection, records: Sequence[Step]) -> None:
        await connection.execute(
            SQL["advance"],
            [step.book.application_id for step in records],
            [step.book.environment for step in records],
            [step.id for step in records],
            [step.status for step in records],
            [step.failure_code for step in records],
            [step.next_action for step in records],
            [step.due_at for step in records],
            [step.at if step.status in ENDS else None for step in records],
        )
        await record_answers(connection, records)
        ended = [_end(step) for step in records if step.status in ENDS]
        if ended:
            await events.insert(connection, ended)


def _end(step: Step) -> Event:
    """What the merchant must hear of an end."""
    subject = "payment" if step.type is OperationType.DEPOSIT else "payout"
    return Event(step.book, f"{subject}.{step.status.lower()}", step.id, step.at)


async def record_answers(connection: Connection | Database, steps: Sequence[Step]) -> None:
    """Keep what came back from the rail with each attempt; the first answer kept stays."""
    answered = [
        (step, step.attempt, step.outcome)
        for step in steps
        if step.attempt is not None and step.outcome is not None
    ]
    if not answered:
        return
    await connection.execute(
        SQL["record_answers"],
        [step.book.application_id for step, _, _ in answered],
        [step.book.environment for step, _, _ in answered],
        [step.id for step, _, _ in answered],
        [attempt for _, attempt, _ in answered],
        [outcome_name(outcome) for _, _, outcome in answered],
        [json.dumps(outcome_evidence(outcome)) for _, _, outcome in answered],
        [step.at for step, _, _ in answered],
    )


async def claim(
    database: Database,
    type_: OperationType,
    *,
    now: datetime,
    until: datetime,
    limit: int,
    connectors: Mapping[Environment, str],
) -> list[Claim]:
    """Claim what is due; the intent of each attempt is committed when this returns."""
    rows = await database.fetch(SQL["claim"], now, type_, limit, until, json.dumps(connectors))
    return [_claim(row, type_) for row in rows]


async def attempts(database: Database, book: Book, instruction_id: UUID) -> Sequence[Row]:
    """The evidence trail of one instruction, oldest first."""
    return await database.fetch(
        SQL["attempts"], book.application_id, book.environment, instruction_id
    )


async def hasten(database: Database, book: Book, instruction_id: UUID, now: datetime) -> None:
    await database.execute(
        SQL["hasten"], book.application_id, book.environment, instruction_id, now
    )


class TrackedRows(Generic[A]):
    """Reads one noun's rows, each joined with its instruction.

    The noun's queries have two statements of one shape: `of_ids` and `list`.
    """

    def __init__(self, database: Database, queries: Queries, read: Callable[[Row], A]) -> None:
        self._database = database
        self._queries = queries
        self._read = read

    async def of_ids(self, wanted: Sequence[tuple[Book, UUID]]) -> dict[UUID, Tracked[A]]:
        """Those of these books and identifiers, by identifier."""
        rows = await self._database.fetch(
            self._queries["of_ids"],
            [book.application_id for book, _ in wanted],
            [book.environment for book, _ in wanted],
            [identifier for _, identifier in wanted],
        )
        return {row["id"]: self._tracked(row) for row in rows}

    async def page(self, book: Book, wanted: Filter) -> list[Tracked[A]]:
        """One row more than the page holds tells that there is another."""
        rows = await self._database.fetch(
            self._queries["list"],
            book.application_id,
            book.environment,
            wanted.external_id,
            wanted.status,
            wanted.country,
            wanted.provider,
            wanted.since,
            wanted.until,
            wanted.before,
            wanted.limit + 1,
        )
        return [self._tracked(row) for row in rows]

    def _tracked(self, row: Row) -> Tracked[A]:
        progress = Progress(
            status=Status(row["status"]),
            reference=row["reference"],
            failure_code=row["failure_code"],
            ended_at=row["ended_at"],
        )
        return Tracked(self._read(row), progress)


def _claim(row: Row, type_: OperationType) -> Claim:
    return Claim(
        id=row["id"],
        number=row["number"],
        action=Action(row["action"]),
        instruction=Instruction(
            book=Book(row["application_id"], Environment(row["environment"])),
            type=type_,
            reference=row["reference"],
            provider=row["provider"],
            phone_number=row["phone_number"],
            amount=Money(row["amount"], row["currency"]),
            submitted_at=row["submitted_at"],
        ),
    )
