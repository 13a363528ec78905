"""The roles as people read them: a name each, and what it lets one do."""

from __future__ import annotations

import msgspec

from kpay.dashboard.speech import Speech
from kpay.people.model import OperatorRole, Role


class RoleWords(msgspec.Struct, frozen=True):
    """A role in one language."""

    role: Role | OperatorRole
    name: str
    may: str


def role_words(speech: Speech) -> dict[Role, RoleWords]:
    """Every role, the most powerful first."""
    say = speech.say
    told = {
        Role.OWNER: (
            say("Owner"),
            say("Does everything: moves money, manages applications and people."),
        ),
        Role.FINANCE: (
            say("Finance"),
            say("Sees the money and moves it: transfers, payouts and refunds."),
        ),
        Role.APPROVER: (
            say("Approver"),
            say("Sees the money and approves what others have prepared."),
        ),
        Role.DEVELOPER: (
            say("Developer"),
            say("Sees the money; manages keys, webhooks and settings."),
        ),
        Role.VIEWER: (say("Viewer"), say("Sees the money and changes nothing.")),
    }
    return {role: RoleWords(role, *words) for role, words in told.items()}


def staff_role_words(speech: Speech) -> dict[OperatorRole, RoleWords]:
    """What the operator's own staff can be, the most powerful first."""
    say = speech.say
    told = {
        OperatorRole.ADMIN: (
            say("Admin"),
            say("Does everything here, and decides who else works here."),
        ),
        OperatorRole.SUPPORT: (say("Support"), say("Sees everything here and changes nothing.")),
    }
    return {role: RoleWords(role, *words) for role, words in told.items()}


def role_name(speech: Speech, word: object) -> str:
    """The name of a role as it stands in the audit log; a newer program's is shown as it is."""
    known = (*role_words(speech).values(), *staff_role_words(speech).values())
    return next((each.name for each in known if each.role == word), f"{word}")
