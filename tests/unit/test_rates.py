"""Rates as values: crosses, pairs, margins, jumps, and what sources may and may not answer."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import kpay
from kpay.core.book import Environment
from kpay.core.money import Money, convert
from kpay.core.refusals import Code, Refusal
from kpay.rates.answers import (
    parse_file,
    parse_frankfurter,
    parse_open_er_api,
    parse_openexchangerates,
)
from kpay.rates.model import (
    CLOCK_SKEW,
    CURRENCIES,
    Incomplete,
    Snapshot,
    Standing,
    Unusable,
    check_complete,
    check_currency,
    check_jump,
    is_complete,
    less_margin,
    margin_of,
    mid,
    positive,
)
from kpay.rates.sources import (
    ADDRESSES,
    BUNDLED,
    FILE,
    FileSource,
    RatesConfigurationError,
    check_sources,
    configured,
    open_sources,
)
from kpay.settings import Settings

NOW = datetime(2026, 6, 23, 12, 0, tzinfo=UTC)
HOME = Path("/nowhere")
EUR_RATES = {
    "XAF": "655.957",
    "XOF": "655.957",
    "KES": "150.42",
    "CDF": "2614.8",
    "UGX": "4187.35",
    "RWF": "1698.6",
    "GHS": "12.846",
    "ZMW": "22.385",
    "SLE": "27.914",
}
PARSERS = (parse_open_er_api, parse_openexchangerates, parse_frankfurter, parse_file)


def snapshot(rates: dict[str, str] | None = None, **pairs: str) -> Snapshot:
    """A whole snapshot on the euro, with these rates in it and these pairs: `XAF_XOF="1.5"`."""
    given_rates = {name: Decimal(rate) for name, rate in {**EUR_RATES, **(rates or {})}.items()}
    given_pairs = {pair.replace("_", "/"): Decimal(rate) for pair, rate in pairs.items()}
    return Snapshot("open-er-api", NOW, NOW, given_rates, given_pairs)


def open_er_api_body(rates: str = '"XAF":655.957', *, result: str = "success") -> bytes:
    return (
        f'{{"result":"{result}","provider":"https://www.exchangerate-api.com",'
        '"time_last_update_unix":1782172801,'
        '"time_last_update_utc":"Tue, 23 Jun 2026 00:00:01 +0000",'
        '"time_next_update_unix":1782259201,"time_eol_unix":0,"base_code":"EUR",'
        f'"rates":{{"EUR":1,"AED":4.26,{rates}}}}}'
    ).encode()


def file_body(**parts: object) -> bytes:
    body = {"base": "EUR", "asOf": "2026-06-23T10:00:00Z", "rates": EUR_RATES, **parts}
    return json.dumps(body).encode()


# --- The rate of a pair ---------------------------------------------------------------------------


def test_two_currencies_on_the_same_peg_are_worth_exactly_one_another() -> None:
    assert mid(snapshot(), "XAF", "XOF") == Decimal(1)


def test_a_cross_is_rounded_once_to_eighteen_digits() -> None:
    assert mid(snapshot(), "XAF", "KES") == Decimal("0.229313811728512692")


def test_a_pair_overrides_the_cross_with_every_digit_as_written() -> None:
    digits = "1.014984210526315789473684210526315789"
    assert str(mid(snapshot(XAF_XOF=digits), "XAF", "XOF")) == digits


def test_the_reverse_of_a_pair_is_one_over_it() -> None:
    assert mid(snapshot(XAF_XOF="1.0153"), "XOF", "XAF") == Decimal("0.984930562395351128")


def test_a_reverse_pair_that_is_given_is_used_as_written() -> None:
    both = snapshot(XAF_XOF="1.0153", XOF_XAF="0.98")
    assert mid(both, "XAF", "XOF") == Decimal("1.0153")
    assert mid(both, "XOF", "XAF") == Decimal("0.98")


def test_a_pair_leaves_every_other_rate_alone() -> None:
    assert mid(snapshot(XAF_XOF="1.0153"), "XOF", "KES") == mid(snapshot(), "XOF", "KES")


def test_a_currency_that_the_source_left_out_has_no_rate() -> None:
    partial = Snapshot("file", NOW, NOW, {"XAF": Decimal("655.957")}, {})
    assert mid(partial, "XAF", "KES") is None
    with pytest.raises(Incomplete, match="XOF, KES, CDF, UGX, RWF, GHS, ZMW, SLE"):
        check_complete(partial)


def test_a_currency_without_any_rate_is_refused_with_the_list_of_those_that_have_one() -> None:
    with pytest.raises(Refusal, match="XAF, XOF, KES, CDF, UGX, RWF, GHS, ZMW, SLE") as refusal:
        check_currency("EUR")
    assert refusal.value.code is Code.UNSUPPORTED_CURRENCY


def test_a_currency_that_is_refused_is_told_back_in_part_only() -> None:
    with pytest.raises(Refusal) as caught:
        check_currency("ABCDEFGHIJKLMNOPQRSTUVWXYZ")
    assert caught.value.message.startswith("The currency 'ABCDEFGHIJKLMNOPQRST' is not supported")


def test_a_snapshot_is_complete_with_every_currency_and_not_with_one_less() -> None:
    whole = snapshot()
    assert is_complete(whole)
    for currency in CURRENCIES:
        rates = {name: rate for name, rate in whole.rates.items() if name != currency}
        assert not is_complete(Snapshot("open-er-api", NOW, NOW, rates, {}))


def test_a_snapshot_is_younger_than_its_limit_until_it_is_that_old() -> None:
    limit = timedelta(hours=1)
    assert snapshot().younger_than(limit, NOW + limit - timedelta(microseconds=1))
    assert not snapshot().younger_than(limit, NOW + limit)


@pytest.mark.parametrize("text", ["9999999999999", "1e12", "1e-12", "0." + "1" * 38 + "12"])
def test_the_largest_smallest_and_longest_rates_that_can_be_used(text: str) -> None:
    assert positive(Decimal(text), "XAF") == Decimal(text)


@pytest.mark.parametrize("text", ["10000000000000", "1e13", "1e-13", "0." + "1" * 38 + "123"])
def test_a_rate_beyond_them_is_absurd(text: str) -> None:
    with pytest.raises(Unusable, match="XAF is absurdly large, small or long"):
        positive(Decimal(text), "XAF")


def test_every_currency_of_the_catalogue_has_a_rate() -> None:
    path = Path(kpay.__file__).parent / "catalogue" / "data" / "currencies.csv"
    with path.open(encoding="utf-8", newline="") as file:
        assert {row["currency"] for row in csv.DictReader(file)} == set(CURRENCIES)


# --- The margin -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("margins", "expected"),
    [
        (None, 0),
        ({}, 0),
        ({"XAF/KES": 50}, 50),
        ({"KES/XAF": 50}, 0),
        ({"*": 25}, 25),
        ({"*": 25, "XAF/KES": 50}, 50),
        ({"*": 25, "XAF/KES": 0}, 0),
    ],
)
def test_the_margin_of_a_pair_comes_before_that_of_every_pair(
    margins: dict[str, int] | None, expected: int
) -> None:
    assert margin_of(margins, "XAF", "KES") == expected


def test_a_margin_is_taken_off_the_rate_without_rounding() -> None:
    assert less_margin(Decimal("1.0153"), 50) == Decimal("1.0102235")
    assert str(less_margin(Decimal("1.0153"), 0)) == "1.0153"


@given(
    rate=st.decimals(min_value=Decimal("1e-6"), max_value=Decimal("1e6"), places=18),
    points=st.integers(min_value=0, max_value=9_999),
)
def test_a_margin_never_raises_a_rate_and_never_makes_it_zero(rate: Decimal, points: int) -> None:
    assert 0 < less_margin(rate, points) <= rate


# --- The page's amounts ---------------------------------------------------------------------------


def test_the_page_pays_48211_75_for_47500_at_the_rate_that_it_shows_as_1_0150() -> None:
    pinned = parse_file(file_body(pairs={"XAF/XOF": "1.01498421052631578947"}), NOW)
    rate = mid(pinned, "XAF", "XOF")
    assert rate is not None
    assert convert(Money(47_500_00, "XAF"), rate, "XOF") == Money(48_211_75, "XOF")


def test_the_bundled_file_is_whole_and_turns_100000_xaf_into_101530_xof() -> None:
    (source,) = open_sources(configured(Settings(HOME), Environment.TEST), None, ADDRESSES, 5)
    assert isinstance(source, FileSource)
    bundled = parse_file(source.content or b"", NOW)
    check_complete(bundled)
    rate = mid(bundled, "XAF", "XOF")
    assert rate == Decimal("1.0153")
    assert convert(Money(100_000_00, "XAF"), rate, "XOF") == Money(101_530_00, "XOF")


# --- Jumps ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("kes", ["180.5", "125.36"])
def test_a_move_within_the_limit_is_no_jump(kes: str) -> None:
    check_jump(snapshot({"KES": kes}), snapshot(), 2_000)


def test_a_move_by_exactly_the_limit_is_no_jump() -> None:
    check_jump(snapshot(XAF_KES="1.2"), snapshot(XAF_KES="1"), 2_000)
    with pytest.raises(Unusable, match=r"XAF/KES jumped from 1 to 1\.2"):
        check_jump(snapshot(XAF_KES="1.2"), snapshot(XAF_KES="1"), 1_999)


@pytest.mark.parametrize("kes", ["180.6", "125.3"])
def test_a_move_beyond_the_limit_is_a_jump_in_either_direction(kes: str) -> None:
    with pytest.raises(Unusable, match=r"jumped from .* to"):
        check_jump(snapshot({"KES": kes}), snapshot(), 2_000)


def test_a_source_on_another_base_is_compared_by_what_is_converted_at() -> None:
    dollars = {name: str(Decimal(rate) / Decimal("1.16")) for name, rate in EUR_RATES.items()}
    check_jump(snapshot(dollars), snapshot(), 1)


def test_a_currency_that_was_not_known_before_cannot_jump() -> None:
    before = Snapshot("file", NOW, NOW, {"XAF": Decimal("655.957")}, {})
    check_jump(snapshot(), before, 0)


# --- What sources answer --------------------------------------------------------------------------


def test_open_er_api_is_read_with_every_digit() -> None:
    read = parse_open_er_api(open_er_api_body('"XAF":655.95700000000000001,"KES":150'), NOW)
    assert read.rates == {"XAF": Decimal("655.95700000000000001"), "KES": Decimal(150)}
    assert read.as_of == datetime(2026, 6, 23, 0, 0, 1, tzinfo=UTC)
    assert (read.source, read.fetched_at, read.pairs) == ("open-er-api", NOW, {})


def test_open_er_api_tells_its_own_error() -> None:
    body = b'{"result":"error","error-type":"unsupported-code"}'
    with pytest.raises(Unusable, match="unsupported-code"):
        parse_open_er_api(body, NOW)


def test_openexchangerates_is_read_on_the_dollar() -> None:
    body = (
        b'{"disclaimer":"...","license":"...","timestamp":1782208800,"base":"USD",'
        b'"rates":{"AED":3.67,"XAF":565.4801,"XOF":565.4801}}'
    )
    read = parse_openexchangerates(body, NOW)
    assert read.rates == {"XAF": Decimal("565.4801"), "XOF": Decimal("565.4801")}
    assert read.as_of == datetime(2026, 6, 23, 10, 0, tzinfo=UTC)


def test_frankfurter_is_as_old_as_its_oldest_row() -> None:
    body = (
        b'[{"date":"2026-06-23","base":"EUR","quote":"KES","rate":150.42},'
        b'{"date":"2026-06-19","base":"EUR","quote":"CDF","rate":2614.8}]'
    )
    read = parse_frankfurter(body, NOW)
    assert read.rates == {"KES": Decimal("150.42"), "CDF": Decimal("2614.8")}
    assert read.as_of == datetime(2026, 6, 19, tzinfo=UTC)


def test_the_base_is_worth_one_of_itself() -> None:
    body = b'{"base":"XAF","rates":{"XAF":2,"XOF":1.5}}'
    assert mid(parse_file(body, NOW), "XAF", "XOF") == Decimal("1.5")


def test_a_file_may_leave_out_its_time_its_pairs_and_rates_that_pairs_make_up_for() -> None:
    assert parse_file(b'{"base":"EUR","rates":{"XAF":655.957}}', NOW).as_of == NOW
    assert parse_file(b'{"pairs":{"XAF/XOF":1.5}}', NOW).pairs == {"XAF/XOF": Decimal("1.5")}


def test_a_file_may_name_currencies_that_are_not_ours() -> None:
    body = file_body(rates={**EUR_RATES, "USD": 1.16}, pairs={"XAF/USD": "0.0018"})
    assert parse_file(body, NOW).pairs == {}


@pytest.mark.parametrize(
    ("rates", "reason"),
    [
        ('"XAF":0', "XAF is not above zero"),
        ('"XAF":-655.957', "XAF is not above zero"),
        ('"XAF":NaN', "XAF is NaN"),
        ('"XAF":Infinity', "XAF is Infinity"),
        ('"XAF":null', "XAF is not a number"),
        ('"XAF":true', "XAF is not a number"),
        ('"XAF":"plenty"', "XAF is not a number"),
        ('"XAF":1e300', "XAF is absurdly large, small or long"),
        ('"XAF":1e-300', "XAF is absurdly large, small or long"),
        ('"XAF":' + "1" * 41, "XAF is absurdly large, small or long"),
        ('"XAF":1e99999999999999999999', "it is not JSON"),
        ('"XAF":', "it is not JSON"),
    ],
)
def test_a_rate_that_cannot_be_one_spoils_the_whole_answer(rates: str, reason: str) -> None:
    with pytest.raises(Unusable, match=f"^{reason}$"):
        parse_open_er_api(open_er_api_body(rates), NOW)


@pytest.mark.parametrize(
    ("parse", "body", "reason"),
    [
        (parse_open_er_api, b"<html>Bad Gateway</html>", "not JSON"),
        (parse_open_er_api, b"[" * 100_000, "not JSON"),
        (parse_open_er_api, b"\xff\xfe\xfa", "not JSON"),
        (parse_open_er_api, b"[]", "not a JSON object"),
        (parse_open_er_api, b'{"result":"success"}', "when its rates are from"),
        (parse_openexchangerates, b'{"timestamp":1e15,"base":"USD","rates":{}}', "when its rates"),
        (parse_openexchangerates, b'{"timestamp":1,"rates":{}}', "base is not a currency"),
        (parse_openexchangerates, b'{"timestamp":1,"base":"USD"}', "rates is not a JSON object"),
        (parse_frankfurter, b"{}", "not a list"),
        (parse_frankfurter, b"[]", "not a list"),
        (parse_frankfurter, b"[1]", "not a JSON object"),
        (parse_frankfurter, b'[{"base":"USD"}]', "not on the base EUR"),
        (parse_frankfurter, b'[{"base":"EUR","quote":"XAF","rate":1}]', "when its rates are from"),
        (parse_file, b'{"base":"EUR"}', "no rate of any currency"),
        (parse_file, b'{"pairs":{"XAFXOF":1}}', "not a pair"),
        (parse_file, b'{"pairs":{"XAF/XOF":0}}', "XAF/XOF is not above zero"),
        (parse_file, b'{"asOf":"yesterday","base":"EUR","rates":{}}', "when its rates are from"),
    ],
)
def test_an_answer_of_another_shape_is_unusable_with_the_reason(
    parse: Callable[[bytes, datetime], Snapshot], body: bytes, reason: str
) -> None:
    with pytest.raises(Unusable, match=reason):
        parse(body, NOW)


_WORDS = st.sampled_from(
    [
        "base",
        "base_code",
        "rates",
        "pairs",
        "result",
        "success",
        "asOf",
        "timestamp",
        "time_last_update_unix",
        "date",
        "quote",
        "rate",
        "EUR",
        "XAF",
        "XAF/XOF",
        "2026-06-23",
        "1.5",
    ]
)
_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5) | _WORDS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(_WORDS | st.text(max_size=3), inner)
    ),
    max_leaves=12,
)


@given(body=st.binary(max_size=200) | _JSON.map(lambda value: json.dumps(value).encode()))
def test_whatever_a_source_answers_it_is_a_snapshot_or_a_reason(body: bytes) -> None:
    for parse in PARSERS:
        try:
            read = parse(body, NOW)
        except Unusable:
            continue
        assert all(0 < rate < 10**13 for rate in (*read.rates.values(), *read.pairs.values()))
        assert read.as_of.tzinfo is UTC or read.as_of == NOW


# --- The configuration ----------------------------------------------------------------------------


def test_the_sandbox_needs_no_network_and_production_asks_two_services() -> None:
    settings = Settings(HOME)
    assert configured(settings, Environment.TEST) == (BUNDLED,)
    assert configured(settings, Environment.PRODUCTION) == ("open-er-api", "frankfurter")


def test_sources_that_are_named_serve_both_environments() -> None:
    settings = Settings(HOME, fx_sources=("frankfurter",))
    assert {configured(settings, environment) for environment in Environment} == {("frankfurter",)}


@pytest.mark.parametrize(
    ("settings", "reason"),
    [
        (Settings(HOME, fx_sources=("ecb",)), "'ecb' is not a source; use open-er-api, frankf"),
        (Settings(HOME, fx_sources=()), "names no source"),
        (Settings(HOME, fx_sources=("file:",)), "must be followed by a path"),
        (Settings(HOME, fx_sources=("openexchangerates",)), "needs KPAY_FX_APP_ID"),
        (Settings(HOME, fx_margins={"XAF/KSH": 50}), "XAF/KSH is not a pair of XAF, XOF"),
    ],
)
def test_a_configuration_that_can_never_work_is_told_in_a_sentence(
    settings: Settings, reason: str
) -> None:
    with pytest.raises(RatesConfigurationError, match=reason):
        check_sources(settings)


def test_every_configuration_that_can_work_passes() -> None:
    check_sources(Settings(HOME))
    names = ("open-er-api", "frankfurter", "openexchangerates", "file:/etc/rates.json")
    margins = {"*": 25, "XAF/KES": 50}
    check_sources(Settings(HOME, fx_sources=names, fx_app_id="an-id", fx_margins=margins))


def test_the_key_of_the_cache_never_holds_the_app_id() -> None:
    (source,) = open_sources(["openexchangerates"], "an-id", ADDRESSES, 5)
    assert source.key == "openexchangerates"


def test_the_key_of_a_file_changes_with_its_bytes(tmp_path: Path) -> None:
    path = tmp_path / "rates.json"
    keys = []
    for content in (None, b"one", b"two"):
        if content is not None:
            path.write_bytes(content)
        keys.append(FileSource.read(str(path)).key)
    assert len(set(keys)) == 3
    assert all(key.startswith(f"{FILE}{path}#") for key in keys)


def test_what_a_clock_that_is_far_ahead_wrote_holds_nobody_up() -> None:
    soon, far = NOW + timedelta(seconds=20), NOW + CLOCK_SKEW + timedelta(seconds=1)
    assert Standing(None, held_until=soon, retry_at=None).claimed(NOW)
    assert Standing(None, held_until=None, retry_at=soon).paused(NOW)
    assert not Standing(None, held_until=far, retry_at=far).claimed(NOW)
    assert not Standing(None, held_until=far, retry_at=far).paused(NOW)
    assert not Standing(None, held_until=NOW, retry_at=NOW).claimed(NOW)
    assert Standing(None, held_until=NOW + CLOCK_SKEW, retry_at=None).claimed(NOW)
