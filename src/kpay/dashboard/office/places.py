"""Where the back office's pages are, and what each of them begins with."""

from __future__ import annotations

from uuid import UUID

from kpay.core.ids import parse_uuid
from kpay.core.refusals import Code, Refusal
from kpay.dashboard.account import SET_UP
from kpay.dashboard.page import COMPANIES, OFFICE, Gone, Visit
from kpay.people.model import OperatorRight
from kpay.web.pages import Answer, redirect

_MOST_REASON_LENGTH = 300


def company_place(company_id: UUID) -> str:
    return f"{COMPANIES}/{company_id}"


def application_place(application_id: UUID) -> str:
    return f"{OFFICE}/applications/{application_id}"


def named(visit: Visit, name: str) -> UUID:
    """An identifier in the address. Raises Gone."""
    found = parse_uuid(visit.path[name])
    if found is None:
        raise Gone
    return found


def configures(visit: Visit) -> bool:
    """Whether the visitor is shown forms: who has no second factor is led to set one up by them."""
    return visit.session.operator_right(OperatorRight.CONFIGURE)


def must_prove(visit: Visit) -> Answer | None:
    """Where who changes something without a second factor is led to; None for who has one."""
    try:
        visit.session.check_operator(OperatorRight.CONFIGURE)
    except Refusal as refusal:
        if refusal.code is not Code.SECOND_FACTOR_NEEDED:
            raise
        return redirect(SET_UP)
    return None


def reason_of(visit: Visit) -> str:
    """Why something is done, in the visitor's words; nothing where there are none."""
    told = " ".join(visit.form.get("reason", "").split())
    return told[:_MOST_REASON_LENGTH] if told.isprintable() else ""
