"""What waits for a person in the back office: contradictions of rails, breaks of reconciliation."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from kpay.app import House
from kpay.audit.model import Action
from kpay.catalogue.model import OperationType
from kpay.connectors.model import Instruction, Outcome, Refused
from kpay.connectors.wire import NoAnswer
from kpay.contradictions.model import What, next_action
from kpay.core.clock import ManualClock
from kpay.core.money import Money
from kpay.dashboard.speech import speech
from kpay.people.model import OperatorRole
from kpay.reconciliation.breaks import Break
from kpay.reconciliation.model import Kind, State
from kpay.reconciliation.model import next_action as of_break
from kpay.web.api import Api
from tests.client import Answer, Merchant
from tests.flows.test_back_office import location, proved
from tests.people import Office, people_of
from tests.statements import AccountingRail
from tests.visitors import Visitor, words

BASE = "/dashboard/office"
CONTRADICTIONS, RECONCILIATION = f"{BASE}/contradictions", f"{BASE}/reconciliation"


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


SignIn = Callable[[], Awaitable[Visitor]]


@pytest.fixture
async def ada_signs_in(office: Office, api: Api) -> SignIn:
    """Has the operator's admin give password and code: no session lasts for a night."""
    await office.employ("ada", OperatorRole.ADMIN)
    await office.set_up(await office.session("ada"))
    return lambda: proved(office, api, "ada")


@pytest.fixture
async def rail(house: House, clock: ManualClock) -> AccountingRail:
    """A rail that tells statements, of which the first is read."""
    made = AccountingRail(clock, opening=100_000_000)
    made.serve(house)
    await house.worker.run_until_idle()
    return made


async def next_day(house: House, clock: ManualClock) -> None:
    """Half past one in the next morning, when the statements are told."""
    now = clock.now()
    morning = datetime(now.year, now.month, now.day, 1, 30, tzinfo=UTC) + timedelta(days=1)
    clock.advance(seconds=int((morning - now).total_seconds()))
    await house.worker.run_until_idle()


async def paid_and_denied(
    house: House, clock: ManualClock, rail: AccountingRail, shop: Merchant, count: int = 1
) -> None:
    """Payouts that the rail refused, and that its statement has all the same."""

    async def pays_and_denies(instruction: Instruction) -> Outcome:
        rail.write(instruction)
        return Refused("RECIPIENT_NOT_FOUND")

    await shop.collect(100_000)
    rail.otherwise = pays_and_denies
    for _ in range(count):
        await shop.withdraw(amount=1_000)
    await house.worker.run_until_idle()
    await next_day(house, clock)


async def the_break(house: House) -> Break:
    (found,) = await house.breaks.list(open_only=False)
    return found


def place_of(found: Break) -> str:
    return f"{RECONCILIATION}/breaks/{found.id}"


def meant(page: Answer) -> str:
    """What a page's form says that is settled."""
    found = re.search(r'name="meant" value="([^"]+)"', page.raw.decode())
    assert found is not None
    return found[1]


async def test_a_contradiction_is_listed_with_what_to_do_and_shown_with_its_evidence(
    house: House, clock: ManualClock, rail: AccountingRail, ada_signs_in: SignIn, shop: Merchant
) -> None:
    assert "contradicts our books" in words(await (await ada_signs_in()).get(CONTRADICTIONS))
    await paid_and_denied(house, clock, rail, shop)
    ada = await ada_signs_in()

    (held,) = await house.contradictions.list()
    advice = next_action("PAYOUT", What.PAID_AFTER_FAILED)
    listed = await ada.get(CONTRADICTIONS)
    assert "Payout: paid after it had failed here" in words(listed)
    assert advice in words(listed)
    for link in (
        f"{CONTRADICTIONS}/{held.operation_id}",
        f"{BASE}/applications/{shop.application_id}",
        f"{BASE}/companies/{shop.new.application.company.id}",
    ):
        assert f'href="{link}"' in listed.raw.decode()

    page = words(await ada.get(f"{CONTRADICTIONS}/{held.operation_id}"))
    assert advice in page
    for told in (str(held.reference), "FAILED", "950 XAF", "in its statement"):
        assert told in page
    assert '"theirs": -95000' in page


async def test_the_overview_counts_what_waits(
    house: House, clock: ManualClock, rail: AccountingRail, ada_signs_in: SignIn, shop: Merchant
) -> None:
    await paid_and_denied(house, clock, rail, shop, 2)
    ada = await ada_signs_in()
    page = words(await ada.get(f"{BASE}/overview"))
    waiting = page.partition("Waiting for a person")[2].partition("Waiting longest")[0]
    assert waiting.count("open: 2") == 2


async def test_a_contradiction_is_settled_once_with_a_note_that_stays(
    house: House,
    clock: ManualClock,
    rail: AccountingRail,
    office: Office,
    ada_signs_in: SignIn,
    shop: Merchant,
) -> None:
    await paid_and_denied(house, clock, rail, shop)
    ada = await ada_signs_in()
    (held,) = await house.contradictions.list()
    place = f"{CONTRADICTIONS}/{held.operation_id}"
    key = f"{held.operation_id}.{held.what}.{held.reference}"
    assert 'name="note"' not in (await ada.get(place)).raw.decode()
    form = await ada.get(place, ask=key)
    assert "No money moves by this" in words(form)
    assert meant(form) == key

    for nothing in ("", " \r\n", "\0", "x" * 2_001):
        answer = await ada.post(f"{place}/settle", meant=key, note=nothing)
        assert answer.status == 422
        assert "Write it in at least a word" in words(answer)
    assert len(await house.contradictions.list()) == 1

    wallets = await shop.wallets()
    answer = await ada.post(f"{place}/settle", meant=key, note="The rail\r\nreversed <it>.")
    assert location(answer) == f"{place}?done=settled#main"
    again = await ada.post(f"{place}/settle", meant=key, note="Another story.")
    assert location(again) == f"{place}?done=already#main"

    page = words(await ada.get(place, done="already"))
    assert "The rail reversed <it>." in page
    assert "Ada" in page
    assert "Another story" not in page
    assert "Somebody had settled it already" in page
    (entry,) = await office.log(action=Action.CONTRADICTION_SETTLED)
    assert entry.person_name == "Ada"
    assert entry.details["note"] == "The rail\nreversed <it>."
    assert "paid after it had failed" not in await listed(ada, CONTRADICTIONS)
    assert "paid after it had failed" in await listed(ada, CONTRADICTIONS, state="settled")
    assert await shop.wallets() == wallets
    assert place in (await ada.get(f"{BASE}/audit")).raw.decode()


async def listed(visitor: Visitor, path: str, **query: str) -> str:
    """What stands below a list's filters."""
    body = (await visitor.get(path, **query)).raw.decode()
    return re.sub(r"<[^>]+>", " ", body.rpartition("</form>")[2])


async def test_two_people_who_settle_at_once_leave_one_decision(
    house: House,
    clock: ManualClock,
    rail: AccountingRail,
    office: Office,
    ada_signs_in: SignIn,
    shop: Merchant,
) -> None:
    await paid_and_denied(house, clock, rail, shop)
    ada = await ada_signs_in()
    (held,) = await house.contradictions.list()
    place = f"{CONTRADICTIONS}/{held.operation_id}"
    key = f"{held.operation_id}.{held.what}.{held.reference}"
    answers = await asyncio.gather(
        *(ada.post(f"{place}/settle", meant=key, note=f"Note {number}.") for number in range(4))
    )
    assert sorted(location(answer) for answer in answers) == sorted(
        [f"{place}?done=settled#main", *[f"{place}?done=already#main"] * 3]
    )
    assert len(await office.log(action=Action.CONTRADICTION_SETTLED)) == 1


async def test_the_list_goes_on_where_it_ended_and_keeps_its_filters(
    house: House, clock: ManualClock, rail: AccountingRail, ada_signs_in: SignIn, shop: Merchant
) -> None:
    """All were found in one statement, at the same moment."""
    await paid_and_denied(house, clock, rail, shop, 60)
    ada = await ada_signs_in()
    for path, link in (
        (CONTRADICTIONS, rf'class="of-link" href="{CONTRADICTIONS}/([^"]+)"'),
        (RECONCILIATION, rf'class="of-link" href="{RECONCILIATION}/breaks/([^"]+)"'),
    ):
        first = (await ada.get(path, environment="test")).raw.decode()
        older = re.search(r'href="([^"]+after=[^"]+)"', first)
        assert older is not None
        query = dict(pair.split("=") for pair in older[1].partition("?")[2].split("&amp;"))
        assert query.pop("environment") == "test"
        second = (await ada.get(path, environment="test", **query)).raw.decode()
        seen = re.findall(link, first), re.findall(link, second)
        assert [len(page) for page in seen] == [50, 10]
        assert len({*seen[0], *seen[1]}) == 60
        assert "after=" not in second
        assert re.findall(link, (await ada.get(path, environment="live")).raw.decode()) == []
        assert re.findall(link, (await ada.get(path, after="x.y.z", what="?")).raw.decode())


async def test_a_break_is_listed_shown_with_its_lines_and_closed_once(
    house: House,
    clock: ManualClock,
    rail: AccountingRail,
    office: Office,
    ada_signs_in: SignIn,
) -> None:
    rail.add("PAYOUT", Money(-700_000, "XAF"), operation=OperationType.PAYOUT)
    await next_day(house, clock)
    ada = await ada_signs_in()
    found = await the_break(house)
    advice = next_action_of(found)
    page = words(await ada.get(RECONCILIATION))
    assert "The rail has moved it, we have not" in page
    assert "\u22127,000 XAF" in page
    assert advice in page
    page = words(await ada.get(place_of(found)))
    for told in (
        advice,
        found.key,
        "\u22127,000 XAF",
        "line 1 of 23 June 2026",
        '"word": "PAYOUT"',
    ):
        assert told in page
    assert 'name="note"' in (await ada.get(place_of(found), ask="close")).raw.decode()

    assert (await ada.post(f"{place_of(found)}/close", note=" ")).status == 422
    assert (await the_break(house)).state is State.OPEN
    answer = await ada.post(f"{place_of(found)}/close", note="A test of the rail's own.")
    assert location(answer) == f"{place_of(found)}?done=closed#main"
    again = await ada.post(f"{place_of(found)}/close", note="Another story.")
    assert location(again) == f"{place_of(found)}?done=already#main"
    closed = await the_break(house)
    assert (closed.state, closed.note) == (State.CLOSED, "A test of the rail's own.")
    page = words(await ada.get(place_of(found)))
    assert "A test of the rail's own." in page
    assert "· Ada" in page
    assert len(await office.log(action=Action.BREAK_CLOSED)) == 1
    assert "No break is open." in words(await ada.get(RECONCILIATION))
    for query in ({"state": "closed"}, {"state": "all", "kind": "missing_here"}):
        assert place_of(found) in (await ada.get(RECONCILIATION, **query)).raw.decode()
    for query in (
        {"state": "awaited"},
        {"state": "all", "kind": "duplicate"},
        {"state": "all", "connector": "another"},
    ):
        assert place_of(found) not in (await ada.get(RECONCILIATION, **query)).raw.decode()


def next_action_of(found: Break) -> str:
    assert found.kind is Kind.MISSING_HERE
    return of_break(found.kind, known=found.instruction_id is not None)


async def test_a_break_of_an_operation_leads_to_its_contradiction_and_its_application(
    house: House, clock: ManualClock, rail: AccountingRail, ada_signs_in: SignIn, shop: Merchant
) -> None:
    await paid_and_denied(house, clock, rail, shop)
    ada = await ada_signs_in()
    found = await the_break(house)
    page = (await ada.get(place_of(found))).raw.decode()
    assert f'href="{CONTRADICTIONS}/{found.instruction_id}"' in page
    assert f'href="{BASE}/applications/{shop.application_id}"' in page


async def test_the_report_says_by_how_much_a_float_differs_and_why(
    house: House, clock: ManualClock, rail: AccountingRail, ada_signs_in: SignIn, shop: Merchant
) -> None:
    await shop.collect(100_000)
    rail.add("FEE", Money(-150_000, "XAF"))
    rail.add("PAYOUT", Money(-700_000, "XAF"), operation=OperationType.PAYOUT)
    await next_day(house, clock)
    ada = await ada_signs_in()

    answer = await ada.get(f"{RECONCILIATION}/floats")
    page = words(answer)
    for told in (
        "The rail holds 1,091,500 XAF",
        "Our books say 100,000 XAF",
        "The rail holds more by 991,500 XAF",
        "it differed so before the first statement, of 22 June 2026 1,000,000 XAF",
        "FEE at the rail (1) \u22121,500 XAF",
        "lines there without an operation here (1) \u22127,000 XAF",
        "explained to the franc",
    ):
        assert told in page
    its = re.search(r'href="([^"]+country=CMR)"', answer.raw.decode())
    assert its is not None
    path, _, query = its[1].replace("&amp;", "&").partition("?")
    narrowed = await ada.get(path, **dict(pair.split("=") for pair in query.split("&")))
    assert place_of(await the_break(house)) in narrowed.raw.decode()


async def test_the_report_names_a_day_that_cannot_be_finished(
    house: House, clock: ManualClock, rail: AccountingRail, ada_signs_in: SignIn
) -> None:
    rail.silences.extend([NoAnswer("timed out")] * 5)
    await next_day(house, clock)
    ada = await ada_signs_in()
    page = words(await ada.get(f"{RECONCILIATION}/floats"))
    assert "Not finished" in page
    assert "asking for balances · timed out" in page


async def test_support_looks_and_changes_nothing(
    house: House,
    clock: ManualClock,
    rail: AccountingRail,
    office: Office,
    api: Api,
    shop: Merchant,
) -> None:
    await paid_and_denied(house, clock, rail, shop)
    await office.employ("sam", OperatorRole.SUPPORT)
    await office.set_up(await office.session("sam"))
    sam = await proved(office, api, "sam")
    (held,), found = await house.contradictions.list(), await the_break(house)
    place = f"{CONTRADICTIONS}/{held.operation_id}"
    key = f"{held.operation_id}.{held.what}.{held.reference}"
    for path, ask in ((place, key), (place_of(found), "close")):
        page = await sam.get(path, ask=ask)
        assert page.status == 200
        assert 'name="note"' not in page.raw.decode()
    assert (await sam.post(f"{place}/settle", meant=key, note="Done.")).status == 404
    assert (await sam.post(f"{place_of(found)}/close", note="Done.")).status == 404
    assert len(await house.contradictions.list()) == 1
    assert (await the_break(house)).state is State.OPEN


async def test_what_a_form_names_must_be_what_its_page_is_of(
    house: House, clock: ManualClock, rail: AccountingRail, ada_signs_in: SignIn, shop: Merchant
) -> None:
    await paid_and_denied(house, clock, rail, shop, 2)
    ada = await ada_signs_in()
    first, second = await house.contradictions.list()
    place = f"{CONTRADICTIONS}/{first.operation_id}"
    other = f"{second.operation_id}.{second.what}.{second.reference}"
    for named in (other, "", "a.b.c", f"{first.operation_id}.{first.what}.{UUID(int=1)}x"):
        assert (await ada.post(f"{place}/settle", meant=named, note="Done.")).status == 404
    assert len(await house.contradictions.list()) == 2
    for nothing in (UUID(int=7), "x"):
        assert (await ada.get(f"{CONTRADICTIONS}/{nothing}")).status == 404
        assert (await ada.get(f"{RECONCILIATION}/breaks/{nothing}")).status == 404
        assert (
            await ada.post(f"{RECONCILIATION}/breaks/{nothing}/close", note="Done.")
        ).status == 404


def test_every_next_action_has_its_french() -> None:
    french = speech("fr")
    for type_ in OperationType:
        for what in What:
            told = next_action(type_, what)
            assert french.say(told) != told
    for kind in Kind:
        for known in (True, False):
            told = of_break(kind, known=known)
            assert french.say(told) != told
