"""Which passwords are good enough, how they are hashed, and what an authenticator app shows."""

from __future__ import annotations

import asyncio
import threading
import xml.etree.ElementTree as ET
from base64 import b32encode
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.core.refusals import Code, Refusal
from kpay.people.passwords import MOST_AT_ONCE, Cost, Passwords
from kpay.people.second_factor import (
    app_address,
    clean_recovery_code,
    drawing,
    recovery_code,
    step_of,
)
from kpay.people.strength import check_strength
from kpay.web.redaction import redacted
from tests.people import CHEAP, refused

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
# The key of RFC 6238's own examples (appendix B), which has codes of eight digits.
KEY = b32encode(b"12345678901234567890").decode()


@pytest.mark.parametrize(
    "password",
    [
        "correct horse battery",
        "twelve chars",
        "une longue phrase à moi",
        "ключ от квартиры",
        "x7#Qp2!mZ9@w",
        "liverpool never walks alone",
        "secret of the old lighthouse keeper",
        "kpay829104756",
        "a" * 100 + "b" * 100,
    ],
)
def test_a_long_password_is_good_enough_whatever_it_is_made_of(password: str) -> None:
    check_strength(password, email="amina.obi@example.com", name="Amina Obi")


@pytest.mark.parametrize(
    "password",
    [
        "",
        "elevenchars",
        "aaaaaaaaaaaaaaaa",
        "abababababab",
        "abc1abc1abc1",
        "123456789012",
        "210987654321",
        "abcdefghijkl",
        "qwertyuiopas",
        "azertyuiopqs",
        "1qaz2wsx3edc",
        "Password1234",
        "P@ssw0rd!2024",
        "motdepasse123",
        "administrator",
        "welcome!!2026",
        "passwordpassword",
        "Amina Obi 2026",
        "my-amina.obi-key",
        "AMINA likes cats",
        "x" * 201,
        "a null \x00 in the middle",
        "half a pair \ud800 of them",
    ],
)
def test_a_password_that_is_short_known_or_the_person_s_own_is_refused(password: str) -> None:
    with refused(Code.WEAK_PASSWORD):
        check_strength(password, email="amina.obi@example.com", name="Amina Obi")


def test_a_short_name_forbids_nothing() -> None:
    check_strength("light of the bay", email="li@example.com", name="Li Bo")


@given(st.text(max_size=250), st.text(max_size=30))
def test_any_password_is_judged(password: str, name: str) -> None:
    try:
        check_strength(password, email="amina@example.com", name=name)
    except Refusal as refusal:
        assert refusal.code is Code.WEAK_PASSWORD  # noqa: PT017 — either way out is right


async def test_a_hash_is_argon2id_salted_and_of_no_other_password() -> None:
    passwords = Passwords(CHEAP)
    first, second = [await passwords.hash("correct horse é") for _ in range(2)]

    assert first.startswith("$argon2id$v=19$m=8,t=1,p=1$")
    assert first != second
    # However the keyboard composes an accent.
    assert await passwords.verify(first, "correct horse e\u0301")
    assert not await passwords.verify(first, "correct horse e")
    assert not await passwords.verify(None, "correct horse é")
    assert not await passwords.verify("no hash of anything", "correct horse é")
    assert not passwords.is_dated(first)
    passwords.close()


def test_what_a_hash_costs_unless_a_test_says_otherwise() -> None:
    """RFC 9106 (4), the second choice; OWASP's least is 19 MiB and two passes."""
    assert Cost() == Cost(passes=3, memory_kib=64 * 1_024, lanes=4)


async def test_only_so_many_are_hashed_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    passwords, running, most = Passwords(CHEAP), 0, 0
    lock, both = threading.Lock(), threading.Event()

    def slow(self: Passwords, known: str, password: str) -> bool:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
            if running == MOST_AT_ONCE:
                both.set()
        both.wait(5)
        with lock:
            running -= 1
        return False

    monkeypatch.setattr(Passwords, "_verify", slow)
    await asyncio.gather(*(passwords.verify(None, "x") for _ in range(8)))
    passwords.close()

    assert most == MOST_AT_ONCE


def test_codes_are_those_of_the_standard_s_own_examples() -> None:
    # The last six of the eight digits that RFC 6238 lists for SHA-1.
    for seconds, code in (
        (59, "287082"),
        (1_111_111_109, "081804"),
        (1_234_567_890, "005924"),
        (2_000_000_000, "279037"),
    ):
        assert step_of(KEY, code, datetime.fromtimestamp(seconds, UTC)) == seconds // 30


def test_a_code_is_right_one_step_around_its_own() -> None:
    moment, step = datetime.fromtimestamp(1_111_111_109, UTC), 37_037_036

    steps = [
        step_of(KEY, "081 804", moment + timedelta(seconds=30 * shift)) for shift in range(-1, 4)
    ]

    assert steps == [step, step, step, None, None]


@pytest.mark.parametrize("code", ["", "28708", "2870820", "28708a", "٢٨٧٠٨٢", "\ud800", "-87082"])
def test_what_is_no_code_is_none_of_any_step(code: str) -> None:
    assert step_of(KEY, code, datetime.fromtimestamp(59, UTC)) is None


def test_an_app_reads_where_the_code_belongs() -> None:
    address = app_address(KEY, "amina+kpay@example.com")

    assert address.startswith("otpauth://totp/KPay:amina%2Bkpay%40example.com?")
    assert f"secret={KEY}" in address
    assert "issuer=KPay" in address
    drawn = ET.fromstring(drawing(address))  # noqa: S314 — our own
    assert drawn.tag.endswith("svg")
    assert "href" not in drawing(address)


@given(st.binary(min_size=10, max_size=10))
def test_a_recovery_code_is_read_however_it_was_copied(random: bytes) -> None:
    code = recovery_code(random)

    assert len(code) == 11
    for typed in (code, code.upper(), code.replace("-", ""), f" {code[:5]} - {code[6:]}\n"):
        assert clean_recovery_code(typed) == code
    assert clean_recovery_code(code.replace("0", "O").replace("1", "l")) == code


@given(st.text())
def test_what_is_no_recovery_code_is_none(text: str) -> None:
    cleaned = clean_recovery_code(text)

    assert cleaned is None or clean_recovery_code(cleaned) == cleaned


@pytest.mark.parametrize("prefix", ["kpses_", "kpinv_", "kppwd_", "kpdev_abc_"])
def test_no_token_of_a_person_s_stays_in_a_log_line(prefix: str) -> None:
    assert redacted(f"/password/{prefix}abcdefghij?a") == "/password/[redacted]?a"
