"""The one place where everything is put together: settings → database → flows → server, worker.

Nothing is global: a `House` is made from its settings, opened, used and closed. Tests make one with
a clock they step by hand and drive its worker themselves.
"""

from __future__ import annotations

import asyncio
import gc
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import TYPE_CHECKING
from uuid import UUID

import structlog
from litestar import Litestar

from kpay.access import api as access_api
from kpay.access.flow import Office
from kpay.access.gate import Gate
from kpay.access.limiter import Limiter
from kpay.access.model import Vault
from kpay.access.quota import Bucket
from kpay.access.secret import load_secret
from kpay.audit.flow import Audit
from kpay.catalogue.data import catalogue
from kpay.connectors import api as connectors_api
from kpay.connectors.conditions import Conditions
from kpay.connectors.opening import CALLBACKS, open_routing
from kpay.connectors.predicting import Predictions
from kpay.connectors.sandbox import SandboxConnector
from kpay.contradictions.flow import Contradictions
from kpay.core.book import Book, Environment
from kpay.core.clock import Clock
from kpay.core.ids import Ids, milliseconds, parse_public_id
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Route
from kpay.dashboard import PREFIX as DASHBOARD
from kpay.database.clock import DatabaseClock
from kpay.database.ids import SystemIds
from kpay.database.pool import UNAVAILABLE, Database
from kpay.database.references import References
from kpay.database.signals import Signals
from kpay.events import api as events_api
from kpay.gateways.flow import Gateways
from kpay.hosted import PREFIX as PAGES
from kpay.idempotency.flow import Keys
from kpay.instructions.callbacks import Callbacks
from kpay.instructions.flow import Means
from kpay.instructions.inquiries import Inquiries
from kpay.instructions.rails import Rails
from kpay.instructions.telling import teller
from kpay.ledger.poster import Poster
from kpay.payments import api as payments_api
from kpay.payments.flow import Payments
from kpay.payments.model import PREFIX as PAYMENT
from kpay.payouts import api as payouts_api
from kpay.payouts.flow import Payouts
from kpay.payouts.model import PREFIX as PAYOUT
from kpay.people.flow import People
from kpay.rates import api as rates_api
from kpay.rates.flow import Rates
from kpay.rates.sources import check_sources
from kpay.reconciliation.breaks import Breaks
from kpay.reconciliation.flow import Reconciliation
from kpay.refunds import api as refunds_api
from kpay.refunds.flow import Refunds
from kpay.refunds.model import PREFIX as REFUND
from kpay.settings import Settings
from kpay.statements import api as statements_api
from kpay.statements.flow import Statements
from kpay.statements.operations import of_payments, of_payouts, of_refunds, of_transfers
from kpay.transactions.flow import Transactions
from kpay.transactions.news import News
from kpay.transfers import api as transfers_api
from kpay.transfers.flow import Transfers
from kpay.wallets import api as wallets_api
from kpay.web.api import Api
from kpay.web.application import web_application
from kpay.web.callbacks import CallbackDoor
from kpay.web.later import Later
from kpay.web.logs import configure_logs
from kpay.web.server import is_ending, stop_with_parent
from kpay.webhooks import api as webhooks_api
from kpay.webhooks.flow import Webhooks
from kpay.worker import Job, Worker

if TYPE_CHECKING:
    from kpay.dashboard.site import Site
    from kpay.hosted.pages import Pages

_CURRENT_EVERY_SECONDS = 60
_OPEN_AGAIN_SECONDS = 0.25

log = structlog.get_logger(__name__)


class House:
    """All the parts of one process, put together."""

    def __init__(
        self, settings: Settings, *, clock: Clock | None = None, ids: Ids | None = None
    ) -> None:
        if settings.database_url is None:
            raise ValueError("a house needs a database: start the embedded one first")
        check_sources(settings)
        self.settings = settings
        self.catalogue = catalogue()
        self.own_clock = DatabaseClock()
        self.clock: Clock = clock or self.own_clock
        self.ids: Ids = ids or SystemIds(
            self.own_clock.now_ms if clock is None else lambda: milliseconds(clock.now())
        )
        self.database = Database(settings.database_url, size=settings.pool_size)
        self._build_access()
        self._build_books()
        self._build_rails()
        self._build_operations()
        self._build_tellers()
        self.worker = self._worker()
        self._signals = Signals(settings.database_url, {"access": self._access_changed})
        self._clock_task: asyncio.Task[None] | None = None

    # Floor by floor, from below: each uses only what the ones before it have made.

    def _build_access(self) -> None:
        """Who may call, how often, and what was asked before under the same key."""
        settings = self.settings
        self.vault = Vault(load_secret(settings.home, settings.secret))
        self.gate = Gate(self.database, self.vault, self.clock, self.ids)
        self.limiter = Limiter(
            self.database,
            self.gate,
            self.clock,
            {
                Bucket.KEY: settings.rate_limit,
                Bucket.GATEWAY: settings.gateway_rate_limit,
                Bucket.POLLING: settings.polling_rate_limit,
            },
        )
        self.keys = Keys(self.database, self.clock, self.ids)
        self.audit = Audit(self.database, self.ids)
        self.office = Office(
            self.database,
            self.vault,
            self.clock,
            self.ids,
            self.audit,
            changed=self._access_changed,
        )
        self.contradictions = Contradictions(self.database, self.audit, self.clock)
        self.people = People(
            self.database,
            self.vault,
            self.clock,
            self.ids,
            self.audit,
            public_url=self.settings.public_url,
        )

    def _build_books(self) -> None:
        """How money is posted and exchanged."""
        self.poster = Poster(self.database, self.clock, queue_limit=self.settings.queue_limit)
        self.rates = Rates(self.database, self.settings, self.clock)

    def _build_rails(self) -> None:
        """How operators are spoken to, and whoever chooses one on a page."""
        sandbox = SandboxConnector(
            self.database, self.catalogue, self.clock, self.settings.sandbox_delay
        )
        self.routing = open_routing(self.settings, self.catalogue, self.clock, sandbox)
        self.conditions = Conditions(self.database, self.routing, self.clock)
        self.predictions = Predictions(self.catalogue, self.routing, self.clock)
        self.callbacks = Callbacks(self.database, self.routing, self.clock, self._something_due)
        self.rails = Rails(self.database, self.catalogue, self.routing, sandbox, self.clock)
        self.inquiries = Inquiries(self.database, self.rails, self.clock)
        self.gateways = Gateways(
            self.database,
            self.vault,
            self.clock,
            public_url=self.settings.public_url,
            life=self.settings.gateway_life,
        )

    def _build_operations(self) -> None:
        """The ways in which money moves: between wallets, in, out, and back."""
        references = References(self.database)
        self.transfers = Transfers(
            self.database, self.poster, self.rates, self.catalogue, self.clock, self.ids, references
        )
        means = Means(
            self.database,
            self.poster,
            self.rails,
            self.clock,
            self.ids,
            references,
            self._something_due,
        )
        self.payments = Payments(means, self.gateways)
        self.payouts = Payouts(means, self.gateways, self.rates, self.catalogue)
        self.refunds = Refunds(means, self.payments)
        self.reconciliation = Reconciliation(
            self.database, self.catalogue, self.routing, self.clock, self.ids
        )
        self.breaks = Breaks(self.database, self.audit, self.clock)

    def _build_tellers(self) -> None:
        """What merchants are told of them: at once, and at the end of a month."""
        self.webhooks = Webhooks(
            self.database,
            self.settings,
            self.vault,
            self.clock,
            self.ids,
            {
                "payment": teller(self.payments),
                "payout": teller(self.payouts),
                "refund": teller(self.refunds, lambda refund: refund.original_payment_id),
            },
        )
        self.statements = Statements(
            self.database,
            self.catalogue,
            [
                of_payments(self.payments),
                of_payouts(self.payouts),
                of_refunds(self.refunds),
                of_transfers(self.transfers),
            ],
        )

        self.transactions = Transactions(
            self.database, self.payments, self.payouts, self.refunds, self.transfers, self.webhooks
        )
        self.news = News(self.database, ending=is_ending)

    def _worker(self) -> Worker:
        """Whatever is due, each with how long to rest when nothing was."""
        return Worker(
            Job("payments", self.payments.work),
            Job("payouts", self.payouts.work),
            Job("payment pages", self.payments.expire, idle_seconds=1),
            Job("payout pages", self.payouts.expire, idle_seconds=1),
            Job("refunds", self.refunds.work),
            Job("rails' conditions", self.conditions.work, idle_seconds=20),
            Job("inquiries", self.inquiries.work, idle_seconds=5),
            Job("inquiries cleared", self.inquiries.clear_away, idle_seconds=60),
            Job("callbacks cleared", self.callbacks.clear_away, idle_seconds=60),
            Job("reconciliation", self.reconciliation.work, idle_seconds=20),
            Job("webhooks", self.webhooks.work),
            Job("webhooks cleared", self.webhooks.clear_away, idle_seconds=30),
            Job(
                "rates",
                lambda _limit: self.rates.refresh(self.routing.environments),
                idle_seconds=20,
            ),
            Job("idempotency keys", self.keys.sweep, idle_seconds=60),
            Job("quotas", self.limiter.sweep, idle_seconds=60),
            Job("sign-ins", self.people.sweep, idle_seconds=60),
        )

    def routes(self) -> list[Route]:
        """Every route of the API, as each noun declares its own."""
        return [
            *access_api.routes(self.gate),
            *wallets_api.routes(self.database),
            *transfers_api.routes(self.transfers, self.gate),
            *statements_api.routes(self.statements, self.clock),
            *payments_api.routes(
                self.payments,
                self.gateways,
                self.gate,
                partial(refunds_api.of_payment, self.refunds),
            ),
            *payouts_api.routes(self.payouts, self.gateways, self.gate),
            *refunds_api.routes(self.refunds),
            *events_api.routes(self.database),
            *webhooks_api.routes(self.webhooks),
            *rates_api.routes(self.rates),
            *connectors_api.routes(self.catalogue, self.routing, self.predictions),
        ]

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

    def _access_changed(self) -> None:
        self.gate.forget()
        self.limiter.look_again()

    def _something_due(self) -> None:
        self.worker.wake()

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

    def dashboard(self) -> Site:
        """The pages for people, over the same flows as the API."""
        from kpay.pages import dashboard

        return dashboard(self)

    def pages(self) -> Pages:
        """The hosted pages of payments and payouts."""
        from kpay.pages import hosted_pages

        return hosted_pages(self)

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
                CALLBACKS: self.callback_door(),
            },
        )

    def callback_door(self) -> CallbackDoor:
        """Where rails call back."""
        return CallbackDoor(self.callbacks, self.clock, self.settings.public_url)


def _load_pages() -> None:
    """What draws pages is a fifth of the program: it is loaded by the first who looks at one."""
    from kpay.pages import read_texts

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
