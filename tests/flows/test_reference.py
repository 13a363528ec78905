"""The interactive reference, in a real browser: it shows the document, calls us and nobody else."""

from __future__ import annotations

import gzip
import json
import os
from pathlib import Path
from urllib.parse import urlsplit

import pytest

from tests.browser import DESKTOP, PHONE, chromium, needs_chromium
from tests.client import Browser, Merchant
from tests.loopback import on_loopback
from tests.route_table import route_table

ASSETS = "/api/docs/assets"
FOLDER = Path(__file__).parents[2] / "src/kpay/web/reference/assets"


@needs_chromium
async def test_the_reference_shows_every_route_and_asks_nobody_but_us(merchant: Merchant) -> None:
    async with on_loopback(merchant.api) as url, chromium() as visit:
        page = visit.page
        await page.set_viewport_size(DESKTOP)
        await page.goto(f"{url}/api/docs#/Withdrawals/post_api_v1_payments_withdraw")
        await page.wait_for_selector(".opblock-post.is-open .model-example")
        await _photograph(visit.page, "desktop")

        assert await page.locator(".opblock").count() >= len(route_table())
        shown = await page.locator(".opblock-post.is-open").inner_text()
        assert "Same currency: from Cameroon's wallet to Gabon" in shown
        for code in ("external_id_used", "withdrawal_exceeds_balance"):
            assert code in shown

        await page.set_viewport_size(PHONE)
        await _photograph(visit.page, "phone")
        # Nothing is wider than the phone.
        assert await page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]

        assert {urlsplit(address).netloc for address in visit.asked if "data:" not in address} == {
            urlsplit(url).netloc
        }
        assert visit.complaints == []


@needs_chromium
async def test_a_call_is_tried_from_the_page_with_one_s_own_keys(merchant: Merchant) -> None:
    await merchant.collect(10_000)
    async with on_loopback(merchant.api) as url, chromium() as visit:
        page = visit.page
        await page.goto(f"{url}/api/docs#/Wallets/get_api_v1_payments_balance")
        await page.click("button.authorize")
        for name, value in (
            ("apiKey", merchant.new.test.api_key),
            ("secretKey", merchant.new.test.secret_key),
        ):
            form = page.locator(f".auth-container:has(code:text-is('{_HEADERS[name]}'))")
            await form.locator("input").fill(value)
            await form.locator("button.authorize").click()
        await page.click(".btn-done")
        await page.click(".opblock.is-open button.execute")
        answered = page.locator(".opblock.is-open .live-responses-table .response").first
        await answered.wait_for()
        text = await answered.inner_text()

        assert "200" in text
        body = json.loads(text[text.index("[") : text.rindex("]") + 1])
        assert body == (await merchant.keys.send("GET", "/api/v1/payments/balance")).json
        assert f"{url}/api/v1/payments/balance" in visit.asked
        assert {urlsplit(address).netloc for address in visit.asked if "data:" not in address} == {
            urlsplit(url).netloc
        }
        assert visit.complaints == []


_HEADERS = {"apiKey": "X-API-Key", "secretKey": "X-Secret-Key"}


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
    assert sum(path.stat().st_size for path in FOLDER.iterdir()) < 600_000


async def _photograph(page: object, name: str) -> None:
    """Keep a picture of the page where somebody wants to look at it."""
    folder = os.environ.get("KPAY_TEST_PICTURES")
    if folder:
        await page.screenshot(path=f"{folder}/reference-{name}.png")  # type: ignore[attr-defined]
