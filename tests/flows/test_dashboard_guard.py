"""Every page of the dashboard, from its own table: who may not come is not let in, whatever it is.

A page that is declared tomorrow is tried here tomorrow.
"""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from kpay.access.model import Application
from kpay.app import House
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.ids import public_id
from kpay.dashboard.page import Page, Reach
from kpay.people.model import OPERATOR_RIGHTS, RIGHTS, OperatorRight, OperatorRole, Role
from kpay.transactions.news import News
from kpay.web.api import Api
from tests.client import Browser
from tests.people import PASSWORD, Office, people_of
from tests.visitors import Visitor, words

# A delivery that can be named without being looked for: its id is its application's.
A_DELIVERY = """
    insert into deliveries (
        application_id, environment, id, topic, type, operation_id, resource_id, due_at, asked_at,
        created_at
    )
    values ($1, 'TEST', $1, 'generic', 'webhook.test', $1, $1, $2, $2, $2)
"""

# What waits for the operator: the ids of the operation and of the break are their application's.
A_CONTRADICTION = """
    with instructed as (
        insert into instructions (
            application_id, environment, id, type, reference, provider, phone_number, currency,
            amount, status, next_action, ended_at
        )
        values (
            $1, 'TEST', $1, 'PAYOUT', $1, 'MTN_MOMO_CMR', '1', 'XAF', 100, 'CANCELLED', 'submit', $2
        )
        returning application_id, environment, id, reference
    )
    insert into contradictions (
        application_id, environment, instruction_id, what, reference, connector, evidence, found_at
    )
    select application_id, environment, id, 'paid_after_cancelled', reference, 'a rail', '{}', $2
    from instructed
"""
A_BREAK = """
    insert into breaks (
        environment, connector, country, currency, provider, key, id, kind, state, theirs, ours,
        found_on, found_at, judged_on
    )
    values (
        'TEST', 'a rail', 'CMR', 'XAF', '', $1::text, $1::text::uuid, 'missing_here', 'open', 100,
        0, ($2::timestamptz)::date, $2, ($2::timestamptz)::date
    )
"""

# A request for approval that can be named without being looked for: its id is its application's.
AN_APPROVAL = """
    insert into approvals (
        application_id, environment, id, kind, currency, amount, asked, shown, asked_by, asked_at,
        ends_at
    )
    select $1::uuid, 'TEST'::environment, $1, 'transfer', 'XAF', 100, '{"from": "CMR"}',
        '{"source": "CMR", "destination": "GAB", "amount": {"minor": 100, "currency": "XAF"}}',
        id, $2::timestamptz, $2::timestamptz + interval '72 hours'
    from people
    limit 1
"""

DOOR, CODE = "/dashboard/sign-in", "/dashboard/code"


# A transaction that can be named without being looked for: its id is its application's.
A_TRANSFER = """
    insert into transfers (
        application_id, environment, id, destination_id, suffix, source_country, source_currency,
        source_amount, destination_country, destination_currency, destination_amount, rate,
        rate_source, rate_as_of, rate_margin_bps, created_at
    )
    values (
        $1, 'TEST', $1, gen_random_uuid(), 'ABC123', 'CMR', 'XAF', 100, 'GAB', 'XAF', 100, 1,
        'fixed', $2, 0, $2
    )
"""


@pytest.fixture
async def office(house: House, clock: ManualClock) -> Office:
    house.people = people_of(house)
    # Who asks for news is told at once that there are no more.
    house.news = News(house.database, life=0)
    made = Office(house, house.people, clock)
    await made.hire("awa")
    return made


@pytest.fixture
def api(house: House, office: Office) -> Api:
    return house.asgi()


@pytest.fixture
async def shop(house: House, office: Office) -> Application:
    """An application of Acme's, whose owner is Awa."""
    application = (await house.office.create_application("Acme", "shop")).application
    await house.database.execute(A_TRANSFER, application.id, house.clock.now())
    await house.database.execute(A_DELIVERY, application.id, house.clock.now())
    await house.database.execute(A_CONTRADICTION, application.id, house.clock.now())
    await house.database.execute(A_BREAK, str(application.id), house.clock.now())
    await house.database.execute(AN_APPROVAL, application.id, house.clock.now())
    return application


def pages(house: House, *reaches: Reach) -> list[Page]:
    """Those that can be come to so; without any, all that are not for everybody."""
    wanted = reaches or tuple(reach for reach in Reach if reach is not Reach.ANYBODY)
    return [page for page in house.dashboard().pages if page.reach in wanted]


def address(page: Page, application: Application) -> str:
    """The page's address for an application of Acme's; what else it names is made up."""
    known = {
        "application": str(application.id),
        "company": str(application.company.id),
        "environment": "test",
        "topic": "generic",
        "transaction": str(application.id),
        "delivery": public_id("evt", application.id),
        "operation": str(application.id),
        "break": str(application.id),
        "approval": str(application.id),
    }
    return re.sub(r"\{(\w+)\}", lambda found: known.get(found[1], str(UUID(int=7))), page.path)


async def ask(visitor: Visitor, page: Page, path: str) -> tuple[int, str]:
    """The status, and where the answer leads to."""
    answer = await (visitor.get(path) if page.method == "GET" else visitor.post(path))
    return answer.status, answer.headers.get("location", "").partition("?")[0]


async def test_who_is_not_signed_in_is_led_to_the_door(
    house: House, api: Api, shop: Application
) -> None:
    for token in (None, "", "kpses_of_nobody", "\u00e9"):
        stranger = Visitor(Browser(api), token)
        for page in pages(house):
            assert await ask(stranger, page, address(page, shop)) == (303, DOOR), page.path


async def test_who_still_owes_the_code_gets_no_further_than_that(
    house: House, office: Office, api: Api, shop: Application
) -> None:
    await office.set_up(await office.session("awa"))
    awa = await Visitor.signed_in(api, office, "awa")
    for page in pages(house, Reach.PERSON, Reach.COMPANY, Reach.BOOK, Reach.OPERATOR):
        assert await ask(awa, page, address(page, shop)) == (303, CODE), page.path


async def test_a_place_of_another_company_is_as_one_that_is_not_there(
    house: House, office: Office, api: Api, shop: Application
) -> None:
    await office.hire("eve", company="Rival")
    eve = await Visitor.signed_in(api, office, "eve")
    for page in pages(house, Reach.COMPANY, Reach.BOOK, Reach.OPERATOR):
        assert (await ask(eve, page, address(page, shop)))[0] == 404, page.path


async def test_a_role_comes_to_what_it_has_a_right_to_and_nowhere_else(
    house: House, office: Office, api: Api, shop: Application
) -> None:
    for role in Role:
        name = role.lower()
        await office.hire(name, role)
        visitor = await Visitor.signed_in(api, office, name)
        for page in pages(house, Reach.COMPANY, Reach.BOOK):
            if page.method == "GET":
                status, _ = await ask(visitor, page, address(page, shop))
                allowed = page.right is None or page.right in RIGHTS[role]
                assert (status == 404) is not allowed, (role, page.path)
            elif page.right is not None and page.right not in RIGHTS[role]:
                assert (await ask(visitor, page, address(page, shop)))[0] == 404, (role, page.path)


async def test_the_back_office_is_for_the_operators_staff_and_each_sees_what_his_role_allows(
    house: House, office: Office, api: Api, shop: Application
) -> None:
    nowhere = await (await Visitor.signed_in(api, office, "awa")).get("/dashboard/office/nowhere")
    for role in OperatorRole:
        await office.employ(role.lower(), role)
    for page in pages(house, Reach.OPERATOR):
        path = address(page, shop)
        for name in ("awa", *OperatorRole):
            visitor = await Visitor.signed_in(api, office, name.lower())
            rights = frozenset() if name == "awa" else OPERATOR_RIGHTS[OperatorRole(name)]
            allowed = page.right in rights
            if page.method == "GET":
                answer = await visitor.get(path)
                assert (answer.status == 404) is not allowed, (name, page.path)
                if not allowed:
                    # Word for word as of a page that is not there, but for what was asked for.
                    assert (
                        words(answer).split("name this request:")[0]
                        == (words(nowhere).split("name this request:")[0])
                    )
            elif not allowed:
                assert (await visitor.post(path)).status == 404, (name, page.path)


async def test_every_page_of_the_back_office_names_one_of_the_operators_rights(
    house: House,
) -> None:
    for page in house.dashboard().pages:
        ours = page.reach is Reach.OPERATOR
        assert isinstance(page.right, OperatorRight) is ours, page.path
        assert not ours or page.method == "GET" or page.right is not OperatorRight.VIEW, page.path


async def test_staff_without_a_second_factor_change_nothing(
    house: House, office: Office, api: Api, shop: Application
) -> None:
    await office.employ("ada", OperatorRole.ADMIN)
    ada = await Visitor.signed_in(api, office, "ada")
    before = await office.log()
    for page in pages(house, Reach.OPERATOR):
        if page.method != "POST":
            continue
        path = re.sub("/people/[^/]+", f"/people/{await a_person(house)}", address(page, shop))
        answer = await ada.post(
            path,
            reason="because",
            note="because",
            meant=f"{shop.id}.paid_after_cancelled.{shop.id}",
            sure="yes",
            which="all",
            payment_fee_bps="1",
            operation="PAYOUT",
            currency="XAF",
            least="1",
            most="2",
        )
        where = answer.headers.get("location", "")
        assert (answer.status, where) == (
            303,
            "/dashboard/account?needed=second-factor#second-factor",
        ), page.path
    assert await office.log() == before


async def a_person(house: House) -> UUID:
    found: UUID = await house.database.fetchval("select person_id from memberships limit 1")
    return found


async def test_a_form_that_was_not_sent_from_here_does_nothing(
    house: House, office: Office, api: Api, shop: Application
) -> None:
    await office.employ("ada", OperatorRole.ADMIN)
    awa = await Visitor.signed_in(api, office, "awa")
    ada = await Visitor.signed_in(api, office, "ada")
    before = await house.office.keys(shop.id)
    forms = [page for page in house.dashboard().pages if page.method == "POST"]
    for page in forms:
        path = address(page, shop)
        visitor, name = (ada, "ada") if page.reach is Reach.OPERATOR else (awa, "awa")
        for site in ("cross-site", "same-site", "none"):
            answer = await visitor.post(path, site=site)
            assert answer.status in (403, 303), page.path
            # Who has a whole session is led past the page for half ones before anything is read.
            assert answer.status == 403 or page.reach is Reach.HALF, page.path
        if page.reach is Reach.ANYBODY:
            continue
        for token in ("", "kpses_of_nobody", (await office.session(name)).csrf_token):
            stolen = await visitor.post(path, csrf=token)
            assert stolen.status == 403 or page.reach is Reach.HALF, page.path
    assert await house.office.keys(shop.id) == before
    assert await house.people.session(awa.token or "") is not None


async def test_an_old_browser_that_names_its_origin_is_believed_and_no_other(
    office: Office, api: Api
) -> None:
    browser = Browser(api, {"Host": "pay.example.com"})

    async def sign_in(**headers: str) -> int:
        answer = await browser.send(
            "POST",
            DOOR,
            raw=f"email=awa%40example.com&password={PASSWORD}".encode(),
            headers=headers,
        )
        return answer.status

    assert await sign_in(Origin="https://evil.example.com") == 403
    assert await sign_in(Origin="null") == 403
    assert await sign_in() == 403
    assert await sign_in(Origin="https://pay.example.com") == 303


async def test_after_the_door_nobody_is_sent_to_another_site(office: Office, api: Api) -> None:
    visitor = Visitor(Browser(api))
    for back in (
        "https://evil.example.com/dashboard/",
        "//evil.example.com",
        "/api/v1",
        "\\\\evil",
        "",
        "/dashboard/\r\nSet-Cookie: a=b",
        "javascript:alert(1)",
    ):
        answer = await visitor.post(DOOR, email="awa@example.com", password=PASSWORD, next=back)
        assert (answer.status, answer.headers["location"]) == (303, "/dashboard/applications")


async def test_a_new_key_pair_is_shown_once_and_the_old_one_ends(
    house: House, office: Office, api: Api, shop: Application
) -> None:
    awa = await Visitor.signed_in(api, office, "awa")
    old = await house.office.keys(shop.id)
    settings = f"/dashboard/app/{shop.id}/test/settings"
    instead = old[Environment.TEST].api_key
    answer = await awa.post(f"{settings}/keys", instead=instead)
    new = await house.office.keys(shop.id)
    assert old != new
    found = re.search(r"sk_test_\w+", words(answer))
    assert found is not None
    principal = await house.gate.by_keys(next(iter(new.values())).api_key, found[0])
    assert principal.book.application_id == shop.id
    assert "sk_test_" not in words(await awa.get(settings))
    assert (await awa.get(f"{settings}/keys")).headers["location"] == settings
    # The page that showed it is reloaded: the same form once more ends no pair that was just kept.
    again = await awa.post(f"{settings}/keys", instead=instead)
    assert (again.status, "sk_test_" in words(again)) == (409, False)
    assert "a pair was made meanwhile" in words(again)
    assert await house.office.keys(shop.id) == new


async def test_an_owner_without_a_second_factor_changes_nothing_that_is_live(
    house: House, office: Office, api: Api, shop: Application
) -> None:
    await house.office.approve_company("Acme")
    await house.office.regenerate_keys(shop.id, Environment.PRODUCTION)
    awa = await Visitor.signed_in(api, office, "awa")
    before = await house.office.keys(shop.id)
    for deed in ("keys", "secret", "webhooks/generic"):
        answer = await awa.post(f"/dashboard/app/{shop.id}/live/settings/{deed}", url="")
        assert answer.status == 303
        assert answer.headers["location"].startswith("/dashboard/account?needed=second-factor")
    assert await house.office.keys(shop.id) == before
