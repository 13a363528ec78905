"""What pawaPay's answers mean. Pure: an answer and the instruction that it is about go in.

A failure is concluded from three things only: REJECTED with a reason, FAILED, and, by whoever knows
the instruction's age, NOT_FOUND. Everything else that is no plain success is unknown.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from kpay.connectors.amounts import read_rail_amount
from kpay.connectors.capabilities import CancelAnswer, Cancelling, Declined
from kpay.connectors.model import (
    Accepted,
    Evidence,
    Instruction,
    NotFound,
    Outcome,
    Paid,
    Refused,
    Unknown,
)
from kpay.connectors.wire import Answer, NoAnswer
from kpay.core.ids import parse_uuid

_OK = 200
_KEY_NOT_ACCEPTED = (401, 403)
# Says of itself that nothing may be concluded from it.
_UNKNOWN_ERROR = "UNKNOWN_ERROR"
_UNSPECIFIED = "UNSPECIFIED_FAILURE"
# Our account there has run empty: every merchant's payout of that country fails until it is filled.
_OUT_OF_FUNDS = "PAWAPAY_WALLET_OUT_OF_FUNDS"
# Trouble of pawaPay's, or of our account there: nothing is wrong with who pays or is paid. What is
# not in this list is not known to be so, UNSPECIFIED_FAILURE above all.
_OWN_TROUBLE = frozenset(
    {
        _OUT_OF_FUNDS,
        "PROVIDER_TEMPORARILY_UNAVAILABLE",
        "AMOUNT_OUT_OF_BOUNDS",
        "DEPOSITS_NOT_ALLOWED",
        "PAYOUTS_NOT_ALLOWED",
    }
)
# Called off while it was enqueued, by us or in pawaPay's dashboard.
_CANCELLED = "MANUALLY_CANCELLED"
_UNDER_WAY = frozenset({"ACCEPTED", "ENQUEUED", "PROCESSING", "SUBMITTED", "IN_RECONCILIATION"})


def of_submission(answer: Answer, instruction: Instruction, id_field: str) -> Outcome:
    """What came of handing an instruction over."""
    said = answer.read_object()
    trouble = _trouble(answer)
    if trouble is not None:
        return trouble
    if id_field in said and not _is_ours(said[id_field], instruction):
        return Unknown("the answer is about something else", answer.evidence, alarm=True)
    return _taken(answer.status, said, answer.evidence)


def of_bulk(answer: Answer, instructions: Sequence[Instruction], id_field: str) -> list[Outcome]:
    """What came of handing some over in one call: pawaPay answers a list, each for itself.

    Which is about which says its id and not its place. What is left out is unknown, as all of them
    are where the call itself is answered otherwise.
    """
    trouble = _trouble(answer)
    listed = answer.read()
    if trouble is None and not isinstance(listed, list):
        trouble = Unknown("the answer cannot be understood", answer.evidence)
    if trouble is not None:
        return [trouble] * len(instructions)
    told: dict[UUID | None, list[dict[str, Any]]] = {}
    for said in listed:
        if isinstance(said, dict):
            told.setdefault(parse_uuid(str(said.get(id_field))), []).append(said)
    ours = {instruction.reference for instruction in instructions}
    foreign = not told.keys() <= ours
    return [
        _one_of(answer, told.get(one.reference, []), foreign, len(ours)) for one in instructions
    ]


def _one_of(answer: Answer, told: Sequence[dict[str, Any]], foreign: bool, of: int) -> Outcome:
    """What a bulk's answer says of one of so many."""
    if not told and foreign:
        return Unknown("the answer is about something else", answer.evidence, alarm=True)
    if not told:
        return Unknown("the answer leaves it out", answer.evidence)
    evidence = {"http": answer.status, "answer": told[0], "bulk": of}
    if any(said != told[0] for said in told):
        return Unknown("the answer says two things of it", answer.evidence)
    return _taken(answer.status, told[0], evidence)


def _taken(status: int, said: dict[str, Any], evidence: Evidence) -> Outcome:
    code = _failure_code(said)
    match said.get("status"):
        case "REJECTED" if code is not None and code != _UNKNOWN_ERROR:
            return _refused(code, evidence)
        # The same reference again: what it came to before is what a status check tells.
        case "ACCEPTED" | "DUPLICATE_IGNORED" if status == _OK:
            return Accepted(evidence)
        case _:
            return Unknown("the answer cannot be understood", evidence)


def of_status(answer: Answer, instruction: Instruction, id_field: str) -> Outcome:
    """What a status check says."""
    trouble = _trouble(answer)
    if trouble is not None:
        return trouble
    said = answer.read_object()
    data = said.get("data")
    match said.get("status"):
        case _ if answer.status != _OK:
            return Unknown("the answer cannot be understood", answer.evidence)
        case "NOT_FOUND":
            return NotFound(answer.evidence)
        case "FOUND" if isinstance(data, dict):
            return _found(answer, data, instruction, id_field)
        case _:
            return Unknown("the answer cannot be understood", answer.evidence)


def of_cancelling(answer: Answer, instruction: Instruction, id_field: str) -> CancelAnswer:
    """What came of asking that something enqueued is called off: no outcome, whatever it says."""
    trouble = _trouble(answer)
    if trouble is not None:
        return trouble
    said = answer.read_object()
    if id_field in said and not _is_ours(said[id_field], instruction):
        return Unknown("the answer is about something else", answer.evidence, alarm=True)
    code = _failure_code(said)
    match said.get("status"):
        case "REJECTED" if code is not None and code != _UNKNOWN_ERROR:
            return Declined(code, answer.evidence)
        case "ACCEPTED" if answer.status == _OK:
            return Cancelling(answer.evidence)
        case _:
            return Unknown("the answer cannot be understood", answer.evidence)


def of_resending(answer: Answer, path: str) -> str | None:
    """Why a callback is not sent again; None where it is. Raises NoAnswer for what is neither."""
    said = answer.read_object()
    code = _failure_code(said)
    match said.get("status"):
        case "ACCEPTED" if answer.status == _OK:
            return None
        case "REJECTED" if answer.status == _OK and code == "INVALID_STATE":
            return f"it calls back about what has ended, and this has not ended there ({code})"
        case "REJECTED" if answer.status == _OK and code == "NOT_FOUND":
            return f"it has nothing by this reference: it refused it, or never saw it ({code})"
        case "REJECTED" if answer.status == _OK and code is not None:
            return code
        case _:
            raise NoAnswer(f"{path} answered {answer.status}")


def _found(
    answer: Answer, data: dict[str, Any], instruction: Instruction, id_field: str
) -> Outcome:
    if not _is_ours(data.get(id_field), instruction):
        return Unknown("the answer is about something else", answer.evidence, alarm=True)
    match data.get("status"):
        case "COMPLETED":
            if read_rail_amount(data.get("amount"), data.get("currency")) != instruction.amount:
                return Unknown(
                    "paid, and not what was agreed", answer.evidence, alarm=True, contradicts=True
                )
            return Paid(answer.evidence)
        case "FAILED":
            return _refused(_failure_code(data) or _UNSPECIFIED, answer.evidence)
        case str() as status if status in _UNDER_WAY:
            return Accepted(answer.evidence)
        case _:
            return Unknown("the answer cannot be understood", answer.evidence)


def _trouble(answer: Answer) -> Unknown | None:
    """An answer that is about no instruction at all, but about us or about pawaPay.

    A token that is no longer good fails no merchant's payout: that waits until the operator has set
    the right one. So it is unknown, although pawaPay rejects such requests with a reason.
    """
    if answer.status in _KEY_NOT_ACCEPTED:
        return Unknown("our token or signature is not accepted", answer.evidence, alarm=True)
    if answer.status >= 500:
        return Unknown("it has trouble of its own", answer.evidence)
    return None


def _refused(code: str, evidence: Evidence) -> Refused:
    return Refused(
        code,
        evidence,
        alarm=code == _OUT_OF_FUNDS,
        cancelled=code == _CANCELLED,
        own_trouble=code in _OWN_TROUBLE,
    )


def _failure_code(said: dict[str, Any]) -> str | None:
    reason = said.get("failureReason")
    code = reason.get("failureCode") if isinstance(reason, dict) else None
    return code if isinstance(code, str) and code else None


def _is_ours(value: object, instruction: Instruction) -> bool:
    try:
        return UUID(str(value)) == instruction.reference
    except ValueError:
        return False
