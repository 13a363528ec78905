"""Requests for approval in words: what each asks for, how it stands, and what has changed since."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal

import msgspec

from kpay.approvals.model import Approval, Kind, Outcome, Rules, Shown
from kpay.dashboard.speech import Speech
from kpay.dashboard.telling import StatusWords
from kpay.dashboard.timeline import Step
from kpay.dashboard.typed import phone_words


class Fact(msgspec.Struct, frozen=True):
    """One line of what a movement comes to; `before` is what it was, where that was another."""

    name: str
    now: str
    before: str = ""


def title(speech: Speech, kind: Kind, shown: Shown | None) -> str:
    """Pay 48,227 XOF to +237 653 456 789."""
    say = speech.say
    if shown is None:
        return say("Let one person move more alone")
    match kind:
        case Kind.TRANSFER:
            return say(
                "Move %(money)s from %(source)s to %(destination)s",
                money=speech.money(shown.amount),
                source=speech.country(shown.source),
                destination=speech.country(shown.destination or ""),
            )
        case Kind.REFUND:
            return say(
                "Give %(money)s back to %(phone)s",
                money=speech.money(shown.amount),
                phone=phone_words(shown.phone_number or ""),
            )
        case _:
            return say(
                "Pay %(money)s to %(phone)s",
                money=speech.money(shown.arrives or shown.amount),
                phone=phone_words(shown.phone_number or ""),
            )


def outcome_words(speech: Speech, outcome: Outcome | None) -> StatusWords:
    """How a request stands."""
    say = speech.say
    return {
        None: StatusWords(say("waits"), "wait"),
        Outcome.APPROVED: StatusWords(say("carried out"), "good"),
        Outcome.REJECTED: StatusWords(say("rejected"), "bad"),
        Outcome.WITHDRAWN: StatusWords(say("taken back"), "off"),
        Outcome.EXPIRED: StatusWords(say("run out"), "off"),
    }[outcome]


def facts(speech: Speech, before: Shown, now: Shown | None) -> list[Fact]:
    """What it comes to, and where that has changed since it was asked for.

    What is left of the wallet always has: it is told as it is.
    """
    told, left = dict(_numbers(speech, before)), speech.say("Then available")
    if now is None:
        return [Fact(name, text) for name, text in told.items() if name != left]
    return [
        Fact(name, text, told[name] if told.get(name, text) != text and name != left else "")
        for name, text in _numbers(speech, now)
    ]


def rules_words(speech: Speech, rules: Rules) -> list[str]:
    """What needs approval, a sentence for each currency."""
    say = speech.say
    told = []
    for currency in sorted(rules.above):
        limit = rules.limit(currency)
        if limit is not None and limit.minor:
            told.append(
                say("What takes more than %(money)s out of a wallet.", money=speech.money(limit))
            )
        else:
            told.append(
                say("Everything that takes %(currency)s out of a wallet.", currency=currency)
            )
    if rules.others:
        told.append(
            say("Everything in any other currency.")
            if rules.above
            else say("Everything, whatever the amount and the currency.")
        )
    return told


def steps_before(speech: Speech, approval: Approval | None) -> Sequence[Step]:
    """What came before an operation that was approved: who asked, and who agreed."""
    if approval is None or approval.ended is None:
        return ()
    say, ended = speech.say, approval.ended
    return (
        Step(
            approval.asked_at,
            say("Approval asked for"),
            say("By %(who)s. Nothing was moved or set aside.", who=approval.asker),
        ),
        Step(ended.at, say("Approved"), say("By %(who)s.", who=ended.name or "–"), "good"),
    )


def ended_words(speech: Speech, approval: Approval, now: datetime) -> str:
    """How it ended, in a sentence; nothing while it is open."""
    say, ended = speech.say, approval.ended
    outcome = approval.outcome(now)
    if outcome is None:
        return ""
    who = ended.name or "–" if ended else "–"
    moment = speech.moment(ended.at if ended and ended.by else approval.ends_at)
    return {
        Outcome.APPROVED: say("Approved by %(who)s, %(moment)s.", who=who, moment=moment),
        Outcome.REJECTED: say("Rejected by %(who)s, %(moment)s.", who=who, moment=moment),
        Outcome.WITHDRAWN: say("Taken back by %(who)s, %(moment)s.", who=who, moment=moment),
        Outcome.EXPIRED: say(
            "Nobody decided until %(moment)s: it has run out, and nothing was moved.", moment=moment
        ),
    }[outcome]


def _numbers(speech: Speech, shown: Shown) -> Iterator[tuple[str, str]]:
    say = speech.say
    yield say("Leaves the wallet"), speech.money(shown.amount)
    if shown.fee is not None:
        fee = speech.money(shown.fee) if shown.fee.minor else say("free of charge")
        yield say("Fee"), fee
    if shown.rate is not None and shown.arrives is not None:
        rate = speech.rate(Decimal(shown.rate))
        yield say("Rate"), f"1 {shown.amount.currency} = {rate} {shown.arrives.currency}"
    if shown.arrives is not None:
        yield say("Arrives"), speech.money(shown.arrives)
    if shown.left is not None:
        yield say("Then available"), speech.money(shown.left)
