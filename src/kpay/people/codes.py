"""Codes of the second factor, each accepted once: at the door, and again at an open session."""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from kpay.audit.model import Action, Details, Subject
from kpay.database.pool import Connection
from kpay.people import second_factor, store
from kpay.people.model import Session, session_over, wrong_code
from kpay.people.throttle import of_code
from kpay.people.tools import Tools, check_whole


class Codes:
    """The verbs of codes."""

    def __init__(self, tools: Tools) -> None:
        self._tools = tools

    async def use(
        self, connection: Connection, person_id: UUID, code: str, now: datetime
    ) -> tuple[Action, Details]:
        """Use a code of the app or a recovery code up. Returns what to write down.

        Refuses: wrong_code; session_over, where no second factor is in force any more.
        """
        account = await store.of_id(connection, person_id)
        version = None if account is None else account.factor_version
        if version is None:
            raise session_over()
        recovery = second_factor.clean_recovery_code(code)
        if recovery is not None:
            code_hash = self._tools.vault.hash_secret(f"{person_id} {recovery}")
            if not await store.use_recovery_code(connection, person_id, code_hash, now):
                raise wrong_code()
            left = await store.recovery_codes_left(connection, person_id)
            return Action.RECOVERY_CODE_USED, {"left": left}
        secret = self._tools.vault.second_factor_secret(person_id, version)
        step = second_factor.step_of(secret, code, now)
        if step is None or not await store.use_step(connection, person_id, version, step):
            raise wrong_code()
        return Action.CODE_GIVEN, {}

    async def again(self, session: Session, code: str) -> Session:
        """Show the second factor once more: whoever sits there now still has the telephone.

        Returns the session as it is from here on. Refuses: wrong_code, too_many_failures,
        second_factor_needed, session_over.
        """
        check_whole(session)
        session.check_second_factor(needed=True)
        person_id = session.person.id
        async with (
            self._tools.noted(person_id, session.address),
            self._tools.throttle.attempt(of_code(person_id, session.device)),
            self._tools.database.transaction() as connection,
        ):
            await self._tools.hold(connection, session)
            now = self._tools.clock.now()
            action, details = await self.use(connection, person_id, code, now)
            await store.mark_proved(connection, session.id, now)
            await self._tools.audit.write(
                connection,
                now,
                session.actor,
                action,
                Subject("session", str(session.id)),
                companies=session.companies,
                details=details,
            )
        return msgspec.structs.replace(session, second_factor_at=now)
