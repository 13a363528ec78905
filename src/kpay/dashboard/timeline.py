"""A transaction's life as people read it: each step and each attempt, with its evidence folded.

The same words for every noun: asked for, chosen, handed to the operator, asked about, ended, and
what comes next. Who holds the money now is said apart.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import groupby

import msgspec

from kpay.core.money import Money
from kpay.dashboard.speech import Speech
from kpay.dashboard.telling import Telling
from kpay.instructions.model import CANNOT_CANCEL, Action, Status
from kpay.instructions.rails import Attempt
from kpay.transactions.model import Noun, Transaction
from kpay.transactions.story import Story

_NO_ANSWER = "none"


class Evidence(msgspec.Struct, frozen=True):
    """What an operator was told and what it answered, as it was kept."""

    number: int
    connector: str
    sent_at: datetime
    sent: str
    answered_at: datetime | None
    answer: str | None


class Step(msgspec.Struct, frozen=True):
    """One step. `tone` is the style's class of it; `evidence` is that of each attempt in it."""

    at: datetime
    title: str
    told: str = ""
    tone: str = ""
    evidence: Sequence[Evidence] = ()
    ahead: bool = False
    """Whether it is still to come."""


class Timeline:
    """Tells stories in one language."""

    def __init__(self, speech: Speech, telling: Telling) -> None:
        self._speech = speech
        self._say = speech.say
        self._telling = telling

    def steps(self, story: Story) -> list[Step]:
        """From the beginning on; what is still to come is last."""
        past = [self._asked(story), *self._chosen(story), *self._attempts(story)]
        past.sort(key=lambda step: step.at)
        past += self._end(story)
        # A rail that it did not stay with may be asked about it after the end.
        past.sort(key=lambda step: step.at)
        return [*past, *self._ahead(story)]

    def holder(self, story: Story) -> str:
        """Who holds the money now."""
        told = story.transaction
        match told.noun:
            case Noun.PAYMENT:
                return self._holder_of_payment(told)
            case Noun.TRANSFER:
                return self._say(
                    "%(amount)s are in your wallet in %(country)s.",
                    amount=self._money(told.arrives or told.amount),
                    country=self._telling.country(told.destination),
                )
            case _:
                return self._holder_of_outgoing(told, story.sent)

    def _holder_of_payment(self, told: Transaction) -> str:
        say, amount = self._say, self._money(told.amount)
        match told.status:
            case Status.COMPLETED:
                return say(
                    "%(net)s are in your wallet in %(country)s; %(fee)s were the fee.",
                    net=self._money(told.arrives or told.amount),
                    country=self._telling.country(told.destination),
                    fee=self._money(told.fee or Money(0, told.amount.currency)),
                )
            case Status.PENDING:
                return say("The payer: nothing has been asked of an operator yet.")
            case Status.PROCESSING:
                return say(
                    "The payer or the operator: %(amount)s are yours as soon as the operator says "
                    "that it has them.",
                    amount=amount,
                )
            case _:
                return say("The payer: nothing was taken.")

    def _holder_of_outgoing(self, told: Transaction, sent: Money | None) -> str:
        say, amount = self._say, self._money(told.amount)
        country = self._telling.country(told.source)
        match told.status:
            case Status.COMPLETED if told.noun is Noun.PAYOUT:
                return say(
                    "The beneficiary: %(amount)s were paid out.",
                    amount=self._money(sent or told.amount),
                )
            case Status.COMPLETED:
                return say("The payer: %(amount)s were given back.", amount=amount)
            case Status.PENDING:
                return say(
                    "You: %(amount)s are set aside in your wallet in %(country)s. No operator has "
                    "been told yet.",
                    amount=amount,
                    country=country,
                )
            case Status.PROCESSING:
                return say(
                    "%(amount)s stay set aside in your wallet in %(country)s until the operator "
                    "says for certain whether it has paid.",
                    amount=amount,
                    country=country,
                )
            case _:
                return say(
                    "You: all of %(amount)s is back in your wallet in %(country)s.",
                    amount=amount,
                    country=country,
                )

    def _asked(self, story: Story) -> Step:
        say, told = self._say, story.transaction
        title = {
            Noun.PAYMENT: say("The payment was asked for"),
            Noun.PAYOUT: say("The payout was asked for"),
            Noun.REFUND: say("The refund was asked for"),
            Noun.TRANSFER: say("The transfer was made"),
        }[told.noun]
        amount, words = self._money(told.amount), ""
        if told.noun in (Noun.PAYOUT, Noun.REFUND):
            words = say(
                "%(amount)s were set aside in your wallet in %(country)s in the same moment.",
                amount=amount,
                country=self._telling.country(told.source),
            )
        elif told.noun is Noun.TRANSFER:
            words = say("Both wallets changed in the same moment.")
        elif story.expires_at is not None:
            words = say("With a page on which the payer chooses how to pay.")
        return Step(told.created_at, title, words, "good" if told.noun is Noun.TRANSFER else "")

    def _chosen(self, story: Story) -> Iterator[Step]:
        for each in story.choices:
            yield Step(
                each.at,
                self._say("Chosen on the page"),
                f"{self._telling.operator(each.provider)}, "
                f"{self._telling.phone(each.phone_number)}",
            )

    def _attempts(self, story: Story) -> Iterator[Step]:
        """Each handing over or cancelling is a step; questions all answered alike are one.

        Where more than one rail has had it, each step says which.
        """
        say, operator = self._say, self._telling.operator(story.transaction.provider)
        several = len({attempt.connector for attempt in story.attempts}) > 1

        def alike(attempt: Attempt) -> tuple[object, ...]:
            alone = attempt.number if attempt.action != Action.CHECK else 0
            return alone, attempt.outcome, attempt.connector

        for _, same in groupby(story.attempts, alike):
            attempts = list(same)
            last = attempts[-1]
            words, tone = self._outcome(last)
            title = self._attempt(attempts, operator)
            if several:
                title = say(
                    "%(step)s, by the connector %(connector)s",
                    step=title,
                    connector=last.connector,
                )
                if last.outcome == "paid" and _is_of_before(last, story):
                    words, tone = say("It had refused it, and says now: paid."), "bad"
            if _at_deadline(last):
                words = " ".join([say("Its time to wait was over."), words])
            yield Step(
                datetime.fromisoformat(attempts[0].sent_at),
                title,
                words,
                tone,
                [_evidence(attempt) for attempt in attempts],
            )

    def _attempt(self, attempts: Sequence[Attempt], operator: str) -> str:
        say = self._say
        if attempts[0].action == Action.SUBMIT:
            return say("Handed to %(operator)s", operator=operator)
        if attempts[0].action == Action.CANCEL:
            return say("Asked %(operator)s to cancel it", operator=operator)
        if len(attempts) == 1:
            return say("Asked %(operator)s what became of it", operator=operator)
        return say(
            "Asked %(operator)s what became of it, %(count)s times",
            operator=operator,
            count=self._speech.number(len(attempts)),
        )

    def _outcome(self, attempt: Attempt) -> tuple[str, str]:
        say = self._say
        if attempt.action == Action.CANCEL and attempt.outcome is not None:
            return self._cancelling(attempt)
        return {
            "accepted": (say("It has it, and will say later how it ends."), ""),
            "paid": (say("It says: paid."), "good"),
            "refused": (say("It says no, for certain."), "bad"),
            "not_found": (say("It says that it has never received it."), "wait"),
            "unknown": (
                say(
                    "No clear answer. That is no failure: the money stays where it is, and it is "
                    "asked again."
                ),
                "wait",
            ),
            _NO_ANSWER: (say("No answer is on record yet."), "wait"),
        }.get(attempt.outcome or _NO_ANSWER, (f"{attempt.outcome}", ""))

    def _cancelling(self, attempt: Attempt) -> tuple[str, str]:
        say = self._say
        if _says(attempt.answer, "failureCode") == CANNOT_CANCEL:
            return say("It cannot: what it has ends only as the operator says."), "wait"
        return {
            "accepted": (say("It cancels it, and will say when that is done."), ""),
            "declined": (say("It does not: it is paying it already, or it has ended."), "wait"),
        }.get(
            attempt.outcome or _NO_ANSWER,
            (say("No clear answer: what becomes of it, it is asked."), "wait"),
        )

    def _end(self, story: Story) -> Iterator[Step]:
        say, told = self._say, story.transaction
        if told.ended_at is None or told.noun is Noun.TRANSFER:
            return
        match told.status:
            case Status.COMPLETED:
                yield Step(told.ended_at, say("Completed"), self.holder(story), "good")
            case Status.FAILED:
                why = self._telling.reason(told.failure_code)
                words = say("The reason: %(why)s.", why=why)
                yield Step(told.ended_at, say("Failed"), f"{words} {self.holder(story)}", "bad")
            case _:
                yield Step(told.ended_at, say("Cancelled"), self.holder(story), "off")

    def _ahead(self, story: Story) -> Iterator[Step]:
        desk = story.desk
        if desk is None or desk.due_at is None:
            return
        say = self._say
        moment = self._speech.instant(desk.due_at)
        title = {
            Action.CHOOSE: say("Waits for a choice on its page"),
            Action.SUBMIT: say("Next: handed to the operator"),
            Action.CHECK: say("Next: the operator is asked again"),
        }[desk.next_action]
        words = (
            say("Until %(moment)s; then it ends, and nothing was taken.", moment=moment)
            if desk.next_action is Action.CHOOSE
            else say("At %(moment)s, or as soon as there is news.", moment=moment)
        )
        yield Step(desk.due_at, title, words, "wait", ahead=True)
        if desk.queue_until is not None and not any(map(_at_deadline, story.attempts)):
            yield Step(
                desk.queue_until,
                say("Its time to wait for the operator"),
                say(
                    "Until %(moment)s; what is not paid by then is cancelled, if it still can be.",
                    moment=self._speech.instant(desk.queue_until),
                ),
                "wait",
                ahead=True,
            )

    def _money(self, amount: Money) -> str:
        return self._speech.money(amount)


def _is_of_before(attempt: Attempt, story: Story) -> bool:
    """Whether it is about a reference that was refused before the one that holds now."""
    told = msgspec.json.decode(bytes(attempt.sent))
    return story.desk is not None and told["reference"] != str(story.desk.reference)


def _evidence(attempt: Attempt) -> Evidence:
    answered = attempt.answered_at
    return Evidence(
        number=attempt.number,
        connector=attempt.connector,
        sent_at=datetime.fromisoformat(attempt.sent_at),
        sent=_readable(attempt.sent),
        answered_at=None if answered is None else datetime.fromisoformat(answered),
        answer=None if attempt.answer is None else _readable(attempt.answer),
    )


def _at_deadline(attempt: Attempt) -> bool:
    """Whether a rail was asked to cancel it because its time was over, and not by a person."""
    return attempt.action == Action.CANCEL and _says(attempt.sent, "queueUntil") is not None


def _says(json: bytes | bytearray | msgspec.Raw | None, name: str) -> object:
    """One field of what was kept as JSON; None where it is not there."""
    kept = {} if json is None else msgspec.json.decode(bytes(json))
    return kept.get(name) if isinstance(kept, dict) else None


def _readable(json: bytes | bytearray | msgspec.Raw) -> str:
    return msgspec.json.format(bytes(json), indent=2).decode()
