"""What is done to somebody else's account, each within the transaction of whoever does it.

The operator's commands and the back office have decided before who may, and to whom. Everything is
written into the audit log here, so that no way to it leaves that out.
"""

from __future__ import annotations

from datetime import datetime

from kpay.audit.model import Action, Actor, Subject
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection
from kpay.people import store
from kpay.people.model import (
    FIRST_LINK_LIFE,
    RESET_LIFE,
    Link,
    OperatorRole,
    Person,
    clean_email,
    clean_name,
)
from kpay.people.store import Account
from kpay.people.tools import Tools


class Persons:
    """The verbs, with the moment at which they happen as `now`."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    def new(self, email: str, name: str, role: OperatorRole | None) -> Person:
        """A person as typed, who is nobody yet. Refuses: invalid_parameter."""
        return Person(
            self._tools.ids.uuid(), clean_email(email), clean_name(name), None, role, None, None
        )

    async def insert(
        self,
        connection: Connection,
        actor: Actor,
        person: Person,
        password_hash: str | None,
        now: datetime,
    ) -> Link | None:
        """Make a person. Returns the link to set a password with, for who has none.

        Refuses: email_taken, when somebody else made a person of this email a moment before.
        """
        if not await store.insert_person(connection, person, password_hash, now):
            raise email_taken("was made a person at this moment")
        await self._tools.audit.write(
            connection,
            now,
            actor,
            Action.PERSON_CREATED,
            Subject("person", str(person.id)),
            details={
                "email": person.email,
                "name": person.name,
                "operatorRole": person.operator_role,
            },
        )
        if password_hash is not None:
            return None
        return await self._tools.new_link(
            connection, person.id, actor.person_id, now, FIRST_LINK_LIFE
        )

    async def set_role(
        self,
        connection: Connection,
        actor: Actor,
        account: Account,
        role: OperatorRole,
        now: datetime,
    ) -> None:
        """Another role for one of the operator's staff, from that person's next request on.

        Whoever governs the others no longer has no link left to become one of them. Refuses:
        email_taken, for a merchant's person.
        """
        if not await store.set_operator_role(connection, account.person.id, role):
            raise email_taken("is a merchant's person")
        if role is not OperatorRole.ADMIN:
            await store.withdraw_links_made_by(connection, account.person.id, now)
        await self.record(connection, actor, account, Action.OPERATOR_CHANGED, now, role=role)

    async def make_link(
        self,
        connection: Connection,
        actor: Actor,
        account: Account,
        now: datetime,
        *,
        without_second_factor: bool,
    ) -> Link:
        """A link that sets a new password, once; the second factor stays, unless it is to go now.

        Refuses: not_allowed, for who is disabled.
        """
        person = account.person
        if not await store.hold_person(connection, person.id):
            raise Refusal(Code.NOT_ALLOWED, f"{person.email} is disabled: enable it first.")
        if without_second_factor and await store.remove_factor(connection, person.id):
            await store.end_sessions(connection, person.id)
            await self.record(connection, actor, account, Action.SECOND_FACTOR_REMOVED, now)
        life = FIRST_LINK_LIFE if account.password_hash is None else RESET_LIFE
        link = await self._tools.new_link(connection, person.id, actor.person_id, now, life)
        await self.record(connection, actor, account, Action.PASSWORD_LINK_MADE, now)
        return link

    async def end_sessions(
        self, connection: Connection, actor: Actor, account: Account, now: datetime
    ) -> int:
        """Sign a person out everywhere. Returns from how many places."""
        ended = await store.end_sessions(connection, account.person.id)
        await self.record(
            connection, actor, account, Action.SESSIONS_ENDED, now, sessionsEnded=ended
        )
        return ended

    async def disable(
        self, connection: Connection, actor: Actor, account: Account, now: datetime
    ) -> None:
        """Shut a person out at once, everywhere; links of theirs and those they made end."""
        person_id = account.person.id
        await store.set_disabled(connection, person_id, now)
        ended = await store.end_sessions(connection, person_id)
        await store.withdraw_links(connection, person_id, now)
        await store.withdraw_links_made_by(connection, person_id, now)
        await self.record(
            connection, actor, account, Action.PERSON_DISABLED, now, sessionsEnded=ended
        )

    async def enable(
        self, connection: Connection, actor: Actor, account: Account, now: datetime
    ) -> None:
        """Let a person in again, as before."""
        await store.set_disabled(connection, account.person.id, None)
        await self.record(connection, actor, account, Action.PERSON_ENABLED, now)

    async def record(
        self,
        connection: Connection,
        actor: Actor,
        account: Account,
        action: Action,
        now: datetime,
        **details: str | int | bool | None,
    ) -> None:
        """Write down what was done to a person."""
        await self._tools.audit.write(
            connection,
            now,
            actor,
            action,
            Subject("person", str(account.person.id)),
            companies=account.companies,
            details={"email": account.person.email, **details},
        )


def email_taken(what: str) -> Refusal:
    return Refusal(Code.EMAIL_TAKEN, f"This email {what}: use another one.")
