"""An approval's story: a rule needs one, somebody asks, another approves, rejects, or it runs out.

Nothing moves when it is asked for and nothing is held: the wallet stays free for everything else,
and what there is of it is looked at when somebody approves. Then it is moved by the flow that moves
all of its kind, and the request ends in the transaction that moves it: both or neither, once.
Rules that protect less than those in force are themselves asked for: nobody lowers them alone.
"""

from __future__ import annotations

from uuid import UUID

from kpay.approvals import store
from kpay.approvals.model import (
    LIFE,
    Approval,
    Ended,
    Kind,
    Outcome,
    Place,
    Rules,
    Wanted,
    clean_reason,
    no_longer_open,
    read_rules,
    rules_changed,
)
from kpay.audit.flow import Audit
from kpay.audit.model import Action, Actor, Details, Subject
from kpay.core.book import Book
from kpay.core.clock import Clock
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection, Database
from kpay.people.model import not_allowed

MOST_OPEN, MOST_ENDED = 200, 50


class Approvals:
    """The verbs of approvals and of their rules. Whoever calls has checked the person's rights."""

    def __init__(self, database: Database, audit: Audit, clock: Clock) -> None:
        self._database = database
        self._audit = audit
        self._clock = clock

    async def rules(self, book: Book) -> Rules:
        """What needs approval."""
        return await store.rules(self._database, book)

    async def needed(self, book: Book, amount: Money) -> bool:
        """Whether a person may move so much out of a wallet only with another's approval."""
        return (await self.rules(book)).need(amount)

    # Ask: it is on record who wants what, and what it came to. No money moves.

    async def ask(self, place: Place, actor: Actor, wanted: Wanted) -> UUID:
        """The request, made once for its id; for a payment that somebody asks to give back, that.

        Refuses: idempotency_key_reused, for an id that is another person's request.
        """
        person_id, now = _person(actor), self._clock.now()
        # One that has run out stands in nobody's way, whether or not the worker has come to it.
        await self.expire(MOST_OPEN)
        async with self._database.transaction() as connection:
            if await store.ask(connection, place.book, wanted, person_id, now, now + LIFE):
                details = {"kind": str(wanted.kind), **_told(wanted)}
                await self._write(
                    connection, place, actor, Action.APPROVAL_ASKED, _of(wanted.id), details
                )
                return wanted.id
            if wanted.payment_id is not None:
                open_one = await store.open_refund(connection, place.book, wanted.payment_id)
                if open_one is not None:
                    return open_one
            known = await store.find(connection, place.book, wanted.id)
        if known is None or known.asked_by != person_id:
            raise Refusal(Code.IDEMPOTENCY_KEY_REUSED, "This request is another's: ask anew.")
        return known.id

    # Look: what waits, what there was, and what came of one.

    async def open_ones(self, book: Book) -> list[Approval]:
        """What waits to be decided, the oldest first."""
        now = self._clock.now()
        found = await store.open_ones(self._database, book, MOST_OPEN)
        return [each for each in found if each.is_open(now)]

    async def ended_ones(self, book: Book) -> list[Approval]:
        """What was decided or ran out lately, the newest first."""
        return await store.ended_ones(self._database, book, MOST_ENDED)

    async def find(self, book: Book, identifier: UUID) -> Approval | None:
        return await store.find(self._database, book, identifier)

    async def of_operation(self, book: Book, operation_id: UUID) -> Approval | None:
        """The request that an operation came of."""
        return await store.of_operation(self._database, book, operation_id)

    async def waiting(self, book: Book, person_id: UUID) -> int:
        """How many this person could decide: one's own are for others."""
        return await store.waiting(self._database, book, person_id, self._clock.now())

    async def waiting_in(self, company_id: UUID, person_id: UUID) -> dict[Book, int]:
        """The same for each book of a company that has any."""
        return await store.waiting_in(self._database, company_id, person_id, self._clock.now())

    # End: approved with what it asked for, rejected, taken back, or run out.

    async def approve(
        self,
        connection: Connection,
        place: Place,
        actor: Actor,
        identifier: UUID,
        *,
        operation_id: UUID,
        subject: Subject,
        details: Details,
    ) -> None:
        """End it on the connection of the transaction that moves its money, or let neither be.

        Refuses: not_open, not_allowed.
        """
        now = self._clock.now()
        approval = await self._get(connection, place.book, identifier)
        approval.check_approved_by(actor.person_id, now)
        ended = Ended(Outcome.APPROVED, now, actor.person_id, operation_id=operation_id)
        await self._end(
            connection, place, actor, approval, ended, Action.APPROVAL_GIVEN, subject, details
        )

    async def reject(self, place: Place, actor: Actor, identifier: UUID, reason: str) -> None:
        """Refuses: invalid_parameter, not_open, not_allowed."""
        kept, now = clean_reason(reason), self._clock.now()
        async with self._database.transaction() as connection:
            approval = await self._get(connection, place.book, identifier)
            approval.check_decided_by(actor.person_id, now)
            ended = Ended(Outcome.REJECTED, now, actor.person_id, reason=kept)
            await self._end(connection, place, actor, approval, ended, Action.APPROVAL_REFUSED)

    async def withdraw(self, place: Place, actor: Actor, identifier: UUID) -> None:
        """Take one's own request back. Refuses: not_open, not_allowed."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            approval = await self._get(connection, place.book, identifier)
            approval.check_open(now)
            if approval.asked_by != actor.person_id:
                raise not_allowed()
            ended = Ended(Outcome.WITHDRAWN, now, actor.person_id)
            await self._end(connection, place, actor, approval, ended, Action.APPROVAL_TAKEN_BACK)

    async def expire(self, limit: int) -> int:
        """End up to `limit` requests whose time is over. Returns how many."""
        return await store.expire(self._database, self._clock.now(), limit)

    # The rules: more protection is in force at once, less has to be approved.

    async def change_rules(
        self, place: Place, actor: Actor, fresh: Rules, request_id: UUID
    ) -> UUID | None:
        """Put rules in force, over the version that they name; the request where they need one.

        Refuses: rate_changed, where they have been changed since they were looked at.
        """
        current = await self.rules(place.book)
        if fresh.version != current.version:
            raise rules_changed()
        if fresh.says_as(current):
            return None
        if fresh.protects_less_than(current):
            return await self.ask(place, actor, Wanted(request_id, Kind.RULES, fresh.spelled()))
        async with self._database.transaction() as connection:
            await self._set_rules(connection, place, actor, fresh)
        return None

    async def approve_rules(self, place: Place, actor: Actor, identifier: UUID) -> None:
        """Put the rules of a request in force. Refuses: not_open, not_allowed, rate_changed."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            approval = await self._get(connection, place.book, identifier)
            approval.check_approved_by(actor.person_id, now)
            fresh = read_rules(approval.wanted.asked)
            current = await store.rules(connection, place.book)
            if fresh.version != current.version:
                raise rules_changed()
            ended = Ended(Outcome.APPROVED, now, actor.person_id)
            await self._end(connection, place, actor, approval, ended, Action.APPROVAL_GIVEN)
            await self._set_rules(connection, place, actor, fresh)

    async def _set_rules(
        self, connection: Connection, place: Place, actor: Actor, fresh: Rules
    ) -> None:
        """The version after the one that they were made from. Refuses: rate_changed."""
        following = Rules(fresh.version + 1, fresh.above, fresh.others)
        now = self._clock.now()
        if not await store.set_rules(connection, place.book, following, _person(actor), now):
            raise rules_changed()
        await self._write(
            connection,
            place,
            actor,
            Action.APPROVAL_RULES_CHANGED,
            Subject("application", str(place.book.application_id)),
            {**following.above, "others": following.others, "version": following.version},
        )

    async def _get(self, connection: Connection, book: Book, identifier: UUID) -> Approval:
        found = await store.find(connection, book, identifier)
        if found is None:
            raise no_longer_open()
        return found

    async def _end(
        self,
        connection: Connection,
        place: Place,
        actor: Actor,
        approval: Approval,
        ended: Ended,
        action: Action,
        subject: Subject | None = None,
        details: Details | None = None,
    ) -> None:
        """Refuses: not_open, when somebody else was quicker."""
        if not await store.end(connection, place.book, approval.id, ended):
            raise no_longer_open()
        told = {
            "kind": str(approval.kind),
            **_told(approval.wanted),
            **(details or {}),
            "askedBy": approval.asker,
            "reason": ended.reason,
        }
        await self._write(connection, place, actor, action, subject or _of(approval.id), told)

    async def _write(
        self,
        connection: Connection,
        place: Place,
        actor: Actor,
        action: Action,
        subject: Subject,
        details: Details,
    ) -> None:
        await self._audit.write(
            connection,
            self._clock.now(),
            actor,
            action,
            subject,
            companies=[place.company_id],
            details={
                **details,
                "application": place.application,
                "environment": place.book.environment.value,
                "applicationId": str(place.book.application_id),
            },
        )


def _of(identifier: UUID) -> Subject:
    return Subject("approval", str(identifier))


def _person(actor: Actor) -> UUID:
    if actor.person_id is None:
        raise RuntimeError("only a person asks for approval or decides on it")
    return actor.person_id


def _told(wanted: Wanted) -> Details:
    """What a request asks for, as the audit log tells it."""
    shown = wanted.shown
    if shown is None:
        return {}
    arrives = shown.arrives
    return {
        "source": shown.source,
        "destination": shown.destination,
        "amount": shown.amount.minor,
        "currency": shown.amount.currency,
        "arrives": None if arrives is None else arrives.minor,
        "arrivesIn": None if arrives is None else arrives.currency,
        "provider": shown.operator,
    }
