"""Signing in and out: passwords, sessions, how often one may be wrong."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from kpay.app import House
from kpay.audit.model import Action
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.people.flow import People
from kpay.people.model import OperatorRole, Right, Role
from kpay.people.passwords import Cost, Passwords
from kpay.people.throttle import BOUNDS, Scope
from kpay.settings import Settings
from tests.houses import opened
from tests.people import AGENT, ANOTHER, COMMAND, HERE, PASSWORD, THERE, Office, people_of, refused


async def wrong(office: Office, times: int, name: str = "amina", address: str = HERE) -> None:
    for _ in range(times):
        with refused(Code.WRONG_SIGN_IN):
            await office.sign_in(name, ANOTHER, address=address)


async def test_a_person_signs_in_and_is_known_by_the_token(office: Office) -> None:
    person_id = await office.hire("amina", Role.FINANCE)
    company_id = await office.company()

    signed = await office.people.sign_in(
        " Amina@Example.COM ", PASSWORD, address=HERE, agent=f"{AGENT}\n\x00"
    )

    assert not signed.needs_code
    session = await office.of(signed.token)
    assert (session.person.id, session.person.email) == (person_id, "amina@example.com")
    assert [(m.company_name, m.role) for m in session.memberships] == [("Acme", Role.FINANCE)]
    assert session.right(company_id, Right.MOVE_MONEY)
    assert not session.right(company_id, Right.PEOPLE)
    assert session.matches(session.csrf_token)
    [place] = await office.people.sessions(session)
    assert (place.address, place.agent, place.current) == (HERE, AGENT, True)
    [entry] = await office.log(action=Action.SIGNED_IN)
    assert (entry.person_name, entry.company_id, entry.address) == ("Amina", company_id, HERE)


async def test_whoever_is_refused_is_told_the_same_whatever_was_wrong(office: Office) -> None:
    await office.hire("amina")
    await office.hire("gone")
    await office.people.staff.disable(COMMAND, "gone@example.com")
    await office.people.staff.create(
        COMMAND, company_name="Acme", email="new@example.com", name="New", role=Role.VIEWER
    )
    messages = set()
    for email, password in (
        ("amina@example.com", ANOTHER),
        ("amina@example.com", ""),
        ("amina@example.com", PASSWORD + " "),
        ("amina@example.com", "\x00" * 12),
        ("amina@example.com", "\ud800" * 12),
        ("amina@example.com", "x" * 100_000),
        ("nobody@example.com", PASSWORD),
        ("gone@example.com", PASSWORD),
        ("new@example.com", PASSWORD),
        ("new@example.com", ""),
        ("", ""),
        ("no email\x00", PASSWORD),
        ("a\ud800@example.com", PASSWORD),
    ):
        with pytest.raises(Refusal) as caught:
            await office.people.sign_in(email, password, address=None, agent=AGENT)
        assert caught.value.code is Code.WRONG_SIGN_IN, (email, password)
        messages.add(caught.value.message)

    assert len(messages) == 1


async def test_an_unknown_email_costs_as_many_hashes_as_a_known_one(
    office: Office, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A clock would show it and could be wrong: what is compared is what is hashed, how."""
    await office.hire("amina")
    verified: list[str] = []
    verify = Passwords._verify

    def watched(self: Passwords, known: str, password: str) -> bool:
        verified.append(known.rsplit("$", 2)[0])
        return verify(self, known, password)

    monkeypatch.setattr(Passwords, "_verify", watched)
    for name in ("amina", "nobody"):
        with refused(Code.WRONG_SIGN_IN):
            await office.sign_in(name, ANOTHER)

    assert len(verified) == 2
    assert verified[0] == verified[1]


async def test_what_was_never_a_token_is_nobody_s(office: Office) -> None:
    await office.hire("amina")
    token = (await office.sign_in("amina")).token
    for bad in ("", "kpses_", token[:-1], token + "a", token.upper(), "é", "\ud800", "\x00"):
        assert await office.ended(bad), bad
    assert not await office.ended(token)


async def test_a_session_ends_after_an_hour_in_which_nothing_is_done(
    office: Office, clock: ManualClock
) -> None:
    await office.hire("amina")
    token = (await office.sign_in("amina")).token

    for _ in range(3):
        clock.advance(minutes=59)
        assert not await office.ended(token)
    # What no person does keeps nothing alive.
    clock.advance(minutes=59, seconds=59)
    assert await office.people.session(token, active=False) is not None
    clock.advance(seconds=1)
    assert await office.ended(token)


async def test_a_session_ends_after_twelve_hours_whatever_is_done(
    office: Office, clock: ManualClock
) -> None:
    await office.hire("amina")
    signed = await office.sign_in("amina")
    assert (signed.ends_at - clock.now()).total_seconds() == 12 * 3_600

    for _ in range(23):
        clock.advance(minutes=30)
        assert not await office.ended(signed.token)
    clock.advance(minutes=30)
    assert await office.ended(signed.token)


async def test_sessions_are_ended_one_by_one_or_all_the_others(office: Office) -> None:
    await office.hire("amina")
    await office.hire("other")
    tokens = [(await office.sign_in("amina")).token for _ in range(4)]
    others = (await office.sign_in("other")).token
    sessions = [await office.of(token) for token in tokens]

    await office.people.sign_out(sessions[0])
    await office.people.sign_out(sessions[0])
    assert await office.ended(tokens[0])
    await office.people.end_session(sessions[1], sessions[2].id)
    assert await office.ended(tokens[2])
    with refused(Code.SESSION_OVER):
        await office.people.end_session(sessions[1], (await office.of(others)).id)
    assert len(await office.people.sessions(sessions[1])) == 2
    assert await office.people.sign_out_elsewhere(sessions[1]) == 1

    assert await office.ended(tokens[3])
    assert not await office.ended(tokens[1])
    assert not await office.ended(others)
    with refused(Code.SESSION_OVER):
        await office.people.sign_out_elsewhere(sessions[3])


async def test_another_password_ends_every_other_session(office: Office) -> None:
    await office.hire("amina")
    tokens = [(await office.sign_in("amina")).token for _ in range(3)]
    session = await office.of(tokens[0])
    change = office.people.accounts.change_password

    with refused(Code.WRONG_SIGN_IN):
        await change(session, ANOTHER, ANOTHER)
    with refused(Code.WEAK_PASSWORD):
        await change(session, PASSWORD, "amina 1234567")
    await change(session, PASSWORD, ANOTHER)

    assert [await office.ended(token) for token in tokens] == [False, True, True]
    with refused(Code.WRONG_SIGN_IN):
        await office.sign_in("amina")
    await office.sign_in("amina", ANOTHER)


async def test_a_session_that_an_old_password_is_just_beginning_is_not_left_over(
    office: Office, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.hire("amina")
    session = await office.session("amina")
    verify = Passwords.verify

    async def changed_meanwhile(self: Passwords, known: str | None, password: str) -> bool:
        right = await verify(self, known, password)
        monkeypatch.setattr(Passwords, "verify", verify)
        await office.people.accounts.change_password(session, PASSWORD, ANOTHER)
        return right

    monkeypatch.setattr(Passwords, "verify", changed_meanwhile)
    with refused(Code.WRONG_SIGN_IN):
        await office.sign_in("amina")

    assert len(await office.people.sessions(session)) == 1


async def test_who_sits_at_an_open_session_cannot_guess_its_password(
    office: Office, clock: ManualClock
) -> None:
    await office.hire("amina")
    session = await office.session("amina")
    change = office.people.accounts.change_password
    for _ in range(BOUNDS[Scope.SESSION].most):
        with refused(Code.WRONG_SIGN_IN):
            await change(session, ANOTHER, ANOTHER)
    with refused(Code.TOO_MANY_FAILURES):
        await change(session, PASSWORD, ANOTHER)

    clock.advance(minutes=15)
    await change(session, PASSWORD, ANOTHER)


async def test_a_disabled_person_is_out_at_once_and_in_again_when_enabled(office: Office) -> None:
    await office.hire("amina")
    await office.hire("bola")
    token = (await office.sign_in("amina")).token
    session = await office.of(token)

    await office.people.staff.disable(COMMAND, "AMINA@example.com")

    assert await office.ended(token)
    with refused(Code.SESSION_OVER):
        await office.people.accounts.change(session, name="New", language="fr")
    with refused(Code.WRONG_SIGN_IN):
        await office.sign_in("amina")
    with refused(Code.NOT_ALLOWED):
        await office.people.staff.password_link(COMMAND, "amina@example.com")
    await office.people.staff.enable(COMMAND, "amina@example.com")
    assert await office.ended(token)
    await office.sign_in("amina")
    with refused(Code.NOT_FOUND):
        await office.people.staff.disable(COMMAND, "nobody@example.com")


async def test_a_change_in_another_process_holds_here_with_the_next_request(
    office: Office, settings: Settings, clock: ManualClock
) -> None:
    await office.hire("amina")
    await office.hire("bola")
    tokens = [(await office.sign_in(name)).token for name in ("amina", "bola")]
    company_id = await office.company()
    assert (await office.of(tokens[1])).right(company_id, Right.PEOPLE)

    async with opened(settings, clock) as other:
        elsewhere = people_of(other)
        amina, bola = [await office.of(token) for token in tokens]
        await elsewhere.members.change_role(amina, company_id, bola.person.id, Role.VIEWER)
        await elsewhere.staff.disable(COMMAND, "amina@example.com")
        elsewhere.close()

    assert await office.ended(tokens[0])
    assert not (await office.of(tokens[1])).right(company_id, Right.PEOPLE)


async def test_a_password_is_hashed_anew_when_a_hash_costs_something_else(
    office: Office, house: House
) -> None:
    person_id = await office.hire("amina")

    async def stored() -> str:
        text: str = await house.database.fetchval(
            "select password_hash from people where id = $1", person_id
        )
        return text

    before = await stored()
    await office.sign_in("amina")
    assert await stored() == before
    dearer = people_of(house, Cost(passes=2, memory_kib=16, lanes=1))
    await dearer.sign_in("amina@example.com", PASSWORD, address=HERE, agent=AGENT)

    assert "m=16,t=2,p=1" in await stored()
    await dearer.sign_in("amina@example.com", PASSWORD, address=HERE, agent=AGENT)
    dearer.close()


# How often one may be wrong.


async def test_a_password_that_is_wrong_too_often_is_not_read_until_later(
    office: Office, clock: ManualClock
) -> None:
    await office.hire("amina")
    await wrong(office, BOUNDS[Scope.PAIR].most)

    with pytest.raises(Refusal) as caught:
        await office.sign_in("amina")
    assert (caught.value.code, caught.value.retry_after) == (Code.TOO_MANY_FAILURES, 900)
    # From elsewhere it is read, and so is another email from here.
    await office.sign_in("amina", address=THERE)
    await office.hire("bola")
    await office.sign_in("bola")
    clock.advance(minutes=15)
    await office.sign_in("amina")


async def test_failures_are_counted_for_all_processes_together(
    office: Office, settings: Settings, clock: ManualClock
) -> None:
    await office.hire("amina")
    await wrong(office, BOUNDS[Scope.PAIR].most)

    async with opened(settings, clock) as other:
        elsewhere = people_of(other)
        with refused(Code.TOO_MANY_FAILURES):
            await elsewhere.sign_in("amina@example.com", PASSWORD, address=HERE, agent=AGENT)
        elsewhere.close()


async def test_many_at_the_same_moment_are_not_all_read(office: Office) -> None:
    await office.hire("amina")

    async def attempt() -> Code:
        with pytest.raises(Refusal) as caught:
            await office.sign_in("amina", ANOTHER)
        return caught.value.code

    codes = await asyncio.gather(*(attempt() for _ in range(20)))

    assert codes.count(Code.WRONG_SIGN_IN) <= BOUNDS[Scope.PAIR].most
    assert set(codes) <= {Code.WRONG_SIGN_IN, Code.TOO_MANY_FAILURES}


async def test_a_browser_of_the_person_s_own_is_read_whatever_strangers_do(
    office: Office, clock: ManualClock
) -> None:
    await office.hire("amina")
    device = (await office.sign_in("amina")).device
    await wrong(office, BOUNDS[Scope.PAIR].most)
    for number in range(BOUNDS[Scope.EMAIL].most - BOUNDS[Scope.PAIR].most):
        await wrong(office, 1, address=f"203.0.113.{number}")

    with refused(Code.TOO_MANY_FAILURES):
        await office.sign_in("amina", address=THERE)
    again = await office.sign_in("amina", device=device)
    assert again.device == device
    # Its own failures are bounded too, and hold up nobody else.
    for _ in range(BOUNDS[Scope.DEVICE].most):
        with refused(Code.WRONG_SIGN_IN):
            await office.sign_in("amina", ANOTHER, device=device)
    with refused(Code.TOO_MANY_FAILURES):
        await office.sign_in("amina", device=device)
    clock.advance(hours=1)
    await office.sign_in("amina", address=THERE)


async def test_a_browser_that_is_known_to_one_person_is_a_stranger_to_another(
    office: Office,
) -> None:
    await office.hire("amina")
    await office.hire("bola")
    device = (await office.sign_in("bola")).device
    await wrong(office, BOUNDS[Scope.PAIR].most)

    for forged in (device, "kpdev_", "kpdev__", device.replace("kpdev_", "kpdev_a"), "é"):
        with refused(Code.TOO_MANY_FAILURES):
            await office.sign_in("amina", device=forged)


async def test_an_address_that_tries_email_after_email_is_not_read(office: Office) -> None:
    await office.hire("amina")
    for number in range(BOUNDS[Scope.ADDRESS].most):
        await wrong(office, 1, name=f"person{number}")

    with refused(Code.TOO_MANY_FAILURES):
        await office.sign_in("amina")
    await office.sign_in("amina", address=THERE)


async def test_attempts_that_are_not_read_do_not_count_against_the_email(office: Office) -> None:
    """Else one address could hold up a person's every other browser by itself."""
    await office.hire("amina")
    await wrong(office, BOUNDS[Scope.PAIR].most)
    for _ in range(BOUNDS[Scope.EMAIL].most):
        with refused(Code.TOO_MANY_FAILURES):
            await office.sign_in("amina", ANOTHER)

    await office.sign_in("amina", address=THERE)


async def test_being_right_counts_for_nothing(office: Office) -> None:
    await office.hire("amina")
    for _ in range(2):
        await wrong(office, BOUNDS[Scope.PAIR].most // 2 - 1)
        for _ in range(3):
            await office.sign_in("amina")


async def test_too_many_who_wait_are_told_to_come_back(
    office: Office, people: People, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.hire("amina")
    monkeypatch.setattr("kpay.people.passwords.MOST_WAITING", 0)

    async def attempt() -> str:
        try:
            return (await office.sign_in("amina", address=None)).token
        except Refusal as refusal:
            assert refusal.code is Code.BUSY  # noqa: PT017 — either way out is right
            return ""

    tokens = await asyncio.gather(*(attempt() for _ in range(6)))

    assert any(tokens)
    # Nobody was wrong, so nobody is held up by it.
    await wrong(office, BOUNDS[Scope.PAIR].most)
    with refused(Code.TOO_MANY_FAILURES):
        await office.sign_in("amina")


async def test_what_is_over_is_swept_away(office: Office, house: House, clock: ManualClock) -> None:
    await office.hire("amina")
    await wrong(office, 1)
    token = (await office.sign_in("amina")).token
    assert await office.people.sweep(100) == 0
    clock.advance(hours=11)
    kept = (await office.sign_in("amina")).token

    clock.advance(hours=1, seconds=1)
    swept = await office.people.sweep(100)

    assert swept > 1
    assert await house.database.fetchval("select count(*) from sessions") == 1
    assert await house.database.fetchval("select count(*) from sign_in_failures") == 0
    assert await office.ended(token)
    assert await office.ended(kept)


async def test_the_operator_s_own_are_in_no_company_and_a_merchant_s_person_is_not_theirs(
    office: Office,
) -> None:
    await office.hire("amina")
    await office.employ("olga", OperatorRole.ADMIN)
    with refused(Code.EMAIL_TAKEN):
        await office.employ("amina", OperatorRole.ADMIN)
    with refused(Code.EMAIL_TAKEN):
        await office.hire("olga")

    person_id: UUID = (await office.session("olga")).person.id
    await office.employ("olga", OperatorRole.SUPPORT)

    session = await office.session("olga")
    assert (session.person.id, session.memberships) == (person_id, ())
    assert session.person.operator_role is OperatorRole.SUPPORT
    assert not session.right(await office.company(), Right.VIEW_MONEY)
