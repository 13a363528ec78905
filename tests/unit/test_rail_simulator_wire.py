"""What the rail simulator takes and refuses, in pawaPay's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.catalogue.data import catalogue
from kpay.catalogue.model import OperationType
from kpay.rail_simulator.account import Account, Availability
from kpay.rail_simulator.wire import Fault, parse, read_bulk, read_request

ID = "f4401bd2-1568-4140-bf2d-eb77d2b2b639"
PAYOUT, DEPOSIT, REFUND = OperationType.PAYOUT, OperationType.DEPOSIT, OperationType.REFUND


def payout(**changed: Any) -> dict[str, Any]:
    body = {
        "payoutId": ID,
        "amount": "1000",
        "currency": "XAF",
        "recipient": party(),
    } | changed
    return {name: value for name, value in body.items() if value is not None}


def party(**changed: Any) -> dict[str, Any]:
    details = {"phoneNumber": "237653456789", "provider": "MTN_MOMO_CMR"} | changed
    return {
        "type": "MMO",
        "accountDetails": {name: value for name, value in details.items() if value is not None},
    }


def account() -> Account:
    return Account(
        catalogue(),
        company="Acme",
        callback_urls={},
        signed_requests_only=False,
        signed_callbacks=True,
    )


def code(said: Any, type_: OperationType = PAYOUT) -> tuple[int, str]:
    with pytest.raises(Fault) as fault:
        account().judge(read_request(type_, said))
    return fault.value.status, fault.value.code


@pytest.mark.parametrize("amount", ["1000", "100.5", "100.05", "0.5", "999999999999999999"])
def test_amounts_that_its_pattern_takes(amount: str) -> None:
    assert read_request(PAYOUT, payout(amount=amount)).amount == amount


@pytest.mark.parametrize("amount", ["100.50", "100.00", "01", "-1", "1e3", " 1", "", "1."])
def test_amounts_that_its_pattern_refuses(amount: str) -> None:
    assert code(payout(amount=amount)) == (400, "INVALID_PARAMETER")


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (payout(payoutId=None), "MISSING_PARAMETER"),
        (payout(amount=None), "MISSING_PARAMETER"),
        (payout(currency=None), "MISSING_PARAMETER"),
        (payout(recipient=None), "MISSING_PARAMETER"),
        (payout(recipient=party(provider=None)), "MISSING_PARAMETER"),
        (payout(recipient={"type": "MMO"}), "MISSING_PARAMETER"),
        (payout(colour="red"), "UNSUPPORTED_PARAMETER"),
        (payout(statementDescription="of version 1"), "UNSUPPORTED_PARAMETER"),
        (payout(recipient=party(name="A")), "UNSUPPORTED_PARAMETER"),
        (payout(payoutId="pay_1"), "INVALID_PARAMETER"),
        (payout(payoutId="f4401bd2-1568-1140-bf2d-eb77d2b2b639"), "INVALID_PARAMETER"),
        (payout(amount=1000), "INVALID_PARAMETER"),
        (payout(currency="xaf"), "INVALID_PARAMETER"),
        (payout(recipient=party() | {"type": "MSISDN"}), "INVALID_PARAMETER"),
        (payout(recipient="237653456789"), "INVALID_PARAMETER"),
        (payout(customerMessage="abc"), "INVALID_PARAMETER"),
        (payout(customerMessage="a" * 23), "INVALID_PARAMETER"),
        (payout(customerMessage="Order #1"), "INVALID_PARAMETER"),
        (payout(metadata={"a": "b"}), "INVALID_PARAMETER"),
        (payout(metadata=[{"a": "b", "c": "d"}]), "INVALID_PARAMETER"),
        (payout(metadata=[{"a": 1}]), "INVALID_PARAMETER"),
        (payout(metadata=[{"a": "b"}] * 11), "INVALID_PARAMETER"),
        (payout(metadata=[{"a": "b"}, {"a": "c"}]), "DUPLICATE_METADATA_FIELD"),
        ([payout()], "INVALID_PARAMETER"),
    ],
)
def test_a_wrong_shape_is_400(said: Any, wanted: str) -> None:
    assert code(said) == (400, wanted)


@pytest.mark.parametrize(
    ("said", "wanted"),
    [
        (payout(recipient=party(provider="MTN_MOMO_XYZ")), "INVALID_PROVIDER"),
        (payout(recipient=party(provider="ORANGE_GAB")), "INVALID_PROVIDER"),
        (payout(recipient=party(provider="WAVE_SEN")), "INVALID_PROVIDER"),
        (payout(currency="XOF"), "INVALID_CURRENCY"),
        (payout(recipient=party(phoneNumber="+237653456789")), "INVALID_PHONE_NUMBER"),
        (payout(recipient=party(phoneNumber="653456789")), "INVALID_PHONE_NUMBER"),
        (payout(recipient=party(phoneNumber="254703456789")), "INVALID_PHONE_NUMBER"),
        (payout(amount="1000.5"), "INVALID_AMOUNT"),
        (payout(amount="99"), "AMOUNT_OUT_OF_BOUNDS"),
        (payout(amount="500001"), "AMOUNT_OUT_OF_BOUNDS"),
    ],
)
def test_what_the_account_may_not_do_comes_with_200(said: Any, wanted: str) -> None:
    assert code(said) == (200, wanted)


@pytest.mark.parametrize("amount", ["100", "500000"])
def test_both_bounds_of_the_amount_are_allowed(amount: str) -> None:
    assert account().judge(read_request(PAYOUT, payout(amount=amount))).amount.minor == (
        int(amount) * 100
    )


def test_decimals_are_the_operator_s_own_and_differ_by_operation() -> None:
    kenyan = {"provider": "MPESA_KEN", "phoneNumber": "254703456789"}
    out = payout(currency="KES", amount="100.55", recipient=party(**kenyan))
    into = {**out, "depositId": ID, "payer": out["recipient"]}
    del into["payoutId"], into["recipient"]

    assert account().judge(read_request(PAYOUT, out)).amount.minor == 10_055
    assert code(into, DEPOSIT) == (200, "INVALID_AMOUNT")


def test_deposits_are_refused_while_an_operator_is_delayed_and_payouts_are_not() -> None:
    into = payout(depositId=ID, payer=party(), payoutId=None, recipient=None)
    made = account()
    made.set_availability("MTN_MOMO_CMR", None, Availability.DELAYED)

    made.judge(read_request(PAYOUT, payout()))
    with pytest.raises(Fault) as fault:
        made.judge(read_request(DEPOSIT, into))
    assert fault.value.code == "PROVIDER_TEMPORARILY_UNAVAILABLE"

    made.set_availability("MTN_MOMO_CMR", PAYOUT, Availability.CLOSED)
    with pytest.raises(Fault) as fault:
        made.judge(read_request(PAYOUT, payout()))
    assert fault.value.code == "PROVIDER_TEMPORARILY_UNAVAILABLE"


def test_metadata_comes_back_flat() -> None:
    said = payout(metadata=[{"orderId": "1"}, {"customer": "x", "isPII": True}])

    assert read_request(PAYOUT, said).metadata == {"orderId": "1", "customer": "x"}


def test_a_refund_names_a_deposit_and_an_amount_with_its_currency_or_neither() -> None:
    whole = {"refundId": ID, "depositId": ID}

    assert read_request(REFUND, whole).deposit_id == ID
    assert read_request(REFUND, whole | {"amount": "5", "currency": "XAF"}).amount == "5"
    for said in (whole | {"amount": "5"}, whole | {"currency": "XAF"}, {"refundId": ID}):
        with pytest.raises(Fault) as fault:
            read_request(REFUND, said)
        assert fault.value.code == "MISSING_PARAMETER"


def test_a_bulk_is_an_array_of_at_most_twenty() -> None:
    assert len(read_bulk([payout()] * 20)) == 20
    for wrong in ([payout()] * 21, [], payout(), [payout(), payout(amount=None)]):
        with pytest.raises(Fault) as fault:
            read_bulk(wrong)
        assert fault.value.status == 400


@pytest.mark.parametrize("body", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_is_invalid_input(body: bytes) -> None:
    with pytest.raises(Fault) as fault:
        parse(body)
    assert (fault.value.status, fault.value.code) == (400, "INVALID_INPUT")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=8,
)


@given(st.sampled_from(["payoutId", "amount", "currency", "phoneNumber", "metadata"]), JSON)
def test_whatever_is_sent_is_taken_or_refused_in_its_own_words(name: str, value: Any) -> None:
    said = payout(recipient=party(phoneNumber=value))
    if name != "phoneNumber":
        said = payout() | {name: value}

    fault = refused(said)

    assert fault is None or fault.status in (200, 400)
    assert fault is None or fault.message.endswith(".")


def refused(said: Any) -> Fault | None:
    try:
        account().judge(read_request(PAYOUT, said))
    except Fault as fault:
        return fault
    return None


@pytest.mark.parametrize(
    ("said", "provider", "number"),
    [
        ("25007 834-56789a", "MTN_MOMO_RWA", "250783456789"),
        ("+237 653 45 67 89", "MTN_MOMO_CMR", "237653456789"),
        ("00237653456789", "MTN_MOMO_CMR", "237653456789"),
        ("242063456789", "MTN_MOMO_COG", "242063456789"),
        ("2250503456789", "MTN_MOMO_CIV", "2250503456789"),
    ],
)
def test_numbers_are_cleaned_and_their_provider_is_predicted(
    said: str, provider: str, number: str
) -> None:
    found = account().predict(said)

    assert (found["provider"], found["phoneNumber"]) == (provider, number)


@pytest.mark.parametrize("said", ["", "abc", "999123456789", "2371"])
def test_a_number_of_nobody_is_not_predicted(said: str) -> None:
    with pytest.raises(Fault):
        account().predict(said)


def test_its_configuration_says_bounds_decimals_and_who_is_up() -> None:
    made = account()
    made.set_availability("MPESA_KEN", PAYOUT, Availability.CLOSED)

    (kenya,) = made.configuration("KEN", None)["countries"]

    (mpesa,) = kenya["providers"]
    types = mpesa["currencies"][0]["operationTypes"]
    assert types["DEPOSIT"]["decimalsInAmount"] == "NONE"
    assert types["PAYOUT"]["decimalsInAmount"] == "TWO_PLACES"
    assert types["PAYOUT"]["status"] == "CLOSED"
    assert (types["PAYOUT"]["minAmount"], types["PAYOUT"]["maxAmount"]) == ("100", "500000")
    assert json.dumps(made.availabilities("KEN", PAYOUT)).count("CLOSED") == 1
    assert "ORANGE_GAB" not in json.dumps(made.configuration(None, None))
