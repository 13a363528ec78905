"""The rail over HTTP: who may call, pawaPay's routes, answers that come late, cut off or never."""

from __future__ import annotations

import hmac
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import TypeAlias

import msgspec
from aiohttp import web
from cryptography.hazmat.primitives.asymmetric import ec

from kpay.catalogue.data import catalogue
from kpay.catalogue.model import OperationType
from kpay.core.clock import Clock
from kpay.core.ids import parse_uuid
from kpay.rail_simulator.account import Account
from kpay.rail_simulator.agenda import Agenda
from kpay.rail_simulator.callbacks import Courier, HttpPost, Post
from kpay.rail_simulator.corner import Corner
from kpay.rail_simulator.rail import Answer, Rail
from kpay.rail_simulator.scenario import Scenario
from kpay.rail_simulator.signatures import Message, PublicKey, SignatureError, Signer, verify
from kpay.rail_simulator.statements import Statements
from kpay.rail_simulator.wire import Fault, invalid, missing, parse

Handler: TypeAlias = Callable[[web.Request], Awaitable[web.StreamResponse]]

_MOST_BODY_BYTES = 1_000_000
_FOLDERS = {
    "deposits": OperationType.DEPOSIT,
    "payouts": OperationType.PAYOUT,
    "refunds": OperationType.REFUND,
}
_HTML = "<html><head><title>502 Bad Gateway</title></head><body>502 Bad Gateway</body></html>"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """How a simulator is set up. `signatures` of callbacks: der, raw or none.

    Where `request_keys` (public keys by their ids) are given, initiations must be signed by one.
    """

    token: str
    scenario: Scenario = Scenario()
    callback_url: str | None = None
    signatures: str = "der"
    signing_key: ec.EllipticCurvePrivateKey | None = None
    request_keys: Mapping[str, PublicKey] = {}


class Simulator:
    """The whole rail around one clock; `app` serves it, `agenda` is stepped or driven."""

    def __init__(self, options: Options, clock: Clock, post: Post | None = None) -> None:
        self.clock = clock
        self.agenda = Agenda(clock)
        self._options = options
        self._post = post or HttpPost()
        key = options.signing_key or ec.generate_private_key(ec.SECP256R1())
        self.signer = Signer(key, raw=options.signatures == "raw")
        signed = options.signatures != "none"
        scenario, url = options.scenario, options.callback_url
        everywhere = {} if url is None else dict.fromkeys(OperationType, url)
        account = Account(
            catalogue(),
            company=scenario.company,
            callback_urls={**everywhere, **scenario.callbacks},
            signed_requests_only=bool(options.request_keys),
            signed_callbacks=signed,
        )
        courier = Courier(clock, self.agenda, self.signer if signed else None, self._post)
        self.rail = Rail(clock, self.agenda, courier, account, catalogue(), scenario)
        self.statements = Statements(clock, self.agenda, courier, self.rail.books)
        self.app = self._application()

    async def close(self) -> None:
        await self.agenda.close()
        if isinstance(self._post, HttpPost):
            await self._post.close()

    def _application(self) -> web.Application:
        app = web.Application(
            client_max_size=_MOST_BODY_BYTES, middlewares=[self._noted, self._faults, self._allowed]
        )
        add = app.router.add_route
        for folder, type_ in _FOLDERS.items():
            add("POST", f"/v2/{folder}", self._initiating(type_))
            add("GET", f"/v2/{folder}/{{id}}", self._checking(type_))
            add(
                "POST",
                f"/v2/{folder}/resend-callback/{{id}}",
                self._asking(type_, self.rail.resend),
            )
            if type_ is not OperationType.DEPOSIT:
                path = f"/v2/{folder}/fail-enqueued/{{id}}"
                add("POST", path, self._asking(type_, self.rail.fail_enqueued))
        add("POST", "/v2/payouts/bulk", self._bulk)
        add("GET", "/v2/active-conf", self._active_conf)
        add("GET", "/v2/availability", self._availability)
        add("POST", "/v2/predict-provider", self._predict)
        add("GET", "/v2/public-key/http", self._public_key)
        add("GET", "/v2/wallet-balances", self._balances)
        add("POST", "/v2/statements", self._statement)
        add("GET", "/v2/statements/{id}", self._statement_status)
        add("GET", "/v2/statements/files/{name}", self._statement_file)
        corner = Corner(self.rail, self.agenda, self.clock)
        corner.add_routes(app)
        return app

    # Around every request, from the outside in.

    @web.middleware
    async def _noted(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        answer = await handler(request)
        if request.path.startswith("/v2/"):
            self.rail.note(method=request.method, path=request.path, status=answer.status)
        return answer

    @web.middleware
    async def _faults(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        try:
            return await handler(request)
        except Fault as fault:
            return _json(fault.body(), fault.status)
        except web.HTTPException as problem:
            code = (
                "NOT_FOUND" if problem.status == web.HTTPNotFound.status_code else "INVALID_INPUT"
            )
            return _json(Fault(problem.status, code, problem.reason).body(), problem.status)

    @web.middleware
    async def _allowed(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        # A downloadUrl is its own secret.
        if not request.path.startswith("/v2/statements/files/"):
            scheme, _, token = request.headers.get("Authorization", "").partition(" ")
            if scheme.lower() != "bearer" or not token:
                raise Fault(401, "NO_AUTHENTICATION", "There is no API token in the request.")
            if not hmac.compare_digest(token.strip().encode(), self._options.token.encode()):
                raise Fault(403, "AUTHENTICATION_ERROR", "The API token is not valid.")
        return await handler(request)

    # pawaPay's routes.

    def _initiating(self, type_: OperationType) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            body = await self._signed_body(request)
            return await self._say(request, await self.rail.initiate(type_, body))

        return handle

    async def _bulk(self, request: web.Request) -> web.StreamResponse:
        body = await self._signed_body(request)
        return await self._say(request, await self.rail.initiate_bulk(body))

    def _checking(self, type_: OperationType) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._say(request, self.rail.status(type_, _id(request)))

        return handle

    def _asking(self, type_: OperationType, ask: Callable[[OperationType, str], Answer]) -> Handler:
        async def handle(request: web.Request) -> web.StreamResponse:
            return await self._say(request, ask(type_, _id(request)))

        return handle

    async def _active_conf(self, request: web.Request) -> web.StreamResponse:
        return _json(self.rail.account.configuration(*_filters(request)))

    async def _availability(self, request: web.Request) -> web.StreamResponse:
        return _json(self.rail.account.availabilities(*_filters(request)))

    async def _predict(self, request: web.Request) -> web.StreamResponse:
        said = parse(await request.read())
        if not isinstance(said, dict) or "phoneNumber" not in said:
            raise missing("phoneNumber")
        if not isinstance(said["phoneNumber"], str):
            raise invalid("'phoneNumber' must be a string")
        return _json(self.rail.account.predict(said["phoneNumber"]))

    async def _public_key(self, _request: web.Request) -> web.StreamResponse:
        return _json([{"id": self.signer.key_id, "key": self.signer.public_pem()}])

    async def _balances(self, request: web.Request) -> web.StreamResponse:
        country = request.query.get("country")
        return _json({"balances": self.rail.balances(country)})

    async def _statement(self, request: web.Request) -> web.StreamResponse:
        return _json(self.statements.request(await request.read(), str(request.url.origin())))

    async def _statement_status(self, request: web.Request) -> web.StreamResponse:
        return _json(self.statements.status(_id(request), str(request.url.origin())))

    async def _statement_file(self, request: web.Request) -> web.StreamResponse:
        name = request.match_info["name"]
        found = self.statements.file(name)
        if found is None:
            raise Fault(404, "NOT_FOUND", "There is no such file.")
        kind = "application/gzip" if name.endswith(".gz") else "text/csv"
        return web.Response(body=found, content_type=kind)

    async def _signed_body(self, request: web.Request) -> bytes:
        body = await request.read()
        keys = self._options.request_keys
        if keys:
            headers = {name.lower(): value for name, value in request.headers.items()}
            message = Message(request.method, request.host, request.rel_url.raw_path, headers)
            try:
                verify(message, body, keys, self.clock.now())
            except SignatureError as problem:
                raise Fault(403, "HTTP_SIGNATURE_ERROR", f"Not accepted: {problem}.") from None
        return body

    async def _say(self, request: web.Request, answer: Answer) -> web.StreamResponse:
        if answer.after:
            await self.agenda.until(answer.after)
        if answer.status is None:
            if request.transport is not None:
                request.transport.abort()
            return web.Response(status=504)
        if answer.form == "html":
            return web.Response(status=answer.status, text=_HTML, content_type="text/html")
        body = msgspec.json.encode(answer.body)
        if answer.form == "cut":
            body = body[: len(body) // 2]
        return web.Response(status=answer.status, body=body, content_type="application/json")


@asynccontextmanager
async def serving(simulator: Simulator, host: str, port: int) -> AsyncIterator[str]:
    """Serve until the block ends. Yields the address, http://127.0.0.1:PORT."""
    # Who has gone away waits for no answer: what is held back for him is given up.
    runner = web.AppRunner(
        simulator.app, access_log=None, handler_cancellation=True, shutdown_timeout=0.1
    )
    await runner.setup()
    try:
        await web.TCPSite(runner, host, port).start()
        bound = runner.addresses[0][1]
        yield f"http://{f'[{host}]' if ':' in host else host}:{bound}"
    finally:
        await runner.cleanup()
        await simulator.close()


def _json(said: object, status: int = 200) -> web.Response:
    return web.Response(
        status=status, body=msgspec.json.encode(said), content_type="application/json"
    )


def _id(request: web.Request) -> str:
    value = parse_uuid(request.match_info["id"])
    if value is None:
        raise invalid("the id must be a UUID")
    return str(value)


def _filters(request: web.Request) -> tuple[str | None, OperationType | None]:
    named = request.query.get("operationType")
    if named is None:
        return request.query.get("country"), None
    try:
        return request.query.get("country"), OperationType(named)
    except ValueError:
        raise invalid(f"'operationType' must be one of {', '.join(OperationType)}") from None
