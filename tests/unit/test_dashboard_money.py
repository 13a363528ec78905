"""What the dashboard makes of amounts and numbers as they are typed, of balances and of flows."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import pairwise

import pytest

from kpay.catalogue.data import catalogue
from kpay.core.money import Money, convert
from kpay.core.refusals import Code
from kpay.dashboard import wrongs
from kpay.dashboard.curves import HEIGHT, PERIODS, WIDTH, curve, moments, period_of
from kpay.dashboard.flows import Flow, Picture, picture, together
from kpay.dashboard.speech import speech
from kpay.dashboard.typed import amount_text, line, phone_words
from kpay.wallets.model import Crossing
from kpay.web.languages import LANGUAGES
from tests.route_table import name_of, route_table

NOW = datetime(2026, 6, 23, 10, 7, tzinfo=UTC)


@pytest.mark.parametrize(
    ("typed", "read"),
    [
        ("50000", "50000"),
        (" 50 000 ", "50000"),
        ("50\u00a0000", "50000"),
        ("50\u202f000", "50000"),
        ("50,000", "50000"),
        ("50.000", "50000"),
        ("1'000'000", "1000000"),
        ("1,000,000.5", "1000000.5"),
        ("1.000.000,50", "1000000.50"),
        ("1234,5", "1234.5"),
        ("0500", "500"),
        ("0.50", "0.50"),
        ("12,34", "12.34"),
        # What is no amount stays what it is, and is refused.
        ("1,000.000", "1,000.000"),
        ("1,23,456", "1,23,456"),
        ("1.2345", "1.2345"),
        ("-5", "-5"),
        ("abc", "abc"),
        ("", ""),
        ("٣٠٠", "٣٠٠"),
    ],
)
def test_an_amount_is_read_as_it_was_meant_in_any_language(typed: str, read: str) -> None:
    assert amount_text(typed) == read


def test_a_line_holds_nothing_that_cannot_be_kept_or_seen() -> None:
    assert line(" June\trent\0\r\n  2026\u202e ", 100) == "June rent 2026"
    assert line("e\u0301te\u0301", 100) == "été"
    assert line("x" * 50, 10) == "x" * 10


@pytest.mark.parametrize(
    ("digits", "shown"),
    [
        ("237653456789", "+237 653 456 789"),
        ("22951345789", "+229 51 34 57 89"),
        ("2250503456789", "+225 05 03 45 67 89"),
        ("2330241234", "+233 024 12 34"),
        ("12", "+12"),
    ],
)
def test_a_number_is_shown_in_groups_to_be_compared(digits: str, shown: str) -> None:
    assert phone_words(digits) == shown.replace(" ", "\u00a0")
    assert re.sub(r"\D", "", shown) == digits
    assert {len(country.calling_code) for country in catalogue().countries.values()} == {3}


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_refusal_that_a_form_can_mend_has_words_of_its_own(language: str) -> None:
    spoken = speech(language)
    limits = None
    told = {code: wrongs.words(spoken, code, wrongs.About(limits=limits)) for code in wrongs.FIELDS}
    assert all(told.values())
    assert not [words for words in told.values() if "%" in words or "None" in words]
    short = {Code.TRANSFER_EXCEEDS_BALANCE, Code.WITHDRAWAL_EXCEEDS_BALANCE}
    assert len(set(told.values())) == len(told) - len(short) + 1


def test_what_the_api_refuses_is_said_at_a_field_or_is_none_that_a_form_mends() -> None:
    moving = {"POST /api/wallets/transfer", "POST /api/v1/payments/withdraw"}
    routes = [route for route in route_table() if name_of(route) in moving]
    assert len(routes) == len(moving)
    refused = {code for route in routes for code in route.refuses}
    assert refused - set(wrongs.FIELDS) == {
        # Whose application it is stands in the address; the hosted page's is not asked for.
        Code.APPLICATION_NOT_YOURS,
        Code.INVALID_ADDRESS,
        # For the moment alone: the same confirmation is given again.
        Code.BUSY,
    }


def test_the_points_of_a_period_are_whole_days_or_quarters_of_them() -> None:
    for days, period in PERIODS.items():
        points = moments(period, NOW)
        assert points == sorted(points)
        assert points[-1] <= NOW < points[-1] + min(period.step, timedelta(days=1))
        assert NOW - points[0] > timedelta(days=days) - period.step
        assert len(points) <= 30
        assert {point.hour % 6 for point in points} == {0}
        assert period_of(str(days)) is period
    assert period_of("31") is period_of("") is PERIODS[30]


def test_a_curve_ends_with_what_is_held_and_keeps_to_its_frame() -> None:
    at = moments(PERIODS[30], NOW)
    drawn = curve(at, [0] * 10 + [5_000] * 10 + [20_000] * 10, NOW, Money(10_000, "XAF"))
    assert (drawn.points[0].x, drawn.points[-1].x) == (0, WIDTH)
    assert drawn.points[-1].balance == Money(10_000, "XAF")
    assert drawn.highest.balance == Money(20_000, "XAF")
    assert drawn.lowest.balance == Money(0, "XAF")
    # More money is higher up, and twice as much stands twice as high over zero.
    heights = {point.balance.minor: drawn.lowest.y - point.y for point in drawn.points}
    assert heights == {0: 0, 5_000: 16, 10_000: 33, 20_000: 66}
    assert all(0 <= point.x <= WIDTH and 0 < point.y < HEIGHT for point in drawn.points)
    assert drawn.line.startswith(f"M0 {drawn.points[0].y}L")


def test_a_wallet_that_was_always_empty_has_a_curve_along_zero() -> None:
    at = moments(PERIODS[7], NOW)
    drawn = curve(at, [0] * len(at), NOW, Money(0, "XOF"))
    assert {point.y for point in drawn.points} == {HEIGHT - 3}


def crossing(source: str, destination: str, count: int, left: int, arrived: int) -> Crossing:
    currencies = {"CMR": "XAF", "GAB": "XAF", "SEN": "XOF", "KEN": "KES"}
    return Crossing(
        source,
        destination,
        count,
        Money(left, currencies[source]),
        Money(arrived, currencies[destination]),
    )


def in_xaf(money: Money) -> Money | None:
    rates = {"XAF": "1", "XOF": "0.5"}
    rate = rates.get(money.currency)
    return None if rate is None else convert(money, Decimal(rate), "XAF")


def flows() -> list[Flow]:
    transfers = [crossing("CMR", "SEN", 2, 4_000, 4_060), crossing("SEN", "GAB", 1, 2_000, 1_900)]
    payouts = [crossing("CMR", "SEN", 3, 2_000, 1_900), crossing("KEN", "CMR", 1, 500, 480)]
    return together(transfers, payouts, in_xaf)


def test_transfers_and_payouts_of_one_way_are_one_flow_and_the_largest_comes_first() -> None:
    largest, second, last = flows()
    assert largest == Flow(
        "CMR", "SEN", 2, 3, Money(6_000, "XAF"), Money(5_960, "XOF"), Money(6_000, "XAF")
    )
    assert (second.source, second.worth) == ("SEN", Money(1_000, "XAF"))
    # Without a rate it has no worth: it stands in the table and not in the picture.
    assert (last.source, last.worth, last.payouts) == ("KEN", None, 1)


def test_a_picture_has_each_country_once_on_a_side_and_bands_as_thick_as_their_worth() -> None:
    drawn = picture(flows())
    assert isinstance(drawn, Picture)
    assert [node.country for node in drawn.sources] == ["CMR", "SEN"]
    assert [node.country for node in drawn.destinations] == ["SEN", "GAB"]
    assert [band.flow.source for band in drawn.bands] == ["CMR", "SEN"]
    heights = [node.height for node in drawn.sources]
    assert heights == [node.height for node in drawn.destinations]
    assert heights[0] == pytest.approx(6 * heights[1], abs=6)
    for side in (drawn.sources, drawn.destinations):
        assert all(0 <= node.y <= node.y + node.height <= drawn.height for node in side)
        middles = [node.middle for node in side]
        # Names of two lines each find room between one country and the next.
        assert all(after - before >= 40 for before, after in pairwise(middles))


def test_without_anything_that_has_a_worth_there_is_no_picture() -> None:
    assert picture([]) is None
    assert picture(together([], [crossing("KEN", "CMR", 1, 500, 480)], in_xaf)) is None
