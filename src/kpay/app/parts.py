"""What a process is made of, floor by floor: settings → database → rails → flows → worker.

Nothing here is open or running yet, and nothing is global: a house has its own of everything.
"""

from __future__ import annotations

from typing import Any

from kpay.access.flow import Office
from kpay.access.gate import Gate
from kpay.access.limiter import Limiter
from kpay.access.model import Vault
from kpay.access.quota import Bucket
from kpay.access.secret import load_secret
from kpay.approvals.flow import Approvals
from kpay.audit.flow import Audit
from kpay.catalogue.data import catalogue
from kpay.connectors.conditions import Conditions
from kpay.connectors.opening import open_routing
from kpay.connectors.predicting import Predictions
from kpay.connectors.sandbox import SandboxConnector
from kpay.contradictions.flow import Contradictions
from kpay.core.clock import Clock
from kpay.core.ids import Ids, milliseconds
from kpay.database.clock import DatabaseClock
from kpay.database.ids import SystemIds
from kpay.database.pool import Database
from kpay.database.references import References
from kpay.database.signals import Signals
from kpay.gateways.flow import Gateways
from kpay.idempotency.flow import Keys
from kpay.instructions.callbacks import Callbacks
from kpay.instructions.deadlines import Deadlines
from kpay.instructions.flow import Followed, Means
from kpay.instructions.inquiries import Inquiries
from kpay.instructions.rails import Rails
from kpay.instructions.telling import teller
from kpay.ledger.poster import Poster
from kpay.payments.flow import Payments
from kpay.payouts.flow import Payouts
from kpay.people.flow import People
from kpay.rates.flow import Rates
from kpay.rates.sources import check_sources
from kpay.reconciliation.breaks import Breaks
from kpay.reconciliation.flow import Reconciliation
from kpay.refunds.flow import Refunds
from kpay.settings import Settings
from kpay.statements.flow import Statements
from kpay.statements.operations import of_payments, of_payouts, of_refunds, of_transfers
from kpay.transactions.flow import Transactions
from kpay.transactions.news import News
from kpay.transfers.flow import Transfers
from kpay.web.server import is_ending
from kpay.webhooks.flow import Webhooks
from kpay.worker import Job, Worker


class Parts:
    """All the parts of one process, each made with those below it that it uses."""

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
        self.approvals = Approvals(self.database, self.audit, self.clock)
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
            self.audit,
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
            _driven("payments", self.payments),
            _driven("payouts", self.payouts),
            Job("payment pages", self.payments.expire, idle_seconds=1),
            Job("payout pages", self.payouts.expire, idle_seconds=1),
            Job("payout deadlines", self.deadlines.work, idle_seconds=1),
            _driven("refunds", self.refunds),
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
            Job("approvals", self.approvals.expire, idle_seconds=60),
            Job("sign-ins", self.people.sweep, idle_seconds=60),
        )

    def _access_changed(self) -> None:
        self.gate.forget()
        self.limiter.look_again()

    def _something_due(self) -> None:
        self.worker.wake()


def _driven(name: str, followed: Followed[Any]) -> Job:
    """In service without a wait for what it has begun, and by hand with one."""
    return Job(name, followed.work, go_on=followed.attempting.go_on)
