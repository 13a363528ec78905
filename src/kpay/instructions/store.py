"""The SQL of instructions and attempts, and how they take part in a posting batch."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Generic, TypeVar
from uuid import UUID

from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import CancelAnswer
from kpay.connectors.model import Instruction, Outcome, outcome_evidence
from kpay.contradictions.model import What
from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.core.page import Filter
from kpay.database.pool import Connection, Database, Row, book_of
from kpay.database.queries import Queries, beside
from kpay.instructions.bulkheads import Rail
from kpay.instructions.model import (
    ASKED_AGAIN_AFTER,
    MOST_CHOICES,
    Action,
    Choice,
    Claim,
    Hosted,
    Overdue,
    Progress,
    Status,
    Step,
    Tracked,
    cancelling_evidence,
    cancelling_name,
    contradiction,
    contradiction_of_earlier_reference,
    outcome_name,
)
from kpay.instructions.onward import Told
from kpay.ledger.model import Verdict
from kpay.ledger.store import verdicts

SQL = beside(__file__)

A = TypeVar("A")


class StepRecords:
    """Steps of instructions, written with the entries that go with them."""

    async def write(
        self, connection: Connection, ledger: Sequence[object], records: Sequence[Step]
    ) -> list[Verdict]:
        rows = [_row(step) for step in records]
        row = await connection.fetchrow(SQL["write"], *ledger, rows, ASKED_AGAIN_AFTER)
        return verdicts(row)


def _row(step: Step) -> tuple[object, ...]:
    """A step as the database's instruction_step."""
    outcome, onward = step.outcome, step.onward
    return (
        step.id,
        step.expected,
        step.status,
        step.failure_code,
        step.next_action,
        step.due_at,
        step.at,
        step.attempt,
        None if outcome is None else outcome_name(outcome),
        None if outcome is None else _evidence(outcome),
        step.event_type,
        step.contradiction,
        step.overdue_code,
        *((None,) * 2 if onward is None else (onward.connector, onward.reference)),
    )


@dataclass(frozen=True, slots=True)
class Found:
    """A contradiction that was not known before."""

    what: What
    connector: str
    reference: UUID


async def record_late_answer(database: Database, step: Step) -> Found | None:
    """Keep what came back from the rail with its attempt; the first answer kept stays.

    What it contradicts is held for the operator in the same statement, which knows how the
    instruction stands; returned is what was found for the first time.
    """
    if step.attempt is None or step.outcome is None:
        return None
    book = step.book
    row = await database.fetchrow(
        SQL["record_late_answer"],
        book.application_id,
        book.environment,
        step.id,
        step.attempt,
        outcome_name(step.outcome),
        _evidence(step.outcome),
        step.at,
        contradiction_of_earlier_reference(step),
        list(Status),
        [contradiction(step, status) for status in Status],
    )
    if row is None:
        return None
    return Found(What(row["what"]), row["connector"], row["reference"])


def _evidence(outcome: Outcome) -> str:
    return json.dumps(outcome_evidence(outcome))


@dataclass(frozen=True, slots=True)
class AtRail:
    """What a rail has. `number` is that of the next attempt."""

    instruction: Instruction
    connector: str
    number: int
    earlier_attempts: int


async def lock_at_rail(
    connection: Connection, book: Book, instruction_id: UUID, type_: OperationType
) -> AtRail | None:
    """It, locked until the transaction ends; None where no rail has it now."""
    row = await connection.fetchrow(
        SQL["lock_at_rail"], book.application_id, book.environment, instruction_id
    )
    if row is None:
        return None
    return AtRail(
        _instruction(row, type_), row["connector"], row["number"], row["earlier_attempts"]
    )


async def asked_to_cancel(
    connection: Connection, book: Book, instruction_id: UUID, after: int, since: datetime
) -> bool:
    """Whether the rail was asked to by an attempt after that one since then, and may do so."""
    asked: bool = await connection.fetchval(
        SQL["asked_to_cancel"],
        book.application_id,
        book.environment,
        instruction_id,
        after,
        since,
    )
    return asked


async def intend_to_cancel(
    connection: Connection, book: Book, instruction_id: UUID, now: datetime, *, overdue: bool
) -> None:
    """Write the intent; with `overdue` it names the deadline that it is because of."""
    await connection.execute(
        SQL["intend_to_cancel"], book.application_id, book.environment, instruction_id, now, overdue
    )


async def record_cancelling(
    database: Database,
    book: Book,
    instruction_id: UUID,
    number: int,
    answer: CancelAnswer,
    now: datetime,
) -> None:
    """Keep what the rail said with its attempt."""
    await database.execute(
        SQL["record_answer"],
        book.application_id,
        book.environment,
        instruction_id,
        number,
        cancelling_name(answer),
        json.dumps(cancelling_evidence(answer)),
        now,
    )


async def claim(
    database: Database,
    type_: OperationType,
    *,
    now: datetime,
    until: datetime,
    limit: int,
    plan: str,
    full: Sequence[Rail],
) -> list[Claim]:
    """Claim what is due; the intent of each attempt is committed when this returns.

    `plan` is the routing's.
    """
    rails = [f"{environment}/{connector}" for environment, connector in full]
    rows = await database.fetch(SQL["claim"], now, type_, limit, until, plan, rails)
    return [_claim(row, type_) for row in rows]


async def choose(
    database: Database, book: Book, instruction_id: UUID, choice: Choice, now: datetime
) -> bool:
    """Take a choice; False where there is nothing to choose any more, or not yet again."""
    payout, quote = choice.payout_amount, choice.quote
    taken = await database.fetchval(
        SQL["choose"],
        book.application_id,
        book.environment,
        instruction_id,
        now,
        MOST_CHOICES,
        choice.provider,
        choice.country,
        choice.phone_number,
        choice.reference,
        choice.sent.currency,
        choice.sent.minor,
        None if payout is None else payout.currency,
        None if payout is None else payout.minor,
        *(
            (None,) * 4
            if quote is None
            else (quote.rate, quote.source, quote.as_of, quote.margin_bps)
        ),
        choice.queue_minutes,
    )
    return taken is not None


async def expired(
    database: Database, type_: OperationType, now: datetime, limit: int
) -> list[tuple[Book, UUID]]:
    """What nobody chose on its hosted page in time, the longest over first."""
    rows = await database.fetch(SQL["expired"], type_, now, limit)
    return [(book_of(row), row["id"]) for row in rows]


async def overdue(
    database: Database,
    type_: OperationType,
    now: datetime,
    limit: int,
    *,
    shortest: timedelta,
    longest: timedelta,
) -> list[Overdue]:
    """Those whose deadline has passed and is to be seen to now, the longest over first.

    When it is next is written as they are taken, so that of two processes one takes each: after
    as long again as it is overdue, within bounds.
    """
    rows = await database.fetch(SQL["overdue"], now, type_, limit, shortest, longest)
    return [Overdue(book_of(row), row["id"], Status(row["status"]), row["at_rail"]) for row in rows]


async def leave_overdue(database: Database, book: Book, instruction_id: UUID) -> None:
    """Nothing more can be done for its deadline."""
    await database.execute(
        SQL["leave_overdue"], book.application_id, book.environment, instruction_id
    )


def read_hosted(row: Row) -> Hosted | None:
    """A row's hosted page, which only what has no destination of its own has."""
    expires_at = row["expires_at"]
    return None if expires_at is None else Hosted(expires_at, row["choice"])


async def attempts(database: Database, book: Book, instruction_id: UUID) -> Sequence[Row]:
    """The evidence trail of one instruction, oldest first."""
    return await database.fetch(
        SQL["attempts"], book.application_id, book.environment, instruction_id
    )


async def told_so_far(database: Database, book: Book, instruction_id: UUID) -> list[Told]:
    """Every time that one was handed over, or was to be cancelled, oldest first."""
    rows = await database.fetch(
        SQL["told_so_far"], book.application_id, book.environment, instruction_id
    )
    return [
        Told(
            row["number"],
            Action(row["action"]),
            row["connector"],
            row["reference"],
            row["of_this_choice"],
        )
        for row in rows
    ]


async def hasten(database: Database, book: Book, instruction_id: UUID, now: datetime) -> None:
    await database.execute(
        SQL["hasten"], book.application_id, book.environment, instruction_id, now
    )


async def hear(
    database: Database,
    environment: Environment,
    connector: str,
    *,
    digest: bytes,
    reference: UUID,
    headers: str,
    body: bytes,
    received_at: datetime,
    proved: bool,
    inquire_at: datetime,
    inquire_again_after: timedelta,
) -> bool:
    """Keep a callback; whether it made anything that goes on due that was not yet.

    What has ended is asked about at `inquire_at`, or so long after it was asked about last.
    """
    done = await database.execute(
        SQL["hear"],
        environment,
        connector,
        digest,
        reference,
        headers,
        body,
        received_at,
        proved,
        inquire_at,
        inquire_again_after,
    )
    return done != "UPDATE 0"


async def clear_callbacks(database: Database, before: datetime, limit: int) -> int:
    done = await database.execute(SQL["clear_callbacks"], before, limit)
    return int(done.removeprefix("DELETE "))


async def open_at_rails(database: Database) -> dict[tuple[Environment, str], int]:
    rows = await database.read(SQL["open_at_rails"])
    return {(Environment(row["environment"]), row["connector"]): row["open"] for row in rows}


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
        rows = await self._database.search(
            self._queries["list"],
            book.application_id,
            book.environment,
            wanted.external_id,
            wanted.status,
            wanted.country,
            wanted.provider,
            wanted.since,
            wanted.until,
            wanted.first,
            wanted.end,
            wanted.limit + 1,
        )
        return [self._tracked(row) for row in rows]

    def _tracked(self, row: Row) -> Tracked[A]:
        progress = Progress(
            status=Status(row["status"]),
            reference=row["reference"],
            failure_code=row["failure_code"],
            ended_at=row["ended_at"],
            connector=row["connector"],
        )
        return Tracked(self._read(row), progress)


def _claim(row: Row, type_: OperationType) -> Claim:
    return Claim(
        id=row["id"],
        number=row["number"],
        action=Action(row["action"]),
        connector=row["connector"],
        instruction=_instruction(row, type_),
    )


def _instruction(row: Row, type_: OperationType) -> Instruction:
    return Instruction(
        book=book_of(row),
        type=type_,
        reference=row["reference"],
        provider=row["provider"],
        phone_number=row["phone_number"],
        amount=Money(row["amount"], row["currency"]),
        submitted_at=row["submitted_at"],
        deposit_reference=row["deposit_reference"],
    )
