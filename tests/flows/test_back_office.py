"""The operator's back office: what its staff see of every company, and what they change."""

from __future__ import annotations

import asyncio
import re
from uuid import UUID

import pytest

from kpay.access import store
from kpay.access.flow import AccessError
from kpay.access.model import KeyPair
from kpay.app import House
from kpay.audit.model import Action
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code
from kpay.people.model import OperatorRole, Role
from kpay.web.api import Api
from tests.client import Answer, Merchant
from tests.flows.test_faults import until_somebody_waits_for_a_lock
from tests.people import PASSWORD, THERE, Office, email_of, people_of, refused
from tests.visitors import Visitor, words

BASE = "/dashboard/office"
# Of the sandbox in Cameroon: it is accepted and never ends.
OPEN = "237653456129"


@pytest.fixture
async def office(house: House, clock: ManualClock) -> Office:
    house.people = people_of(house)
    return Office(house, house.people, clock)


@pytest.fixture
def api(house: House, office: Office) -> Api:
    return house.asgi()


@pytest.fixture
async def shop(house: House, office: Office, api: Api) -> Merchant:
    """An application of Acme's, whose owner is Awa."""
    await office.hire("awa")
    return await Merchant.join(house, api=api)


@pytest.fixture
async def ada(office: Office, api: Api) -> Visitor:
    """The operator's admin, who has given a code."""
    await office.employ("ada", OperatorRole.ADMIN)
    await office.set_up(await office.session("ada"))
    return await proved(office, api, "ada")


async def proved(office: Office, api: Api, name: str) -> Visitor:
    """A person with a second factor, who has given password and code."""
    visitor = await Visitor.signed_in(api, office, name)
    person_id = (await office.of(visitor.token or "")).person.id
    token = (await office.people.give_code(visitor.token or "", office.code(person_id))).token
    visitor.token, visitor.csrf = token, (await office.of(token)).csrf_token
    return visitor


def company_of(shop: Merchant) -> str:
    return f"{BASE}/companies/{shop.new.application.company.id}"


async def live_keys(shop: Merchant) -> KeyPair:
    office = shop.house.office
    return await office.regenerate_keys(shop.new.application.id, Environment.PRODUCTION)


def place(shop: Merchant) -> str:
    return f"{BASE}/applications/{shop.application_id}"


def hidden(answer: Answer) -> dict[str, str]:
    """The fields that a page keeps for the form it shows once more."""
    form = answer.raw.decode().partition('name="sure"')[2].partition("</form>")[0]
    return dict(re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)">', form))


def location(answer: Answer) -> str:
    assert answer.status == 303, words(answer)
    return answer.headers["location"]


async def test_staff_come_to_the_overview_and_merchants_to_their_applications(
    office: Office, api: Api, ada: Visitor, shop: Merchant
) -> None:
    assert location(await ada.get("/dashboard/applications")) == f"{BASE}/overview"
    assert location(await ada.get(BASE)) == f"{BASE}/overview"
    assert "My applications" not in words(await ada.get(f"{BASE}/overview"))
    awa = await Visitor.signed_in(api, office, "awa")
    page = words(await awa.get("/dashboard/applications"))
    assert "My applications" in page
    assert "Back office" not in page


async def test_a_company_is_found_by_a_part_of_its_name_an_id_or_a_persons_email(
    house: House, office: Office, ada: Visitor, shop: Merchant
) -> None:
    await office.hire("bola", company="Boutique Bola")
    await house.office.approve_company("Boutique Bola")

    async def found(**query: str) -> list[str]:
        page = (await ada.get(f"{BASE}/companies", **query)).raw.decode()
        return re.findall(r'class="of-link" href="[^"]+">([^<]+)<', page)

    company = shop.new.application.company
    assert await found() == ["Acme", "Boutique Bola"]
    assert await found(q="BOUT") == ["Boutique Bola"]
    assert await found(q=str(company.id)) == ["Acme"]
    assert await found(q=shop.application_id) == ["Acme"]
    assert await found(q="Bola@Example.com") == ["Boutique Bola"]
    assert await found(q="nobody@example.com") == []
    # What means something to a pattern means itself here.
    assert await found(q="%") == []
    assert await found(state="live") == ["Boutique Bola"]
    assert await found(state="test") == ["Acme"]
    assert await found(state="x", after="Acme") == ["Boutique Bola"]


async def test_the_list_of_companies_goes_on_where_the_page_before_ended(
    house: House, ada: Visitor
) -> None:
    for number in range(60):
        await house.office.create_application(f"Company {number:02d} & sons", "shop")
    first = await ada.get(f"{BASE}/companies", q="sons")
    assert words(first).count("Test only") == 50 + 1
    after = re.search(r'href="([^"]+after=[^"]+)"', first.raw.decode())
    assert after is not None
    path, _, query = after[1].replace("&amp;", "&").partition("?")
    kept = dict(pair.split("=") for pair in query.split("&"))
    assert kept == {"q": "sons", "after": "Company+49+%26+sons"}
    second = await ada.get(path, q="sons", after="Company 49 & sons")
    assert "Company 50 & sons" in words(second)
    assert "Company 49 & sons" not in words(second)
    assert "Next" not in words(second).split("From the beginning")[1][:10]


async def test_a_company_is_approved_and_its_approval_withdrawn_with_a_reason_that_it_reads(
    house: House, office: Office, api: Api, ada: Visitor, shop: Merchant
) -> None:
    company = company_of(shop)
    nothing = await ada.post(f"{company}/approve", reason="  ")
    assert nothing.status == 422
    assert "Write why" in words(nothing)

    await ada.post(f"{company}/approve", reason="Papers of\n12 June")
    pair = await live_keys(shop)
    live = await shop.with_keys(pair)
    page = words(await ada.get(company))
    assert "Approved since 23 Jun 2026, 10:00 UTC" in page
    assert "approved 23 Jun 2026, 10:00 UTC · Ada Papers of 12 June" in page

    answer = await ada.post(f"{company}/withdraw", reason="Complaints")
    assert location(answer) == f"{company}?done=withdrawn#main"
    assert (await live.keys.send("GET", "/api/v1/payments/balance")).status == 401
    assert (await live.token.send("GET", "/api/wallets/overview")).status == 401
    assert (await shop.keys.send("GET", "/api/v1/payments/balance")).status == 200
    with pytest.raises(AccessError, match="is not approved"):
        await live_keys(shop)

    entries = await office.log(company_id=UUID(company.rpartition("/")[2]))
    of_the_company = [entry for entry in entries if entry.subject.kind == "company"]
    assert [(entry.action, entry.details) for entry in of_the_company[:2]] == [
        (Action.APPROVAL_WITHDRAWN, {"reason": "Complaints", "keysEnded": 1}),
        (Action.COMPANY_APPROVED, {"reason": "Papers of 12 June"}),
    ]
    # Its owners read what was done and why, and that it was the operator, and no name.
    awa = await Visitor.signed_in(api, office, "awa")
    log = await awa.get(f"/dashboard/company/{company.rpartition('/')[2]}/audit")
    assert (
        "KPay’s operator withdrew the company’s approval for live (pairs of live keys ended: 1): "
        "Complaints" in words(log)
    )
    assert "Ada" not in words(log)


async def test_no_live_key_is_made_while_the_approval_is_being_withdrawn(
    house: House, shop: Merchant
) -> None:
    await house.office.approve_company("Acme")
    async with house.database.transaction() as connection:
        await store.withdraw_approval(connection, "Acme", house.clock.now())
        making = asyncio.create_task(live_keys(shop))
        await until_somebody_waits_for_a_lock(house)

    with pytest.raises(AccessError, match="is not approved for live keys"):
        await making
    assert Environment.PRODUCTION not in await house.office.keys(shop.new.application.id)


async def test_approving_twice_keeps_the_first_time_and_is_no_second_decision(
    office: Office, ada: Visitor, shop: Merchant, clock: ManualClock
) -> None:
    company = company_of(shop)
    await ada.post(f"{company}/approve", reason="Papers")
    clock.advance(minutes=5)
    await ada.post(f"{company}/approve", reason="Again")
    assert len(await office.log(action=Action.COMPANY_APPROVED)) == 1
    assert "Approved since 23 Jun 2026, 10:00 UTC" in words(await ada.get(company))


async def test_a_company_that_is_named_as_another_s_id_is_not_approved_for_it(
    house: House, ada: Visitor, shop: Merchant
) -> None:
    company = shop.new.application.company
    await house.office.create_application(str(company.id), "shop")
    await ada.post(f"{company_of(shop)}/approve", reason="Papers")
    rows = await house.database.fetch("select name from companies where approved_at is not null")
    assert [row["name"] for row in rows] == [company.name]


async def test_terms_are_looked_over_before_they_change_and_what_was_not_seen_stays(
    house: House, office: Office, ada: Visitor, shop: Merchant
) -> None:
    seen = await ada.post(
        f"{place(shop)}/terms", payment_fee_bps="250", payout_fee_bps="500", rate_limit=""
    )
    assert "Fee on payments before: 5 % → afterwards: 2.5 %" in words(seen)
    assert "Fee on payouts" not in words(seen)
    application = await house.office.application(shop.new.application.id)
    assert application.terms.payment_fee_bps == 500

    # Meanwhile somebody else changes what this form said nothing of.
    await house.office.configure(application.id, payout_fee_bps=100)
    answer = await ada.post(f"{place(shop)}/terms", sure="yes", **hidden(seen))
    assert location(answer) == f"{place(shop)}?done=changed#main"
    terms = (await house.office.application(application.id)).terms
    assert (terms.payment_fee_bps, terms.payout_fee_bps) == (250, 100)
    assert (await shop.collect(10_000))["feeAmount"] == 250
    entry = (await office.log(action=Action.TERMS_CHANGED))[0]
    assert entry.person_name == "Ada"
    assert entry.details == {
        "application": "shop",
        "paymentFeeBps": 250,
        "paymentFeeBpsBefore": 500,
    }


@pytest.mark.parametrize(
    "fields",
    [
        {"payment_fee_bps": "10000"},
        {"payment_fee_bps": "-1"},
        {"payout_fee_bps": ""},
        {"payout_fee_bps": "2,5"},
        {"rate_limit": "1000000001"},
        {"rate_limit": "many"},
    ],
)
async def test_a_fee_or_a_rate_that_can_be_none_is_told_beside_its_field(
    ada: Visitor, shop: Merchant, office: Office, fields: dict[str, str]
) -> None:
    answer = await ada.post(f"{place(shop)}/terms", sure="yes", **fields)
    (name,) = fields
    assert answer.status == 422
    assert f'id="error-{name}"' in answer.raw.decode()
    assert await office.log(action=Action.TERMS_CHANGED) == []


async def test_a_rate_is_set_lifted_and_left_to_the_installation_again(
    house: House, ada: Visitor, shop: Merchant
) -> None:
    for typed, rate in (("120", 120), ("0", 0), ("", None)):
        await ada.post(f"{place(shop)}/terms", sure="yes", rate_limit=typed)
        terms = (await house.office.application(shop.new.application.id)).terms
        assert terms.rate_limit == rate
    same = await ada.post(f"{place(shop)}/terms", rate_limit="")
    assert location(same) == f"{place(shop)}?done=same#main"


async def test_operators_are_narrowed_to_those_that_are_marked(
    ada: Visitor, shop: Merchant
) -> None:
    address = f"{place(shop)}/providers"
    assert (await ada.post(address, which="some")).status == 422
    assert (await ada.post(address, which="some", **{"provider.NOBODY": "on"})).status == 422
    assert (await ada.post(address)).status == 404
    seen = await ada.post(address, which="some", **{"provider.ORANGE_CMR": "on"})
    assert "Operators before: all → afterwards: ORANGE_CMR" in words(seen)
    await ada.post(address, sure="yes", **hidden(seen))
    assert (await shop.pay())["code"] == "provider_not_allowed"
    await ada.post(address, sure="yes", which="all")
    assert (await shop.pay()).status == 201


async def test_an_application_has_its_own_limits_and_then_the_usual_ones_again(
    office: Office, ada: Visitor, shop: Merchant
) -> None:
    of = {"operation": "DEPOSIT", "currency": "XAF"}
    seen = await ada.post(f"{place(shop)}/limit", **of, least="2 000", most="5000")
    assert "Payments, XAF before: 50 XAF – 10,000,000 XAF → afterwards: 2,000 XAF – 5,000 XAF" in (
        words(seen)
    )
    await ada.post(f"{place(shop)}/limit", sure="yes", **hidden(seen))
    assert (await shop.pay(amount=1_000))["code"] == "amount_out_of_bounds"
    assert "Payments, XAF 2,000 XAF – 5,000 XAF Back to what is usual" in (
        words(await ada.get(place(shop)))
    )
    seen = await ada.post(f"{place(shop)}/usual", **of)
    assert "before: 2,000 XAF – 5,000 XAF → afterwards: 50 XAF – 10,000,000 XAF" in words(seen)
    await ada.post(f"{place(shop)}/usual", sure="yes", **hidden(seen))
    assert (await shop.pay(amount=1_000)).status == 201
    lifted, was_set = (await office.log())[:2]
    assert (lifted.action, was_set.action) == (Action.LIMITS_LIFTED, Action.LIMITS_SET)
    assert was_set.details["most"] == lifted.details["mostBefore"] == 500_000


@pytest.mark.parametrize(
    ("least", "most"), [("0", "5"), ("6", "5"), ("1.5", "5"), ("", "5"), ("1", "9" * 14)]
)
async def test_limits_that_can_be_none_are_told_and_nothing_changes(
    ada: Visitor, shop: Merchant, office: Office, least: str, most: str
) -> None:
    answer = await ada.post(
        f"{place(shop)}/limit",
        sure="yes",
        operation="PAYOUT",
        currency="XAF",
        least=least,
        most=most,
    )
    assert answer.status == 422
    assert "Write two whole amounts" in words(answer)
    assert await office.log(action=Action.LIMITS_SET) == []


async def test_a_company_s_person_is_given_a_link_shut_out_and_let_in_again(
    office: Office, api: Api, ada: Visitor, shop: Merchant
) -> None:
    omar = await office.hire("omar", Role.DEVELOPER)
    await office.set_up(await office.session("omar"))
    person = f"{company_of(shop)}/people/{omar}"
    given = await ada.post(f"{person}/link", factor="remove")
    link = re.search(r"/dashboard/password/\w+", given.raw.decode())
    assert link is not None
    assert "/dashboard/password/" not in (await ada.get(company_of(shop))).raw.decode()
    # Without the second factor, which went with the phone.
    session = await office.session("omar")
    assert session.person.factor_since is None

    token = (await office.sign_in("omar")).token
    await ada.post(f"{person}/disable")
    assert await office.ended(token)
    with refused(Code.WRONG_SIGN_IN):
        await office.sign_in("omar")
    assert location(await ada.post(f"{person}/link")).endswith("?done=closed#main")
    await ada.post(f"{person}/enable")
    assert not await office.ended((await office.sign_in("omar")).token)
    told = [(entry.action, entry.person_name) for entry in await office.log(person_id=None)]
    for action in (Action.PERSON_DISABLED, Action.PERSON_ENABLED, Action.PASSWORD_LINK_MADE):
        assert (action, "Ada") in told


async def test_nobody_is_reached_through_a_company_that_is_not_his(
    office: Office, ada: Visitor, shop: Merchant
) -> None:
    eve = await office.hire("eve", company="Rival")
    staff = await office.employ("sam", OperatorRole.SUPPORT)
    for person_id in (eve, staff):
        for deed in ("link", "disable", "enable"):
            answer = await ada.post(f"{company_of(shop)}/people/{person_id}/{deed}")
            assert answer.status == 404
    for name in ("eve", "sam"):
        assert not await office.ended((await office.sign_in(name)).token)


async def test_support_looks_and_is_shown_no_form(office: Office, api: Api, shop: Merchant) -> None:
    person = await office.hire("omar", Role.DEVELOPER)
    await office.employ("sam", OperatorRole.SUPPORT)
    sam = await Visitor.signed_in(api, office, "sam")
    company = company_of(shop)
    for path, query in (
        (company, {"ask": "decide", "person": str(person)}),
        (place(shop), {}),
    ):
        main = (await sam.get(path, **query)).raw.decode().partition("<main")[2]
        assert "<button" not in main.replace('<button type="button" class="second small" data', "")


async def test_what_waits_for_an_answer_is_shown_with_its_evidence_the_longest_first(
    house: House, ada: Visitor, shop: Merchant, clock: ManualClock
) -> None:
    first = await shop.pay(phoneNumber=OPEN, amount=7_000)
    await house.worker.run_until_idle()
    clock.advance(minutes=14)
    second = await shop.pay(phoneNumber=OPEN, amount=3_000)
    done = await shop.collect(1_000)
    overview = f"{BASE}/overview"
    assert "Nothing has waited for more than 15 minutes" in (
        words(await ada.get(overview, environment="test"))
    )
    clock.advance(minutes=1)
    assert first["id"] in words(await ada.get(overview, environment="test"))
    clock.advance(minutes=20)
    await house.worker.run_until_idle()
    page = words(await ada.get(overview, environment="test"))
    assert page.index(first["id"]) < page.index(second["id"])
    assert "35 min" in page
    assert "7,000 XAF" in page
    assert "accepted" in page
    assert done["id"] not in page
    # What waits in test is nothing that waits in live.
    assert "Nothing has waited" in words(await ada.get(overview))


async def test_paused_addresses_are_shown_with_whose_they_are(
    house: House, ada: Visitor, shop: Merchant
) -> None:
    await house.database.execute(
        """
        insert into webhook_endpoints (
            application_id, environment, topic, url, created_at, changed_at, failures,
            paused_since, pause_reason, probe_at
        )
        values ($1, 'TEST', 'payouts', 'https://shop.example.com/hook', $2, $2, 12, $2, $3, $2)
        """,
        shop.new.application.id,
        house.clock.now(),
        "It answered 503.",
    )
    page = words(await ada.get(f"{BASE}/overview"))
    assert "https://shop.example.com/hook Acme › shop · Payouts · It answered 503." in page


async def test_refused_sign_ins_are_shown_without_what_was_typed_and_forgotten_after_a_month(
    house: House, office: Office, ada: Visitor, shop: Merchant, clock: ManualClock
) -> None:
    for name, password in (("awa", "wrong password"), ("my secret typed here", PASSWORD)):
        with refused(Code.WRONG_SIGN_IN):
            await office.sign_in(name, password, address=THERE)
    half = await Visitor.signed_in(house.asgi(), office, "ada")
    with refused(Code.WRONG_CODE):
        await office.people.give_code(half.token or "", "000000", address=THERE)
    page = words(await ada.get(f"{BASE}/overview"))
    told = page.partition("Newest refusals of sign-in")[2]
    assert f"Ada {email_of('ada')} staff wrong code {THERE}" in told
    assert f"An address that is nobody’s wrong password {THERE}" in told
    assert f"Awa {email_of('awa')} wrong password {THERE}" in told
    assert "my secret" not in page

    clock.advance(days=29)
    await house.people.sweep(100)
    assert await house.database.fetchval("select count(*) from sign_in_refusals") == 3
    clock.advance(days=2)
    await house.people.sweep(100)
    assert await house.database.fetchval("select count(*) from sign_in_refusals") == 0


async def test_attempts_that_are_not_even_read_fill_no_table(
    house: House, office: Office, shop: Merchant
) -> None:
    for number in range(15):
        code = Code.WRONG_SIGN_IN if number < 10 else Code.TOO_MANY_FAILURES
        with refused(code):
            await office.sign_in("awa", "wrong password")
    assert await house.database.fetchval("select count(*) from sign_in_refusals") == 10


async def test_operators_are_shown_as_they_are_routed(ada: Visitor) -> None:
    page = words(await ada.get(f"{BASE}/rails"))
    assert "MTN MTN_MOMO_CMR closed open by sandbox" in page
    assert "suspended closed closed" in page
    assert "sandbox only closed open by sandbox" in page


async def test_nothing_there_is_told_as_any_page_that_is_not_there(
    ada: Visitor, shop: Merchant
) -> None:
    for path in (
        f"{BASE}/companies/{UUID(int=7)}",
        f"{BASE}/companies/acme",
        f"{BASE}/applications/{UUID(int=7)}",
        f"{BASE}/applications/{shop.new.application.company.id}",
    ):
        assert (await ada.get(path)).status == 404
        for form in ("approve", "terms", "limit"):
            assert (await ada.post(f"{path}/{form}", reason="x", rate_limit="1")).status == 404
