"""Money: read exactly as written or refused, rounded once, never mixed, nothing lost on the way."""

from __future__ import annotations

import re
from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.core.limits import Limits
from kpay.core.money import (
    Money,
    convert,
    fee_of,
    parse_number,
    rail_text,
    read_amount,
    round_half_up,
    to_minor,
    to_number,
    to_rail,
)
from kpay.core.refusals import Code, Refusal

# From far below zero to more than every note of every currency here, in hundredths.
MINOR = st.integers(-(10**17), 10**17)
POSITIVE = st.integers(1, 10**17)
BASIS_POINTS = st.integers(0, 9_999)
RATES = st.builds(
    lambda digits, places: Decimal(digits).scaleb(-places),
    st.integers(1, 10**20),
    st.integers(0, 24),
)
# The rate behind the page's 48211.75: 47,500 times this is 48,211.75 to the hundredth.
PAGE_RATE = Decimal("1.0149842105263157895")

# Text that a careless reader takes for a number, or that is one and absurd.
NO_NUMBERS = [
    "",
    " 5",
    "5 ",
    "NaN",
    "nan",
    "Infinity",
    "-Infinity",
    "inf",
    '"5000"',
    "'5000'",
    "5,000",
    "5 000",
    "01",
    "00",
    "-01",
    "007.5",
    "+5",
    ".5",
    "5.",
    "1_000",
    "0x10",
    "1e",
    "1e+",
    "e5",
    "--5",
    "٥٠",
    "5٠",
    "５",
    "null",
    "true",
    "[5000]",
    '{"amount":5000}',
    "5\n",
    "5\x00",
    "1e999",
    "-1e999",
    "1e-999",
    "9" * 41,
    "0." + "1" * 40,
    "1e99999999999999999999",
    "0e99999999999999999999",
    "1e-99999999999999999999",
]


def refused(text: str, *, decimals: int = 2) -> Code:
    with pytest.raises(Refusal) as caught:
        read_amount(text, "XAF", decimals=decimals)
    assert caught.value.message.startswith("amount must ")
    return caught.value.code


# Reading and writing.


@given(MINOR)
def test_what_is_shown_is_read_back_to_the_hundredth(minor: int) -> None:
    value = parse_number(f"{to_number(minor)}")

    assert value is not None
    assert to_minor(value) == minor


@given(MINOR)
def test_an_amount_is_shown_whole_or_with_its_fraction_and_no_exponent(minor: int) -> None:
    assert re.fullmatch(r"-?\d+(\.\d?[1-9])?", f"{to_number(minor)}")


@given(POSITIVE, st.sampled_from(["XAF", "XOF", "KES"]))
def test_an_amount_is_what_its_text_says(minor: int, currency: str) -> None:
    units, hundredths = divmod(minor, 100)

    assert read_amount(f"{units}.{hundredths:02d}", currency) == Money(minor, currency)


@pytest.mark.parametrize(
    ("text", "minor"),
    [("5000", 500_000), ("5e3", 500_000), ("5.0E+3", 500_000), ("0.5e1", 500), ("5000e-2", 5_000)],
)
def test_one_number_has_several_spellings(text: str, minor: int) -> None:
    assert read_amount(text, "XAF") == Money(minor, "XAF")


@pytest.mark.parametrize("text", ["9" * 40, "1e40", "1e-40", "0." + "1" * 38])
def test_a_number_may_have_forty_digits_and_no_more(text: str) -> None:
    assert parse_number(text) == Decimal(text)
    assert parse_number(f"{text}1") is None


def test_no_digit_is_lost_of_an_amount_beyond_what_decimals_hold_by_default() -> None:
    value = Decimal("123456789012345678901234567890123456.78")

    assert to_minor(value) == 12_345_678_901_234_567_890_123_456_789_012_345_678


@pytest.mark.parametrize("text", NO_NUMBERS)
def test_what_is_no_plain_number_is_refused(text: str) -> None:
    assert parse_number(text) is None
    assert refused(text) is Code.INVALID_AMOUNT


@pytest.mark.parametrize("text", ["0", "-0", "0.00", "0e5", "-1", "-5000", "-0.01"])
def test_nothing_and_less_than_nothing_are_refused(text: str) -> None:
    assert refused(text) is Code.INVALID_AMOUNT


@pytest.mark.parametrize(
    ("text", "decimals"), [("10.001", 2), ("0.001", 2), ("1e-3", 2), ("100.5", 0), ("0.1", 0)]
)
def test_more_decimals_than_allowed_are_refused(text: str, decimals: int) -> None:
    assert refused(text, decimals=decimals) is Code.INVALID_AMOUNT


@pytest.mark.parametrize(
    ("text", "decimals", "told"),
    [
        ("five", 2, "amount must be a plain JSON number such as 5000, without quotes."),
        ("0.001", 2, "amount must have at most 2 decimals in XAF here."),
        ("0.01", 1, "amount must have at most 1 decimals in XAF here."),
        ("0.1", 0, "amount must have a whole number in XAF here."),
        ("-1", 2, "amount must be greater than zero."),
    ],
)
def test_what_is_wrong_with_an_amount_is_told(text: str, decimals: int, told: str) -> None:
    with pytest.raises(Refusal) as caught:
        read_amount(text, "XAF", decimals=decimals)
    assert caught.value.message == told


@given(st.text(max_size=60) | st.from_regex(r"-?\d{1,30}(\.\d{0,12})?([eE][+-]?\d{0,25})?\Z"))
def test_any_text_is_an_amount_above_zero_or_an_invalid_amount(text: str) -> None:
    try:
        amount = read_amount(text, "XAF")
    except Refusal as refusal:
        assert refusal.code is Code.INVALID_AMOUNT  # noqa: PT017 — either way out is right
    else:
        assert amount.minor > 0


# Arithmetic.


def test_two_currencies_never_meet() -> None:
    with pytest.raises(ValueError, match="XAF and XOF"):
        Money(100, "XAF") + Money(100, "XOF")
    with pytest.raises(ValueError, match="XAF and XOF"):
        Money(100, "XAF") - Money(100, "XOF")


@given(MINOR, MINOR)
def test_adding_and_taking_away_undo_each_other(left: int, right: int) -> None:
    one, other = Money(left, "XAF"), Money(right, "XAF")

    assert one + other - other == one
    assert one + -one == Money(0, "XAF")


@given(POSITIVE, BASIS_POINTS)
def test_fee_and_net_make_the_gross(minor: int, basis_points: int) -> None:
    gross = Money(minor, "XAF")
    fee = fee_of(gross, basis_points)

    assert fee + (gross - fee) == gross
    assert 0 <= fee.minor <= minor
    assert abs(fee.minor - Fraction(minor * basis_points, 10_000)) <= Fraction(1, 2)


@given(POSITIVE, POSITIVE, BASIS_POINTS)
def test_a_larger_amount_never_has_a_smaller_fee(one: int, other: int, basis_points: int) -> None:
    small, large = sorted((one, other))

    smaller, larger = (fee_of(Money(minor, "XAF"), basis_points) for minor in (small, large))
    assert smaller.minor <= larger.minor


@given(POSITIVE, RATES)
def test_a_conversion_is_the_exact_product_rounded_once(minor: int, rate: Decimal) -> None:
    converted = convert(Money(minor, "XAF"), rate, "XOF")

    assert converted.currency == "XOF"
    assert abs(converted.minor - minor * Fraction(rate)) <= Fraction(1, 2)


@given(POSITIVE, POSITIVE, RATES)
def test_more_money_never_converts_to_less(one: int, other: int, rate: Decimal) -> None:
    small, large = sorted((one, other))

    less, more = (convert(Money(minor, "XAF"), rate, "XOF") for minor in (small, large))
    assert less.minor <= more.minor


@given(POSITIVE, RATES, RATES)
def test_a_better_rate_never_converts_to_less(minor: int, one: Decimal, other: Decimal) -> None:
    worse, better = sorted((one, other))

    less, more = (convert(Money(minor, "XAF"), rate, "XOF") for rate in (worse, better))
    assert less.minor <= more.minor


@pytest.mark.parametrize(
    ("value", "decimals", "rounded"),
    [("0.5", 0, "1"), ("1.5", 0, "2"), ("2.5", 0, "3"), ("-0.5", 0, "-1"), ("0.049", 1, "0.0")],
)
def test_a_half_is_rounded_away_from_zero(value: str, decimals: int, rounded: str) -> None:
    assert round_half_up(Decimal(value), decimals) == Decimal(rounded)


# What an operator is told.


@given(POSITIVE, st.integers(0, 2))
def test_rounding_for_a_rail_makes_less_than_one_of_its_units(minor: int, decimals: int) -> None:
    sent = to_rail(Money(minor, "XOF"), decimals)
    unit = 10 ** (2 - decimals)

    assert sent.minor % unit == 0
    assert abs(sent.minor - minor) * 2 <= unit


# The shape that pawaPay's documentation gives for an amount: no trailing zero decimals.
@given(POSITIVE, st.integers(0, 2))
def test_rails_are_given_the_spelling_that_they_accept(minor: int, decimals: int) -> None:
    text = rail_text(to_rail(Money(minor, "XOF"), decimals))

    assert re.fullmatch(r"(0|[1-9][0-9]{0,17})([.][0-9]{0,3}[1-9])?", text)


def test_the_page_s_payout_comes_out_to_the_hundredth_and_the_franc() -> None:
    gross = Money(5_000_000, "XAF")
    net = gross - fee_of(gross, 500)
    converted = convert(net, PAGE_RATE, "XOF")
    sent = to_rail(converted, 0)

    assert net.number == 47_500
    assert converted.number == Decimal("48211.75")
    assert sent.number == 48_212
    assert rail_text(sent) == "48212"
    assert (converted - sent).number == Decimal("-0.25")


def test_the_page_s_transfer_comes_out_to_the_franc() -> None:
    assert convert(Money(10_000_000, "XAF"), Decimal("1.0153"), "XOF").number == 101_530


# Bounds.


@pytest.mark.parametrize("minor", [10_000, 10_001, 999_999_999, 1_000_000_000])
def test_both_bounds_are_allowed(minor: int) -> None:
    bounds = Limits(Money(10_000, "XAF"), Money(1_000_000_000, "XAF"))

    bounds.check(Money(minor, "XAF"))


@pytest.mark.parametrize("minor", [9_999, 1_000_000_001])
def test_beyond_a_bound_both_are_told(minor: int) -> None:
    bounds = Limits(Money(10_000, "XAF"), Money(1_000_000_000, "XAF"))

    with pytest.raises(Refusal, match="between 100 and 10,000,000 XAF") as caught:
        bounds.check(Money(minor, "XAF"))
    assert caught.value.code is Code.AMOUNT_OUT_OF_BOUNDS
