"""What stands in the audit log: a closed list of actions, who did them, and what they concerned.

Pure. An entry holds no secret: details are short values that whoever writes the entry picks.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from typing import TypeAlias
from uuid import UUID

import msgspec

from kpay.core.page import USUAL

Details: TypeAlias = Mapping[str, str | int | bool | None]


class Action(StrEnum):
    """Everything that is recorded. A name is its subject and a verb, and never changes."""

    PERSON_CREATED = "person.created"
    PERSON_CHANGED = "person.changed"
    PERSON_DISABLED = "person.disabled"
    PERSON_ENABLED = "person.enabled"
    OPERATOR_CHANGED = "person.operator_changed"
    SESSIONS_ENDED = "person.sessions_ended"
    SIGNED_IN = "session.signed_in"
    CODE_GIVEN = "session.code_given"
    SIGNED_OUT = "session.signed_out"
    SIGNED_OUT_ELSEWHERE = "session.signed_out_elsewhere"
    PASSWORD_CHANGED = "password.changed"
    PASSWORD_LINK_MADE = "password.link_made"
    PASSWORD_SET_BY_LINK = "password.set_by_link"
    SECOND_FACTOR_SET = "second_factor.set"
    SECOND_FACTOR_REMOVED = "second_factor.removed"
    RECOVERY_CODE_USED = "second_factor.recovery_code_used"
    RECOVERY_CODES_RENEWED = "second_factor.recovery_codes_renewed"
    MEMBER_ADDED = "member.added"
    MEMBER_ROLE_CHANGED = "member.role_changed"
    MEMBER_REMOVED = "member.removed"
    MEMBER_LEFT = "member.left"
    TRANSFER_MADE = "transfer.made"
    PAYOUT_REQUESTED = "payout.requested"
    INVITED = "invitation.made"
    INVITATION_WITHDRAWN = "invitation.withdrawn"
    INVITATION_ACCEPTED = "invitation.accepted"
    CANCELLING_ASKED = "transaction.cancelling_asked"
    REFUND_ASKED = "transaction.refund_asked"
    APPROVAL_ASKED = "approval.asked"
    APPROVAL_GIVEN = "approval.given"
    APPROVAL_REFUSED = "approval.refused"
    APPROVAL_TAKEN_BACK = "approval.taken_back"
    APPROVAL_RULES_CHANGED = "approval.rules_changed"
    REPLAY_ASKED = "webhook.replay_asked"
    COMPANY_APPROVED = "company.approved"
    APPROVAL_WITHDRAWN = "company.approval_withdrawn"
    APPLICATION_CREATED = "application.created"
    KEYS_MADE = "application.keys_made"
    TERMS_CHANGED = "application.terms_changed"
    LIMITS_SET = "application.limits_set"
    LIMITS_LIFTED = "application.limits_lifted"
    PERIOD_REPLAYED = "webhook.period_replayed"
    WEBHOOK_TESTED = "webhook.tested"
    WEBHOOK_RESUMED = "webhook.resumed"
    WEBHOOK_SET = "webhook.set"
    WEBHOOK_REMOVED = "webhook.removed"
    WEBHOOK_SECRET_SHOWN = "webhook.secret_shown"
    WEBHOOK_SECRET_ROTATED = "webhook.secret_rotated"
    TOKEN_KEY_ROTATED = "token_key.rotated"
    CONTRADICTION_SETTLED = "contradiction.settled"
    BREAK_CLOSED = "break.closed"


class Actor(msgspec.Struct, frozen=True):
    """Who acts: a person, a command of the operator's with the name of who typed it, or a key.

    Exactly one of the three is given.
    """

    person_id: UUID | None = None
    command: str | None = None
    api_key: str | None = None
    """The public half of the pair with which a merchant's program called."""
    address: str | None = None


# Who it was where nobody says: this program, by itself.
PROGRAM = Actor(command="kpay")


class Subject(msgspec.Struct, frozen=True):
    """What was acted on, such as a person, an invitation or a session."""

    kind: str
    id: str


class Entry(msgspec.Struct, frozen=True):
    """One line of the log. `company_id` is None for what concerns the installation."""

    id: UUID
    at: datetime
    company_id: UUID | None
    person_id: UUID | None
    person_name: str | None
    person_email: str | None
    command: str | None
    address: str | None
    action: str
    """One of `Action`; a word of a newer program's is shown as it is."""
    subject: Subject
    subject_name: str | None
    """The name of the person that it was done to, where it was one."""
    details: Details
    company_name: str | None = None
    is_staff: bool = False
    """Whether the person is the operator's own, whom companies need not know by name."""
    api_key: str | None = None


class AuditFilter(msgspec.Struct, frozen=True):
    """What the log is narrowed to; None narrows nothing. `before` is the last page's last line."""

    company_id: UUID | None = None
    person_id: UUID | None = None
    action: str | None = None
    subject: Subject | None = None
    since: datetime | None = None
    until: datetime | None = None
    before: UUID | None = None
    limit: int = USUAL
