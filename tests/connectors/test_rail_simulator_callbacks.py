"""Callbacks of the rail simulator: signed, sent again for fifteen minutes, and wrong on purpose."""

from __future__ import annotations

import re
from typing import Any

import pytest
from aiohttp import web
from cryptography.hazmat.primitives.serialization import load_pem_public_key
from yarl import URL

from kpay.rail_simulator.signatures import Message, PublicKey, SignatureError, verify
from tests.connectors.rails import Merchant, deposit, rail
from tests.receivers import Heard


async def verified(merchant: Merchant, heard: Heard) -> bool:
    """Whether a callback is signed by the key that the rail publishes."""
    _, (published,) = await merchant.call("GET", "/v2/public-key/http")
    key: Any = load_pem_public_key(published["key"].encode())
    keys: dict[str, PublicKey] = {published["id"]: key}
    url = URL(merchant.heard.url)
    headers = {name.lower(): value for name, value in heard.headers.items()}
    assert headers["host"] == url.authority
    message = Message("POST", headers["host"], heard.path, headers)
    try:
        verify(message, heard.raw, keys, merchant.clock.now())
    except SignatureError:
        return False
    return True


async def test_an_end_is_told_signed_and_once() -> None:
    async with rail() as merchant:
        identifier, _ = await merchant.pay_out(
            clientReferenceId="INV-1", customerMessage="Thank you", metadata=[{"orderId": "1"}]
        )
        assert merchant.heard.heard == []
        await merchant.pass_seconds(1)

        (heard,) = merchant.heard.heard
        assert await verified(merchant, heard)
        await merchant.pass_seconds(3_600)
        assert len(merchant.heard.heard) == 1
        assert heard["payoutId"] == identifier
        assert (heard["status"], heard["amount"]) == ("COMPLETED", "1000.0000")
        assert (heard["country"], heard["currency"]) == ("CMR", "XAF")
        assert heard["recipient"]["accountDetails"]["provider"] == "MTN_MOMO_CMR"
        assert heard["metadata"] == {"orderId": "1"}
        assert heard["customerMessage"] == "Thank you"
        assert b"clientReferenceId" not in heard.raw
        assert b"failureReason" not in heard.raw
        _, found = await merchant.call("GET", f"/v2/payouts/{identifier}")
        assert heard["providerTransactionId"] == found["data"]["providerTransactionId"]


async def test_a_deposit_s_callback_names_the_payer() -> None:
    async with rail() as merchant:
        await merchant.call("POST", "/v2/deposits", deposit(number="237653456019"))
        await merchant.pass_seconds(1)

        (heard,) = merchant.heard.heard
        assert heard["payer"]["accountDetails"]["phoneNumber"] == "237653456019"
        assert heard["failureReason"]["failureCode"] == "PAYER_LIMIT_REACHED"


@pytest.mark.parametrize(("signatures", "good"), [("raw", True), ("none", False)])
async def test_signatures_are_raw_or_none_if_wanted(signatures: str, good: bool) -> None:
    async with rail(signatures=signatures) as merchant:
        await merchant.pay_out()
        await merchant.pass_seconds(1)

        (heard,) = merchant.heard.heard
        assert await verified(merchant, heard) is good
        assert ("Signature" in heard.headers) is good
        _, configuration = await merchant.call("GET", "/v2/active-conf")
        assert configuration["signatureConfiguration"]["signedCallbacks"] is good


async def test_anything_but_200_is_sent_again_until_it_is_200() -> None:
    async with rail("", 500, 201, 204, web.Response(status=302), 404) as merchant:
        await merchant.pay_out()
        await merchant.pass_seconds(3_600)

        assert merchant.told() == ["COMPLETED"] * 6
        _, said = await merchant.call("GET", "/simulator/callbacks")
        (row,) = said["callbacks"]
        assert row["answers"] == [500, 201, 204, 302, 404, 200]
        assert row["delivered"] is True


async def test_after_fifteen_minutes_it_is_given_up_and_sent_only_when_asked() -> None:
    async with rail(otherwise=500) as merchant:
        identifier, _ = await merchant.pay_out()
        await merchant.pass_seconds(1 + 14 * 60)
        tried = len(merchant.told())
        await merchant.pass_seconds(60)
        assert len(merchant.told()) == tried + 1
        await merchant.pass_seconds(86_400)
        assert len(merchant.told()) == tried + 1
        _, said = await merchant.call("GET", "/simulator/callbacks")
        assert said["counts"]["given_up"] == 1

        merchant.heard.otherwise = 200
        _, again = await merchant.call("POST", f"/v2/payouts/resend-callback/{identifier}")
        await merchant.pass_seconds(0)

        assert again == {"payoutId": identifier, "status": "ACCEPTED"}
        assert len(merchant.told()) == tried + 2
        assert await verified(merchant, merchant.heard.heard[-1])


async def test_what_has_not_ended_has_no_callback_to_send_again() -> None:
    async with rail() as merchant:
        identifier, _ = await merchant.pay_out()

        _, said = await merchant.call("POST", f"/v2/payouts/resend-callback/{identifier}")

        assert said["failureReason"]["failureCode"] == "INVALID_STATE"


@pytest.mark.parametrize(
    ("amount", "after", "told"),
    [
        ("66612", 5, ["COMPLETED", "COMPLETED"]),
        ("66614", 3, ["COMPLETED", "PROCESSING"]),
        ("66615", 5, ["COMPLETED", "FAILED"]),
        ("66616", 30, ["FAILED", "COMPLETED"]),
        ("66617", 3_600, []),
    ],
)
async def test_callbacks_that_are_wrong_on_purpose(
    amount: str, after: int, told: list[str]
) -> None:
    async with rail() as merchant:
        identifier, _ = await merchant.pay_out(amount=amount)
        await merchant.pass_seconds(1 + after)

        assert merchant.told() == told
        # A lie is signed as well as the truth.
        for heard in merchant.heard.heard[-1:]:
            assert await verified(merchant, heard)
        assert await merchant.status(identifier) == "COMPLETED"


async def test_a_late_callback_comes_after_ten_minutes() -> None:
    async with rail() as merchant:
        await merchant.pay_out(amount="66613")
        await merchant.pass_seconds(600)
        assert merchant.told() == []
        await merchant.pass_seconds(1)

        assert merchant.told() == ["COMPLETED"]


async def test_a_callback_may_come_before_the_answer() -> None:
    order: list[str] = []

    async def hear(_request: web.Request) -> web.Response:
        order.append("callback")
        return web.Response()

    async with rail("", hear) as merchant:
        identifier, said = await merchant.pay_out(amount="66611")
        order.append("answer")

        assert order == ["callback", "answer"]
        assert said["status"] == "ACCEPTED"
        assert await merchant.status(identifier) == "COMPLETED"
        await merchant.pass_seconds(3_600)
        assert len(merchant.heard.heard) == 1


@pytest.mark.parametrize("amount", ["66621", "66622"])
async def test_a_signature_may_be_wrong_and_is_right_when_it_is_sent_again(amount: str) -> None:
    async with rail("", 401) as merchant:
        await merchant.pay_out(amount=amount)
        await merchant.pass_seconds(6)

        first, second = merchant.heard.heard
        assert not await verified(merchant, first)
        assert await verified(merchant, second)
        assert first.raw == second.raw
        assert bool(re.search("Signature", " ".join(first.headers))) is (amount == "66621")


async def test_a_receiver_that_is_not_there_is_tried_again() -> None:
    nowhere = '[callbacks]\nPAYOUT = "http://127.0.0.1:1/"'
    async with rail(nowhere, callbacks=False) as merchant:
        await merchant.pay_out()
        await merchant.pass_seconds(6)

        _, said = await merchant.call("GET", "/simulator/callbacks")
        assert said["callbacks"][0]["answers"] == [None, None]
