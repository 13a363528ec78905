"""What the operator does about access: companies, applications, key pairs, token keys.

Secrets are made here and shown once; what stays in the database cannot be turned back into them.
What changes who may call, or at what terms, is on record in the same transaction with who did it:
the company that it concerns finds it in its own log.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping, Sequence
from uuid import UUID

import msgspec

from kpay.access import store
from kpay.access.changes import FEE_MOST_BPS, change_of_limits, changes
from kpay.access.model import (
    API_KEY_BYTES,
    SECRET_BYTES,
    Application,
    Company,
    KeyPair,
    PublicKey,
    Terms,
    Vault,
    new_pair,
)
from kpay.access.store import CompanyFilter, Listed
from kpay.audit.flow import Audit
from kpay.audit.model import PROGRAM, Action, Actor, Details, Subject
from kpay.core.book import Book, Environment
from kpay.core.clock import Clock
from kpay.core.ids import Ids
from kpay.core.limits import Limits
from kpay.database.pool import Connection, Database, Row

# In the place of a number: what the installation allows.
USUAL_RATE_LIMIT = -1


class AccessError(Exception):
    """The operator asked for something that cannot be; the message says what to do."""


class NewApplication(msgspec.Struct, frozen=True):
    """An application with every secret that is shown at its birth and never again."""

    application: Application
    test: KeyPair
    live: KeyPair | None
    webhook_secret: str
    """Of the sandbox; `kpay webhook secret` shows that of each environment."""
    gateway_secret: str


class Office:
    """The operator's verbs."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        clock: Clock,
        ids: Ids,
        audit: Audit,
        changed: Callable[[], None],
    ) -> None:
        self._database = database
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._audit = audit
        # Tells this process's own gate, which must not wait for the signal to come round.
        self._changed = changed

    async def check_secret(self) -> None:
        """Stop a program whose secret is not the one this database was made with."""
        recorded = await store.claim_installation(self._database, self._vault.fingerprint)
        if recorded != self._vault.fingerprint:
            raise AccessError(
                "This database was made with another secret: set KPAY_SECRET to that one, or use "
                "the KPAY_HOME that holds it."
            )

    async def create_application(
        self, company_name: str, name: str, *, by: Actor = PROGRAM
    ) -> NewApplication:
        """A new application, of a company that is made when its name is new."""
        now = self._clock.now()
        async with self._database.transaction() as connection:
            company = await store.upsert_company(connection, self._ids.uuid(), company_name, now)
            application = Application(self._ids.uuid(), name, company, Terms())
            if not await store.insert_application(connection, application, now):
                raise AccessError(
                    f"{company_name} has an application named {name}: choose another name."
                )
            live = None
            test = await self._replace(connection, Book(application.id, Environment.TEST))
            if company.approved_at is not None:
                live = await self._replace(connection, Book(application.id, Environment.PRODUCTION))
            details = {
                "application": name,
                "testKey": test.api_key,
                "liveKey": None if live is None else live.api_key,
            }
            await self._record(connection, by, Action.APPLICATION_CREATED, application, details)
        return NewApplication(
            application=application,
            test=test,
            live=live,
            webhook_secret=self._vault.webhook_secret(Book(application.id, Environment.TEST), 1),
            gateway_secret=self._vault.gateway_secret(application.id, 1),
        )

    async def applications(self) -> Sequence[Row]:
        """Every application with its company, for the operator to look at."""
        return await store.list_applications(self._database)

    async def of_company(self, company_id: UUID) -> list[Application]:
        """A company's applications, by name."""
        return await store.of_company(self._database, company_id)

    async def keys(self, application_id: UUID) -> Mapping[Environment, PublicKey]:
        """The public half of the pair that is in force in each environment."""
        return await store.keys_in_force(self._database, application_id)

    async def companies(self, wanted: CompanyFilter) -> list[Listed]:
        """A page of the companies by name, with one more where there is another page."""
        return await store.list_companies(self._database, wanted)

    async def company(self, company_id: UUID) -> Listed | None:
        """One company, or None."""
        return await store.find_company(self._database, company_id)

    async def approve_company(
        self, name_or_id: str, *, by: Actor = PROGRAM, reason: str | None = None
    ) -> Company:
        """Let a company's applications have live keys. Approving twice keeps the first time."""
        async with self._database.transaction() as connection:
            now = self._clock.now()
            found = await store.approve_company(connection, name_or_id, now)
            if found is None:
                raise _no_company(name_or_id)
            company, changed = found
            if changed:
                await self._record_company(
                    connection, by, Action.COMPANY_APPROVED, company, {"reason": reason}
                )
        return company

    async def withdraw_approval(
        self, name_or_id: str, *, by: Actor = PROGRAM, reason: str | None = None
    ) -> Company:
        """Let a company have no live keys any more: those in force end at once, with their tokens.

        What is under way goes on to its end, as its money is at the rails already. To be approved
        again does not bring the keys back: new ones are made then.
        """
        async with self._database.transaction() as connection:
            now = self._clock.now()
            found = await store.withdraw_approval(connection, name_or_id, now)
            if found is None:
                raise _no_company(name_or_id)
            company, changed, ended = found
            if changed:
                details = {"reason": reason, "keysEnded": ended}
                await self._record_company(
                    connection, by, Action.APPROVAL_WITHDRAWN, company, details
                )
        self._changed()
        return company

    async def regenerate_keys(
        self, application_id: UUID, environment: Environment, *, by: Actor = PROGRAM
    ) -> KeyPair:
        """A new key pair; the old one, and every token given for it, ends at once.

        The public half goes on record, and the secret one nowhere.
        """
        application = await self.application(application_id)
        company = application.company
        async with self._database.transaction() as connection:
            # Held, so that no key is made while the approval is being withdrawn.
            approved = await store.hold_approval(connection, application_id)
            if environment is Environment.PRODUCTION and not approved:
                raise AccessError(
                    f"{company.name} is not approved for live keys: kpay company approve "
                    f"'{company.name}' first."
                )
            pair = await self._replace(connection, Book(application_id, environment))
            details = {
                "application": application.name,
                "environment": environment.word,
                "apiKey": pair.api_key,
            }
            await self._record(connection, by, Action.KEYS_MADE, application, details)
        self._changed()
        return pair

    async def configure(
        self,
        application_id: UUID,
        *,
        payment_fee_bps: int | None = None,
        payout_fee_bps: int | None = None,
        allowed_providers: Sequence[str] | None = None,
        rate_limit: int | None = None,
        by: Actor = PROGRAM,
    ) -> None:
        """Change an application's terms; what is not given stays.

        Fees are in basis points, up to FEE_MOST_BPS. A `rate_limit` of USUAL_RATE_LIMIT is the
        installation's own again; no `allowed_providers` at all are every one.
        """
        for fee in (payment_fee_bps, payout_fee_bps):
            if fee is not None and not 0 <= fee <= FEE_MOST_BPS:
                raise AccessError(f"A fee must be between 0 and {FEE_MOST_BPS} basis points.")
        async with self._database.transaction() as connection:
            before = await self._hold(connection, application_id)
            await store.configure(
                connection,
                application_id,
                payment_fee_bps,
                payout_fee_bps,
                allowed_providers,
                rate_limit,
            )
            after = await self._hold(connection, application_id)
            changed = changes(before.terms, after.terms)
            if changed:
                details = {"application": after.name, **changed}
                await self._record(connection, by, Action.TERMS_CHANGED, after, details)
        self._changed()

    async def set_limit(
        self, application_id: UUID, operation: str, limits: Limits, *, by: Actor = PROGRAM
    ) -> None:
        """Give an application its own bounds for one operation in one currency."""
        if not 0 < limits.least.minor <= limits.most.minor:
            raise AccessError("The least must be more than nothing, and no more than the most.")
        currency = limits.least.currency
        async with self._database.transaction() as connection:
            application = await self._hold(connection, application_id)
            if application.terms.limits.get((operation, currency)) != limits:
                await store.set_limit(connection, application_id, operation, limits)
                details = change_of_limits(application, operation, currency, limits)
                await self._record(connection, by, Action.LIMITS_SET, application, details)
        self._changed()

    async def lift_limit(
        self, application_id: UUID, operation: str, currency: str, *, by: Actor = PROGRAM
    ) -> None:
        """Take an application's own bounds away: what is usual holds again."""
        async with self._database.transaction() as connection:
            application = await self._hold(connection, application_id)
            if (operation, currency) in application.terms.limits:
                await store.lift_limit(connection, application_id, operation, currency)
                details = change_of_limits(application, operation, currency, None)
                await self._record(connection, by, Action.LIMITS_LIFTED, application, details)
        self._changed()

    async def rotate_token_key(self, *, by: Actor = PROGRAM) -> UUID:
        """Sign tokens with a new key from now on; those signed before run out by themselves."""
        key_id = self._ids.uuid()
        async with self._database.transaction() as connection:
            now = self._clock.now()
            await store.insert_token_key(connection, key_id, now)
            subject = Subject("token_key", str(key_id))
            await self._audit.write(connection, now, by, Action.TOKEN_KEY_ROTATED, subject)
        self._changed()
        return key_id

    async def application(self, application_id: UUID) -> Application:
        """One application. AccessError when there is none of this id."""
        found = await store.find_application(self._database, application_id)
        if found is None:
            raise _no_application(application_id)
        return found

    async def _hold(self, connection: Connection, application_id: UUID) -> Application:
        """An application, whose terms nobody else changes until the transaction ends."""
        found = await store.hold_application(connection, application_id)
        if found is None:
            raise _no_application(application_id)
        return found

    async def _record(
        self,
        connection: Connection,
        by: Actor,
        action: Action,
        application: Application,
        details: Details,
    ) -> None:
        await self._audit.write(
            connection,
            self._clock.now(),
            by,
            action,
            Subject("application", str(application.id)),
            companies=[application.company.id],
            details=details,
        )

    async def _record_company(
        self, connection: Connection, by: Actor, action: Action, company: Company, details: Details
    ) -> None:
        await self._audit.write(
            connection,
            self._clock.now(),
            by,
            action,
            Subject("company", str(company.id)),
            companies=[company.id],
            details=details,
        )

    async def _replace(self, connection: Connection, book: Book) -> KeyPair:
        random = secrets.token_bytes(API_KEY_BYTES + SECRET_BYTES)
        pair = new_pair(self._ids.uuid(), book.environment, random)
        secret_hash = self._vault.hash_secret(pair.secret_key)
        await store.replace_keys(connection, book, pair, secret_hash, self._clock.now())
        return pair


def _no_company(name_or_id: str) -> AccessError:
    return AccessError(f"There is no company {name_or_id}: see kpay app list.")


def _no_application(application_id: UUID) -> AccessError:
    return AccessError(f"There is no application {application_id}: see kpay app list.")
