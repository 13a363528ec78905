"""A picture of every page of the dashboard, for who wants to look at all of them: `make pictures`.

No test of the usual run: it is named on the command line, with `KPAY_TEST_PICTURES` as the folder.
Every page is seen in both languages, light and dark, at a desk and on a phone, with a shop behind
it that has been at work for a month; nothing may be wider than its window. A page of the
dashboard's own table that no picture was taken of is told at the end.
"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from pathlib import Path
from typing import TypeAlias
from urllib.parse import urlsplit

import pyotp
import pytest
from playwright.async_api import Browser as Chromium
from playwright.async_api import Page, expect

from kpay.core.refusals import Code
from kpay.dashboard.page import Page as Declared
from kpay.dashboard.page import company_address
from kpay.database.embedded import EmbeddedServer
from kpay.people.model import CODE_FRESH, OperatorRole, Role
from tests.browser.guests import NewPage, Place, book, fits, placed, press
from tests.browser.test_dashboard_home import lived_in
from tests.browser.test_office_pages import busy
from tests.browser.test_waiting_pages import disagree
from tests.client import Answer, Merchant
from tests.people import COMMAND, PASSWORD, THERE, email_of, refused
from tests.receivers import listening
from tests.transactions import one_of_each

DESK, PHONE = {"width": 1280, "height": 800}, {"width": 390, "height": 844}
# A language, a size and a scheme.
Kind: TypeAlias = tuple[str, str, str]
KINDS: list[Kind] = list(product(("en", "fr"), ("desk", "phone"), ("light", "dark")))
COMPANY = "Boutiques Sanaga"
OFFICE = "office"
# What is no page to look at: files, news that never ends, and what only leads on to another page.
_NO_PAGE = re.compile(r"/(live|export|move|office)$")
# A form that no page offers to this person, sent all the same.
_SEND = """([action, csrf]) => {
    const form = document.createElement("form"), field = document.createElement("input")
    Object.assign(form, {method: "post", action})
    Object.assign(field, {name: "csrf", value: csrf})
    form.append(field)
    document.body.append(form)
    form.submit()
}"""


@dataclass
class Album:
    """Where the pictures go, and which addresses were seen."""

    folder: Path
    seen: set[str] = field(default_factory=set)
    too_wide: list[str] = field(default_factory=list)

    def missing(self, pages: list[Declared]) -> list[str]:
        """The pages of which there is no picture."""
        looked_at = [page.path for page in pages if page.method == "GET"]
        return [
            path
            for path in looked_at
            if not _NO_PAGE.search(path)
            and not any(re.fullmatch(re.sub(r"\{\w+\}", "[^/]+", path), each) for each in self.seen)
        ]


@dataclass
class Camera:
    """Somebody's browser in one language, scheme and size."""

    album: Album
    page: Page
    place: Place
    kind: Kind

    async def take(self, name: str) -> None:
        """A picture of what is there now."""
        language, device, scheme = self.kind
        self.album.seen.add(urlsplit(self.page.url).path)
        path = self.album.folder / f"{name}.{language}.{device}.{scheme}.png"
        # The menu stays in sight where one scrolls; at the head of the page it is in its place.
        await self.page.evaluate("scrollTo(0, 0)")
        await self.page.screenshot(path=path, full_page=True)
        try:
            await fits(self.page)
        except AssertionError as problem:
            self.album.too_wide.append(f"{path.name}: {problem}")

    async def at(self, name: str, path: str) -> None:
        await self.page.goto(f"{self.place.url}/dashboard/{path}")
        await self.take(name)

    async def all(self, prefix: str, paths: Mapping[str, str]) -> None:
        for name, path in paths.items():
            await self.at(f"{prefix}-{name}", path)

    async def sends(self, name: str, selector: str, **fields: str) -> None:
        """What comes of a form that is filled by the ids of its fields."""
        for each, value in fields.items():
            await self.page.locator(f"#{each}").fill(value)
        await press(self.page, selector)
        await self.take(name)


@pytest.fixture(scope="session")
def album() -> Album:
    folder = Path(os.environ["KPAY_TEST_PICTURES"])
    folder.mkdir(parents=True, exist_ok=True)
    return Album(folder)


@dataclass
class Shown:
    """What the pictures are of."""

    place: Place
    merchant: Merchant
    made: dict[str, Answer]
    payout: str


@pytest.fixture(scope="module")
async def waiting(
    server: EmbeddedServer, template: str, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Place]:
    """A house with a rail that does not agree with its books."""
    async with placed(server, template, tmp_path_factory.mktemp("waiting")) as made:
        await hire(made, "amina", "Amina Diallo", Role.OWNER)
        await disagree(made, await made.company(COMPANY))
        await employ(made, "ines", "Inès Kamga", OperatorRole.ADMIN)
        yield made


@pytest.fixture(scope="module")
async def shown(place: Place) -> AsyncIterator[Shown]:
    """A shop with a month behind it, its people, and the operator's staff."""
    for email, name, role in (
        ("amina", "Amina Diallo", Role.OWNER),
        ("jean-baptiste", "Jean-Baptiste Nguema Obiang", Role.FINANCE),
        ("fatou", "Fatou Ndiaye", Role.DEVELOPER),
        ("kofi", "Kofi Mensah", Role.VIEWER),
    ):
        await hire(place, email, name, role)
    await hire(place, "olga", "Olga Mvondo", Role.OWNER, "Pharmacies du Mfoundi")
    merchant = await place.company(COMPANY)
    made = await one_of_each(merchant, place.clock)
    payout = await lived_in(place, merchant)
    await merchant.renew_token()
    await merchant.live()
    await employ(place, "ines", "Inès Kamga", OperatorRole.ADMIN)
    await employ(place, "paul", "Paul Essomba", OperatorRole.SUPPORT)
    colleagues = place.house.people.staff
    await colleagues.set_operator(
        COMMAND, email=email_of("rose"), name="Rose Atangana", role=OperatorRole.SUPPORT
    )
    await employ(place, "yves", "Yves Biya", OperatorRole.ADMIN)
    await colleagues.disable(COMMAND, email_of("yves"))
    with refused(Code.WRONG_SIGN_IN):
        await place.office.sign_in("amina", "not the password", address=THERE)
    async with listening() as heard:
        await busy(place, merchant, heard)
        made["pending"] = await merchant.withdraw(amount=1_500)
        place.clock.advance(minutes=16)
        yield Shown(place, merchant, made, payout)


async def hire(place: Place, email: str, name: str, role: Role, company: str = COMPANY) -> None:
    await place.house.people.staff.create(
        COMMAND,
        company_name=company,
        email=email_of(email),
        name=name,
        role=role,
        password=PASSWORD,
    )


async def employ(place: Place, email: str, name: str, role: OperatorRole) -> None:
    """One of the staff, with a second factor."""
    await place.house.people.staff.set_operator(
        COMMAND, email=email_of(email), name=name, role=role, password=PASSWORD
    )
    await place.office.set_up(await place.office.session(email))


async def camera(album: Album, new_page: NewPage, place: Place, kind: Kind) -> Camera:
    language, device, scheme = kind
    viewport = DESK if device == "desk" else PHONE
    page = await new_page(locale=f"{language}-CM", color_scheme=scheme, viewport=viewport)
    page.set_default_timeout(8_000)
    return Camera(album, page, place, kind)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
async def test_the_door(album: Album, new_page: NewPage, shown: Shown, kind: Kind) -> None:
    place = shown.place
    people, number = place.house.people, KINDS.index(kind)
    at = await camera(album, new_page, place, kind)
    await at.at("door-sign-in", "sign-in")
    await at.sends("door-refused", "main form button", email="amina@example.com", password="no")
    await at.at("door-nothing-here", "nowhere")
    link = await people.staff.password_link(COMMAND, email_of("kofi"))
    token = link.url.rpartition("/")[2]
    await at.at("door-password", f"password/{token}")
    await at.sends("door-password-weak", "main form button", password="kofi kofi kofi")
    await at.at("door-link-over", "password/kppwd_nothing")
    company_id = await place.office.company("Pharmacies du Mfoundi")
    olga = await place.office.session("olga")
    invited = await people.members.invite(
        olga, company_id, f"new-{number}@example.com", Role.FINANCE
    )
    token = invited.url.rpartition("/")[2]
    await at.at("door-invitation", f"invitation/{token}")
    known = await people.members.invite(olga, company_id, email_of("fatou"), Role.VIEWER)
    await at.at("door-invitation-known", f"invitation/{known.url.rpartition('/')[2]}")
    await place.sign_in(at.page, "kofi")
    await at.at("door-invitation-not-yours", f"invitation/{token}")
    await at.page.goto(f"{place.url}/dashboard/account")
    csrf = await at.page.locator(".who [name=csrf]").get_attribute("value")
    async with at.page.expect_navigation():
        await at.page.evaluate(_SEND, [f"/dashboard/invitation/{token}/accept", csrf])
    await at.take("door-not-yours")
    await at.page.context.clear_cookies()
    await at.page.goto(f"{place.url}/dashboard/sign-in")
    await at.sends("door-code", "main form button", email=email_of("paul"), password=PASSWORD)
    await at.sends("door-code-wrong", "main form button:not(.plain)", code="000000")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
async def test_a_company(album: Album, new_page: NewPage, shown: Shown, kind: Kind) -> None:
    place, merchant, made = shown.place, shown.merchant, shown.made
    company = company_address(merchant.new.application.company.id).removeprefix("/dashboard/")
    members = await place.house.people.staff.of_company(merchant.new.application.company.id)
    fatou = next(each.person.id for each in members if each.person.email == email_of("fatou"))
    at = await camera(album, new_page, place, kind)
    await place.sign_in(at.page, "amina")
    await at.all(
        "company",
        {
            "applications": "applications",
            "wallets": book(merchant, "wallets"),
            "wallets-in-kes": f"{book(merchant, 'wallets')}?in=KES&days=90",
            "wallets-live": book(merchant, "wallets", "live"),
            "transactions": book(merchant, "transactions"),
            "transactions-none": f"{book(merchant, 'transactions')}?q=nothing",
            "webhooks": book(merchant, "webhooks"),
            "settings": book(merchant, "settings"),
            "settings-ask": f"{book(merchant, 'settings')}?ask=keys",
            "settings-live": book(merchant, "settings", "live"),
            "people": f"{company}/people",
            "people-open": f"{company}/people?member={fatou}",
            "people-link": f"{company}/people?member={fatou}&ask=link",
            "people-remove": f"{company}/people?member={fatou}&ask=remove",
            "audit": f"{company}/audit",
            "account": "account",
            "account-needed": "account?needed=second-factor&ask=set-up",
        },
    )
    for name in ("payment", "transfer", "payout", "refund", "refused"):
        await at.at(f"company-one-{name}", book(merchant, f"transactions/{made[name]['id']}"))
    await at.at("company-one-payout-abroad", book(merchant, f"transactions/{shown.payout}"))
    pending, paid = (
        book(merchant, f"transactions/{made[each]['id']}") for each in ("pending", "payment")
    )
    await at.at("company-one-cancel", f"{pending}?ask=cancel")
    await at.at("company-one-give-back", f"{paid}?ask=refund")
    await moves(at, merchant)
    await at.page.goto(f"{place.url}/dashboard/{book(merchant, 'webhooks')}")
    await at.page.locator(".wh-list .of-link").first.click()
    await at.take("company-delivery")
    await at.page.goto(f"{place.url}/dashboard/{book(merchant, 'webhooks')}")
    await at.sends("company-webhooks-again", "#replay button")
    await at.page.goto(f"{place.url}/dashboard/{book(merchant, 'settings')}")
    await at.sends(
        "company-settings-wrong", "form:has(#url-payouts) button", **{"url-payouts": "ftp://x"}
    )
    await at.page.goto(f"{place.url}/dashboard/{book(merchant, 'settings')}?ask=keys")
    await at.sends("company-settings-pair", "#keys button.danger")


async def moves(at: Camera, merchant: Merchant) -> None:
    """The forms that move money: filled, looked over, and wrong."""
    for way, fields in (
        ("transfer", {"amount": "25000"}),
        ("payout", {"phone": "237653456789", "amount": "25000"}),
    ):
        here = f"{at.place.url}/dashboard/{book(merchant, f'move/{way}')}"
        await at.page.goto(here)
        await at.take(f"company-move-{way}-empty")
        for each, value in fields.items():
            await at.page.locator(f"#{each}").fill(value)
        await expect(at.page.locator("#comes-to .sum")).not_to_have_text("–")
        await at.take(f"company-move-{way}")
        await at.sends(f"company-move-{way}-sure", ".moving .end button")
        await at.page.goto(here)
        wrong = dict.fromkeys(fields, "1")
        await at.sends(f"company-move-{way}-wrong", ".moving .end button", **wrong)


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
async def test_a_second_factor(album: Album, new_page: NewPage, shown: Shown, kind: Kind) -> None:
    """Each picture of a new one needs somebody who has none."""
    place, email = shown.place, f"nadia-{'-'.join(kind)}"
    await hire(place, email, "Nadia Ba", Role.FINANCE, "Pharmacies du Mfoundi")
    at = await camera(album, new_page, place, kind)
    await place.sign_in(at.page, email)
    await at.at("factor-applications-none", "applications")
    await at.page.goto(f"{place.url}/dashboard/account?ask=set-up")
    await at.sends("factor-password-wrong", "#second-factor form button", factor="no")
    await at.sends("factor-set-up", "#second-factor form button", factor=PASSWORD)
    secret = await at.page.locator(".copy code").inner_text()
    await at.sends("factor-code-wrong", "main form button", code="12345")
    code = pyotp.TOTP(secret).at(place.clock.now())
    await at.sends("factor-recovery-codes", "main form button", code=code)
    await at.at("factor-account", "account")


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
async def test_the_back_office(album: Album, new_page: NewPage, shown: Shown, kind: Kind) -> None:
    place, application = shown.place, shown.merchant.new.application
    company = f"{OFFICE}/companies/{application.company.id}"
    members = await place.house.people.staff.of_company(application.company.id)
    person = members[0].person.id
    at = await camera(album, new_page, place, kind)
    await place.sign_in(at.page, "ines")
    await at.all(
        "office",
        {
            "overview": f"{OFFICE}/overview?environment=test",
            "contradictions-none": f"{OFFICE}/contradictions",
            "breaks-none": f"{OFFICE}/reconciliation",
            "floats-none": f"{OFFICE}/reconciliation/floats",
            "companies": f"{OFFICE}/companies",
            "company": company,
            "company-decide": f"{company}?ask=decide",
            "company-person": f"{company}?person={person}",
            "company-disable": f"{company}?person={person}&ask=disable",
            "application": f"{OFFICE}/applications/{application.id}",
            "rails": f"{OFFICE}/rails",
            "audit": f"{OFFICE}/audit",
            "account": "account",
        },
    )
    await at.page.goto(f"{place.url}/dashboard/{OFFICE}/applications/{application.id}")
    await at.sends("office-application-wrong", "#terms button", payment_fee_bps="many")
    await at.sends("office-application-sure", "#terms button", payment_fee_bps="300")
    await staff(at)


async def staff(at: Camera) -> None:
    """Those who work for the operator, and what an admin does about one of them."""
    place = at.place
    everybody = await place.house.people.staff.everybody()
    ids = {each.person.email.partition("@")[0]: each.person.id for each in everybody}
    here = f"{OFFICE}/staff"
    # Long enough after the code that it is asked for once more.
    place.clock.advance(seconds=int(CODE_FRESH.total_seconds()))
    await at.all(
        "office-staff",
        {
            "list": here,
            "role": f"{here}?person={ids['paul']}",
            "link": f"{here}?person={ids['paul']}&ask=link",
            "sessions": f"{here}?person={ids['paul']}&ask=sessions",
            "close": f"{here}?person={ids['paul']}&ask=disable",
            "closed": f"{here}?person={ids['yves']}",
            "invited": f"{here}?person={ids['rose']}&ask=link",
        },
    )
    await at.sends("office-staff-wrong-code", ".panel form button", **{"code-link": "000000"})
    await at.sends(
        "office-staff-link", ".panel form button", **{"code-link": place.office.code(ids["ines"])}
    )


@pytest.mark.parametrize("kind", KINDS, ids="-".join)
async def test_what_waits(album: Album, new_page: NewPage, waiting: Place, kind: Kind) -> None:
    one = (await waiting.house.contradictions.list())[0]
    breaks = await waiting.house.breaks.list()
    of_operation = next(each for each in breaks if each.type is not None)
    of_nobody = next(each for each in breaks if each.type is None)
    key = f"{one.operation_id}.{one.what}.{one.reference}"
    at = await camera(album, new_page, waiting, kind)
    await waiting.sign_in(at.page, "ines")
    await at.all(
        "waiting",
        {
            "overview": f"{OFFICE}/overview",
            "contradictions": f"{OFFICE}/contradictions",
            "contradiction": f"{OFFICE}/contradictions/{one.operation_id}",
            "contradiction-settle": f"{OFFICE}/contradictions/{one.operation_id}?ask={key}",
            "breaks": f"{OFFICE}/reconciliation",
            "break": f"{OFFICE}/reconciliation/breaks/{of_operation.id}",
            "break-close": f"{OFFICE}/reconciliation/breaks/{of_nobody.id}?ask=close",
            "floats": f"{OFFICE}/reconciliation/floats",
        },
    )


async def test_the_readme(album: Album, new_page: NewPage, shown: Shown) -> None:
    """What stands in docs/images: a window each, not a whole page."""
    place, merchant = shown.place, shown.merchant
    for name, path, kind in (
        ("wallets", "wallets", {"viewport": {"width": 1200, "height": 1130}}),
        (
            "payout",
            f"transactions/{shown.payout}",
            {"viewport": {"width": 1200, "height": 820}},
        ),
        (
            "phone",
            "wallets",
            {
                "viewport": {"width": 360, "height": 800},
                "device_scale_factor": 1.5,
                "locale": "fr-CM",
                "color_scheme": "dark",
            },
        ),
    ):
        page = await new_page(**kind)
        await place.sign_in(page, "amina")
        await page.goto(f"{place.url}/dashboard/{book(merchant, path)}")
        await page.screenshot(path=album.folder / f"readme-dashboard-{name}.png")


async def test_every_page_was_seen(album: Album, chromium: Chromium, place: Place) -> None:
    await contact_sheets(album, chromium)
    assert album.too_wide == []
    assert album.missing(list(place.house.dashboard().pages)) == []


async def contact_sheets(album: Album, chromium: Chromium) -> None:
    """All pictures of one kind on a few sheets, for who looks them over."""
    sheets = album.folder / "sheets"
    sheets.mkdir(exist_ok=True)
    page = await chromium.new_page(viewport={"width": 1800, "height": 1000})
    for kind in KINDS:
        pictures = sorted(album.folder.glob(f"*.{'.'.join(kind)}.png"))
        across, each = (4, 12) if kind[1] == "desk" else (8, 24)
        for number in range(0, len(pictures), each):
            figures = "".join(
                f'<figure><img src="{path.resolve().as_uri()}"><figcaption>'
                f"{path.name.partition('.')[0]}</figcaption></figure>"
                for path in pictures[number : number + each]
            )
            sheet = sheets / f"{'-'.join(kind)}-{number // each + 1:02}.html"
            sheet.write_text(
                "<!doctype html><meta charset=utf-8><style>body{margin:8px;display:grid;gap:8px;"
                f"grid-template-columns:repeat({across},1fr);font:14px sans-serif}}"
                "figure{margin:0;border:1px solid #888;align-self:start}img{width:100%}"
                f"</style>{figures}"
            )
            await page.goto(sheet.resolve().as_uri())
            await page.screenshot(path=sheet.with_suffix(".png"), full_page=True)
            sheet.unlink()
    await page.close()
