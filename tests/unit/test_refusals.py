"""Refusals: a closed list, each with its answer, each in docs/errors.md, and nothing else there."""

from __future__ import annotations

import json
import re
from http import HTTPStatus
from pathlib import Path

import pytest

from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.web.errors import error_answer, refusal_of

DOCUMENT = Path(__file__).parents[2] / "docs" / "errors.md"
_ROW = re.compile(r"^\| `(\w+)` \| (\d+) \| (.+) \| (.+) \|$", re.MULTILINE)


def documented() -> dict[str, tuple[int, str, str]]:
    """The table of the document: code → HTTP status, meaning, what to do."""
    rows = _ROW.findall(DOCUMENT.read_text(encoding="utf-8"))
    assert len(rows) == len({code for code, *_ in rows})
    return {code: (int(status), meaning, advice) for code, status, meaning, advice in rows}


def test_every_code_has_an_answer() -> None:
    assert set(ANSWERS) == set(Code)


@pytest.mark.parametrize("code", Code)
def test_every_answer_is_an_error_in_http_s_own_words(code: Code) -> None:
    answer = ANSWERS[code]

    # HTTP renamed two of its phrases after KPay's clients had learnt the older ones.
    phrases = {413: "Payload Too Large", 422: "Unprocessable Entity"}
    assert answer.error == phrases.get(answer.status, HTTPStatus(answer.status).phrase)
    assert answer.status >= 400
    assert (answer.retry_after is not None) == (answer.status in (429, 503))
    assert (answer.challenge is not None) == (answer.status == 401)


def test_the_document_has_every_code_and_no_other() -> None:
    assert set(documented()) == set(Code)


@pytest.mark.parametrize("code", Code)
def test_the_document_gives_each_its_status_its_meaning_and_what_to_do(code: Code) -> None:
    status, meaning, advice = documented()[code]

    assert status == ANSWERS[code].status
    for sentence in (meaning, advice):
        assert re.fullmatch(r"[A-Z`].+[.]", sentence)


def test_an_error_says_all_that_the_contract_has() -> None:
    refusal = Refusal(Code.EXTERNAL_ID_USED, "It exists already.", existing_id="wdr_1")
    status, body, headers = error_answer(refusal, "req_1")

    assert (status, headers) == (409, [])
    assert json.loads(body) == {
        "statusCode": 409,
        "message": "It exists already.",
        "error": "Conflict",
        "code": "external_id_used",
        "requestId": "req_1",
        "existingId": "wdr_1",
    }


def test_an_error_has_the_headers_that_http_asks_of_it() -> None:
    refusals = (
        Refusal(Code.BUSY, "Later."),
        Refusal(Code.TOO_MANY_FAILURES, "Later.", retry_after=7),
        Refusal(Code.INVALID_TOKEN, "None."),
        Refusal(Code.METHOD_NOT_ALLOWED, "Not that.", allow=("GET", "POST")),
        Refusal(Code.BODY_TOO_SLOW, "Too slow."),
    )

    assert [error_answer(refusal, "req_1")[2] for refusal in refusals] == [
        [(b"retry-after", b"1")],
        [(b"retry-after", b"7")],
        [(b"www-authenticate", b"Bearer")],
        [(b"allow", b"GET, POST")],
        [(b"connection", b"close")],
    ]


def test_what_exists_already_is_named_only_where_something_does() -> None:
    _, body, _ = error_answer(Refusal(Code.NOT_FOUND, "There is none."), "req_1")

    assert "existingId" not in json.loads(body)


def test_a_defect_of_ours_tells_nothing_of_the_inside() -> None:
    refusal = refusal_of(KeyError("relation payouts does not exist"))

    assert refusal.code is Code.INTERNAL
    assert "payouts" not in refusal.message


def test_a_database_that_is_away_is_not_a_defect() -> None:
    assert refusal_of(ConnectionRefusedError()).code is Code.DATABASE_UNAVAILABLE
    assert refusal_of(TimeoutError()).code is Code.DATABASE_UNAVAILABLE
