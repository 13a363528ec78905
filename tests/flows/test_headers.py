"""Every answer has the headers that browsers and HTTP itself are owed, whoever wrote it."""

from __future__ import annotations

import re

import pytest

from kpay.core.routes import Guard
from tests.client import Answer, Browser, Merchant
from tests.route_table import name_of, route_table

ROUTES = route_table()
METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "HEAD", "BREW")
PAGES = ("/healthz", "/readyz", "/metrics", "/api/docs/public-json")


def assert_secured(answer: Answer, what: str) -> None:
    headers = answer.headers
    assert headers["cache-control"] == "no-store", what
    assert headers["x-content-type-options"] == "nosniff", what
    assert headers["content-security-policy"] == "default-src 'none'; frame-ancestors 'none'", what
    assert headers["referrer-policy"] == "no-referrer", what
    # Nobody is told what the server is made of, and no page of another site may read an answer.
    assert not {"server", "x-powered-by", "access-control-allow-origin"} & set(headers), what


async def test_every_route_has_them_whatever_it_answers(merchant: Merchant) -> None:
    stranger = Browser(merchant.api)
    for route in ROUTES:
        path = re.sub(r"{\w+}", "none", route.path)
        for browser in (stranger, merchant.keys, merchant.token):
            for raw in (b"", b"{", b"{}"):
                answer = await browser.elsewhere().send(route.method, path, raw=raw)
                assert_secured(answer, f"{name_of(route)} {answer.status}")


async def test_every_page_and_every_address_without_one_has_them(merchant: Merchant) -> None:
    browser = Browser(merchant.api)
    for path in (*PAGES, "/", "/nothing", "/api/v1/nothing", "/healthz/../x"):
        for method in METHODS:
            answer = await browser.send(method, path)
            assert_secured(answer, f"{method} {path} {answer.status}")
            assert answer.status < 500


async def test_what_goes_wrong_in_us_has_them_too(
    merchant: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_values: object) -> None:
        raise RuntimeError("a defect")

    monkeypatch.setattr(merchant.house.database, "fetch", broken)
    monkeypatch.setattr(merchant.house.database, "fetchval", broken)

    for browser, path in ((merchant.keys, "/api/v1/payments/balance"), (merchant.keys, "/readyz")):
        answer = await browser.send("GET", path)
        assert answer.status == 500
        assert_secured(answer, path)


async def test_a_method_that_an_address_does_not_take_is_answered_with_those_that_it_does(
    merchant: Merchant,
) -> None:
    taken: dict[str, set[str]] = {}
    for route in ROUTES:
        taken.setdefault(route.path, set()).add(route.method)
    for path, methods in taken.items():
        for method in set(METHODS) - methods:
            answer = await merchant.keys.send(method, path.replace("{id}", "x"))
            assert answer.status == 405, (method, path)
            assert set(answer.headers["allow"].split(", ")) == methods, (method, path)
    for path in PAGES:
        answer = await Browser(merchant.api).send("DELETE", path)
        assert answer.status == 405
        assert "GET" in answer.headers["allow"].split(", ")


async def test_who_is_not_let_in_is_told_how_to_authenticate(merchant: Merchant) -> None:
    schemes = {Guard.KEYS: "ApiKey", Guard.TOKEN: "Bearer"}
    for route in ROUTES:
        if route.guard is Guard.PUBLIC:
            continue
        answer = await Browser(merchant.api).send(route.method, route.path)
        assert answer.status == 401, name_of(route)
        assert answer.headers["www-authenticate"] == schemes[route.guard], name_of(route)
