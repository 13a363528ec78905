"""One status check about what is over at a rail, and only for what may contradict that.

A callback about what goes on has its status asked, as always. About what has ended, and about what
a rail has refused before it went on elsewhere or was chosen anew, there is nothing left to decide,
and yet the rail may have changed its mind: it is asked once, a little later and seldom; and once
without a callback, a while after something went on at another rail. Whatever it answers moves no
money and changes no status. What it says against the end or its refusal is held for an operator,
and the attempt is kept as evidence like any other.
"""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta

import msgspec
import structlog

from kpay.catalogue.model import OperationType
from kpay.connectors.model import Accepted, Instruction, Outcome, Unknown
from kpay.core.clock import Clock
from kpay.core.money import Money
from kpay.database.pool import Database, Row, book_of
from kpay.instructions import store
from kpay.instructions.alarms import rail_alarm
from kpay.instructions.model import ASKED_AGAIN_AFTER, CLAIM, Action, Claim, Status, Step
from kpay.instructions.rails import Rails

# Callbacks come in twos and threes; what they are about is asked for once, when they are through.
ASKED_AFTER = timedelta(minutes=1)
# So often it is asked where it says nothing definite: a statement finds the rest.
MOST_TRIES = 4
# What goes on comes first: of a rail's capacity no more is taken at once.
_MOST_AT_ONCE = 20
_KEPT = timedelta(days=90)

log = structlog.get_logger(__name__)


class Inquiry(msgspec.Struct, frozen=True):
    """The right to ask once, already on record as an attempt. `tries` counts this one.

    `was_refused` says that the rail has refused it, and its operation took another reference then.
    """

    claim: Claim
    asked_at: datetime
    tries: int
    was_refused: bool


class Inquiries:
    """Asks about what is over when it is due."""

    def __init__(self, database: Database, rails: Rails, clock: Clock) -> None:
        self._database = database
        self._rails = rails
        self._clock = clock

    async def work(self, limit: int) -> int:
        """Ask about up to `limit` of those that are due. Returns how many were asked about."""
        now = self._clock.now()
        rows = await self._database.fetch(
            store.SQL["claim_inquiries"], now, min(limit, _MOST_AT_ONCE), now + CLAIM
        )
        inquiries = [_inquiry(row, now) for row in rows]
        for came in await asyncio.gather(*map(self._ask, inquiries), return_exceptions=True):
            if isinstance(came, Exception):
                # It is still due: it is asked about again when the claim has run out.
                log.error("inquiry_failed", exc_info=came)
        return len(inquiries)

    async def clear_away(self, limit: int) -> int:
        """Take away up to `limit` of those that were done long enough ago. Returns how many."""
        done = await self._database.execute(
            store.SQL["clear_inquiries"], self._clock.now() - _KEPT, limit
        )
        return int(done.removeprefix("DELETE "))

    async def _ask(self, inquiry: Inquiry) -> None:
        claim = inquiry.claim
        outcome = await self._rails.ask(claim)
        await self._record(inquiry, outcome)
        await self._database.execute(
            store.SQL["inquiry_made"],
            claim.book.application_id,
            claim.book.environment,
            claim.id,
            claim.instruction.reference,
            inquiry.asked_at,
            inquiry.asked_at + ASKED_AGAIN_AFTER,
            is_done(outcome, inquiry.tries),
        )

    async def _record(self, inquiry: Inquiry, outcome: Outcome) -> None:
        """Keep the answer with its attempt, hold what it contradicts, and say it loudly."""
        claim = inquiry.claim
        step = Step(
            book=claim.book,
            id=claim.id,
            type=claim.type,
            expected=Status.PROCESSING,
            status=Status.PROCESSING,
            at=self._clock.now(),
            attempt=claim.number,
            outcome=outcome,
        )
        contradicts = await self._rails.keep_evidence(step)
        if not contradicts and inquiry.was_refused and isinstance(outcome, Accepted):
            why = "it refused this, and has it under way all the same"
            rail_alarm(claim.connector or "", why, claim.instruction.reference)


def is_done(outcome: Outcome, tries: int) -> bool:
    """Whether an inquiry has been seen to. Where a rail does not say, it is asked a few times."""
    undecided = isinstance(outcome, Accepted) or (
        isinstance(outcome, Unknown) and not outcome.contradicts
    )
    return not undecided or tries >= MOST_TRIES


def _inquiry(row: Row, asked_at: datetime) -> Inquiry:
    told = Instruction(
        book=book_of(row),
        type=OperationType(row["type"]),
        reference=row["reference"],
        provider=row["provider"],
        phone_number=row["phone_number"],
        amount=Money(row["amount"], row["currency"]),
        submitted_at=row["submitted_at"],
        deposit_reference=row["deposit_reference"],
    )
    claim = Claim(row["id"], row["number"], Action.CHECK, told, row["connector"])
    return Inquiry(claim, asked_at, row["tries"], row["was_refused"])
