"""A process put together: what it is made of, what it serves, and how it opens and closes.

Nothing is global: a `House` is made from its settings, opened, used and closed.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from litestar import Litestar

from kpay.app import edge
from kpay.app.parts import Parts
from kpay.connectors.opening import CALLBACKS
from kpay.core.book import Book, Environment
from kpay.core.clock import Clock
from kpay.core.ids import Ids, parse_public_id
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Route
from kpay.dashboard import PREFIX as DASHBOARD
from kpay.database.pool import UNAVAILABLE
from kpay.hosted import PREFIX as PAGES
from kpay.office.door import PREFIX as OFFICE
from kpay.payments.model import PREFIX as PAYMENT
from kpay.payouts.model import PREFIX as PAYOUT
from kpay.refunds.model import PREFIX as REFUND
from kpay.settings import Settings
from kpay.web.api import Api
from kpay.web.application import web_application
from kpay.web.later import Later
from kpay.web.logs import configure_logs
from kpay.web.server import stop_with_parent

if TYPE_CHECKING:
    from kpay.dashboard.site import Site
    from kpay.hosted.pages import Pages

_CURRENT_EVERY_SECONDS = 60
_OPEN_AGAIN_SECONDS = 0.25

log = structlog.get_logger(__name__)


class House(Parts):
    """All the parts of one process, put together: opened, used and closed.

    Tests make one with a clock they step by hand and drive its worker themselves.
    """

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, ids: Ids | None = None
    ) -> None:
        super().__init__(settings, clock=clock, ids=ids)
        self._clock_task: asyncio.Task[None] | None = None

    def routes(self) -> list[Route]:
        """Every route of the API."""
        return edge.routes(self)

    def pages(self) -> Pages:
        """The pages that payers and beneficiaries see."""
        from kpay.app.pages import hosted_pages

        return hosted_pages(self)

    def dashboard(self) -> Site:
        """The pages for people, over the same flows as the API."""
        from kpay.app.pages import dashboard

        return dashboard(self)

    async def open(self) -> None:
        await self.database.open()
        await self.own_clock.set(self.database)
        await self.office.check_secret()
        await self.conditions.look()
        await self._signals.start()
        self.poster.start()
        self._clock_task = asyncio.create_task(self._keep_current(), name="clock")

    async def open_patiently(self) -> None:
        """Open as soon as the database can be had.

        One process of a server that gave up instead would be started again and give up again, and
        for that Granian ends the whole server.
        """
        while True:
            try:
                await self.open()
            except UNAVAILABLE as problem:
                log.warning("database_awaited", problem=repr(problem))
                await self.database.close()
                await asyncio.sleep(_OPEN_AGAIN_SECONDS)
            else:
                return

    async def close(self) -> None:
        """Finish what was accepted, then let go of everything."""
        await self.worker.stop()
        await asyncio.gather(
            self.payments.attempting.stop(),
            self.payouts.attempting.stop(),
            self.refunds.attempting.stop(),
        )
        await self.news.close()
        await self.webhooks.close()
        await self.poster.stop()
        if self._clock_task is not None:
            self._clock_task.cancel()
            await asyncio.gather(self._clock_task, return_exceptions=True)
        await self._signals.stop()
        await self.rates.close()
        await self.routing.close()
        self.people.close()
        await self.database.close()

    async def _keep_current(self) -> None:
        """What every process has to know of the time and of the rails, whatever else it does."""
        while True:
            await asyncio.sleep(_CURRENT_EVERY_SECONDS)
            try:
                await self.own_clock.set(self.database)
                await self.conditions.look()
            except UNAVAILABLE:
                # The database is away; what is known holds until the next turn.
                continue

    async def finish_in_sandbox(
        self, application_id: UUID, identifier: str, failure_code: str | None
    ) -> None:
        """Decide how a sandbox payment, withdrawal or refund that stays open ends."""
        book = Book(application_id, Environment.TEST)
        payment_id = parse_public_id(PAYMENT, identifier)
        payout_id = parse_public_id(PAYOUT, identifier)
        refund_id = parse_public_id(REFUND, identifier)
        if payment_id is not None:
            await self.payments.finish_in_sandbox(book, payment_id, failure_code)
        elif payout_id is not None:
            await self.payouts.finish_in_sandbox(book, payout_id, failure_code)
        elif refund_id is not None:
            await self.refunds.finish_in_sandbox(book, refund_id, failure_code)
        else:
            raise Refusal(
                Code.NOT_FOUND, f"{identifier} is no id of a payment, a withdrawal or a refund."
            )

    def asgi(self) -> Api:
        """The web application, which opens and closes the house with its own life."""

        @asynccontextmanager
        async def lifespan(_app: Litestar) -> AsyncIterator[None]:
            await self.open_patiently()
            if self.settings.drive_work:
                self.worker.start()
            try:
                yield
            finally:
                await self.close()

        return web_application(
            self.routes(),
            self.gate,
            self.limiter,
            self.keys,
            self.database,
            lifespan,
            self.settings,
            {
                PAGES: Later(_load_pages, self.pages),
                DASHBOARD: Later(_load_pages, self.dashboard),
                CALLBACKS: edge.callback_door(self),
                OFFICE: edge.office_door(self),
            },
        )


def _load_pages() -> None:
    """What draws pages is a fifth of the program: it is loaded by the first who looks at one."""
    from kpay.app.pages import read_texts

    read_texts()


def asgi() -> Api:
    """What the server's worker processes import: everything comes from the environment."""
    stop_with_parent()
    settings = Settings.from_env()
    configure_logs(settings.log_level)
    application = House(settings).asgi()
    # What was loaded stays for the life of the process, and requests leave hardly any cycles: the
    # collector need not look through all of it every few hundred objects.
    gc.collect()
    gc.freeze()
    gc.set_threshold(50_000, 20, 20)
    return application
