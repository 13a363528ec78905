"""People, roles, rights and sessions: the values and the rules, pure.

Roles are a company's own; the operator's staff have a role in the installation and no company. A
session carries what its person may do, as it was when the session was looked up.
"""

from __future__ import annotations

import hmac
import re
import unicodedata
from collections.abc import Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec

from kpay.audit.model import Actor
from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal

# NIST SP 800-63B asks for a new sign-in after 12 hours (revision 3, AAL2; 24 in revision 4)
# whatever was done meanwhile, and after an hour in which nothing was (revision 4, AAL2).
SESSION_LIFE = timedelta(hours=12)
IDLE_LIFE = timedelta(hours=1)
# A session that waits for its code.
CODE_WITHIN = timedelta(minutes=10)
# How long a code that was given counts as given just now, for what is asked about once more.
CODE_FRESH = timedelta(minutes=5)
# `seen_at` is written no more often than this.
SEEN_EVERY = timedelta(minutes=1)

INVITATION_LIFE = timedelta(days=7)
RESET_LIFE = timedelta(hours=1)
# For who was given no password yet: as long as an invitation.
FIRST_LINK_LIFE = INVITATION_LIFE

# How long a sign-in that was refused is remembered.
REFUSALS_KEPT = timedelta(days=30)

MOST_EMAIL_LENGTH = 254
MOST_NAME_LENGTH = 100
MOST_AGENT_LENGTH = 300

Language: TypeAlias = Literal["fr", "en"]

# One of RFC 5321's addresses in ASCII: what cannot be two that look alike.
_EMAIL = re.compile(r"[a-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@(?:[a-z0-9-]{1,63}\.)+[a-z0-9-]{2,63}")


class Role(StrEnum):
    """What a person is in a company."""

    OWNER = "OWNER"
    FINANCE = "FINANCE"
    APPROVER = "APPROVER"
    DEVELOPER = "DEVELOPER"
    VIEWER = "VIEWER"


class Right(StrEnum):
    """What a role allows in a company."""

    VIEW_MONEY = "VIEW_MONEY"
    """Wallets, operations and statements."""
    MOVE_MONEY = "MOVE_MONEY"
    """Transfers, payouts and refunds, or preparing them where another must approve."""
    APPROVE = "APPROVE"
    """What another prepared."""
    APPROVAL_RULES = "APPROVAL_RULES"
    """Which movements of money another must approve."""
    APPLICATIONS = "APPLICATIONS"
    """Keys, webhooks and settings of applications."""
    PEOPLE = "PEOPLE"
    """Invitations, roles, removals."""
    AUDIT_LOG = "AUDIT_LOG"
    """Who did what, and from which addresses colleagues sign in: for who manages them."""


RIGHTS: Mapping[Role, frozenset[Right]] = {
    Role.OWNER: frozenset(Right),
    Role.FINANCE: frozenset({Right.VIEW_MONEY, Right.MOVE_MONEY}),
    Role.APPROVER: frozenset({Right.VIEW_MONEY, Right.APPROVE}),
    Role.DEVELOPER: frozenset({Right.VIEW_MONEY, Right.APPLICATIONS}),
    Role.VIEWER: frozenset({Right.VIEW_MONEY}),
}


class OperatorRole(StrEnum):
    """What a person is to the operator's own back office."""

    ADMIN = "ADMIN"
    SUPPORT = "SUPPORT"


class OperatorRight(StrEnum):
    """What an operator's role allows in the installation."""

    VIEW = "VIEW"
    """Companies, operations, breaks, contradictions, and the whole audit log."""
    SETTLE = "SETTLE"
    """What waits for a person: breaks of reconciliation, contradictions of rails."""
    CONFIGURE = "CONFIGURE"
    """Approvals for live, limits, fees, rails; passwords and accounts of companies' people."""
    STAFF = "STAFF"
    """Who else works for the operator."""


OPERATOR_RIGHTS: Mapping[OperatorRole, frozenset[OperatorRight]] = {
    OperatorRole.ADMIN: frozenset(OperatorRight),
    OperatorRole.SUPPORT: frozenset({OperatorRight.VIEW}),
}


class Person(msgspec.Struct, frozen=True):
    """Somebody who can sign in. `operator_role` is None for a merchant's people."""

    id: UUID
    email: str
    name: str
    language: str | None
    operator_role: OperatorRole | None
    disabled_at: datetime | None
    factor_since: datetime | None
    """Since when a second factor is in force."""


class Membership(msgspec.Struct, frozen=True):
    """A person's role in a company. `approved` is whether the company may have live keys."""

    company_id: UUID
    company_name: str
    role: Role
    approved: bool


class Member(msgspec.Struct, frozen=True):
    """A company's person, as its owners see them."""

    person: Person
    role: Role
    since: datetime


class Colleague(msgspec.Struct, frozen=True):
    """One of the operator's own staff, as the others see who works there."""

    person: Person
    role: OperatorRole
    since: datetime
    has_password: bool
    link_until: datetime | None
    """Until when a link opens that sets this person's password; None where there is none."""
    sessions: int
    """How many are open now."""
    seen_at: datetime | None
    """When something was last done in one of them; None where none is open."""


class Place(msgspec.Struct, frozen=True):
    """One of a person's sessions, as the person is shown it."""

    id: UUID
    created_at: datetime
    seen_at: datetime
    address: str | None
    agent: str
    current: bool


class RefusedSignIn(msgspec.Struct, frozen=True):
    """A password or a code that was wrong. Whose is known only where the email was one of ours."""

    at: datetime
    address: str | None
    """None for this machine itself."""
    code: str
    person_id: UUID | None
    name: str | None
    email: str | None
    is_staff: bool
    is_disabled: bool


class Invitation(msgspec.Struct, frozen=True):
    """An invitation that nobody has accepted yet."""

    id: UUID
    company_id: UUID
    company_name: str
    email: str
    role: Role
    created_at: datetime
    ends_at: datetime


class Link(msgspec.Struct, frozen=True):
    """An address with a secret in it, shown this once, and until when it opens anything."""

    url: str
    ends_at: datetime


class SignedIn(msgspec.Struct, frozen=True):
    """A session that has just begun. `token` is for the session's cookie, and is shown this once.

    `device` is for a cookie that stays: a browser that shows it at the next sign-in is known, and
    nobody else's wrong passwords hold it up.
    """

    token: str
    needs_code: bool
    ends_at: datetime
    device: str


class Session(msgspec.Struct, frozen=True):
    """Who is signed in, with what that person may do. While `needs_code` it may do nothing."""

    id: UUID
    person: Person
    memberships: tuple[Membership, ...]
    created_at: datetime
    second_factor_at: datetime | None
    address: str | None
    """Where this request comes from."""
    csrf_token: str
    """What every form of this session carries; see `matches`."""
    device: str | None
    """The known browser that it was begun in."""

    @property
    def needs_code(self) -> bool:
        """Half in: the password was right and the code was not given yet."""
        return self.person.factor_since is not None and self.second_factor_at is None

    @property
    def has_second_factor(self) -> bool:
        """Whether a second factor is in force and was shown in this session."""
        return self.person.factor_since is not None and self.second_factor_at is not None

    def has_fresh_code(self, now: datetime) -> bool:
        """Whether the second factor was shown so lately that it is not asked for once more."""
        proved = self.second_factor_at
        return self.has_second_factor and proved is not None and now < proved + CODE_FRESH

    @property
    def actor(self) -> Actor:
        return Actor(person_id=self.person.id, address=self.address)

    @property
    def companies(self) -> list[UUID]:
        return [membership.company_id for membership in self.memberships]

    def membership(self, company_id: UUID) -> Membership | None:
        """The person's place in a company, or None."""
        for membership in self.memberships:
            if membership.company_id == company_id:
                return membership
        return None

    def right(self, company_id: UUID, right: Right) -> bool:
        """Whether the person may look at or begin something of a company's."""
        membership = self.membership(company_id)
        return not self.needs_code and membership is not None and right in RIGHTS[membership.role]

    def operator_right(self, right: OperatorRight) -> bool:
        """Whether the person may do something in the operator's back office."""
        role = self.person.operator_role
        return not self.needs_code and role is not None and right in OPERATOR_RIGHTS[role]

    def check(self, company_id: UUID, right: Right, changes: Environment | None = None) -> None:
        """Let something of a company's be seen, or changed in an environment.

        Refuses: not_allowed; second_factor_needed.
        """
        membership = self.membership(company_id)
        if membership is None or not self.right(company_id, right):
            raise code_first() if self.needs_code else not_allowed()
        self.check_second_factor(must_prove_twice(membership.role, changes))

    def check_operator(self, right: OperatorRight) -> None:
        """Let something of the installation be seen; what but VIEW allows changes what is live.

        Refuses: not_allowed; second_factor_needed.
        """
        if not self.operator_right(right):
            raise code_first() if self.needs_code else not_allowed()
        self.check_second_factor(right is not OperatorRight.VIEW)

    def matches(self, csrf_token: str) -> bool:
        """Whether a form came from a page of this session. In constant time."""
        given = csrf_token.encode("utf-8", "replace")
        return hmac.compare_digest(self.csrf_token.encode(), given)

    def check_second_factor(self, needed: bool) -> None:
        """Refuses: second_factor_needed, where one is needed and none was shown."""
        if needed and not self.has_second_factor:
            raise Refusal(
                Code.SECOND_FACTOR_NEEDED,
                "Set up a second factor first: it is needed before anything can be changed here.",
            )


def must_prove_twice(role: Role, changes: Environment | None) -> bool:
    """Whether a member must have shown a second factor: owners, for what changes in production."""
    return role is Role.OWNER and changes is Environment.PRODUCTION


def environment_of_people(membership: Membership) -> Environment:
    """What a change of a company's people changes: who reaches its live money, once it has any."""
    return Environment.PRODUCTION if membership.approved else Environment.TEST


def session_ends(
    created_at: datetime, seen_at: datetime, *, needs_code: bool, now: datetime
) -> datetime | None:
    """When a session ends if nothing more is done in it; None when it has ended."""
    if needs_code:
        ends = created_at + CODE_WITHIN
    else:
        ends = min(created_at + SESSION_LIFE, seen_at + IDLE_LIFE)
    return ends if now < ends else None


def clean_email(text: str) -> str:
    """An address as it is kept: in lower case, so that it is one. Refuses: invalid_parameter."""
    email = text.strip().lower()
    if len(email) > MOST_EMAIL_LENGTH or not _EMAIL.fullmatch(email):
        raise Refusal(Code.INVALID_PARAMETER, "email must be an address such as amina@example.com.")
    return email


def clean_name(text: str) -> str:
    """A name as it is kept. Refuses: invalid_parameter."""
    name = " ".join(unicodedata.normalize("NFC", text).split())
    if not 1 <= len(name) <= MOST_NAME_LENGTH or not name.isprintable():
        raise Refusal(
            Code.INVALID_PARAMETER, f"name must be 1 to {MOST_NAME_LENGTH} printable characters."
        )
    return name


def clean_agent(text: str | None) -> str:
    """What a browser says that it is, as it can be kept and shown."""
    kept = "".join(letter for letter in text or "" if letter.isprintable())
    return kept[:MOST_AGENT_LENGTH]


def not_allowed() -> Refusal:
    return Refusal(Code.NOT_ALLOWED, "Your role does not allow this: ask an owner of the company.")


def code_first() -> Refusal:
    return Refusal(Code.SECOND_FACTOR_NEEDED, "Give the code of your second factor first.")


def session_over() -> Refusal:
    return Refusal(Code.SESSION_OVER, "You are not signed in any more: sign in again.")


def wrong_sign_in() -> Refusal:
    """The same for an unknown address, a wrong password and a person who was disabled."""
    return Refusal(Code.WRONG_SIGN_IN, "The email or the password is wrong.")


def wrong_code() -> Refusal:
    return Refusal(
        Code.WRONG_CODE,
        "The code is wrong or was used already: wait for the next one and give that.",
    )


def link_over() -> Refusal:
    return Refusal(Code.LINK_OVER, "This link has run out or was used already: ask for a new one.")


def invitation_over() -> Refusal:
    return Refusal(
        Code.INVITATION_OVER,
        "This invitation has run out, was withdrawn or was used already: ask for a new one.",
    )


def last_owner() -> Refusal:
    return Refusal(
        Code.LAST_OWNER, "A company keeps at least one owner: make somebody else an owner first."
    )
