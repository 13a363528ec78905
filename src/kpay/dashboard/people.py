"""A company's people: who is in it, invitations, roles, removals, links for a new password."""

from __future__ import annotations

from uuid import UUID

import msgspec

from kpay.core.ids import parse_uuid
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.dashboard.account import SET_UP
from kpay.dashboard.house import drawn
from kpay.dashboard.page import PREFIX, Gone, Page, Reach, Visit, company_address
from kpay.dashboard.roles import role_words
from kpay.people.members import Members
from kpay.people.model import Invitation, Link, Member, Right, Role
from kpay.web.pages import Answer, redirect

_PEOPLE = f"{PREFIX}/company/{{company}}/people"
_MEMBER = f"{_PEOPLE}/member/{{person}}"
# What another owner did a moment before: the page as it is then, with a word about it.
_ELSEWHERE = {Code.NOT_FOUND: "gone", Code.NOT_ALLOWED: "not-allowed"}


class Given(msgspec.Struct, frozen=True):
    """A link that was just made, and for whom: the page shows it this once."""

    link: Link
    to: str
    invites: bool


class Wrong(msgspec.Struct, frozen=True):
    """What could not be done, in words, and the form that it stands in."""

    words: str
    person_id: UUID | None = None
    """None for the invitation's form."""


class PeoplePages:
    """The list for everybody in the company, with forms for those who may change it."""

    def __init__(self, members: Members) -> None:
        self._members = members

    def pages(self) -> list[Page]:
        changes = Right.PEOPLE
        return [
            Page("GET", _PEOPLE, Reach.COMPANY, self.show, Right.VIEW_MONEY),
            Page("POST", f"{_PEOPLE}/invite", Reach.COMPANY, self.invite, changes),
            Page(
                "POST",
                f"{_PEOPLE}/invitation/{{invitation}}",
                Reach.COMPANY,
                self.withdraw,
                changes,
            ),
            Page("POST", f"{_MEMBER}/role", Reach.COMPANY, self.change_role, changes),
            Page("POST", f"{_MEMBER}/remove", Reach.COMPANY, self.remove, changes),
            Page("POST", f"{_MEMBER}/link", Reach.COMPANY, self.give_link, changes),
        ]

    async def show(self, visit: Visit) -> Answer:
        return await self._shown(visit)

    async def invite(self, visit: Visit) -> Answer:
        """An invitation, whose link is on this answer alone."""
        email = visit.form.get("email", "")
        try:
            link = await self._members.invite(visit.session, _company(visit), email, _role(visit))
        except Refusal as refusal:
            if refusal.code is Code.NOT_ALLOWED:
                words = visit.speech.say(
                    "This address cannot be invited: it belongs to who runs KPay. Use another one."
                )
                return await self._shown(visit, ANSWERS[refusal.code].status, wrong=Wrong(words))
            return await self._refused(visit, refusal, None)
        return await self._shown(visit, given=Given(link, email.strip(), invites=True))

    async def withdraw(self, visit: Visit) -> Answer:
        """Take an invitation back; one that is over already is what was asked for."""
        invitation_id = parse_uuid(visit.path["invitation"])
        if invitation_id is None:
            raise Gone
        try:
            await self._members.withdraw(visit.session, _company(visit), invitation_id)
        except Refusal as refusal:
            if refusal.code is not Code.INVITATION_OVER:
                return await self._refused(visit, refusal, None)
        return _back(visit, "withdrawn")

    async def change_role(self, visit: Visit) -> Answer:
        person_id = _person(visit)
        try:
            await self._members.change_role(visit.session, _company(visit), person_id, _role(visit))
        except Refusal as refusal:
            return await self._refused(visit, refusal, person_id)
        return _back(visit, "role")

    async def remove(self, visit: Visit) -> Answer:
        """Take a member out. An owner who takes himself out has no page here any more."""
        person_id, session = _person(visit), visit.session
        try:
            if person_id == session.person.id:
                await self._members.leave(session, _company(visit))
                return redirect(f"{PREFIX}/applications")
            await self._members.remove(session, _company(visit), person_id)
        except Refusal as refusal:
            return await self._refused(visit, refusal, person_id)
        return _back(visit, "removed")

    async def give_link(self, visit: Visit) -> Answer:
        """A link with which a member sets a new password, on this answer alone."""
        person_id, company_id = _person(visit), _company(visit)
        try:
            link = await self._members.password_link(visit.session, company_id, person_id)
        except Refusal as refusal:
            if refusal.code is Code.NOT_ALLOWED:
                words = visit.speech.say(
                    "This person is an owner, or in another company too: who runs KPay for you "
                    "makes the link."
                )
                wrong = Wrong(words, person_id)
                return await self._shown(visit, ANSWERS[refusal.code].status, wrong=wrong)
            return await self._refused(visit, refusal, person_id)
        members = await self._members.of_company(visit.session, company_id)
        name = next((each.person.name for each in members if each.person.id == person_id), "")
        return await self._shown(visit, given=Given(link, name, invites=False))

    async def _refused(self, visit: Visit, refusal: Refusal, person_id: UUID | None) -> Answer:
        """What was refused, beside its form. Raises what no form here can mend."""
        if refusal.code is Code.SECOND_FACTOR_NEEDED:
            return redirect(SET_UP)
        if refusal.code in _ELSEWHERE:
            return _back(visit, _ELSEWHERE[refusal.code])
        say = visit.speech.say
        words = {
            Code.INVALID_PARAMETER: say("Write an address such as amina@example.com."),
            Code.ALREADY_MEMBER: say(
                "This person is in your company already: change the role instead."
            ),
            Code.LAST_OWNER: say(
                "A company keeps at least one owner: make somebody else an owner first."
            ),
        }
        if refusal.code not in words:
            raise refusal
        wrong = Wrong(words[refusal.code], person_id)
        return await self._shown(visit, ANSWERS[refusal.code].status, wrong=wrong)

    async def _shown(
        self,
        visit: Visit,
        status: int = 200,
        *,
        given: Given | None = None,
        wrong: Wrong | None = None,
    ) -> Answer:
        company_id, changes = _company(visit), visit.may(Right.PEOPLE)
        members: list[Member] = await self._members.of_company(visit.session, company_id)
        invitations: list[Invitation] = []
        if changes:
            invitations = await self._members.invitations(visit.session, company_id)
        return drawn(
            visit,
            "people.html",
            status,
            here=company_address(company_id, "people"),
            changes=changes,
            members=members,
            invitations=invitations,
            roles=role_words(visit.speech),
            given=given,
            wrong=wrong,
            email=visit.form.get("email", "") if wrong else "",
            picked=_picked(visit),
            open=_open(visit, wrong),
            asked=visit.query.get("ask"),
            done=visit.query.get("done"),
        )


def _company(visit: Visit) -> UUID:
    return visit.where.membership.company_id


def _person(visit: Visit) -> UUID:
    """Whom the address is about. Raises Gone."""
    person_id = parse_uuid(visit.path["person"])
    if person_id is None:
        raise Gone
    return person_id


def _role(visit: Visit) -> Role:
    """What the form says. Raises Gone, for what none of ours says."""
    role = _picked(visit)
    if role is None:
        raise Gone
    return role


def _picked(visit: Visit) -> Role | None:
    word = visit.form.get("role")
    return next((role for role in Role if role == word), None)


def _open(visit: Visit, wrong: Wrong | None) -> UUID | None:
    """The member whose forms are shown."""
    if wrong is not None:
        return wrong.person_id
    return parse_uuid(visit.query.get("member", ""))


def _back(visit: Visit, done: str) -> Answer:
    # To its head, where it says what was done: else a browser keeps to the form that was sent.
    return redirect(f"{company_address(_company(visit), 'people')}?done={done}#main")
