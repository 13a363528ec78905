"""What MTN's answers mean. Pure: an answer and the instruction that it is about go in.

It takes an instruction or it does not, and says nothing of why that could be relied on: what it did
not take it has never seen, and a status check says so. Failed is only what it says has FAILED.
"""

from __future__ import annotations

from typing import Any

from kpay.connectors.amounts import read_rail_amount
from kpay.connectors.model import Accepted, Instruction, NotFound, Outcome, Paid, Refused, Unknown
from kpay.connectors.wire import Answer
from kpay.core.money import Money

_UNSPECIFIED = "UNSPECIFIED_FAILURE"
# CREATED is in no document, and comes for a moment before PENDING.
_UNDER_WAY = ("PENDING", "CREATED")
# Credentials that are not good, an address or a country that MTN does not let us use.
_OURS = (401, 403)
_OURS_THOUGH_500 = frozenset(
    {
        "NOT_ALLOWED",
        "NOT_ALLOWED_TARGET_ENVIRONMENT",
        "INVALID_CALLBACK_URL_HOST",
        "INVALID_CURRENCY",
    }
)


def of_submission(answer: Answer) -> Outcome:
    """What came of handing an instruction over; taken, the answer is empty."""
    code = answer.read_object().get("code")
    if answer.status == 202:
        return Accepted({"http": 202})
    if answer.status == 409 and code == "RESOURCE_ALREADY_EXIST":
        return Accepted(answer.evidence)
    return _unknown(answer)


def of_status(answer: Answer, instruction: Instruction, currency: str) -> Outcome:
    """What a status check says; one that failed is answered with 200 as well."""
    said = answer.read_object()
    if answer.status == 404 and said.get("code") == "RESOURCE_NOT_FOUND":
        return NotFound(answer.evidence)
    if answer.status != 200:
        return _unknown(answer)
    external_id = said.get("externalId")
    if external_id is not None and external_id != str(instruction.reference):
        return Unknown("the answer is about something else", answer.evidence, alarm=True)
    match said.get("status"):
        case "SUCCESSFUL":
            agreed = Money(instruction.amount.minor, currency)
            if read_rail_amount(said.get("amount"), said.get("currency")) != agreed:
                return Unknown(
                    "paid, and not what was agreed", answer.evidence, alarm=True, contradicts=True
                )
            return Paid(answer.evidence)
        case "FAILED":
            return Refused(_reason(said.get("reason")), answer.evidence)
        case status if status in _UNDER_WAY:
            return Accepted(answer.evidence)
        case _:
            return _unknown(answer)


def _unknown(answer: Answer) -> Unknown:
    code = answer.read_object().get("code")
    ours = answer.status in _OURS or (isinstance(code, str) and code in _OURS_THOUGH_500)
    if ours:
        return Unknown("our account is not accepted", answer.evidence, alarm=True)
    return Unknown("the answer cannot be understood", answer.evidence)


def _reason(reason: Any) -> str:
    """A word, or an object that has one."""
    found = reason.get("code") if isinstance(reason, dict) else reason
    return found if isinstance(found, str) and found else _UNSPECIFIED
