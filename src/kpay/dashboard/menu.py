"""The places that a person can go to from where he is."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from kpay.dashboard.page import (
    COMPANIES,
    CONTRADICTIONS,
    OFFICE_LOG,
    OVERVIEW,
    PREFIX,
    RAILS,
    RECONCILIATION,
    STAFF,
    Visit,
    book_address,
    company_address,
)
from kpay.people.model import OperatorRight, Right


class Link(msgspec.Struct, frozen=True):
    name: str
    href: str
    here: bool
    waiting: int = 0
    """How much waits there for the visitor."""


class Group(msgspec.Struct, frozen=True):
    name: str
    links: list[Link]


def menu(visit: Visit) -> list[Group]:
    """What the column on the left shows: nothing that would then be refused."""
    return [group for group in _groups(visit) if group.links]


def _groups(visit: Visit) -> Iterator[Group]:
    say = visit.speech.say
    link = _linker(visit)
    if visit.session.operator_right(OperatorRight.VIEW):
        yield Group(say("Back office"), _office(visit))
        return
    yield Group(say("Your company"), [link(say("My applications"), f"{PREFIX}/applications")])
    where = visit.here
    if where is not None and where.application is not None and where.book is not None:
        book = where.book
        links = [link(say("Wallets"), book_address(book, "wallets"))]
        links.append(link(say("Transactions"), book_address(book, "transactions")))
        if visit.may(Right.MOVE_MONEY):
            links.append(link(say("Move money"), book_address(book, "move")))
        if visit.may(Right.MOVE_MONEY) or visit.may(Right.APPROVE):
            approvals = link(say("Approvals"), book_address(book, "approvals"))
            links.append(msgspec.structs.replace(approvals, waiting=visit.waiting))
        if visit.may(Right.APPLICATIONS):
            links.append(link(say("Webhooks"), book_address(book, "webhooks")))
            links.append(link(say("Keys and settings"), book_address(book, "settings")))
        yield Group(where.application.name, links)
    for membership in visit.session.memberships:
        company_id = membership.company_id
        links = []
        if visit.session.right(company_id, Right.VIEW_MONEY):
            links.append(link(say("People"), company_address(company_id, "people")))
        if visit.session.right(company_id, Right.AUDIT_LOG):
            links.append(link(say("Audit log"), company_address(company_id, "audit")))
        yield Group(membership.company_name, links)


def _office(visit: Visit) -> list[Link]:
    """The operator's places, for its staff, who are in no company."""
    say, link = visit.speech.say, _linker(visit)
    return [
        link(say("Overview"), OVERVIEW),
        # What waits for a person; how much that is stands in the overview.
        link(say("Contradictions"), CONTRADICTIONS),
        link(say("Reconciliation"), RECONCILIATION),
        link(say("Companies"), COMPANIES),
        link(say("Operators"), RAILS),
        link(say("Staff"), STAFF),
        link(say("Audit log"), OFFICE_LOG),
    ]


def _linker(visit: Visit) -> Callable[[str, str], Link]:
    def link(name: str, href: str) -> Link:
        return Link(name, href, visit.at == href or visit.at.startswith(f"{href}/"))

    return link
