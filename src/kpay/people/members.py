"""A company's people: invitations, roles, removals. Only owners manage them.

Whoever changes a company's people takes a turn at its row first, and is looked at again then: an
owner who was removed a moment before changes nothing any more. That an owner is left is held by the
database (`memberships_keep_an_owner`).
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from asyncpg import IntegrityConstraintViolationError

from kpay.audit.model import Action, Actor, Subject
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection
from kpay.people import store
from kpay.people.model import (
    INVITATION_LIFE,
    RESET_LIFE,
    Invitation,
    Language,
    Link,
    Member,
    Person,
    Right,
    Role,
    Session,
    clean_email,
    clean_name,
    environment_of_people,
    invitation_over,
    last_owner,
    not_allowed,
)
from kpay.people.strength import check_strength
from kpay.people.tools import INVITATION_PREFIX, Tools, check_whole


class Members:
    """The verbs of a company's people."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._database = tools.database

    async def of_company(self, session: Session, company_id: UUID) -> list[Member]:
        """Who is in the company, for everybody who is. Refuses: not_allowed."""
        session.check(company_id, Right.VIEW_MONEY)
        return await store.list_members(self._database, company_id)

    async def invitations(self, session: Session, company_id: UUID) -> list[Invitation]:
        """Those that can still be accepted. Refuses: not_allowed."""
        session.check(company_id, Right.PEOPLE)
        now = self._tools.clock.now()
        return await store.list_invitations(self._database, company_id, now)

    async def invite(self, session: Session, company_id: UUID, email: str, role: Role) -> Link:
        """A link for one person, once, within a week; one before it for the same email ends.

        Refuses: not_allowed, second_factor_needed, already_member, email_taken, invalid_parameter.
        """
        email = clean_email(email)
        token, token_hash = self._tools.new_secret(INVITATION_PREFIX)
        async with self._turn(session, company_id) as (connection, now):
            await self._check_can_join(connection, company_id, email)
            new = store.NewInvitation(
                id=self._tools.ids.uuid(),
                company_id=company_id,
                email=email,
                role=role,
                token_hash=token_hash,
                invited_by=session.person.id,
                created_at=now,
                ends_at=now + INVITATION_LIFE,
            )
            await store.insert_invitation(connection, new)
            subject = Subject("invitation", str(new.id))
            await self._record(
                connection, session, company_id, Action.INVITED, subject, email=email, role=role
            )
        return self._tools.invitation_link(token, new.ends_at)

    async def withdraw(self, session: Session, company_id: UUID, invitation_id: UUID) -> None:
        """Take an invitation back. Refuses: not_allowed, second_factor_needed, invitation_over."""
        async with self._turn(session, company_id) as (connection, now):
            email = await store.withdraw_invitation(connection, company_id, invitation_id, now)
            if email is None:
                raise invitation_over()
            subject = Subject("invitation", str(invitation_id))
            await self._record(
                connection, session, company_id, Action.INVITATION_WITHDRAWN, subject, email=email
            )

    async def invitation(self, token: str) -> tuple[Invitation, bool]:
        """What a link invites to, and whether its email is a person's already.

        Refuses: invitation_over.
        """
        invitation = await store.find_invitation(
            self._database, self._tools.hash_of(token), self._tools.clock.now()
        )
        if invitation is None:
            raise invitation_over()
        return invitation, await store.of_email(self._database, invitation.email) is not None

    async def accept_as_new(
        self,
        token: str,
        *,
        name: str,
        password: str,
        language: Language | None = None,
        address: str | None,
    ) -> str:
        """Become a person and a member. Returns what the browser keeps to be known at sign-in.

        Refuses: invitation_over, email_taken, weak_password, invalid_parameter, busy.
        """
        name = clean_name(name)
        invitation, taken = await self.invitation(token)
        if taken:
            raise _sign_in_to_accept()
        check_strength(password, email=invitation.email, name=name)
        password_hash = await self._tools.passwords.hash(password)
        person = Person(self._tools.ids.uuid(), invitation.email, name, language, None, None, None)
        async with self._database.transaction() as connection:
            now = self._tools.clock.now()
            await store.lock_company(connection, invitation.company_id)
            if not await store.insert_person(connection, person, password_hash, now):
                raise _sign_in_to_accept()
            await self._accept(connection, invitation, person.id, address, now)
        return self._tools.new_device(person.id)

    async def accept(self, session: Session, token: str) -> UUID:
        """Become a member of one more company, which is answered.

        Refuses: invitation_over; not_allowed, when it was made for another email or the person is
        the operator's; already_member; second_factor_needed.
        """
        check_whole(session)
        invitation, _ = await self.invitation(token)
        if invitation.email != session.person.email:
            raise Refusal(
                Code.NOT_ALLOWED,
                f"This invitation is for {invitation.email}: sign in as that person.",
            )
        if session.person.operator_role is not None:
            raise _is_operators()
        async with self._database.transaction() as connection:
            now = self._tools.clock.now()
            await store.lock_company(connection, invitation.company_id)
            await self._tools.hold_session(connection, session)
            await self._accept(connection, invitation, session.person.id, session.address, now)
        return invitation.company_id

    async def change_role(
        self, session: Session, company_id: UUID, person_id: UUID, role: Role
    ) -> None:
        """Another role, from that person's next request on.

        Refuses: not_allowed, second_factor_needed, not_found, last_owner.
        """
        async with self._turn(session, company_id) as (connection, now):
            before = await self._role(connection, company_id, person_id)
            await store.change_role(connection, company_id, person_id, role)
            if before is Role.OWNER and role is not Role.OWNER:
                await store.withdraw_links_made_by(connection, person_id, now)
            await self._record(
                connection,
                session,
                company_id,
                Action.MEMBER_ROLE_CHANGED,
                Subject("person", str(person_id)),
                before=before,
                role=role,
            )

    async def remove(self, session: Session, company_id: UUID, person_id: UUID) -> None:
        """Take a member out, from that person's next request on; `leave` is for oneself.

        Refuses: not_allowed, second_factor_needed, not_found, last_owner.
        """
        async with self._turn(session, company_id) as (connection, now):
            before = await self._role(connection, company_id, person_id)
            await store.remove_member(connection, company_id, person_id)
            await store.withdraw_links_made_by(connection, person_id, now)
            await self._record(
                connection,
                session,
                company_id,
                Action.MEMBER_REMOVED,
                Subject("person", str(person_id)),
                role=before,
            )

    async def leave(self, session: Session, company_id: UUID) -> None:
        """Be a member no longer. Refuses: not_allowed, last_owner, second_factor_needed."""
        check_whole(session)
        async with _keeping_an_owner(), self._database.transaction() as connection:
            now = self._tools.clock.now()
            await store.lock_company(connection, company_id)
            await self._tools.hold_session(connection, session)
            before = await store.role_of(connection, company_id, session.person.id)
            if before is None:
                raise not_allowed()
            await store.remove_member(connection, company_id, session.person.id)
            await store.withdraw_links_made_by(connection, session.person.id, now)
            subject = Subject("person", str(session.person.id))
            await self._record(
                connection, session, company_id, Action.MEMBER_LEFT, subject, role=before
            )

    async def password_link(self, session: Session, company_id: UUID, person_id: UUID) -> Link:
        """A link with which a member sets a new password, once, within an hour.

        Only for who is no owner anywhere, and in no company that this owner does not own: who makes
        the link could use it. The operator makes those. Refuses: not_allowed, second_factor_needed,
        not_found.
        """
        async with self._turn(session, company_id) as (connection, now):
            await self._role(connection, company_id, person_id)
            if await store.owned_elsewhere(connection, person_id, session.person.id):
                raise Refusal(
                    Code.NOT_ALLOWED,
                    "This person is an owner or in another company too: the operator makes the "
                    "link.",
                )
            link = await self._tools.new_link(
                connection, person_id, session.person.id, now, RESET_LIFE
            )
            subject = Subject("person", str(person_id))
            await self._record(connection, session, company_id, Action.PASSWORD_LINK_MADE, subject)
        return link

    @asynccontextmanager
    async def _turn(
        self, session: Session, company_id: UUID
    ) -> AsyncIterator[tuple[Connection, datetime]]:
        """A turn at changing a company's people, for one of its owners, and the time that it is.

        Refuses: not_allowed, second_factor_needed, session_over, last_owner.
        """
        membership = session.membership(company_id)
        changes = None if membership is None else environment_of_people(membership)
        session.check(company_id, Right.PEOPLE, changes)
        async with _keeping_an_owner(), self._database.transaction() as connection:
            await store.lock_company(connection, company_id)
            await self._tools.hold_session(connection, session)
            if await store.role_of(connection, company_id, session.person.id) is not Role.OWNER:
                raise not_allowed()
            yield connection, self._tools.clock.now()

    async def _check_can_join(self, connection: Connection, company_id: UUID, email: str) -> None:
        account = await store.of_email(connection, email)
        if account is None:
            return
        if account.person.operator_role is not None:
            raise _is_operators()
        if company_id in account.companies:
            raise _already_member()

    async def _accept(
        self,
        connection: Connection,
        invitation: Invitation,
        person_id: UUID,
        address: str | None,
        now: datetime,
    ) -> None:
        if not await store.accept_invitation(connection, invitation.id, now):
            raise invitation_over()
        if not await store.insert_member(
            connection, invitation.company_id, person_id, invitation.role, now
        ):
            raise _already_member()
        await self._tools.audit.write(
            connection,
            now,
            Actor(person_id=person_id, address=address),
            Action.INVITATION_ACCEPTED,
            Subject("invitation", str(invitation.id)),
            companies=[invitation.company_id],
            details={"email": invitation.email, "role": invitation.role},
        )

    async def _role(self, connection: Connection, company_id: UUID, person_id: UUID) -> Role:
        role = await store.role_of(connection, company_id, person_id)
        if role is None:
            raise Refusal(Code.NOT_FOUND, "There is no such person in this company.")
        return role

    async def _record(
        self,
        connection: Connection,
        session: Session,
        company_id: UUID,
        action: Action,
        subject: Subject,
        **details: str | int | bool | None,
    ) -> None:
        await self._tools.audit.write(
            connection,
            self._tools.clock.now(),
            session.actor,
            action,
            subject,
            companies=[company_id],
            details=details,
        )


@asynccontextmanager
async def _keeping_an_owner() -> AsyncIterator[None]:
    """Say what the database says of a company that would be left without an owner."""
    try:
        yield
    except IntegrityConstraintViolationError as problem:
        if problem.constraint_name != "memberships_keep_an_owner":
            raise
        raise last_owner() from problem


def _sign_in_to_accept() -> Refusal:
    return Refusal(
        Code.EMAIL_TAKEN,
        "There is a person of this email already: sign in and open the invitation again.",
    )


def _already_member() -> Refusal:
    return Refusal(Code.ALREADY_MEMBER, "This person is a member already: change the role instead.")


def _is_operators() -> Refusal:
    return Refusal(
        Code.NOT_ALLOWED,
        "This email belongs to the operator's staff, who are in no company: use another email.",
    )
