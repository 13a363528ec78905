"""What an operator does about breaks: list them, look at one with its lines, close one."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import date, datetime
from uuid import UUID

import msgspec

from kpay import metrics
from kpay.audit.flow import Audit
from kpay.audit.model import Action, Actor, Subject
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.core.ids import parse_uuid
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database, Row
from kpay.reconciliation import store
from kpay.reconciliation.model import Kind, State
from kpay.reconciliation.store import Place, place_of

PREFIX = "brk"
MOST_SHOWN = 10_000
MOST_NOTE = 2_000


class Break(msgspec.Struct, frozen=True):
    """A reference whose two sides differ, or a line that has none."""

    id: UUID
    place: Place
    key: str
    kind: Kind
    state: State
    theirs: Money
    ours: Money
    application_id: UUID | None
    instruction_id: UUID | None
    type: str | None
    found_on: date
    found_at: datetime
    judged_on: date
    note: str | None
    closed_by: str | None
    closed_at: datetime | None
    closed_name: str | None
    """Of the person who closed it, where it was one."""
    company_id: UUID | None
    company_name: str | None
    application_name: str | None

    @property
    def off_by(self) -> Money:
        """How much more the rail holds than our books say because of it."""
        return self.theirs - self.ours

    @property
    def is_open(self) -> bool:
        return self.state is State.OPEN

    @property
    def is_known(self) -> bool:
        """Whether it is of an operation of ours."""
        return self.instruction_id is not None


class BreakFilter(msgspec.Struct, frozen=True):
    """What the list is narrowed to; None narrows nothing. `after` is the last page's last one."""

    limit: int
    id: UUID | None = None
    state: State | None = None
    kind: Kind | None = None
    environment: Environment | None = None
    connector: str | None = None
    country: str | None = None
    after: UUID | None = None


class StatementLine(msgspec.Struct, frozen=True):
    """A line of a statement as it was kept."""

    day: date
    number: int
    at: datetime
    word: str
    operation: str
    amount: Money
    balance: Money | None
    raw: object


class Breaks:
    """The operator's side of reconciliation."""

    def __init__(self, database: Database, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def list(self, *, open_only: bool = True, limit: int = MOST_SHOWN) -> Sequence[Break]:
        """Newest first; all has those that await the next day, and those that are closed."""
        return await self.page(BreakFilter(limit, state=State.OPEN if open_only else None))

    async def page(self, wanted: BreakFilter) -> Sequence[Break]:
        """Newest first, whatever of them is wanted."""
        rows = await self._database.search(
            store.SQL["breaks"],
            wanted.id,
            wanted.state,
            wanted.kind,
            wanted.environment,
            wanted.connector,
            wanted.country,
            wanted.after,
            wanted.limit,
        )
        return [_break(row) for row in rows]

    async def get(self, identifier: UUID) -> tuple[Break, Sequence[StatementLine]]:
        """One with the lines that it is about. Refuses: not_found."""
        breaks = await self.page(BreakFilter(1, id=identifier))
        if not breaks:
            raise Refusal(Code.NOT_FOUND, "There is no break with this id.")
        found = breaks[0]
        return found, await self._lines(found)

    async def close(self, actor: Actor, identifier: UUID, note: str) -> Break:
        """Say why an open one is no matter any more. It opens again when either side changes.

        Refuses: not_found, invalid_parameter.
        """
        words = note.strip()
        if not words or len(words) > MOST_NOTE:
            raise Refusal(
                Code.INVALID_PARAMETER,
                f"The note must say why it is closed, in at most {MOST_NOTE:,} characters.",
            )
        found, _ = await self.get(identifier)
        now, by = self._clock.now(), actor.command or str(actor.person_id)
        async with self._database.transaction() as connection:
            if await connection.fetchval(store.SQL["close"], identifier, words, by, now) is None:
                raise Refusal(
                    Code.NOT_FOUND, f"This break is not open: it is {found.state} already."
                )
            await self._audit.write(
                connection,
                now,
                actor,
                Action.BREAK_CLOSED,
                Subject("break", str(identifier)),
                details={"kind": str(found.kind), "key": found.key, "note": words},
            )
        metrics.open_breaks.set(await count_open(self._database))
        return found

    async def _lines(self, found: Break) -> Sequence[StatementLine]:
        reference = parse_uuid(found.key)
        day, number = None, None
        if reference is None:
            first, _, second = found.key.partition("/")
            day, number = date.fromisoformat(first), int(second)
        rows = await self._database.search(
            store.SQL["lines_of"], *found.place.key, reference, day, number
        )
        currency = found.place.wallet.currency
        return [
            StatementLine(
                day=row["day"],
                number=row["number"],
                at=row["at"],
                word=row["word"],
                operation=row["operation"],
                amount=Money(row["amount"], currency),
                balance=None if row["balance"] is None else Money(row["balance"], currency),
                raw=json.loads(row["raw"]),
            )
            for row in rows
        ]


async def count_open(database: Database) -> int:
    count: int = await database.fetchval(store.SQL["count_open"])
    return count


def _break(row: Row) -> Break:
    currency = row["currency"]
    return Break(
        id=row["id"],
        place=place_of(row),
        key=row["key"],
        kind=Kind(row["kind"]),
        state=State(row["state"]),
        theirs=Money(row["theirs"], currency),
        ours=Money(row["ours"], currency),
        application_id=row["application_id"],
        instruction_id=row["instruction_id"],
        type=row["type"],
        found_on=row["found_on"],
        found_at=row["found_at"],
        judged_on=row["judged_on"],
        note=row["note"],
        closed_by=row["closed_by"],
        closed_at=row["closed_at"],
        closed_name=row["closed_name"],
        company_id=row["company_id"],
        company_name=row["company_name"],
        application_name=row["application_name"],
    )
