"""What stands in the audit log, in words: a name for each action, and a sentence for each entry.

A sentence begins with its verb, as who did it is written before it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from kpay.audit.model import Action, Entry
from kpay.core.book import Environment
from kpay.core.money import Money
from kpay.dashboard import office_deeds
from kpay.dashboard.roles import role_name
from kpay.dashboard.speech import Speech


def deed_names(speech: Speech) -> dict[Action, str]:
    """Every action, as a filter offers it."""
    say = speech.say
    return {
        Action.SIGNED_IN: say("Signed in"),
        Action.CODE_GIVEN: say("Gave a code"),
        Action.RECOVERY_CODE_USED: say("Used a recovery code"),
        Action.SIGNED_OUT: say("Signed out"),
        Action.SIGNED_OUT_ELSEWHERE: say("Signed out everywhere else"),
        Action.PASSWORD_CHANGED: say("Changed the password"),
        Action.PASSWORD_LINK_MADE: say("Made a password link"),
        Action.PASSWORD_SET_BY_LINK: say("Set a password by a link"),
        Action.SECOND_FACTOR_SET: say("Set up a second factor"),
        Action.SECOND_FACTOR_REMOVED: say("Removed a second factor"),
        Action.RECOVERY_CODES_RENEWED: say("Made new recovery codes"),
        Action.TRANSFER_MADE: say("Moved money between wallets"),
        Action.PAYOUT_REQUESTED: say("Paid somebody"),
        Action.INVITED: say("Invited somebody"),
        Action.INVITATION_WITHDRAWN: say("Withdrew an invitation"),
        Action.INVITATION_ACCEPTED: say("Accepted an invitation"),
        Action.MEMBER_ADDED: say("Added a member"),
        Action.MEMBER_ROLE_CHANGED: say("Changed a role"),
        Action.MEMBER_REMOVED: say("Removed a member"),
        Action.MEMBER_LEFT: say("Left the company"),
        Action.CONTRADICTION_SETTLED: say("Settled a contradiction"),
        Action.BREAK_CLOSED: say("Closed a break"),
        Action.PERSON_CREATED: say("Created an account"),
        Action.PERSON_CHANGED: say("Changed name or language"),
        Action.PERSON_DISABLED: say("Closed an account"),
        Action.PERSON_ENABLED: say("Opened an account again"),
        Action.OPERATOR_CHANGED: say("Changed a role in the staff"),
        Action.SESSIONS_ENDED: say("Signed somebody out"),
        Action.CANCELLING_ASKED: say("Asked to cancel a transaction"),
        Action.REFUND_ASKED: say("Asked to refund a payment"),
        Action.APPROVAL_ASKED: say("Asked for approval"),
        Action.APPROVAL_GIVEN: say("Approved what another asked for"),
        Action.APPROVAL_REFUSED: say("Rejected what another asked for"),
        Action.APPROVAL_TAKEN_BACK: say("Took a request for approval back"),
        Action.APPROVAL_RULES_CHANGED: say("Changed what needs approval"),
        **office_deeds.names(speech),
    }


def sentence(speech: Speech, entry: Entry) -> str:
    """What was done, after the name of who did it; a newer program's action as it is."""
    told = next((told for action, told in _SENTENCES.items() if action == entry.action), None)
    return entry.action if told is None else told(speech, entry)


def _plain(text: Callable[[Speech], str]) -> Callable[[Speech, Entry], str]:
    return lambda speech, _: text(speech)


def _of_person(text: Callable[[Speech], str]) -> Callable[[Speech, Entry], str]:
    return lambda speech, entry: text(speech) % {"who": _whom(speech, entry)}


def _with_role(text: Callable[[Speech], str]) -> Callable[[Speech, Entry], str]:
    def told(speech: Speech, entry: Entry) -> str:
        role = entry.details.get("role") or entry.details.get("operatorRole")
        parts = {
            "who": _whom(speech, entry),
            "role": role_name(speech, role),
            "before": role_name(speech, entry.details.get("before")),
        }
        return text(speech) % parts

    return told


def _of_transaction(text: Callable[[Speech], str]) -> Callable[[Speech, Entry], str]:
    def told(speech: Speech, entry: Entry) -> str:
        return text(speech) % {"which": f"{entry.details.get('reference') or entry.subject.id}"}

    return told


def _signed_in(speech: Speech, entry: Entry) -> str:
    if entry.details.get("knownBrowser"):
        return speech.say("signed in")
    return speech.say("signed in, in a browser not seen before")


def _recovery_code(speech: Speech, entry: Entry) -> str:
    return speech.say(
        "gave a recovery code (%(left)s left)", left=f"{entry.details.get('left', '?')}"
    )


def _elsewhere(speech: Speech, entry: Entry) -> str:
    return speech.say(
        "signed out everywhere else (sessions ended: %(count)s)",
        count=f"{entry.details.get('sessions', '?')}",
    )


def _signed_out(speech: Speech, entry: Entry) -> str:
    return speech.say(
        "signed %(who)s out everywhere (sessions ended: %(count)s)",
        who=_whom(speech, entry),
        count=f"{entry.details.get('sessionsEnded', '?')}",
    )


def _transfer(speech: Speech, entry: Entry) -> str:
    return speech.say(
        "moved %(money)s from %(source)s to %(destination)s (%(where)s)", **_moved(speech, entry)
    )


def _payout(speech: Speech, entry: Entry) -> str:
    return speech.say(
        "paid %(arrives)s with %(provider)s out of the wallet of %(source)s (%(where)s)",
        **_moved(speech, entry),
    )


def _of_request(text: Callable[[Speech], str]) -> Callable[[Speech, Entry], str]:
    def told(speech: Speech, entry: Entry) -> str:
        parts = {
            "what": _requested(speech, entry),
            "who": f"{entry.details.get('askedBy') or '–'}",
            "why": f"{entry.details.get('reason') or '–'}",
        }
        return text(speech) % parts

    return told


def _requested(speech: Speech, entry: Entry) -> str:
    """What a request for approval asks for."""
    say, parts = speech.say, _moved(speech, entry)
    match entry.details.get("kind"):
        case "transfer":
            return say(
                "transfer of %(money)s from %(source)s to %(destination)s (%(where)s)", **parts
            )
        case "payout":
            return say(
                "payout of %(arrives)s with %(provider)s out of the wallet of %(source)s "
                "(%(where)s)",
                **parts,
            )
        case "refund":
            return say("refund of %(money)s out of the wallet of %(source)s (%(where)s)", **parts)
        case _:
            return say("rules that protect less (%(where)s)", **parts)


def _rules(speech: Speech, entry: Entry) -> str:
    """The rules in short: what needs approval, by currency."""
    details = entry.details
    limits = [
        speech.money(Money(value, name))
        for name, value in sorted(details.items())
        if len(name) == 3 and name.isupper() and isinstance(value, int)
    ]
    if details.get("others"):
        limits.append(speech.say("everything in other currencies"))
    where = _moved(speech, entry)["where"]
    if not limits:
        return speech.say("lifted every rule of approval (%(where)s)", where=where)
    return speech.say(
        "changed what needs approval to: more than %(limits)s (%(where)s)",
        limits=", ".join(limits),
        where=where,
    )


def _moved(speech: Speech, entry: Entry) -> dict[str, str]:
    """The parts of a sentence about money; what an entry does not say is a dash."""
    details = entry.details
    live = details.get("environment") == Environment.PRODUCTION
    environment = speech.say("live") if live else speech.say("test")
    return {
        "money": _money(speech, details.get("amount"), details.get("currency")),
        "arrives": _money(speech, details.get("arrives"), details.get("arrivesIn")),
        "source": _country(speech, details.get("source")),
        "destination": _country(speech, details.get("destination")),
        "provider": f"{details.get('provider') or '–'}",
        "where": f"{details.get('application') or '–'}, {environment}",
    }


def _money(speech: Speech, minor: object, currency: object) -> str:
    if not isinstance(minor, int) or not isinstance(currency, str):
        return "–"
    return speech.money(Money(minor, currency))


def _country(speech: Speech, code: object) -> str:
    return speech.country(code) if isinstance(code, str) else "–"


def _whom(speech: Speech, entry: Entry) -> str:
    """Whom it was done to: by name where there is one, else by the address that is known."""
    email = entry.details.get("email")
    return entry.subject_name or (f"{email}" if email else speech.say("somebody"))


_SENTENCES: Mapping[Action, Callable[[Speech, Entry], str]] = {
    Action.SIGNED_IN: _signed_in,
    Action.CODE_GIVEN: _plain(lambda speech: speech.say("gave the code of the second factor")),
    Action.RECOVERY_CODE_USED: _recovery_code,
    Action.SIGNED_OUT: _plain(lambda speech: speech.say("ended a session")),
    Action.SIGNED_OUT_ELSEWHERE: _elsewhere,
    Action.PASSWORD_CHANGED: _plain(lambda speech: speech.say("changed their own password")),
    Action.PASSWORD_LINK_MADE: _of_person(
        lambda speech: speech.say("made a link for a new password of %(who)s")
    ),
    Action.PASSWORD_SET_BY_LINK: _plain(lambda speech: speech.say("set a new password by a link")),
    Action.SECOND_FACTOR_SET: _plain(lambda speech: speech.say("set up a second factor")),
    Action.SECOND_FACTOR_REMOVED: _of_person(
        lambda speech: speech.say("removed the second factor of %(who)s")
    ),
    Action.RECOVERY_CODES_RENEWED: _plain(lambda speech: speech.say("made new recovery codes")),
    Action.TRANSFER_MADE: _transfer,
    Action.PAYOUT_REQUESTED: _payout,
    Action.INVITED: _with_role(lambda speech: speech.say("invited %(who)s as %(role)s")),
    Action.INVITATION_WITHDRAWN: _of_person(
        lambda speech: speech.say("withdrew the invitation of %(who)s")
    ),
    Action.INVITATION_ACCEPTED: _with_role(
        lambda speech: speech.say("accepted the invitation and came in as %(role)s")
    ),
    Action.MEMBER_ADDED: _with_role(lambda speech: speech.say("added %(who)s as %(role)s")),
    Action.MEMBER_ROLE_CHANGED: _with_role(
        lambda speech: speech.say("changed the role of %(who)s from %(before)s to %(role)s")
    ),
    Action.MEMBER_REMOVED: _of_person(
        lambda speech: speech.say("removed %(who)s from the company")
    ),
    Action.MEMBER_LEFT: _plain(lambda speech: speech.say("left the company")),
    Action.CONTRADICTION_SETTLED: _plain(
        lambda speech: speech.say("settled what a rail said against our books")
    ),
    Action.BREAK_CLOSED: _plain(
        lambda speech: speech.say("closed a break between our books and a rail's")
    ),
    Action.PERSON_CREATED: _of_person(lambda speech: speech.say("created the account of %(who)s")),
    Action.PERSON_CHANGED: _plain(lambda speech: speech.say("changed their own name or language")),
    Action.PERSON_DISABLED: _of_person(lambda speech: speech.say("closed the account of %(who)s")),
    Action.PERSON_ENABLED: _of_person(
        lambda speech: speech.say("opened the account of %(who)s again")
    ),
    Action.OPERATOR_CHANGED: _with_role(
        lambda speech: speech.say("made %(who)s %(role)s of the installation")
    ),
    Action.SESSIONS_ENDED: _signed_out,
    Action.CANCELLING_ASKED: _of_transaction(
        lambda speech: speech.say("asked to cancel %(which)s")
    ),
    Action.REFUND_ASKED: _of_transaction(lambda speech: speech.say("asked to refund %(which)s")),
    Action.APPROVAL_ASKED: _of_request(
        lambda speech: speech.say("asked another person to approve: %(what)s")
    ),
    Action.APPROVAL_GIVEN: _of_request(
        lambda speech: speech.say("approved what %(who)s had asked for: %(what)s")
    ),
    Action.APPROVAL_REFUSED: _of_request(
        lambda speech: speech.say(
            "rejected what %(who)s had asked for: %(what)s. The reason: %(why)s"
        )
    ),
    Action.APPROVAL_TAKEN_BACK: _of_request(
        lambda speech: speech.say("took back a request for approval: %(what)s")
    ),
    Action.APPROVAL_RULES_CHANGED: _rules,
    **office_deeds.SENTENCES,
}
