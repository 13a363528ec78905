"""The ledger's one decision: each order its own verdict, floors held, chains unbroken."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.core.book import Book, Environment
from kpay.core.money import Money
from kpay.ledger.model import (
    POSTED,
    AccountKey,
    Entry,
    Judgement,
    Kind,
    Order,
    Posting,
    Reason,
    State,
    Verdict,
    account_keys,
    has_floor,
    judge,
)

BOOK = Book(UUID(int=1), Environment.TEST)
OTHERS = [Book(UUID(int=1), Environment.PRODUCTION), Book(UUID(int=2), Environment.TEST)]
ACCOUNTS = ["wallet:CMR", "wallet:GAB", "reserved:CMR", "fees:XAF", "provider:MTN_MOMO_CMR"]


def order(
    number: int,
    amounts: dict[str, int] | None,
    *,
    book: Book = BOOK,
    claim: tuple[object, ...] | None = None,
) -> Order[int]:
    """An order whose entry moves these hundredths of XAF; None is an order without an entry."""
    entry = None
    if amounts is not None:
        lines = tuple(Posting(account, Money(minor, "XAF")) for account, minor in amounts.items())
        entry = Entry(Kind.TRANSFER, UUID(int=number), lines)
    return Order(book, UUID(int=number), entry, number, claim)


def opened(**balances: int) -> dict[AccountKey, State]:
    """States of accounts that something was posted to: `wallet_CMR=100`."""
    return {
        (BOOK, name.replace("_", ":", 1)): State("XAF", balance, 1)
        for name, balance in balances.items()
    }


def reasons(judgement: Judgement) -> list[Reason | None]:
    return [verdict.reason for verdict in judgement.verdicts]


# Verdicts.


def test_what_can_be_afforded_is_posted_and_the_accounts_move_on() -> None:
    accounts = opened(wallet_CMR=100, wallet_GAB=5)

    judgement = judge([order(1, {"wallet:CMR": -100, "wallet:GAB": 100})], {}, accounts)

    assert judgement.verdicts == [POSTED]
    assert accounts == {
        (BOOK, "wallet:CMR"): State("XAF", 0, 2),
        (BOOK, "wallet:GAB"): State("XAF", 105, 2),
    }
    assert [(line.balance_after, line.version) for line in judgement.lines] == [(0, 2), (105, 2)]


def test_one_that_cannot_be_afforded_does_not_fail_its_neighbours() -> None:
    accounts = opened(wallet_CMR=100, wallet_GAB=0)
    orders = [
        order(1, {"wallet:CMR": -60, "wallet:GAB": 60}),
        order(2, {"wallet:CMR": -60, "wallet:GAB": 60}),
        order(3, {"wallet:CMR": -40, "wallet:GAB": 40}),
        order(4, {"wallet:CMR": -1, "wallet:GAB": 1}),
    ]

    judgement = judge(orders, {}, accounts)

    assert reasons(judgement) == [None, Reason.SHORT_FUNDS, None, Reason.SHORT_FUNDS]
    assert accounts[BOOK, "wallet:CMR"].balance == 0


def test_an_order_can_spend_what_an_earlier_one_of_its_batch_brought() -> None:
    accounts = opened(wallet_CMR=100, wallet_GAB=0)
    orders = [
        order(1, {"wallet:CMR": -100, "wallet:GAB": 100}),
        order(2, {"wallet:GAB": -100, "wallet:CMR": 100}),
    ]

    assert reasons(judge(orders, {}, accounts)) == [None, None]


def test_a_wallet_that_nothing_was_ever_posted_to_is_no_wallet() -> None:
    accounts = opened(wallet_GAB=0) | {(BOOK, "wallet:CMR"): State("XAF")}

    judgement = judge([order(1, {"wallet:CMR": -1, "wallet:GAB": 1})], {}, accounts)

    assert reasons(judgement) == [Reason.NO_WALLET]
    assert accounts[BOOK, "wallet:CMR"] == State("XAF")


def test_an_empty_wallet_is_a_wallet_that_is_short_of_funds() -> None:
    judgement = judge(
        [order(1, {"wallet:CMR": -1, "wallet:GAB": 1})], {}, opened(wallet_CMR=0, wallet_GAB=0)
    )

    assert reasons(judgement) == [Reason.SHORT_FUNDS]


def test_house_accounts_may_go_below_zero_and_wallets_may_not() -> None:
    accounts = {(BOOK, name): State("XAF") for name in ("provider:MTN_MOMO_CMR", "wallet:CMR")}

    judgement = judge([order(1, {"provider:MTN_MOMO_CMR": -5, "wallet:CMR": 5})], {}, accounts)

    assert judgement.verdicts == [POSTED]
    assert [has_floor(f"{kind}:XAF") for kind in ("wallet", "reserved")] == [True, True]
    assert not any(has_floor(f"{kind}:XAF") for kind in ("provider", "fees", "fx", "rounding"))


def test_a_claim_is_had_once_and_the_second_is_told_by_whom() -> None:
    orders = [order(1, None, claim=("payout", "A")), order(2, None, claim=("payout", "A"))]

    assert judge(orders, {}, {}).verdicts == [POSTED, Verdict(Reason.ALREADY_USED, UUID(int=1))]


def test_a_claim_that_was_not_posted_leaves_it_to_the_next() -> None:
    accounts = opened(wallet_CMR=10, wallet_GAB=0)
    orders = [
        order(1, {"wallet:CMR": -50, "wallet:GAB": 50}, claim=("transfer", "A")),
        order(2, {"wallet:CMR": -10, "wallet:GAB": 10}, claim=("transfer", "A")),
    ]

    assert reasons(judge(orders, {}, accounts)) == [Reason.SHORT_FUNDS, None]


def test_the_same_claim_in_another_book_or_of_another_operation_is_another() -> None:
    orders = [
        order(1, None, claim=("payout", "A")),
        order(2, None, claim=("transfer", "A")),
        *(order(3, None, claim=("payout", "A"), book=book) for book in OTHERS),
    ]

    assert reasons(judge(orders, {}, {})) == [None] * 4


def test_what_its_record_refused_moves_nothing_and_claims_nothing() -> None:
    accounts = opened(wallet_CMR=10, wallet_GAB=0)
    said = Verdict(Reason.STATE_CHANGED)
    orders = [
        order(number, {"wallet:CMR": -10, "wallet:GAB": 10}, claim=("transfer", "A"))
        for number in (1, 2)
    ]

    judgement = judge(orders, {0: said}, accounts)

    assert judgement.verdicts == [said, POSTED]
    assert accounts[BOOK, "wallet:CMR"].balance == 0


def test_an_account_is_kept_in_one_currency() -> None:
    accounts = {
        (BOOK, "wallet:CMR"): State("XOF", 10, 1),
        (BOOK, "wallet:GAB"): State("XAF", 0, 1),
    }

    with pytest.raises(ValueError, match="wallet:CMR is not kept in XAF"):
        judge([order(1, {"wallet:CMR": -1, "wallet:GAB": 1})], {}, accounts)


# The same decision, made again by the plainest program that could make it.


@dataclass
class PlainBook:
    """Balances as a dictionary; an account is in it once something was posted to it."""

    balances: dict[str, int] = field(default_factory=dict)
    claims: set[tuple[object, ...]] = field(default_factory=set)

    def decide(self, moves: dict[str, int] | None, claim: tuple[object, ...] | None) -> str:
        if claim in self.claims:
            return "already_used"
        for account, amount in (moves or {}).items():
            if amount < 0 and account.partition(":")[0] in ("wallet", "reserved"):
                if account not in self.balances:
                    return "no_wallet"
                if self.balances[account] < -amount:
                    return "short_funds"
        for account, amount in (moves or {}).items():
            self.balances[account] = self.balances.get(account, 0) + amount
        if claim is not None:
            self.claims.add(claim)
        return "posted"


@st.composite
def moves(draw: st.DrawFn) -> dict[str, int] | None:
    """Some accounts, each with an amount, that sum to zero; or no entry at all."""
    names = draw(st.lists(st.sampled_from(ACCOUNTS), min_size=2, max_size=4, unique=True))
    amounts = [draw(st.integers(-60, 60).filter(bool)) for _ in names[1:]]
    if sum(amounts) == 0:
        return None
    return dict(zip(names, [-sum(amounts), *amounts], strict=True))


CLAIMS = st.none() | st.tuples(st.sampled_from(["transfer", "payout"]), st.sampled_from("AB"))
BATCHES = st.lists(
    st.tuples(st.sampled_from([BOOK, *OTHERS]), moves(), CLAIMS, st.sampled_from([*[True] * 6, 0])),
    max_size=30,
)


@given(st.dictionaries(st.sampled_from(ACCOUNTS), st.integers(0, 200)), BATCHES)
def test_a_batch_is_decided_as_the_plainest_program_would(
    start: dict[str, int],
    batch: Sequence[tuple[Book, dict[str, int] | None, tuple[object, ...] | None, bool]],
) -> None:
    books: dict[Book, PlainBook] = defaultdict(lambda: PlainBook(dict(start)))
    accounts = {
        (book, name): State("XAF", start.get(name, 0), 1 if name in start else 0)
        for book in [BOOK, *OTHERS]
        for name in ACCOUNTS
    }
    orders, refused, expected = [], {}, []
    for position, (book, amounts, claim, admitted) in enumerate(batch):
        orders.append(order(position, amounts, book=book, claim=claim))
        if admitted:
            expected.append(books[book].decide(amounts, claim))
        else:
            refused[position] = Verdict(Reason.STATE_CHANGED)
            expected.append("state_changed")

    judgement = judge(orders, refused, accounts)

    assert [reason or "posted" for reason in reasons(judgement)] == expected
    for (book, name), state in accounts.items():
        assert state.balance == books[book].balances.get(name, 0)
    assert_sound(judgement, accounts, start)


def assert_sound(
    judgement: Judgement, accounts: dict[AccountKey, State], start: dict[str, int]
) -> None:
    """What holds of any judgement, whatever was decided."""
    chains: dict[AccountKey, list[tuple[int, int, int]]] = defaultdict(list)
    for line in judgement.lines:
        chains[line.book, line.posting.account].append(
            (line.version, line.posting.amount.minor, line.balance_after)
        )
    assert judgement.touched == set(chains)
    for (book, name), chain in chains.items():
        version, balance = (1, start[name]) if name in start else (0, 0)
        for at, amount, after in chain:
            assert (at, after) == (version + 1, balance + amount)
            assert after >= 0 or not has_floor(name)
            version, balance = at, after
        assert accounts[book, name] == State("XAF", balance, version)
    sums = Counter[UUID]()
    for line in judgement.lines:
        sums[line.entry.operation_id] += line.posting.amount.minor
    assert not any(sums.values())


@given(BATCHES)
def test_the_accounts_to_lock_are_those_that_the_orders_name(
    batch: Sequence[tuple[Book, dict[str, int] | None, tuple[object, ...] | None, bool]],
) -> None:
    orders = [order(0, amounts, book=book) for book, amounts, _, _ in batch]

    assert account_keys(orders) == {
        (book, name) for book, amounts, _, _ in batch for name in amounts or ()
    }
