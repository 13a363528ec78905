"""What every verb of people works with: the house's parts, tokens, and proving oneself again."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from uuid import UUID

from kpay.access.model import Vault, new_token
from kpay.audit.flow import Audit
from kpay.core.clock import Clock
from kpay.core.ids import Ids
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection, Database
from kpay.people import store
from kpay.people.model import Link, Session, code_first, session_over, wrong_sign_in
from kpay.people.passwords import Passwords
from kpay.people.throttle import SignInThrottle, of_session

SESSION_PREFIX, INVITATION_PREFIX, LINK_PREFIX = "kpses_", "kpinv_", "kppwd_"
# Under the installation's own address.
INVITATION_PATH, LINK_PATH = "/dashboard/invitation/", "/dashboard/password/"

_TOKEN_BYTES = 32
_DEVICE_BYTES = 12


class Tools:
    """The parts that the verbs share. One per process."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        ids: Ids,
        audit: Audit,
        passwords: Passwords,
        public_url: str,
    ) -> None:
        self.database = database
        self.vault = vault
        self.clock = clock
        self.ids = ids
        self.audit = audit
        self.passwords = passwords
        self.throttle = SignInThrottle(database, vault, clock)
        self._public_url = public_url

    def new_secret(self, prefix: str) -> tuple[str, bytes]:
        """A token of 256 random bits, and its hash, which is all that is kept of it."""
        token = new_token(prefix, secrets.token_bytes(_TOKEN_BYTES))
        return token, self.vault.hash_secret(token)

    def hash_of(self, token: str) -> bytes:
        """The hash that a token is found by; of what is none of ours, one that finds nothing."""
        return self.vault.hash_secret(token if token.isascii() else "")

    def new_device(self, person_id: UUID) -> str:
        """What a browser keeps, to be known as one in which this person has signed in."""
        return self.vault.device_token(person_id, secrets.token_hex(_DEVICE_BYTES))

    def invitation_link(self, token: str, ends_at: datetime) -> Link:
        return Link(f"{self._public_url}{INVITATION_PATH}{token}", ends_at)

    async def new_link(
        self,
        connection: Connection,
        person_id: UUID,
        made_by: UUID | None,
        now: datetime,
        life: timedelta,
    ) -> Link:
        """A link that sets a person's password, once; those before it end."""
        token, token_hash = self.new_secret(LINK_PREFIX)
        await store.insert_link(
            connection, self.ids.uuid(), person_id, token_hash, made_by, now, now + life
        )
        return Link(f"{self._public_url}{LINK_PATH}{token}", now + life)

    async def hold(self, connection: Connection, session: Session) -> None:
        """Take a turn at the session's person. Refuses: session_over, second_factor_needed.

        The person's row first and the session after it, for everybody in this order: two sessions
        of one person that end each other wait for each other and never both.
        """
        check_whole(session)
        if not await store.hold_person(connection, session.person.id):
            raise session_over()
        await self.hold_session(connection, session)

    async def hold_session(self, connection: Connection, session: Session) -> None:
        """Refuses: session_over, when it ended since it was looked up."""
        if not await store.session_holds(connection, session.id):
            raise session_over()

    @asynccontextmanager
    async def noted(self, person_id: UUID | None, address: str | None) -> AsyncIterator[None]:
        """What is wrong here is remembered for a while, for the operator.

        Not what is not even read because too much was wrong before: that is without bounds.
        """
        try:
            yield
        except Refusal as refusal:
            if refusal.code in (Code.WRONG_SIGN_IN, Code.WRONG_CODE):
                now, identifier = self.clock.now(), self.ids.uuid()
                await store.insert_refusal(
                    self.database, identifier, now, person_id, address, refusal.code
                )
            raise

    async def password_again(self, session: Session, password: str) -> str:
        """The hash in force, for whoever at this session knows the password.

        Refuses: wrong_sign_in, too_many_failures, second_factor_needed.
        """
        check_whole(session)
        async with self.throttle.attempt(of_session(session.id)):
            account = await store.of_id(self.database, session.person.id)
            known = None if account is None else account.password_hash
            if not await self.passwords.verify(known, password) or known is None:
                raise wrong_sign_in()
        return known


def check_whole(session: Session) -> None:
    """Refuses: second_factor_needed, while the session waits for its code."""
    if session.needs_code:
        raise code_first()
