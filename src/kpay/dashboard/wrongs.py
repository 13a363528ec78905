"""What was refused of moving money, in words and at a field: by its code, never by its sentence."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kpay.core.limits import Limits
from kpay.core.money import Money
from kpay.core.refusals import Code
from kpay.dashboard.speech import Speech

SOURCE, DESTINATION, AMOUNT = "from", "to", "amount"
PHONE, PROVIDER = "phone", "provider"
REFERENCE, DESCRIPTION = "reference", "description"
# What no single field can mend.
WHOLE = "whole"

FIELDS: Mapping[Code, str] = {
    Code.NO_WALLET: SOURCE,
    Code.SAME_COUNTRY: DESTINATION,
    Code.UNSUPPORTED_COUNTRY: DESTINATION,
    Code.INVALID_AMOUNT: AMOUNT,
    Code.AMOUNT_OUT_OF_BOUNDS: AMOUNT,
    Code.TRANSFER_EXCEEDS_BALANCE: AMOUNT,
    Code.WITHDRAWAL_EXCEEDS_BALANCE: AMOUNT,
    Code.INVALID_PHONE_NUMBER: PHONE,
    Code.NOT_A_TEST_NUMBER: PHONE,
    Code.UNKNOWN_PROVIDER: PROVIDER,
    Code.PROVIDER_SUSPENDED: PROVIDER,
    Code.PROVIDER_CLOSED: PROVIDER,
    Code.PROVIDER_NOT_ALLOWED: PROVIDER,
    Code.EXTERNAL_ID_USED: REFERENCE,
    Code.NO_RATE: WHOLE,
}
"""Where each refusal is said. What is not here is none that a form could mend."""


class About(msgspec.Struct, frozen=True):
    """What the words need to know of what was typed."""

    amount: Money | None = None
    limits: Limits | None = None
    available: Money | None = None
    calling_code: str | None = None
    """Of the operator that was chosen; None where it is still to be guessed from the number."""


def missing(speech: Speech, field: str) -> str:
    """What is said beside a field that was left empty."""
    say = speech.say
    return {
        AMOUNT: say("Write an amount."),
        PHONE: say("Write the beneficiary’s number."),
    }[field]


def words(speech: Speech, code: Code, about: About) -> str:
    """What is wrong and what to do, for one of FIELDS."""
    if FIELDS[code] == AMOUNT:
        return _amount_words(speech, code, about)
    say = speech.say
    if code is Code.INVALID_PHONE_NUMBER and about.calling_code is not None:
        return say(
            "This is no mobile number of the operator’s country: those begin with +%(code)s.",
            code=about.calling_code,
        )
    return {
        Code.NO_WALLET: say("There is no wallet in this country yet."),
        Code.SAME_COUNTRY: say("Choose another country than the one that the money leaves."),
        Code.UNSUPPORTED_COUNTRY: say("This country is not served."),
        Code.INVALID_PHONE_NUMBER: say(
            "No operator is known for this number: write it with its country’s calling code, or "
            "choose the operator."
        ),
        Code.NOT_A_TEST_NUMBER: say(
            "Only test numbers are known in test: choose one of those that the field suggests."
        ),
        Code.UNKNOWN_PROVIDER: say("Choose an operator of the list."),
        Code.PROVIDER_SUSPENDED: say("This operator is suspended for now: choose another."),
        Code.PROVIDER_CLOSED: say("This operator is closed at the moment: choose another."),
        Code.PROVIDER_NOT_ALLOWED: say("Your application may not use this operator."),
        Code.EXTERNAL_ID_USED: say(
            "This reference was used before. Look whether it was paid already, or write another."
        ),
        Code.NO_RATE: say(
            "There is no exchange rate that is fresh enough at the moment: try again in half a "
            "minute. Nothing was moved."
        ),
    }[code]


def _amount_words(speech: Speech, code: Code, about: About) -> str:
    say, limits, available = speech.say, about.limits, about.available
    if code is Code.INVALID_AMOUNT:
        return say(
            "Write a number above zero with at most two decimals, such as %(example)s.",
            example=speech.number(50_000),
        )
    if code is Code.AMOUNT_OUT_OF_BOUNDS:
        amount = about.amount
        if limits is None or (amount and limits.least.minor <= amount.minor <= limits.most.minor):
            return say("What arrives would be too little or too much there: write another amount.")
        return say(
            "Write an amount from %(least)s to %(most)s.",
            least=speech.money(limits.least),
            most=speech.money(limits.most),
        )
    if available is None:
        return say("The wallet does not hold as much.")
    return say("The wallet has only %(money)s available.", money=speech.money(available))
