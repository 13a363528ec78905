"""What the operator does about people: by a command, or in the back office.

Who may is decided before: the commands by whoever reaches the machine, the back office by
`Session.check_operator`. The `actor` says who it was, for the audit log.
"""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from kpay.access.store import upsert_company
from kpay.audit.model import Action, Actor, Subject
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection
from kpay.people import store
from kpay.people.model import (
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
from kpay.people.persons import Persons, email_taken
from kpay.people.store import Account, Listed
from kpay.people.strength import check_strength
from kpay.people.tools import Tools


class Staff:
    """The operator's verbs."""

    def __init__(self, tools: Tools, persons: Persons) -> None:
        self._tools = tools
        self._persons = persons
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
        person = self._persons.new(email, name, None)
        password_hash = await self._hash(person, password)
        async with self._database.transaction() as connection:
            now = self._tools.clock.now()
            company = await upsert_company(connection, self._tools.ids.uuid(), company_name, now)
            known = await store.of_email(connection, person.email)
            link = None
            if known is None:
                link = await self._persons.insert(connection, actor, person, password_hash, now)
            elif known.person.operator_role is not None:
                raise email_taken("is the operator's, who are in no company")
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
        person = self._persons.new(email, name, role)
        password_hash = await self._hash(person, password)
        async with self._database.transaction() as connection:
            now = self._tools.clock.now()
            known = await store.of_email(connection, person.email)
            if known is None:
                link = await self._persons.insert(connection, actor, person, password_hash, now)
                return person, link
            await self._persons.set_role(connection, actor, known, role, now)
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
            return await self._persons.make_link(
                connection, actor, account, now, without_second_factor=without_second_factor
            )

    async def sign_out(self, actor: Actor, email: str) -> int:
        """End every session of a person. Returns how many those were. Refuses: not_found."""
        async with self._database.transaction() as connection:
            account = await self._account(connection, email)
            now = self._tools.clock.now()
            return await self._persons.end_sessions(connection, actor, account, now)

    async def disable(self, actor: Actor, email: str) -> Person:
        """Shut a person out at once, everywhere. Refuses: not_found, not_allowed for oneself.

        Also the last owner of a company, or the last admin: whose account was stolen must be shut
        out. The operator makes another one then.
        """
        async with self._database.transaction() as connection:
            now = self._tools.clock.now()
            account = await self._account(connection, email)
            if account.person.id == actor.person_id:
                raise not_allowed()
            await self._persons.disable(connection, actor, account, now)
        return account.person

    async def enable(self, actor: Actor, email: str) -> Person:
        """Let a person in again, as before. Refuses: not_found."""
        async with self._database.transaction() as connection:
            account = await self._account(connection, email)
            await self._persons.enable(connection, actor, account, self._tools.clock.now())
        return account.person

    async def _hash(self, person: Person, password: str | None) -> str | None:
        if password is None:
            return None
        check_strength(password, email=person.email, name=person.name)
        return await self._tools.passwords.hash(password)

    async def _account(self, connection: Connection, email: str) -> Account:
        account = await store.of_email(connection, clean_email(email))
        if account is None:
            raise Refusal(Code.NOT_FOUND, f"There is no person {email}: see kpay person list.")
        return account
