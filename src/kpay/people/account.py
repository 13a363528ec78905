"""What a person does with an account of one's own: password, second factor, name, language."""

from __future__ import annotations

import secrets
from uuid import UUID

import msgspec

from kpay.audit.model import Action, Actor, Subject
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection
from kpay.people import second_factor, store
from kpay.people.model import (
    Language,
    Person,
    Session,
    clean_name,
    link_over,
    session_over,
    wrong_code,
    wrong_sign_in,
)
from kpay.people.second_factor import RECOVERY_CODE_BYTES, RECOVERY_CODES
from kpay.people.strength import check_strength
from kpay.people.throttle import of_code
from kpay.people.tools import Tools, check_whole


class Offer(msgspec.Struct, frozen=True):
    """A second factor to be confirmed: what the app is given, by hand or by its camera."""

    secret: str
    address: str
    drawing: str
    """The address as an <svg> element."""


class Accounts:
    """The verbs of one's own account."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools
        self._database = tools.database

    async def change_password(self, session: Session, current: str, new: str) -> None:
        """Another password; every other session of the person ends.

        Refuses: wrong_sign_in, weak_password, too_many_failures, session_over.
        """
        person = session.person
        check_strength(new, email=person.email, name=person.name)
        known = await self._tools.password_again(session, current)
        fresh = await self._tools.passwords.hash(new)
        async with self._database.transaction() as connection:
            await self._tools.hold(connection, session)
            if not await store.replace_password(connection, person.id, known, fresh):
                raise wrong_sign_in()
            now = self._tools.clock.now()
            await store.withdraw_links(connection, person.id, now)
            ended = await store.end_sessions(connection, person.id, session.id)
            await self._record(connection, session, Action.PASSWORD_CHANGED, sessionsEnded=ended)

    async def change(self, session: Session, *, name: str, language: Language | None) -> None:
        """Another name or language. Refuses: invalid_parameter, session_over."""
        name = clean_name(name)
        async with self._database.transaction() as connection:
            await self._tools.hold(connection, session)
            await store.change_person(connection, session.person.id, name, language)
            await self._record(
                connection, session, Action.PERSON_CHANGED, name=name, language=language
            )

    async def offer_second_factor(self, session: Session, password: str) -> Offer:
        """A new second factor, which is in force once it is confirmed; until then the old one is.

        Refuses: wrong_sign_in, too_many_failures, session_over.
        """
        await self._tools.password_again(session, password)
        person = session.person
        async with self._database.transaction() as connection:
            await self._tools.hold(connection, session)
            version = await store.offer_factor(connection, person.id)
        if version is None:
            raise session_over()
        secret = self._tools.vault.second_factor_secret(person.id, version)
        address = second_factor.app_address(secret, person.email)
        return Offer(secret, address, second_factor.drawing(address))

    async def confirm_second_factor(self, session: Session, code: str) -> list[str]:
        """Put what was offered in force, by a code of it. Returns recovery codes, shown this once.

        This session has then shown it; every other one ends. Refuses: wrong_code,
        too_many_failures, session_over.
        """
        check_whole(session)
        person_id = session.person.id
        codes, hashes = self._new_recovery_codes(person_id)
        async with (
            self._tools.throttle.attempt(of_code(person_id, session.device)),
            self._database.transaction() as connection,
        ):
            await self._tools.hold(connection, session)
            await self._confirm(connection, session, code)
            await store.replace_recovery_codes(connection, person_id, hashes)
            ended = await store.end_sessions(connection, person_id, session.id)
            await self._record(connection, session, Action.SECOND_FACTOR_SET, sessionsEnded=ended)
        return codes

    async def remove_second_factor(self, session: Session, password: str) -> None:
        """Have none any more. Refuses: wrong_sign_in, too_many_failures, session_over."""
        await self._tools.password_again(session, password)
        async with self._database.transaction() as connection:
            await self._tools.hold(connection, session)
            if await store.remove_factor(connection, session.person.id):
                await self._record(connection, session, Action.SECOND_FACTOR_REMOVED)

    async def renew_recovery_codes(self, session: Session, password: str) -> list[str]:
        """New recovery codes, shown this once; those before end.

        Refuses: second_factor_needed, wrong_sign_in, too_many_failures, session_over.
        """
        await self._tools.password_again(session, password)
        session.check_second_factor(needed=True)
        codes, hashes = self._new_recovery_codes(session.person.id)
        async with self._database.transaction() as connection:
            await self._tools.hold(connection, session)
            await store.replace_recovery_codes(connection, session.person.id, hashes)
            await self._record(connection, session, Action.RECOVERY_CODES_RENEWED)
        return codes

    async def recovery_codes_left(self, session: Session) -> int:
        """How many recovery codes were not used yet."""
        return await store.recovery_codes_left(self._database, session.person.id)

    async def whose_link(self, token: str) -> Person:
        """Whose password a link sets. Refuses: link_over."""
        person_id = await store.find_link(
            self._database, self._tools.hash_of(token), self._tools.clock.now()
        )
        account = None if person_id is None else await store.of_id(self._database, person_id)
        if account is None or account.person.disabled_at is not None:
            raise link_over()
        return account.person

    async def set_password(self, token: str, password: str, *, address: str | None) -> str:
        """Set a password by a link, once; every session of the person ends.

        Returns what the browser keeps to be known at the sign-in that follows: whoever was made to
        wait there is not any more. Refuses: link_over, weak_password, busy.
        """
        person = await self.whose_link(token)
        check_strength(password, email=person.email, name=person.name)
        fresh = await self._tools.passwords.hash(password)
        now = self._tools.clock.now()
        async with self._database.transaction() as connection:
            # The person first, as everywhere: see Tools.hold.
            if not await store.hold_person(connection, person.id):
                raise link_over()
            if await store.use_link(connection, self._tools.hash_of(token), now) is None:
                raise link_over()
            await store.set_password(connection, person.id, fresh)
            ended = await store.end_sessions(connection, person.id)
            account = await store.of_id(connection, person.id)
            await self._tools.audit.write(
                connection,
                now,
                Actor(person_id=person.id, address=address),
                Action.PASSWORD_SET_BY_LINK,
                Subject("person", str(person.id)),
                companies=() if account is None else account.companies,
                details={"sessionsEnded": ended},
            )
        return self._tools.new_device(person.id)

    async def _confirm(self, connection: Connection, session: Session, code: str) -> None:
        person_id, now = session.person.id, self._tools.clock.now()
        account = await store.of_id(connection, person_id)
        if account is None or account.factor_offered == (account.factor_version or 0):
            raise Refusal(
                Code.WRONG_CODE, "No second factor waits to be confirmed: begin with a new one."
            )
        version = account.factor_offered
        secret = self._tools.vault.second_factor_secret(person_id, version)
        step = second_factor.step_of(secret, code, now)
        if step is None:
            raise wrong_code()
        await store.confirm_factor(connection, person_id, version, now, step)
        await store.mark_proved(connection, session.id, now)

    def _new_recovery_codes(self, person_id: UUID) -> tuple[list[str], list[bytes]]:
        random = [secrets.token_bytes(RECOVERY_CODE_BYTES) for _ in range(RECOVERY_CODES)]
        codes = [second_factor.recovery_code(each) for each in random]
        return codes, [self._tools.vault.hash_secret(f"{person_id} {code}") for code in codes]

    async def _record(
        self,
        connection: Connection,
        session: Session,
        action: Action,
        **details: str | int | bool | None,
    ) -> None:
        await self._tools.audit.write(
            connection,
            self._tools.clock.now(),
            session.actor,
            action,
            Subject("person", str(session.person.id)),
            companies=session.companies,
            details=details,
        )
