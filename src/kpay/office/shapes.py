"""Breaks, floats and contradictions as a program reads them.

One shape each, for `--json` of the commands and for the office's door; amounts are plain decimals
in text, moments ISO 8601 in UTC.
"""

from __future__ import annotations

from typing import Any
from uuid import UUID

from kpay.contradictions.model import Contradiction
from kpay.contradictions.model import next_action as next_of_contradiction
from kpay.core.clock import iso
from kpay.core.ids import parse_uuid, public_id
from kpay.core.money import rail_text
from kpay.office.report import Report
from kpay.payments.model import PREFIX as PAYMENT
from kpay.payouts.model import PREFIX as PAYOUT
from kpay.reconciliation.breaks import PREFIX, Break, StatementLine
from kpay.reconciliation.floats import Float, Unfinished
from kpay.reconciliation.model import next_action
from kpay.refunds.model import PREFIX as REFUND

_PREFIXES = {"DEPOSIT": PAYMENT, "PAYOUT": PAYOUT, "REFUND": REFUND}


def operation_id(type_: str, identifier: UUID) -> str:
    """An operation at a rail as its merchant knows it; `type_` is DEPOSIT, PAYOUT or REFUND."""
    return public_id(_PREFIXES[type_], identifier)


def shown_report(report: Report) -> dict[str, Any]:
    """How our books and the rails stand to each other; `breaks` are those that are open."""
    return {
        "sound": report.is_sound,
        "wallets": [shown_float(one) for one in report.floats],
        "breaks": [shown_break(one) for one in report.open],
        "unfinished": [shown_unfinished(one) for one in report.unfinished],
    }


def shown_break(one: Break) -> dict[str, Any]:
    """A break, with what to do about it while it is open."""
    reference = parse_uuid(one.key)
    return {
        "id": public_id(PREFIX, one.id),
        "environment": one.place.environment.word,
        "connector": one.place.connector,
        "country": one.place.wallet.country,
        "currency": one.place.wallet.currency,
        "walletProvider": one.place.wallet.provider,
        "kind": str(one.kind),
        "state": str(one.state),
        "theirs": rail_text(one.theirs),
        "ours": rail_text(one.ours),
        "offBy": rail_text(one.off_by),
        "reference": None if reference is None else str(reference),
        "line": one.key if reference is None else None,
        "application": None if one.application_id is None else str(one.application_id),
        "operation": _operation(one),
        "foundOn": str(one.found_on),
        "foundAt": iso(one.found_at),
        "judgedOn": str(one.judged_on),
        "note": one.note,
        "closedBy": one.closed_by,
        "closedAt": None if one.closed_at is None else iso(one.closed_at),
        "next": next_action(one.kind, known=one.is_known) if one.is_open else None,
    }


def shown_line(line: StatementLine) -> dict[str, Any]:
    """A line of a statement."""
    return {
        "day": str(line.day),
        "number": line.number,
        "at": iso(line.at),
        "word": line.word,
        "amount": rail_text(line.amount),
        "balance": None if line.balance is None else rail_text(line.balance),
        "raw": line.raw,
    }


def shown_float(one: Float) -> dict[str, Any]:
    """A wallet at a rail at the end of a day, and what makes it differ from our books."""
    return {
        "environment": one.place.environment.word,
        "connector": one.place.connector,
        "country": one.place.wallet.country,
        "currency": one.place.wallet.currency,
        "provider": one.place.wallet.provider,
        "day": str(one.day),
        "lines": one.lines,
        "theirs": rail_text(one.theirs),
        "ours": rail_text(one.ours),
        "difference": rail_text(one.difference),
        "because": [
            {"what": part.words, "amount": rail_text(part.amount), "count": part.count}
            for part in one.parts
        ],
        "unexplained": rail_text(one.unexplained),
        "told": rail_text(one.told),
        "toldAt": iso(one.told_at),
    }


def shown_unfinished(one: Unfinished) -> dict[str, Any]:
    """A day that could not be finished, and why."""
    return {
        "environment": one.environment.lower(),
        "connector": one.connector,
        "wallet": one.wallet,
        "day": str(one.day),
        "stage": one.stage,
        "dueAt": iso(one.due_at),
        "trouble": one.trouble,
    }


def shown_contradiction(one: Contradiction) -> dict[str, Any]:
    """What a rail says against our books, with what to do about it while it is open."""
    settled = one.settled
    return {
        "operation": operation_id(one.type, one.operation_id),
        "application": str(one.book.application_id),
        "environment": one.book.environment.word,
        "what": str(one.what),
        "status": one.status,
        "reference": str(one.reference),
        "provider": one.provider,
        "phoneNumber": one.phone_number,
        "amount": None if one.told is None else rail_text(one.told),
        "currency": None if one.told is None else one.told.currency,
        "connector": one.connector,
        "attempt": one.attempt,
        "evidence": one.evidence,
        "foundAt": iso(one.found_at),
        "decision": None if settled is None else str(settled.decision),
        "note": None if settled is None else settled.note,
        "settledBy": None if settled is None else settled.by,
        "settledAt": None if settled is None else iso(settled.at),
        "next": None if settled is not None else next_of_contradiction(one.type, one.what),
    }


def _operation(one: Break) -> str | None:
    """The operation as its merchant knows it."""
    if one.instruction_id is None or one.type is None:
        return None
    return operation_id(one.type, one.instruction_id)
