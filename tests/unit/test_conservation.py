"""Nothing is lost or made: what goes in comes out, as fee, as rounding, as what was sent.

The functions of the other files, put together as the flows put them together.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from itertools import permutations
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.catalogue.data import catalogue
from kpay.catalogue.model import OperationType, Provider
from kpay.core.money import Money, convert, fee_of, rail_text, read_amount, to_number
from kpay.core.refusals import Code, Refusal
from kpay.ledger import movements
from kpay.ledger.model import Posting
from kpay.payouts.model import Wanted, price
from kpay.rates.model import CURRENCIES, Quote, Snapshot, less_margin, mid
from kpay.transfers.model import Wanted as WantedTransfer
from kpay.transfers.model import credited_for

WORLD = catalogue()
NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
ID = UUID(int=1)
CURRENCY = st.sampled_from(CURRENCIES)
PROVIDER = st.sampled_from(list(WORLD.providers.values()))
# From a hundredth to more than any limit of the catalogue lets through.
AMOUNTS = st.integers(1, 10**13)
# What one euro has been worth in any currency of the world, and more.
RATES = st.decimals(Decimal("0.0001"), Decimal(1_000_000), places=8).filter(lambda rate: rate > 0)
SNAPSHOTS = st.builds(
    lambda rates: Snapshot("file", NOW, NOW, dict(zip(CURRENCIES, rates, strict=True)), {}),
    st.lists(RATES, min_size=len(CURRENCIES), max_size=len(CURRENCIES)),
)
BASIS_POINTS = st.integers(0, 9_999)
HALF = Fraction(1, 2)
# A cross is rounded once, to eighteen digits.
CROSS = Fraction(5, 10**18)


def rate_of(snapshot: Snapshot, source: str, target: str) -> Decimal:
    found = mid(snapshot, source, target)
    assert found is not None
    return found


def quoted(rate: Decimal) -> Quote:
    return Quote(rate=rate, source="file", as_of=NOW, margin_bps=0, expires_at=NOW)


def wanted(amount: Money, provider: Provider) -> Wanted:
    return Wanted("CMR", amount, provider, "237653456789", None, None, None)


# Reading and writing, in every currency there is.


def test_every_country_and_provider_uses_a_currency_that_rates_are_known_for() -> None:
    used = {country.currency for country in WORLD.countries.values()}
    used |= {provider.currency for provider in WORLD.providers.values()}

    assert used == set(CURRENCIES)


@pytest.mark.parametrize("currency", CURRENCIES)
@given(minor=AMOUNTS)
def test_an_amount_that_was_shown_is_read_back(currency: str, minor: int) -> None:
    amount = Money(minor, currency)

    assert read_amount(f"{amount.number}", currency) == amount
    assert read_amount(f"{minor // 100}.{minor % 100:02d}", currency) == amount
    assert str(amount).endswith(f" {currency}")
    assert Decimal(str(amount).removesuffix(f" {currency}").replace(",", "")) * 100 == minor


@given(AMOUNTS, PROVIDER, st.sampled_from(OperationType))
def test_what_a_rail_is_told_is_read_back_and_has_no_more_decimals_than_it_takes(
    minor: int, provider: Provider, operation: OperationType
) -> None:
    decimals = provider.decimals(operation)
    text = str(to_number(minor))
    try:
        amount = read_amount(text, provider.currency, decimals=decimals)
    except Refusal as refusal:
        assert refusal.code is Code.INVALID_AMOUNT  # noqa: PT017 — either way out is right
        assert minor % 10 ** (2 - decimals)
        return
    told = rail_text(amount)
    assert read_amount(told, provider.currency, decimals=decimals) == amount
    assert re.fullmatch(rf"\d+(\.\d{{1,{decimals}}})?" if decimals else r"\d+", told)


# Rates, put together.


@given(SNAPSHOTS, st.permutations(CURRENCIES))
def test_two_conversions_are_as_good_as_one(snapshot: Snapshot, order: list[str]) -> None:
    one, two, three = order[:3]
    direct = Fraction(rate_of(snapshot, one, three))
    composed = Fraction(rate_of(snapshot, one, two)) * Fraction(rate_of(snapshot, two, three))

    assert abs(composed - direct) <= direct * 4 * CROSS


@given(SNAPSHOTS, st.permutations(CURRENCIES))
def test_a_rate_and_its_reverse_make_one(snapshot: Snapshot, order: list[str]) -> None:
    there, back = (Fraction(rate_of(snapshot, *pair)) for pair in (order[:2], order[1::-1]))

    assert abs(there * back - 1) <= 3 * CROSS


@given(SNAPSHOTS, CURRENCY)
def test_a_currency_is_worth_one_of_itself(snapshot: Snapshot, currency: str) -> None:
    assert rate_of(snapshot, currency, currency) == 1


@given(AMOUNTS, SNAPSHOTS, st.permutations(CURRENCIES), BASIS_POINTS)
def test_there_and_back_gains_no_more_than_rounding(
    minor: int, snapshot: Snapshot, order: list[str], points: int
) -> None:
    """Nobody earns by converting to and fro; a margin only makes it dearer."""
    here, there = order[:2]
    out = less_margin(rate_of(snapshot, here, there), points)
    back = less_margin(rate_of(snapshot, there, here), points)
    converted = convert(Money(minor, here), out, there)
    returned = convert(converted, back, here)

    # Half a hundredth there, at the rate back, and half a hundredth here.
    gained = HALF * Fraction(back) + HALF + minor * 3 * CROSS
    assert returned.minor - minor <= gained


# A transfer.


@given(AMOUNTS, SNAPSHOTS, CURRENCY, CURRENCY, BASIS_POINTS)
def test_what_is_credited_is_never_more_than_half_a_hundredth_above_its_exact_worth(
    minor: int, snapshot: Snapshot, source: str, target: str, points: int
) -> None:
    rate = less_margin(rate_of(snapshot, source, target), points)
    amount = Money(minor, source)
    try:
        credited = credited_for(WantedTransfer("A", "B", amount, target, None, None), quoted(rate))
    except Refusal as refusal:
        assert refusal.code is Code.AMOUNT_OUT_OF_BOUNDS  # noqa: PT017 — either way out is right
        assert minor * Fraction(rate) < HALF
        return
    if source == target:
        # Inside one currency it arrives whole, whatever margin other pairs have.
        assert credited == amount
        return
    exact = minor * Fraction(rate)
    assert credited.currency == target
    assert abs(credited.minor - exact) <= HALF
    entry = movements.transfer(ID, source="A", destination="B", debited=amount, credited=credited)
    assert sums(entry.postings) == {}


# A payout.


@given(AMOUNTS, PROVIDER, CURRENCY, SNAPSHOTS, BASIS_POINTS, BASIS_POINTS)
def test_a_payout_is_its_fee_its_net_and_a_residue_that_is_accounted_for(
    minor: int,
    provider: Provider,
    source: str,
    snapshot: Snapshot,
    fee_bps: int,
    margin_bps: int,
) -> None:
    rate = less_margin(rate_of(snapshot, source, provider.currency), margin_bps)
    if source == provider.currency:
        rate = Decimal(1)
    amount = Money(minor, source)
    unit = 10 ** (2 - provider.decimals(OperationType.PAYOUT))
    try:
        agreed = price(wanted(amount, provider), quoted(rate), fee_bps)
    except Refusal as refusal:
        assert refusal.code is Code.AMOUNT_OUT_OF_BOUNDS  # noqa: PT017 — either way out is right
        net = amount - fee_of(amount, fee_bps)
        assert net.minor * Fraction(rate) < max(HALF * unit + HALF, 1)
        return
    net = amount - agreed.fee

    assert agreed.fee + net == amount
    assert 0 <= agreed.fee.minor <= minor
    assert abs(agreed.payout_amount.minor - net.minor * Fraction(rate)) <= HALF
    assert agreed.sent.minor % unit == 0
    assert abs(agreed.payout_amount.minor - agreed.sent.minor) * 2 <= unit
    if source == provider.currency:
        assert agreed.payout_amount == net
    entry = movements.payout_completed(
        ID,
        country="CMR",
        provider=provider.code,
        amount=amount,
        fee=agreed.fee,
        payout_amount=agreed.payout_amount,
        sent=agreed.sent,
    )
    lines = {line.account: line.amount.minor for line in entry.postings}
    assert sums(entry.postings) == {}
    assert lines["reserved:CMR"] == -minor
    assert lines.get(f"fees:{source}", 0) == agreed.fee.minor
    assert lines[f"provider:{provider.code}"] == agreed.sent.minor
    residue = lines.get(f"rounding:{provider.currency}", 0)
    assert agreed.sent.minor + residue == agreed.payout_amount.minor


@given(AMOUNTS, PROVIDER, BASIS_POINTS)
def test_a_payment_is_its_fee_and_what_the_wallet_gets(
    minor: int, provider: Provider, fee_bps: int
) -> None:
    paid = Money(minor, provider.currency)
    fee = fee_of(paid, fee_bps)
    entry = movements.payment_completed(
        ID, provider=provider.code, country=provider.country, paid=paid, fee=fee
    )
    lines = {line.account: line.amount.minor for line in entry.postings}

    assert sums(entry.postings) == {}
    assert lines.get(f"wallet:{provider.country}", 0) + fee.minor == minor
    assert lines[f"provider:{provider.code}"] == -minor


@given(st.lists(st.tuples(AMOUNTS, st.sampled_from(list(permutations(CURRENCIES, 2)))), max_size=8))
def test_any_number_of_conversions_leave_the_house_s_position_at_what_was_rounded(
    conversions: list[tuple[int, tuple[str, str]]],
) -> None:
    """Every hundredth that a conversion takes or gives is on an fx account, and nowhere else."""
    position: Counter[str] = Counter()
    for minor, (source, target) in conversions:
        debited = Money(minor, source)
        credited = Money(max(1, math.isqrt(minor)), target)
        entry = movements.transfer(
            ID, source="A", destination="B", debited=debited, credited=credited
        )
        for line in entry.postings:
            if line.account.startswith("fx:"):
                assert line.account == f"fx:{line.amount.currency}"
                position[line.amount.currency] += line.amount.minor
    given_up: Counter[str] = Counter()
    for minor, (source, target) in conversions:
        given_up[source] += minor
        given_up[target] -= max(1, math.isqrt(minor))
    assert {name: total for name, total in position.items() if total} == {
        name: total for name, total in given_up.items() if total
    }


def sums(postings: tuple[Posting, ...]) -> dict[str, int]:
    """The currencies whose lines do not sum to zero, with what they do sum to."""
    totals: Counter[str] = Counter()
    for line in postings:
        totals[line.amount.currency] += line.amount.minor
    return {currency: total for currency, total in totals.items() if total}
