"""Webhooks: where a merchant hears what happened, and everything that was sent there.

Nothing here decides that something is sent: a trigger writes a delivery with each event, in the
transaction that caused it (promise 9), and the courier takes it from there.

Who changes where webhooks go, or sees what they are signed with, is on record in the same
transaction. Of a URL only the host is, as the rest of one can hold a secret and the log forgets
nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from kpay import metrics
from kpay.access.model import Vault
from kpay.access.store import find_application
from kpay.audit.flow import Audit
from kpay.audit.model import PROGRAM, Action, Actor, Details, Subject
from kpay.core.book import Book
from kpay.core.clock import Clock, iso
from kpay.core.ids import Ids
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Connection, Database
from kpay.events.model import Teller
from kpay.settings import Settings
from kpay.webhooks import store
from kpay.webhooks.addresses import check_addresses, check_url, host_of, read_address
from kpay.webhooks.courier import Courier
from kpay.webhooks.model import (
    CLAIM,
    TEST_EVENT,
    Attempt,
    Delivery,
    Endpoint,
    Topic,
)
from kpay.webhooks.sending import allowed_networks
from kpay.webhooks.store import DeliveryFilter, Paused, Replayed, ReplayFilter

USUAL_OVERLAP = timedelta(hours=24)
LONGEST_OVERLAP = timedelta(days=30)
MOST_REPLAYED = 10_000
_CLEAR_EVERY = timedelta(seconds=30)


class Secrets(msgspec.Struct, frozen=True):
    """What a book's webhooks are signed with; the one before signs too until a moment."""

    version: int
    current: str
    previous: str | None
    previous_until: datetime | None


class Webhooks:
    """The verbs of webhooks."""

    def __init__(
        self,
        database: Database,
        settings: Settings,
        vault: Vault,
        clock: Clock,
        ids: Ids,
        tellers: Mapping[str, Teller],
        audit: Audit,
    ) -> None:
        self._database = database
        self._audit = audit
        self._vault = vault
        self._clock = clock
        self._ids = ids
        self._allowed = allowed_networks(settings)
        self._attempts_kept = settings.webhook_attempts_kept
        self._cleared_at: datetime | None = None
        self.courier = Courier(database, vault, clock, tellers, self._allowed)

    async def endpoints(self, book: Book) -> list[Endpoint]:
        """Where a book's events are heard, and how each URL fares."""
        return await store.endpoints(self._database, book)

    async def endpoint(self, book: Book, topic: Topic) -> Endpoint:
        """Refuses: not_found."""
        for endpoint in await self.endpoints(book):
            if endpoint.topic is topic:
                return endpoint
        raise _no_url(topic)

    async def paused(self, limit: int) -> list[Paused]:
        """The endpoints of all applications that are paused, the longest first."""
        return await store.paused(self._database, limit)

    async def set_url(self, book: Book, topic: Topic, url: str, *, by: Actor = PROGRAM) -> Endpoint:
        """Set the URL of a topic. What waits for the one before goes to the new one.

        Refuses: invalid_webhook_url. A name that has no address now is taken: it is looked at again
        whenever something is sent. The same URL once more is on record only where it was paused, as
        it is resumed by that.
        """
        host = check_url(url, book.environment)
        if read_address(host) is None:
            addresses = await self.courier.posts[book.environment].look_up(host)
        else:
            addresses = [host]
        check_addresses(host, addresses, self._allowed[book.environment])
        async with self._database.transaction() as connection:
            before = await store.hold_endpoint(connection, book, topic)
            now = self._clock.now()
            endpoint = await store.set_endpoint(connection, book, topic, url, now)
            if before is None or before.url != url:
                details = {
                    "topic": topic,
                    "host": host_of(url),
                    "hostBefore": None if before is None else host_of(before.url),
                }
                await self._write(connection, by, Action.WEBHOOK_SET, book, details)
            elif before.paused_since is not None:
                await self._write(connection, by, Action.WEBHOOK_RESUMED, book, {"topic": topic})
        return endpoint

    async def remove_url(self, book: Book, topic: Topic, *, by: Actor = PROGRAM) -> Endpoint:
        """Take a URL away; what waits for it is cancelled. Refuses: not_found."""
        async with self._database.transaction() as connection:
            removed = await store.remove_endpoint(connection, book, topic, self._clock.now())
            if removed is None:
                raise _no_url(topic)
            details = {"topic": topic, "hostBefore": host_of(removed.url)}
            await self._write(connection, by, Action.WEBHOOK_REMOVED, book, details)
        return removed

    async def resume(self, book: Book, topic: Topic, *, by: Actor = PROGRAM) -> Endpoint:
        """Send again at once to an endpoint that is paused. Refuses: not_found."""
        async with self._database.transaction() as connection:
            resumed = await store.resume_endpoint(connection, book, topic)
            if resumed is None:
                raise _no_url(topic)
            await self._write(connection, by, Action.WEBHOOK_RESUMED, book, {"topic": topic})
        return resumed

    async def record(
        self,
        book: Book,
        by: Actor,
        action: Action,
        details: Details,
        subject: Subject | None = None,
    ) -> None:
        """Put on record that somebody asks for what is sent afterwards: a test, or something again.

        Before it is done, as no transaction stays open while a merchant's server is spoken to.
        """
        async with self._database.transaction() as connection:
            await self._write(connection, by, action, book, details, subject)

    async def test(self, book: Book, topic: Topic) -> Delivery:
        """Send a test event and wait for what comes back. Refuses: not_found."""
        now = self._clock.now()
        claim = await store.begin_test(
            self._database, book, topic, self._ids.uuid(), TEST_EVENT, now, now + CLAIM
        )
        if claim is None:
            raise _no_url(topic)
        await self.courier.deliver(claim, None)
        return await self.delivery(book, claim.delivery.id)

    async def page(self, book: Book, wanted: DeliveryFilter) -> list[Delivery]:
        """A page of a book's deliveries, newest first, with one more if there is another page."""
        return await store.page(self._database, book, wanted)

    async def delivery(self, book: Book, identifier: UUID) -> Delivery:
        """Refuses: not_found."""
        found = await store.delivery(self._database, book, identifier)
        if found is None:
            raise _no_delivery()
        return found

    async def attempts(self, book: Book, identifier: UUID) -> list[Attempt]:
        """What was sent and what came back, oldest first, for as long as that is kept."""
        return await store.attempts(self._database, book, identifier)

    async def replay_one(self, book: Book, identifier: UUID) -> Delivery:
        """Send one event again, or for the first time. Refuses: not_found."""
        now = self._clock.now()
        wanted = ReplayFilter(limit=1, id=identifier)
        replayed = await store.replay(self._database, book, wanted, now)
        if not replayed.queued and not await store.replay_test(
            self._database, book, identifier, now
        ):
            if replayed.looked_at or await store.delivery(self._database, book, identifier):
                raise Refusal(
                    Code.NOT_FOUND,
                    "No URL is set that hears this event: set one with PUT "
                    "/api/v1/payments/webhooks/generic first.",
                )
            raise _no_delivery()
        return await self.delivery(book, identifier)

    async def replay(self, book: Book, wanted: ReplayFilter) -> Replayed:
        """Send the events of some time again, each to the URL that hears it now."""
        return await store.replay(self._database, book, wanted, self._clock.now())

    async def show_secrets(self, book: Book, *, by: Actor = PROGRAM) -> Secrets:
        """The secrets in force, for somebody's eyes: that they were shown is on record before."""
        await self.record(book, by, Action.WEBHOOK_SECRET_SHOWN, {})
        return await self.secrets(book)

    async def secrets(self, book: Book) -> Secrets:
        """The secrets in force."""
        now = self._clock.now()
        signing = await store.signing(self._database, book)
        overlaps = len(signing.versions(now)) > 1
        secret = self._vault.webhook_secret
        return Secrets(
            version=signing.version,
            current=secret(book, signing.version),
            previous=secret(book, signing.version - 1) if overlaps else None,
            previous_until=signing.previous_until if overlaps else None,
        )

    async def rotate(
        self, book: Book, overlap: timedelta = USUAL_OVERLAP, *, by: Actor = PROGRAM
    ) -> Secrets:
        """Sign with a new secret from now on, and with the one before for a while yet.

        Refuses: invalid_parameter.
        """
        if not timedelta(0) <= overlap <= LONGEST_OVERLAP:
            raise Refusal(
                Code.INVALID_PARAMETER,
                f"The overlap must be between 0 and {LONGEST_OVERLAP.days} days.",
            )
        now = self._clock.now()
        async with self._database.transaction() as connection:
            signing = await store.rotate(connection, book, now, now + overlap)
            details: Details = {
                "version": signing.version,
                "previousUntil": iso(now + overlap),
            }
            await self._write(connection, by, Action.WEBHOOK_SECRET_ROTATED, book, details)
        return await self.secrets(book)

    async def work(self, limit: int) -> int:
        """Send what is due: see `Courier.work`."""
        return await self.courier.work(limit)

    async def clear_away(self, _limit: int) -> int:
        """Deliveries that waited too long are settled, and attempts that are old forgotten.

        Looks twice a minute at the most, and returns how many rows were changed or removed.
        """
        now = self._clock.now()
        if self._cleared_at is not None and now < self._cleared_at + _CLEAR_EVERY:
            return 0
        cleared = await store.clear_away(self._database, now, now - self._attempts_kept)
        metrics.paused_webhooks.set(await store.count_paused(self._database))
        if not cleared:
            self._cleared_at = now
        return cleared

    async def close(self) -> None:
        """Finish what is under way, and close the connections."""
        await self.courier.stop()

    async def _write(
        self,
        connection: Connection,
        by: Actor,
        action: Action,
        book: Book,
        details: Details,
        subject: Subject | None = None,
    ) -> None:
        """A line of the log of the book's company, about its application where nothing else."""
        application = await find_application(connection, book.application_id)
        if application is None:
            raise LookupError(f"there is no application {book.application_id}")
        await self._audit.write(
            connection,
            self._clock.now(),
            by,
            action,
            subject or Subject("application", str(book.application_id)),
            companies=[application.company.id],
            details={
                **details,
                "application": application.name,
                "environment": book.environment.word,
            },
        )


def _no_url(topic: Topic) -> Refusal:
    return Refusal(
        Code.NOT_FOUND,
        f"No URL is set for {topic}: set one with PUT /api/v1/payments/webhooks/{topic}.",
    )


def _no_delivery() -> Refusal:
    return Refusal(Code.NOT_FOUND, "There is no delivery and no event with this id.")
