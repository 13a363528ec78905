"""A company's people: invitations, roles, removals, links, and that an owner is left."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from uuid import UUID, uuid4

from kpay.app import House
from kpay.audit.model import Action
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.people.model import Link, OperatorRole, Right, Role, Session
from tests.people import (
    ANOTHER,
    COMMAND,
    HERE,
    PASSWORD,
    THERE,
    Office,
    email_of,
    refused,
)


def token_of(link: Link) -> str:
    return link.url.rpartition("/")[2]


async def invited(office: Office, session: Session, name: str, role: Role = Role.FINANCE) -> str:
    """The token of an invitation to Acme."""
    link = await office.people.members.invite(session, await office.company(), email_of(name), role)
    return token_of(link)


async def join(office: Office, token: str, name: str = "New", password: str = PASSWORD) -> str:
    return await office.people.members.accept_as_new(
        token, name=name, password=password, language="fr", address=THERE
    )


async def test_who_is_invited_becomes_a_person_and_a_member(
    office: Office, house: House, clock: ManualClock
) -> None:
    await office.hire("amina")
    owner, company_id = await office.session("amina"), await office.company()
    link = await office.people.members.invite(owner, company_id, "New@Example.com", Role.FINANCE)
    assert link.url.startswith(f"{house.settings.public_url}/dashboard/invitation/kpinv_")
    assert link.ends_at == clock.now() + timedelta(days=7)
    invitation, known = await office.people.members.invitation(token_of(link))
    assert (invitation.email, invitation.role, known) == ("new@example.com", Role.FINANCE, False)
    assert invitation.company_name == "Acme"

    device = await join(office, token_of(link), "  Nadège\u0301   Obi ")

    signed = await office.sign_in("new", device=device)
    assert signed.device == device
    session = await office.of(signed.token)
    assert session.person.language == "fr"
    assert session.right(company_id, Right.MOVE_MONEY)
    members = await office.people.members.of_company(session, company_id)
    assert [(member.person.email, member.role) for member in members] == [
        ("amina@example.com", Role.OWNER),
        ("new@example.com", Role.FINANCE),
    ]
    assert await office.people.members.invitations(owner, company_id) == []
    [accepted] = await office.log(company_id=company_id, action=Action.INVITATION_ACCEPTED)
    [made] = await office.log(company_id=company_id, action=Action.INVITED)
    assert (accepted.person_email, accepted.address) == ("new@example.com", THERE)
    assert made.details == {"email": "new@example.com", "role": "FINANCE"}


async def test_an_invitation_is_good_once(office: Office) -> None:
    await office.hire("amina")
    token = await invited(office, await office.session("amina"), "new")
    await join(office, token)

    with refused(Code.INVITATION_OVER):
        await join(office, token)
    with refused(Code.INVITATION_OVER):
        await office.people.members.accept(await office.session("new"), token)


async def test_two_who_accept_at_the_same_moment_are_one(office: Office) -> None:
    await office.hire("amina")
    token = await invited(office, await office.session("amina"), "new")

    results = await asyncio.gather(*(join(office, token) for _ in range(3)), return_exceptions=True)

    assert sum(isinstance(one, str) for one in results) == 1
    assert {one.code for one in results if isinstance(one, Refusal)} <= {
        Code.EMAIL_TAKEN,
        Code.INVITATION_OVER,
    }


async def test_an_invitation_ends_after_a_week(office: Office, clock: ManualClock) -> None:
    await office.hire("amina")
    token = await invited(office, await office.session("amina"), "new")

    clock.advance(days=6, hours=23, minutes=59, seconds=59)
    await office.people.members.invitation(token)
    clock.advance(seconds=1)
    with refused(Code.INVITATION_OVER):
        await join(office, token)


async def test_an_invitation_is_withdrawn_or_replaced_by_a_newer_one(office: Office) -> None:
    await office.hire("amina")
    owner, company_id = await office.session("amina"), await office.company()
    members = office.people.members
    first = await invited(office, owner, "new")
    second = await invited(office, owner, "new", Role.VIEWER)
    with refused(Code.INVITATION_OVER):
        await join(office, first)
    [listed] = await members.invitations(owner, company_id)
    assert listed.role is Role.VIEWER

    await members.withdraw(owner, company_id, listed.id)

    with refused(Code.INVITATION_OVER):
        await join(office, second)
    with refused(Code.INVITATION_OVER):
        await members.withdraw(owner, company_id, listed.id)
    with refused(Code.INVITATION_OVER):
        await members.invitation("kpinv_nothing")


async def test_an_invitation_ends_with_the_owner_who_made_it(office: Office) -> None:
    """Else who is removed could come back by an invitation to another email."""
    await office.hire("amina")
    await office.hire("bola")
    amina, bola = await office.session("amina"), await office.session("bola")
    company_id = await office.company()
    tokens = [await invited(office, bola, f"new{number}", Role.OWNER) for number in range(2)]

    await office.people.members.change_role(amina, company_id, bola.person.id, Role.VIEWER)

    for token in tokens:
        with refused(Code.INVITATION_OVER):
            await join(office, token)


async def test_a_person_who_exists_signs_in_to_accept(office: Office) -> None:
    await office.hire("amina")
    await office.hire("bola", company="Other")
    await office.hire("carl", company="Other")
    await office.employ("olga", OperatorRole.ADMIN)
    owner, company_id = await office.session("amina"), await office.company()
    token = await invited(office, owner, "bola", Role.APPROVER)
    _, known = await office.people.members.invitation(token)
    assert known
    with refused(Code.EMAIL_TAKEN):
        await join(office, token)
    for name in ("carl", "olga"):
        with refused(Code.NOT_ALLOWED):
            await office.people.members.accept(await office.session(name), token)

    session = await office.session("bola")
    assert await office.people.members.accept(session, token) == company_id

    session = await office.session("bola")
    assert {(one.company_name, one.role) for one in session.memberships} == {
        ("Acme", Role.APPROVER),
        ("Other", Role.OWNER),
    }
    with refused(Code.ALREADY_MEMBER):
        await invited(office, owner, "bola")
    with refused(Code.NOT_ALLOWED):
        await invited(office, owner, "olga")


async def test_a_name_or_a_password_that_will_not_do_uses_no_invitation_up(
    office: Office,
) -> None:
    await office.hire("amina")
    owner = await office.session("amina")
    token = await invited(office, owner, "new")
    for name, password, code in (
        ("", PASSWORD, Code.INVALID_PARAMETER),
        ("a\x00b", PASSWORD, Code.INVALID_PARAMETER),
        ("x" * 101, PASSWORD, Code.INVALID_PARAMETER),
        ("Nadia", "short", Code.WEAK_PASSWORD),
        ("Nadia", "nadia is my name", Code.WEAK_PASSWORD),
    ):
        with refused(code):
            await join(office, token, name, password)
    for email in ("", "no email", "a@b", "a@example.com\x00", f"{'a' * 250}@example.com"):
        with refused(Code.INVALID_PARAMETER):
            await office.people.members.invite(owner, await office.company(), email, Role.VIEWER)

    await join(office, token)


async def test_only_owners_manage_people_and_only_their_own_company_s(office: Office) -> None:
    await office.hire("amina")
    ids = {role: await office.hire(role.lower(), role) for role in Role if role is not Role.OWNER}
    await office.hire("stranger", company="Other")
    await office.employ("olga", OperatorRole.ADMIN)
    company_id, members = await office.company(), office.people.members
    owner = await office.session("amina")
    token = await invited(office, owner, "new")
    [invitation] = await members.invitations(owner, company_id)

    for name in (*(role.lower() for role in ids), "stranger", "olga"):
        session = await office.session(name)
        for attempt in (
            members.invite(session, company_id, "x@example.com", Role.VIEWER),
            members.withdraw(session, company_id, invitation.id),
            members.change_role(session, company_id, session.person.id, Role.OWNER),
            members.remove(session, company_id, owner.person.id),
            members.password_link(session, company_id, ids[Role.VIEWER]),
            members.invitations(session, company_id),
        ):
            with refused(Code.NOT_ALLOWED):
                await attempt
    for name in ("stranger", "olga"):
        with refused(Code.NOT_ALLOWED):
            await members.of_company(await office.session(name), company_id)
    await members.invitation(token)
    # A company that is not there is as one that is not yours.
    with refused(Code.NOT_ALLOWED):
        await members.invite(owner, uuid4(), "x@example.com", Role.VIEWER)


async def test_an_owner_finds_nobody_of_another_company(office: Office) -> None:
    await office.hire("amina")
    stranger = await office.hire("stranger", company="Other")
    owner, company_id, members = (
        await office.session("amina"),
        await office.company(),
        office.people.members,
    )
    for attempt in (
        members.change_role(owner, company_id, stranger, Role.VIEWER),
        members.remove(owner, company_id, stranger),
        members.password_link(owner, company_id, stranger),
    ):
        with refused(Code.NOT_FOUND):
            await attempt


async def test_a_role_changed_or_taken_holds_with_the_next_request(office: Office) -> None:
    await office.hire("amina")
    bola_id = await office.hire("bola", Role.FINANCE)
    owner, company_id, members = (
        await office.session("amina"),
        await office.company(),
        office.people.members,
    )
    token = (await office.sign_in("bola")).token

    await members.change_role(owner, company_id, bola_id, Role.VIEWER)
    assert not (await office.of(token)).right(company_id, Right.MOVE_MONEY)
    assert (await office.of(token)).right(company_id, Right.VIEW_MONEY)
    await members.remove(owner, company_id, bola_id)
    assert not (await office.of(token)).right(company_id, Right.VIEW_MONEY)

    changed, removed = (
        await office.log(action=Action.MEMBER_ROLE_CHANGED),
        await office.log(action=Action.MEMBER_REMOVED),
    )
    assert changed[0].details == {"before": "FINANCE", "role": "VIEWER"}
    assert (changed[0].subject.kind, changed[0].subject.id) == ("person", str(bola_id))
    assert removed[0].details == {"role": "VIEWER"}


async def test_an_owner_who_was_just_removed_changes_nothing_with_what_was_looked_up(
    office: Office,
) -> None:
    await office.hire("amina")
    await office.hire("bola")
    amina, bola = await office.session("amina"), await office.session("bola")
    company_id, members = await office.company(), office.people.members
    await members.remove(amina, company_id, bola.person.id)

    with refused(Code.NOT_ALLOWED):
        await members.invite(bola, company_id, "x@example.com", Role.OWNER)
    await office.people.sign_out(amina)
    with refused(Code.SESSION_OVER):
        await members.invite(amina, company_id, "x@example.com", Role.OWNER)


async def test_a_company_keeps_an_owner(office: Office) -> None:
    amina_id = await office.hire("amina")
    await office.hire("bola", Role.FINANCE)
    owner, company_id, members = (
        await office.session("amina"),
        await office.company(),
        office.people.members,
    )
    for attempt in (
        members.leave(owner, company_id),
        members.remove(owner, company_id, amina_id),
        members.change_role(owner, company_id, amina_id, Role.FINANCE),
    ):
        with refused(Code.LAST_OWNER):
            await attempt
    await members.change_role(owner, company_id, amina_id, Role.OWNER)
    await members.leave(await office.session("bola"), company_id)
    carl_id = await office.hire("carl")
    # An owner who cannot sign in is none.
    await office.people.staff.disable(COMMAND, email_of("carl"))
    with refused(Code.LAST_OWNER):
        await members.leave(owner, company_id)
    await members.remove(owner, company_id, carl_id)
    await office.people.staff.create(
        COMMAND, company_name="Acme", email=email_of("dina"), name="Dina", role=Role.OWNER
    )

    await members.leave(owner, company_id)

    with refused(Code.NOT_ALLOWED):
        await members.leave(owner, company_id)


async def test_owners_who_remove_each_other_at_the_same_moment_do_not_both(
    office: Office,
) -> None:
    ids: list[UUID] = [await office.hire(name) for name in ("amina", "bola")]
    sessions = [await office.session(name) for name in ("amina", "bola")]
    company_id, members = await office.company(), office.people.members

    results = await asyncio.gather(
        members.remove(sessions[0], company_id, ids[1]),
        members.remove(sessions[1], company_id, ids[0]),
        return_exceptions=True,
    )

    assert [one.code for one in results if isinstance(one, Refusal)] == [Code.NOT_ALLOWED]
    assert len([one for one in results if one is None]) == 1


async def test_owners_who_leave_at_the_same_moment_do_not_all(office: Office) -> None:
    names = ("amina", "bola", "carl")
    for name in names:
        await office.hire(name)
    company_id = await office.company()

    results = await asyncio.gather(
        *[office.people.members.leave(await office.session(name), company_id) for name in names],
        return_exceptions=True,
    )

    assert [one.code for one in results if isinstance(one, Refusal)] == [Code.LAST_OWNER]
    assert len([one for one in results if one is None]) == 2


# Links to set a password with.


async def test_a_link_sets_a_password_once_within_an_hour(
    office: Office, house: House, clock: ManualClock
) -> None:
    await office.hire("amina")
    tokens = [(await office.sign_in("amina")).token for _ in range(2)]
    accounts, staff = office.people.accounts, office.people.staff
    first = await staff.password_link(COMMAND, email_of("amina"))
    link = await staff.password_link(COMMAND, email_of("amina"))
    assert link.url.startswith(f"{house.settings.public_url}/dashboard/password/kppwd_")
    assert (await accounts.whose_link(token_of(link))).email == email_of("amina")
    with refused(Code.LINK_OVER):
        await accounts.set_password(token_of(first), ANOTHER, address=HERE)
    with refused(Code.WEAK_PASSWORD):
        await accounts.set_password(token_of(link), "short", address=HERE)

    device = await accounts.set_password(token_of(link), ANOTHER, address=HERE)

    assert [await office.ended(token) for token in tokens] == [True, True]
    with refused(Code.LINK_OVER):
        await accounts.set_password(token_of(link), PASSWORD, address=HERE)
    with refused(Code.WRONG_SIGN_IN):
        await office.sign_in("amina")
    await office.sign_in("amina", ANOTHER, device=device)

    late = await staff.password_link(COMMAND, email_of("amina"))
    clock.advance(hours=1)
    for over in (token_of(late), "kppwd_", "", "é"):
        with refused(Code.LINK_OVER):
            await accounts.set_password(over, PASSWORD, address=HERE)


async def test_a_link_that_is_used_twice_at_the_same_moment_is_used_once(office: Office) -> None:
    await office.hire("amina")
    link = await office.people.staff.password_link(COMMAND, email_of("amina"))

    results = await asyncio.gather(
        *(
            office.people.accounts.set_password(token_of(link), f"{ANOTHER} {n}", address=HERE)
            for n in range(3)
        ),
        return_exceptions=True,
    )

    assert [one.code for one in results if isinstance(one, Refusal)] == [Code.LINK_OVER] * 2


async def test_who_was_made_without_a_password_has_a_week_to_set_it(
    office: Office, clock: ManualClock
) -> None:
    person, link = await office.people.staff.create(
        COMMAND, company_name="Acme", email=email_of("new"), name="New", role=Role.OWNER
    )
    assert link is not None
    clock.advance(days=6)
    await office.people.accounts.set_password(token_of(link), PASSWORD, address=HERE)

    assert (await office.session("new")).person.id == person.id


async def test_an_owner_makes_a_link_only_for_who_is_wholly_under_that_owner(
    office: Office,
) -> None:
    await office.hire("amina")
    viewer = await office.hire("viewer", Role.VIEWER)
    owner_too = await office.hire("bola")
    elsewhere = await office.hire("carl", Role.VIEWER)
    await office.hire("carl", Role.VIEWER, company="Other")
    owner, company_id, members = (
        await office.session("amina"),
        await office.company(),
        office.people.members,
    )
    for person_id in (owner_too, elsewhere, owner.person.id):
        with refused(Code.NOT_ALLOWED):
            await members.password_link(owner, company_id, person_id)

    link = await members.password_link(owner, company_id, viewer)
    await office.people.accounts.set_password(token_of(link), ANOTHER, address=THERE)

    await office.sign_in("viewer", ANOTHER)
    made, used = (
        await office.log(action=Action.PASSWORD_LINK_MADE),
        await office.log(action=Action.PASSWORD_SET_BY_LINK),
    )
    assert (made[0].person_id, made[0].subject.id) == (owner.person.id, str(viewer))
    assert (used[0].person_id, used[0].company_id) == (viewer, company_id)


async def test_a_link_ends_with_the_owner_who_made_it(office: Office) -> None:
    await office.hire("amina")
    bola_id = await office.hire("bola")
    viewer = await office.hire("viewer", Role.VIEWER)
    amina, bola = await office.session("amina"), await office.session("bola")
    company_id, members = await office.company(), office.people.members
    link = await members.password_link(bola, company_id, viewer)

    await members.remove(amina, company_id, bola_id)

    with refused(Code.LINK_OVER):
        await office.people.accounts.set_password(token_of(link), ANOTHER, address=THERE)
