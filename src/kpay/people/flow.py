"""Signing in and out, and whose session a cookie is: what every page begins with.

Nothing of a session is kept in this process: each request looks it up, so what changes a person, a
role or a session holds from the next request on, on every process.
"""

from __future__ import annotations

from uuid import UUID

from kpay.access.model import Vault
from kpay.audit.flow import Audit
from kpay.audit.model import Action, Actor, Details, Subject
from kpay.core.clock import Clock
from kpay.core.ids import Ids, first_id
from kpay.core.refusals import Refusal
from kpay.database.pool import Connection, Database
from kpay.people import store
from kpay.people.account import Accounts
from kpay.people.codes import Codes
from kpay.people.colleagues import Colleagues
from kpay.people.members import Members
from kpay.people.model import (
    CODE_WITHIN,
    REFUSALS_KEPT,
    SEEN_EVERY,
    SESSION_LIFE,
    Place,
    Session,
    SignedIn,
    clean_agent,
    clean_email,
    session_ends,
    session_over,
    wrong_sign_in,
)
from kpay.people.passwords import Passwords
from kpay.people.persons import Persons
from kpay.people.staff import Staff
from kpay.people.throttle import of_code, of_sign_in
from kpay.people.tools import SESSION_PREFIX, Tools


class People:
    """The verbs of signing in; those of one's own account, of companies and of the operator."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        ids: Ids,
        audit: Audit,
        *,
        public_url: str,
        passwords: Passwords | None = None,
    ) -> None:
        self._passwords = passwords or Passwords()
        self._tools = Tools(database, vault, clock, ids, audit, self._passwords, public_url)
        self._database = database
        self._vault = vault
        self._clock = clock
        self.accounts = Accounts(self._tools)
        self.members = Members(self._tools)
        self.codes = Codes(self._tools)
        persons = Persons(self._tools)
        self.staff = Staff(self._tools, persons)
        self.colleagues = Colleagues(self._tools, persons)

    async def sign_in(
        self,
        email: str,
        password: str,
        *,
        address: str | None,
        agent: str | None,
        device: str | None = None,
    ) -> SignedIn:
        """Begin a session, which still `needs_code` where a second factor is in force.

        `device` is what the browser kept of an earlier `SignedIn`. Refuses: wrong_sign_in, the same
        for an unknown email as for a wrong password and after as long; too_many_failures; busy.
        """
        known_email = _email_or_nothing(email)
        account = await store.of_email(self._database, known_email) if known_email else None
        browser = None
        if account is not None and device is not None:
            browser = self._vault.device_of(device, account.person.id)
        person_id = None if account is None else account.person.id
        async with (
            self._tools.noted(person_id, address),
            self._tools.throttle.attempt(of_sign_in(known_email, address, browser)),
        ):
            known = None if account is None else account.password_hash
            right = await self._passwords.verify(known, password)
            if not right or account is None or known is None:
                raise wrong_sign_in()
            known = await self._hashed_anew(account.person.id, known, password)
            return await self._begin(
                account, known, address, agent, browser, device if browser else None
            )

    async def give_code(self, token: str, code: str, *, address: str | None = None) -> SignedIn:
        """Prove a session with a code of the app, or a recovery code, each accepted once.

        From here on the session has another token. Refuses: wrong_code, session_over,
        too_many_failures.
        """
        session = await self.session(token, address=address)
        if session is None or not session.needs_code:
            raise session_over()
        person_id = session.person.id
        async with (
            self._tools.noted(person_id, address),
            self._tools.throttle.attempt(of_code(person_id, session.device)),
        ):
            return await self._prove(session, code)

    async def session(
        self, token: str, *, address: str | None = None, active: bool = True
    ) -> Session | None:
        """Whose session a cookie is, with what that person may do now; None when it is over.

        `address` is where the request comes from, for the audit log. A request that no person
        makes, such as a page that waits for news, is not `active`: it keeps no session alive.
        """
        found = await store.find_session(self._database, self._tools.hash_of(token))
        if found is None:
            return None
        session = Session(
            id=found.id,
            person=found.account.person,
            memberships=found.memberships,
            created_at=found.created_at,
            second_factor_at=found.second_factor_at,
            address=address or found.address,
            csrf_token=self._vault.form_token(token),
            device=found.device,
        )
        now = self._clock.now()
        if not session_ends(
            found.created_at, found.seen_at, needs_code=session.needs_code, now=now
        ):
            return None
        if active and now - found.seen_at >= SEEN_EVERY:
            await store.see_session(self._database, session.id, now)
        return session

    async def sessions(self, session: Session) -> list[Place]:
        """Where the session's person is signed in, the latest first."""
        now = self._clock.now()
        rows = await store.list_sessions(self._database, session.person.id)
        has_factor = session.person.factor_since is not None
        return [
            Place(
                id=row["id"],
                created_at=row["created_at"],
                seen_at=row["seen_at"],
                address=row["address"],
                agent=row["agent"],
                current=row["id"] == session.id,
            )
            for row in rows
            if session_ends(
                row["created_at"],
                row["seen_at"],
                needs_code=has_factor and row["second_factor_at"] is None,
                now=now,
            )
        ]

    async def sign_out(self, session: Session) -> None:
        """End this session. Ending it twice is no mistake."""
        await self._end(session, session.id)

    async def end_session(self, session: Session, session_id: UUID) -> None:
        """End another session of one's own. Refuses: session_over, if it is gone."""
        async with self._database.transaction() as connection:
            await self._tools.hold(connection, session)
        if not await self._end(session, session_id):
            raise session_over()

    async def sign_out_elsewhere(self, session: Session) -> int:
        """End every session of one's own but this one. Returns how many those were."""
        async with self._database.transaction() as connection:
            await self._tools.hold(connection, session)
            ended = await store.end_sessions(connection, session.person.id, session.id)
            await self._record(
                connection, session, Action.SIGNED_OUT_ELSEWHERE, session.id, {"sessions": ended}
            )
        return ended

    async def sweep(self, limit: int) -> int:
        """Forget what is over, up to `limit` sessions, counts and refusals. Returns how many."""
        now = self._clock.now()
        refusals = await store.sweep_refusals(self._database, first_id(now - REFUSALS_KEPT), limit)
        return refusals + await store.sweep(self._database, now, now - SESSION_LIFE, limit)

    def close(self) -> None:
        self._passwords.close()

    async def _hashed_anew(self, person_id: UUID, known: str, password: str) -> str:
        """The hash in force; made anew where what a hash costs has changed since it was made."""
        if not self._passwords.is_dated(known):
            return known
        fresh = await self._passwords.hash(password)
        await store.replace_password(self._database, person_id, known, fresh)
        return fresh

    async def _begin(
        self,
        account: store.Account,
        known: str,
        address: str | None,
        agent: str | None,
        browser: str | None,
        device: str | None,
    ) -> SignedIn:
        now, person = self._clock.now(), account.person
        session_id = self._tools.ids.uuid()
        token, token_hash = self._tools.new_secret(SESSION_PREFIX)
        needs_code = person.factor_since is not None
        async with self._database.transaction() as connection:
            # A password that is replaced at this moment ends all sessions, and must not leave out
            # one that the old password is just beginning.
            if not await store.still_right(connection, person.id, known):
                raise wrong_sign_in()
            await store.insert_session(
                connection,
                session_id,
                person.id,
                token_hash,
                now,
                browser,
                address,
                clean_agent(agent),
            )
            await self._tools.audit.write(
                connection,
                now,
                Actor(person_id=person.id, address=address),
                Action.SIGNED_IN,
                Subject("session", str(session_id)),
                companies=account.companies,
                details={"knownBrowser": browser is not None, "needsCode": needs_code},
            )
        return SignedIn(
            token=token,
            needs_code=needs_code,
            ends_at=now + (CODE_WITHIN if needs_code else SESSION_LIFE),
            device=device or self._tools.new_device(person.id),
        )

    async def _prove(self, session: Session, code: str) -> SignedIn:
        now, person_id = self._clock.now(), session.person.id
        token, token_hash = self._tools.new_secret(SESSION_PREFIX)
        async with self._database.transaction() as connection:
            if not await store.hold_person(connection, person_id):
                raise session_over()
            action, details = await self.codes.use(connection, person_id, code, now)
            if not await store.prove_session(connection, session.id, now, token_hash):
                raise session_over()
            await self._record(connection, session, action, session.id, details)
        return SignedIn(
            token=token,
            needs_code=False,
            ends_at=session.created_at + SESSION_LIFE,
            device=self._vault.device_token(person_id, session.device)
            if session.device
            else self._tools.new_device(person_id),
        )

    async def _end(self, session: Session, session_id: UUID) -> bool:
        async with self._database.transaction() as connection:
            ended = await store.end_session(connection, session.person.id, session_id)
            if ended:
                await self._record(connection, session, Action.SIGNED_OUT, session_id, {})
        return ended

    async def _record(
        self,
        connection: Connection,
        session: Session,
        action: Action,
        session_id: UUID,
        details: Details,
    ) -> None:
        await self._tools.audit.write(
            connection,
            self._clock.now(),
            session.actor,
            action,
            Subject("session", str(session_id)),
            companies=session.companies,
            details=details,
        )


def _email_or_nothing(text: str) -> str:
    """An email as it is kept, or nothing for what can be nobody's."""
    try:
        return clean_email(text)
    except Refusal:
        return ""
