"""What payments, payouts and refunds share of their stories: each is driven, looked at and ended.

Their own flows say which entry goes with an end; it is posted here, in one transaction with the
step. `rails.py` is how the operators are spoken to.
"""

from __future__ import annotations

import asyncio
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar
from uuid import UUID

from kpay.catalogue.model import OperationType
from kpay.connectors.model import Instruction, Outcome
from kpay.contradictions.flow import alarm
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.ids import Ids
from kpay.core.keyed import Keyed
from kpay.core.page import Filter
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from kpay.database.references import References
from kpay.instructions import store
from kpay.instructions.model import (
    Action,
    Agreed,
    Choice,
    Claim,
    Status,
    Step,
    Tracked,
    cancellation,
    expiry,
    step_after,
)
from kpay.instructions.rails import Attempt, Rails
from kpay.instructions.store import TrackedRows
from kpay.instructions.work import Work
from kpay.ledger.model import Entry, Order, Verdict
from kpay.ledger.poster import Poster

G = TypeVar("G", bound=Agreed)


@dataclass(frozen=True, slots=True)
class Means:
    """What every flow works with. `something_due` is called when the worker has new work."""

    database: Database
    poster: Poster
    rails: Rails
    clock: Clock
    ids: Ids
    references: References
    something_due: Callable[[], None]


class Followed(ABC, Generic[G]):
    """What payments, payouts and refunds share: how each is driven, and what can be asked of it."""

    word: str
    """The merchant's word for one of them, in sentences."""
    type: OperationType

    def __init__(self, rows: TrackedRows[G], means: Means) -> None:
        self._rows = rows
        self._database = means.database
        self._poster = means.poster
        self._rails = means.rails
        self._clock = means.clock
        self._ids = means.ids
        self._references = means.references
        self._something_due = means.something_due
        self.attempting = Work(means.rails, self.type, rows, self.record)

    async def work(self, limit: int) -> int:
        """Make one attempt at each of up to `limit` that are due, to its end. Returns how many."""
        return await self.attempting.round(limit)

    async def record(self, claim: Claim, agreed: G, outcome: Outcome) -> Verdict:
        """Write what an attempt came to, the entry of an end with its status in one transaction.

        An answer that comes too late changes nothing.
        """
        now = self._clock.now()
        onward = await self._rails.onward.after(claim, outcome, now, self._ids)
        step = step_after(claim, outcome, now, agreed.hosted, onward)
        verdict = await self._post(agreed, step, self.closing(agreed, step, claim.instruction))
        if onward is not None and not verdict.posted:
            # Something else was begun with it meanwhile: it ends as it would without another rail.
            step = step_after(claim, outcome, now, agreed.hosted)
            verdict = await self._post(agreed, step, self.closing(agreed, step, claim.instruction))
        if not verdict.posted:
            await self._rails.keep_late_answer(step)
        elif step.onward is not None:
            self._something_due()
        elif step.contradiction is not None and claim.connector is not None:
            alarm(
                step.book,
                step.id,
                step.contradiction,
                connector=claim.connector,
                reference=claim.instruction.reference,
            )
        return verdict

    @abstractmethod
    def closing(self, agreed: G, step: Step, told: Instruction) -> Entry | None:
        """The entry that a step comes with; what goes on has none."""

    async def find(self, book: Book, identifier: UUID) -> Tracked[G] | None:
        """One of a book, or None."""
        return (await self._rows.of_ids([(book, identifier)])).get(identifier)

    async def get(self, book: Book, identifier: UUID) -> Tracked[G]:
        """One of a book. Refuses: not_found."""
        found = await self.find(book, identifier)
        if found is None:
            raise Refusal(Code.NOT_FOUND, f"There is no {self.word} with this id.")
        return found

    async def of_ids(self, wanted: Sequence[tuple[Book, UUID]]) -> dict[UUID, Tracked[G]]:
        """Those of these books and identifiers that there are, by identifier."""
        return await self._rows.of_ids(wanted)

    async def page(self, book: Book, wanted: Filter) -> list[Tracked[G]]:
        """A page of a book's, newest first, with one row more if there is another page.

        Refuses: unsupported_country, unknown_provider.
        """
        self._rails.check_filter(wanted)
        return await self._rows.page(book, wanted)

    async def attempts(self, book: Book, identifier: UUID) -> list[Attempt]:
        """Every attempt at the rail, oldest first."""
        return await self._rails.attempts(book, identifier)

    async def finish_in_sandbox(
        self, book: Book, identifier: UUID, failure_code: str | None
    ) -> Tracked[G]:
        """Decide how one that stays open in the sandbox ends. Refuses: not_found, not_open."""
        found = await self.get(book, identifier)
        await self._rails.finish_in_sandbox(book, identifier, found.progress, failure_code)
        return found

    def _new_id(self, keyed: Keyed | None) -> UUID:
        """What is made under an Idempotency-Key has an identifier that all its attempts share."""
        return self._ids.uuid() if keyed is None else keyed.operation_id

    async def _post(
        self, agreed: G, step: Step, entry: Entry | None, keyed: Keyed | None = None
    ) -> Verdict:
        order = Order(agreed.book, entry, step, claim=("step", agreed.id))
        return await self._poster.post(order, self._rails.steps, keyed)


class Outgoing(Followed[G]):
    """What payouts and refunds share: money that is held until a rail has paid it, or not."""

    @abstractmethod
    def paid(self, agreed: G, told: Instruction) -> Entry:
        """The rail has paid what it was told to: the hold is consumed."""

    @abstractmethod
    def released(self, agreed: G) -> Entry:
        """It failed or was cancelled: all of the hold is given back."""

    def closing(self, agreed: G, step: Step, told: Instruction) -> Entry | None:
        if step.status is Status.COMPLETED:
            return self.paid(agreed, told)
        return self.released(agreed) if step.status is Status.FAILED else None

    async def cancel(self, book: Book, identifier: UUID, keyed: Keyed | None = None) -> Tracked[G]:
        """Call back what no rail has heard of; all of the hold is given back.

        What a rail has is asked to be cancelled there, if it waits there for its operator: it is
        PROCESSING until the rail says how it ended. Refuses: not_found, not_cancellable.
        """
        found = await self.get(book, identifier)
        step = cancellation(book, identifier, self.type, self._clock.now())
        verdict = await self._post(found.agreed, step, self.released(found.agreed), keyed)
        if not verdict.posted:
            if not await self._rails.cancellations.ask(book, identifier, self.type, keyed):
                raise Refusal(
                    Code.NOT_CANCELLABLE,
                    f"Only a {self.word} that is PENDING can be cancelled, or that waits for an "
                    "operator which is delayed: this one is being paid already, or has ended.",
                )
            self._something_due()
        return await self.get(book, identifier)

    def may_be_cancelled_at_rail(self, book: Book, attempts: Sequence[Attempt]) -> bool:
        """Whether the rail that has it can be asked to cancel it; it may decline all the same."""
        # Who was asked last may be a rail that it did not stay with.
        handed = [one.connector for one in attempts if one.action == Action.SUBMIT]
        connector = handed[-1] if handed else None
        return self._rails.cancellations.offered(book.environment, connector)

    async def was_asked_to_cancel(self, book: Book, identifier: UUID) -> bool:
        """Whether the rail has taken it that this one is not to be paid."""
        return any(
            attempt.action == Action.CANCEL and attempt.outcome == "accepted"
            for attempt in await self.attempts(book, identifier)
        )


class Chosen(Followed[G]):
    """What payments and payouts share: somebody else may choose on a hosted page who pays or is
    paid, and may end it there as long as no operator has it.
    """

    @abstractmethod
    def unchosen(self, agreed: G) -> Entry | None:
        """The entry of an end on the page: nobody chose in time, or whoever was to does not want
        it.
        """

    async def choose(self, agreed: G, choice: Choice) -> bool:
        """Take what was picked; due at once. False when that is no longer, or not yet again,
        possible: it is being tried, it ended, its time is over, or it was tried often enough.
        """
        now = self._clock.now()
        taken = await store.choose(self._database, agreed.book, agreed.id, choice, now)
        if taken:
            self._something_due()
        return taken

    async def call_off(self, book: Book, identifier: UUID) -> bool:
        """It is not wanted. False where an operator has it, or it has ended. Refuses: not_found."""
        found = await self.get(book, identifier)
        return await self._end(
            found.agreed, cancellation(book, identifier, self.type, self._clock.now())
        )

    async def run_out(self, book: Book, identifier: UUID) -> bool:
        """End what was not chosen in time before the worker comes by. Refuses: not_found."""
        found = await self.get(book, identifier)
        return await self._end(found.agreed, expiry(book, identifier, self.type, self._clock.now()))

    async def expire(self, limit: int) -> int:
        """End up to `limit` of those that nobody chose in time. Returns how many.

        Two processes may find the same one: the second changes nothing.
        """
        now = self._clock.now()
        over = await store.expired(self._database, self.type, now, limit)
        found = await self._rows.of_ids(over) if over else {}
        await asyncio.gather(
            *(self._end(found[one].agreed, expiry(book, one, self.type, now)) for book, one in over)
        )
        return len(over)

    async def _end(self, agreed: G, step: Step) -> bool:
        return (await self._post(agreed, step, self.unchosen(agreed))).posted
