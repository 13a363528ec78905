"""Whether an answer is one that its route declares: reality held to the route table."""

from __future__ import annotations

import json

from kpay.core.refusals import Code
from kpay.core.routes import Route, refusals_of
from kpay.web.api import Api


def route_of(api: Api, method: str, path: str) -> Route | None:
    """The route that serves an address; None for what is no part of the API."""
    endpoint = api._fixed.get(path)
    if endpoint is None:
        matched = api._match(path.split("/"))
        endpoint = None if matched is None else matched[0]
    prepared = None if endpoint is None else endpoint._routes.get(method)
    return None if prepared is None else prepared.route


def assert_declared(api: Api, method: str, path: str, status: int, raw: bytes) -> None:
    """No route answers a code or a success that it does not declare: the document shows those."""
    route = route_of(api, method, path)
    if route is None:
        return
    if status < 400:
        also = () if route.also is None else (route.also.status,)
        assert status in (route.status, *also), (method, path, status)
        return
    code = Code(json.loads(raw)["code"])
    assert code in refusals_of(route), f"{method} {route.path} does not declare {code}"
