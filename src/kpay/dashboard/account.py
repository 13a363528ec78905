"""One's own account: name and language, password, second factor, and where one is signed in."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import cast

import msgspec

from kpay.core.ids import parse_uuid
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.dashboard.browsers import browser_of
from kpay.dashboard.house import drawn
from kpay.dashboard.page import PREFIX, Gone, Page, Reach, Visit
from kpay.dashboard.speech import Speech
from kpay.people import second_factor
from kpay.people.account import Offer
from kpay.people.flow import People
from kpay.people.model import MOST_NAME_LENGTH, Language, Place
from kpay.people.strength import LEAST_LENGTH
from kpay.web.languages import LANGUAGES
from kpay.web.pages import Answer, redirect

ACCOUNT = f"{PREFIX}/account"
# Where who needs a second factor for what was asked is led to.
SET_UP = f"{ACCOUNT}?needed=second-factor#second-factor"

_FACTOR = f"{ACCOUNT}/second-factor"
_NOTHING: Mapping[str, str] = {}
_SECRET = re.compile(r"[A-Z2-7]{16,64}")
_SECONDS_OF_A_MINUTE = 60


class SignedInAt(msgspec.Struct, frozen=True):
    """One of the person's sessions, with its browser in words."""

    place: Place
    browser: str


class AccountPages:
    """The account's page, and what its forms do."""

    def __init__(self, people: People) -> None:
        self._people = people
        self._accounts = people.accounts

    def pages(self) -> list[Page]:
        return [
            Page("GET", ACCOUNT, Reach.PERSON, self.show),
            Page("POST", f"{ACCOUNT}/profile", Reach.PERSON, self.change),
            Page("POST", f"{ACCOUNT}/password", Reach.PERSON, self.change_password),
            Page("POST", _FACTOR, Reach.PERSON, self.offer),
            Page("POST", f"{_FACTOR}/confirm", Reach.PERSON, self.confirm),
            Page("POST", f"{_FACTOR}/codes", Reach.PERSON, self.renew_codes),
            Page("POST", f"{_FACTOR}/remove", Reach.PERSON, self.remove_factor),
            Page("POST", f"{ACCOUNT}/sessions/others", Reach.PERSON, self.end_others),
            Page("POST", f"{ACCOUNT}/sessions/{{session}}", Reach.PERSON, self.end_session),
        ]

    async def show(self, visit: Visit) -> Answer:
        return await self._shown(visit)

    async def change(self, visit: Visit) -> Answer:
        """Another name and language; the page goes on in that language at once."""
        language = visit.form.get("language", "")
        if language not in LANGUAGES:
            raise Gone
        name = visit.form.get("name", "")
        try:
            await self._accounts.change(
                visit.session, name=name, language=cast("Language", language)
            )
        except Refusal as refusal:
            status, words = _error(visit, refusal)
            return await self._shown(visit, status, errors={"name": words}, name=name)
        return redirect(f"{ACCOUNT}?lang={language}&done=profile")

    async def change_password(self, visit: Visit) -> Answer:
        try:
            await self._accounts.change_password(
                visit.session, visit.form.get("current", ""), visit.form.get("new", "")
            )
        except Refusal as refusal:
            status, words = _error(visit, refusal)
            field = "new" if refusal.code is Code.WEAK_PASSWORD else "current"
            return await self._shown(visit, status, errors={field: words})
        return redirect(f"{ACCOUNT}?done=password")

    async def offer(self, visit: Visit) -> Answer:
        """A new secret, on this answer and those to wrong codes of it alone."""
        try:
            offer = await self._accounts.offer_second_factor(
                visit.session, visit.form.get("password", "")
            )
        except Refusal as refusal:
            return await self._password_wrong(visit, refusal, "set-up")
        return drawn(visit, "second_factor.html", offer=offer, error="")

    async def confirm(self, visit: Visit) -> Answer:
        """Put it in force, and show the recovery codes, on this answer alone."""
        try:
            codes = await self._accounts.confirm_second_factor(
                visit.session, visit.form.get("code", "")
            )
        except Refusal as refusal:
            status, words = _error(visit, refusal)
            offer = _offered(visit)
            return drawn(visit, "second_factor.html", status, offer=offer, error=words)
        return drawn(visit, "recovery_codes.html", codes=codes, fresh=True)

    async def renew_codes(self, visit: Visit) -> Answer:
        try:
            codes = await self._accounts.renew_recovery_codes(
                visit.session, visit.form.get("password", "")
            )
        except Refusal as refusal:
            return await self._password_wrong(visit, refusal, "codes")
        return drawn(visit, "recovery_codes.html", codes=codes, fresh=False)

    async def remove_factor(self, visit: Visit) -> Answer:
        try:
            await self._accounts.remove_second_factor(visit.session, visit.form.get("password", ""))
        except Refusal as refusal:
            return await self._password_wrong(visit, refusal, "remove")
        return redirect(f"{ACCOUNT}?done=removed")

    async def end_session(self, visit: Visit) -> Answer:
        """End one of the others; one that is over already is what was asked for."""
        session_id = parse_uuid(visit.path["session"])
        if session_id is None:
            raise Gone
        try:
            await self._people.end_session(visit.session, session_id)
        except Refusal as refusal:
            if refusal.code is not Code.SESSION_OVER:
                raise
        return redirect(f"{ACCOUNT}?done=ended")

    async def end_others(self, visit: Visit) -> Answer:
        await self._people.sign_out_elsewhere(visit.session)
        return redirect(f"{ACCOUNT}?done=ended")

    async def _password_wrong(self, visit: Visit, refusal: Refusal, asked: str) -> Answer:
        """The form of the second factor that asked for the password, with what was wrong."""
        status, words = _error(visit, refusal)
        return await self._shown(visit, status, errors={"factor": words}, asked=asked)

    async def _shown(
        self,
        visit: Visit,
        status: int = 200,
        *,
        errors: Mapping[str, str] = _NOTHING,
        name: str | None = None,
        asked: str | None = None,
    ) -> Answer:
        session = visit.session
        places = await self._people.sessions(session)
        return drawn(
            visit,
            "account.html",
            status,
            errors=errors,
            name=session.person.name if name is None else name,
            places=[SignedInAt(each, _browser(visit.speech, each.agent)) for each in places],
            codes_left=await self._accounts.recovery_codes_left(session),
            least_length=LEAST_LENGTH,
            asked=asked or visit.query.get("ask"),
            done=visit.query.get("done"),
            needed=visit.query.get("needed") == "second-factor",
        )


def _offered(visit: Visit) -> Offer | None:
    """What is being confirmed, as this form was given it: it is shown again to nobody else."""
    secret = visit.form.get("secret", "")
    if not _SECRET.fullmatch(secret):
        return None
    address = second_factor.app_address(secret, visit.session.person.email)
    return Offer(secret, address, second_factor.drawing(address))


def _browser(speech: Speech, agent: str) -> str:
    browser, system = browser_of(agent)
    if browser and system:
        return speech.say("%(browser)s on %(system)s", browser=browser, system=system)
    return browser or system or speech.say("Unknown browser")


def _error(visit: Visit, refusal: Refusal) -> tuple[int, str]:
    """The status, and what to change. Raises what no field of a form can mend."""
    say = visit.speech.say
    words = {
        Code.WRONG_SIGN_IN: say("This is not your password."),
        Code.WEAK_PASSWORD: say(
            "Choose another: at least %(least)d characters, without your name or e-mail address, "
            "and none of those that are tried first.",
            least=LEAST_LENGTH,
        ),
        Code.WRONG_CODE: say("This code is not right: wait for the next one and give that."),
        Code.INVALID_PARAMETER: say(
            "Write a name of 1 to %(most)d characters.", most=MOST_NAME_LENGTH
        ),
        Code.TOO_MANY_FAILURES: say(
            "Too many wrong attempts: try again in %(minutes)d min.",
            minutes=-(-(refusal.retry_after or 1) // _SECONDS_OF_A_MINUTE),
        ),
    }
    if refusal.code not in words:
        raise refusal
    return ANSWERS[refusal.code].status, words[refusal.code]
