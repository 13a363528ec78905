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
from uuid import UUID

import msgspec
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
from kpay.catalogue.model import OperationType
from kpay.connectors import api as connectors_api
from kpay.connectors.conditions import Conditions
from kpay.connectors.opening import CALLBACKS, open_routing
from kpay.connectors.sandbox import SandboxConnector
from kpay.contradictions.flow import Contradictions
from kpay.core.book import Book, Environment
from kpay.core.clock import Clock
from kpay.core.ids import Ids, milliseconds, parse_public_id
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Route
from kpay.dashboard.account import AccountPages
from kpay.dashboard.applications import Applications
from kpay.dashboard.audit_log import AuditPages
from kpay.dashboard.door import pages as door
from kpay.dashboard.links import Links
from kpay.dashboard.live import Live
from kpay.dashboard.moves import PayoutMove, TransferMove
from kpay.dashboard.moving import Moving
from kpay.dashboard.office.companies import CompanyPages
from kpay.dashboard.office.contradictions import ContradictionPages
from kpay.dashboard.office.overview import OverviewPages
from kpay.dashboard.office.reconciliation import ReconciliationPages
from kpay.dashboard.office.terms import TermsPages
from kpay.dashboard.page import PREFIX as DASHBOARD
from kpay.dashboard.page import Page
from kpay.dashboard.people import PeoplePages
from kpay.dashboard.site import Cookies, Site
from kpay.dashboard.transaction import TransactionPage
from kpay.dashboard.transactions import TransactionPages
from kpay.dashboard.wallets import Wallets
from kpay.dashboard.webhooks import WebhookPages
from kpay.database.clock import DatabaseClock
from kpay.database.ids import SystemIds
from kpay.database.pool import UNAVAILABLE, Database
from kpay.database.references import References
from kpay.database.signals import Signals
from kpay.events import api as events_api
from kpay.gateways.flow import Gateways
from kpay.hosted.pages import PREFIX as PAGES
from kpay.hosted.pages import Pages
from kpay.hosted.subjects import PaymentPages, PayoutPages
from kpay.idempotency.flow import Keys
from kpay.instructions.callbacks import Callbacks
from kpay.instructions.deadlines import Deadlines
from kpay.instructions.flow import Means
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
from kpay.web.address import Addresses
from kpay.web.api import Api
from kpay.web.application import web_application
from kpay.web.callbacks import CallbackDoor
from kpay.web.logs import configure_logs
from kpay.web.once import Once
from kpay.web.server import is_ending, stop_with_parent
from kpay.webhooks import api as webhooks_api
from kpay.webhooks.flow import Webhooks
from kpay.worker import Job, Worker

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
        self.callbacks = Callbacks(self.database, self.routing, self.clock, self._something_due)
        self.rails = Rails(self.database, self.catalogue, self.routing, sandbox, self.clock)
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
        self.deadlines = Deadlines(self.payouts, means)
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
            Job("payout deadlines", self.deadlines.work, idle_seconds=1),
            Job("refunds", self.refunds.work),
            Job("rails' conditions", self.conditions.work, idle_seconds=20),
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
            *connectors_api.routes(self.catalogue, self.routing),
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
        cookies = Cookies(self.settings.public_url)
        live = Live(self.news)
        return Site(
            [
                *door(self.people, cookies),
                *Links(self.people, cookies).pages(),
                *Applications(self.office, self.webhooks).pages(),
                *self._wallets().pages(),
                *self._moving().pages(),
                *TransactionPages(self.transactions, live, self.catalogue).pages(),
                *self._transaction_page(live).pages(),
                *live.pages(),
                *PeoplePages(self.people.members).pages(),
                *AuditPages(self.audit, self.people.members, self.office).pages(),
                *AccountPages(self.people).pages(),
                *WebhookPages(self.database, self.webhooks, self.audit, self.clock).pages(),
                *self._back_office(),
            ],
            self.people,
            self.gate,
            cookies,
            Addresses(self.settings.trusted_proxies),
            self.settings.public_url,
        )

    def _transaction_page(self, live: Live) -> TransactionPage:
        return TransactionPage(
            self.database,
            self.transactions,
            self.payouts,
            self.refunds,
            self.webhooks,
            self.audit,
            live,
            self.catalogue,
            self.clock,
        )

    def _wallets(self) -> Wallets:
        return Wallets(
            self.database,
            self.rates,
            self.statements,
            self.transfers,
            self.payouts,
            self.clock,
        )

    def _moving(self) -> Moving:
        """The forms that move money, by the flows and under the keys of the API."""
        return Moving(
            self.database,
            [
                TransferMove(self.transfers, self.catalogue),
                PayoutMove(self.payouts, self.catalogue),
            ],
            Once(self.keys, msgspec.json.encode),
            self.audit,
            self.clock,
            self.ids,
        )

    def _back_office(self) -> list[Page]:
        """The pages of the operator's own staff."""
        staff = self.people.staff
        overview = OverviewPages(
            self.database,
            staff,
            self.webhooks,
            self.contradictions,
            self.routing,
            self.catalogue,
            self.clock,
        )
        return [
            *overview.pages(),
            *CompanyPages(self.office, staff, self.audit).pages(),
            *TermsPages(self.office, self.catalogue).pages(),
            *ContradictionPages(self.contradictions, self.catalogue).pages(),
            *ReconciliationPages(self.database, self.breaks, self.contradictions).pages(),
        ]

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
            {PAGES: self.pages(), DASHBOARD: self.dashboard(), CALLBACKS: self.callback_door()},
        )

    def callback_door(self) -> CallbackDoor:
        """Where rails call back."""
        return CallbackDoor(self.callbacks, self.clock, self.settings.public_url)

    def pages(self) -> Pages:
        """The hosted pages of payments and payouts."""
        return Pages(
            self.gateways,
            self.gate,
            self.limiter,
            self.catalogue,
            self.clock,
            {
                OperationType.DEPOSIT: PaymentPages(self.payments),
                OperationType.PAYOUT: PayoutPages(self.payouts),
            },
        )


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
