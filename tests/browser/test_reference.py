"""The interactive reference, in a real browser: it shows the document, calls us and nobody else."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, ViewportSize

from kpay.access.model import KeyPair
from tests.browser.conftest import watched
from tests.browser.serving import Served
from tests.client import Browser, Merchant
from tests.route_table import route_table

ASSETS = "/api/docs/assets"
PHONE = ViewportSize(width=390, height=844)
DESKTOP = ViewportSize(width=1280, height=900)
FOLDER = Path(__file__).parents[2] / "src/kpay/web/reference/assets"


async def test_the_reference_shows_every_route_tries_one_and_asks_nobody_but_us(
    chromium: Chromium, served: Served, merchant: Merchant
) -> None:
    await merchant.collect(10_000)
    context = await chromium.new_context(viewport=DESKTOP)
    # A bound, not an expectation: the library draws every route, on a machine that may be busy.
    context.set_default_timeout(180_000)
    page = await context.new_page()
    visit = watched(context, page, served, merchant)
    await page.goto(f"{served.url}/api/docs#/Withdrawals/post_api_v1_payments_withdraw")
    await page.wait_for_selector(".opblock-post.is-open .highlight-code")
    await _photograph(page, "desktop")

    assert await page.locator(".opblock").count() >= len(route_table())
    shown = await page.locator(".opblock-post.is-open").inner_text()
    assert "Same currency: from Cameroon's wallet to Gabon" in shown
    for code in ("external_id_used", "withdrawal_exceeds_balance"):
        assert code in shown

    await page.set_viewport_size(PHONE)
    await _photograph(page, "phone")
    # Nothing is wider than the phone.
    assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

    answered = await tried(page, "get_api_v1_payments_balance", merchant.new.test)
    assert "200" in answered
    body = json.loads(answered[answered.index("[") : answered.rindex("]") + 1])
    assert body == (await merchant.keys.send("GET", "/api/v1/payments/balance")).json
    await _photograph(page, "tried")
    await context.close()

    asked = [request.url for request in visit.requests if not request.url.startswith("data:")]
    assert f"{served.url}/api/v1/payments/balance" in asked
    assert {urlsplit(address).netloc for address in asked} == {urlsplit(served.url).netloc}
    # The library warns of the underscore in every deep link, which it writes itself.
    assert [text for text in visit.complaints if not text.startswith("Deprecated:")] == []


async def tried(page: Page, operation: str, pair: KeyPair) -> str:
    """What the page shows of the answer, after its own form was filled with the keys."""
    await page.click("button.authorize")
    for name, value in (("X-API-Key", pair.api_key), ("X-Secret-Key", pair.secret_key)):
        form = page.locator(f".auth-container:has(code:text-is('{name}'))")
        await form.locator("input").fill(value)
        await form.locator("button.authorize").click()
    await page.click(".btn-done")
    block = page.locator(f"[id$='{operation}']")
    await block.locator(".opblock-summary-control").click()
    await block.locator("button.execute").click()
    answer = block.locator(".live-responses-table .response").first
    await answer.wait_for()
    return await answer.inner_text()


async def test_the_page_lets_nothing_run_or_be_asked_for_but_ours(merchant: Merchant) -> None:
    browser = Browser(merchant.api)
    for path in ("/api/docs", "/api/docs/"):
        answer = await browser.send("GET", path)
        assert (answer.status, answer.headers["content-type"]) == (200, "text/html; charset=utf-8")
        policy = answer.headers["content-security-policy"]
        for part in (
            "default-src 'none'",
            "script-src 'self'",
            "connect-src 'self'",
            "frame-ancestors 'none'",
        ):
            assert part in policy.split("; ")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert b"http" not in answer.raw.replace(b"http-equiv", b"")


async def test_a_file_is_sent_compressed_to_who_takes_it_and_plain_to_who_does_not(
    merchant: Merchant,
) -> None:
    browser = Browser(merchant.api)
    path = f"{ASSETS}/swagger-ui-bundle.js"

    packed = await browser.send("GET", path, headers={"Accept-Encoding": "gzip, br"})
    plain = await browser.send("GET", path)

    assert packed.headers["content-encoding"] == "gzip"
    assert "content-encoding" not in plain.headers
    assert gzip.decompress(packed.raw) == plain.raw
    assert packed.headers["vary"] == plain.headers["vary"] == "accept-encoding"
    assert plain.headers["content-type"] == "text/javascript; charset=utf-8"
    assert len(packed.raw) < 500_000


async def test_a_browser_that_has_a_file_is_not_sent_it_again(merchant: Merchant) -> None:
    browser = Browser(merchant.api)
    first = await browser.send("GET", f"{ASSETS}/reference.css")

    again = await browser.send(
        "GET", f"{ASSETS}/reference.css", headers={"If-None-Match": first.headers["etag"]}
    )

    assert (first.status, first.headers["cache-control"]) == (200, "no-cache")
    assert (again.status, again.raw) == (304, b"")


@pytest.mark.parametrize(
    "name",
    ["nothing.js", "swagger-ui.LICENSE", "swagger-ui.css.gz", "../__init__.py", "%2e%2e/x", ""],
)
async def test_nothing_but_the_page_s_files_is_served(merchant: Merchant, name: str) -> None:
    assert (await Browser(merchant.api).send("GET", f"{ASSETS}/{name}")).status == 404


def test_what_is_not_ours_comes_with_its_licence() -> None:
    names = {path.name for path in FOLDER.iterdir()}

    assert {"swagger-ui.LICENSE", "swagger-ui.NOTICE", "swagger-ui-bundle.js.LICENSE.txt"} <= names
    assert "Apache License" in (FOLDER / "swagger-ui.LICENSE").read_text()
    # The page's own text stays in its own place: nothing is fetched by a style or a script of ours.
    for path in FOLDER.iterdir():
        if path.suffix in (".css", ".js", ".html"):
            assert "http" not in path.read_text()
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 600_000


async def _photograph(page: Page, name: str) -> None:
    """Keep a picture of the page where somebody wants to look at it."""
    folder = os.environ.get("KPAY_TEST_PICTURES")
    if folder:
        await page.screenshot(path=f"{folder}/reference-{name}.png")
