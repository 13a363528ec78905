"""Days of people at the dashboard, in a real browser: each test is one person's story.

One house serves all of them: each has a company of its own.
"""

from __future__ import annotations

import re
from urllib.parse import urlsplit

from playwright.async_api import Route, expect

from kpay.access.model import KeyPair
from kpay.core.book import Environment
from kpay.people.model import Role
from tests.browser.guests import Guest, Open, Place, book
from tests.client import Merchant
from tests.receivers import Receiver, listening

# Another site, played by the browser itself: nothing leaves this machine. A port of this machine
# is the same site with the same cookies, and yet another origin.
THIEF = "http://127.0.0.1:8099/prize"


async def test_a_new_merchant_takes_money_moves_it_pays_out_and_finds_it_again(
    guest: Open, place: Place
) -> None:
    merchant = await place.company("Sanaga", ("awa", Role.OWNER))
    async with listening() as heard:
        awa = await guest("awa", permissions=["clipboard-read", "clipboard-write"])
        await copies_the_id(awa, merchant)
        await awa.follow("Open test")
        await awa.sees("A country has a wallet from the first payment")
        merchant = await makes_a_key(awa, merchant)
        await awa.give(**{"url-generic": heard.url})
        await awa.sees("Saved.")
        await merchant.collect(200_000)
        await transfers(awa)
        reference = await pays_out(awa)
        await place.work()
        await finds(awa, reference)
        await replays_the_webhook(awa, place, heard)


async def copies_the_id(awa: Guest, merchant: Merchant) -> None:
    await awa.reads("My applications")
    await awa.sound("journey-applications")
    copy = awa.page.locator(".card [data-copy]")
    await copy.click()
    await expect(copy).to_have_text("Copied")
    held = await awa.page.evaluate("navigator.clipboard.readText()")
    assert held == merchant.application_id


async def makes_a_key(awa: Guest, merchant: Merchant) -> Merchant:
    """The merchant as who calls with the pair that is on the page."""
    await awa.follow("Keys and settings")
    await awa.follow("Make a new pair")
    await awa.sees("stops working at once", at="#keys [role=alert]")
    await awa.press("Yes, make a new pair")
    api_key, secret = await awa.page.locator("#keys .copy code").all_inner_texts()
    return await merchant.with_keys(
        KeyPair(merchant.new.test.id, Environment.TEST, api_key, secret)
    )


async def transfers(awa: Guest) -> None:
    await awa.follow("Wallets", inside=".side")
    await awa.sees("190,000\u00a0XAF")
    await awa.follow("Transfer from Cameroon")
    await awa.page.locator("#to").select_option("SEN")
    await awa.page.locator("#amount").fill("50 000")
    await awa.sees("50,765\u00a0XOF", at="#comes-to")
    await awa.press("Continue")
    await awa.press("Move 50,000")
    await awa.sees("are in that of Senegal", at=".done")


async def pays_out(awa: Guest) -> str:
    """The reference, as it is told on the page."""
    await awa.follow("Pay out from Cameroon")
    await awa.page.locator("#phone").fill("237653456789")
    await awa.page.locator("#amount").fill("20000")
    await awa.sees("19,000\u00a0XAF", at="#comes-to")
    await awa.press("Continue")
    await awa.press("Pay 19,000")
    await awa.sees("On its way: 20,000\u00a0XAF", at=".done")
    return await awa.page.locator(".done .id").inner_text()


async def finds(awa: Guest, reference: str) -> None:
    await awa.follow("Transactions", inside=".side")
    await expect(awa.page.locator(".tx-list li")).to_have_count(3)
    await awa.give(q=reference)
    await expect(awa.page.locator(".tx-list li")).to_have_count(1)
    await awa.page.locator(".tx-link").click()
    await expect(awa.page.locator("h1")).to_have_text(re.compile("Payout to"))
    await expect(awa.page.locator(".tx-now")).to_have_text("Completed")
    await awa.sees(reference, at=".tx-names")


async def replays_the_webhook(awa: Guest, place: Place, heard: Receiver) -> None:
    told = [each for each in heard.heard if each["event"] == "payout.completed"]
    assert len(told) == 1, heard.events
    await awa.follow("Webhooks", inside=".side")
    await awa.follow("payout.completed")
    await awa.press("Send it again")
    await place.work()
    again = [each for each in heard.heard if each["event"] == "payout.completed"]
    assert [each.raw for each in again] == [told[0].raw] * 2


async def test_a_viewer_sees_the_money_and_may_not_move_it(guest: Open, place: Place) -> None:
    merchant = await place.company("Wouri", ("hawa", Role.VIEWER))
    await merchant.collect(100_000)
    hawa = await guest("hawa")
    await hawa.follow("Open test")
    await hawa.sees("95,000\u00a0XAF")
    for name in ("Move money", "Keys and settings", "Webhooks", "Audit log"):
        await expect(hawa.page.get_by_role("link", name=name, exact=True)).to_have_count(0)
    csrf = await hawa.page.locator(".who [name=csrf]").get_attribute("value")
    for page in ("move/payout", "move/transfer", "settings", "webhooks"):
        await hawa.to(book(merchant, page))
        await hawa.reads("Nothing here")
    await hawa.to(book(merchant, "wallets"))
    # By hand, with a form and a token that are hers.
    status = await hawa.page.evaluate(
        "async ([path, csrf]) => (await fetch(path, {method: 'POST', body: new URLSearchParams("
        "{csrf, from: 'CMR', to: 'SEN', amount: '1000'})})).status",
        [f"/dashboard/{book(merchant, 'move/transfer')}/confirm", csrf],
    )
    assert status == 404
    assert await merchant.wallets() == {"CMR": (95_000, 0)}


async def test_who_has_forgotten_a_password_is_made_to_wait_and_nobody_else_is(
    guest: Open, place: Place
) -> None:
    await place.company("Nyong", ("penda", Role.OWNER))
    penda = await guest("penda")
    await penda.reads("My applications")
    async with penda.page.expect_navigation():
        await penda.page.get_by_role("button", name="Sign out").click()
    for _ in range(10):
        await penda.sign_in("penda", "not the password")
        await penda.sees("The e-mail address or the password is wrong.", at="[role=alert]")
    await expect(penda.page.locator("#email")).to_have_value("penda@example.com")
    await expect(penda.page.locator("#password")).to_be_focused()
    await penda.sign_in("penda")
    await penda.sees("Too many attempts: try again in 15 minutes.", at="[role=alert]")
    await penda.sound("journey-throttled")
    await (await guest("penda")).reads("My applications")
    place.clock.advance(minutes=15)
    await penda.sign_in("penda")
    await penda.reads("My applications")


async def test_a_wrong_code_opens_nothing_and_a_right_one_opens_once(
    guest: Open, place: Place
) -> None:
    merchant = await place.company("Benoue")
    fatou_id = await place.office.hire("fatou", Role.OWNER, "Benoue")
    await place.office.set_up(await place.office.session("fatou"))
    fatou = await guest("fatou")
    await fatou.reads("Your code")
    await fatou.to(book(merchant, "wallets"))
    await fatou.reads("Your code")
    right = place.office.code(fatou_id)
    await fatou.give(code=f"{(int(right) + 1) % 1_000_000:06}")
    await fatou.sees("This code is wrong, or was used already", at="[role=alert]")
    await fatou.sound("journey-wrong-code")
    await fatou.give(code=right)
    await fatou.reads("My applications")
    stranger = await guest("fatou")
    await stranger.give(code=right)
    await stranger.sees("This code is wrong, or was used already", at="[role=alert]")


async def test_a_form_of_another_site_does_nothing_even_with_the_right_token(
    guest: Open, place: Place
) -> None:
    merchant = await place.company("Kadey", ("binta", Role.OWNER))
    binta = await guest("binta", others=frozenset({urlsplit(THIEF).netloc}))
    keys = f"/dashboard/{book(merchant, 'settings')}/keys"
    csrf = await binta.page.locator(".who [name=csrf]").get_attribute("value")

    async def lure(route: Route) -> None:
        form = (
            f'<form method="post" action="{binta.url}{keys}">'
            f'<input type="hidden" name="csrf" value="{csrf}"><button>Win</button></form>'
        )
        await route.fulfill(
            body=f'<!doctype html><link rel="icon" href="data:,">{form}', content_type="text/html"
        )

    await binta.page.route(THIEF, lure)
    await binta.page.goto(THIEF)
    async with binta.page.expect_navigation():
        await binta.page.get_by_role("button").click()
    await binta.reads("This form is too old")
    # On our own page, with the token of another session.
    await binta.to(f"{book(merchant, 'settings')}?ask=keys")
    other = await place.office.session("binta")
    await binta.page.evaluate(
        "csrf => document.querySelectorAll('[name=csrf]').forEach(each => { each.value = csrf })",
        other.csrf_token,
    )
    await binta.press("Yes, make a new pair")
    await binta.reads("This form is too old")
    assert (await merchant.keys.send("GET", "/api/v1/payments/me")).status == 200


async def test_an_address_of_another_company_is_no_address(guest: Open, place: Place) -> None:
    theirs = await place.company("Mungo", ("dado", Role.OWNER))
    ours = await place.company("Dja", ("coumba", Role.OWNER))
    payment = await theirs.collect(10_000)
    company = await place.office.company("Mungo")
    coumba = await guest("coumba")
    for path in (
        *(book(theirs, page) for page in ("wallets", "transactions", "settings", "webhooks")),
        book(theirs, "move/payout"),
        book(theirs, f"transactions/{payment['id']}"),
        # Theirs, asked for as if it were ours.
        book(ours, f"transactions/{payment['id']}"),
        f"company/{company}/people",
        f"company/{company}/audit",
        "office/overview",
    ):
        answer = await coumba.page.goto(f"{coumba.url}/dashboard/{path}")
        assert answer is not None
        assert answer.status == 404, path
        await coumba.reads("Nothing here")
        assert "Mungo" not in await coumba.page.content()
    await coumba.sound("journey-nothing-here")
    # The same words as for what does not exist, and one's own is still there.
    await coumba.follow("To the dashboard")
    await coumba.sees("Boutique en ligne")
