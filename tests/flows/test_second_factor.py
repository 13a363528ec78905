"""The second factor: codes of an app and recovery codes, each accepted once."""

from __future__ import annotations

import asyncio

import pytest

from kpay.app import House
from kpay.audit.model import Action
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.people.model import OperatorRight, OperatorRole, Right, Role
from kpay.people.throttle import BOUNDS, Scope
from tests.people import ANOTHER, COMMAND, PASSWORD, THERE, Office, refused


async def half_in(office: Office, name: str = "amina", device: str | None = None) -> str:
    """The token of a session that waits for its code."""
    signed = await office.sign_in(name, device=device)
    assert signed.needs_code
    return signed.token


async def test_a_second_factor_is_asked_for_once_it_is_confirmed(
    office: Office, clock: ManualClock
) -> None:
    person_id = await office.hire("amina")
    session = await office.session("amina")
    offer = await office.people.accounts.offer_second_factor(session, PASSWORD)
    assert offer.address.startswith("otpauth://totp/KPay:amina%40example.com?secret=")
    assert offer.secret in offer.address
    assert offer.drawing.startswith("<svg")
    # Offered is not in force.
    assert not (await office.sign_in("amina")).needs_code

    other = (await office.sign_in("amina")).token
    codes = await office.set_up(session)

    assert len(set(codes)) == 10
    assert await office.people.accounts.recovery_codes_left(session) == 10
    assert await office.ended(other)
    token = await half_in(office)
    assert (await office.of(token)).needs_code
    given = await office.people.give_code(token, office.code(person_id))
    assert not given.needs_code
    # The session goes on under another token: who knew the first has nothing.
    assert await office.ended(token)
    whole = await office.of(given.token)
    assert (whole.needs_code, whole.has_second_factor) == (False, True)
    assert [entry.action for entry in await office.log(person_id=person_id)][:2] == [
        Action.CODE_GIVEN,
        Action.SIGNED_IN,
    ]


async def test_half_in_one_can_do_nothing_but_give_the_code(
    office: Office, clock: ManualClock
) -> None:
    await office.hire("amina")
    await office.hire("bola", Role.FINANCE)
    await office.set_up(await office.session("amina"))
    company_id = await office.company()
    token = await half_in(office)
    session = await office.of(token)
    people, accounts, members = office.people, office.people.accounts, office.people.members

    assert not any(session.right(company_id, right) for right in Right)
    for attempt in (
        members.of_company(session, company_id),
        members.invitations(session, company_id),
        members.invite(session, company_id, "new@example.com", Role.VIEWER),
        members.leave(session, company_id),
        members.accept(session, "kpinv_a"),
        accounts.change_password(session, PASSWORD, ANOTHER),
        accounts.change(session, name="New", language=None),
        accounts.offer_second_factor(session, PASSWORD),
        accounts.confirm_second_factor(session, "123456"),
        accounts.remove_second_factor(session, PASSWORD),
        accounts.renew_recovery_codes(session, PASSWORD),
        people.end_session(session, session.id),
        people.sign_out_elsewhere(session),
    ):
        with refused(Code.SECOND_FACTOR_NEEDED):
            await attempt
    with refused(Code.SECOND_FACTOR_NEEDED):
        session.check(company_id, Right.VIEW_MONEY)

    clock.advance(minutes=10)
    assert await office.ended(token)
    with refused(Code.SESSION_OVER):
        await people.give_code(token, office.code(session.person.id))


async def test_a_code_is_accepted_once_and_none_before_it_afterwards(
    office: Office, clock: ManualClock
) -> None:
    person_id = await office.hire("amina")
    await office.set_up(await office.session("amina"))
    early = office.code(person_id, steps=-1)
    code = office.code(person_id)
    await office.people.give_code(await half_in(office), code)

    token = await half_in(office)
    for used in (code, early, f" {code[:3]} {code[3:]} "):
        with refused(Code.WRONG_CODE):
            await office.people.give_code(token, used)
    # A clock that is a step ahead is right, once.
    ahead = office.code(person_id, steps=1)
    await office.people.give_code(token, ahead)
    clock.advance(seconds=30)
    token = await half_in(office)
    with refused(Code.WRONG_CODE):
        await office.people.give_code(token, ahead)
    clock.advance(seconds=30)
    await office.people.give_code(token, office.code(person_id))


async def test_the_code_that_confirmed_the_second_factor_signs_nobody_in(
    office: Office, clock: ManualClock
) -> None:
    person_id = await office.hire("amina")
    await office.set_up(await office.session("amina"))

    token = await half_in(office)
    with refused(Code.WRONG_CODE):
        await office.people.give_code(token, office.code(person_id, steps=-1))


async def test_two_at_the_same_moment_cannot_use_one_code(office: Office) -> None:
    person_id = await office.hire("amina")
    codes = await office.set_up(await office.session("amina"))

    for code in (office.code(person_id), codes[0]):
        tokens = [await half_in(office) for _ in range(4)]
        given = await asyncio.gather(
            *(office.people.give_code(token, code) for token in tokens), return_exceptions=True
        )
        assert sum(not isinstance(one, BaseException) for one in given) == 1
        for one in given:
            assert not isinstance(one, BaseException) or (
                isinstance(one, Refusal) and one.code is Code.WRONG_CODE
            )


async def test_a_code_of_too_long_ago_or_of_another_s_app_is_wrong(office: Office) -> None:
    person_id = await office.hire("amina")
    other_id = await office.hire("bola")
    await office.set_up(await office.session("amina"))
    await office.set_up(await office.session("bola"))
    office.clock.advance(minutes=5)
    token = await half_in(office)

    for wrong in (
        office.code(person_id, steps=-2),
        office.code(person_id, steps=2),
        office.code(other_id),
        "",
        "12345",
        "1234567",
        "١٢٣٤٥٦",
        "\x00\ud800",
    ):
        with refused(Code.WRONG_CODE):
            await office.people.give_code(token, wrong)


async def test_a_recovery_code_is_good_once_however_it_is_typed(office: Office) -> None:
    await office.hire("amina")
    await office.hire("bola")
    codes = await office.set_up(await office.session("amina"))
    others = await office.set_up(await office.session("bola"))

    given = await office.people.give_code(await half_in(office), f" {codes[0].upper()} ")
    session = await office.of(given.token)
    assert session.has_second_factor
    assert await office.people.accounts.recovery_codes_left(session) == 9
    [entry] = await office.log(action=Action.RECOVERY_CODE_USED)
    assert entry.details == {"left": 9}
    token = await half_in(office)
    for wrong in (codes[0], others[0]):
        with refused(Code.WRONG_CODE):
            await office.people.give_code(token, wrong)
    await office.people.give_code(token, codes[1].replace("-", ""))

    renewed = await office.people.accounts.renew_recovery_codes(session, PASSWORD)
    assert not set(renewed) & set(codes)
    token = await half_in(office)
    with refused(Code.WRONG_CODE):
        await office.people.give_code(token, codes[2])
    await office.people.give_code(token, renewed[0])


async def test_codes_that_are_wrong_too_often_are_not_read_in_any_session(
    office: Office, clock: ManualClock
) -> None:
    person_id = await office.hire("amina")
    await office.hire("bola")
    first = await office.sign_in("amina")
    codes = await office.set_up(await office.of(first.token))
    await office.set_up(await office.session("bola"))
    for _ in range(BOUNDS[Scope.CODE].most):
        with refused(Code.WRONG_CODE):
            await office.people.give_code(await half_in(office), "000-000")

    token = await half_in(office)
    for code in (office.code(person_id), codes[0]):
        with refused(Code.TOO_MANY_FAILURES):
            await office.people.give_code(token, code)
    # The person's own browser has a count of its own, and so have others.
    await office.people.give_code(
        await half_in(office, device=first.device), office.code(person_id)
    )
    with refused(Code.WRONG_CODE):
        await office.people.give_code(await half_in(office, "bola"), "000000")
    clock.advance(hours=1)
    await office.people.give_code(await half_in(office), office.code(person_id))


async def test_a_second_factor_that_was_removed_is_gone_and_the_next_is_another(
    office: Office,
) -> None:
    person_id = await office.hire("amina")
    session = await office.session("amina")
    codes = await office.set_up(session)
    old = office.apps[person_id]
    with refused(Code.WRONG_SIGN_IN):
        await office.people.accounts.remove_second_factor(session, ANOTHER)

    await office.people.accounts.remove_second_factor(session, PASSWORD)

    signed = await office.sign_in("amina")
    assert not signed.needs_code
    session = await office.of(signed.token)
    # What was in force once is not offered again.
    with refused(Code.WRONG_CODE):
        await office.people.accounts.confirm_second_factor(session, old.at(office.clock.now()))
    await office.set_up(session)
    assert office.apps[person_id].secret != old.secret
    with refused(Code.WRONG_CODE):
        await office.people.give_code(await half_in(office), codes[0])


async def test_a_new_app_takes_the_place_of_the_old_one_when_it_is_confirmed(
    office: Office,
) -> None:
    person_id = await office.hire("amina")
    session = await office.session("amina")
    await office.set_up(session)
    old = office.apps[person_id]
    session = await office.of(
        (await office.people.give_code(await half_in(office), office.code(person_id))).token
    )
    await office.people.accounts.offer_second_factor(session, PASSWORD)
    office.clock.advance(seconds=30)
    # Not confirmed yet: the old one is asked for.
    await office.people.give_code(await half_in(office), old.at(office.clock.now()))
    office.clock.advance(seconds=30)

    await office.set_up(session)

    token = await half_in(office)
    with refused(Code.WRONG_CODE):
        await office.people.give_code(token, old.at(office.clock.now()))
    await office.people.give_code(token, office.code(person_id))
    with refused(Code.WRONG_CODE):
        await office.people.accounts.confirm_second_factor(session, office.code(person_id))


async def test_an_owner_changes_nothing_in_production_without_one(
    office: Office, house: House
) -> None:
    await office.hire("amina")
    await office.hire("bola", Role.FINANCE)
    company_id = await office.company()
    owner, finance = await office.session("amina"), await office.session("bola")

    owner.check(company_id, Right.MOVE_MONEY, Environment.TEST)
    owner.check(company_id, Right.VIEW_MONEY)
    finance.check(company_id, Right.MOVE_MONEY, Environment.PRODUCTION)
    with refused(Code.SECOND_FACTOR_NEEDED):
        owner.check(company_id, Right.MOVE_MONEY, Environment.PRODUCTION)
    await office.people.members.invite(owner, company_id, "new@example.com", Role.VIEWER)
    await house.office.approve_company("Acme")
    # Who may reach live money is a change in production, once there is any.
    owner = await office.session("amina")
    with refused(Code.SECOND_FACTOR_NEEDED):
        await office.people.members.invite(owner, company_id, "new@example.com", Role.VIEWER)

    await office.set_up(owner)

    given = await office.people.give_code(await half_in(office), office.code(owner.person.id))
    owner = await office.of(given.token)
    owner.check(company_id, Right.MOVE_MONEY, Environment.PRODUCTION)
    await office.people.members.invite(owner, company_id, "new@example.com", Role.VIEWER)
    await office.people.accounts.remove_second_factor(owner, PASSWORD)
    with refused(Code.SECOND_FACTOR_NEEDED):
        (await office.of(given.token)).check(company_id, Right.MOVE_MONEY, Environment.PRODUCTION)


async def test_an_operator_only_looks_without_one(office: Office) -> None:
    await office.employ("olga", OperatorRole.ADMIN)
    session = await office.session("olga")

    session.check_operator(OperatorRight.VIEW)
    for right in set(OperatorRight) - {OperatorRight.VIEW}:
        with refused(Code.SECOND_FACTOR_NEEDED):
            session.check_operator(right)
    await office.set_up(session)
    given = await office.people.give_code(
        await half_in(office, "olga"), office.code(session.person.id)
    )
    (await office.of(given.token)).check_operator(OperatorRight.CONFIGURE)


async def test_the_operator_takes_away_the_second_factor_of_who_lost_it(office: Office) -> None:
    await office.hire("amina")
    signed = await office.sign_in("amina")
    await office.set_up(await office.of(signed.token))

    await office.people.staff.password_link(COMMAND, "amina@example.com")
    assert not await office.ended(signed.token)
    await office.people.staff.password_link(
        COMMAND, "amina@example.com", without_second_factor=True
    )

    assert await office.ended(signed.token)
    assert not (await office.sign_in("amina", address=THERE)).needs_code


@pytest.mark.parametrize("word", ["secret", "recovery"])
async def test_the_database_holds_no_second_factor(office: Office, house: House, word: str) -> None:
    person_id = await office.hire("amina")
    codes = await office.set_up(await office.session("amina"))
    shown = [office.apps[person_id].secret] if word == "secret" else codes
    rows = await house.database.fetch(
        "select people::text as text from people union all "
        "select recovery_codes::text from recovery_codes union all "
        "select audit_log::text from audit_log"
    )

    content = "\n".join(row["text"] for row in rows)
    assert "amina@example.com" in content
    assert not [one for one in shown if one in content or one.replace("-", "") in content]
