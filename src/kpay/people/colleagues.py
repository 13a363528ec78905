"""The operator's own staff, as its admins manage them in the back office.

Who changes the staff takes a turn at all of its rows first, and is looked at again then: of two
admins who shut each other out at the same moment the second one is none any more. As nobody changes
their own place, an admin who can sign in is always left.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection
from kpay.people import store
from kpay.people.model import (
    IDLE_LIFE,
    SESSION_LIFE,
    Colleague,
    Link,
    OperatorRight,
    OperatorRole,
    Session,
    not_allowed,
)
from kpay.people.persons import Persons, email_taken
from kpay.people.store import Account
from kpay.people.tools import Tools


class Colleagues:
    """The verbs of the operator's staff among themselves."""

    def __init__(self, tools: Tools, persons: Persons) -> None:
        self._tools = tools
        self._persons = persons
        self._database = tools.database

    async def everybody(self, session: Session) -> list[Colleague]:
        """Who works for the operator by name, closed accounts last. Refuses: not_allowed."""
        session.check_operator(OperatorRight.VIEW)
        now = self._tools.clock.now()
        return await store.list_colleagues(self._database, now, now - SESSION_LIFE, now - IDLE_LIFE)

    async def invite(self, session: Session, *, email: str, name: str, role: OperatorRole) -> Link:
        """A new colleague, with a link that sets a password, once, within a week.

        Refuses: already_member, email_taken by a merchant's person, invalid_parameter, and what
        every verb here refuses: not_allowed, second_factor_needed, session_over.
        """
        person = self._persons.new(email, name, role)
        async with self._turn(session) as (connection, now):
            known = await store.of_email(connection, person.email)
            if known is not None and known.person.operator_role is not None:
                raise Refusal(
                    Code.ALREADY_MEMBER, f"{person.email} is the operator's already: see the list."
                )
            if known is not None:
                raise email_taken("is a merchant's person")
            link = await self._persons.insert(connection, session.actor, person, None, now)
        if link is None:
            raise RuntimeError("a person without a password is given a link")
        return link

    async def change_role(self, session: Session, person_id: UUID, role: OperatorRole) -> None:
        """Another role, from that person's next request on. Refuses: not_found."""
        async with self._turn(session) as (connection, now):
            account = await self._other(connection, session, person_id)
            await self._persons.set_role(connection, session.actor, account, role, now)

    async def make_link(
        self, session: Session, person_id: UUID, *, without_second_factor: bool
    ) -> Link:
        """A link that sets a new password, once; a second factor that was lost goes with it, now.

        Refuses: not_found; not_allowed, for who was shut out.
        """
        async with self._turn(session) as (connection, now):
            account = await self._other(connection, session, person_id)
            return await self._persons.make_link(
                connection,
                session.actor,
                account,
                now,
                without_second_factor=without_second_factor,
            )

    async def sign_out(self, session: Session, person_id: UUID) -> int:
        """End every session of a colleague. Returns how many those were. Refuses: not_found."""
        async with self._turn(session) as (connection, now):
            account = await self._other(connection, session, person_id)
            return await self._persons.end_sessions(connection, session.actor, account, now)

    async def disable(self, session: Session, person_id: UUID) -> None:
        """Shut a colleague out at once, everywhere. Refuses: not_found."""
        async with self._turn(session) as (connection, now):
            account = await self._other(connection, session, person_id)
            await self._persons.disable(connection, session.actor, account, now)

    async def enable(self, session: Session, person_id: UUID) -> None:
        """Let a colleague in again, as before. Refuses: not_found."""
        async with self._turn(session) as (connection, now):
            account = await self._other(connection, session, person_id)
            await self._persons.enable(connection, session.actor, account, now)

    @asynccontextmanager
    async def _turn(self, session: Session) -> AsyncIterator[tuple[Connection, datetime]]:
        """A turn at changing the staff, for an admin whose code is fresh, and the time that it is.

        Refuses: not_allowed, second_factor_needed, session_over.
        """
        session.check_operator(OperatorRight.STAFF)
        if not session.has_fresh_code(self._tools.clock.now()):
            raise Refusal(
                Code.SECOND_FACTOR_NEEDED,
                "Give the code of your second factor once more: this changes who works here.",
            )
        async with self._database.transaction() as connection:
            roles = await store.hold_staff(connection)
            if roles.get(session.person.id) is not OperatorRole.ADMIN:
                raise not_allowed()
            await self._tools.hold_session(connection, session)
            yield connection, self._tools.clock.now()

    async def _other(self, connection: Connection, session: Session, person_id: UUID) -> Account:
        """Somebody else of the staff. Refuses: not_found; not_allowed for oneself."""
        if person_id == session.person.id:
            raise Refusal(
                Code.NOT_ALLOWED, "Another admin does this for you: nobody changes their own place."
            )
        account = await store.of_id(connection, person_id)
        if account is None or account.person.operator_role is None:
            raise Refusal(Code.NOT_FOUND, "There is no such person on the staff.")
        return account
