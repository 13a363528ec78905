"""Secrets and telephone numbers are taken out of log lines; what an operator needs stays."""

from __future__ import annotations

import json
from enum import StrEnum

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from kpay.access.model import API_KEY_BYTES, SECRET_BYTES, new_pair
from kpay.core.book import Environment
from kpay.core.ids import parse_uuid
from kpay.web.redaction import redact, redacted
from tests.logs import logged

AROUND = ("({})", "to {}.", "tel:{}", "msisdn_{}", "to={},", '{{"a":"{}"}}', "a\n{}\n", "{}")
TOKEN = "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"


@pytest.mark.parametrize(
    "text",
    [
        "sk_test_abcdefghij",
        "sk_live_abcdefghij",
        "kpay_live_abcdefghij",
        "whsec_abcdefghij",
        "gwsec_abcdefghij",
        TOKEN,
        f"Bearer {TOKEN}",
        "Bearer whatever-it-is",
        "postgresql://kpay:password-of-it@db/kpay",
        "237653456789",
        "+237653456789",
        "221763456129",
        "22951345789",
    ],
)
def test_it_is_gone_wherever_it_stands(text: str) -> None:
    kept = text.removeprefix("Bearer ").removeprefix("postgresql://").removesuffix("@db/kpay")
    event = redact(
        None,
        "info",
        {
            "event": f"no such subscriber: {text}",
            "quoted": f"DETAIL:  Failing row contains ('{text}', 5000).\n{text}\n",
            "nested": {text: [text, {"deep": (text,)}]},
            "object": ValueError(text),
        },
    )

    assert kept not in repr(event)
    for around in AROUND:
        said = around.format(text)
        assert kept not in redacted(said), said
        assert kept not in redacted(repr(said)), said


@pytest.mark.parametrize(
    "text",
    [
        "req_4e66d85e1a00004b",
        "01a20d8b-cea5-77bf-b7fa-339d7904f0c6",
        "12345678-1234-7234-8234-123456789012",
        "pay_01m86srqxxevkv5dq26xv5rgck",
        "wdr_00000000000000000000000001",
        "KPAY-20260623-ABCDEF",
        "2026-06-23T10:00:00.123456Z",
        "2026-06-23T10:00:00.123456789Z",
        "50000 XAF, 48211.75 XOF",
        "10000000.01",
        "1000000000.01 XAF",
        "POST /api/v1/payments/{id} 404 not_found",
        "10.0.0.1:54321",
    ],
)
def test_what_an_operator_needs_stays(text: str) -> None:
    assert redacted(text) == text
    assert redacted(f"before {text} after, ({text})") == f"before {text} after, ({text})"


def test_values_that_hold_nothing_stay_what_they_are() -> None:
    class Word(StrEnum):
        PAID = "paid"

    event = {"status": 404, "none": None, "flag": True, "ratio": 0.5, "word": Word.PAID}

    assert redact(None, "info", dict(event)) == event
    assert redact(None, "info", {"phone": 237653456789}) == {"phone": "237***89"}


@given(st.binary(min_size=API_KEY_BYTES + SECRET_BYTES, max_size=API_KEY_BYTES + SECRET_BYTES))
def test_every_pair_that_we_give_out_is_recognised(random: bytes) -> None:
    identifier = parse_uuid("01a20d8b-cea5-77bf-b7fa-339d7904f0c6")
    assert identifier is not None
    for environment in Environment:
        pair = new_pair(identifier, environment, random)
        assert pair.secret_key not in redacted(f"with {pair.secret_key}, and {pair.api_key}.")
        assert pair.api_key not in redacted(f"with {pair.secret_key}, and {pair.api_key}.")


def test_an_exception_s_own_words_are_redacted_too() -> None:
    with logged() as lines:
        try:
            raise LookupError("no such subscriber: 237653456789, asked with Bearer abc.def")
        except LookupError as problem:
            structlog.get_logger().error("failed", exc_info=problem, phone="237653456789")

    (line,) = map(json.loads, lines)
    assert "LookupError: no such subscriber: 237***89" in line["exception"]
    assert "abc.def" not in str(line)
    assert line["phone"] == "237***89"
