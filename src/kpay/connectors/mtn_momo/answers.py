"""What MTN's answers mean. Pure: an answer and the instruction that it is about go in.

It takes an instruction or it does not, and says nothing of why that could be relied on: what it did
not take it has never seen, and a status check says so. Failed is only what it says has FAILED.
"""

from __future__ import annotations

from typing import Any

from kpay.catalogue.model import OperationType
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

# Trouble of MTN's, or of our contract. INTERNAL_PROCESSING_ERROR is none of it: MTN says that of a
# payer without money as well.
_OWN_TROUBLE = frozenset({"SERVICE_UNAVAILABLE", "NOT_ALLOWED_TARGET_ENVIRONMENT"})
# MTN's payer is ours where we pay: it is our account that is empty then, or has reached its limit.
_OUT_OF_FUNDS = "NOT_ENOUGH_FUNDS"
_OURS_AS_PAYER = frozenset({_OUT_OF_FUNDS, "PAYER_LIMIT_REACHED"})


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
            code = _reason(said.get("reason"))
            own = _is_own(code, instruction.type)
            empty = own and code == _OUT_OF_FUNDS
            return Refused(code, answer.evidence, alarm=empty, own_trouble=own)
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


def _is_own(code: str, type_: OperationType) -> bool:
    """Whether it failed for a reason that is neither the payer's nor the beneficiary's."""
    return code in _OWN_TROUBLE or (type_ is not OperationType.DEPOSIT and code in _OURS_AS_PAYER)


def _reason(reason: Any) -> str:
    """A word, or an object that has one."""
    found = reason.get("code") if isinstance(reason, dict) else reason
    return found if isinstance(found, str) and found else _UNSPECIFIED
