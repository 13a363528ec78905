"""The audit log as a file: narrowed like the page, with no more than its reader may know."""

from __future__ import annotations

import csv
import io
from uuid import UUID

import pytest

from kpay.app import House
from kpay.audit.model import Action, Subject
from kpay.core.clock import ManualClock
from kpay.people.model import OperatorRole
from kpay.web.api import Api
from tests.client import Answer
from tests.people import COMMAND, Office, email_of, people_of
from tests.visitors import Visitor, words

EVERYTHING = "/dashboard/office/audit"


@pytest.fixture
async def office(house: House, clock: ManualClock) -> Office:
    house.people = people_of(house)
    made = Office(house, house.people, clock)
    await made.hire("awa")
    await made.employ("ada", OperatorRole.ADMIN)
    return made


@pytest.fixture
def api(house: House, office: Office) -> Api:
    return house.asgi()


def rows(answer: Answer) -> list[dict[str, str]]:
    assert answer.status == 200
    assert answer.whole
    return list(csv.DictReader(io.StringIO(answer.raw.decode("utf-8-sig"))))


async def fill(house: House, company_id: UUID, count: int) -> None:
    async with house.database.transaction() as connection:
        for number in range(count):
            await house.audit.write(
                connection,
                house.clock.now(),
                COMMAND,
                Action.MEMBER_REMOVED,
                Subject("person", str(UUID(int=number))),
                companies=[company_id],
                details={"email": f"=cmd{number}@example.com"},
            )


async def test_a_file_has_every_line_that_the_filters_leave_the_newest_first(
    house: House, office: Office, api: Api
) -> None:
    company_id = await office.company()
    await fill(house, company_id, 230)
    awa = await Visitor.signed_in(api, office, "awa")
    address = f"/dashboard/company/{company_id}/audit"
    page = await awa.get(address, action="member.removed")
    assert f'href="{address}/export?action=member.removed"' in page.raw.decode()

    answer = await awa.get(f"{address}/export", action="member.removed")
    found = rows(answer)
    assert [row["subjectId"] for row in found] == [
        str(UUID(int=number)) for number in reversed(range(230))
    ]
    assert answer.headers["content-disposition"] == 'attachment; filename="kpay-audit.csv"'
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert found[0]["by"] == "operator"
    assert found[0]["command"] == COMMAND.command
    everything = rows(await awa.get(f"{address}/export"))
    assert {row["action"] for row in everything} >= {"session.signed_in", "member.added"}
    assert rows(await awa.get(f"{address}/export", to="2026-06-22")) == []
    dated = await awa.get(f"{address}/export", **{"from": "2026-06-23", "to": "2026-06-23"})
    assert len(rows(dated)) == len(everything)
    assert "kpay-audit-20260623-20260623.csv" in dated.headers["content-disposition"]


async def test_a_company_s_file_names_none_of_the_staff_and_the_operator_s_does(
    house: House, office: Office, api: Api
) -> None:
    company_id = await office.company()
    session = await office.session("ada")
    await house.office.approve_company("Acme", by=session.actor, reason="Papers")
    awa = await Visitor.signed_in(api, office, "awa")
    ada = await Visitor.signed_in(api, office, "ada")
    theirs = rows(await awa.get(f"/dashboard/company/{company_id}/audit/export"))
    ours = rows(await ada.get(f"{EVERYTHING}/export", company=str(company_id)))
    (told,) = [row for row in theirs if row["action"] == "company.approved"]
    (whole,) = [row for row in ours if row["action"] == "company.approved"]
    assert (told["by"], told["name"], told["email"], told["address"]) == ("operator", "", "", "")
    assert told["details"] == '{"reason": "Papers"}'.replace(": ", ":")
    assert (whole["by"], whole["name"], whole["email"]) == ("operator", "Ada", email_of("ada"))
    assert [row["id"] for row in theirs] == [row["id"] for row in ours]


async def test_the_operator_s_log_has_every_company_and_the_installation(
    house: House, office: Office, api: Api
) -> None:
    await office.hire("bola", company="Other")
    ada = await Visitor.signed_in(api, office, "ada")
    found = rows(await ada.get(f"{EVERYTHING}/export"))
    assert {row["company"] for row in found} == {"", "Acme", "Other"}
    page = words(await ada.get(EVERYTHING))
    assert "KPay’s operator added Bola as Owner" in page
    one = words(await ada.get(EVERYTHING, company=str(await office.company("Other"))))
    assert "Who did what in Other" in one
    assert "Awa" not in one


async def test_a_company_cannot_ask_for_another_s_lines(
    house: House, office: Office, api: Api
) -> None:
    await office.hire("bola", company="Other")
    acme, other = await office.company(), await office.company("Other")
    awa = await Visitor.signed_in(api, office, "awa")
    found = rows(await awa.get(f"/dashboard/company/{acme}/audit/export", company=str(other)))
    assert {row["company"] for row in found} == {"Acme"}
