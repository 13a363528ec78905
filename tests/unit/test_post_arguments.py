"""A batch as the database is told it: each account once and in one order, each line in place."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.ledger.model import Entry, Kind, Order, Posting
from kpay.ledger.store import post_arguments

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
BOOKS = [
    Book(UUID(int=application), environment)
    for application in (1, 2)
    for environment in Environment
]
# In an order that is not their own.
ACCOUNTS = ["wallet:GAB", "reserved:CMR", "wallet:CMR", "fees:XAF", "provider:MTN_MOMO_CMR"]


@dataclass
class Batch:
    """The arguments by their names."""

    at: datetime
    books: list[tuple[Any, ...]]
    accounts: list[tuple[Any, ...]]
    orders: list[tuple[Any, ...]]
    order_lines: list[int]
    line_accounts: list[int]
    line_amounts: list[int]

    def lines(self) -> list[list[tuple[Any, ...]]]:
        """What each order moves, read from the front as the database does."""
        left = list(zip(self.line_accounts, self.line_amounts, strict=True))
        orders = []
        for count in self.order_lines:
            mine, left = left[:count], left[count:]
            orders.append([(*self.named(place), amount) for place, amount in mine])
        assert left == []
        return orders

    def named(self, place: int) -> tuple[Any, ...]:
        """An account by its place, with its book."""
        book, *account = self.accounts[place - 1]
        return (*self.books[book - 1], *account)

    def every_account(self) -> list[tuple[Any, ...]]:
        return [self.named(place) for place in range(1, len(self.accounts) + 1)]


def batch(orders: Sequence[Order[None]]) -> Batch:
    arguments: list[Any] = post_arguments(orders, NOW)
    return Batch(*arguments)


def order(
    book: Book, *names: str, currency: str = "XAF", kind: Kind = Kind.TRANSFER
) -> Order[None]:
    """An order that takes a hundredth from each account but the last, which gets them all."""
    *sources, destination = names
    lines = [
        *(Posting(source, Money(-1, currency)) for source in sources),
        Posting(destination, Money(len(sources), currency)),
    ]
    return Order(book, Entry(kind, UUID(int=9), tuple(lines)), None)


@st.composite
def any_order(draw: st.DrawFn) -> Order[None]:
    """An entry of a few lines in one of the books, or an order without one."""
    book = draw(st.sampled_from(BOOKS))
    names = draw(st.lists(st.sampled_from(ACCOUNTS), max_size=4, unique=True))
    if len(names) < 2:
        return Order(book, None, None)
    return order(book, *names, kind=draw(st.sampled_from(Kind)))


BATCHES = st.lists(any_order(), max_size=12)


@given(BATCHES.flatmap(lambda orders: st.tuples(st.just(orders), st.permutations(orders))))
def test_books_are_named_in_one_order_whatever_the_order_of_the_orders(
    pair: tuple[list[Order[None]], list[Order[None]]],
) -> None:
    """They are locked in it: that is what keeps two batches from a deadlock."""
    one, other = (batch(orders).books for orders in pair)

    assert one == other


@given(BATCHES, BATCHES)
def test_two_batches_never_name_two_books_in_opposite_orders(
    one: list[Order[None]], other: list[Order[None]]
) -> None:
    mine, yours = batch(one).books, batch(other).books
    common = set(mine) & set(yours)

    assert [book for book in mine if book in common] == [book for book in yours if book in common]


@given(BATCHES)
def test_every_account_of_the_orders_is_named_once_and_no_other(
    orders: list[Order[None]],
) -> None:
    named = batch(orders).every_account()

    assert len(named) == len(set(named))
    assert {(application, environment, code) for application, environment, code, _ in named} == {
        (order.book.application_id, order.book.environment, line.account)
        for order in orders
        if order.entry is not None
        for line in order.entry.postings
    }


@given(BATCHES)
def test_every_order_has_its_own_lines_by_account_on_those_of_its_own_book(
    orders: list[Order[None]],
) -> None:
    assert batch(orders).lines() == [
        sorted(
            (
                order.book.application_id,
                order.book.environment,
                line.account,
                line.amount.currency,
                line.amount.minor,
            )
            for line in ([] if order.entry is None else order.entry.postings)
        )
        for order in orders
    ]


@given(BATCHES)
def test_every_order_says_its_book_and_its_operation(orders: list[Order[None]]) -> None:
    made = batch(orders)

    assert [(*made.books[book - 1], *entry) for book, *entry in made.orders] == [
        (
            order.book.application_id,
            order.book.environment,
            *(
                (None, 0, None)
                if order.entry is None
                else (order.entry.operation_id, order.entry.kind.step, order.entry.kind)
            ),
        )
        for order in orders
    ]


def test_a_batch_is_written_out_as_the_database_takes_it() -> None:
    book, other = Book(UUID(int=2), Environment.TEST), Book(UUID(int=1), Environment.PRODUCTION)
    orders = [
        order(book, "wallet:SEN", "reserved:SEN", currency="XOF", kind=Kind.PAYOUT_REQUESTED),
        Order(other, None, None),
        order(other, "provider:X", "wallet:CMR"),
        order(book, "reserved:SEN", "wallet:SEN", currency="XOF", kind=Kind.PAYOUT_RELEASED),
    ]

    assert batch(orders) == Batch(
        at=NOW,
        books=[(UUID(int=1), "PRODUCTION"), (UUID(int=2), "TEST")],
        accounts=[
            (1, "provider:X", "XAF"),
            (1, "wallet:CMR", "XAF"),
            (2, "reserved:SEN", "XOF"),
            (2, "wallet:SEN", "XOF"),
        ],
        orders=[
            (2, UUID(int=9), 1, "payout_requested"),
            (1, None, 0, None),
            (1, UUID(int=9), 1, "transfer"),
            (2, UUID(int=9), 2, "payout_released"),
        ],
        order_lines=[2, 0, 2, 2],
        line_accounts=[3, 4, 1, 2, 3, 4],
        line_amounts=[1, -1, -1, 1, -1, 1],
    )
