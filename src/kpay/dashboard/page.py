"""What a page of the dashboard is, as plain data: each module of pages declares its own.

The site does for every page what must never be forgotten for one: it finds who is there, lets
nobody in who may not come, and takes no form that was not sent from here.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from enum import Enum
from typing import TypeAlias
from uuid import UUID

import msgspec

from kpay.access.model import Application
from kpay.core.book import Book
from kpay.dashboard import PREFIX as PREFIX
from kpay.dashboard.speech import Speech
from kpay.people.model import Membership, OperatorRight, Right, Session
from kpay.web.download import Begun
from kpay.web.pages import Answer
from kpay.web.streams import Stream

# The operator's own back office.
OFFICE = f"{PREFIX}/office"
OVERVIEW = f"{OFFICE}/overview"
COMPANIES = f"{OFFICE}/companies"
CONTRADICTIONS = f"{OFFICE}/contradictions"
RECONCILIATION = f"{OFFICE}/reconciliation"
RAILS = f"{OFFICE}/rails"
OFFICE_LOG = f"{OFFICE}/audit"
STAFF = f"{OFFICE}/staff"

Sent: TypeAlias = Answer | Begun | Stream
"""What comes of a visit: a page, a file that is made as it is sent, or news for as long as one
looks."""

_MOVES_MONEY = frozenset({Right.MOVE_MONEY, Right.APPROVE})


class Reach(Enum):
    """Who can come to a page, and what its address names."""

    ANYBODY = "anybody"
    HALF = "half"
    """Whoever has given a password and still owes the code."""

    LEAVING = "leaving"
    """Whoever has a session, whole or half."""

    PERSON = "person"
    COMPANY = "company"
    """`{company}` is one of the person's."""

    BOOK = "book"
    """`{application}` is of one of the person's companies, `{environment}` is test or live."""

    OPERATOR = "operator"
    """The operator's own back office, whose staff are in no company."""


class Where(msgspec.Struct, frozen=True):
    """What the address of a page is about, checked to be the visitor's own."""

    membership: Membership
    application: Application | None = None
    book: Book | None = None

    def allows(self, session: Session, right: Right) -> bool:
        """Whether a person has a right here.

        Nobody moves live money of a company whose approval was withdrawn: it has no keys to do it
        with either.
        """
        live = self.book is not None and not self.book.is_test
        if live and right in _MOVES_MONEY and not self.membership.approved:
            return False
        return session.right(self.membership.company_id, right)


class Visit(msgspec.Struct, frozen=True):
    """One request for a page, let in."""

    path: Mapping[str, str]
    query: Mapping[str, str]
    form: Mapping[str, str]
    speech: Speech
    address: str | None
    agent: str
    device: str | None
    """What a browser that was here before shows: its owner is not held up by others' failures."""

    at: str
    """The address that was asked for, without its query."""

    token: str | None = None
    known: Session | None = None
    here: Where | None = None
    last_event: str | None = None
    """The last news that a page had, when it asks for what came since."""
    waiting: int = 0
    """How many requests for approval the visitor could decide here."""

    @property
    def session(self) -> Session:
        if self.known is None:
            raise RuntimeError("a page for anybody has no session")
        return self.known

    @property
    def where(self) -> Where:
        if self.here is None:
            raise RuntimeError("this page is about no company")
        return self.here

    @property
    def book(self) -> Book:
        if self.where.book is None:
            raise RuntimeError("this page is about no application")
        return self.where.book

    @property
    def application(self) -> Application:
        if self.where.application is None:
            raise RuntimeError("this page is about no application")
        return self.where.application

    def may(self, right: Right) -> bool:
        """Whether the person has a right where this page is."""
        return self.where.allows(self.session, right)


class Page(msgspec.Struct, frozen=True):
    """One page, or what one form does. `right` is what its visitor must have there.

    In the operator's back office it is one of the operator's, and none is only to look.
    What no person asks for, but a page by itself, is not `active`: it keeps no session alive.
    """

    method: str
    path: str
    reach: Reach
    handler: Callable[[Visit], Awaitable[Sent]]
    right: Right | OperatorRight | None = None
    active: bool = True


class Gone(Exception):
    """There is nothing at this address for this person; which of the two is nobody's business."""


def company_address(company_id: UUID, *parts: str) -> str:
    return "/".join((PREFIX, "company", str(company_id), *parts))


def transaction_address(book: Book, public_id: str) -> str:
    """The page of one transaction, whatever it is."""
    return book_address(book, "transactions", public_id)


def book_address(book: Book, *parts: str) -> str:
    """The address of a page about one application in one environment."""
    environment = "test" if book.is_test else "live"
    return "/".join((PREFIX, "app", str(book.application_id), environment, *parts))
