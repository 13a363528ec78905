"""The pages put together from the parts of a house: the dashboard, and the page that a payer sees.

Apart from the house, because most processes draw no page for hours: what draws them is loaded when
somebody first comes to one (`web/later.py`).
"""

from __future__ import annotations

from typing import Protocol

import msgspec

from kpay.access.flow import Office
from kpay.access.gate import Gate
from kpay.access.limiter import Limiter
from kpay.audit.flow import Audit
from kpay.catalogue.model import Catalogue, OperationType
from kpay.connectors.routing import Routing
from kpay.contradictions.flow import Contradictions
from kpay.core.clock import Clock
from kpay.core.ids import Ids
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
from kpay.dashboard.page import Page
from kpay.dashboard.people import PeoplePages
from kpay.dashboard.site import Cookies, Site
from kpay.dashboard.speech import speech
from kpay.dashboard.transaction import TransactionPage
from kpay.dashboard.transactions import TransactionPages
from kpay.dashboard.wallets import Wallets
from kpay.dashboard.webhooks import WebhookPages
from kpay.database.pool import Database
from kpay.gateways.flow import Gateways
from kpay.hosted.pages import Pages
from kpay.hosted.subjects import PaymentPages, PayoutPages
from kpay.idempotency.flow import Keys
from kpay.payments.flow import Payments
from kpay.payouts.flow import Payouts
from kpay.people.flow import People
from kpay.rates.flow import Rates
from kpay.reconciliation.breaks import Breaks
from kpay.refunds.flow import Refunds
from kpay.settings import Settings
from kpay.statements.flow import Statements
from kpay.transactions.flow import Transactions
from kpay.transactions.news import News
from kpay.transfers.flow import Transfers
from kpay.web.address import Addresses
from kpay.web.languages import LANGUAGES
from kpay.web.once import Once
from kpay.webhooks.flow import Webhooks


class Parts(Protocol):
    """What the pages are made of; a house has all of it."""

    settings: Settings
    catalogue: Catalogue
    clock: Clock
    ids: Ids
    database: Database
    gate: Gate
    limiter: Limiter
    keys: Keys
    audit: Audit
    office: Office
    contradictions: Contradictions
    people: People
    rates: Rates
    routing: Routing
    gateways: Gateways
    transfers: Transfers
    payments: Payments
    payouts: Payouts
    refunds: Refunds
    breaks: Breaks
    webhooks: Webhooks
    statements: Statements
    transactions: Transactions
    news: News


def read_texts() -> None:
    """Read what the dashboard says in each language, which takes a moment: once, and beforehand."""
    for language in LANGUAGES:
        speech(language)


def hosted_pages(parts: Parts) -> Pages:
    """The hosted pages of payments and payouts."""
    return Pages(
        parts.gateways,
        parts.gate,
        parts.limiter,
        parts.catalogue,
        parts.clock,
        {
            OperationType.DEPOSIT: PaymentPages(parts.payments),
            OperationType.PAYOUT: PayoutPages(parts.payouts),
        },
    )


def dashboard(parts: Parts) -> Site:
    """The pages for people, over the same flows as the API."""
    cookies = Cookies(parts.settings.public_url)
    live = Live(parts.news)
    people = parts.people
    return Site(
        [
            *door(people, cookies),
            *Links(people, cookies).pages(),
            *Applications(parts.office, parts.webhooks).pages(),
            *_wallets(parts).pages(),
            *_moving(parts).pages(),
            *TransactionPages(parts.transactions, live, parts.catalogue).pages(),
            *_transaction_page(parts, live).pages(),
            *live.pages(),
            *PeoplePages(people.members).pages(),
            *AuditPages(parts.audit, people.members, parts.office).pages(),
            *AccountPages(people).pages(),
            *WebhookPages(parts.database, parts.webhooks, parts.audit, parts.clock).pages(),
            *_back_office(parts),
        ],
        people,
        parts.gate,
        cookies,
        Addresses(parts.settings.trusted_proxies),
        parts.settings.public_url,
    )


def _transaction_page(parts: Parts, live: Live) -> TransactionPage:
    return TransactionPage(
        parts.database,
        parts.transactions,
        parts.payouts,
        parts.refunds,
        parts.webhooks,
        parts.audit,
        live,
        parts.catalogue,
        parts.clock,
    )


def _wallets(parts: Parts) -> Wallets:
    return Wallets(
        parts.database, parts.rates, parts.statements, parts.transfers, parts.payouts, parts.clock
    )


def _moving(parts: Parts) -> Moving:
    """The forms that move money, by the flows and under the keys of the API."""
    return Moving(
        parts.database,
        [
            TransferMove(parts.transfers, parts.catalogue),
            PayoutMove(parts.payouts, parts.catalogue),
        ],
        Once(parts.keys, msgspec.json.encode),
        parts.audit,
        parts.clock,
        parts.ids,
    )


def _back_office(parts: Parts) -> list[Page]:
    """The pages of the operator's own staff."""
    staff = parts.people.staff
    overview = OverviewPages(
        parts.database,
        staff,
        parts.webhooks,
        parts.contradictions,
        parts.routing,
        parts.catalogue,
        parts.clock,
    )
    return [
        *overview.pages(),
        *CompanyPages(parts.office, staff, parts.audit).pages(),
        *TermsPages(parts.office, parts.catalogue).pages(),
        *ContradictionPages(parts.contradictions, parts.catalogue).pages(),
        *ReconciliationPages(parts.database, parts.breaks, parts.contradictions).pages(),
    ]
