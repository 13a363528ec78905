"""The audit log: written with the deed or not at all, narrowed, paged, and without a secret."""

from __future__ import annotations

from datetime import timedelta
from uuid import UUID

import pytest

from kpay.app import House
from kpay.audit.flow import Audit
from kpay.audit.model import Action, AuditFilter, Entry, Subject
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code
from kpay.people.model import OperatorRole, Role
from tests.flows.test_access import everything
from tests.people import ANOTHER, COMMAND, PASSWORD, THERE, Office, email_of, refused

# What is asked for on the page of a transaction: test_transaction_pages.py has each of them.
OF_TRANSACTIONS = {Action.CANCELLING_ASKED, Action.REFUND_ASKED}
# What the operator changes, and what is asked of webhooks: tests of those pages have each of them.
OF_OFFICE = {
    Action.COMPANY_APPROVED,
    Action.APPROVAL_WITHDRAWN,
    Action.TERMS_CHANGED,
    Action.LIMITS_SET,
    Action.LIMITS_LIFTED,
    Action.REPLAY_ASKED,
    Action.PERIOD_REPLAYED,
    Action.WEBHOOK_TESTED,
    Action.WEBHOOK_RESUMED,
    Action.CONTRADICTION_SETTLED,
    Action.BREAK_CLOSED,
}
# Who may call, and where webhooks go: test_access_on_record.py has each of them.
OF_ACCESS = {
    Action.APPLICATION_CREATED,
    Action.KEYS_MADE,
    Action.TOKEN_KEY_ROTATED,
    Action.WEBHOOK_SET,
    Action.WEBHOOK_REMOVED,
    Action.WEBHOOK_SECRET_SHOWN,
    Action.WEBHOOK_SECRET_ROTATED,
}
# Deeds of the operator's that are no people's affair: each is tested where it is done.
OF_THE_BOOKS = {Action.CONTRADICTION_SETTLED, Action.BREAK_CLOSED}
# What is asked of a second person, and decided: test_dashboard_approvals.py.
OF_APPROVALS = {
    Action.APPROVAL_ASKED,
    Action.APPROVAL_GIVEN,
    Action.APPROVAL_REFUSED,
    Action.APPROVAL_TAKEN_BACK,
    Action.APPROVAL_RULES_CHANGED,
}


async def deed(house: House, number: int, company_id: UUID | None = None) -> None:
    async with house.database.transaction() as connection:
        await house.audit.write(
            connection,
            house.clock.now(),
            COMMAND,
            Action.PERSON_CHANGED,
            Subject("person", str(number)),
            companies=[] if company_id is None else [company_id],
            details={"number": number},
        )


def numbers(entries: list[Entry]) -> list[object]:
    return [entry.details["number"] for entry in entries]


async def test_a_page_goes_on_where_the_one_before_ended(house: House) -> None:
    for number in range(5):
        await deed(house, number)

    page = await house.audit.page(AuditFilter(limit=2))
    assert numbers(page) == [4, 3, 2]
    page = await house.audit.page(AuditFilter(limit=2, before=page[1].id))
    assert numbers(page) == [2, 1, 0]
    page = await house.audit.page(AuditFilter(limit=2, before=page[1].id))
    assert numbers(page) == [0]


async def test_the_log_is_narrowed_by_whom_what_when_and_whose(
    office: Office, house: House, clock: ManualClock
) -> None:
    start = clock.now()
    amina = await office.hire("amina")
    await office.hire("bola", company="Other")
    acme, other = await office.company("Acme"), await office.company("Other")
    clock.advance(hours=1)
    await office.session("amina")
    await office.session("bola")

    signed_in = await office.log(action=Action.SIGNED_IN)
    assert [entry.company_id for entry in signed_in] == [other, acme]
    assert {entry.company_id for entry in await office.log(company_id=acme)} == {acme}
    assert [e.action for e in await office.log(person_id=amina)] == [Action.SIGNED_IN]
    about = await office.log(subject=Subject("person", str(amina)))
    assert [entry.action for entry in about] == [Action.MEMBER_ADDED, Action.PERSON_CREATED]
    assert [(entry.command, entry.person_id) for entry in about] == [(COMMAND.command, None)] * 2
    later = start + timedelta(minutes=30)
    assert {entry.action for entry in await office.log(since=later)} == {Action.SIGNED_IN}
    assert Action.SIGNED_IN not in {entry.action for entry in await office.log(until=later)}


async def test_what_is_not_done_is_not_recorded_and_what_cannot_be_recorded_is_not_done(
    office: Office, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    await office.hire("amina")
    token, company_id = (await office.sign_in("amina")).token, await office.company()
    session = await office.of(token)
    before = len(await office.log())
    with refused(Code.LAST_OWNER):
        await office.people.members.leave(session, company_id)
    assert len(await office.log()) == before

    async def fails(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("no line can be written")

    monkeypatch.setattr(Audit, "write", fails)
    with pytest.raises(RuntimeError):
        await office.sign_in("amina")
    with pytest.raises(RuntimeError):
        await office.people.accounts.change(session, name="New", language="fr")

    assert len(await office.people.sessions(session)) == 1
    assert (await office.of(token)).person.name == "Amina"


async def test_a_deed_of_a_person_of_two_companies_stands_in_both_logs(office: Office) -> None:
    await office.hire("amina")
    await office.hire("amina", company="Other")
    await office.employ("olga", OperatorRole.SUPPORT)
    await office.session("amina")
    await office.session("olga")

    signed_in = await office.log(action=Action.SIGNED_IN)

    assert {entry.company_id for entry in signed_in} == {
        None,
        await office.company("Acme"),
        await office.company("Other"),
    }


async def test_every_verb_is_recorded_and_no_secret_with_it(office: Office, house: House) -> None:
    people, staff, members = office.people, office.people.staff, office.people.members
    secrets = [PASSWORD, ANOTHER]
    amina = await office.hire("amina")
    bola = await office.hire("bola", Role.VIEWER)
    carl = await office.hire("carl", Role.VIEWER)
    await office.employ("olga", OperatorRole.ADMIN)
    await office.employ("olga", OperatorRole.SUPPORT)
    company_id = await office.company()
    signed = await office.sign_in("amina")
    owner = await office.of(signed.token)
    secrets += [signed.token, signed.device, owner.csrf_token]
    await people.accounts.change(owner, name="Amina B", language="fr")
    codes = await office.set_up(owner)
    secrets += [*codes, office.apps[amina].secret]
    for code in (office.code(amina), codes[0]):
        signed = await people.give_code((await office.sign_in("amina")).token, code)
        secrets.append(signed.token)
    owner = await office.of(signed.token)
    secrets += await people.accounts.renew_recovery_codes(owner, PASSWORD)
    await people.sign_out_elsewhere(owner)
    links = [
        await members.invite(owner, company_id, email_of("new"), Role.VIEWER),
        await members.invite(owner, company_id, email_of("gone"), Role.VIEWER),
        await members.password_link(owner, company_id, bola),
    ]
    tokens = [link.url.rpartition("/")[2] for link in links]
    secrets += tokens
    listed = await members.invitations(owner, company_id)
    await members.withdraw(owner, company_id, listed[0].id)
    device = await members.accept_as_new(tokens[0], name="New", password=PASSWORD, address=THERE)
    secrets += [device, await people.accounts.set_password(tokens[2], ANOTHER, address=THERE)]
    await members.change_role(owner, company_id, carl, Role.FINANCE)
    await members.leave(await office.of((await office.sign_in("bola", ANOTHER)).token), company_id)
    await members.remove(owner, company_id, carl)
    await staff.sign_out(COMMAND, email_of("carl"))
    await staff.disable(COMMAND, email_of("carl"))
    await staff.enable(COMMAND, email_of("carl"))
    await people.accounts.change_password(owner, PASSWORD, ANOTHER)
    await people.accounts.remove_second_factor(owner, ANOTHER)
    await people.sign_out(owner)

    # Who moved money is written with the money: test_dashboard_moving.py.
    of_money = {Action.TRANSFER_MADE, Action.PAYOUT_REQUESTED}
    assert {entry.action for entry in await office.log()} == (
        set(Action)
        - OF_TRANSACTIONS
        - OF_OFFICE
        - OF_ACCESS
        - OF_THE_BOOKS
        - OF_APPROVALS
        - of_money
    )
    content = await everything(house)
    assert email_of("amina").encode() in content
    for secret in secrets:
        random = secret.rpartition("_")[2]
        assert random.encode() not in content, secret
