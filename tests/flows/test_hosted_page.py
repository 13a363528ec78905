"""The hosted page itself: who may open it, what it gives away, and the signed way back."""

from __future__ import annotations

from urllib.parse import parse_qsl, urlsplit

import pytest

from kpay.app import House
from kpay.connectors.model import Refused
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from tests.client import Browser, Merchant
from tests.hosted import CANCEL, RETURN, Visitor, init, signed, words
from tests.rails import ScriptedRail

REFUSED = Refused("PAYMENT_NOT_APPROVED")


async def work(house: House) -> None:
    await house.worker.run_until_idle()


# The way back.


async def test_a_payer_goes_back_with_a_query_that_the_merchant_can_believe(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    made = await init(merchant, externalId="ORDER|é&1=2#3", returnUrl=f"{RETURN}?cart=7#top")
    payer = Visitor.at(merchant, made)
    await payer.choose()
    await work(house)
    clock.advance(minutes=2)

    back = await payer.look("/return")

    assert back.status == 303
    parts = urlsplit(back.headers["location"])
    assert (parts.scheme, parts.netloc, parts.path) == ("https", "shop.example.com", "/paid")
    assert parts.fragment == "top"
    query = dict(parse_qsl(parts.query))
    assert list(query) == ["cart", "status", "reference", "externalId", "ts", "sig"]
    assert query["cart"] == "7"
    assert query["status"] == "COMPLETED"
    assert query["reference"] == made["reference"]
    assert query["externalId"] == "ORDER|é&1=2#3"
    assert query["ts"] == str(int(clock.now().timestamp() * 1_000))
    assert query["sig"] == signed(merchant, query)


async def test_the_signature_is_made_at_the_moment_of_going_back(
    merchant: Merchant, clock: ManualClock
) -> None:
    made = await init(merchant, cancelUrl=CANCEL)
    payer = Visitor.at(merchant, made)
    await payer.cancel()
    first = (await payer.look("/return")).headers["location"]
    clock.advance(hours=2)
    second = (await payer.look("/return")).headers["location"]

    assert first.startswith(f"{CANCEL}&status=CANCELLED&")
    stamps = [int(dict(parse_qsl(urlsplit(each).query))["ts"]) for each in (first, second)]
    assert stamps[1] - stamps[0] == 2 * 3_600 * 1_000


async def test_without_a_cancel_url_every_end_goes_back_by_the_return_url(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    cancelled, expired = await init(merchant), await init(merchant, externalId="TWO")
    await Visitor.at(merchant, cancelled).cancel()
    clock.advance(minutes=30)
    await work(house)

    for made, status in ((cancelled, "CANCELLED"), (expired, "FAILED")):
        location = (await Visitor.at(merchant, made).look("/return")).headers["location"]
        assert location.startswith(f"{RETURN}?status={status}&")


# Who may open a page, and what it gives away.


async def test_a_token_opens_its_own_payment_and_what_is_no_token_opens_nothing(
    merchant: Merchant, house: House
) -> None:
    mine = await init(merchant, description="Mine")
    other = await Merchant.join(house, "Other", "market")
    theirs = await init(other, description="Theirs")

    assert "Theirs" in words(await Visitor.at(other, theirs).look())
    assert "Mine" not in words(await Visitor.at(other, theirs).look())

    token = mine["gatewayUrl"].rpartition("/")[2]
    browser = Browser(merchant.api)
    pages = set()
    for wrong in (
        "gw_" + "a" * 52,
        token[:-1] + ("a" if token[-1] != "a" else "q"),
        token.upper(),
        token + "a",
        token[:-1],
        token[3:],
        "",
        "gw_",
        "%00",
        "gw_\x00",
        "é",
        mine["id"],
    ):
        for verb in ("", "/status", "/return", "/choose", "/nothing"):
            answer = await browser.send("GET", f"/gateway/{wrong}{verb}")
            assert answer.status == 404, (wrong, verb)
            pages.add(words(answer))
    # A form that is sent to nothing finds nothing, and an address under a page that is none.
    assert (await browser.send("POST", f"/gateway/gw_{'a' * 52}/choose")).status == 404
    assert (await browser.send("GET", f"/gateway/{token}/nothing")).status == 404
    assert len(pages) == 1


async def test_the_sandbox_is_marked_and_shows_its_numbers(merchant: Merchant) -> None:
    page = words(await Visitor.at(merchant, await init(merchant)).look())

    assert page.startswith("Test: no real money moves")
    assert "237653456789 succeeds" in page
    assert "237653456039 fails: PAYMENT_NOT_APPROVED" in page


async def test_a_live_page_shows_no_test_numbers(merchant: Merchant, house: House) -> None:
    ScriptedRail().serve(house, Environment.PRODUCTION)
    live = await merchant.live()
    payer = Visitor.at(live, await init(live))

    page = words(await payer.look())

    assert "Test" not in page
    assert "237653456789" not in page
    # And reads numbers as they are in the country, not as the sandbox knows them.
    assert (await payer.choose("MTN_MOMO_CMR", "712345678")).status == 422
    assert (await payer.choose("MTN_MOMO_CMR", "6 71 23 45 67")).status == 303


async def test_pages_are_kept_by_nobody_framed_by_nobody_and_load_nothing(
    merchant: Merchant,
) -> None:
    payer = Visitor.at(merchant, await init(merchant))
    for answer in (await payer.look(), await payer.choose("", ""), await payer.look("/nothing")):
        headers = answer.headers
        assert headers["cache-control"] == "no-store"
        assert headers["referrer-policy"] == "no-referrer"
        assert headers["x-content-type-options"] == "nosniff"
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'; ")
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
    assert (await payer.look("/status")).headers["content-type"] == "application/json"


async def test_what_merchants_write_is_text_on_the_page(merchant: Merchant) -> None:
    made = await init(merchant, description='<script>alert(1)</script> & "more"')

    page = (await Visitor.at(merchant, made).look()).raw.decode()

    assert "<script>alert" not in page
    assert "&lt;script&gt;alert(1)&lt;/script&gt; &amp; &#34;more&#34;" in page


async def test_a_payer_reads_the_language_of_their_browser_or_the_one_they_choose(
    merchant: Merchant,
) -> None:
    made = await init(merchant)

    async def first_words(language: str, **query: str) -> str:
        return words(await Visitor.at(merchant, made, language).look(**query))

    assert "Vous payez 5 000 FCFA" in await first_words("fr-CM,fr;q=0.9,en;q=0.8")
    assert "You pay 5,000 FCFA" in await first_words("en-GB,en;q=0.9,fr;q=0.8")
    assert "You pay" in await first_words("de, en;q=0.5, fr;q=0.1")
    assert "Vous payez" in await first_words("sw")
    assert "Vous payez" in await first_words("en;q=0, *")
    assert "Vous payez" in await first_words("\x00;;q=x,,")
    assert "You pay" in await first_words("fr", lang="en")
    # The choice stays: forms and links carry it on.
    page = (await Visitor.at(merchant, made, "fr").look(lang="en")).raw.decode()
    assert "/choose?lang=en" in page
    assert "Vous payez" in await first_words("fr", lang="xx")


async def test_requests_are_counted_under_addresses_without_tokens(merchant: Merchant) -> None:
    payer = Visitor.at(merchant, await init(merchant))
    for verb in ("", "/status", "/nothing"):
        await payer.look(verb)

    counted = (await payer.browser.send("GET", "/metrics")).raw.decode()

    for route in ("/gateway/{token}", "/gateway/{token}/status"):
        assert f'kpay_request_seconds_count{{method="GET",route="{route}",' in counted
    assert "gw_" not in counted
    assert "nothing" not in counted


async def test_other_methods_and_other_forms_are_refused(merchant: Merchant) -> None:
    payer = Visitor.at(merchant, await init(merchant))

    for method, verb in (
        ("POST", ""),
        ("PUT", "/choose"),
        ("DELETE", "/cancel"),
        ("POST", "/status"),
    ):
        answer = await payer.browser.send(method, payer.path + verb)
        assert answer.status == 405, (method, verb)
        assert answer.headers["allow"]
    for raw in (b"\xff\xfe", b"&".join(b"a=%d" % number for number in range(200))):
        answer = await payer.browser.send("POST", payer.path + "/choose", raw=raw)
        assert answer.status == 400
    big = await payer.browser.send("POST", payer.path + "/choose", raw=b"number=" + b"1" * 70_000)
    assert big.status == 413
    assert (await payer.look()).status == 200


async def test_a_payer_is_told_to_wait_while_the_database_is_away(
    merchant: Merchant, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    payer = Visitor.at(merchant, await init(merchant))

    async def away(*_arguments: object) -> None:
        raise ConnectionRefusedError

    monkeypatch.setattr(house.database, "fetchrow", away)
    answer = await payer.look()

    assert (answer.status, answer.headers["retry-after"]) == (503, "2")
    assert "Nothing was lost" in words(answer)
    assert "Try again" in words(answer)
