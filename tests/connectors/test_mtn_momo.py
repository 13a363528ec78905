"""MTN MoMo: what it is sent, its tokens, and what is different about it."""

from __future__ import annotations

import base64
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kpay.catalogue.data import catalogue
from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import Balance, Callback, Doubted, Heard
from kpay.connectors.model import Accepted, Outcome, Paid, Refused, Unknown
from kpay.connectors.mtn_momo.connector import MtnMomoConnector
from kpay.connectors.naming import capabilities
from kpay.connectors.opening import RAILS, open_routing
from kpay.connectors.variables import Place, RailsConfigurationError, Variables
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.money import Money
from kpay.settings import Settings
from tests.connectors.support import DEPOSIT, NOW, REFERENCE, instruction, rail_server, says
from tests.rails import ScriptedRail
from tests.receivers import Receiver, Said

PREFIX = "KPAY_MTN_MOMO_"
TOKEN = says({"access_token": "token-1", "token_type": "access_token", "expires_in": 3600})
CALLBACK = "https://pay.example.com/callbacks/mtn_momo"
CAMEROON = {
    f"CMR_{product}_{name}": f"{product.lower()}-{name.lower()}"
    for product in ("COLLECTION", "DISBURSEMENT")
    for name in ("USER", "KEY", "SUBSCRIPTION")
}


@asynccontextmanager
async def momo(
    *script: Said, clock: ManualClock | None = None, **more: str
) -> AsyncIterator[tuple[MtnMomoConnector, Receiver]]:
    """Production in Cameroon."""
    async with rail_server(*script) as server:
        given = {**CAMEROON, "URL": server.url, **more}
        variables = Variables({PREFIX + name: text for name, text in given.items()}, PREFIX)
        place = Place(Environment.PRODUCTION, catalogue(), clock or ManualClock(NOW), CALLBACK)
        connector = RAILS["mtn_momo"](variables, place)
        variables.check()
        assert isinstance(connector, MtnMomoConnector)
        yield connector, server
        await connector.close()


def told(status: str, **changes: Any) -> Said:
    answer = {"amount": "15000", "currency": "XAF", "externalId": str(REFERENCE), "status": status}
    return says({**answer, **changes})


async def checked(*answers: Said) -> Outcome:
    async with momo(TOKEN, *answers) as (connector, _):
        return await connector.check(instruction())


@pytest.mark.parametrize(
    ("type_", "product", "path", "party"),
    [
        (OperationType.DEPOSIT, "collection", "/collection/v1_0/requesttopay", "payer"),
        (OperationType.PAYOUT, "disbursement", "/disbursement/v1_0/transfer", "payee"),
        # To whoever paid, out of the account that pays.
        (OperationType.REFUND, "disbursement", "/disbursement/v1_0/transfer", "payee"),
    ],
)
async def test_an_operation_is_handed_over_under_our_reference(
    type_: OperationType, product: str, path: str, party: str
) -> None:
    async with momo(TOKEN, says("", 202), told("SUCCESSFUL")) as (connector, server):
        assert isinstance(await connector.submit(instruction(type_)), Accepted)
        assert isinstance(await connector.check(instruction(type_)), Paid)

    asked, handed_over, checked = server.heard
    basic = base64.b64encode(f"{product}-user:{product}-key".encode()).decode()
    assert (asked.path, asked.headers["Authorization"]) == (f"/{product}/token/", f"Basic {basic}")
    assert (handed_over.path, checked.path) == (path, f"{path}/{REFERENCE}")
    for heard in (handed_over, checked):
        assert heard.headers["Authorization"] == "Bearer token-1"
        assert heard.headers["X-Target-Environment"] == "mtncameroon"
        assert heard.headers["Ocp-Apim-Subscription-Key"] == f"{product}-subscription"
    assert handed_over.headers["X-Reference-Id"] == str(REFERENCE)
    assert "X-Callback-Url" not in handed_over.headers
    assert json.loads(handed_over.raw) == {
        "amount": "15000",
        "currency": "XAF",
        "externalId": str(REFERENCE),
        party: {"partyIdType": "MSISDN", "partyId": "237653456789"},
        "payerMessage": "KPay",
        "payeeNote": "KPay",
    }


async def test_it_is_told_where_to_call_back_where_that_is_wanted() -> None:
    async with momo(TOKEN, says("", 202), CALLBACKS="1") as (connector, server):
        await connector.submit(instruction())

    assert server.heard[1].headers["X-Callback-Url"] == CALLBACK


async def test_a_token_is_kept_and_renewed_ten_minutes_ahead() -> None:
    clock = ManualClock(NOW)
    second = says({"access_token": "token-2", "expires_in": 3600})
    script = (TOKEN, told("PENDING"), told("PENDING"), second, told("PENDING"))
    async with momo(*script, clock=clock) as (connector, server):
        await connector.check(instruction())
        clock.advance(minutes=49)
        await connector.check(instruction())
        clock.advance(minutes=1)
        await connector.check(instruction())

    used = [heard.headers["Authorization"] for heard in server.heard if "token" not in heard.path]
    assert used == ["Bearer token-1", "Bearer token-1", "Bearer token-2"]


async def test_while_no_new_token_is_given_the_old_one_is_used_to_its_end() -> None:
    clock = ManualClock(NOW)
    script = (TOKEN, told("PENDING"), says({}, 503), told("PENDING"), says({}, 503))
    async with momo(*script, clock=clock) as (connector, server):
        await connector.check(instruction())
        clock.advance(minutes=55)
        assert isinstance(await connector.check(instruction()), Accepted)
        clock.advance(minutes=5)
        outcome = await connector.check(instruction())

    assert isinstance(outcome, Unknown)
    assert (outcome.why, outcome.alarm) == ("no token: it answered 503", False)
    assert len(server.heard) == 5


async def test_credentials_that_are_not_good_ring_an_alarm_and_fail_nothing() -> None:
    async with momo(says({"error": "invalid_client"}, 401)) as (connector, _):
        outcome = await connector.submit(instruction())

    assert isinstance(outcome, Unknown)
    assert outcome.alarm


async def test_a_token_that_was_taken_back_is_followed_by_another() -> None:
    again = says({"access_token": "token-2", "expires_in": 3600})
    script = (TOKEN, says({"code": "ACCESS_DENIED"}, 401), again, told("SUCCESSFUL"))
    async with momo(*script) as (connector, server):
        first = await connector.check(instruction())
        second = await connector.check(instruction())

    assert (type(first), type(second)) == (Unknown, Paid)
    assert server.heard[-1].headers["Authorization"] == "Bearer token-2"


@pytest.mark.parametrize(
    "code",
    ["NOT_ALLOWED", "NOT_ALLOWED_TARGET_ENVIRONMENT", "INVALID_CALLBACK_URL_HOST"],
)
async def test_what_our_account_may_not_is_an_alarm(code: str) -> None:
    async with momo(TOKEN, says({"code": code, "message": "No."}, 500)) as (connector, _):
        outcome = await connector.submit(instruction())

    assert isinstance(outcome, Unknown)
    assert outcome.alarm


@pytest.mark.parametrize("status", [400, 404, 409, 500, 503])
async def test_what_it_did_not_take_is_no_failure_yet(status: int) -> None:
    async with momo(TOKEN, says({"code": "PAYEE_NOT_FOUND"}, status)) as (connector, _):
        assert isinstance(await connector.submit(instruction()), Unknown)


@pytest.mark.parametrize(
    ("reason", "code"),
    [
        ("PAYEE_NOT_FOUND", "PAYEE_NOT_FOUND"),
        ({"code": "PAYER_NOT_FOUND", "message": "No."}, "PAYER_NOT_FOUND"),
        (None, "UNSPECIFIED_FAILURE"),
        ({}, "UNSPECIFIED_FAILURE"),
    ],
)
async def test_a_failure_has_its_reason(reason: Any, code: str) -> None:
    outcome = await checked(told("FAILED", reason=reason))

    assert isinstance(outcome, Refused)
    assert outcome.code == code


@pytest.mark.parametrize(
    "changes",
    [{"amount": "15001"}, {"currency": "EUR"}, {"amount": None}, {"externalId": str(DEPOSIT)}],
)
async def test_what_was_paid_and_is_not_what_was_agreed_is_an_alarm(
    changes: Mapping[str, object],
) -> None:
    outcome = await checked(told("SUCCESSFUL", **changes))

    assert isinstance(outcome, Unknown)
    assert outcome.alarm


@pytest.mark.parametrize("status", ["CREATED", "PENDING"])
async def test_what_is_under_way_is_accepted(status: str) -> None:
    assert isinstance(await checked(told(status)), Accepted)


@pytest.mark.parametrize("status", ["TIMEOUT", "REJECTED", None])
async def test_a_status_that_is_in_no_document_is_unknown(status: Any) -> None:
    assert isinstance(await checked(told(status)), Unknown)


async def test_its_balance_is_what_can_be_paid_out() -> None:
    said = says({"availableBalance": "2500.50", "currency": "XAF"})
    async with momo(TOKEN, said) as (connector, server):
        found = await connector.balances()

    assert found == [Balance("CMR", Money(250_050, "XAF"), "MTN_MOMO_CMR")]
    assert server.heard[1].path == "/disbursement/v1_0/account/balance"


async def test_a_callback_is_a_hint_that_nothing_proves() -> None:
    async with momo() as (connector, _):
        for body, expected in (
            (json.dumps({"externalId": str(REFERENCE)}).encode(), Heard(REFERENCE, proved=False)),
            (b"{}", Doubted("it names no operation")),
            (b"[]", Doubted("it names no operation")),
            (b"{", Doubted("it names no operation")),
        ):
            assert await connector.judge(Callback("PUT", CALLBACK, {}, body, NOW)) == expected
        assert capabilities(connector) == ["balances", "callbacks"]


def routed(env: Mapping[str, str]) -> Any:
    settings = Settings.from_env(env)
    return open_routing(settings, catalogue(), ManualClock(NOW), ScriptedRail())


def test_it_serves_the_countries_that_there_are_contracts_for() -> None:
    given = {PREFIX + name: text for name, text in CAMEROON.items()}
    pawapay = {"KPAY_PAWAPAY_TOKEN": "a-token"}
    routing = routed({**given, **pawapay, "KPAY_RAILS": "MTN_MOMO_CMR=mtn_momo,*=pawapay"})
    names = {
        code: routing.connector(Environment.PRODUCTION, catalogue().providers[code]).name
        for code in ("MTN_MOMO_CMR", "MTN_MOMO_CIV", "ORANGE_CMR")
    }
    assert names == {"MTN_MOMO_CMR": "mtn_momo", "MTN_MOMO_CIV": "pawapay", "ORANGE_CMR": "pawapay"}

    alone = routed({**given, "KPAY_RAILS": "mtn_momo"})
    assert alone.connector(Environment.PRODUCTION, catalogue().providers["MTN_MOMO_CIV"]) is None


@pytest.mark.parametrize(
    ("env", "sentence"),
    [
        ({"KPAY_RAILS": "mtn_momo"}, "KPAY_MTN_MOMO_CMR_COLLECTION_USER: must be set"),
        (
            {PREFIX + "CMR_COLLECTION_USER": "a-user"},
            "KPAY_MTN_MOMO_CMR_DISBURSEMENT_KEY: must be set, or ",
        ),
        (
            {
                **{PREFIX + name: text for name, text in CAMEROON.items()},
                "KPAY_RAILS": "ORANGE_CMR=mtn_momo",
            },
            "KPAY_RAILS: mtn_momo does not serve ORANGE_CMR",
        ),
        (
            {
                **{PREFIX + name: text for name, text in CAMEROON.items()},
                PREFIX + "CALLBACKS": "1",
            },
            "KPAY_MTN_MOMO_CALLBACKS: needs a KPAY_PUBLIC_URL",
        ),
    ],
)
def test_a_start_says_what_is_missing(env: Mapping[str, str], sentence: str) -> None:
    with pytest.raises(RailsConfigurationError) as caught:
        routed(env)
    assert sentence in str(caught.value)


async def test_statuses_are_read_at_a_pace_and_what_waits_too_long_is_not_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr("kpay.connectors.mtn_momo.product.sleep", sleep)
    pending = told("PENDING")
    script = (TOKEN, *[pending] * 5, TOKEN, pending)
    async with momo(*script, STATUS_READS="1") as (connector, server):
        found = [await connector.check(instruction()) for _ in range(7)]
        # Another product has a pace of its own.
        other = await connector.check(instruction(OperationType.DEPOSIT))

    assert slept == [1, 2, 3, 4]
    assert [type(outcome) for outcome in found] == [Accepted] * 5 + [Unknown] * 2
    assert isinstance(other, Accepted)
    assert len(server.heard) == len(script)
    for outcome in found:
        assert isinstance(outcome, Accepted | Unknown)
        assert outcome.ask_after is not None


@pytest.mark.parametrize("reads", ["0", "11", "-1", "2.5", "many"])
async def test_no_more_reads_can_be_wanted_than_mtn_lets_through(reads: str) -> None:
    with pytest.raises(RailsConfigurationError, match="STATUS_READS"):
        async with momo(STATUS_READS=reads):
            pass


async def test_another_amount_than_was_agreed_contradicts() -> None:
    outcome = await checked(told("SUCCESSFUL", amount="14999"))
    assert isinstance(outcome, Unknown)
    assert (outcome.alarm, outcome.contradicts) == (True, True)
