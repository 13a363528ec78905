"""Approval by a second person in a real browser: who asks, who decides, and the rules of it.

One house serves all of these tests: each has a company and people of its own.
"""

from __future__ import annotations

import re

import pytest
from playwright.async_api import expect

from kpay.approvals.model import Place as Where
from kpay.approvals.model import Rules
from kpay.core.book import Book, Environment
from kpay.people.model import Role
from tests.browser.guests import NARROW, WIDE, Guest, Open, Place, book
from tests.client import Merchant


async def ruled(place: Place, merchant: Merchant, name: str, rules: Rules) -> None:
    """Rules in force, as an owner of the company has set them."""
    session = await place.office.session(name)
    where = Where(
        Book(merchant.new.application.id, Environment.TEST),
        merchant.new.application.company.id,
        merchant.new.application.name,
    )
    await place.house.approvals.change_rules(where, session.actor, rules, place.house.ids.uuid())


async def asks(fanta: Guest, merchant: Merchant) -> str:
    """Ask for a payout, and where that is looked at."""
    await fanta.to(book(merchant, "move/payout"))
    await fanta.page.locator("#phone").fill("237653456789")
    await fanta.page.locator("#amount").fill("50 000")
    await fanta.page.locator("#provider").select_option("MTN_MOMO_CIV")
    await fanta.page.locator(".moving .end button").first.click()
    await expect(fanta.page.locator("#words")).to_be_visible()
    async with fanta.page.expect_navigation():
        await fanta.page.locator(".confirm form button").first.click()
    return fanta.page.url.partition("/dashboard/")[2].partition("?")[0]


async def test_four_eyes_from_the_rule_to_the_payout(guest: Open, place: Place) -> None:
    merchant = await place.company(
        "Sanaga", ("safi", Role.OWNER), ("samba", Role.FINANCE), ("sira", Role.APPROVER)
    )
    await merchant.collect(100_000)
    safi = await guest("safi")
    await safi.to(book(merchant, "wallets"))
    await safi.follow("Approvals", inside=".side")
    await safi.sees("Nothing: whoever may move money moves it alone.")
    await safi.follow("Change the rules")
    await safi.page.locator("#above-XAF").fill("20 000")
    await safi.press("Save the rules")
    await safi.sees("Saved: these rules are in force.", at=".done")
    await safi.sees("What takes more than 20,000\u00a0XAF out of a wallet.")

    samba = await guest("samba")
    path = await asks(samba, merchant)
    await samba.sees("Nothing has moved and nothing is set aside", at=".done")
    await samba.sees("Another person with the right to approve decides.")
    assert await merchant.wallets() == {"CMR": (95_000, 0)}

    sira = await guest("sira")
    await sira.follow("To approve in test: 1")
    await expect(sira.page.locator(".side .count")).to_have_text(re.compile("^1"))
    await sira.follow("Pay 48,227\u00a0XOF to +237\u00a0653\u00a0456\u00a0789")
    await sira.sees("45,000\u00a0XAF", at=".facts")
    # The script's own guard is taken away: the browser sends both clicks.
    await sira.page.evaluate(
        "document.addEventListener('submit', (event) => delete event.target.dataset.sent, true)"
    )
    async with sira.page.expect_navigation(url="**done=approved*"):
        await sira.page.get_by_role("button", name="Approve and pay").dblclick()
    await sira.sees("Approved, and carried out.", at=".done")
    await place.work()
    assert await merchant.wallets() == {"CMR": (45_000, 0)}
    await sira.follow("To the transaction")
    await sira.sees("Approval asked for", at=".tx-line")
    await sira.sees("By Samba.", at=".tx-line")
    await sira.sees("By Sira.", at=".tx-line")
    await expect(sira.page.locator(".side .count")).to_have_count(0)
    await samba.to(path)
    await samba.sees("Approved by Sira")


async def test_by_keyboard_and_without_a_script_it_is_rejected_with_a_reason(
    guest: Open, place: Place
) -> None:
    merchant = await place.company(
        "Mbam", ("mado", Role.OWNER), ("moussa", Role.FINANCE), ("mina", Role.APPROVER)
    )
    await merchant.collect(100_000)
    await ruled(place, merchant, "mado", Rules(others=True))
    path = await asks(await guest("moussa"), merchant)
    mina = await guest("mina", java_script_enabled=False)
    await mina.to(path)
    await mina.page.get_by_role("link", name="Reject it…").focus()
    async with mina.page.expect_navigation():
        await mina.page.keyboard.press("Enter")
    await expect(mina.page.locator("#reason")).to_be_focused()
    await mina.page.keyboard.type("This supplier was paid on Monday")
    async with mina.page.expect_navigation():
        await mina.page.keyboard.press("Enter")
    await mina.sees("Rejected. Nothing was moved.", at=".done")
    await mina.sees("The reason: This supplier was paid on Monday")
    assert await merchant.wallets() == {"CMR": (95_000, 0)}


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fr", "dark")])
@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["phone", "desk"])
async def test_every_page_is_sound_and_fits(
    guest: Open, place: Place, language: str, scheme: str, viewport: dict[str, int]
) -> None:
    look = f"{language}-{'desk' if viewport is WIDE else 'phone'}"
    name = look.replace("-", "")
    owner, asker, decider = (f"{each}{name}" for each in ("o", "a", "d"))
    company = f"Company {look}"
    merchant = await place.company(
        company, (owner, Role.OWNER), (asker, Role.FINANCE), (decider, Role.APPROVER)
    )
    await merchant.collect(100_000)
    await merchant.collect(50_000, "SEN")
    await ruled(place, merchant, owner, Rules(above={"XAF": 2_000_000, "XOF": 0}, others=True))
    kind: dict[str, object] = {
        "locale": f"{language}-CM",
        "color_scheme": scheme,
        "viewport": viewport,
    }
    boss, fanta = await guest(owner, **kind), await guest(asker, **kind)

    async def looks_right(who: Guest, what: str) -> None:
        await expect(who.page.locator("html")).to_have_attribute("lang", language)
        await who.sound(f"{what}-{look}")

    await boss.to(book(merchant, "approvals/rules"))
    await looks_right(boss, "rules")
    await boss.page.locator("#above-XAF").fill("much")
    await boss.page.locator(".stack button").click()
    await expect(boss.page.locator("#above-XAF")).to_have_attribute("aria-invalid", "true")
    await looks_right(boss, "rules-wrong")
    await fanta.to(f"{book(merchant, 'move/payout')}?phone=237653456789&amount=50000&from=CMR")
    await fanta.page.locator(".moving .end button").first.click()
    await expect(fanta.page.locator("#words")).to_be_visible()
    await looks_right(fanta, "confirm")
    path = await asks(fanta, merchant)
    await looks_right(fanta, "asked")
    ada = await guest(decider, **kind)
    await looks_right(ada, "applications")
    await ada.to(book(merchant, "approvals"))
    await looks_right(ada, "list")
    # Its fee is another by now.
    await place.house.database.execute(
        "update applications set payout_fee_bps = 250 where id = $1", merchant.new.application.id
    )
    place.clock.advance(seconds=2)
    await ada.to(path)
    await looks_right(ada, "one")
    await ada.to(f"{path}?ask=reject")
    await looks_right(ada, "reject")
    await ada.page.locator("#reason").fill("Déjà payé lundi")
    async with ada.page.expect_navigation():
        await ada.page.locator("#ask button").click()
    await looks_right(ada, "rejected")
    await boss.to(book(merchant, "approvals/rules"))
    await boss.page.locator("#above-XAF").fill("90000")
    async with boss.page.expect_navigation():
        await boss.page.locator(".stack button").click()
    await looks_right(boss, "rules-asked")
    await boss.to(book(merchant, "approvals"))
    await looks_right(boss, "list-owner")
