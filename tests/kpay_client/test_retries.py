"""When a request is sent again, and what is said of it: at most one of anything is ever made."""

from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from kpay_client import (
    DRAWN_PREFIX,
    Conflict,
    Forbidden,
    InsufficientFunds,
    InvalidRequest,
    KPay,
    KPayError,
    NotFound,
    Patience,
    RateLimited,
    Unauthorized,
    Unavailable,
    UnknownOutcome,
)
from tests.kpay_client.script import (
    API_KEY,
    BASE,
    SECRET_KEY,
    WANTED,
    Reply,
    Script,
    Time,
    answer,
    client_of,
    me,
    refusal,
    token,
    withdrawal,
)

LOST = httpx.ReadTimeout("no answer")
NOT_SENT = httpx.ConnectError("nobody there")
USED = "external_id_used"
# What leaves open whether the work was done.
UNSURE = [
    LOST,
    httpx.WriteError("broken"),
    httpx.RemoteProtocolError("closed"),
    refusal(503, "database_unavailable"),
    refusal(503),
    refusal(502),
    refusal(504),
]
# What says that it was not.
NOT_DONE = [
    NOT_SENT,
    httpx.ConnectTimeout("slow"),
    httpx.PoolTimeout("full"),
    refusal(429, "rate_limited"),
    refusal(408, "body_too_slow"),
    refusal(503, "busy"),
    refusal(503, "no_rate"),
]


def _name(reply: object) -> str:
    return f"{reply.status_code}" if isinstance(reply, httpx.Response) else type(reply).__name__


# What is tried again


@pytest.mark.parametrize("reply", UNSURE + NOT_DONE, ids=_name)
def test_what_passes_is_tried_again_with_the_same_bytes_and_key(
    client: Any, script: Script, reply: Reply
) -> None:
    script.then(reply, answer(201, withdrawal()))

    assert client.withdrawals.create(**WANTED).id == "wdr_cross123"

    first, second = script.asked
    assert first.content == second.content
    assert first.headers["idempotency-key"] == second.headers["idempotency-key"]


def test_two_calls_have_two_keys(client: Any, script: Script) -> None:
    script.then(*[answer(201, withdrawal())] * 2)

    client.withdrawals.create(**WANTED)
    client.withdrawals.create(**WANTED)

    first, second = script.asked
    assert first.headers["idempotency-key"] != second.headers["idempotency-key"]


def test_a_drawn_external_id_is_one_for_all_tries_and_told_by_the_error(
    client: Any, script: Script
) -> None:
    script.then(*[LOST] * 5)

    with pytest.raises(UnknownOutcome) as told:
        client.withdrawals.create(amount=1000, provider="P", phone_number="1")

    sent = {script.body(number)["externalId"] for number in range(5)}
    assert sent == {told.value.external_id}
    assert sent.pop().startswith(DRAWN_PREFIX)
    assert str(told.value.external_id) in str(told.value)


def test_an_empty_external_id_is_the_callers_mistake_and_none_is_drawn(
    client: Any, script: Script
) -> None:
    script.then(refusal(400, "invalid_body"))

    with pytest.raises(InvalidRequest):
        client.withdrawals.create(amount=1000, external_id="")
    assert script.body(0)["externalId"] == ""


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 409, 413, 422, 500, 301])
def test_what_is_definite_is_not_tried_again(client: Any, script: Script, status: int) -> None:
    script.then(refusal(status, "some_code"))

    with pytest.raises(KPayError):
        client.balance()
    assert len(script.asked) == 1


def test_no_more_tries_than_patience_has(kind: str, script: Script, time: Time) -> None:
    patience = Patience(tries=3)
    client = client_of(kind, httpx.MockTransport(script), time=time, patience=patience)
    script.then(*[NOT_SENT] * 3)

    with pytest.raises(Unavailable) as told:
        client.balance()

    assert isinstance(told.value.__cause__, httpx.ConnectError)
    client.close()


def test_pauses_grow_by_chance_within_bounds(client: Any, script: Script, time: Time) -> None:
    script.then(*[NOT_SENT] * 5)

    with pytest.raises(Unavailable):
        client.balance()

    assert len(time.waited) == 4
    for waited, longest in zip(time.waited, (0.5, 1.0, 2.0, 4.0), strict=True):
        assert longest / 2 <= waited <= longest


def test_the_server_says_how_long_to_wait(client: Any, script: Script, time: Time) -> None:
    script.then(
        refusal(429, "rate_limited", Retry_After="7"),
        refusal(503, "busy", Retry_After="Tue, 23 Jun 2026 10:00:30 GMT"),
        answer(200, []),
    )

    assert client.balance() == []
    first, second = time.waited
    assert 7 <= first <= 7.5
    assert 30 <= first + second <= 31


def test_a_wait_beyond_the_deadline_is_the_callers_to_make(
    client: Any, script: Script, time: Time
) -> None:
    script.then(refusal(429, "too_many_failures", Retry_After="60"))

    with pytest.raises(RateLimited) as told:
        client.balance()

    assert told.value.retry_after == 60
    assert time.waited == []


def test_a_retry_after_that_is_no_time_is_passed_over(client: Any, script: Script) -> None:
    script.then(refusal(503, Retry_After="soon"), answer(200, []))

    assert client.balance() == []


def test_a_try_may_take_no_longer_than_is_left(kind: str, time: Time) -> None:
    allowed = []

    def slow(request: httpx.Request) -> httpx.Response:
        allowed.append(request.extensions["timeout"]["read"])
        time.seconds += 12
        raise LOST

    patience = Patience(timeout=15, deadline=30, first_pause=0)
    client = client_of(kind, httpx.MockTransport(slow), time=time, patience=patience)

    with pytest.raises(Unavailable):
        client.balance()

    assert allowed == [15, 15, 6]
    client.close()


# Whose work is it?


@pytest.mark.parametrize("reply", UNSURE, ids=_name)
def test_a_conflict_after_a_lost_answer_is_the_first_trys_work(
    client: Any, script: Script, reply: Reply
) -> None:
    script.then(reply, refusal(409, USED, existing="wdr_cross123"), answer(200, withdrawal()))

    assert client.withdrawals.create(**WANTED).id == "wdr_cross123"
    assert script.said[2] == "GET /api/v1/payments/withdraw/wdr_cross123"


def test_a_conflict_on_the_first_try_is_raised(client: Any, script: Script) -> None:
    script.then(refusal(409, USED, existing="wdr_cross123"))

    with pytest.raises(Conflict) as told:
        client.withdrawals.create(**WANTED)

    assert told.value.existing_id == "wdr_cross123"
    assert told.value.external_id == "PAYOUT-CROSS-002"
    assert len(script.asked) == 1


@pytest.mark.parametrize("reply", NOT_DONE, ids=_name)
def test_a_conflict_after_tries_that_did_nothing_is_raised(
    client: Any, script: Script, reply: Reply
) -> None:
    script.then(reply, refusal(409, USED, existing="wdr_cross123"))

    with pytest.raises(Conflict):
        client.withdrawals.create(**WANTED)


@pytest.mark.parametrize(
    "other",
    [
        {"amount": 50001},
        {"provider": "ORANGE_CIV"},
        {"phoneNumber": "237653456780"},
        {"sourceCountry": "GAB"},
        {"description": "Another"},
        # Older than the call by more than clocks differ.
        {"createdAt": "2026-06-23T09:59:00.000Z"},
        {"createdAt": None},
    ],
    ids=lambda other: next(iter(other)),
)
def test_what_another_call_made_is_a_conflict_even_after_a_lost_answer(
    client: Any, script: Script, other: dict[str, object]
) -> None:
    script.then(LOST, refusal(409, USED, existing="wdr_cross123"), answer(200, withdrawal(**other)))

    with pytest.raises(Conflict) as told:
        client.withdrawals.create(**WANTED, description="Supplier")
    assert told.value.existing_id == "wdr_cross123"


def test_a_number_that_the_server_words_otherwise_is_the_same_number(
    client: Any, script: Script
) -> None:
    script.then(LOST, refusal(409, USED, existing="wdr_1"), answer(200, withdrawal()))

    made = client.withdrawals.create(**{**WANTED, "phone_number": "+237 653 456 789"})
    assert made.phone_number == "237653456789"


def test_when_it_was_made_is_read_on_the_servers_clock(client: Any, script: Script) -> None:
    """The server is a day ahead of us: what it made now is dated tomorrow, and so is its Date."""
    tomorrow = {"Date": "Wed, 24 Jun 2026 10:00:01 GMT"}
    ours = withdrawal(createdAt="2026-06-24T10:00:00.000Z")
    older = withdrawal(createdAt="2026-06-23T22:00:00.000Z")
    used = refusal(409, USED, existing="wdr_1", **tomorrow)

    script.then(LOST, used, answer(200, ours))
    assert client.withdrawals.create(**WANTED).id == "wdr_cross123"

    script.then(LOST, used, answer(200, older))
    with pytest.raises(Conflict):
        client.withdrawals.create(**WANTED)


def test_what_has_a_drawn_external_id_can_be_nobody_elses(client: Any, script: Script) -> None:
    made = withdrawal(amount=1, createdAt=None)
    script.then(LOST, refusal(409, USED, existing="wdr_1"), answer(200, made))

    assert client.withdrawals.create(amount=1000).amount == 1


def test_a_transfer_is_found_by_its_id(client: Any, script: Script) -> None:
    script.then(
        me(), token(), LOST, refusal(409, USED, existing="t-1"), answer(200, _transfer(100000))
    )

    assert _consolidate(client).id == "t-1"
    assert script.said[-1] == "GET /api/wallets/transfer/t-1"
    assert script.asked[-1].headers["authorization"] == "Bearer token-1"


def test_a_transfer_of_another_amount_is_another_calls(client: Any, script: Script) -> None:
    script.then(
        me(), token(), LOST, refusal(409, USED, existing="t-1"), answer(200, _transfer(99999))
    )

    with pytest.raises(Conflict):
        _consolidate(client)


def test_a_payment_and_a_refund_are_found_by_their_ids(client: Any, script: Script) -> None:
    payment = {**withdrawal(), "id": "pay_1", "provider": "P", "externalId": "ORDER-1"}
    script.then(LOST, refusal(409, USED, existing="pay_1"), answer(200, payment))
    made = client.payments.init(
        amount=50000, provider="P", phone_number="237653456789", external_id="ORDER-1"
    )
    assert made.id == "pay_1"
    assert script.said[-1] == "GET /api/v1/payments/pay_1"

    refund = {
        "id": "rfd_1",
        "status": "PENDING",
        "amount": 50000,
        "currency": "XAF",
        "originalPaymentId": "pay_1",
        "createdAt": "2026-06-23T10:00:02.000Z",
    }
    script.then(LOST, refusal(409, USED, existing="rfd_1"), answer(200, refund))
    assert client.payments.refund("pay_1", external_id="REFUND-1").id == "rfd_1"
    assert script.said[-1] == "GET /api/v1/payments/refunds/rfd_1"

    script.then(LOST, refusal(409, USED, existing="rfd_1"), answer(200, refund))
    with pytest.raises(Conflict):
        client.payments.refund("pay_2", external_id="REFUND-1")


def test_a_cancelled_withdrawal_is_what_a_lost_cancellation_wanted(
    client: Any, script: Script
) -> None:
    script.then(LOST, refusal(409, "not_cancellable"), answer(200, withdrawal(status="CANCELLED")))

    assert client.withdrawals.cancel("wdr_cross123").status == "CANCELLED"

    script.then(LOST, refusal(409, "not_cancellable"), answer(200, withdrawal(status="PROCESSING")))
    with pytest.raises(Conflict):
        client.withdrawals.cancel("wdr_cross123")


# The Idempotency-Key: the server says itself what the first try was told.


@pytest.mark.parametrize(
    ("status", "code", "kind_of_error"),
    [(409, USED, Conflict), (422, "withdrawal_exceeds_balance", InsufficientFunds)],
)
def test_a_replayed_refusal_is_what_became_of_the_first_try(
    client: Any, script: Script, status: int, code: str, kind_of_error: type[KPayError]
) -> None:
    script.then(LOST, refusal(status, code, existing="wdr_1", Idempotency_Replayed="true"))

    with pytest.raises(kind_of_error):
        client.withdrawals.create(**WANTED)
    assert len(script.asked) == 2


def test_a_replayed_success_that_cannot_be_read_was_a_success_all_the_same(
    client: Any, script: Script
) -> None:
    script.then(LOST, *[answer(201, {}, Idempotency_Replayed="true")] * 4)

    with pytest.raises(UnknownOutcome):
        client.withdrawals.create(**WANTED)


def test_a_first_try_that_is_still_at_it_is_asked_again(client: Any, script: Script) -> None:
    script.then(
        LOST,
        refusal(409, "idempotency_in_progress", Retry_After="1"),
        answer(201, withdrawal(), Idempotency_Replayed="true"),
    )

    assert client.withdrawals.create(**WANTED).id == "wdr_cross123"


# What nobody knows


@pytest.mark.parametrize("reply", UNSURE, ids=_name)
def test_no_answer_to_any_try_is_an_unknown_outcome(
    client: Any, script: Script, reply: Reply
) -> None:
    script.then(*[reply] * 5)

    with pytest.raises(UnknownOutcome) as told:
        client.withdrawals.create(**WANTED)
    assert told.value.external_id == "PAYOUT-CROSS-002"
    assert isinstance(told.value.__cause__, Unavailable)


@pytest.mark.parametrize("reply", NOT_DONE, ids=_name)
def test_tries_that_all_did_nothing_leave_nothing_unknown(
    client: Any, script: Script, reply: Reply
) -> None:
    script.then(*[reply] * 5)

    with pytest.raises((Unavailable, RateLimited)) as told:
        client.withdrawals.create(**WANTED)
    assert told.value.external_id == "PAYOUT-CROSS-002"


@pytest.mark.parametrize(
    "reply",
    [
        refusal(422, "withdrawal_exceeds_balance"),
        refusal(400, "provider_suspended"),
        refusal(401, "invalid_credentials"),
        refusal(409, USED),
        refusal(409, "not_open"),
        NOT_SENT,
    ],
    ids=_name,
)
def test_a_refusal_after_a_lost_answer_says_nothing_of_the_first_try(
    client: Any, script: Script, reply: Reply
) -> None:
    script.then(LOST, *[reply] * 4)

    with pytest.raises(UnknownOutcome):
        client.withdrawals.create(**WANTED)


def test_a_defect_of_the_servers_leaves_a_creation_unknown_and_a_question_unanswered(
    client: Any, script: Script
) -> None:
    script.then(refusal(500, "internal"), refusal(500, "internal"))

    with pytest.raises(UnknownOutcome) as told:
        client.withdrawals.create(**WANTED)
    assert (told.value.status, told.value.request_id) == (500, "req_1")
    with pytest.raises(Unavailable):
        client.balance()


def test_what_exists_but_cannot_be_looked_at_is_unknown_and_named(
    client: Any, script: Script
) -> None:
    script.then(LOST, refusal(409, USED, existing="wdr_1"), refusal(403))

    with pytest.raises(UnknownOutcome) as told:
        client.withdrawals.create(**WANTED)
    assert told.value.existing_id == "wdr_1"


def test_a_token_that_cannot_be_had_after_a_lost_answer_leaves_it_unknown(
    client: Any, script: Script
) -> None:
    """By the second try the token is over, and the keys have been replaced."""
    lost = refusal(503, "database_unavailable", Retry_After="2")
    script.then(me(), token(lasts="1s"), lost, refusal(401, "invalid_credentials"))

    with pytest.raises(UnknownOutcome) as told:
        _consolidate(client)
    assert script.said[-1] == "POST /api/v1/payments/token"
    assert told.value.external_id == "TRF-1"


# Tokens


def test_a_token_is_kept_until_shortly_before_its_end(
    client: Any, script: Script, time: Time
) -> None:
    overview = answer(200, {"applicationId": "a", "environment": "TEST", "wallets": []})
    script.then(token(1), overview, overview, token(2), overview)

    client.wallets.overview()
    time.seconds += 28 * 60
    client.wallets.overview()
    time.seconds += 60
    client.wallets.overview()

    used = [request.headers.get("authorization") for request in script.asked]
    assert used == [None, "Bearer token-1", "Bearer token-1", None, "Bearer token-2"]


def test_a_token_of_unknown_life_is_used_until_it_is_refused(
    client: Any, script: Script, time: Time
) -> None:
    overview = answer(200, {"applicationId": "a", "environment": "TEST", "wallets": []})
    script.then(token(1, "a while"), overview, refusal(401, "invalid_token"), token(2), overview)

    client.wallets.overview()
    time.seconds += 1_000_000
    client.wallets.overview()

    assert script.asked[-1].headers["authorization"] == "Bearer token-2"
    assert time.waited == []


def test_a_new_token_that_is_refused_too_is_not_renewed_again(client: Any, script: Script) -> None:
    script.then(token(1), refusal(401, "invalid_token"), token(2), refusal(401, "invalid_token"))

    with pytest.raises(Unauthorized):
        client.wallets.overview()
    assert len(script.asked) == 4


def test_many_threads_ask_for_one_token() -> None:
    asked: list[str] = []
    together = threading.Barrier(8)

    def serve(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.path)
        if request.url.path.endswith("/token"):
            return token()
        return answer(200, {"applicationId": "a", "environment": "TEST", "wallets": []})

    transport = httpx.MockTransport(serve)
    with KPay(API_KEY, SECRET_KEY, base_url=BASE, transport=transport) as client:

        def look(_number: int) -> None:
            together.wait(10)
            client.wallets.overview()

        with ThreadPoolExecutor(8) as threads:
            list(threads.map(look, range(8)))

    assert asked.count("/api/v1/payments/token") == 1
    assert len(asked) == 9


# Errors


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (400, "invalid_amount", InvalidRequest),
        (400, "transfer_exceeds_balance", InsufficientFunds),
        (401, "invalid_credentials", Unauthorized),
        (403, "application_not_yours", Forbidden),
        (404, "no_wallet", NotFound),
        (405, "method_not_allowed", InvalidRequest),
        (409, "not_cancellable", Conflict),
        (413, "body_too_large", InvalidRequest),
        (422, "withdrawal_exceeds_balance", InsufficientFunds),
        (422, "idempotency_key_reused", InvalidRequest),
        (422, None, InsufficientFunds),
        (501, None, Unavailable),
        (302, None, KPayError),
    ],
)
def test_errors_are_typed_by_what_to_do_about_them(
    client: Any, script: Script, status: int, code: str | None, expected: type[KPayError]
) -> None:
    script.then(refusal(status, code))

    with pytest.raises(KPayError) as told:
        client.balance()

    error = told.value
    assert type(error) is expected
    assert (error.status, error.code, error.request_id) == (status, code, "req_1")


@pytest.mark.parametrize("body", [b"", b"<h1>Bad Gateway</h1>", b"[1]", b'{"message": 5}'])
def test_an_error_that_is_not_the_servers_own_is_told_all_the_same(
    client: Any, script: Script, body: bytes
) -> None:
    script.then(httpx.Response(403, content=body, headers={"X-Request-Id": "req_2"}))

    with pytest.raises(Forbidden, match="403") as told:
        client.balance()
    assert told.value.request_id == "req_2"


def test_nothing_that_can_be_printed_shows_a_secret(client: Any, script: Script) -> None:
    script.then(LOST, refusal(422, "withdrawal_exceeds_balance"))

    with pytest.raises(UnknownOutcome) as told:
        client.withdrawals.create(**WANTED)

    inner = getattr(client, "_client", client)
    chain = [told.value, told.value.__cause__, inner, inner._line._core._credentials]
    assert not [shown for one in chain for shown in (repr(one), str(one)) if "sk_test_" in shown]
    assert "external_id='PAYOUT-CROSS-002'" in repr(told.value)
    assert repr(client).startswith(("KPay(base_url", "AsyncKPay(base_url"))


def _consolidate(client: Any) -> Any:
    return client.transfers.create(
        source_country="CMR",
        destination_country="SEN",
        amount=100000,
        external_id="TRF-1",
        description="Supply Senegal wallet",
    )


def _transfer(amount: int) -> dict[str, object]:
    side = {"id": "t-1", "reference": "TRF-OUT-A", "amount": amount, "currency": "XAF"}
    return {
        "id": "t-1",
        "sourceTransaction": {**side, "type": "WALLET_TRANSFER_OUT", "country": "CMR"},
        "destinationTransaction": {**side, "type": "WALLET_TRANSFER_IN", "country": "SEN"},
        "exchangeRate": 1.0153,
        "description": "Supply Senegal wallet",
        "externalId": "TRF-1",
        "createdAt": "2026-06-23T10:00:00.000Z",
    }
