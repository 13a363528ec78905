"""What the operator changes of a company, and what is asked of webhooks, in words.

Beside `deeds`, which has those of people; a sentence begins with its verb there too.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime

from kpay.audit.model import Action, Entry
from kpay.core.book import Environment
from kpay.core.money import Money
from kpay.dashboard.speech import Speech

Telling = Callable[[Speech, Entry], str]


def names(speech: Speech) -> dict[Action, str]:
    """Each of these actions, as a filter offers it."""
    say = speech.say
    return {
        Action.COMPANY_APPROVED: say("Approved for live"),
        Action.APPROVAL_WITHDRAWN: say("Withdrew the approval for live"),
        Action.APPLICATION_CREATED: say("Created an application"),
        Action.KEYS_MADE: say("Made new keys"),
        Action.TERMS_CHANGED: say("Changed the terms"),
        Action.LIMITS_SET: say("Set limits"),
        Action.LIMITS_LIFTED: say("Took own limits away"),
        Action.REPLAY_ASKED: say("Asked for a webhook again"),
        Action.PERIOD_REPLAYED: say("Asked for the webhooks of some time again"),
        Action.WEBHOOK_TESTED: say("Tested a webhook address"),
        Action.WEBHOOK_RESUMED: say("Resumed a webhook address"),
        Action.WEBHOOK_SET: say("Set a webhook address"),
        Action.WEBHOOK_REMOVED: say("Took a webhook address away"),
        Action.WEBHOOK_SECRET_SHOWN: say("Looked at the webhook secret"),
        Action.WEBHOOK_SECRET_ROTATED: say("Made a new webhook secret"),
        Action.TOKEN_KEY_ROTATED: say("Made a new key for tokens"),
    }


def operations(speech: Speech) -> dict[str, str]:
    """What limits are of, in the plural."""
    say = speech.say
    return {"DEPOSIT": say("Payments"), "PAYOUT": say("Payouts"), "TRANSFER": say("Transfers")}


def topics(speech: Speech) -> dict[str, str]:
    """What an address hears."""
    say = speech.say
    return {
        "generic": say("General"),
        "payments": say("Payments"),
        "payouts": say("Payouts"),
        "refunds": say("Refunds"),
    }


def terms_changed(speech: Speech, details: Mapping[str, object]) -> list[tuple[str, str, str]]:
    """What of the terms is another now: its name, what it was, what it is."""
    say = speech.say
    spelled: dict[str, tuple[str, Callable[[Speech, object], str]]] = {
        "paymentFeeBps": (say("Fee on payments"), _percent),
        "payoutFeeBps": (say("Fee on payouts"), _percent),
        "rateLimit": (say("Requests a minute"), rate_words),
        "providers": (say("Operators"), _providers),
    }
    return [
        (name, told(speech, details.get(f"{key}Before")), told(speech, details[key]))
        for key, (name, told) in spelled.items()
        if key in details
    ]


def rate_words(speech: Speech, rate: object) -> str:
    """How often an application may call."""
    if not isinstance(rate, int):
        return speech.say("as usual")
    return speech.number(rate) if rate else speech.say("any number")


def _percent(speech: Speech, fee: object) -> str:
    return speech.percent(fee) if isinstance(fee, int) else "?"


def _providers(speech: Speech, providers: object) -> str:
    return providers if isinstance(providers, str) else speech.say("all")


def _approved(speech: Speech, entry: Entry) -> str:
    return _because(speech, entry, speech.say("approved the company for live"))


def _withdrawn(speech: Speech, entry: Entry) -> str:
    told = speech.say(
        "withdrew the company’s approval for live (pairs of live keys ended: %(count)s)",
        count=f"{entry.details.get('keysEnded', '?')}",
    )
    return _because(speech, entry, told)


def _because(speech: Speech, entry: Entry, told: str) -> str:
    reason = entry.details.get("reason")
    return speech.say("%(what)s: %(reason)s", what=told, reason=reason) if reason else told


def _terms(speech: Speech, entry: Entry) -> str:
    parts = [
        speech.say("%(name)s from %(before)s to %(after)s", name=name, before=before, after=after)
        for name, before, after in terms_changed(speech, entry.details)
    ]
    told = speech.say("changed the terms of %(which)s", which=_which(speech, entry))
    return speech.say("%(what)s: %(reason)s", what=told, reason="; ".join(parts)) if parts else told


def _limits(speech: Speech, entry: Entry) -> str:
    return speech.say(
        "set the limits of %(which)s: %(operation)s, %(least)s to %(most)s",
        which=_which(speech, entry),
        operation=_operation(speech, entry),
        least=_bound(speech, entry, "least"),
        most=_bound(speech, entry, "most"),
    )


def _lifted(speech: Speech, entry: Entry) -> str:
    return speech.say(
        "took the own limits of %(which)s away: %(operation)s in %(currency)s",
        which=_which(speech, entry),
        operation=_operation(speech, entry),
        currency=f"{entry.details.get('currency', '?')}",
    )


def _replayed(speech: Speech, entry: Entry) -> str:
    which = entry.details.get("reference") or entry.subject.id
    return speech.say("asked for the webhook of %(which)s again", which=f"{which}")


def _period(speech: Speech, entry: Entry) -> str:
    return speech.say(
        "asked for the webhooks from %(since)s to %(until)s again",
        since=_moment(speech, entry, "since"),
        until=_moment(speech, entry, "until"),
    )


def _of_application(text: Callable[[Speech], str]) -> Telling:
    return lambda speech, entry: text(speech) % _webhook(speech, entry)


def _set(speech: Speech, entry: Entry) -> str:
    parts = _webhook(speech, entry)
    if entry.details.get("hostBefore") is None:
        return speech.say(
            "set the webhook address of %(which)s (%(where)s): %(topic)s, at %(host)s", **parts
        )
    return speech.say(
        "changed the webhook address of %(which)s (%(where)s): %(topic)s, from %(before)s to "
        "%(host)s",
        **parts,
    )


def _webhook(speech: Speech, entry: Entry) -> dict[str, str]:
    """The parts of a sentence about keys and webhooks; what an entry does not say is a dash."""
    details = entry.details
    topic = details.get("topic")
    live = details.get("environment") == Environment.PRODUCTION.word
    return {
        "which": _which(speech, entry),
        "where": speech.say("live") if live else speech.say("test"),
        "topic": topics(speech).get(f"{topic}", f"{topic or '–'}"),
        "host": f"{details.get('host') or '–'}",
        "before": f"{details.get('hostBefore') or '–'}",
        "key": f"{details.get('apiKey') or '–'}",
    }


def _which(speech: Speech, entry: Entry) -> str:
    return f"{entry.details.get('application') or speech.say('an application')}"


def _operation(speech: Speech, entry: Entry) -> str:
    word = f"{entry.details.get('operation', '?')}"
    return operations(speech).get(word, word)


def _moment(speech: Speech, entry: Entry, name: str) -> str:
    try:
        return speech.moment(datetime.fromisoformat(f"{entry.details.get(name)}"))
    except ValueError:
        return "?"


def _bound(speech: Speech, entry: Entry, name: str) -> str:
    minor = entry.details.get(name)
    if not isinstance(minor, int):
        return "?"
    return speech.money(Money(minor, f"{entry.details.get('currency', '?')}"))


SENTENCES: Mapping[Action, Telling] = {
    Action.COMPANY_APPROVED: _approved,
    Action.APPROVAL_WITHDRAWN: _withdrawn,
    Action.TERMS_CHANGED: _terms,
    Action.LIMITS_SET: _limits,
    Action.LIMITS_LIFTED: _lifted,
    Action.REPLAY_ASKED: _replayed,
    Action.PERIOD_REPLAYED: _period,
    Action.WEBHOOK_TESTED: _of_application(
        lambda speech: speech.say("had a test sent to the address of %(which)s: %(topic)s")
    ),
    Action.WEBHOOK_RESUMED: _of_application(
        lambda speech: speech.say("resumed the webhook address of %(which)s: %(topic)s")
    ),
    Action.APPLICATION_CREATED: _of_application(
        lambda speech: speech.say("created the application %(which)s with its keys")
    ),
    Action.KEYS_MADE: _of_application(
        lambda speech: speech.say(
            "made new keys of %(which)s (%(where)s), which ended those before: %(key)s"
        )
    ),
    Action.WEBHOOK_SET: _set,
    Action.WEBHOOK_REMOVED: _of_application(
        lambda speech: speech.say(
            "took the webhook address of %(which)s away (%(where)s): %(topic)s, at %(before)s"
        )
    ),
    Action.WEBHOOK_SECRET_SHOWN: _of_application(
        lambda speech: speech.say("looked at the webhook secret of %(which)s (%(where)s)")
    ),
    Action.WEBHOOK_SECRET_ROTATED: _of_application(
        lambda speech: speech.say("made a new webhook secret of %(which)s (%(where)s)")
    ),
    Action.TOKEN_KEY_ROTATED: _of_application(
        lambda speech: speech.say("made a new key with which tokens are signed")
    ),
}
