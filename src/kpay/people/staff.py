"""What the operator does about people: by a command, or in the back office.

Who may is decided before: the commands by whoever reaches the machine, the back office by
`Session.check_operator`. The `actor` says who it was, for the audit log.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from kpay.access.store import upsert_company
from kpay.audit.model import Action, Actor, Subject
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection
from kpay.people import store
from kpay.people.model import (
    FIRST_LINK_LIFE,
    RESET_LIFE,
    Link,
    Member,
    OperatorRole,
    Person,
    RefusedSignIn,
    Role,
    clean_email,
    clean_name,
    not_allowed,
)
from kpay.people.store import Account, Listed
from kpay.people.strength import check_strength
from kpay.people.tools import Tools


class Staff:
    """The operator's verbs."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._database = tools.database

    async def everybody(self) -> list[Listed]:
        """Everybody who can sign in, with what each is in which company."""
        return await store.list_people(self._database)

    async def of_company(self, company_id: UUID) -> list[Member]:
        """A company's people, by name."""
        return await store.list_members(self._database, company_id)

    async def member(self, company_id: UUID, person_id: UUID) -> Member | None:
        """One of a company's people, or None."""
        members = await self.of_company(company_id)
        return next((member for member in members if member.person.id == person_id), None)

    async def counts(self, companies: Sequence[UUID]) -> dict[UUID, int]:
        """How many people there are in each company; one without any is not in it."""
        return await store.count_members(self._database, companies)

    async def companies_of(self, email: str) -> list[UUID]:
        """The companies that a person is in; none for an email that is nobody's."""
        try:
            account = await store.of_email(self._database, clean_email(email))
        except Refusal:
            return []
        return [] if account is None else list(account.companies)

    async def refused_sign_ins(self, limit: int) -> list[RefusedSignIn]:
        """The latest first."""
        return await store.list_refusals(self._database, limit)

    async def create(
        self,
        actor: Actor,
        *,
        company_name: str,
        email: str,
        name: str,
        role: Role,
        password: str | None = None,
    ) -> tuple[Person, Link | None]:
        """A member of a company, which is made when its name is new.

        Who is a person already keeps name and password. A new one without a password is given a
        link to set it. Refuses: email_taken, already_member, weak_password, invalid_parameter.
        """
        clean_name(company_name)
        person = self._new_person(email, name, None)
        password_hash = await self._hash(person, password)
        async with self._database.transaction() as connection:
            now = self._tools.clock.now()
            company = await upsert_company(connection, self._tools.ids.uuid(), company_name, now)
            known = await store.of_email(connection, person.email)
            link = None
            if known is None:
                link = await self._insert(connection, actor, person, password_hash, now)
            elif known.person.operator_role is not None:
                raise _taken("is the operator's, who are in no company")
            else:
                person = known.person
            if not await store.insert_member(connection, company.id, person.id, role, now):
                raise Refusal(
                    Code.ALREADY_MEMBER, f"{person.email} is a member of {company.name} already."
                )
            await self._tools.audit.write(
                connection,
                now,
                actor,
                Action.MEMBER_ADDED,
                Subject("person", str(person.id)),
                companies=[company.id],
                details={"email": person.email, "role": role},
            )
        return person, link

    async def set_operator(
        self,
        actor: Actor,
        *,
        email: str,
        name: str,
        role: OperatorRole,
        password: str | None = None,
    ) -> tuple[Person, Link | None]:
        """One of the operator's own staff, or another role for one.

        Refuses: email_taken, by a merchant's person; weak_password; invalid_parameter.
        """
        person = self._new_person(email, name, role)
        password_hash = await self._hash(person, password)
        async with self._database.transaction() as connection:
            now = self._tools.clock.now()
            known = await store.of_email(connection, person.email)
            if known is None:
                link = await self._insert(connection, actor, person, password_hash, now)
                return person, link
            if not await store.set_operator_role(connection, known.person.id, role):
                raise _taken("is a merchant's person")
            await self._record(connection, actor, known, Action.OPERATOR_CHANGED, now, role=role)
        return known.person, None

    async def password_link(
        self, actor: Actor, email: str, *, without_second_factor: bool = False
    ) -> Link:
        """A link with which a person sets a new password, once, within an hour.

        The second factor stays, unless it is to go: then it goes now, and all sessions with it.
        Refuses: not_found, not_allowed for who is disabled.
        """
        async with self._database.transaction() as connection:
            now = self._tools.clock.now()
            account = await self._account(connection, email)
            person = account.person
            if not await store.hold_person(connection, person.id):
                raise Refusal(Code.NOT_ALLOWED, f"{person.email} is disabled: enable it first.")
            if without_second_factor and await store.remove_factor(connection, person.id):
                await store.end_sessions(connection, person.id)
                await self._record(connection, actor, account, Action.SECOND_FACTOR_REMOVED, now)
            life = FIRST_LINK_LIFE if account.password_hash is None else RESET_LIFE
            link = await self._tools.new_link(connection, person.id, actor.person_id, now, life)
            await self._record(connection, actor, account, Action.PASSWORD_LINK_MADE, now)
        return link

    async def disable(self, actor: Actor, email: str) -> Person:
        """Shut a person out at once, everywhere. Refuses: not_found, not_allowed for oneself.

        Also the last owner of a company: whose account was stolen must be shut out. The operator
        makes another owner then.
        """
        async with self._database.transaction() as connection:
            now = self._tools.clock.now()
            account = await self._account(connection, email)
            if account.person.id == actor.person_id:
                raise not_allowed()
            await store.set_disabled(connection, account.person.id, now)
            ended = await store.end_sessions(connection, account.person.id)
            await store.withdraw_links(connection, account.person.id, now)
            await store.withdraw_links_made_by(connection, account.person.id, now)
            await self._record(
                connection, actor, account, Action.PERSON_DISABLED, now, sessionsEnded=ended
            )
        return account.person

    async def enable(self, actor: Actor, email: str) -> Person:
        """Let a person in again, as before. Refuses: not_found."""
        async with self._database.transaction() as connection:
            account = await self._account(connection, email)
            await store.set_disabled(connection, account.person.id, None)
            now = self._tools.clock.now()
            await self._record(connection, actor, account, Action.PERSON_ENABLED, now)
        return account.person

    def _new_person(self, email: str, name: str, role: OperatorRole | None) -> Person:
        return Person(
            self._tools.ids.uuid(), clean_email(email), clean_name(name), None, role, None, None
        )

    async def _hash(self, person: Person, password: str | None) -> str | None:
        if password is None:
            return None
        check_strength(password, email=person.email, name=person.name)
        return await self._tools.passwords.hash(password)

    async def _insert(
        self,
        connection: Connection,
        actor: Actor,
        person: Person,
        password_hash: str | None,
        now: datetime,
    ) -> Link | None:
        """Make a person. Returns the link to set a password with, for who has none."""
        if not await store.insert_person(connection, person, password_hash, now):
            raise _taken("was made a person at this moment")
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

    async def _account(self, connection: Connection, email: str) -> Account:
        account = await store.of_email(connection, clean_email(email))
        if account is None:
            raise Refusal(Code.NOT_FOUND, f"There is no person {email}: see kpay person list.")
        return account

    async def _record(
        self,
        connection: Connection,
        actor: Actor,
        account: Account,
        action: Action,
        now: datetime,
        **details: str | int | bool | None,
    ) -> None:
        await self._tools.audit.write(
            connection,
            now,
            actor,
            action,
            Subject("person", str(account.person.id)),
            companies=account.companies,
            details={"email": account.person.email, **details},
        )


def _taken(what: str) -> Refusal:
    return Refusal(Code.EMAIL_TAKEN, f"This email {what}: use another one.")
