"""The dashboard over HTTP, as plain ASGI beside the API: who is there, may he, what did he send.

A form is taken when three things agree: the browser says that it was sent from here
(Sec-Fetch-Site, or Origin in older ones), the session's cookie came with it (SameSite=Lax), and it
holds the session's own token, which no other site can read. Who is not signed in is led to the
door and back; who has no right to a place is told the same as of a place that is not there.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from http.cookies import CookieError, SimpleCookie
from urllib.parse import parse_qsl, quote, urlsplit
from uuid import UUID

from kpay import metrics
from kpay.access.gate import Gate
from kpay.approvals.flow import Approvals
from kpay.core.book import Book, Environment
from kpay.core.ids import parse_uuid
from kpay.dashboard.drawing import HEADERS, draw, serve_asset
from kpay.dashboard.page import PREFIX, Gone, Page, Reach, Sent, Visit, Where
from kpay.dashboard.speech import Speech, speech
from kpay.people.flow import People
from kpay.people.model import Membership, OperatorRight, Right, Session, SignedIn
from kpay.web.address import Addresses
from kpay.web.context import begin_request
from kpay.web.download import Begun, send_download
from kpay.web.endpoint import Receive, Scope, Send
from kpay.web.errors import refusal_of
from kpay.web.languages import LANGUAGES, picked_language
from kpay.web.pages import Answer, Headers, read_form, redirect, send_answer, trouble, zipped
from kpay.web.reading import read_body
from kpay.web.streams import Stream, send_stream

ASSETS = f"{PREFIX}/assets/"
SIGN_IN = f"{PREFIX}/sign-in"
CODE = f"{PREFIX}/code"
HOME = f"{PREFIX}/applications"

_LANGUAGE_COOKIE = "kpay_language"
_YEAR_SECONDS = 365 * 86_400
_ENVIRONMENTS = {"test": Environment.TEST, "live": Environment.PRODUCTION}


class Cookies:
    """What a browser keeps for us, which no script can read and, with https, no other host set."""

    def __init__(self, public_url: str) -> None:
        self._secure = public_url.startswith("https:")
        prefix = "__Host-" if self._secure else ""
        self._session, self._device = f"{prefix}kpay", f"{prefix}kpay-device"

    def token(self, cookies: Mapping[str, str]) -> str | None:
        return cookies.get(self._session) or None

    def device(self, cookies: Mapping[str, str]) -> str | None:
        return cookies.get(self._device) or None

    def keep(self, signed_in: SignedIn) -> Headers:
        """The session until the browser is closed, and for a year that it was here."""
        return (
            self._header(self._session, signed_in.token, ""),
            *self.know(signed_in.device),
        )

    def know(self, device: str) -> Headers:
        """That its owner may come from this browser, whoever else fails meanwhile."""
        return (self._header(self._device, device, f"; Max-Age={_YEAR_SECONDS}"),)

    def drop(self) -> Headers:
        return (self._header(self._session, "", "; Max-Age=0"),)

    def _header(self, name: str, value: str, more: str) -> tuple[bytes, bytes]:
        secure = "; Secure" if self._secure else ""
        text = f"{name}={value}; Path=/; HttpOnly; SameSite=Lax{secure}{more}"
        return (b"set-cookie", text.encode())


class Site:
    """An ASGI application for every address under PREFIX."""

    def __init__(
        self,
        pages: Sequence[Page],
        people: People,
        gate: Gate,
        approvals: Approvals,
        cookies: Cookies,
        addresses: Addresses,
        public_url: str,
    ) -> None:
        self.pages = tuple(pages)
        self._patterns = [(page.path.split("/"), page) for page in pages]
        self._people = people
        self._gate = gate
        self._approvals = approvals
        self._cookies = cookies
        self._addresses = addresses
        self._origin = _origin(public_url)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = begin_request()
        asked = _Asked(scope, self._addresses)
        label = "other"
        answer: Sent
        try:
            found = self._find(asked)
            if isinstance(found, Answer):
                answer = found
            else:
                page, path = found
                label = page.path
                answer = await self._serve(asked, page, path, receive)
        except Exception as problem:
            answer = _trouble(asked, problem, request_id)
        method = asked.method if asked.method in ("GET", "POST") else "other"
        measure = metrics.requests.labels(method, label, answer.status)
        measure.observe(time.perf_counter() - started)
        if isinstance(answer, Begun):
            await send_download(answer, receive, send, request_id)
        elif isinstance(answer, Stream):
            await send_stream(answer, receive, send, request_id)
        else:
            answer = asked.keep_language(answer)
            await send_answer(send, zipped(answer) if asked.zipped else answer, request_id)

    def _find(self, asked: _Asked) -> tuple[Page, dict[str, str]] | Answer:
        """The page of an address. Raises Gone."""
        if asked.path.startswith(ASSETS):
            served = serve_asset(asked.path.removeprefix(ASSETS))
            if served is None:
                raise Gone
            return served
        if asked.path.rstrip("/") == PREFIX:
            return redirect(HOME)
        parts = asked.path.split("/")
        allowed = set()
        for pattern, page in self._patterns:
            values = _matched(pattern, parts)
            if values is not None:
                if page.method == asked.method:
                    return page, values
                allowed.add(page.method)
        if allowed == {"POST"} and asked.method == "GET":
            # Who comes to a form's own address has reloaded what came of it.
            return redirect(self._above(asked.path))
        raise Gone

    def _above(self, path: str) -> str:
        """The nearest page over a form's address that can be looked at."""
        while path != PREFIX:
            path = path.rpartition("/")[0]
            parts = path.split("/")
            if any(
                page.method == "GET" and _matched(pattern, parts) is not None
                for pattern, page in self._patterns
            ):
                return path
        return HOME

    async def _serve(
        self, asked: _Asked, page: Page, path: dict[str, str], receive: Receive
    ) -> Sent:
        token = self._cookies.token(asked.cookies)
        session = None
        if token:
            active = page.active and not asked.by_itself
            session = await self._people.session(token, address=asked.address, active=active)
        turned = _turned_away(page, session, asked)
        if turned is not None:
            return turned
        here, waiting = None, 0
        if session is not None and page.reach in (Reach.COMPANY, Reach.BOOK):
            here = await self._place(session, path)
            if isinstance(page.right, Right) and not here.allows(session, page.right):
                raise Gone
            waiting = await self._waiting(session, here) if page.active else 0
        form: dict[str, str] = {}
        if page.method == "POST":
            asked.check_sent_from(self._origin)
            form = read_form(await read_body(receive))
            known = session if page.reach is not Reach.ANYBODY else None
            if known is not None and not known.matches(form.get("csrf", "")):
                raise NotFromHere
        return await page.handler(
            Visit(
                path=path,
                query=asked.query,
                form=form,
                speech=asked.speech(session),
                address=asked.address,
                agent=asked.agent,
                device=self._cookies.device(asked.cookies),
                at=asked.path,
                token=token,
                known=session,
                here=here,
                last_event=asked.last_event,
                waiting=waiting,
            )
        )

    async def _waiting(self, session: Session, here: Where) -> int:
        """What the menu says that there is to decide, for who may."""
        if here.book is None or not here.allows(session, Right.APPROVE):
            return 0
        return await self._approvals.waiting(here.book, session.person.id)

    async def _place(self, session: Session, path: Mapping[str, str]) -> Where:
        """What the address names, if it is the person's. Raises Gone."""
        if "company" in path:
            company_id = parse_uuid(path["company"])
            return Where(_membership(session, company_id))
        identifier = parse_uuid(path["application"])
        environment = _ENVIRONMENTS.get(path["environment"])
        application = await self._gate.application(identifier) if identifier else None
        if application is None or environment is None:
            raise Gone
        membership = _membership(session, application.company.id)
        return Where(membership, application, Book(application.id, environment))


def _membership(session: Session, company_id: UUID | None) -> Membership:
    found = session.membership(company_id) if company_id else None
    if found is None:
        raise Gone
    return found


def _turned_away(page: Page, session: Session | None, asked: _Asked) -> Answer | None:
    """Where who may not come in yet is led to. Raises Gone for what is not for him at all."""
    if page.reach is Reach.ANYBODY:
        return None
    if session is None:
        back = f"?next={quote(asked.path)}" if asked.method == "GET" else ""
        return redirect(SIGN_IN + back)
    if page.reach is Reach.LEAVING:
        return None
    if session.needs_code:
        return None if page.reach is Reach.HALF else redirect(CODE)
    if page.reach is Reach.HALF:
        return redirect(HOME)
    if page.reach is Reach.OPERATOR:
        needed = page.right if isinstance(page.right, OperatorRight) else OperatorRight.VIEW
        if not session.operator_right(needed):
            raise Gone
    return None


class NotFromHere(Exception):
    """A form that this session's own pages did not send."""


class _Asked:
    """A request as it came."""

    def __init__(self, scope: Scope, addresses: Addresses) -> None:
        headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
        self._headers = headers
        self.method = "GET" if scope["method"] == "HEAD" else scope["method"]
        self.path: str = scope["path"]
        self.query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
        self.cookies = _cookies(headers.get(b"cookie", ""))
        self.address = addresses.of(scope)
        self.agent = headers.get(b"user-agent", "")
        self.zipped = "gzip" in headers.get(b"accept-encoding", "")
        # Our script says so when a page is drawn anew because something has happened: no person
        # did anything, so no session is kept alive by it.
        self.by_itself = self.method == "GET" and b"x-kpay-live" in headers
        self.last_event = headers.get(b"last-event-id")
        chosen = self.query.get("lang")
        self._chosen = chosen if chosen in LANGUAGES else None

    def speech(self, session: Session | None = None) -> Speech:
        """What was chosen here, now or before; what the person wants; what the browser likes."""
        wanted = (
            self._chosen
            or self.cookies.get(_LANGUAGE_COOKIE)
            or (session.person.language if session else None)
        )
        return speech(picked_language(wanted, self._headers.get(b"accept-language", "")))

    def keep_language(self, answer: Answer) -> Answer:
        """Remember a language that was chosen just now."""
        if self._chosen is None:
            return answer
        text = (
            f"{_LANGUAGE_COOKIE}={self._chosen}; Path={PREFIX}; Max-Age={_YEAR_SECONDS}; "
            "SameSite=Lax"
        )
        return Answer(answer.status, answer.body, (*answer.headers, (b"set-cookie", text.encode())))

    def check_sent_from(self, ours: str) -> None:
        """Raises NotFromHere, for a form that was sent by a page of another origin."""
        site = self._headers.get(b"sec-fetch-site")
        if site is not None:
            if site != "same-origin":
                raise NotFromHere
            return
        origin = self._headers.get(b"origin")
        host = self._headers.get(b"host", "")
        if origin is None or (origin != ours and urlsplit(origin).netloc != host):
            raise NotFromHere


def _matched(pattern: list[str], parts: list[str]) -> dict[str, str] | None:
    if len(pattern) != len(parts):
        return None
    values = {}
    for wanted, given in zip(pattern, parts, strict=True):
        if wanted.startswith("{"):
            values[wanted[1:-1]] = given
        elif wanted != given:
            return None
    return values


def _cookies(header: str) -> dict[str, str]:
    try:
        return {name: morsel.value for name, morsel in SimpleCookie(header).items()}
    except CookieError:
        return {}


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _trouble(asked: _Asked, problem: Exception, request_id: str) -> Answer:
    """A page that says what went wrong, in words for whoever is there."""
    if isinstance(problem, Gone):
        return Answer(404, _notice(asked, "gone", request_id), HEADERS)
    if isinstance(problem, NotFromHere):
        return Answer(403, _notice(asked, "stale", request_id), HEADERS)
    return trouble(refusal_of(problem), _notice(asked, "trouble", request_id), HEADERS)


def _notice(asked: _Asked, what: str, request_id: str) -> bytes:
    return draw("notice.html", asked.speech(), what=what, at=asked.path, request_id=request_id)
