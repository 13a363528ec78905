"""Where the back office's pages are, and what each of them begins with."""

from __future__ import annotations

from uuid import UUID

from kpay.core.book import Environment
from kpay.core.ids import parse_uuid, public_id
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.account import SET_UP
from kpay.dashboard.page import COMPANIES, CONTRADICTIONS, OFFICE, RECONCILIATION, Gone, Visit
from kpay.dashboard.speech import Speech
from kpay.payments.model import PREFIX as PAYMENT
from kpay.payouts.model import PREFIX as PAYOUT
from kpay.people.model import OperatorRight
from kpay.refunds.model import PREFIX as REFUND
from kpay.web.pages import Answer, redirect

ENVIRONMENTS = {"live": Environment.PRODUCTION, "test": Environment.TEST}

_MOST_REASON_LENGTH = 300
_PREFIXES = {"DEPOSIT": PAYMENT, "PAYOUT": PAYOUT, "REFUND": REFUND}


def company_place(company_id: UUID) -> str:
    return f"{COMPANIES}/{company_id}"


def application_place(application_id: UUID) -> str:
    return f"{OFFICE}/applications/{application_id}"


def contradiction_place(operation_id: UUID) -> str:
    return f"{CONTRADICTIONS}/{operation_id}"


def break_place(break_id: UUID) -> str:
    return f"{RECONCILIATION}/breaks/{break_id}"


def public_id_of(type_: str, operation_id: UUID) -> str:
    """An operation that goes to a rail, as its merchant knows it."""
    return public_id(_PREFIXES[type_], operation_id)


def operation_words(speech: Speech) -> dict[str, str]:
    """What goes to a rail, one of each."""
    say = speech.say
    return {"DEPOSIT": say("Payment"), "PAYOUT": say("Payout"), "REFUND": say("Refund")}


def named(visit: Visit, name: str) -> UUID:
    """An identifier in the address. Raises Gone."""
    found = parse_uuid(visit.path[name])
    if found is None:
        raise Gone
    return found


def configures(visit: Visit) -> bool:
    """Whether the visitor is shown forms: who has no second factor is led to set one up by them."""
    return visit.session.operator_right(OperatorRight.CONFIGURE)


def must_prove(visit: Visit, right: OperatorRight = OperatorRight.CONFIGURE) -> Answer | None:
    """Where who changes something without a second factor is led to; None for who has one."""
    try:
        visit.session.check_operator(right)
    except Refusal as refusal:
        if refusal.code is not Code.SECOND_FACTOR_NEEDED:
            raise
        return redirect(SET_UP)
    return None


def reason_of(visit: Visit) -> str:
    """Why something is done, in the visitor's words; nothing where there are none."""
    told = " ".join(visit.form.get("reason", "").split())
    return told[:_MOST_REASON_LENGTH] if told.isprintable() else ""


def note_of(visit: Visit, most: int) -> str | None:
    """What somebody says of what was looked into, in lines; None where it is nothing or too long.

    What is no character to read, such as a NUL, is left out.
    """
    told = visit.form.get("note", "").replace("\r\n", "\n")
    note = "".join(each for each in told if each.isprintable() or each == "\n").strip()
    return note if 0 < len(note) <= most else None
