"""Carries out what a second person approves: looked at anew, by the flow that moves it, once.

What was shown to who approves comes along, as with any confirmation (`moving`). The request ends in
the transaction that moves the money, so however many approve it, and however often, on whichever
processes, it is moved once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from uuid import UUID

import msgspec

from kpay.approvals.flow import Approvals
from kpay.approvals.model import Approval
from kpay.core.clock import Clock
from kpay.core.keyed import Keyed
from kpay.core.refusals import Code, Refusal
from kpay.core.routes import Reply
from kpay.dashboard import wrongs
from kpay.dashboard.asking import carry_out_once, place_of, said
from kpay.dashboard.look import Look
from kpay.dashboard.moving import AnyMove
from kpay.dashboard.page import Visit
from kpay.dashboard.refunding import RefundLook, refund_words
from kpay.database.pool import Connection, Database
from kpay.wallets.store import wallets
from kpay.web.once import Once


class Approving:
    """The ways to move money, as a second person sets them going."""

    def __init__(
        self,
        database: Database,
        approvals: Approvals,
        moves: Sequence[AnyMove],
        once: Once,
        clock: Clock,
    ) -> None:
        self._database = database
        self._approvals = approvals
        self._moves: Mapping[str, AnyMove] = {move.word: move for move in moves}
        self._once = once
        self._clock = clock

    async def carry_out(self, visit: Visit, approval: Approval, token: UUID) -> None:
        """Move it as it was shown just now. Refuses what the flow refuses; rate_changed."""
        book, move = visit.book, self._moves[approval.kind]

        async def make(keyed: Keyed) -> Reply:
            approval.check_approved_by(visit.session.person.id, self._clock.now())
            look = await self.look(visit, approval)
            if look is None:
                raise Refusal(Code.NO_WALLET, "There is no wallet to take it from.")
            for code in look.refused.values():
                raise Refusal(code, "It cannot be moved at this moment.")
            if look.missing or look.stamp != visit.form.get("shown"):
                raise Refusal(Code.RATE_CHANGED, "It comes to something else now than was shown.")
            beside = partial(self._end, visit, approval, look, keyed)
            await move.make(book, visit.application.terms, look, keyed, beside)
            return Reply({"id": str(keyed.operation_id)}, 201)

        async def recall(keyed: Keyed) -> Reply | None:
            made = await move.is_made(book, keyed.operation_id)
            return Reply({"id": str(keyed.operation_id)}, 201) if made else None

        key = f"approval {approval.id} {visit.session.person.id} {token}"
        stored = await carry_out_once(
            self._once, book, key, said(visit.form, visit.at), make, recall
        )
        if stored.status >= 400:
            # A copy of what was refused: the same is said of it.
            raise Refusal(Code(msgspec.json.decode(stored.body)["code"]), "It was not moved.")

    async def _end(
        self, visit: Visit, approval: Approval, look: Look, keyed: Keyed, connection: Connection
    ) -> None:
        """The request ends, and who approved it is on record, in the transaction that moves it."""
        move = self._moves[approval.kind]
        await self._approvals.approve(
            connection,
            place_of(visit),
            visit.session.actor,
            approval.id,
            operation_id=keyed.operation_id,
            subject=move.subject(keyed.operation_id),
            details=move.details(look),
        )

    async def look(self, visit: Visit, approval: Approval) -> Look | None:
        """What it would come to now; None where there is no such wallet."""
        asked = approval.wanted.asked
        for wallet in await wallets(self._database, visit.book):
            if wallet.country == asked.get(wrongs.SOURCE):
                move = self._moves[approval.kind]
                found: Look = await move.look(visit.book, visit.application.terms, wallet, asked)
                return found
        return None

    def hindered(self, visit: Visit, approval: Approval, look: Look | None) -> str:
        """Why it could not be moved at this moment, if so."""
        if look is None:
            return why(visit, None, Code.NO_WALLET)
        for code in look.refused.values():
            return why(visit, look, code)
        return why(visit, look, self._moves[approval.kind].shortage) if look.short else ""


def why(visit: Visit, look: Look | None, code: Code) -> str:
    """What hinders it, in words; nothing for what there are none for."""
    refunds = refund_words(visit.speech)
    if code in refunds and (code not in wrongs.FIELDS or isinstance(look, RefundLook)):
        return refunds[code]
    if code not in wrongs.FIELDS:
        return ""
    return wrongs.words(visit.speech, code, wrongs.About() if look is None else look.about)
