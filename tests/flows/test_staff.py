"""The operator's own staff, at their page of the back office."""

from __future__ import annotations

import asyncio
import re
from urllib.parse import urlsplit
from uuid import UUID

import pytest

from kpay.app import House
from kpay.audit.model import Action
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.people.model import CODE_FRESH, OperatorRole, Session
from kpay.web.api import Api
from tests.client import Answer, Browser
from tests.people import ANOTHER, PASSWORD, Office, email_of, people_of, refused
from tests.visitors import Visitor, words

STAFF = "/dashboard/office/staff"


@pytest.fixture
async def office(house: House, clock: ManualClock) -> Office:
    house.people = people_of(house)
    return Office(house, house.people, clock)


@pytest.fixture
def api(house: House, office: Office) -> Api:
    return house.asgi()


async def proved(office: Office, api: Api, name: str) -> Visitor:
    """Somebody with a second factor, who has given password and code just now."""
    visitor = await Visitor.signed_in(api, office, name)
    office.clock.advance(seconds=30)
    person_id = (await office.of(visitor.token or "")).person.id
    token = (await office.people.give_code(visitor.token or "", office.code(person_id))).token
    visitor.token, visitor.csrf = token, (await office.of(token)).csrf_token
    return visitor


async def employed(office: Office, name: str, role: OperatorRole = OperatorRole.ADMIN) -> UUID:
    """One of the staff, with a second factor."""
    person_id = await office.employ(name, role)
    await office.set_up(await office.session(name))
    return person_id


@pytest.fixture
async def ada(office: Office, api: Api) -> Visitor:
    """An admin whose code is fresh."""
    await employed(office, "ada")
    return await proved(office, api, "ada")


def done(answer: Answer) -> str:
    """What the page says was done, as its address has it."""
    assert answer.status == 303, words(answer)
    return urlsplit(answer.headers["location"]).query


def link_in(answer: Answer) -> str:
    found = re.search(r"/dashboard/password/(kppwd_\w+)", answer.raw.decode())
    assert found is not None, words(answer)
    return found[1]


async def test_somebody_is_invited_sets_a_password_and_is_on_the_list(
    office: Office, api: Api, ada: Visitor
) -> None:
    fields = {"name": "Bea Ndi", "email": "Bea@Example.com", "role": "SUPPORT"}
    answer = await ada.post(f"{STAFF}/invite", **fields)
    assert "Invitation for Bea Ndi" in words(answer)
    assert "invited" in words(await ada.get(STAFF))
    stranger = Visitor(Browser(api))
    opened = await stranger.post(f"/dashboard/password/{link_in(answer)}", password=ANOTHER)
    assert done(opened) == "done=password"
    session = await office.of((await office.sign_in("bea", ANOTHER)).token)
    assert session.person.operator_role is OperatorRole.SUPPORT
    assert "Open sessions: 1" in words(await ada.get(STAFF))
    used = await stranger.post(f"/dashboard/password/{link_in(answer)}", password=PASSWORD)
    assert used.status == 410
    created = (await office.log(action=Action.PERSON_CREATED))[0]
    assert (created.person_name, created.details["email"]) == ("Ada", "bea@example.com")


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({"name": "Ada", "email": "ada@example.com"}, "on the staff already"),
        ({"name": "Awa", "email": "awa@example.com"}, "that of a company’s person"),
        ({"name": "Bea", "email": "not an address"}, "such as amina@example.com"),
        ({"name": " ", "email": "bea@example.com"}, "Write a name"),
    ],
)
async def test_who_cannot_be_invited_is_told_beside_the_field_and_nothing_is_lost(
    office: Office, ada: Visitor, fields: dict[str, str], told: str
) -> None:
    await office.hire("awa")
    answer = await ada.post(f"{STAFF}/invite", **fields, role="ADMIN")
    assert answer.status in (409, 422, 400)
    assert told in words(answer)
    assert f'value="{fields["email"]}"' in answer.raw.decode()
    assert [each.person.email for each in await office.people.staff.everybody()] == [
        "ada@example.com",
        "awa@example.com",
    ]


async def test_a_role_is_changed_and_holds_with_the_next_request(
    office: Office, api: Api, ada: Visitor
) -> None:
    bea_id = await employed(office, "bea")
    bea = await proved(office, api, "bea")
    assert "Invite somebody" in words(await bea.get(STAFF))
    link = await office.people.colleagues.make_link(
        await office.of(bea.token or ""),
        await office.employ("cleo", OperatorRole.SUPPORT),
        without_second_factor=False,
    )
    assert done(await ada.post(f"{STAFF}/{bea_id}/role", role="SUPPORT")) == "done=role"
    assert "Invite somebody" not in words(await bea.get(STAFF))
    assert (await bea.post(f"{STAFF}/{bea_id}/role", role="ADMIN")).status == 404
    # What she could have become somebody else with is over too.
    with refused(Code.LINK_OVER):
        await office.people.accounts.whose_link(link.url.rpartition("/")[2])
    changed = (await office.log(action=Action.OPERATOR_CHANGED))[0]
    assert changed.details["role"] == "SUPPORT"
    assert "made Bea Support of the installation" in words(await ada.get("/dashboard/office/audit"))


async def test_a_lost_telephone_is_replaced_by_a_link_and_every_session_ends(
    office: Office, api: Api, ada: Visitor
) -> None:
    bea_id = await employed(office, "bea")
    bea = await proved(office, api, "bea")
    answer = await ada.post(f"{STAFF}/{bea_id}/link", factor="remove")
    assert "Password link for Bea" in words(answer)
    assert await office.ended(bea.token or "")
    await office.people.accounts.set_password(link_in(answer), ANOTHER, address=None)
    signed_in = await office.sign_in("bea", ANOTHER)
    assert not signed_in.needs_code
    # Until there is a new one she changes nothing.
    session = await office.of(signed_in.token)
    with refused(Code.SECOND_FACTOR_NEEDED):
        await office.people.colleagues.disable(session, bea_id)
    actions = [each.action for each in await office.log()]
    assert Action.SECOND_FACTOR_REMOVED in actions
    assert Action.PASSWORD_LINK_MADE in actions


async def test_a_link_alone_leaves_the_second_factor(office: Office, ada: Visitor) -> None:
    bea_id = await employed(office, "bea")
    answer = await ada.post(f"{STAFF}/{bea_id}/link")
    await office.people.accounts.set_password(link_in(answer), ANOTHER, address=None)
    assert (await office.sign_in("bea", ANOTHER)).needs_code


async def test_a_colleague_is_signed_out_everywhere_and_can_come_again(
    office: Office, api: Api, ada: Visitor
) -> None:
    bea_id = await employed(office, "bea")
    tokens = [(await proved(office, api, "bea")).token or "" for _ in range(2)]
    # These, and the one in which she set the second factor up.
    assert "Open sessions: 3" in words(await ada.get(STAFF))
    assert done(await ada.post(f"{STAFF}/{bea_id}/sessions")) == "done=sessions"
    assert [await office.ended(token) for token in tokens] == [True, True]
    assert (await office.log(action=Action.SESSIONS_ENDED))[0].details["sessionsEnded"] == 3
    assert (await office.sign_in("bea")).needs_code


async def test_a_colleague_is_shut_out_and_let_in_again(
    office: Office, api: Api, ada: Visitor
) -> None:
    bea_id = await employed(office, "bea")
    bea = await proved(office, api, "bea")
    assert done(await ada.post(f"{STAFF}/{bea_id}/disable")) == "done=disabled"
    assert await office.ended(bea.token or "")
    with refused(Code.WRONG_SIGN_IN):
        await office.sign_in("bea")
    # A link would let nobody in: the page says to look again.
    assert done(await ada.post(f"{STAFF}/{bea_id}/link")) == "done=not-allowed"
    assert "closed" in words(await ada.get(STAFF))
    assert done(await ada.post(f"{STAFF}/{bea_id}/enable")) == "done=enabled"
    assert (await office.sign_in("bea")).needs_code


async def test_nobody_changes_their_own_place(office: Office, ada: Visitor) -> None:
    own = (await office.of(ada.token or "")).person.id
    assert f"/{own}/" not in (await ada.get(STAFF, person=str(own))).raw.decode()
    before = await office.people.staff.everybody()
    for deed in ("role", "link", "sessions", "disable", "enable"):
        answer = await ada.post(f"{STAFF}/{own}/{deed}", role="SUPPORT", factor="remove")
        assert done(answer) == "done=not-allowed", deed
    assert await office.people.staff.everybody() == before
    assert not await office.ended(ada.token or "")


async def test_a_company_s_person_is_nobody_here(office: Office, ada: Visitor) -> None:
    awa_id = await office.hire("awa")
    before = await office.log()
    for deed in ("role", "link", "sessions", "disable", "enable"):
        for person_id in (awa_id, UUID(int=7)):
            answer = await ada.post(f"{STAFF}/{person_id}/{deed}", role="ADMIN")
            assert answer.status == 404, deed
    assert await office.log() == before
    assert "awa@example.com" not in words(await ada.get(STAFF))


async def test_an_admin_without_a_second_factor_is_asked_for_one_and_for_no_code(
    office: Office, api: Api
) -> None:
    await office.employ("ada", OperatorRole.ADMIN)
    page = await (await Visitor.signed_in(api, office, "ada")).get(STAFF)
    assert "Set up a second factor first" in words(page)
    assert b'name="code"' not in page.raw


async def test_support_sees_who_works_here_and_changes_nobody(office: Office, api: Api) -> None:
    ada_id = await employed(office, "ada")
    await employed(office, "bea", OperatorRole.SUPPORT)
    bea = await proved(office, api, "bea")
    page = words(await bea.get(STAFF, person=str(ada_id)))
    assert "ada@example.com" in page
    assert "Invite somebody" not in page
    assert "Save the role" not in page
    session = await office.of(bea.token or "")
    with refused(Code.NOT_ALLOWED):
        await office.people.colleagues.disable(session, ada_id)


async def test_a_code_that_was_given_a_while_ago_is_asked_for_again_and_then_not(
    office: Office, ada: Visitor, clock: ManualClock
) -> None:
    bea_id = await office.employ("bea", OperatorRole.SUPPORT)
    cleo_id = await office.employ("cleo", OperatorRole.SUPPORT)
    ada_id = (await office.of(ada.token or "")).person.id
    role = f"{STAFF}/{bea_id}/role"
    assert 'name="code"' not in (await ada.get(STAFF, person=str(bea_id))).raw.decode()
    clock.advance(seconds=int(CODE_FRESH.total_seconds()))
    assert 'name="code"' in (await ada.get(STAFF, person=str(bea_id))).raw.decode()
    for code in ("", "000000", office.code(ada_id, steps=-9)):
        answer = await ada.post(role, role="ADMIN", code=code)
        assert answer.status == 401
        assert "This code is wrong" in words(answer)
        # What was chosen is still chosen.
        assert re.search(r'value="ADMIN" required checked', answer.raw.decode())
    assert done(await ada.post(role, role="ADMIN", code=office.code(ada_id))) == "done=role"
    given = (await office.log(action=Action.CODE_GIVEN))[0]
    assert given.person_name == "Ada"
    # The same code is not needed twice within some minutes, and is good for nothing any more.
    assert done(await ada.post(f"{STAFF}/{cleo_id}/disable")) == "done=disabled"
    clock.advance(seconds=int(CODE_FRESH.total_seconds()))
    answer = await ada.post(f"{STAFF}/{cleo_id}/enable", code=office.code(ada_id, steps=-10))
    assert answer.status == 401
    assert "Cleo" in words(answer)


async def test_codes_that_are_guessed_at_an_open_session_are_not_even_read_after_ten(
    office: Office, ada: Visitor, clock: ManualClock
) -> None:
    bea_id = await office.employ("bea", OperatorRole.SUPPORT)
    ada_id = (await office.of(ada.token or "")).person.id
    clock.advance(seconds=int(CODE_FRESH.total_seconds()))
    for _ in range(10):
        assert (await ada.post(f"{STAFF}/{bea_id}/disable", code="000000")).status == 401
    answer = await ada.post(f"{STAFF}/{bea_id}/disable", code=office.code(ada_id))
    assert answer.status == 429
    assert "Too many wrong attempts" in words(answer)
    assert (await office.sign_in("bea")).needs_code is False


async def test_the_flow_itself_asks_for_a_fresh_code(
    office: Office, ada: Visitor, clock: ManualClock
) -> None:
    bea_id = await office.employ("bea", OperatorRole.SUPPORT)
    session = await office.of(ada.token or "")
    clock.advance(seconds=int(CODE_FRESH.total_seconds()))
    colleagues = office.people.colleagues
    for deed in (
        colleagues.disable(session, bea_id),
        colleagues.enable(session, bea_id),
        colleagues.sign_out(session, bea_id),
        colleagues.change_role(session, bea_id, OperatorRole.ADMIN),
        colleagues.make_link(session, bea_id, without_second_factor=True),
        colleagues.invite(session, email="cleo@example.com", name="Cleo", role=OperatorRole.ADMIN),
    ):
        with refused(Code.SECOND_FACTOR_NEEDED):
            await deed


async def test_admins_who_shut_each_other_out_at_the_same_moment_do_not_both(
    office: Office, api: Api
) -> None:
    names = ("ada", "bea")
    ids = [await employed(office, name) for name in names]
    sessions = [await office.of((await proved(office, api, name)).token or "") for name in names]

    async def shut_out(session: Session, person_id: UUID) -> Code | None:
        try:
            await office.people.colleagues.disable(session, person_id)
        except Refusal as refusal:
            return refusal.code
        return None

    ended = await asyncio.gather(shut_out(sessions[0], ids[1]), shut_out(sessions[1], ids[0]))
    assert sorted(map(str, ended)) == sorted(map(str, (None, Code.NOT_ALLOWED)))
    left = [
        each.person.email
        for each in await office.people.staff.everybody()
        if each.person.disabled_at is None
    ]
    assert left in ([email_of("ada")], [email_of("bea")])


async def test_who_reloads_after_a_form_comes_to_the_list_again(ada: Visitor) -> None:
    for path in (f"{STAFF}/invite", f"{STAFF}/{UUID(int=7)}/link"):
        answer = await ada.get(path)
        assert (answer.status, answer.headers["location"]) == (303, STAFF)


async def test_a_company_s_person_does_not_find_the_page(office: Office, api: Api) -> None:
    await office.hire("awa")
    awa = await Visitor.signed_in(api, office, "awa")
    assert (await awa.get(STAFF)).status == 404
    assert (await awa.post(f"{STAFF}/invite", role="ADMIN")).status == 404
