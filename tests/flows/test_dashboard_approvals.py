"""Approval by a second person: asked for with nothing moved, decided by another, moved once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from unittest.mock import patch
from uuid import UUID

import pytest

from kpay.app import House
from kpay.approvals.model import LIFE, Outcome, Rules
from kpay.audit.model import Action
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.dashboard import asking
from kpay.ledger.fence import overtaken
from kpay.people.model import Role
from kpay.settings import Settings
from tests.client import Answer, Merchant
from tests.flows.test_dashboard_moving import (
    PAYOUT,
    TRANSFER,
    Till,
    collect_live,
    hidden,
    moved_id,
    moves_of,
    till_of,
)
from tests.houses import opened
from tests.people import people_of
from tests.visitors import Visitor, words

EVERYTHING = Rules(others=True)
ABOVE_40_000 = Rules(above={"XAF": 4_000_000})


@dataclass
class Desk:
    """Fanta, who asks, and Ada, who approves; Awa owns the company."""

    till: Till
    house: House
    ada: Visitor
    awa: Visitor

    @property
    def book(self) -> Book:
        word = self.till.environment
        environment = Environment.TEST if word == "test" else Environment.PRODUCTION
        return Book(self.till.merchant.new.application.id, environment)

    async def rule(self, rules: Rules) -> None:
        """Put rules in force as an owner has set them."""
        answer = await self.save(self.awa, rules)
        assert answer.headers.get("location", "").endswith("/approvals?done=rules#main")

    async def save(self, visitor: Visitor, rules: Rules, **more: str) -> Answer:
        """The form of the rules, filled in and sent."""
        page = await visitor.get(f"{self.till.app}/approvals/rules")
        assert page.status == 200
        fields = {f"above-{name}": str(minor // 100) for name, minor in rules.above.items()}
        others = "all" if rules.others else "none"
        shown = {name: text for name, text in hidden(page).items() if not name.startswith("above")}
        return await visitor.post(
            f"{self.till.app}/approvals/rules/save",
            **{**shown, **fields, "others": others, **more},
        )

    async def ask(self, way: str, fields: Mapping[str, str], till: Till | None = None) -> str:
        """The address of the request that a form leads to."""
        who = till or self.till
        form = await who.confirmation(way, fields)
        assert form["ask"] == "1"
        return asked(await who.confirm(way, form))

    async def approve(self, path: str, visitor: Visitor | None = None) -> Answer:
        """Press the button of the page as it is shown to a visitor."""
        who = visitor or self.ada
        return await who.post(f"{path}/approve", **hidden(await who.get(path)))

    async def outcomes(self) -> list[Outcome | None]:
        rows = await self.house.database.fetch("select outcome from approvals order by asked_at")
        return [None if row["outcome"] is None else Outcome(row["outcome"]) for row in rows]


def asked(answer: Answer) -> str:
    """The address that an answer leads to, of a request."""
    assert answer.status == 303, words(answer)
    path, _, query = answer.headers["location"].partition("?")
    assert "/approvals/" in path
    assert query.startswith("done=asked")
    return path


def approved(answer: Answer) -> None:
    assert answer.status == 303, words(answer)
    assert answer.headers["location"].partition("?")[2].startswith("done=approved")


def over(answer: Answer) -> bool:
    return answer.status == 303 and "done=over" in answer.headers["location"]


@pytest.fixture
async def desk(house: House, clock: ManualClock) -> Desk:
    return await desk_of(house, clock)


async def desk_of(house: House, clock: ManualClock) -> Desk:
    till = await till_of(house, clock)
    await till.office.hire("ada", Role.APPROVER)
    ada = await Visitor.signed_in(till.merchant.api, till.office, "ada")
    awa = await Visitor.signed_in(till.merchant.api, till.office, "awa")
    return Desk(till, house, ada, awa)


async def test_a_payout_above_the_amount_moves_when_another_person_has_approved_it(
    desk: Desk,
) -> None:
    till = desk.till
    await desk.rule(ABOVE_40_000)
    review = await till.review("payout", {**PAYOUT, "description": "May's rent"})
    assert "It is more than 40,000 XAF, so another person has to approve it." in words(review)
    answer = await till.confirm("payout", hidden(review))
    path = asked(answer)
    # Nothing moved and nothing is held.
    assert await till.merchant.wallets() == {"CMR": (95_000, 0)}

    page = words(await desk.ada.get(path))
    for part in (
        "Pay 48,227 XOF to +237 653 456 789",
        "Asked for by Fanta, 23 Jun 2026, 10:00 UTC.",
        "It can be decided until 26 Jun 2026, 10:00 UTC.",
        "Leaves the wallet 50,000 XAF Fee 2,500 XAF Rate 1 XAF = 1.0153 XOF Arrives 48,227 XOF",
        "Then available 45,000 XAF",
        "MTN MoMo, Côte d’Ivoire",
        "May's rent",
        "Approve and pay 48,227 XOF",
    ):
        assert part in page
    approved(await desk.approve(path))

    assert await till.merchant.wallets() == {"CMR": (45_000, 50_000)}
    await till.merchant.house.worker.run_until_idle()
    assert await till.merchant.wallets() == {"CMR": (45_000, 0)}
    after = await till.visitor.get(path)
    assert "Approved by Ada, 23 Jun 2026" in words(after)
    link = re.search(r'href="(/dashboard/app/[^"]+/transactions/[^"]+)"', after.raw.decode())
    assert link is not None
    story = words(await till.visitor.get(link[1]))
    assert "Approval asked for 23 Jun 2026, 10:00:00 UTC By Fanta." in story
    assert "Approved 23 Jun 2026, 10:00:00 UTC By Ada." in story


async def test_a_transfer_is_approved_as_it_is_asked_for_and_may_be_asked_for_by_an_owner(
    desk: Desk,
) -> None:
    await desk.rule(EVERYTHING)
    owner = replace(desk.till, visitor=desk.awa)
    path = await desk.ask("transfer", TRANSFER, owner)
    assert "Move 50,000 XAF from Cameroon to Senegal" in words(await desk.ada.get(path))
    approved(await desk.approve(path))
    assert await desk.till.merchant.wallets() == {"CMR": (45_000, 0), "SEN": (50_765, 0)}


async def test_what_is_not_above_the_amount_moves_by_one_person(desk: Desk) -> None:
    await desk.rule(ABOVE_40_000)
    for amount in ("40000", "100"):
        form = await desk.till.confirmation("transfer", {**TRANSFER, "amount": amount})
        assert "ask" not in form
        moved_id(await desk.till.confirm("transfer", form))
    # Another currency has no rule.
    await desk.till.merchant.collect(100_000, "SEN")
    moved_id(await desk.till.move("transfer", {"from": "SEN", "to": "CIV", "amount": "50000"}))
    assert await desk.outcomes() == []


async def test_one_application_s_rules_are_no_other_s(desk: Desk, house: House) -> None:
    await desk.rule(EVERYTHING)
    other = await Merchant.join(house, "Acme", "other")
    await other.collect(100_000)
    elsewhere = replace(desk.till, merchant=other)
    form = await elsewhere.confirmation("transfer", TRANSFER)
    assert "ask" not in form
    moved_id(await elsewhere.confirm("transfer", form))
    assert await other.wallets() == {"CMR": (45_000, 0), "SEN": (50_765, 0)}
    assert await desk.till.merchant.wallets() == {"CMR": (95_000, 0)}


async def test_keys_move_what_people_may_not_move_alone(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    assert (await desk.till.merchant.transfer(amount=50_000)).status == 201
    assert (await desk.till.merchant.withdraw(amount=10_000)).status == 201


async def test_who_asked_cannot_approve_it_whatever_the_role(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("transfer", TRANSFER, replace(desk.till, visitor=desk.awa))
    page = await desk.awa.get(path)
    assert "Another person with the right to approve decides." in words(page)
    assert "Approve and" not in words(page)
    form = hidden(await desk.ada.get(path))
    for deed in ("approve", "reject"):
        answer = await desk.awa.post(f"{path}/{deed}", **form, reason="mine")
        assert answer.status == 403
        assert "This is for somebody else to decide." in words(answer)
    assert await desk.till.merchant.wallets() == {"CMR": (95_000, 0)}
    assert await desk.outcomes() == [None]


async def test_a_double_click_asks_once(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    form = await desk.till.confirmation("payout", PAYOUT)
    answers = await asyncio.gather(*(desk.till.confirm("payout", form) for _ in range(4)))
    assert len({asked(answer) for answer in answers}) == 1
    assert await desk.outcomes() == [None]
    assert len(await desk.till.office.log(action=Action.APPROVAL_ASKED)) == 1
    # Somebody else's token is no way to their request.
    await desk.till.office.hire("femi", Role.FINANCE)
    femi = await Visitor.signed_in(desk.till.merchant.api, desk.till.office, "femi")
    answer = await replace(desk.till, visitor=femi).confirm("payout", form)
    assert answer.headers["location"] == f"{desk.till.app}/move/payout"
    assert await desk.outcomes() == [None]


@pytest.mark.parametrize(("way", "fields"), [("transfer", TRANSFER), ("payout", PAYOUT)])
async def test_a_double_click_and_two_who_approve_at_once_pay_once(
    desk: Desk, settings: Settings, clock: ManualClock, way: str, fields: Mapping[str, str]
) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask(way, fields)
    async with opened(settings, clock) as other:
        other.people = people_of(other)
        awa = replace(desk.awa, browser=replace(desk.awa.browser, api=other.asgi()))
        forms = [(who, hidden(await who.get(path))) for who in (desk.ada, awa)]
        answers = await asyncio.gather(
            *(who.post(f"{path}/approve", **form) for who, form in forms for _ in range(3))
        )
    for answer in answers:
        if not over(answer):
            approved(answer)
    assert sum(not over(answer) for answer in answers) >= 1
    assert len(await moves_of(desk.house, way)) == 1
    available, _ = (await desk.till.merchant.wallets())["CMR"]
    assert available == 45_000
    assert len(await desk.till.office.log(action=Action.APPROVAL_GIVEN)) == 1
    # Later it is over, with a fresh form too.
    assert over(await desk.ada.post(f"{path}/approve", **{**forms[0][1], "token": a_token(desk)}))
    assert len(await moves_of(desk.house, way)) == 1


async def test_what_was_approved_and_never_answered_is_found_and_not_moved_again(
    desk: Desk, clock: ManualClock
) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("transfer", TRANSFER)
    form = hidden(await desk.ada.get(path))
    with patch.object(desk.house.keys, "keep", side_effect=OSError("the process is gone")):
        approved(await desk.ada.post(f"{path}/approve", **form))
    clock.advance(seconds=31)
    approved(await desk.ada.post(f"{path}/approve", **form))
    assert len(await moves_of(desk.house, "transfer")) == 1


async def test_while_nobody_can_tell_the_same_approval_is_given_again(
    desk: Desk, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_LOOKS", 1)
    await desk.rule(EVERYTHING)
    path = await desk.ask("transfer", TRANSFER)
    form = hidden(await desk.ada.get(path))
    with patch.object(desk.house.keys, "claim", side_effect=overtaken()):
        answer = await desk.ada.post(f"{path}/approve", **form)
    assert answer.status == 409
    assert "it is moved once, however often you approve it" in words(answer)
    assert hidden(answer) == form
    approved(await desk.ada.post(f"{path}/approve", **form))


async def test_what_the_log_cannot_hold_is_neither_moved_nor_decided(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("transfer", TRANSFER)
    form = hidden(await desk.ada.get(path))
    with patch.object(desk.house.audit, "write", side_effect=RuntimeError("no log")):
        assert (await desk.ada.post(f"{path}/approve", **form)).status == 500
    assert await desk.till.merchant.wallets() == {"CMR": (95_000, 0)}
    assert await desk.outcomes() == [None]
    approved(await desk.ada.post(f"{path}/approve", **form))


async def test_what_is_rejected_moves_nothing_and_says_why(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("payout", PAYOUT)
    assert "Why you reject it" in words(await desk.ada.get(path, ask="reject"))
    empty = await desk.ada.post(f"{path}/reject", reason=" ")
    assert empty.status == 400
    assert "Write why, in at least a word" in words(empty)
    assert 'aria-invalid="true"' in empty.raw.decode()

    answer = await desk.ada.post(f"{path}/reject", reason="Paid twice")

    assert "done=rejected" in answer.headers["location"]
    page = words(await desk.till.visitor.get(path))
    assert "Rejected by Ada" in page
    assert "The reason: Paid twice" in page
    assert over(await desk.awa.post(f"{path}/reject", reason="Mine too"))
    assert over(await desk.awa.post(f"{path}/approve", token=a_token(desk), shown="?"))
    assert await desk.till.merchant.wallets() == {"CMR": (95_000, 0)}
    assert await desk.outcomes() == [Outcome.REJECTED]


async def test_who_asked_takes_it_back_and_nobody_else_does(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("payout", PAYOUT)
    form = hidden(await desk.ada.get(path))
    assert (await desk.awa.post(f"{path}/withdraw")).status == 403
    answer = await desk.till.visitor.post(f"{path}/withdraw")
    assert "done=withdrawn" in answer.headers["location"]
    assert over(await desk.ada.post(f"{path}/approve", **form))
    assert over(await desk.till.visitor.post(f"{path}/withdraw"))
    assert await desk.outcomes() == [Outcome.WITHDRAWN]
    assert await desk.till.merchant.wallets() == {"CMR": (95_000, 0)}


async def test_a_request_runs_out_whether_or_not_the_worker_has_come_to_it(
    desk: Desk, clock: ManualClock
) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("payout", PAYOUT)
    form = hidden(await desk.ada.get(path))
    clock.advance(seconds=LIFE // timedelta(seconds=1) - 1)
    ada = await Visitor.signed_in(desk.till.merchant.api, desk.till.office, "ada")
    assert "Approve and pay" in words(await ada.get(path))
    clock.advance(seconds=1)
    page = words(await ada.get(path))
    assert "Nobody decided until 26 Jun 2026, 10:00 UTC: it has run out" in page
    assert "Approve and pay" not in page
    assert over(await ada.post(f"{path}/approve", **form))
    assert await desk.outcomes() == [None]
    await desk.house.worker.run_until_idle()
    assert await desk.outcomes() == [Outcome.EXPIRED]
    assert "it has run out" in words(await ada.get(path))
    assert await desk.till.merchant.wallets() == {"CMR": (95_000, 0)}


async def test_what_the_flow_refuses_is_said_and_the_request_stays_open(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("transfer", TRANSFER)
    form = hidden(await desk.ada.get(path))
    assert (await desk.till.merchant.transfer(amount=60_000)).status == 201

    answer = await desk.ada.post(f"{path}/approve", **form)

    assert answer.status == 400
    assert "The wallet has only 35,000 XAF available." in words(answer)
    assert "Approve and move" not in words(answer)
    page = words(await desk.ada.get(path))
    assert "It cannot be moved at this moment: The wallet has only 35,000 XAF available." in page
    assert await desk.outcomes() == [None]
    await desk.till.merchant.collect(100_000)
    approved(await desk.approve(path))
    assert (await desk.till.merchant.wallets())["CMR"] == (80_000, 0)


async def test_a_reference_that_is_used_meanwhile_is_not_paid_again(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("payout", {**PAYOUT, "amount": "1000", "reference": "JUNE"})
    made = await desk.till.merchant.withdraw(amount=1_000, externalId="JUNE")
    assert made.status == 201
    answer = await desk.approve(path)
    assert answer.status == 409
    assert "This reference was used before." in words(answer)
    assert len(await moves_of(desk.house, "payout")) == 1


async def test_a_fee_that_has_changed_is_shown_beside_what_it_was_and_approved_anew(
    desk: Desk, clock: ManualClock
) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("payout", PAYOUT)
    form = hidden(await desk.ada.get(path))
    await desk.house.database.execute("update applications set payout_fee_bps = 100")
    clock.advance(seconds=2)

    answer = await desk.ada.post(f"{path}/approve", **form)

    assert answer.status == 409
    assert "It has changed since you looked. Nothing was moved" in words(answer)
    assert "Fee 500 XAF was 2,500 XAF when it was asked for" in words(answer)
    assert await desk.till.merchant.wallets() == {"CMR": (95_000, 0)}
    approved(await desk.ada.post(f"{path}/approve", **hidden(answer)))
    fee = await desk.house.database.fetchval("select fee from payouts")
    assert fee == 50_000


async def test_a_rule_that_comes_while_somebody_confirms_is_heeded(desk: Desk) -> None:
    form = await desk.till.confirmation("transfer", TRANSFER)
    assert "ask" not in form
    await desk.rule(EVERYTHING)
    answer = await desk.till.confirm("transfer", form)
    assert answer.status == 409
    assert "By now this needs another person’s approval. Nothing was moved." in words(answer)
    assert await desk.till.merchant.wallets() == {"CMR": (95_000, 0)}
    approved(await desk.approve(asked(await desk.till.confirm("transfer", hidden(answer)))))
    # The form that was refused is refused for good.
    assert (await desk.till.confirm("transfer", form)).status == 409
    assert len(await moves_of(desk.house, "transfer")) == 1


async def test_what_is_asked_for_is_what_was_shown(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    for changes in ({"amount": "90000"}, {"phone": "237653456129"}, {"shown": ""}):
        form = await desk.till.confirmation("payout", PAYOUT)
        answer = await desk.till.confirm("payout", {**form, **changes})
        assert answer.status == 409, changes
    form = await desk.till.confirmation("payout", {**PAYOUT, "amount": "95000"})
    assert (await desk.till.merchant.transfer(amount=50_000)).status == 201
    answer = await desk.till.confirm("payout", form)
    assert answer.status == 422
    assert await desk.outcomes() == []


async def test_a_refund_is_asked_for_once_and_given_back_when_it_is_approved(desk: Desk) -> None:
    await desk.rule(ABOVE_40_000)
    payment = await desk.till.merchant.collect(50_000)
    small = await desk.till.merchant.collect(10_000)
    page = f"{desk.till.app}/transactions/{payment['id']}"
    question = await desk.till.visitor.get(page, ask="refund")
    assert "Another person has to approve it." in words(question)
    paths = {
        asked(await desk.till.visitor.post(f"{page}/refund", reason="Wrong size", ask="1"))
        for _ in range(2)
    }
    assert len(paths) == 1
    path = paths.pop()
    assert await desk.till.merchant.wallets() == {"CMR": (152_000, 0)}
    told = words(await desk.ada.get(path))
    assert "Give 50,000 XAF back to +237 653 456 789" in told
    assert "Wrong size" in told
    approved(await desk.approve(path))
    assert await desk.till.merchant.wallets() == {"CMR": (102_000, 50_000)}
    again = await desk.till.visitor.post(f"{page}/refund", ask="1")
    assert again.status == 409
    assert "It was given back already, or is being given back." in words(again)
    # One that is not above it is given back by one person.
    alone = await desk.till.visitor.post(f"{desk.till.app}/transactions/{small['id']}/refund")
    assert "done=refunded" in alone.headers["location"]


async def test_a_refund_that_is_no_longer_possible_is_said_to_who_would_approve_it(
    desk: Desk,
) -> None:
    await desk.rule(EVERYTHING)
    payment = await desk.till.merchant.collect(20_000)
    page = f"{desk.till.app}/transactions/{payment['id']}"
    path = asked(await desk.till.visitor.post(f"{page}/refund"))
    form = hidden(await desk.ada.get(path))
    assert (await desk.till.merchant.refund(payment)).status == 201
    answer = await desk.ada.post(f"{path}/approve", **form)
    assert answer.status == 409
    assert "It was given back already, or is being given back." in words(answer)
    assert "Approve and give" not in words(answer)
    assert await desk.outcomes() == [None]


async def test_who_may_not_move_money_any_more_has_nothing_approved(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("payout", PAYOUT)
    form = hidden(await desk.ada.get(path))
    await desk.house.database.execute(
        "update memberships set role = 'VIEWER' where role = 'FINANCE'"
    )
    page = words(await desk.ada.get(path))
    assert "Fanta may not do this any more, so nobody can approve it." in page
    assert "Approve and pay" not in page
    assert (await desk.ada.post(f"{path}/approve", **form)).status == 403
    assert await desk.till.merchant.wallets() == {"CMR": (95_000, 0)}
    answer = await desk.ada.post(f"{path}/reject", reason="Has left")
    assert "done=rejected" in answer.headers["location"]


async def test_a_request_of_another_application_or_company_is_not_there(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    path = await desk.ask("payout", PAYOUT)
    form = hidden(await desk.ada.get(path))
    other = await desk.house.office.create_application("Acme", "other")
    elsewhere = path.replace(desk.till.merchant.application_id, str(other.application.id))
    live = path.replace("/test/", "/live/")
    await desk.till.office.hire("eve", Role.OWNER, "Rival")
    eve = await Visitor.signed_in(desk.till.merchant.api, desk.till.office, "eve")
    for who, place in ((desk.ada, elsewhere), (desk.ada, live), (eve, path)):
        assert (await who.get(place)).status == 404
        for deed in ("approve", "reject", "withdraw"):
            assert (await who.post(f"{place}/{deed}", **form, reason="x")).status == 404
    for identifier in ("x", str(UUID(int=7))):
        assert (await desk.ada.get(f"{desk.till.app}/approvals/{identifier}")).status == 404
    assert (await desk.ada.post(f"{path}/approve", **{**form, "token": "x"})).status == 404
    assert await desk.outcomes() == [None]


async def test_who_may_decide_is_told_how_much_waits(desk: Desk) -> None:
    await desk.rule(EVERYTHING)
    for _ in range(2):
        await desk.ask("transfer", {**TRANSFER, "amount": "1000"})
    mine = await desk.ask("transfer", TRANSFER, replace(desk.till, visitor=desk.awa))
    wallets = f"{desk.till.app}/wallets"
    assert "Approvals 3 to decide" in words(await desk.ada.get(wallets))
    # One's own is for others.
    assert "Approvals 2 to decide" in words(await desk.awa.get(wallets))
    assert "to decide" not in words(await desk.till.visitor.get(wallets))
    assert "To approve in test: 3" in words(await desk.ada.get("/dashboard/applications"))
    assert "To approve" not in words(await desk.till.visitor.get("/dashboard/applications"))
    listed = words(await desk.awa.get(f"{desk.till.app}/approvals"))
    assert "Waiting to be decided 3" in listed
    assert "asked for by you" in listed
    assert "asked for by Fanta" in listed
    assert "Everything, whatever the amount and the currency." in listed
    approved(await desk.approve(mine))
    listed = words(await desk.awa.get(f"{desk.till.app}/approvals"))
    assert "Waiting to be decided 2" in listed
    assert "by Ada" in listed.partition("Decided lately")[2]


async def test_all_of_it_stands_in_the_audit_log(desk: Desk) -> None:
    await desk.rule(Rules(above={"XAF": 100_000}, others=True))
    approved(await desk.approve(await desk.ask("payout", PAYOUT)))
    rejected = await desk.ask("transfer", {**TRANSFER, "amount": "2000"})
    await desk.ada.post(f"{rejected}/reject", reason="Not now")
    back = await desk.ask("transfer", {**TRANSFER, "amount": "3000"})
    await desk.till.visitor.post(f"{back}/withdraw")
    asked(await desk.save(desk.awa, Rules()))
    company = await desk.till.office.company()
    page = await desk.awa.get(f"/dashboard/company/{company}/audit")
    log = words(page)
    payout = "payout of 48,227 XOF with MTN_MOMO_CIV out of the wallet of Cameroon (shop, test)"
    for line in (
        "Awa changed what needs approval to: more than 1,000 XAF, everything in other currencies",
        f"Fanta asked another person to approve: {payout}",
        f"Ada approved what Fanta had asked for: {payout}",
        "Ada rejected what Fanta had asked for: transfer of 2,000 XAF from Cameroon to Senegal",
        "The reason: Not now",
        "Fanta took back a request for approval: transfer of 3,000 XAF",
        "Awa asked another person to approve: rules that protect less (shop, test)",
    ):
        assert line in log
    pattern = r'href="(/dashboard/app/[^"]+/(?:approvals|transactions)/[^"]+)"'
    links = re.findall(pattern, page.raw.decode())
    assert {(await desk.awa.get(link)).status for link in links} == {200}
    assert any("/transactions/" in link for link in links)


async def test_more_protection_is_in_force_at_once_and_less_when_another_has_approved_it(
    desk: Desk,
) -> None:
    await desk.rule(ABOVE_40_000)
    await desk.rule(Rules(above={"XAF": 1_000_000}))
    for less in (Rules(), ABOVE_40_000, Rules(others=False)):
        path = asked(await desk.save(desk.awa, less))
        assert (await desk.house.approvals.rules(desk.book)).above == {"XAF": 1_000_000}
        assert (await desk.awa.post(f"{path}/approve", token=a_token(desk))).status == 403
    page = words(await desk.ada.get(path))
    assert "Let one person move more alone" in page
    assert "What takes more than 10,000 XAF out of a wallet." in page
    approved(await desk.approve(path))
    assert (await desk.house.approvals.rules(desk.book)).limit("XAF") is None
    moved_id(await desk.till.move("transfer", TRANSFER))
    # What was asked for over rules that are no longer in force is not put in force.
    earlier = await desk.house.database.fetchval(
        "select id from approvals where outcome is null limit 1"
    )
    stale = f"{desk.till.app}/approvals/{earlier}"
    assert "The rules have been changed since this was asked for" in words(
        await desk.ada.get(stale)
    )
    answer = await desk.ada.post(f"{stale}/approve", token=a_token(desk))
    assert answer.status == 409
    assert (await desk.house.approvals.rules(desk.book)).limit("XAF") is None


async def test_two_who_change_the_rules_at_once_do_not_undo_each_other(desk: Desk) -> None:
    page = await desk.awa.get(f"{desk.till.app}/approvals/rules")
    version = hidden(page)["version"]
    await desk.rule(EVERYTHING)
    late = await desk.awa.post(
        f"{desk.till.app}/approvals/rules/save",
        **{"version": version, "token": a_token(desk), "above-XAF": "5", "others": "none"},
    )
    assert late.status == 409
    assert "Somebody else has changed the rules meanwhile" in words(late)
    assert (await desk.house.approvals.rules(desk.book)).others


@pytest.mark.parametrize("typed", ["-1", "1,2345", "much", "٣٠٠"])
async def test_an_amount_that_is_none_is_said_beside_its_field(desk: Desk, typed: str) -> None:
    answer = await desk.save(desk.awa, Rules(), **{"above-XAF": typed})
    assert answer.status == 422
    assert "Write a number with at most two decimals" in words(answer)
    assert f'value="{typed}"' in answer.raw.decode()
    assert (await desk.house.approvals.rules(desk.book)).limit("XAF") is None
    for name in ("above-ABC", "above-"):
        assert (await desk.save(desk.awa, Rules(), **{name: "5"})).status == 404


async def test_who_is_alone_is_warned_before_nothing_can_be_approved(
    desk: Desk, house: House
) -> None:
    assert "Nobody but you can approve" not in words(
        await desk.awa.get(f"{desk.till.app}/approvals/rules")
    )
    await house.database.execute("delete from memberships where role = 'APPROVER'")
    assert "Nobody but you can approve" in words(
        await desk.awa.get(f"{desk.till.app}/approvals/rules")
    )


async def test_only_an_owner_comes_to_the_rules(desk: Desk) -> None:
    form = hidden(await desk.awa.get(f"{desk.till.app}/approvals/rules"))
    for who in (desk.till.visitor, desk.ada):
        assert (await who.get(f"{desk.till.app}/approvals/rules")).status == 404
        answer = await who.post(f"{desk.till.app}/approvals/rules/save", **form, others="all")
        assert answer.status == 404
    assert (await desk.house.approvals.rules(desk.book)).limit("XAF") is None


async def test_in_live_the_rules_take_a_fresh_code_and_each_code_once(
    desk: Desk, house: House
) -> None:
    merchant = await desk.till.merchant.live()
    live = replace(desk, till=replace(desk.till, merchant=merchant, environment="live"))
    rules = f"{live.till.app}/approvals/rules"
    page = await live.awa.get(rules)
    assert "A second factor first" in words(page)
    answer = await live.awa.post(f"{rules}/save", version="0", others="all")
    assert answer.headers["location"].startswith("/dashboard/account?needed=second-factor")

    session = await live.till.office.of(live.awa.token or "")
    await live.till.office.set_up(session)
    for wrong in ("", "000000"):
        answer = await live.save(live.awa, EVERYTHING, code=wrong)
        assert answer.status == 401
        assert "This code is wrong, or was used already" in words(answer)
    code = live.till.office.code(session.person.id)
    answer = await live.save(live.awa, EVERYTHING, code=code)
    assert "done=rules" in answer.headers["location"]
    again = await live.save(live.awa, Rules(above={"XAF": 0}, others=True), code=code)
    assert again.status == 401
    # In test nothing has changed, and in live one person moves nothing alone any more.
    assert (await house.approvals.rules(desk.book)).limit("XAF") is None
    await collect_live(house, merchant)
    path = await live.ask("transfer", {**TRANSFER, "to": "GAB"})
    approved(await live.approve(path))
    assert await merchant.wallets() == {"CMR": (45_000, 0), "GAB": (50_000, 0)}


async def test_an_owner_shows_a_second_factor_before_live_money_is_approved(
    desk: Desk, house: House
) -> None:
    merchant = await desk.till.merchant.live()
    live = replace(desk, till=replace(desk.till, merchant=merchant, environment="live"))
    await collect_live(house, merchant)
    await house.database.execute(
        "insert into approval_rules (application_id, environment, version, currency, above,"
        " set_by, set_at) select $1::uuid, 'PRODUCTION'::environment, 1, '*', 0, id, created_at"
        " from people limit 1",
        merchant.new.application.id,
    )
    path = await live.ask("transfer", {**TRANSFER, "to": "GAB"})
    form = hidden(await live.ada.get(path))
    for deed in ("approve", "reject"):
        answer = await live.awa.post(f"{path}/{deed}", **form, reason="x")
        assert answer.headers["location"].startswith("/dashboard/account?needed=second-factor")
    # A company whose approval for live was withdrawn moves nothing, by however many people.
    await house.database.execute("update companies set approved_at = null")
    assert (await live.ada.post(f"{path}/approve", **form)).status == 404
    assert await desk.outcomes() == [None]


def a_token(desk: Desk) -> str:
    return str(desk.house.ids.uuid())
