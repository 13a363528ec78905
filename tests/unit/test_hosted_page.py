"""How the hosted page speaks, and which addresses it may lead back to."""

from __future__ import annotations

import re
import string
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.catalogue.data import catalogue
from kpay.connectors.phones import as_typed
from kpay.core.book import Environment
from kpay.core.money import Money
from kpay.core.refusals import Refusal
from kpay.gateways.model import check_addresses, way_back
from kpay.hosted.language import language, wanted_language
from kpay.hosted.names import brand, wallet_name
from kpay.hosted.view import Quoted as QuotedPrice
from kpay.hosted.view import State, _rate, operator_name
from kpay.web.languages import LANGUAGES

NOW = datetime(2026, 6, 23, 10, 4, tzinfo=UTC)


def keys(code: str) -> dict[str, set[str]]:
    """Every key of a language, each with the parts that its sentence has to be given."""
    return {
        f"{section}.{name}": {part for _, part, _, _ in string.Formatter().parse(text) if part}
        for section, texts in language(code).texts.items()
        for name, text in texts.items()
    }


def test_both_languages_say_the_same_things_with_the_same_parts() -> None:
    assert keys("en") == keys("fr")


def test_no_sentence_is_the_same_in_both_languages_but_for_the_words_that_are() -> None:
    english, french = language("en").texts, language("fr").texts
    same = {
        f"{section}.{name}"
        for section, texts in english.items()
        for name, text in texts.items()
        if french[section][name] == text
    }

    assert same == set()


def test_every_way_that_the_sandbox_fails_is_told_in_words() -> None:
    codes = {number.failure_code for number in catalogue().test_numbers.values()}
    plain = {"UNSPECIFIED_FAILURE", None}

    for code in codes - plain:
        assert language("fr").knows(f"failure.{code}"), code


def test_every_state_has_a_title_in_the_template() -> None:
    known = {f"{kind}.{state}_title" for kind in ("payment", "payout") for state in State}
    known -= {f"{kind}.choosing_title" for kind in ("payment", "payout")}
    known -= {"payment.confirming_title", "payout.confirming_title"}

    assert known <= set(keys("en"))
    assert "payout.confirm_title" in keys("en")


@pytest.mark.parametrize(
    ("amount", "english", "french"),
    [
        (Money(500_000, "XAF"), "5,000\u00a0FCFA", "5\u202f000\u00a0FCFA"),
        (Money(4_821_175, "XOF"), "48,211.75\u00a0FCFA", "48\u202f211,75\u00a0FCFA"),
        (Money(150_000, "KES"), "KES\u00a01,500", "1\u202f500\u00a0KES"),
        (Money(150_050, "GHS"), "GHS\u00a01,500.50", "1\u202f500,50\u00a0GHS"),
        (Money(5_000, "XAF"), "50\u00a0FCFA", "50\u00a0FCFA"),
    ],
)
def test_an_amount_is_written_as_each_language_does(
    amount: Money, english: str, french: str
) -> None:
    assert language("en").money(amount) == english
    assert language("fr").money(amount) == french


def test_between_the_two_francs_an_amount_goes_by_its_code() -> None:
    assert language("en").money(Money(100_000, "XAF"), by_code=True) == "XAF\u00a01,000"
    assert language("fr").money(Money(100_000, "XOF"), by_code=True) == "1\u202f000\u00a0XOF"


def test_a_moment_is_written_as_each_language_does() -> None:
    assert language("en").moment(NOW) == "23 June 2026, 10:04 UTC"
    assert language("fr").moment(NOW) == "23 juin 2026 à 10:04 UTC"
    first = datetime(2026, 8, 1, 1, 30, tzinfo=timezone(timedelta(hours=1)))
    assert language("fr").moment(first) == "1er août 2026 à 00:30 UTC"
    assert language("en").moment(first) == "1 August 2026, 00:30 UTC"


def test_a_rate_is_shown_to_four_decimals() -> None:
    quoted = QuotedPrice(Money(1, "XOF"), "XAF", Decimal("1.0149842105263157895"), changed=False)

    assert _rate(quoted, language("en")) == "1\u00a0XAF = 1.015\u00a0XOF"
    assert _rate(quoted, language("fr")) == "1\u00a0XAF = 1,015\u00a0XOF"
    assert _rate(None, language("fr")) is None


@given(st.text(), st.text())
def test_whatever_a_browser_says_it_is_answered_in_one_of_the_languages(
    chosen: str, accept: str
) -> None:
    assert wanted_language(chosen, accept).code in LANGUAGES


def test_every_operator_has_a_name_and_a_colour_that_the_style_knows() -> None:
    from kpay.hosted.drawing import _STYLE

    classes = set(re.findall(r"\.([a-z]+)\{background|\.([a-z]+),", _STYLE))
    known = {name for pair in classes for name in pair if name}
    for provider in catalogue().providers.values():
        assert wallet_name(provider.operator)
        assert brand(provider.operator) in known, provider.operator
        assert operator_name(catalogue(), provider.code) == wallet_name(provider.operator)
    assert operator_name(catalogue(), "NOBODY") == operator_name(catalogue(), None) == ""


@pytest.mark.parametrize(
    ("calling_code", "typed", "meant"),
    [
        ("254", "0712 345 678", "254712345678"),
        ("225", "05 01 02 03 04", "2250501020304"),
        ("225", "+225 05 01 02 03 04", "2250501020304"),
        ("237", "00237671234567", "237671234567"),
        ("237", "671.234.567", "237671234567"),
    ],
)
def test_what_a_person_may_have_meant_is_among_the_readings(
    calling_code: str, typed: str, meant: str
) -> None:
    assert meant in as_typed(calling_code, typed)


# The way back.


def location(url: str, **changes: str) -> str:
    given = {"status": "COMPLETED", "reference": "KPAY-1", "external_id": "O-1", **changes}
    addresses = check_addresses(Environment.TEST, url, None)
    return way_back(addresses, "secret", now=NOW, **given)


@pytest.mark.parametrize(
    ("url", "before", "after"),
    [
        ("https://a.example", "https://a.example/?status=", ""),
        ("https://a.example/b", "https://a.example/b?status=", ""),
        ("https://a.example/b?", "https://a.example/b?status=", ""),
        ("https://a.example/b?c=d&e", "https://a.example/b?c=d&e&status=", ""),
        ("https://a.example:8443/b;v=1?q=%20#f?g", "https://a.example:8443/b;v=1?q=%20&s", "#f?g"),
        ("http://[::1]:3000/b", "http://[::1]:3000/b?status=", ""),
    ],
)
def test_what_the_merchant_s_address_has_stays_and_the_query_stands_where_it_belongs(
    url: str, before: str, after: str
) -> None:
    assert location(url).startswith(before)
    assert location(url).endswith(after)


@given(st.text(max_size=50))
def test_whatever_an_external_id_holds_the_address_is_one_line_of_ascii(external_id: str) -> None:
    try:
        made = location("https://a.example/b", external_id=external_id)
    except UnicodeEncodeError:
        # Half a surrogate pair never gets past the reading of a body.
        return
    assert re.fullmatch(r"[!-~]+", made)


@given(st.text(max_size=80))
def test_an_address_that_is_taken_leads_to_the_host_it_seems_to(text: str) -> None:
    try:
        check_addresses(Environment.PRODUCTION, f"https://a.example{text}", None)
    except Refusal:
        return
    host = re.match(r"https://([^/?#:]*)", location(f"https://a.example{text}"))
    assert host is not None
    assert host[1].startswith("a.example")
    assert "@" not in f"a.example{text}".partition("/")[0].partition("?")[0].partition("#")[0]
