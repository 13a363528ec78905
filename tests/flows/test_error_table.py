"""Each line of the page's error table and of the contract's, and that a refusal writes nothing."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias
from uuid import uuid4

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.houses import opened

NAMES = {
    400: "Bad Request",
    401: "Unauthorized",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    409: "Conflict",
    413: "Payload Too Large",
    422: "Unprocessable Entity",
    503: "Service Unavailable",
}

# What is changed in a sound request, and what the refusal's sentence must speak of.
Case: TypeAlias = tuple[dict[str, Any], str]

BAD_TRANSFERS: list[Case] = [
    ({"sourceCountry": "SEN"}, "two different countries"),
    ({"sourceCountry": "FRA"}, "sourceCountry must be one of CMR, GAB"),
    ({"destinationCountry": "NGA"}, "destinationCountry must be one of CMR, GAB"),
    ({"destinationCountry": "sen"}, "destinationCountry"),
    ({"amount": 9_501}, "Insufficient balance"),
    ({"amount": 99.99}, "between 100 and 10,000,000"),
    ({"amount": 10_000_000.01}, "between 100 and 10,000,000"),
    ({"amount": 0}, "greater than zero"),
    ({"amount": -500}, "greater than zero"),
    ({"amount": 500.005}, "2 decimals"),
    ({"amount": "500"}, "without quotes"),
    ({"amount": True}, "number"),
    ({"amount": [500]}, "number"),
    ({"amount": None}, "amount"),
    ({"applicationId": "e7c3b4f5"}, "applicationId"),
    ({"applicationId": 7}, "applicationId"),
    ({"applicationId": None}, "applicationId"),
    ({"sourceCountry": None}, "sourceCountry"),
    ({"destinationCountry": None}, "destinationCountry"),
    ({"externalId": ""}, "externalId"),
    ({"externalId": "x" * 256}, "externalId"),
    ({"externalId": 12}, "externalId"),
    ({"description": 12}, "description"),
    ({"currency": "XAF"}, "Unknown field: currency"),
]

BAD_WITHDRAWALS: list[Case] = [
    ({"amount": 99}, "between 100 and 500,000 XAF"),
    ({"amount": 500_001}, "between 100 and 500,000 XAF"),
    ({"amount": "1000"}, "without quotes"),
    ({"amount": 1000.001}, "2 decimals"),
    ({"amount": -1000}, "greater than zero"),
    ({"amount": None}, "amount"),
    ({"provider": "MTN_MOMO_FRA"}, "provider must be one of"),
    ({"provider": "WAVE_SEN"}, "suspended"),
    ({"provider": None}, "provider"),
    ({"phoneNumber": None}, "phoneNumber"),
    ({"phoneNumber": "237600000000"}, "phoneNumber"),
    ({"phoneNumber": "not a number"}, "phoneNumber"),
    ({"phoneNumber": 237653456789}, "phoneNumber"),
    ({"sourceCountry": "FRA"}, "sourceCountry must be one of CMR, GAB"),
    ({"externalId": ""}, "externalId"),
    ({"metadata": "text"}, "metadata"),
    ({"metadata": [1]}, "metadata"),
    ({"metadata": {"long": "x" * 4_096}}, "metadata"),
    ({"payoutAmount": 5}, "Unknown field: payoutAmount"),
]

BAD_PAYMENTS: list[Case] = [
    ({"amount": 49}, "between 50 and 10,000,000 XAF"),
    ({"amount": "5000"}, "without quotes"),
    ({"provider": "MTN_MOMO_FRA"}, "provider must be one of"),
    ({"provider": "WAVE_CIV"}, "suspended"),
    ({"provider": None}, "provider"),
    ({"phoneNumber": None}, "phoneNumber"),
    ({"phoneNumber": "237600000000"}, "phoneNumber"),
    ({"externalId": None}, "externalId"),
    ({"externalId": "x" * 256}, "externalId"),
    ({"currency": "XOF"}, "currency must be XAF"),
    ({"customerName": 5}, "customerName"),
    ({"metadata": 5}, "metadata"),
    ({"callbackUrl": "https://shop.example"}, "Unknown field: callbackUrl"),
]


@pytest.fixture
async def funded(merchant: Merchant) -> Merchant:
    """9,500 XAF in Cameroon and nothing anywhere else."""
    await merchant.collect(10_000)
    return merchant


def refused(answer: Answer, status: int, word: str) -> None:
    """The envelope: a status, its name, one sentence that speaks of `word`, a code, an id."""
    assert answer.status == status, (answer.status, answer.raw)
    body = answer.json
    assert (body["statusCode"], body["error"]) == (status, NAMES[status])
    assert word in body["message"]
    assert "\n" not in body["message"]
    assert re.fullmatch("[a-z_]+", body["code"])
    assert answer.headers["x-request-id"] == body["requestId"]
    assert answer.headers["content-type"].startswith("application/json")


async def written(house: House) -> list[int]:
    """How many rows there are of everything that a request can write."""
    records = ("payments", "payouts", "refunds", "transfers", "instructions", "attempts")
    tables = (*records, "entries", "postings")
    return [await house.database.fetchval(f"select count(*) from {name}") for name in tables]  # noqa: S608


@pytest.mark.parametrize(
    ("operation", "cases"),
    [
        pytest.param(Merchant.transfer, BAD_TRANSFERS, id="transfer"),
        pytest.param(Merchant.withdraw, BAD_WITHDRAWALS, id="withdrawal"),
        pytest.param(Merchant.pay, BAD_PAYMENTS, id="payment"),
    ],
)
async def test_bad_data_is_a_400_that_says_what_to_change_and_writes_nothing(
    funded: Merchant, operation: Callable[..., Awaitable[Answer]], cases: list[Case]
) -> None:
    before = await written(funded.house)

    for changes, word in cases:
        refused(await operation(funded, **changes), 400, word)

    assert await written(funded.house) == before
    assert await funded.wallets() == {"CMR": (9_500, 0)}


async def test_transfer_of_another_company_s_application_is_forbidden(
    funded: Merchant, house: House
) -> None:
    stranger = await Merchant.join(house, company="Other")
    await stranger.collect(10_000)

    for application_id in (stranger.application_id, str(uuid4())):
        answer = await funded.transfer(applicationId=application_id)
        refused(answer, 403, "does not belong to the connected user")

    assert await stranger.wallets() == {"CMR": (9_500, 0)}


async def test_a_country_that_never_paid_has_no_wallet(funded: Merchant) -> None:
    refused(await funded.transfer(sourceCountry="GAB"), 404, "no wallet in GAB")
    refused(await funded.withdraw(sourceCountry="GAB"), 404, "no wallet in GAB")
    refused(await funded.withdraw(provider="ORANGE_GAB"), 404, "no wallet in GAB")


async def test_a_wallet_that_was_emptied_is_still_a_wallet(funded: Merchant) -> None:
    await funded.transfer(amount=9_500)

    refused(await funded.transfer(), 400, "Insufficient balance")
    refused(await funded.withdraw(), 422, "Insufficient balance")


async def test_withdrawal_beyond_the_available_balance_is_unprocessable(funded: Merchant) -> None:
    refused(await funded.withdraw(amount=9_500.01), 422, "Insufficient balance")
    assert (await funded.withdraw(amount=9_000)).status == 201
    # Reserved money is in the balance, and cannot be spent again.
    refused(await funded.withdraw(amount=501), 422, "Insufficient balance")
    refused(await funded.transfer(amount=501), 400, "Insufficient balance")
    assert await funded.wallets() == {"CMR": (500, 9_000)}


@pytest.mark.parametrize(
    "operation",
    [Merchant.transfer, Merchant.withdraw, Merchant.pay],
    ids=["transfer", "withdrawal", "pay"],
)
async def test_a_used_external_id_is_a_conflict_that_names_what_exists(
    funded: Merchant, operation: Callable[..., Awaitable[Answer]]
) -> None:
    first = await operation(funded, externalId="mine", amount=5_000)
    await funded.house.worker.run_until_idle()
    wallets = await funded.wallets()

    # Not even a retry that could no longer be afforded, or with another amount, is anything else.
    for amount in (5_000, 100):
        again = await operation(funded, externalId="mine", amount=amount)
        refused(again, 409, "mine already exists")
        assert again["existingId"] == first["id"]

    assert await funded.wallets() == wallets


async def test_the_three_operations_do_not_share_external_ids(funded: Merchant) -> None:
    for operation in (funded.transfer, funded.withdraw):
        assert (await operation(externalId="same")).status == 201
    assert (await funded.pay(externalId="same")).status == 201


async def test_external_id_is_free_again_once_the_operation_failed_or_was_cancelled(
    funded: Merchant,
) -> None:
    failing = {"phoneNumber": "237653456119", "externalId": "again"}
    for _ in range(2):
        assert (await funded.withdraw(**failing)).status == 201
        await funded.house.worker.run_until_idle()
    cancelled = await funded.withdraw(externalId="again")
    await funded.keys.send("POST", f"/api/v1/payments/withdraw/{cancelled['id']}/cancel")
    assert (await funded.withdraw(externalId="again")).status == 201
    refused(await funded.withdraw(externalId="again"), 409, "already exists")

    assert (await funded.pay(phoneNumber="237653456069", externalId="mine")).status == 201
    refused(await funded.pay(externalId="mine"), 409, "already exists")
    await funded.house.worker.run_until_idle()
    assert (await funded.pay(externalId="mine")).status == 201


async def test_external_id_of_a_transfer_is_never_free_again(
    funded: Merchant, clock: ManualClock
) -> None:
    await funded.transfer(externalId="for ever", destinationCountry="GAB")
    await funded.transfer(sourceCountry="GAB", destinationCountry="CMR")

    clock.advance(days=400)
    await funded.renew_token()
    refused(await funded.transfer(externalId="for ever"), 409, "already exists")


async def test_a_refused_operation_does_not_use_up_its_external_id(funded: Merchant) -> None:
    refused(await funded.transfer(externalId="later", amount=50_000), 400, "Insufficient")
    refused(await funded.withdraw(externalId="later", amount=50_000), 422, "Insufficient")

    assert (await funded.transfer(externalId="later")).status == 201
    assert (await funded.withdraw(externalId="later")).status == 201


async def test_another_applications_resources_are_not_found(funded: Merchant, house: House) -> None:
    stranger = await Merchant.join(house, company="Other")
    payment = await funded.collect(1_000, externalId="secret-payment")
    payout = await funded.withdraw(externalId="secret-payout")
    transfer = await funded.transfer(externalId="secret-transfer")
    base, finish = "/api/v1/payments", {"outcome": "FAILED"}

    for answer in (
        await stranger.keys.send("GET", f"{base}/{payment['id']}"),
        await stranger.keys.send("POST", f"{base}/{payment['id']}/sandbox/finish", finish),
        await stranger.keys.send("GET", f"{base}/withdraw/{payout['id']}"),
        await stranger.keys.send("POST", f"{base}/withdraw/{payout['id']}/cancel"),
        await stranger.keys.send("POST", f"{base}/withdraw/{payout['id']}/sandbox/finish", finish),
        await stranger.token.send("GET", f"/api/wallets/transfer/{transfer['id']}"),
    ):
        refused(answer, 404, "There is no")
        assert b"secret" not in answer.raw

    for path in (base, f"{base}/withdrawals"):
        assert (await stranger.keys.send("GET", path))["data"] == []
    assert (await stranger.token.send("GET", "/api/wallets/transfers"))["data"] == []


async def test_an_id_that_is_none_is_not_found(merchant: Merchant) -> None:
    for id_ in ("nothing", "pay_", "wdr_" + "z" * 26, "%00", str(uuid4()), "'--"):
        for browser, path in (
            (merchant.keys, f"/api/v1/payments/{id_}"),
            (merchant.keys, f"/api/v1/payments/withdraw/{id_}"),
            (merchant.token, f"/api/wallets/transfer/{id_}"),
        ):
            refused(await browser.send("GET", path), 404, "There is no")


async def test_every_error_has_the_envelope(merchant: Merchant) -> None:
    path = "/api/v1/payments/withdraw"
    cases: list[tuple[Answer, int, str]] = [
        (await merchant.keys.send("POST", path, raw=b'{"amount":'), 400, "not well-formed JSON"),
        (await merchant.keys.send("POST", path), 400, "The body is empty"),
        (await merchant.keys.send("POST", path, raw=b"[]"), 400, "JSON object"),
        (await merchant.keys.send("POST", path, raw=b'"' + b"x" * 70_000), 413, "65,536 bytes"),
        (await merchant.token.send("POST", path, {}), 401, "Invalid API credentials"),
        (await merchant.keys.send("DELETE", path), 405, "POST"),
        (await merchant.keys.send("GET", "/api/v1/nothing"), 404, "nothing at this address"),
        (await merchant.keys.send("POST", "/healthz"), 405, "does not take that method"),
    ]
    for answer, status, word in cases:
        refused(answer, status, word)


async def test_without_a_usable_rate_nothing_is_converted_and_the_caller_is_told_when_to_retry(
    settings: Settings, clock: ManualClock
) -> None:
    async with opened(settings, clock, fx_sources=("file:/nowhere/rates.json",)) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(10_000)

        for answer in (
            await merchant.transfer(),
            await merchant.withdraw(provider="MTN_MOMO_CIV", sourceCountry="CMR"),
        ):
            refused(answer, 503, "no usable exchange rate from XAF to XOF")
            assert answer.headers["retry-after"] == "30"
        assert await merchant.wallets() == {"CMR": (9_500, 0)}

        assert (await merchant.transfer(destinationCountry="GAB")).status == 201
        assert (await merchant.withdraw(provider="ORANGE_GAB", sourceCountry="CMR")).status == 201
