"""pawaPay's v2 wire as the rail simulator speaks it, over HTTP on loopback."""

from __future__ import annotations

import asyncio
import csv
import gzip
import json
import uuid

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from kpay.rail_simulator.signatures import Signer
from tests.connectors.rails import TOKEN, Merchant, deposit, payout, rail


async def test_a_payout_from_accepted_to_completed() -> None:
    async with rail("[usual]\nends_after = 4") as merchant:
        identifier, said = await merchant.pay_out(
            clientReferenceId="INV-1", metadata=[{"orderId": "1", "isPII": True}]
        )
        assert said == {
            "payoutId": identifier,
            "status": "ACCEPTED",
            "created": "2026-06-23T10:00:00Z",
        }
        _, begun = await merchant.call("GET", f"/v2/payouts/{identifier}")
        assert begun["data"]["status"] == "ACCEPTED"
        assert "providerTransactionId" not in begun["data"]
        await merchant.pass_seconds(3)
        assert await merchant.status(identifier) == "PROCESSING"
        await merchant.pass_seconds(1)

        _, found = await merchant.call("GET", f"/v2/payouts/{identifier}")

        transaction = found["data"].pop("providerTransactionId")
        assert uuid.UUID(transaction).version == 4
        assert found == {
            "status": "FOUND",
            "data": {
                "payoutId": identifier,
                "status": "COMPLETED",
                "amount": "1000.00",
                "currency": "XAF",
                "country": "CMR",
                "recipient": payout()["recipient"],
                "created": "2026-06-23T10:00:00Z",
                "clientReferenceId": "INV-1",
                "metadata": {"orderId": "1"},
            },
        }


async def test_the_wallet_reserves_consumes_and_releases() -> None:
    async with rail('[account.balances]\n"CMR/XAF" = 1500') as merchant:
        await merchant.pay_out()
        assert await merchant.balance() == "500"
        _, said = await merchant.pay_out()
        assert said["status"] == "REJECTED"
        assert said["failureReason"]["failureCode"] == "PAWAPAY_WALLET_OUT_OF_FUNDS"
        await merchant.pass_seconds(1)
        await merchant.pay_out(amount="500", number="237653456089")
        assert await merchant.balance() == "0"

        await merchant.pass_seconds(1)

        assert await merchant.balance() == "500"


async def test_a_second_request_of_the_same_id_is_ignored_whatever_it_says() -> None:
    async with rail() as merchant:
        identifier, _ = await merchant.pay_out()
        _, again = await merchant.pay_out(identifier, amount="2000")
        await merchant.pass_seconds(1)

        assert again["status"] == "DUPLICATE_IGNORED"
        assert await merchant.balance() == "999999000"
        _, (row,) = await merchant.call("GET", "/simulator/operations")
        assert (row["submitted"], row["timesPaid"], row["amount"]) == (2, 1, "1000")


async def test_twenty_requests_of_one_id_at_once_are_one_payout() -> None:
    async with rail() as merchant:
        body = payout()
        said = await asyncio.gather(
            *(merchant.call("POST", "/v2/payouts", body) for _ in range(20))
        )

        statuses = sorted(answer["status"] for _, answer in said)
        assert statuses == ["ACCEPTED"] + ["DUPLICATE_IGNORED"] * 19
        assert await merchant.balance() == "999999000"


@pytest.mark.parametrize(
    ("number", "code"),
    [("237653456089", "RECIPIENT_NOT_FOUND"), ("237653456119", "UNSPECIFIED_FAILURE")],
)
async def test_test_numbers_fail_a_payout(number: str, code: str) -> None:
    async with rail() as merchant:
        identifier, _ = await merchant.pay_out(number=number)
        await merchant.pass_seconds(1)

        _, found = await merchant.call("GET", f"/v2/payouts/{identifier}")

        assert found["data"]["status"] == "FAILED"
        assert found["data"]["failureReason"]["failureCode"] == code


async def test_a_pending_number_stays_until_somebody_ends_it() -> None:
    async with rail() as merchant:
        identifier, _ = await merchant.pay_out(number="237653456129")
        await merchant.pass_seconds(86_400)
        assert await merchant.status(identifier) == "PROCESSING"

        _, said = await merchant.call("POST", "/simulator/end", {"id": identifier})

        assert said == {"ended": 1}
        assert await merchant.status(identifier) == "COMPLETED"


async def test_a_deposit_and_its_refunds() -> None:
    async with rail('[account.balances]\n"CMR/XAF" = 0') as merchant:
        body = deposit()
        identifier = body["depositId"]
        _, said = await merchant.call("POST", "/v2/deposits", body)
        assert (said["status"], said["nextStep"]) == ("ACCEPTED", "FINAL_STATUS")
        assert await refund(merchant, identifier) == "INVALID_STATE"
        await merchant.pass_seconds(1)
        assert await merchant.balance() == "1000"

        assert await refund(merchant, identifier, amount="400", currency="XAF") == "ACCEPTED"
        assert await refund(merchant, identifier) == "REFUND_IN_PROGRESS"
        await merchant.pass_seconds(1)
        assert await refund(merchant, identifier, amount="601", currency="XAF") == (
            "AMOUNT_TOO_LARGE"
        )
        assert await refund(merchant, identifier) == "ACCEPTED"
        await merchant.pass_seconds(1)

        assert await refund(merchant, identifier) == "DEPOSIT_ALREADY_REFUNDED"
        assert await refund(merchant, str(uuid.uuid4())) == "NOT_FOUND"
        assert await merchant.balance() == "0"
        _, books = await merchant.call("GET", "/simulator/books")
        assert books["unsound"] == []
        assert books["operations"]["REFUND"] == {"COMPLETED": 2}


async def refund(merchant: Merchant, deposit_id: str, **said: str) -> str:
    """The status that it is answered, or why not."""
    body = {"refundId": str(uuid.uuid4()), "depositId": deposit_id, **said}
    _, answer = await merchant.call("POST", "/v2/refunds", body)
    code = answer.get("failureReason", {}).get("failureCode")
    return str(code or answer["status"])


@pytest.mark.parametrize(
    ("headers", "status", "code"),
    [
        ({}, 401, "NO_AUTHENTICATION"),
        ({"Authorization": "Basic abc"}, 401, "NO_AUTHENTICATION"),
        ({"Authorization": "Bearer wrong"}, 403, "AUTHENTICATION_ERROR"),
    ],
)
async def test_nobody_else_may_call(headers: dict[str, str], status: int, code: str) -> None:
    async with rail() as merchant:
        for path in ("/v2/active-conf", "/simulator/books"):
            got, said = await merchant.call("GET", path, headers=headers)
            assert (got, said["failureReason"]["failureCode"]) == (status, code)


async def test_a_wrong_shape_is_400_and_nothing_is_accepted() -> None:
    async with rail() as merchant:
        for body, code in (
            (b"{", "INVALID_INPUT"),
            (payout(amount="100.50"), "INVALID_PARAMETER"),
            (payout(colour="red"), "UNSUPPORTED_PARAMETER"),
        ):
            status, said = await merchant.call("POST", "/v2/payouts", body)
            assert (status, said["failureReason"]["failureCode"]) == (400, code)
        _, books = await merchant.call("GET", "/simulator/books")
        assert books["operations"] == {}


async def test_while_an_operator_is_delayed_payouts_are_enqueued_and_deposits_refused() -> None:
    async with rail() as merchant:
        await set_availability(merchant, "DELAYED")
        identifier, said = await merchant.pay_out()
        other, _ = await merchant.pay_out()
        _, no = await merchant.call("POST", "/v2/deposits", deposit())
        await merchant.pass_seconds(600)

        assert said["status"] == "ACCEPTED"
        assert no["failureReason"]["failureCode"] == "PROVIDER_TEMPORARILY_UNAVAILABLE"
        assert await merchant.status(identifier) == "ENQUEUED"

        _, called_off = await merchant.call("POST", f"/v2/payouts/fail-enqueued/{other}")
        assert called_off == {"payoutId": other, "status": "ACCEPTED"}
        await set_availability(merchant, "OPERATIONAL")
        await merchant.pass_seconds(1)

        assert await merchant.status(identifier) == "COMPLETED"
        assert await merchant.status(other) == "FAILED"
        assert merchant.heard.heard[0]["failureReason"]["failureCode"] == "MANUALLY_CANCELLED"
        assert await merchant.balance() == "999999000"
        for asked, code in ((other, "INVALID_STATE"), (str(uuid.uuid4()), "NOT_FOUND")):
            _, no = await merchant.call("POST", f"/v2/payouts/fail-enqueued/{asked}")
            assert no["failureReason"]["failureCode"] == code


async def test_what_is_enqueued_waits_for_its_operator_and_for_nothing_else() -> None:
    async with rail() as merchant:
        await set_availability(merchant, "DELAYED")
        # Not even a mark ends it: 66611 would at once.
        waiting = [(await merchant.pay_out())[0], (await merchant.pay_out(amount="66611"))[0]]
        for status in ("DELAYED", "CLOSED", "DELAYED"):
            await set_availability(merchant, status)
            await merchant.pass_seconds(600)

        assert [await merchant.status(one) for one in waiting] == ["ENQUEUED", "ENQUEUED"]


async def test_a_refund_ends_as_a_deposit_of_its_number_would() -> None:
    async with rail() as merchant:
        body = deposit(number="237653456129")
        await merchant.call("POST", "/v2/deposits", body)
        await merchant.call("POST", "/simulator/end", {"id": body["depositId"]})
        assert await refund(merchant, body["depositId"]) == "ACCEPTED"
        await merchant.pass_seconds(3_600)

        _, books = await merchant.call("GET", "/simulator/books")

        assert books["operations"]["REFUND"] == {"PROCESSING": 1}


async def test_nothing_is_refunded_through_an_operator_that_is_closed() -> None:
    async with rail() as merchant:
        body = deposit()
        await merchant.call("POST", "/v2/deposits", body)
        await merchant.pass_seconds(1)
        await set_availability(merchant, "CLOSED")

        assert await refund(merchant, body["depositId"]) == "PROVIDER_TEMPORARILY_UNAVAILABLE"


async def set_availability(merchant: Merchant, status: str) -> None:
    body = {"provider": "MTN_MOMO_CMR", "status": status}
    assert (await merchant.call("POST", "/simulator/availability", body))[0] == 200


async def test_an_operator_closes_when_the_scenario_says_and_opens_again() -> None:
    closing = """
        [[operators]]
        provider = "MTN_MOMO_CMR"
        status = "CLOSED"
        after = 60
        [[operators]]
        provider = "MTN_MOMO_CMR"
        status = "OPERATIONAL"
        after = 120
    """
    async with rail(closing) as merchant:
        answers = []
        for _ in range(3):
            answers.append((await merchant.pay_out())[1]["status"])
            await merchant.pass_seconds(60)

        assert answers == ["ACCEPTED", "REJECTED", "ACCEPTED"]


async def test_a_bulk_is_answered_one_by_one() -> None:
    async with rail() as merchant:
        good, bad = payout(), payout(amount="1")
        _, said = await merchant.call("POST", "/v2/payouts/bulk", [good, bad, good])

        assert [one["status"] for one in said] == ["ACCEPTED", "REJECTED", "DUPLICATE_IGNORED"]
        assert said[1]["failureReason"]["failureCode"] == "AMOUNT_OUT_OF_BOUNDS"


async def test_its_configuration_its_availability_and_predictions() -> None:
    async with rail() as merchant:
        _, configuration = await merchant.call("GET", "/v2/active-conf?country=CMR")
        assert configuration["signatureConfiguration"] == {
            "signedRequestsOnly": False,
            "signedCallbacks": True,
        }
        (cameroon,) = configuration["countries"]
        types = cameroon["providers"][0]["currencies"][0]["operationTypes"]
        assert types["PAYOUT"]["callbackUrl"] == merchant.heard.url
        _, (row,) = await merchant.call("GET", "/v2/availability?country=CMR&operationType=PAYOUT")
        assert row["providers"][0]["operationTypes"] == [
            {"operationType": "PAYOUT", "status": "OPERATIONAL"}
        ]
        assert (await merchant.call("GET", "/v2/availability?operationType=X"))[0] == 400
        _, predicted = await merchant.call(
            "POST", "/v2/predict-provider", {"phoneNumber": "+237 653 456 789"}
        )
        assert predicted == {
            "country": "CMR",
            "provider": "MTN_MOMO_CMR",
            "phoneNumber": "237653456789",
        }
        status, no = await merchant.call("POST", "/v2/predict-provider", {"phoneNumber": "1"})
        assert (status, no["failureReason"]["failureCode"]) == (400, "INVALID_PARAMETER")


@pytest.mark.parametrize("compressed", [False, True])
async def test_a_statement_is_made_told_and_fetched(compressed: bool) -> None:
    async with rail("[account.fees]\nPAYOUT = 100") as merchant:
        identifier, _ = await merchant.pay_out(clientReferenceId="INV-1")
        await merchant.pass_seconds(1)
        _, said = await merchant.call("POST", "/v2/statements", wanted(merchant, compressed))
        _, begun = await merchant.call("GET", f"/v2/statements/{said['statementId']}")
        assert begun["data"]["status"] == "PROCESSING"
        await merchant.pass_seconds(1)

        told = merchant.heard.heard[-1]
        assert (told["statementId"], told["status"]) == (said["statementId"], "COMPLETED")
        # The address is its own secret: no token goes with it.
        async with merchant.session.get(told["downloadUrl"]) as answer:
            raw = await answer.read()
        assert len(raw) == told["fileSize"]
        text = (gzip.decompress(raw) if compressed else raw).decode()
        topped_up, paid = csv.DictReader(text.splitlines())
        assert (topped_up["Transaction Type"], topped_up["Amount"]) == ("TOPUP", "1000000000")
        assert (paid["Transaction ID"], paid["Client Reference"]) == (identifier, "INV-1")
        assert (paid["Amount"], paid["Fee"], paid["Net Amount"]) == ("1000", "10", "-1010")


async def test_a_statement_is_of_one_wallet_and_ends_before_its_last_moment() -> None:
    async with rail() as merchant:
        first, _ = await merchant.pay_out()
        await merchant.pass_seconds(1)
        second, _ = await merchant.pay_out()
        await merchant.pass_seconds(1)
        body = wanted(merchant) | {"endDate": "2026-06-23T10:00:02"}
        await merchant.call("POST", "/v2/statements", body)
        await merchant.pass_seconds(1)

        url = merchant.heard.heard[-1]["downloadUrl"]
        async with merchant.session.get(url) as answer:
            text = await answer.text()

        assert (first in text, second in text) == (True, False)
        assert text.count("TOPUP") == 1


def wanted(merchant: Merchant, compressed: bool = False) -> dict[str, object]:
    return {
        "wallet": {"country": "CMR", "currency": "XAF"},
        "callbackUrl": merchant.heard.url,
        "startDate": "2026-06-23T00:00:00",
        "endDate": "2026-06-24T00:00:00",
        "compressed": compressed,
    }


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"wallet": {"country": "CMR", "currency": "XOF"}}, "WALLET_NOT_FOUND"),
        ({"endDate": "2026-06-23T00:00:00"}, "INVALID_DATE_RANGE"),
        ({"endDate": "2026-07-24T00:00:01"}, "INVALID_DATE_RANGE"),
        ({"callbackUrl": "http://merchant.test/hook"}, "INVALID_CALLBACK_URL"),
        ({"startDate": "yesterday"}, "INVALID_PARAMETER"),
        ({"colour": "red"}, "INVALID_PARAMETER"),
    ],
)
async def test_a_statement_that_cannot_be_made(changed: dict[str, object], code: str) -> None:
    async with rail() as merchant:
        status, said = await merchant.call("POST", "/v2/statements", wanted(merchant) | changed)

        assert (status, said["failureReason"]["failureCode"]) == (400, code)


async def test_unknown_ids_and_paths() -> None:
    async with rail() as merchant:
        unknown = uuid.uuid4()
        for folder in ("deposits", "payouts", "refunds", "statements"):
            assert await merchant.status(str(unknown), folder) == "NOT_FOUND"
        assert (await merchant.call("GET", "/v2/payouts/none"))[0] == 400
        assert (await merchant.call("GET", "/v2/nothing"))[0] == 404
        assert (await merchant.call("DELETE", "/v2/payouts"))[0] == 405
        assert (await merchant.call("POST", "/v2/payouts", b" " * 1_000_001))[0] == 413
        assert (await merchant.call("GET", f"/v2/statements/files/{unknown}.csv"))[0] == 404


async def test_requests_must_be_signed_where_a_key_is_given() -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    async with rail(request_keys={"merchant": key.public_key()}) as merchant:
        _, configuration = await merchant.call("GET", "/v2/active-conf")
        assert configuration["signatureConfiguration"]["signedRequestsOnly"] is True
        status, said = await merchant.call("POST", "/v2/payouts", payout())
        assert (status, said["failureReason"]["failureCode"]) == (403, "HTTP_SIGNATURE_ERROR")

        for raw in (False, True):
            assert await signed_payout(merchant, Signer(key, "merchant", raw=raw)) == 200
        assert await signed_payout(merchant, Signer(key, "another", raw=False)) == 403
        other = ec.generate_private_key(ec.SECP256R1())
        assert await signed_payout(merchant, Signer(other, "merchant", raw=False)) == 403


async def signed_payout(merchant: Merchant, signer: Signer) -> int:
    body = json.dumps(payout()).encode()
    host = merchant.url.removeprefix("http://")
    headers = signer.headers(
        "POST", host, "/v2/payouts", "application/json", body, merchant.clock.now()
    )
    sent = headers | {"Authorization": f"Bearer {TOKEN}"}
    return (await merchant.call("POST", "/v2/payouts", body, sent))[0]
