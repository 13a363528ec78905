"""The pages, each over the flows that it shows: the dashboard, and the page that a payer sees.

Most processes draw no page for hours: what draws them is loaded when somebody first comes to one
(`web/later.py`), so nothing that a start needs may import this.
"""

from __future__ import annotations

import msgspec

from kpay.app.parts import Parts
from kpay.catalogue.model import OperationType
from kpay.dashboard.account import AccountPages
from kpay.dashboard.applications import Applications
from kpay.dashboard.approval_rules import RulePages
from kpay.dashboard.approvals import ApprovalPages
from kpay.dashboard.approving import Approving
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
from kpay.dashboard.office.staff import StaffPages
from kpay.dashboard.office.terms import TermsPages
from kpay.dashboard.page import Page
from kpay.dashboard.people import PeoplePages
from kpay.dashboard.refunding import RefundMove
from kpay.dashboard.site import Cookies, Site
from kpay.dashboard.speech import speech
from kpay.dashboard.transaction import TransactionPage
from kpay.dashboard.transactions import TransactionPages
from kpay.dashboard.wallets import Wallets
from kpay.dashboard.webhooks import WebhookPages
from kpay.hosted.pages import Pages
from kpay.hosted.subjects import PaymentPages, PayoutPages
from kpay.web.address import Addresses
from kpay.web.languages import LANGUAGES
from kpay.web.once import Once


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
    return Site(
        [
            *door(parts.people, cookies),
            *Links(parts.people, cookies).pages(),
            *Applications(parts.office, parts.webhooks, parts.approvals).pages(),
            *_wallets(parts, live).pages(),
            *_moving(parts).pages(),
            *_approval_pages(parts),
            *TransactionPages(parts.transactions, live, parts.catalogue).pages(),
            *_transaction_page(parts, live).pages(),
            *live.pages(),
            *PeoplePages(parts.people.members).pages(),
            *AuditPages(parts.audit, parts.people.members, parts.office).pages(),
            *AccountPages(parts.people).pages(),
            *WebhookPages(parts.webhooks, parts.clock).pages(),
            *_back_office(parts),
        ],
        parts.people,
        parts.gate,
        parts.approvals,
        cookies,
        Addresses(parts.settings.trusted_proxies),
        parts.settings.public_url,
    )


def _wallets(parts: Parts, live: Live) -> Wallets:
    return Wallets(
        parts.database,
        parts.rates,
        parts.statements,
        parts.transfers,
        parts.payouts,
        parts.clock,
        live,
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
        parts.approvals,
        parts.audit,
        parts.clock,
        parts.ids,
    )


def _approval_pages(parts: Parts) -> list[Page]:
    """What a second person approves, by the same flows; and what needs that."""
    approving = Approving(
        parts.database,
        parts.approvals,
        [
            TransferMove(parts.transfers, parts.catalogue),
            PayoutMove(parts.payouts, parts.catalogue),
            RefundMove(parts.refunds, parts.catalogue),
        ],
        Once(parts.keys, msgspec.json.encode),
        parts.clock,
    )
    made = ApprovalPages(parts.approvals, approving, parts.catalogue, parts.clock, parts.ids)
    # The rules first: else their address would be a request's.
    rules = RulePages(parts.database, parts.approvals, parts.people, parts.catalogue, parts.ids)
    return [*rules.pages(), *made.pages()]


def _transaction_page(parts: Parts, live: Live) -> TransactionPage:
    return TransactionPage(
        parts.database,
        parts.transactions,
        parts.payouts,
        parts.refunds,
        parts.webhooks,
        parts.approvals,
        parts.audit,
        live,
        parts.catalogue,
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
        *StaffPages(parts.people, parts.clock).pages(),
    ]
