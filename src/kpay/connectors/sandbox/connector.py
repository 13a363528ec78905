"""The sandbox connector. The telephone number decides, whatever the provider's country.

COMPLETED and FAILED come after a delay (three seconds, or none in tests); SUBMITTED stays open
until somebody decides it with `kpay sandbox finish` or its endpoint. A refund goes to the number
that paid, and ends as a payment by it would: so one of a SUBMITTED number can be made to fail. It
remembers nothing else: an instruction and the time say all, so it answers the same however often it
is asked.
"""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

from kpay.catalogue.model import Catalogue
from kpay.connectors.model import Accepted, Instruction, Outcome, Paid, Refused
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.database.pool import Database
from kpay.database.queries import beside

SQL = beside(__file__)

COMPLETED = "COMPLETED"
FAILED = "FAILED"
SUBMITTED = "SUBMITTED"


class SandboxConnector:
    """A rail on which no real money moves."""

    name = "sandbox"

    def __init__(
        self, database: Database, catalogue: Catalogue, clock: Clock, delay: timedelta
    ) -> None:
        self._database = database
        self._catalogue = catalogue
        self._clock = clock
        self._delay = delay

    async def submit(self, instruction: Instruction) -> Outcome:
        if self._delay:
            return Accepted({"status": "ACCEPTED"}, ask_after=self._delay)
        return await self._answer(instruction)

    async def check(self, instruction: Instruction) -> Outcome:
        left = instruction.submitted_at + self._delay - self._clock.now()
        if left > timedelta(0):
            return Accepted({"status": "PROCESSING"}, ask_after=left)
        return await self._answer(instruction)

    async def decide(self, book: Book, reference: UUID, failure_code: str | None) -> None:
        """Decide how an open operation ends: completed, or failed with a code."""
        outcome = COMPLETED if failure_code is None else FAILED
        await self._database.execute(
            SQL["decide"], book.application_id, book.environment, reference, outcome, failure_code
        )

    async def _answer(self, instruction: Instruction) -> Outcome:
        number = self._catalogue.test_number(
            instruction.type.decided_by, instruction.phone_number, instruction.provider
        )
        outcome, failure_code = number.outcome, number.failure_code
        if outcome == SUBMITTED:
            book = instruction.book
            row = await self._database.fetchrow(
                SQL["verdict"], book.application_id, book.environment, instruction.reference
            )
            if row is None:
                return Accepted({"status": "PROCESSING"})
            outcome, failure_code = row["outcome"], row["failure_code"]
        if outcome == COMPLETED:
            return Paid({"status": COMPLETED})
        return Refused(failure_code or "UNSPECIFIED_FAILURE", {"status": FAILED})
