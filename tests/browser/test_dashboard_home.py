"""What a merchant's people set up, and how their pages look: applications, keys, webhooks, wallets.

One house serves all of these tests: each has a company of its own.
"""

from __future__ import annotations

import pytest
from playwright.async_api import expect

from kpay.people.model import Role
from tests.browser.guests import NARROW, WIDE, Open, Place, book
from tests.browser.test_moving_pages import a_month_of
from tests.client import Merchant
from tests.transactions import STAYS_OPEN


async def test_test_and_live_are_two_places_and_it_is_always_said_which(
    guest: Open, place: Place
) -> None:
    merchant = await place.company("Faro", ("fanta", Role.DEVELOPER))
    fanta = await guest("fanta")
    await fanta.sees("Test only", at=".card .pill")
    await expect(fanta.page.get_by_role("link", name="Open live")).to_have_count(0)
    await fanta.to(book(merchant, "settings", "live"))
    await fanta.sees("Your company is not approved for live money yet")

    await merchant.live()
    await fanta.follow("My applications", inside=".side")
    await fanta.sees("Live", at=".card .pill")
    await fanta.follow("Open live")
    await expect(fanta.page.locator(".ribbon")).to_have_count(0)
    await expect(fanta.page.locator(".tabs [aria-current]")).to_have_text("Live")
    await fanta.follow("Test")
    await fanta.sees("Test environment: no real money moves here.", at=".ribbon")
    await fanta.follow("Keys and settings", inside=".side")
    assert f"/{merchant.application_id}/test/settings" in fanta.page.url


async def test_a_new_pair_is_asked_about_first_and_shown_once(guest: Open, place: Place) -> None:
    merchant = await place.company("Lom", ("lema", Role.DEVELOPER))
    lema = await guest("lema")
    await lema.to(book(merchant, "settings"))
    before = await lema.page.locator("#keys code").inner_text()
    await lema.follow("Make a new pair")
    await lema.follow("Leave it as it is")
    await expect(lema.page.locator("#keys code")).to_have_text(before)
    assert (await merchant.keys.send("GET", "/api/v1/payments/me")).status == 200

    await lema.follow("Make a new pair")
    await lema.press("Yes, make a new pair")
    api_key, secret = await lema.page.locator("#keys .copy code").all_inner_texts()
    assert (await merchant.keys.send("GET", "/api/v1/payments/me")).status == 401
    merchant.keys.headers.update({"X-API-Key": api_key, "X-Secret-Key": secret})
    assert (await merchant.keys.send("GET", "/api/v1/payments/me")).status == 200
    await lema.to(book(merchant, "settings"))
    await expect(lema.page.locator("#keys code")).to_have_text(api_key)
    assert secret not in await lema.page.content()


async def test_an_address_for_webhooks_is_set_mended_and_taken_away(
    guest: Open, place: Place
) -> None:
    merchant = await place.company("Vina", ("vera", Role.DEVELOPER))
    vera = await guest("vera")
    await vera.to(book(merchant, "settings"))
    await vera.give(**{"url-payouts": "ftp://shop.example/hook"})
    field = vera.page.locator("#url-payouts")
    await expect(field).to_have_attribute("aria-invalid", "true")
    await expect(field).to_have_value("ftp://shop.example/hook")
    await vera.sees("This address cannot be used", at="#error-payouts")
    await vera.give(**{"url-payouts": f"{vera.url}/shop"})
    await vera.sees("Saved.", at=".done")
    await expect(field).to_have_value(f"{vera.url}/shop")
    await vera.give(**{"url-payouts": ""})
    await expect(field).to_have_value("")
    await vera.press("Show the secret")
    shown = await vera.page.locator("#webhooks .copy code").inner_text()
    await vera.to(book(merchant, "settings"))
    assert shown not in await vera.page.content()


async def test_an_owner_without_a_second_factor_is_led_to_set_one_up_before_live_keys(
    guest: Open, place: Place
) -> None:
    merchant = await (await place.company("Ntem", ("nana", Role.OWNER))).live()
    nana = await guest("nana")
    await nana.to(f"{book(merchant, 'settings', 'live')}?ask=keys")
    await nana.press("Yes, make a new pair")
    await nana.reads("Your account")
    await expect(nana.page.locator("#second-factor [role=alert]")).to_be_visible()
    assert (await merchant.keys.send("GET", "/api/v1/payments/me")).status == 200


async def test_wallets_are_looked_over_together_and_in_any_of_their_currencies(
    guest: Open, place: Place
) -> None:
    merchant = await place.company("Mbam", ("mina", Role.VIEWER))
    await merchant.collect(100_000)
    await merchant.collect(200_000, "SEN")
    await merchant.collect(10_000, "KEN")
    mina = await guest("mina")
    await mina.to(book(merchant, "wallets"))
    await expect(mina.page.locator(".wallet h3")).to_have_count(3)
    await expect(mina.page.locator("#in option")).to_have_count(3)
    await mina.page.locator("#in").select_option("KES")
    await mina.press("Show")
    await expect(mina.page.locator("#in")).to_have_value("KES")
    await mina.sees("KES", at=".sum")
    await mina.sees("95,000\u00a0XAF at ", at="section[aria-labelledby=whole]")
    # On a desk the cards stand beside each other, and the picture is the wide one.
    tops = [await card.bounding_box() for card in await mina.page.locator(".wallet").all()]
    assert len({box["y"] for box in tops if box}) == 1
    await mina.follow("7 days")
    await expect(mina.page.locator("#in")).to_have_value("KES")


@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["phone", "desk"])
@pytest.mark.parametrize("language", ["en", "fr"])
async def test_the_longest_name_of_a_country_is_whole_in_the_picture_of_flows(
    guest: Open, place: Place, language: str, viewport: dict[str, int]
) -> None:
    name = f"{language}-{viewport['width']}"
    merchant = await place.company(f"Likouala {name}", (f"nora-{name}", Role.VIEWER))
    await merchant.collect(100_000, "COG")
    await merchant.collect(100_000, "CMR")
    for source, destination in (("COG", "CMR"), ("CMR", "COG")):
        moved = await merchant.transfer(
            sourceCountry=source, destinationCountry=destination, amount=20_000
        )
        assert moved.status == 201
    nora = await guest(f"nora-{name}", locale=f"{language}-CM", viewport=viewport)
    await nora.to(book(merchant, "wallets"))
    cut = await nora.page.locator(".flow:visible").evaluate(
        """picture => [...picture.querySelectorAll("text")].filter(text => {
            const [outer, inner] = [picture, text].map(each => each.getBoundingClientRect())
            return inner.left < outer.left || inner.right > outer.right
        }).map(text => text.textContent)"""
    )
    assert cut == []


@pytest.mark.parametrize(("language", "scheme"), [("en", "light"), ("fr", "dark")])
@pytest.mark.parametrize("viewport", [NARROW, WIDE], ids=["phone", "desk"])
async def test_every_page_of_the_home_is_sound_and_fits(
    guest: Open, place: Place, language: str, scheme: str, viewport: dict[str, int]
) -> None:
    name = f"{language}-{viewport['width']}"
    merchant = await place.company(f"Home {name}", (f"ines-{name}", Role.OWNER))
    kind = {"locale": f"{language}-CM", "color_scheme": scheme, "viewport": viewport}
    ines = await guest(**kind)
    await ines.to("sign-in")
    await ines.sound(f"home-door-{name}")
    await ines.sign_in(f"ines-{name}", "not the password")
    await ines.sound(f"home-refused-{name}")
    await ines.sign_in(f"ines-{name}")
    await ines.to(book(merchant, "wallets"))
    await ines.sound(f"home-empty-wallets-{name}")
    payout = await lived_in(place, merchant)
    # The session of a month ago is over.
    await ines.sign_in(f"ines-{name}")
    for what, path in {
        "applications": "applications",
        "wallets": book(merchant, "wallets"),
        "transactions": book(merchant, "transactions"),
        "payout": book(merchant, f"transactions/{payout}"),
        "settings": book(merchant, "settings"),
        "keys": f"{book(merchant, 'settings')}?ask=keys",
        "webhooks": book(merchant, "webhooks"),
        "account": "account",
        "people": f"company/{await place.office.company(f'Home {name}')}/people",
        "audit": f"company/{await place.office.company(f'Home {name}')}/audit",
    }.items():
        await ines.to(path)
        await expect(ines.page.locator(".side")).to_be_visible()
        await expect(ines.page.locator("html")).to_have_attribute("lang", language)
        await ines.sound(f"home-{what}-{name}")


async def lived_in(place: Place, merchant: Merchant) -> str:
    """A shop with a month behind it, and a payout on its way: its id."""
    await merchant.collect(850_000)
    await merchant.collect(120_000, "SEN")
    await a_month_of(merchant, place.clock)
    await merchant.renew_token()
    for number, (amount, country) in enumerate(((18_500, "CMR"), (42_000, "CIV"), (9_900, "GAB"))):
        await merchant.collect(amount, country, externalId=f"ORDER-{1042 + number}")
        place.clock.advance(hours=3)
    made = await merchant.withdraw(
        amount=150_000,
        provider="MTN_MOMO_CIV",
        phoneNumber="2250503456789",
        sourceCountry="CMR",
        externalId="PAYROLL-2026-07-0017",
        description="Fabrics from Abidjan",
    )
    assert made.status == 201, made.raw
    await place.work()
    await merchant.withdraw(amount=25_000, phoneNumber=STAYS_OPEN, externalId="PAYROLL-0018")
    await place.work()
    return str(made["id"])
