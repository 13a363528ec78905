"""What the links open that people are given: a new password, and an invitation to a company."""

from __future__ import annotations

from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.dashboard.drawing import HEADERS, draw
from kpay.dashboard.page import PREFIX, Page, Reach, Visit
from kpay.dashboard.site import HOME, SIGN_IN, Cookies
from kpay.people.flow import People
from kpay.people.strength import LEAST_LENGTH
from kpay.web.pages import Answer, redirect

_PASSWORD = f"{PREFIX}/password/{{token}}"
_INVITATION = f"{PREFIX}/invitation/{{token}}"

_OVER = frozenset({Code.LINK_OVER, Code.INVITATION_OVER})


class Links:
    """The pages of one-time links. Whoever opens one need not be signed in."""

    def __init__(self, people: People, cookies: Cookies) -> None:
        self._people = people
        self._cookies = cookies

    def pages(self) -> list[Page]:
        return [
            Page("GET", _PASSWORD, Reach.ANYBODY, self.password),
            Page("POST", _PASSWORD, Reach.ANYBODY, self.set_password),
            Page("GET", _INVITATION, Reach.ANYBODY, self.invitation),
            Page("POST", _INVITATION, Reach.ANYBODY, self.join),
            Page("POST", f"{_INVITATION}/accept", Reach.PERSON, self.accept),
        ]

    async def password(self, visit: Visit) -> Answer:
        try:
            person = await self._people.accounts.whose_link(visit.path["token"])
        except Refusal as refusal:
            return _over(visit, refusal)
        return _drawn(visit, "password.html", email=person.email, error="")

    async def set_password(self, visit: Visit) -> Answer:
        token = visit.path["token"]
        try:
            person = await self._people.accounts.whose_link(token)
            device = await self._people.accounts.set_password(
                token, visit.form.get("password", ""), address=visit.address
            )
        except Refusal as refusal:
            if refusal.code is not Code.WEAK_PASSWORD:
                return _over(visit, refusal)
            return _drawn(visit, "password.html", 422, email=person.email, error=_weak(visit))
        return redirect(f"{SIGN_IN}?done=password", self._cookies.know(device))

    async def invitation(self, visit: Visit) -> Answer:
        return await self._invited(visit)

    async def join(self, visit: Visit) -> Answer:
        """Become a person with this invitation."""
        try:
            device = await self._people.members.accept_as_new(
                visit.path["token"],
                name=visit.form.get("name", ""),
                password=visit.form.get("password", ""),
                language="fr" if visit.speech.code == "fr" else "en",
                address=visit.address,
            )
        except Refusal as refusal:
            say = visit.speech.say
            errors = {
                Code.WEAK_PASSWORD: ("password", _weak(visit)),
                Code.INVALID_PARAMETER: ("name", say("Give the name that colleagues know you by.")),
            }
            if refusal.code not in errors:
                return _over(visit, refusal)
            return await self._invited(visit, 422, dict([errors[refusal.code]]))
        return redirect(f"{SIGN_IN}?done=joined", self._cookies.know(device))

    async def accept(self, visit: Visit) -> Answer:
        """Join a company with the account that one is signed in with."""
        try:
            await self._people.members.accept(visit.session, visit.path["token"])
        except Refusal as refusal:
            return _over(visit, refusal)
        return redirect(HOME)

    async def _invited(
        self, visit: Visit, status: int = 200, errors: dict[str, str] | None = None
    ) -> Answer:
        try:
            invitation, known = await self._people.members.invitation(visit.path["token"])
        except Refusal as refusal:
            return _over(visit, refusal)
        signed_in = visit.known is not None and not visit.known.needs_code
        return _drawn(
            visit,
            "invitation.html",
            status,
            invitation=invitation,
            known=known,
            session=visit.known if signed_in else None,
            name=visit.form.get("name", ""),
            errors=errors or {},
        )


def _drawn(visit: Visit, template: str, status: int = 200, **given: object) -> Answer:
    body = draw(template, visit.speech, at=visit.at, least=LEAST_LENGTH, **given)
    return Answer(status, body, HEADERS)


def _over(visit: Visit, refusal: Refusal) -> Answer:
    """A page that says why the link opens nothing. Raises what is no matter of the link."""
    if refusal.code in _OVER:
        return _drawn(visit, "link_over.html", ANSWERS[refusal.code].status)
    if refusal.code in (Code.NOT_ALLOWED, Code.ALREADY_MEMBER, Code.EMAIL_TAKEN):
        return _drawn(visit, "not_yours.html", ANSWERS[refusal.code].status, code=refusal.code)
    raise refusal


def _weak(visit: Visit) -> str:
    return visit.speech.say(
        "Choose another: at least %(least)d characters, without your name or e-mail address, and "
        "none of those that are tried first.",
        least=LEAST_LENGTH,
    )
