"""The hosted page over HTTP, as plain ASGI beside the API.

    GET  /gateway/{token}          the page, whatever state its operation is in
    POST /gateway/{token}/choose   what was picked; then the page again
    POST /gateway/{token}/cancel   it is called off
    GET  /gateway/{token}/status   one word, for the page's own script
    GET  /gateway/{token}/return   back to the merchant, signed at this moment

There is no cookie and no session: the token in the address is the only right there is, 256 bits
that nobody can guess. A form of another site cannot name it, so there is nothing that a
cross-site-request token would add; and what a form can do at most is to ask its own payer's phone
for a PIN, or to call off. Every address is relative, so the page may stand behind any prefix.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from kpay import metrics
from kpay.access.gate import Gate
from kpay.access.limiter import Limiter
from kpay.access.model import Application
from kpay.access.quota import Bucket
from kpay.catalogue.model import Catalogue, OperationType
from kpay.core.clock import Clock
from kpay.core.refusals import Code, Refusal
from kpay.gateways.flow import Gateways
from kpay.gateways.model import Gateway
from kpay.hosted import PREFIX
from kpay.hosted.drawing import HEADERS, draw, draw_notice
from kpay.hosted.language import Language, wanted_language
from kpay.hosted.subjects import Kind, Picked
from kpay.hosted.view import Subject, Typed, error_of, stamp_of, view
from kpay.instructions.model import Status
from kpay.web.context import begin_request
from kpay.web.endpoint import Receive, Scope, Send
from kpay.web.errors import refusal_of
from kpay.web.languages import LANGUAGES
from kpay.web.pages import Answer, read_form, redirect, send_answer, trouble, zipped
from kpay.web.reading import read_body

# What is wrong with a choice, and is said beside its field; everything else is no fault of a payer.
_OF_THE_FORM = frozenset(
    {
        Code.UNKNOWN_PROVIDER,
        Code.PROVIDER_SUSPENDED,
        Code.PROVIDER_CLOSED,
        Code.PROVIDER_NOT_ALLOWED,
        Code.CURRENCY_MISMATCH,
        Code.INVALID_PHONE_NUMBER,
        Code.NOT_A_TEST_NUMBER,
        Code.AMOUNT_OUT_OF_BOUNDS,
        Code.NO_RATE,
    }
)


class Asked(msgspec.Struct, frozen=True):
    """One request for a page: how it speaks, and how to get from its address to the page's own."""

    method: str
    token: str
    verb: str
    language: Language
    query: str
    at: str
    zipped: bool
    receive: Receive


class Pages:
    """An ASGI application for every address under PREFIX."""

    def __init__(
        self,
        gateways: Gateways,
        gate: Gate,
        limiter: Limiter,
        catalogue: Catalogue,
        clock: Clock,
        kinds: Mapping[OperationType, Kind[Any]],
    ) -> None:
        self._gateways = gateways
        self._gate = gate
        self._limiter = limiter
        self._catalogue = catalogue
        self._clock = clock
        self._kinds = kinds
        self._verbs = {
            ("GET", ""): self._page,
            ("GET", "choose"): self._to_page,
            ("POST", "choose"): self._choose,
            ("GET", "cancel"): self._to_page,
            ("POST", "cancel"): self._cancel,
            ("GET", "status"): self._status,
            ("GET", "return"): self._return,
        }

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        started = time.perf_counter()
        request_id = begin_request()
        asked = _asked(scope, receive)
        try:
            answer = await self._answer(asked)
        except Exception as problem:
            answer = _trouble(asked, refusal_of(problem))
        label = f"{PREFIX}{{token}}" + (f"/{asked.verb}" if asked.verb in _VERBS - {""} else "")
        method = asked.method if asked.method in ("GET", "POST") else "other"
        measure = metrics.requests.labels(method, label, answer.status)
        measure.observe(time.perf_counter() - started)
        await send_answer(send, zipped(answer) if asked.zipped else answer, request_id)

    async def _answer(self, asked: Asked) -> Answer:
        gateway = await self._gateways.find(asked.token)
        verb = self._verbs.get((asked.method, asked.verb))
        if gateway is None or asked.verb not in _VERBS:
            return _missing(asked)
        if verb is None:
            allow = ", ".join(method for method, name in self._verbs if name == asked.verb).encode()
            return Answer(405, b"", (*HEADERS, (b"allow", allow)))
        return await verb(asked, gateway)

    async def _page(self, asked: Asked, gateway: Gateway) -> Answer:
        subject = await self._subject(gateway)
        return await self._drawn(asked, gateway, subject, None)

    async def _choose(self, asked: Asked, gateway: Gateway) -> Answer:
        form = read_form(await read_body(asked.receive))
        picked = Picked(
            form.get("provider", ""), form.get("number", "").strip(), form.get("receives", "")
        )
        missing = _missing_fields(asked.language, picked)
        if missing:
            return await self._again(asked, gateway, picked, missing)
        application = await self._application(gateway)
        try:
            shown = await self._kinds[gateway.type].pick(
                gateway.book, gateway.id, application.terms, picked
            )
        except Refusal as refusal:
            if refusal.code not in _OF_THE_FORM:
                raise
            error = error_of(refusal.code, self._catalogue, asked.language, picked.provider)
            return await self._again(asked, gateway, picked, dict([error]))
        if shown is None:
            return redirect(f"{asked.at}{asked.query}")
        typed = Typed(picked.provider, shown.number, quoted=shown.quoted)
        return await self._drawn(asked, gateway, await self._subject(gateway), typed)

    async def _cancel(self, asked: Asked, gateway: Gateway) -> Answer:
        await read_body(asked.receive)
        await self._kinds[gateway.type].verbs.call_off(gateway.book, gateway.id)
        return redirect(f"{asked.at}{asked.query}")

    async def _status(self, _asked: Asked, gateway: Gateway) -> Answer:
        quota = await self._limiter.take(Bucket.POLLING, gateway.book, gateway.id)
        if quota is not None:
            quota.check()
        subject = await self._kinds[gateway.type].find(gateway.book, gateway.id)
        body = msgspec.json.encode({"state": stamp_of(subject)})
        return Answer(200, body, ((b"content-type", b"application/json"),))

    async def _return(self, _asked: Asked, gateway: Gateway) -> Answer:
        subject = await self._subject(gateway)
        return redirect(
            self._gateways.way_back(
                gateway,
                status=subject.progress.status,
                reference=subject.reference,
                external_id=subject.external_id,
            )
        )

    async def _to_page(self, asked: Asked, _gateway: Gateway) -> Answer:
        """Who comes to a form's own address has reloaded what came of it."""
        return redirect(f"{asked.at}{asked.query}")

    async def _subject(self, gateway: Gateway) -> Subject:
        """How it stands now; what has just run out ends here, if the worker has not come by yet."""
        kind = self._kinds[gateway.type]
        subject = await kind.find(gateway.book, gateway.id)
        over = self._clock.now() >= subject.hosted.expires_at
        if subject.progress.status is Status.PENDING and over:
            await kind.verbs.run_out(gateway.book, gateway.id)
            subject = await kind.find(gateway.book, gateway.id)
        return subject

    async def _again(
        self, asked: Asked, gateway: Gateway, picked: Picked, errors: Mapping[str, str]
    ) -> Answer:
        """The form as it was sent, with what is wrong beside each field."""
        typed = Typed(picked.provider, picked.number[:32], errors)
        subject = await self._subject(gateway)
        if subject.progress.status is not Status.PENDING:
            return redirect(f"{asked.at}{asked.query}")
        return await self._drawn(asked, gateway, subject, typed, status=422)

    async def _drawn(
        self,
        asked: Asked,
        gateway: Gateway,
        subject: Subject,
        typed: Typed | None,
        status: int = 200,
    ) -> Answer:
        application = await self._application(gateway)
        shown = view(
            subject,
            self._catalogue,
            asked.language,
            merchant=application.name,
            offers=self._kinds[gateway.type].offers(subject, gateway.book, application.terms),
            typed=typed,
            now=self._clock.now(),
        )
        return Answer(status, draw(shown, asked.language, at=asked.at, query=asked.query), HEADERS)

    async def _application(self, gateway: Gateway) -> Application:
        application = await self._gate.application(gateway.book.application_id)
        if application is None:
            raise RuntimeError("a page has an application that is not there")
        return application


_VERBS = frozenset({"", "choose", "cancel", "status", "return"})


def _asked(scope: Scope, receive: Receive) -> Asked:
    token, _, verb = scope["path"].removeprefix(PREFIX).partition("/")
    query = dict(parse_qsl(scope["query_string"].decode("latin-1")))
    chosen = query.get("lang")
    headers = {name: value.decode("latin-1") for name, value in scope["headers"]}
    return Asked(
        method="GET" if scope["method"] == "HEAD" else scope["method"],
        token=token,
        verb=verb,
        language=wanted_language(chosen, headers.get(b"accept-language", "")),
        query=f"?lang={chosen}" if chosen in LANGUAGES else "",
        at=f"../{token}" if verb else token,
        # No browser that names gzip refuses it with a weight of zero.
        zipped="gzip" in headers.get(b"accept-encoding", ""),
        receive=receive,
    )


def _missing_fields(language: Language, picked: Picked) -> dict[str, str]:
    given = {"provider": picked.provider, "number": picked.number}
    return {name: language.say(f"error.{name}") for name, text in given.items() if not text}


def _missing(asked: Asked) -> Answer:
    """The same for a token that never was, and for an address under one that is none."""
    body = draw_notice("missing", asked.language, at=asked.at, query=asked.query)
    return Answer(404, body, HEADERS)


def _trouble(asked: Asked, refusal: Refusal) -> Answer:
    body = draw_notice("trouble", asked.language, at=asked.at, query=asked.query)
    return trouble(refusal, body, HEADERS)
