"""The door: signing in with a password and a code, and out again."""

from __future__ import annotations

import math

from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.dashboard.drawing import HEADERS, draw
from kpay.dashboard.page import PREFIX, Page, Reach, Visit
from kpay.dashboard.site import CODE, HOME, SIGN_IN, Cookies
from kpay.people.flow import People
from kpay.web.pages import Answer, redirect

# What a person can mend in the form; everything else is told on a page of its own.
_OF_THE_FORM = frozenset({Code.WRONG_SIGN_IN, Code.WRONG_CODE, Code.TOO_MANY_FAILURES})


def pages(people: People, cookies: Cookies) -> list[Page]:
    """Sign-in, code, sign-out."""

    async def show_sign_in(visit: Visit) -> Answer:
        return _sign_in(visit, visit.query.get("next", ""))

    async def sign_in(visit: Visit) -> Answer:
        back = visit.form.get("next", "")
        try:
            signed_in = await people.sign_in(
                visit.form.get("email", ""),
                visit.form.get("password", ""),
                address=visit.address,
                agent=visit.agent,
                device=visit.device,
            )
        except Refusal as refusal:
            return _sign_in(visit, back, _error(visit, refusal))
        where = f"{CODE}?next={_inside(back)}" if signed_in.needs_code else _inside(back)
        return redirect(where, cookies.keep(signed_in))

    async def show_code(visit: Visit) -> Answer:
        return _code(visit, visit.query.get("next", ""))

    async def give_code(visit: Visit) -> Answer:
        back = visit.form.get("next", "")
        try:
            signed_in = await people.give_code(
                visit.token or "", visit.form.get("code", ""), address=visit.address
            )
        except Refusal as refusal:
            return _code(visit, back, _error(visit, refusal))
        return redirect(_inside(back), cookies.keep(signed_in))

    async def sign_out(visit: Visit) -> Answer:
        await people.sign_out(visit.session)
        return redirect(SIGN_IN, cookies.drop())

    return [
        Page("GET", SIGN_IN, Reach.ANYBODY, show_sign_in),
        Page("POST", SIGN_IN, Reach.ANYBODY, sign_in),
        Page("GET", CODE, Reach.HALF, show_code),
        Page("POST", CODE, Reach.HALF, give_code),
        Page("POST", f"{PREFIX}/sign-out", Reach.LEAVING, sign_out),
    ]


def _sign_in(visit: Visit, back: str, error: tuple[int, str] = (200, "")) -> Answer:
    status, words = error
    body = draw(
        "sign_in.html",
        visit.speech,
        at=visit.at,
        next=back,
        email=visit.form.get("email", ""),
        error=words,
        done=visit.query.get("done"),
    )
    return Answer(status, body, HEADERS)


def _code(visit: Visit, back: str, error: tuple[int, str] = (200, "")) -> Answer:
    status, words = error
    body = draw(
        "code.html",
        visit.speech,
        at=visit.at,
        next=back,
        csrf=visit.session.csrf_token,
        error=words,
    )
    return Answer(status, body, HEADERS)


def _error(visit: Visit, refusal: Refusal) -> tuple[int, str]:
    """The status, and what to change in the person's own words. Raises what is none of his."""
    if refusal.code not in _OF_THE_FORM:
        raise refusal
    say = visit.speech.say
    words = {
        Code.WRONG_SIGN_IN: say("The e-mail address or the password is wrong."),
        Code.WRONG_CODE: say("This code is wrong, or was used already: give the next one."),
        Code.TOO_MANY_FAILURES: say(
            "Too many attempts: try again in %(minutes)s minutes.",
            minutes=math.ceil((refusal.retry_after or 60) / 60),
        ),
    }
    return ANSWERS[refusal.code].status, words[refusal.code]


def _inside(back: str) -> str:
    """Where to go after the door: only to a page of this dashboard, whatever the address says."""
    inside = back.startswith(f"{PREFIX}/") and "\\" not in back and back.isprintable()
    return back if inside and back.isascii() else HOME
