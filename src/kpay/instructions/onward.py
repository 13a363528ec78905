"""Whether what a rail has refused may go on at another rail. Pure.

Going on is another reference, and two of them must never be alive at once: whoever is paid by one
rail and then by another is paid twice. So it takes more than the end of an operation does. The
refusal must be definite, its reason the rail's own, and the reference dead: on record there as
failed, or handed over a single time, in answer to which it was refused. What a rail has never seen
may be on its way to it still, however long ago it was sent, and goes nowhere else.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeGuard
from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType
from kpay.connectors.model import Outcome, Refused
from kpay.instructions.model import Action, Claim

# Who is to type a PIN looks at the telephone for some minutes, and not when a rail asks later.
PAYER_WAITS = timedelta(minutes=5)


class Told(msgspec.Struct, frozen=True):
    """One time that a rail was handed something, or was to cancel it.

    `of_this_choice` is false for what an earlier choice of a hosted page was.
    """

    number: int
    action: Action
    connector: str
    reference: UUID
    of_this_choice: bool = True


def is_rails_own(outcome: Outcome) -> TypeGuard[Refused]:
    """Whether it is a refusal for a reason that says nothing of whoever pays or is paid."""
    return isinstance(outcome, Refused) and outcome.own_trouble and not outcome.cancelled


def may_go_on(claim: Claim, outcome: Outcome, told: Sequence[Told], now: datetime) -> bool:
    """Whether it may be handed to another rail.

    A refund may not: the deposit is at the rail that took it. Nor may what the merchant wanted to
    have cancelled, nor a payment whose payer has been asked a while ago.
    """
    instruction = claim.instruction
    wanted_back = any(
        one.action is Action.CANCEL and one.reference == instruction.reference for one in told
    )
    waited = now - instruction.submitted_at
    return (
        is_rails_own(outcome)
        and claim.type is not OperationType.REFUND
        and not wanted_back
        and is_dead(claim, told)
        and (claim.type is not OperationType.DEPOSIT or waited < PAYER_WAITS)
    )


def is_dead(claim: Claim, told: Sequence[Told]) -> bool:
    """Whether a reference that was refused by this attempt can never be carried out any more.

    What a rail has on record as failed, it takes for a repetition whenever it arrives again. What
    it refuses at the door, some rails forget: then another copy of it must not be under way.
    """
    if claim.action is not Action.SUBMIT:
        return True
    handed_over = [
        one.number
        for one in told
        if one.action is Action.SUBMIT and one.reference == claim.instruction.reference
    ]
    return handed_over == [claim.number]


def tried(claim: Claim, told: Sequence[Told]) -> frozenset[str]:
    """The rails that have had this choice: none of them gets it a second time."""
    return frozenset(
        {one.connector for one in told if one.of_this_choice} | {claim.connector or ""}
    )
