"""The operator's own staff: who works here, invitations, roles, lost telephones, shutting out.

Support sees the list. What an admin changes is asked about with a code of the second factor, unless
one was given a moment ago: whoever finds an open session cannot make themselves one of the staff.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias

import msgspec

from kpay.core.clock import Clock
from kpay.core.ids import parse_uuid
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.dashboard.house import drawn
from kpay.dashboard.office.places import must_prove, named
from kpay.dashboard.page import STAFF, Gone, Page, Reach, Visit
from kpay.dashboard.roles import staff_role_words
from kpay.people.flow import People
from kpay.people.model import Colleague, Link, OperatorRight, OperatorRole
from kpay.web.pages import Answer, redirect

_ONE = f"{STAFF}/{{person}}"
_SECONDS_OF_A_MINUTE = 60

Deed: TypeAlias = Callable[[Visit], Awaitable[Answer]]


class Given(msgspec.Struct, frozen=True):
    """A link that was just made, and for whom: the page shows it this once."""

    link: Link
    to: str
    invites: bool


class Wrong(msgspec.Struct, frozen=True):
    """What could not be done, in words, and the field that they stand at."""

    field: str
    words: str


class StaffPages:
    """The list for all of the staff, with forms for admins."""

    def __init__(self, people: People, clock: Clock) -> None:
        self._colleagues = people.colleagues
        self._codes = people.codes
        self._clock = clock

    def pages(self) -> list[Page]:
        ours, changes = Reach.OPERATOR, OperatorRight.STAFF

        def form(path: str, deed: Deed) -> Page:
            return Page("POST", path, ours, self._proved(deed), changes)

        return [
            Page("GET", STAFF, ours, self.show, OperatorRight.VIEW),
            form(f"{STAFF}/invite", self.invite),
            form(f"{_ONE}/role", self.change_role),
            form(f"{_ONE}/link", self.give_link),
            form(f"{_ONE}/sessions", self.sign_out),
            form(f"{_ONE}/disable", self.disable),
            form(f"{_ONE}/enable", self.enable),
        ]

    async def show(self, visit: Visit) -> Answer:
        return await self._shown(visit)

    async def invite(self, visit: Visit) -> Answer:
        """A new colleague, whose link is on this answer alone."""
        form, say = visit.form, visit.speech.say
        email, name = form.get("email", ""), form.get("name", "")
        try:
            link = await self._colleagues.invite(
                visit.session, email=email, name=name, role=_role(visit)
            )
        except Refusal as refusal:
            words = {
                Code.ALREADY_MEMBER: say("This person is on the staff already: see the list."),
                Code.EMAIL_TAKEN: say(
                    "This address is that of a company’s person: use another one."
                ),
                Code.INVALID_PARAMETER: say(
                    "Write a name, and an address such as amina@example.com."
                ),
            }
            if refusal.code not in words:
                raise
            wrong = Wrong("email", words[refusal.code])
            return await self._shown(visit, ANSWERS[refusal.code].status, wrong=wrong)
        return await self._shown(visit, given=Given(link, name.strip(), invites=True))

    async def change_role(self, visit: Visit) -> Answer:
        await self._colleagues.change_role(visit.session, named(visit, "person"), _role(visit))
        return _back("role")

    async def give_link(self, visit: Visit) -> Answer:
        """A link with which a colleague sets a new password, on this answer alone."""
        person_id = named(visit, "person")
        link = await self._colleagues.make_link(
            visit.session, person_id, without_second_factor="factor" in visit.form
        )
        people = await self._colleagues.everybody(visit.session)
        name = next((each.person.name for each in people if each.person.id == person_id), "")
        return await self._shown(visit, given=Given(link, name, invites=False))

    async def sign_out(self, visit: Visit) -> Answer:
        await self._colleagues.sign_out(visit.session, named(visit, "person"))
        return _back("sessions")

    async def disable(self, visit: Visit) -> Answer:
        """Shut a colleague out, wherever that person is signed in."""
        await self._colleagues.disable(visit.session, named(visit, "person"))
        return _back("disabled")

    async def enable(self, visit: Visit) -> Answer:
        await self._colleagues.enable(visit.session, named(visit, "person"))
        return _back("enabled")

    def _proved(self, deed: Deed) -> Deed:
        """A deed for who has shown the second factor a moment ago, or shows it with the form."""

        async def asked(visit: Visit) -> Answer:
            led = must_prove(visit, OperatorRight.STAFF)
            if led is not None:
                return led
            if not visit.session.has_fresh_code(self._clock.now()):
                try:
                    session = await self._codes.again(visit.session, visit.form.get("code", ""))
                except Refusal as refusal:
                    wrong = Wrong("code", _code_words(visit, refusal))
                    return await self._shown(visit, ANSWERS[refusal.code].status, wrong=wrong)
                visit = msgspec.structs.replace(visit, known=session)
            try:
                return await deed(visit)
            except Refusal as refusal:
                return _elsewhere(refusal)

        return asked

    async def _shown(
        self,
        visit: Visit,
        status: int = 200,
        *,
        given: Given | None = None,
        wrong: Wrong | None = None,
    ) -> Answer:
        people: list[Colleague] = await self._colleagues.everybody(visit.session)
        # A form that was wrong is shown again as it was: its person is in the address.
        about = visit.path.get("person") if wrong else visit.query.get("person")
        return drawn(
            visit,
            "office/staff.html",
            status,
            here=STAFF,
            people=people,
            roles=staff_role_words(visit.speech),
            changes=visit.session.operator_right(OperatorRight.STAFF),
            asks_code=not visit.session.has_fresh_code(self._clock.now()),
            given=given,
            wrong=wrong,
            typed=visit.form if wrong else {},
            open=parse_uuid(about or ""),
            asked=visit.at.rpartition("/")[2] if wrong else visit.query.get("ask"),
            done=visit.query.get("done"),
        )


def _role(visit: Visit) -> OperatorRole:
    """What the form says. Raises Gone, for what none of ours says."""
    word = visit.form.get("role")
    found = next((role for role in OperatorRole if role == word), None)
    if found is None:
        raise Gone
    return found


def _code_words(visit: Visit, refusal: Refusal) -> str:
    """What is wrong with a code. Raises what no other code can mend."""
    say = visit.speech.say
    words = {
        Code.WRONG_CODE: say("This code is wrong, or was used already: give the next one."),
        Code.TOO_MANY_FAILURES: say(
            "Too many wrong attempts: try again in %(minutes)d min.",
            minutes=-(-(refusal.retry_after or 1) // _SECONDS_OF_A_MINUTE),
        ),
    }
    if refusal.code not in words:
        raise refusal
    return words[refusal.code]


def _elsewhere(refusal: Refusal) -> Answer:
    """What another admin did a moment before, as the list is then. Raises anything else."""
    if refusal.code is Code.NOT_FOUND:
        raise Gone from refusal
    if refusal.code is not Code.NOT_ALLOWED:
        raise refusal
    return _back("not-allowed")


def _back(done: str) -> Answer:
    # To its head, where it says what was done: else a browser keeps to the form that was sent.
    return redirect(f"{STAFF}?done={done}#main")
