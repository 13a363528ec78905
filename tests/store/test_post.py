"""The ledger's one decision, made by the database: each order its own verdict, floors held, chains
unbroken. What comes of a batch is read from the tables.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TypeAlias
from uuid import UUID

import asyncpg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.ledger.model import Entry, Kind, Order, Posting, Reason
from kpay.ledger.store import open_accounts, post_arguments
from tests.books import open_books

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
BOOK = Book(UUID(int=1), Environment.TEST)
OTHERS = [Book(UUID(int=1), Environment.PRODUCTION), Book(UUID(int=2), Environment.TEST)]
BOOKS = [BOOK, *OTHERS]
# Operations from here on are those that brought money in before the test began.
FUNDING = 10**6
FLOORED = ["wallet:CMR", "wallet:GAB", "reserved:CMR"]
ACCOUNTS = [*FLOORED, "fees:XAF", "provider:MTN_MOMO_CMR"]


def order(
    number: int, amounts: dict[str, int] | None, *, book: Book = BOOK, currency: str = "XAF"
) -> Order[None]:
    """An order whose entry moves these hundredths; None is an order without an entry."""
    entry = None
    if amounts is not None:
        lines = tuple(
            Posting(account, Money(minor, currency)) for account, minor in amounts.items()
        )
        entry = Entry(Kind.TRANSFER, UUID(int=number), lines)
    return Order(book, entry, None)


@dataclass(frozen=True)
class Line:
    """One posting as the tables have it: whose, and where it takes its account."""

    operation: int
    account: str
    amount: int
    after: int
    version: int


@dataclass
class Ledger:
    """A database with accounts, and what a test asks of it."""

    connection: asyncpg.Connection[asyncpg.Record]
    funded: int = 0

    async def open(self, *accounts: str, book: Book = BOOK, currency: str = "XAF") -> None:
        """Accounts to which nothing was ever posted."""
        await self.connection.executemany(
            "insert into accounts (application_id, environment, code, currency)"
            " values ($1, $2, $3, $4) on conflict on constraint accounts_pkey do nothing",
            [(book.application_id, book.environment, account, currency) for account in accounts],
        )

    async def fund(self, account: str, amount: int, *, book: Book = BOOK) -> None:
        """So many hundredths into an account, by postings of its own: one, or two that cancel."""
        await self.open(account, "provider:FUNDS", book=book)
        for sign in [amount] if amount else [1, -1]:
            self.funded += 1
            moved = {account: sign, "provider:FUNDS": -sign}
            funding = order(FUNDING + self.funded, moved, book=book)
            assert await self.post([funding]) == [None]

    async def post(
        self,
        orders: Sequence[Order[None]],
        *,
        refused: Sequence[int] | None = None,
        reason: Reason = Reason.STATE_CHANGED,
    ) -> list[str | None]:
        """What `post` says of each order; `refused` are the places of those that are not wanted."""
        verdicts: list[str | None] = await self.connection.fetchval(
            "select post($1, $2, $3, $4, $5, $6, $7, $8, $9)",
            *post_arguments(orders, NOW),
            refused,
            reason,
        )
        return verdicts

    async def standing(self, book: Book = BOOK) -> dict[str, tuple[int, int]]:
        """The balance and version of each account of a book."""
        rows = await self.connection.fetch(
            "select code, balance, version from accounts"
            " where application_id = $1 and environment = $2",
            book.application_id,
            book.environment,
        )
        return {row["code"]: (row["balance"], row["version"]) for row in rows}

    async def lines(self, book: Book = BOOK) -> list[Line]:
        """A book's postings, each account's in the order of its versions, without the funding."""
        rows = await self.connection.fetch(
            "select operation_id, account, amount, balance_after, version from postings"
            " where application_id = $1 and environment = $2 order by account, version",
            book.application_id,
            book.environment,
        )
        return [
            Line(identifier.int, *rest) for identifier, *rest in rows if identifier.int < FUNDING
        ]

    async def entries(self, book: Book = BOOK) -> set[int]:
        """The operations of a book that have an entry, without the funding."""
        rows = await self.connection.fetch(
            "select operation_id from entries where application_id = $1 and environment = $2",
            book.application_id,
            book.environment,
        )
        return {identifier.int for (identifier,) in rows if identifier.int < FUNDING}


@pytest.fixture
async def ledger(database_url: str) -> AsyncIterator[Ledger]:
    await open_books(database_url, *BOOKS)
    connection = await asyncpg.connect(database_url)
    yield Ledger(connection)
    await connection.close()


# Verdicts.


async def test_accounts_are_opened_each_in_its_book_and_currency_and_stay_as_they_are(
    ledger: Ledger,
) -> None:
    await ledger.fund("wallet:CMR", 500)
    wanted = {
        (BOOK, "wallet:CMR"): "XAF",
        (BOOK, "wallet:SEN"): "XOF",
        (OTHERS[0], "wallet:KEN"): "KES",
        (OTHERS[1], "fees:XAF"): "XAF",
    }

    await open_accounts(ledger.connection, wanted)
    await open_accounts(ledger.connection, wanted)

    rows = await ledger.connection.fetch(
        "select application_id, environment, code, currency, balance from accounts"
        " where code <> 'provider:FUNDS'"
    )
    found = {
        (Book(row["application_id"], Environment(row["environment"])), row["code"]): (
            row["currency"],
            row["balance"],
        )
        for row in rows
    }
    assert len(rows) == len(wanted)
    assert found == {
        account: (currency, 500 if account == (BOOK, "wallet:CMR") else 0)
        for account, currency in wanted.items()
    }


async def test_what_can_be_afforded_is_posted_and_the_accounts_move_on(ledger: Ledger) -> None:
    await ledger.fund("wallet:CMR", 100)
    await ledger.fund("wallet:GAB", 5)

    assert await ledger.post([order(1, {"wallet:CMR": -100, "wallet:GAB": 100})]) == [None]

    standing = await ledger.standing()
    assert (standing["wallet:CMR"], standing["wallet:GAB"]) == ((0, 2), (105, 2))
    assert await ledger.lines() == [
        Line(1, "wallet:CMR", -100, 0, 2),
        Line(1, "wallet:GAB", 100, 105, 2),
    ]


async def test_an_entry_and_its_lines_say_what_they_are_and_when(ledger: Ledger) -> None:
    await ledger.open("provider:MTN_MOMO_SEN", "reserved:SEN", currency="XOF")
    lines = (
        Posting("provider:MTN_MOMO_SEN", Money(-5, "XOF")),
        Posting("reserved:SEN", Money(5, "XOF")),
    )
    released = Order(BOOK, Entry(Kind.PAYOUT_RELEASED, UUID(int=7), lines), None)

    assert await ledger.post([released]) == [None]

    rows = await ledger.connection.fetch(
        "select operation_id, step, kind, entries.at, currency, postings.at from entries"
        " join postings using (application_id, environment, operation_id, step)"
    )
    (said,) = {tuple(row) for row in rows}
    assert said == (UUID(int=7), 2, "payout_released", NOW, "XOF", NOW)


async def test_one_that_cannot_be_afforded_does_not_fail_its_neighbours(ledger: Ledger) -> None:
    await ledger.fund("wallet:CMR", 100)
    await ledger.open("wallet:GAB")
    amounts = (60, 60, 40, 1)

    verdicts = await ledger.post(
        [
            order(number, {"wallet:CMR": -amount, "wallet:GAB": amount})
            for number, amount in enumerate(amounts)
        ]
    )

    assert verdicts == [None, "short_funds", None, "short_funds"]
    standing = await ledger.standing()
    assert (standing["wallet:CMR"], standing["wallet:GAB"]) == ((0, 3), (100, 2))
    assert await ledger.entries() == {0, 2}


async def test_one_that_could_pay_only_some_of_its_lines_pays_none(ledger: Ledger) -> None:
    await ledger.fund("wallet:CMR", 100)
    await ledger.fund("wallet:GAB", 5)
    before = await ledger.standing()

    verdicts = await ledger.post(
        [order(1, {"wallet:CMR": -100, "provider:FUNDS": 106, "wallet:GAB": -6})]
    )

    assert verdicts == ["short_funds"]
    assert await ledger.standing() == before
    assert (await ledger.entries(), await ledger.lines()) == (set(), [])


async def test_an_order_can_spend_what_an_earlier_one_of_its_batch_brought(ledger: Ledger) -> None:
    await ledger.fund("wallet:CMR", 100)
    await ledger.open("wallet:GAB")

    verdicts = await ledger.post(
        [
            order(1, {"wallet:CMR": -100, "wallet:GAB": 100}),
            order(2, {"wallet:GAB": -100, "wallet:CMR": 100}),
        ]
    )

    assert verdicts == [None, None]
    assert await ledger.lines() == [
        Line(1, "wallet:CMR", -100, 0, 2),
        Line(2, "wallet:CMR", 100, 100, 3),
        Line(1, "wallet:GAB", 100, 100, 1),
        Line(2, "wallet:GAB", -100, 0, 2),
    ]


async def test_an_order_cannot_spend_what_a_later_one_of_its_batch_brings(ledger: Ledger) -> None:
    await ledger.fund("wallet:CMR", 100)
    await ledger.fund("wallet:GAB", 0)

    verdicts = await ledger.post(
        [
            order(1, {"wallet:GAB": -100, "wallet:CMR": 100}),
            order(2, {"wallet:CMR": -100, "wallet:GAB": 100}),
        ]
    )

    assert verdicts == ["short_funds", None]


async def test_a_wallet_that_nothing_was_ever_posted_to_is_no_wallet(ledger: Ledger) -> None:
    await ledger.open("wallet:CMR", "wallet:GAB")

    assert await ledger.post([order(1, {"wallet:CMR": -1, "wallet:GAB": 1})]) == ["no_wallet"]

    assert await ledger.standing() == {"wallet:CMR": (0, 0), "wallet:GAB": (0, 0)}
    assert (await ledger.entries(), await ledger.lines()) == (set(), [])


async def test_an_empty_wallet_is_a_wallet_that_is_short_of_funds(ledger: Ledger) -> None:
    await ledger.fund("wallet:CMR", 0)
    await ledger.open("wallet:GAB")

    assert await ledger.post([order(1, {"wallet:CMR": -1, "wallet:GAB": 1})]) == ["short_funds"]


async def test_a_wallet_is_one_from_the_first_order_of_a_batch_that_pays_into_it(
    ledger: Ledger,
) -> None:
    await ledger.open("provider:MTN_MOMO_CMR", "wallet:CMR")
    spend = {"wallet:CMR": -10, "provider:MTN_MOMO_CMR": 10}
    bring = {"provider:MTN_MOMO_CMR": -5, "wallet:CMR": 5}

    verdicts = await ledger.post([order(1, spend), order(2, bring), order(3, spend)])

    assert verdicts == ["no_wallet", None, "short_funds"]


async def test_house_accounts_may_go_below_zero_and_wallets_and_what_is_reserved_may_not(
    ledger: Ledger,
) -> None:
    house = ["provider:X", "fees:XAF", "fx:XAF", "rounding:XAF"]
    floored = ["wallet:CMR", "reserved:CMR"]
    await ledger.open(*house)
    for account in floored:
        await ledger.fund(account, 4)

    verdicts = await ledger.post(
        [
            order(number, {account: -5, "provider:FUNDS": 5})
            for number, account in enumerate([*house, *floored])
        ]
    )

    assert verdicts == [None] * len(house) + ["short_funds"] * len(floored)
    standing = await ledger.standing()
    assert {standing[account] for account in house} == {(-5, 1)}
    assert {standing[account] for account in floored} == {(4, 1)}


async def test_what_the_caller_refuses_moves_nothing_and_is_told_why(ledger: Ledger) -> None:
    await ledger.fund("wallet:CMR", 10)
    await ledger.open("wallet:GAB")
    orders = [order(number, {"wallet:CMR": -10, "wallet:GAB": 10}) for number in (1, 2, 3)]

    verdicts = await ledger.post(orders, refused=[3, 1], reason=Reason.ALREADY_USED)

    assert verdicts == ["already_used", None, "already_used"]
    assert await ledger.entries() == {2}
    assert (await ledger.standing())["wallet:CMR"] == (0, 2)


async def test_an_order_without_an_entry_goes_with_others_that_have_one(ledger: Ledger) -> None:
    await ledger.fund("wallet:CMR", 10)
    await ledger.open("wallet:GAB")
    moved = {"wallet:CMR": -10, "wallet:GAB": 10}

    verdicts = await ledger.post(
        [order(1, None), order(2, moved), order(3, None), order(4, moved), order(5, None)],
        refused=[5],
    )

    assert verdicts == [None, None, None, "short_funds", "state_changed"]
    assert await ledger.entries() == {2}
    assert {line.operation for line in await ledger.lines()} == {2}


async def test_a_batch_without_any_entry_has_its_verdicts_and_writes_nothing(
    ledger: Ledger,
) -> None:
    verdicts = await ledger.post([order(1, None), order(2, None)], refused=[2])

    assert verdicts == [None, "state_changed"]
    assert (await ledger.standing(), await ledger.entries()) == ({}, set())


async def test_books_of_one_batch_have_each_their_own_money(ledger: Ledger) -> None:
    for book, amount in zip(BOOKS, (10, 20, 30), strict=True):
        await ledger.fund("wallet:CMR", amount, book=book)
        await ledger.open("wallet:GAB", book=book)

    verdicts = await ledger.post(
        [
            order(place, {"wallet:CMR": -15, "wallet:GAB": 15}, book=book)
            for place, book in enumerate(BOOKS * 2)
        ]
    )

    assert verdicts == ["short_funds", None, None, "short_funds", "short_funds", None]
    assert [(await ledger.standing(book))["wallet:CMR"] for book in BOOKS] == [
        (10, 1),
        (5, 2),
        (0, 3),
    ]
    assert [await ledger.entries(book) for book in BOOKS] == [set(), {1}, {2, 5}]


# What is no batch at all.


def refused_by(constraint: str) -> pytest.RaisesExc[asyncpg.IntegrityConstraintViolationError]:
    return pytest.raises(
        asyncpg.IntegrityConstraintViolationError,
        check=lambda problem: problem.constraint_name == constraint,
    )


async def test_a_batch_that_names_an_account_in_another_currency_is_refused_whole(
    ledger: Ledger,
) -> None:
    await ledger.fund("wallet:CMR", 10)
    await ledger.open("wallet:GAB")
    await ledger.open("wallet:SEN", currency="XOF")
    before = await ledger.standing()

    with refused_by("post_accounts"):
        await ledger.post(
            [
                order(1, {"wallet:CMR": -10, "wallet:GAB": 10}),
                order(2, {"wallet:CMR": -1, "wallet:SEN": 1}),
            ]
        )

    assert await ledger.standing() == before
    assert (await ledger.entries(), await ledger.lines()) == (set(), [])


async def test_a_currency_that_a_neighbour_names_rightly_is_refused_all_the_same(
    ledger: Ledger,
) -> None:
    await ledger.fund("wallet:CMR", 100)
    await ledger.open("wallet:GAB")
    moved = {"wallet:CMR": -10, "wallet:GAB": 10}

    with refused_by("post_accounts"):
        await ledger.post([order(1, moved, currency="XOF"), order(2, moved)])


async def test_a_batch_that_names_an_account_that_is_not_there_is_refused_whole(
    ledger: Ledger,
) -> None:
    await ledger.fund("wallet:CMR", 10)
    # It is there, but in another application's book and in another environment's.
    for book in OTHERS:
        await ledger.open("wallet:GAB", book=book)

    for absent in ("wallet:GAB", "wallet:AAA", "wallet:ZZZ"):
        with refused_by("post_accounts"):
            await ledger.post(
                [
                    order(1, {"wallet:CMR": -10, "provider:FUNDS": 10}),
                    order(2, {"wallet:CMR": -1, absent: 1}),
                ]
            )

    assert (await ledger.entries(), await ledger.lines()) == (set(), [])


async def test_an_operation_is_not_posted_a_second_time(ledger: Ledger) -> None:
    await ledger.fund("wallet:CMR", 10)
    await ledger.open("wallet:GAB", "wallet:COG")
    assert await ledger.post([order(1, {"wallet:CMR": -1, "wallet:GAB": 1})]) == [None]
    before = await ledger.standing()

    # Not even with accounts that have no line of it yet.
    with refused_by("entries_pkey"):
        await ledger.post(
            [
                order(2, {"wallet:CMR": -1, "wallet:GAB": 1}),
                order(1, {"wallet:COG": 1, "provider:FUNDS": -1}),
            ]
        )

    assert await ledger.standing() == before
    assert await ledger.entries() == {1}


# The same decision, made again by the plainest program that could make it.


@dataclass
class PlainBook:
    """Balances as a dictionary; an account is in it once something was posted to it."""

    balances: dict[str, int] = field(default_factory=dict)
    lines: list[Line] = field(default_factory=list)

    def decide(self, number: int, moves: dict[str, int] | None) -> str | None:
        # As the lines of an entry stand: by account.
        for account, amount in sorted((moves or {}).items()):
            if amount < 0 and account in FLOORED:
                if account not in self.balances:
                    return "no_wallet"
                if self.balances[account] < -amount:
                    return "short_funds"
        for account, amount in (moves or {}).items():
            self.balances[account] = self.balances.get(account, 0) + amount
            version = 1 + sum(line.account == account for line in self.lines)
            self.lines.append(Line(number, account, amount, self.balances[account], version))
        return None

    def standing(self) -> dict[str, tuple[int, int]]:
        """The balance and version of every account, as the table has them."""
        versions = Counter(line.account for line in self.lines)
        return {account: (self.balances.get(account, 0), versions[account]) for account in ACCOUNTS}

    def chains(self) -> list[Line]:
        """The lines account by account: each chain in the order in which it grew."""
        return sorted(self.lines, key=lambda line: (line.account, line.version))


MOSTLY = st.sampled_from([*[True] * 6, False])


@st.composite
def moves(draw: st.DrawFn) -> dict[str, int] | None:
    """Mostly some accounts, each with an amount, that sum to zero; else no entry at all."""
    names = draw(st.lists(st.sampled_from(ACCOUNTS), min_size=2, max_size=4, unique=True))
    amounts = [draw(st.integers(-100, 100).filter(bool)) for _ in names[1:]]
    if sum(amounts) == 0 or not draw(MOSTLY):
        return None
    return dict(zip(names, [-sum(amounts), *amounts], strict=True))


# Which book, what to move in it, and whether the caller lets it.
Wanted: TypeAlias = tuple[Book, dict[str, int] | None, bool]
WANTED = st.tuples(st.sampled_from(BOOKS), moves(), MOSTLY)
BATCHES = st.lists(st.lists(WANTED, min_size=5, max_size=25), max_size=3)
START = st.dictionaries(st.sampled_from(FLOORED), st.integers(1, 150))


@settings(
    max_examples=60,
    deadline=None,
    derandomize=True,
    # Each example is rolled back, so that they may all have the one ledger.
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(start=START, batches=BATCHES)
async def test_batches_are_decided_as_the_plainest_program_would(
    ledger: Ledger, start: dict[str, int], batches: list[list[Wanted]]
) -> None:
    plain = {book: PlainBook() for book in BOOKS}
    numbers = iter(range(FUNDING))
    opening: list[Wanted] = [
        (book, {"provider:MTN_MOMO_CMR": -amount, account: amount}, True)
        for book in BOOKS
        for account, amount in start.items()
    ]
    rolled_back = ledger.connection.transaction()
    await rolled_back.start()
    try:
        for book in BOOKS:
            await ledger.open(*ACCOUNTS, book=book)
        for batch in [opening, *batches]:
            numbered = [(next(numbers), *wanted) for wanted in batch]
            expected = [
                plain[book].decide(number, amounts) if admitted else "state_changed"
                for number, book, amounts, admitted in numbered
            ]
            orders = [order(number, amounts, book=book) for number, book, amounts, _ in numbered]
            refused = [place for place, (*_, admitted) in enumerate(batch, 1) if not admitted]
            assert await ledger.post(orders, refused=refused) == expected
        for book, kept in plain.items():
            assert await ledger.standing(book) == kept.standing()
            assert await ledger.lines(book) == kept.chains()
            assert await ledger.entries(book) == {line.operation for line in kept.lines}
    finally:
        await rolled_back.rollback()
