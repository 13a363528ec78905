"""One transaction: timeline, lines in the journal, rate, webhooks, and what can be done with it.

What is done here goes through the same flows as the API. That a person asked for it is on record
before it is done, as a transaction of the ledger has no room for it.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

import msgspec

from kpay.approvals.flow import Approvals
from kpay.approvals.model import Kind
from kpay.audit.flow import Audit
from kpay.audit.model import Action, Subject
from kpay.catalogue.model import Catalogue
from kpay.core.clock import Clock
from kpay.core.ids import Ids
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.dashboard.account import SET_UP
from kpay.dashboard.approval_words import steps_before
from kpay.dashboard.asking import approval_address, owes_a_factor, place_of, wanted_of
from kpay.dashboard.deliveries import why_not
from kpay.dashboard.house import drawn
from kpay.dashboard.live import Live
from kpay.dashboard.page import Gone, Page, Reach, Sent, Visit, book_address, transaction_address
from kpay.dashboard.refunding import PAYMENT, RefundMove, refund_words
from kpay.dashboard.telling import Telling, status_words
from kpay.dashboard.timeline import Timeline
from kpay.dashboard.transactions import ADDRESS
from kpay.dashboard.wrongs import DESCRIPTION, SOURCE
from kpay.database.pool import Database
from kpay.instructions.model import Status
from kpay.payouts.flow import Payouts
from kpay.people.model import Right
from kpay.refunds.flow import Refunds
from kpay.refunds.model import WINDOW
from kpay.transactions.flow import Transactions
from kpay.transactions.model import Noun, Transaction, parse, spell
from kpay.transactions.story import Story
from kpay.wallets.store import wallets
from kpay.web.pages import Answer, redirect
from kpay.webhooks.flow import Webhooks

_ONE = f"{ADDRESS}/{{transaction}}"
_MOST_REASON_LENGTH = 200
_FAILED = (Status.FAILED, Status.CANCELLED)


class Deeds(msgspec.Struct, frozen=True):
    """What the visitor can do with a transaction as it stands."""

    cancel: bool
    cancel_at_rail: bool
    """The operator has it, and can be asked to cancel it."""
    refund: bool
    replay: bool


class TransactionPage:
    """The page of one, and its three forms."""

    def __init__(
        self,
        database: Database,
        transactions: Transactions,
        payouts: Payouts,
        refunds: Refunds,
        webhooks: Webhooks,
        approvals: Approvals,
        audit: Audit,
        live: Live,
        catalogue: Catalogue,
        clock: Clock,
        ids: Ids,
    ) -> None:
        self._database = database
        self._transactions = transactions
        self._payouts = payouts
        self._refunds = refunds
        self._webhooks = webhooks
        self._approvals = approvals
        self._audit = audit
        self._live = live
        self._catalogue = catalogue
        self._clock = clock
        self._ids = ids

    def pages(self) -> list[Page]:
        moves, sets = Right.MOVE_MONEY, Right.APPLICATIONS
        return [
            Page("GET", _ONE, Reach.BOOK, self.show, Right.VIEW_MONEY),
            Page("POST", f"{_ONE}/cancel", Reach.BOOK, self.cancel, moves),
            Page("POST", f"{_ONE}/refund", Reach.BOOK, self.refund, moves),
            Page("POST", f"{_ONE}/replay", Reach.BOOK, self.replay, sets),
        ]

    async def show(self, visit: Visit) -> Answer:
        return await self._shown(visit)

    async def cancel(self, visit: Visit) -> Sent:
        """Call back a payout or a refund, or have it cancelled where it waits for its operator."""
        told = await self._told(visit)
        flow = self._outgoing(told.noun)
        if flow is None:
            raise Gone
        try:
            await self._ask(visit, Right.MOVE_MONEY, Action.CANCELLING_ASKED, told)
            found = await flow.cancel(visit.book, told.id)
        except Refusal as refusal:
            return await self._refused(visit, refusal)
        cancelled = found.progress.status is Status.CANCELLED
        return _back(visit, told.public_id, "cancelled" if cancelled else "asked")

    async def refund(self, visit: Visit) -> Sent:
        """Give a payment back whole, and go on to the refund; or ask another to approve it."""
        told = await self._told(visit)
        if told.noun is not Noun.PAYMENT:
            raise Gone
        reason = " ".join(visit.form.get("reason", "").replace("\0", "").split())
        try:
            if "ask" in visit.form or await self._approvals.needed(visit.book, told.amount):
                return await self._ask_for_refund(visit, told, reason[:_MOST_REASON_LENGTH])
            await self._ask(visit, Right.MOVE_MONEY, Action.REFUND_ASKED, told)
            made = await self._refunds.request(
                visit.book,
                told.id,
                reason=reason[:_MOST_REASON_LENGTH] or None,
                external_id=None,
            )
        except Refusal as refusal:
            return await self._refused(visit, refusal)
        return _back(visit, made.agreed.public_id, "refunded")

    async def _ask_for_refund(self, visit: Visit, told: Transaction, reason: str) -> Sent:
        """Ask another person to approve it. Refuses what would be refused of the refund now."""
        if owes_a_factor(visit, Right.MOVE_MONEY):
            return redirect(SET_UP)
        move = RefundMove(self._refunds, self._catalogue)
        country = told.destination
        for wallet in await wallets(self._database, visit.book):
            if wallet.country == country:
                break
        else:
            raise Refusal(move.shortage, "There is no wallet that it could be given back from.")
        typed = {SOURCE: wallet.country, PAYMENT: told.public_id, DESCRIPTION: reason}
        look = await move.look(visit.book, visit.application.terms, wallet, typed)
        for code in look.refused.values():
            raise Refusal(code, "This payment cannot be given back.")
        if look.short:
            raise Refusal(move.shortage, "The wallet does not have as much.")
        wanted = wanted_of(Kind.REFUND, look, self._ids.uuid(), told.id)
        approval_id = await self._approvals.ask(place_of(visit), visit.session.actor, wanted)
        return redirect(approval_address(visit.book, approval_id) + "?done=asked#main")

    async def replay(self, visit: Visit) -> Sent:
        """Send the webhook of its end again, or for the first time."""
        noun, identifier = _named(visit)
        story = await self._transactions.story(visit.book, noun, identifier)
        if story is None or story.notice is None:
            raise Gone
        try:
            await self._ask(visit, Right.APPLICATIONS, Action.REPLAY_ASKED, story.transaction)
            await self._webhooks.replay_one(visit.book, story.notice.event_id)
        except Refusal as refusal:
            return await self._refused(visit, refusal)
        return _back(visit, story.transaction.public_id, "replayed", "webhook")

    def _outgoing(self, noun: Noun) -> Payouts | Refunds | None:
        """The flow of what goes out to an operator; None for what does not."""
        flows: dict[Noun, Payouts | Refunds] = {
            Noun.PAYOUT: self._payouts,
            Noun.REFUND: self._refunds,
        }
        return flows.get(noun)

    async def _told(self, visit: Visit) -> Transaction:
        """What the address names. Raises Gone."""
        found = await self._transactions.find(visit.book, *_named(visit))
        if found is None:
            raise Gone
        return found

    async def _ask(self, visit: Visit, right: Right, action: Action, told: Transaction) -> None:
        """Put on record that a person asks for something of a transaction.

        Refuses: second_factor_needed.
        """
        company_id = visit.where.membership.company_id
        visit.session.check(company_id, right, visit.book.environment)
        async with self._database.transaction() as connection:
            await self._audit.write(
                connection,
                self._clock.now(),
                visit.session.actor,
                action,
                Subject("transaction", told.public_id),
                companies=[company_id],
                details={
                    "reference": told.reference,
                    "environment": visit.book.environment.word,
                    "applicationId": str(visit.book.application_id),
                },
            )

    async def _refused(self, visit: Visit, refusal: Refusal) -> Answer:
        """The page with what was refused, in words. Raises what no form here can mend."""
        if refusal.code is Code.SECOND_FACTOR_NEEDED:
            return redirect(SET_UP)
        say = visit.speech.say
        words = {
            Code.NOT_CANCELLABLE: say(
                "It cannot be cancelled any more: the operator has it already, or it has ended."
            ),
            **refund_words(visit.speech),
            # Of a replay: there is the event, and nobody to hear it.
            Code.NOT_FOUND: say("No address is set that hears this: set one first."),
        }
        if refusal.code not in words:
            raise refusal
        status = ANSWERS[refusal.code].status
        return await self._shown(visit, 409 if status == 404 else status, words[refusal.code])

    async def _shown(self, visit: Visit, status: int = 200, error: str = "") -> Answer:
        noun, identifier = _named(visit)
        live = (
            "" if noun is Noun.TRANSFER else await self._live.of_one(visit.book, noun, identifier)
        )
        story = await self._transactions.story(visit.book, noun, identifier)
        if story is None:
            raise Gone
        approval = await self._approvals.of_operation(visit.book, identifier)
        telling = Telling(visit.speech, self._catalogue)
        timeline = Timeline(visit.speech, telling)
        return drawn(
            visit,
            "transaction.html",
            status,
            here=transaction_address(visit.book, story.transaction.public_id),
            back=book_address(visit.book, "transactions"),
            live=live,
            story=story,
            told=story.transaction,
            telling=telling,
            statuses=status_words(visit.speech),
            why_not=why_not(visit.speech),
            steps=[*steps_before(visit.speech, approval), *timeline.steps(story)],
            asks=await self._approvals.needed(visit.book, story.transaction.amount),
            approval=None if approval is None else approval_address(visit.book, approval.id),
            holder=timeline.holder(story),
            deeds=self._deeds(visit, story),
            most_reason=_MOST_REASON_LENGTH,
            error=error,
            asked=visit.query.get("ask"),
            done=visit.query.get("done"),
        )

    def _deeds(self, visit: Visit, story: Story) -> Deeds:
        told = story.transaction
        moves = visit.may(Right.MOVE_MONEY)
        flow = self._outgoing(told.noun)
        at_rail = (
            flow is not None
            and told.status is Status.PROCESSING
            and flow.may_be_cancelled_at_rail(visit.book, story.attempts)
        )
        return Deeds(
            cancel=moves and flow is not None and (told.status is Status.PENDING or at_rail),
            cancel_at_rail=at_rail,
            refund=moves and _refundable(story, self._clock.now()),
            replay=visit.may(Right.APPLICATIONS) and story.notice is not None,
        )


def _named(visit: Visit) -> tuple[Noun, UUID]:
    """What an address names, by its public id. Raises Gone."""
    found = parse(visit.path["transaction"])
    # One address for each: a reader's links and bookmarks are all alike.
    if found is None or spell(*found) != visit.path["transaction"]:
        raise Gone
    return found


def _refundable(story: Story, now: datetime) -> bool:
    told = story.transaction
    return (
        told.noun is Noun.PAYMENT
        and told.status is Status.COMPLETED
        and told.ended_at is not None
        and now <= told.ended_at + WINDOW
        and all(each.status in _FAILED for each in story.refunds)
    )


def _back(visit: Visit, public_id: str, done: str, part: str = "main") -> Answer:
    return redirect(f"{transaction_address(visit.book, public_id)}?done={done}#{part}")
