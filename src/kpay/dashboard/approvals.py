"""Approvals: what waits for a second person, one of them as it would be now, and what is decided.

Who approves sees it looked at anew, by the flow that moves it: fee, rate, what the wallet has left.
If that has changed when it is approved, it is shown anew and nothing is moved. What the flow
refuses at that moment is said, and the request stays open: a wallet may be filled, an operator may
open again.
"""

from __future__ import annotations

import msgspec

from kpay.approvals.flow import Approvals
from kpay.approvals.model import MOST_REASON, Approval, Kind, Outcome, Rules, Shown, read_rules
from kpay.catalogue.model import Catalogue
from kpay.core.clock import Clock
from kpay.core.ids import Ids, parse_uuid
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.dashboard.account import SET_UP
from kpay.dashboard.approval_words import ended_words, facts, outcome_words, rules_words, title
from kpay.dashboard.approving import Approving, why
from kpay.dashboard.asking import approval_address, owes_a_factor, place_of, shown_of
from kpay.dashboard.house import drawn
from kpay.dashboard.moving import UNSURE
from kpay.dashboard.page import PREFIX, Gone, Page, Reach, Visit, transaction_address
from kpay.dashboard.telling import StatusWords
from kpay.dashboard.typed import phone_words
from kpay.hosted.names import wallet_name
from kpay.people.model import Right
from kpay.transactions.model import Noun, spell
from kpay.web.pages import Answer, redirect

ADDRESS = f"{PREFIX}/app/{{application}}/{{environment}}/approvals"
_ONE = f"{ADDRESS}/{{approval}}"
_NOUNS = {Kind.TRANSFER: Noun.TRANSFER, Kind.PAYOUT: Noun.PAYOUT, Kind.REFUND: Noun.REFUND}


class Row(msgspec.Struct, frozen=True):
    """A request in the list."""

    approval: Approval
    title: str
    state: StatusWords
    href: str
    own: bool


class ApprovalPages:
    """The list, and one request with what can be decided."""

    def __init__(
        self,
        approvals: Approvals,
        approving: Approving,
        catalogue: Catalogue,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._providers = catalogue.providers
        self._approvals = approvals
        self._approving = approving
        self._clock = clock
        self._ids = ids

    def pages(self) -> list[Page]:
        return [
            Page("GET", ADDRESS, Reach.BOOK, self.show_all, Right.VIEW_MONEY),
            Page("GET", _ONE, Reach.BOOK, self.show, Right.VIEW_MONEY),
            Page("POST", f"{_ONE}/approve", Reach.BOOK, self.approve, Right.APPROVE),
            Page("POST", f"{_ONE}/reject", Reach.BOOK, self.reject, Right.APPROVE),
            Page("POST", f"{_ONE}/withdraw", Reach.BOOK, self.withdraw, Right.MOVE_MONEY),
        ]

    async def show_all(self, visit: Visit) -> Answer:
        rules = await self._approvals.rules(visit.book)
        return drawn(
            visit,
            "approvals.html",
            here=approval_address(visit.book),
            rules=rules_words(visit.speech, rules),
            sets_rules=visit.may(Right.APPROVAL_RULES),
            open=[self._row(visit, each) for each in await self._approvals.open_ones(visit.book)],
            ended=[self._row(visit, each) for each in await self._approvals.ended_ones(visit.book)],
            done=visit.query.get("done"),
        )

    async def show(self, visit: Visit) -> Answer:
        return await self._shown(visit, await self._one(visit))

    async def approve(self, visit: Visit) -> Answer:
        """Do what was asked for, once; who approves it again is led to what it came to."""
        if owes_a_factor(visit, Right.APPROVE):
            return redirect(SET_UP)
        approval = await self._one(visit)
        token = parse_uuid(visit.form.get("token", ""))
        if token is None:
            raise Gone
        try:
            if approval.kind is Kind.RULES:
                actor = visit.session.actor
                await self._approvals.approve_rules(place_of(visit), actor, approval.id)
            else:
                await self._approving.carry_out(visit, approval, token)
        except Refusal as refusal:
            return await self._refused(visit, refusal.code, str(token))
        return _back(visit, approval, "approved")

    async def reject(self, visit: Visit) -> Answer:
        if owes_a_factor(visit, Right.APPROVE):
            return redirect(SET_UP)
        approval = await self._one(visit)
        try:
            await self._approvals.reject(
                place_of(visit), visit.session.actor, approval.id, visit.form.get("reason", "")
            )
        except Refusal as refusal:
            return await self._refused(visit, refusal.code)
        return _back(visit, approval, "rejected")

    async def withdraw(self, visit: Visit) -> Answer:
        """Take one's own request back. Nothing is moved by it, so it asks for no second factor."""
        approval = await self._one(visit)
        try:
            await self._approvals.withdraw(place_of(visit), visit.session.actor, approval.id)
        except Refusal as refusal:
            return await self._refused(visit, refusal.code)
        return _back(visit, approval, "withdrawn")

    async def _one(self, visit: Visit) -> Approval:
        """What the address names. Raises Gone."""
        identifier = parse_uuid(visit.path["approval"])
        found = await self._approvals.find(visit.book, identifier) if identifier else None
        if found is None:
            raise Gone
        return found

    async def _refused(self, visit: Visit, code: Code, token: str | None = None) -> Answer:
        """The page as it is now, with why nothing was moved. Raises what cannot be said there."""
        approval = await self._one(visit)
        if not approval.is_open(self._clock.now()):
            # Whatever else stands in the way now: somebody was quicker, or it has run out.
            return _back(visit, approval, "over")
        if code is Code.IDEMPOTENCY_KEY_REUSED:
            return redirect(approval_address(visit.book, approval.id))
        status, say = ANSWERS[code].status, visit.speech.say
        told = {
            Code.RATE_CHANGED: say(
                "It has changed since you looked. Nothing was moved: this is what it comes to now."
            ),
            Code.NOT_ALLOWED: say("This is for somebody else to decide."),
        }
        if code in UNSURE and token is not None:
            words = say(
                "We could not see yet whether it went through. Approve it once more: it is moved "
                "once, however often you approve it."
            )
            return await self._shown(visit, approval, status, words, token, visit.form.get("shown"))
        if code is Code.INVALID_PARAMETER:
            return await self._shown(visit, approval, status, asked="reject", no_reason=True)
        look = None if approval.kind is Kind.RULES else await self._approving.look(visit, approval)
        words = told.get(code) or why(visit, look, code)
        if not words:
            raise Refusal(code, "It was not moved.")
        return await self._shown(visit, approval, status, words)

    async def _shown(
        self,
        visit: Visit,
        approval: Approval,
        status: int = 200,
        error: str = "",
        token: str | None = None,
        stamp: str | None = None,
        *,
        asked: str | None = None,
        no_reason: bool = False,
    ) -> Answer:
        now, speech, is_rules = self._clock.now(), visit.speech, approval.kind is Kind.RULES
        is_open = approval.is_open(now)
        look = await self._approving.look(visit, approval) if is_open and not is_rules else None
        hindered = (
            "" if is_rules or not is_open else self._approving.hindered(visit, approval, look)
        )
        rules = await self._approvals.rules(visit.book) if is_rules else Rules()
        fresh = read_rules(approval.wanted.asked) if is_rules else Rules()
        stale = is_open and is_rules and fresh.version != rules.version
        mine = approval.asked_by == visit.session.person.id
        decides = is_open and not mine and visit.may(Right.APPROVE)
        before = approval.wanted.shown
        come_to = None if look is None or look.refused else shown_of(look)
        shown = come_to or before
        return drawn(
            visit,
            "approval.html",
            status,
            here=approval_address(visit.book, approval.id),
            back=approval_address(visit.book),
            approval=approval,
            shown=shown,
            title=title(speech, approval.kind, shown),
            state=outcome_words(speech, approval.outcome(now)),
            ended=ended_words(speech, approval, now),
            is_open=is_open,
            look=look,
            facts=[] if before is None else facts(speech, before, come_to),
            fresh=come_to is not None,
            phone=phone_words((shown and shown.phone_number) or ""),
            operator=self._operator(visit, shown),
            payment=_payment(visit, approval),
            rules_now=rules_words(speech, rules),
            rules_then=rules_words(speech, fresh),
            hindered=hindered,
            stale=stale,
            mine=mine,
            withdraws=mine and visit.may(Right.MOVE_MONEY),
            decides=decides,
            approves=decides and not hindered and not stale and approval.asker_may,
            operation=_operation(visit, approval),
            token=token or str(self._ids.uuid()),
            stamp=stamp or ("" if look is None else look.stamp),
            error=error,
            no_reason=no_reason,
            most_reason=MOST_REASON,
            asked=asked or visit.query.get("ask"),
            done=visit.query.get("done"),
        )

    def _operator(self, visit: Visit, shown: Shown | None) -> str:
        code = None if shown is None else shown.operator
        provider = None if code is None else self._providers.get(code)
        if provider is None:
            return code or ""
        return f"{wallet_name(provider.operator)}, {visit.speech.country(provider.country)}"

    def _row(self, visit: Visit, approval: Approval) -> Row:
        return Row(
            approval,
            title(visit.speech, approval.kind, approval.wanted.shown),
            outcome_words(visit.speech, approval.outcome(self._clock.now())),
            approval_address(visit.book, approval.id),
            approval.asked_by == visit.session.person.id,
        )


def _operation(visit: Visit, approval: Approval) -> str | None:
    """The page of what was made of it."""
    ended = approval.ended
    if ended is None or ended.operation_id is None or ended.outcome is not Outcome.APPROVED:
        return None
    return transaction_address(visit.book, spell(_NOUNS[approval.kind], ended.operation_id))


def _payment(visit: Visit, approval: Approval) -> str:
    """The page of the payment that a refund gives back."""
    payment_id = approval.wanted.payment_id
    if payment_id is None:
        return ""
    return transaction_address(visit.book, spell(Noun.PAYMENT, payment_id))


def _back(visit: Visit, approval: Approval, done: str) -> Answer:
    return redirect(f"{approval_address(visit.book, approval.id)}?done={done}#main")
