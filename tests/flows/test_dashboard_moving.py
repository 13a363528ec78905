"""Money that a person moves at the dashboard: shown first, confirmed, moved once, and recorded."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from html import unescape
from pathlib import Path
from unittest.mock import patch
from uuid import UUID

import pytest

from kpay.app import House
from kpay.audit.model import Action
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.core.money import Money
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.dashboard import asking
from kpay.database.pool import Connection
from kpay.ledger import movements
from kpay.ledger.fence import overtaken
from kpay.ledger.model import Order, Verdict
from kpay.ledger.store import verdicts
from kpay.people.model import Role
from kpay.settings import Settings
from tests.books import journal
from tests.client import Answer, Merchant
from tests.houses import opened, pinned
from tests.people import Office, people_of
from tests.visitors import Visitor, words

TRANSFER: Mapping[str, str] = {"from": "CMR", "to": "SEN", "amount": "50 000"}
PAYOUT: Mapping[str, str] = {
    "from": "CMR",
    "amount": "50,000",
    "phone": "+237 653 45 67 89",
    "provider": "MTN_MOMO_CIV",
}


@dataclass
class Till:
    """A person at the forms that move an application's money."""

    merchant: Merchant
    office: Office
    visitor: Visitor
    environment: str = "test"

    @property
    def app(self) -> str:
        return f"/dashboard/app/{self.merchant.application_id}/{self.environment}"

    async def preview(self, way: str, fields: Mapping[str, str]) -> Answer:
        """What the script is told while the form is typed."""
        return await self.visitor.post(f"{self.app}/move/{way}/preview", **fields, part="1")

    async def review(self, way: str, fields: Mapping[str, str]) -> Answer:
        return await self.visitor.post(f"{self.app}/move/{way}/review", **fields)

    async def confirmation(self, way: str, fields: Mapping[str, str]) -> dict[str, str]:
        """What the confirmation's form would send."""
        answer = await self.review(way, fields)
        assert answer.status == 200, words(answer)
        return hidden(answer)

    async def confirm(self, way: str, form: Mapping[str, str]) -> Answer:
        return await self.visitor.post(f"{self.app}/move/{way}/confirm", **form)

    async def move(self, way: str, fields: Mapping[str, str]) -> Answer:
        return await self.confirm(way, await self.confirmation(way, fields))


def hidden(answer: Answer) -> dict[str, str]:
    """The hidden fields of the page's last form, but for the session's own."""
    form = answer.raw.decode().rpartition("<form")[2]
    found = re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)">', form)
    return {name: unescape(text) for name, text in found if name != "csrf"}


def moved_id(answer: Answer) -> str:
    """The operation that an answer leads to."""
    assert answer.status == 303, words(answer)
    assert "/wallets?moved=" in answer.headers["location"]
    return answer.headers["location"].partition("&id=")[2]


def beside(answer: Answer, field: str) -> str:
    """What is said beside a field, which is marked and described by it."""
    page = answer.raw.decode()
    marked = re.search(rf'id="{field}"[^>]* aria-describedby="error-{field}" aria-invalid', page)
    assert marked, words(answer)
    found = re.search(rf'id="error-{field}"[^>]*>([^<]+)<', page)
    assert found, words(answer)
    return unescape(found[1]).replace("\u00a0", " ").replace("\u202f", " ")


async def after(till: Till, answer: Answer) -> Answer:
    """The page that a confirmation leads to."""
    path, _, query = answer.headers["location"].partition("?")
    return await till.visitor.get(path, **dict(part.split("=") for part in query.split("&")))


async def told_after(till: Till, answer: Answer) -> str:
    """What the page says that a confirmation leads to."""
    return words(await after(till, answer))


async def link_after(till: Till, answer: Answer) -> str:
    """Where the notice on that page leads to."""
    notice = (await after(till, answer)).raw.decode().partition('role="status"')[2]
    found = re.search(r'href="([^"]+)"', notice.partition("</p>")[0])
    assert found is not None
    return found[1]


@pytest.fixture
async def till(house: House, clock: ManualClock) -> Till:
    """Fanta of Acme's finance, with 95,000 XAF in Cameroon."""
    return await till_of(house, clock)


async def till_of(house: House, clock: ManualClock) -> Till:
    house.people = people_of(house)
    office = Office(house, house.people, clock)
    merchant = await Merchant.join(house)
    await merchant.collect(100_000)
    await office.hire("awa")
    await office.hire("fanta", Role.FINANCE)
    visitor = await Visitor.signed_in(merchant.api, office, "fanta")
    return Till(merchant, office, visitor)


async def test_a_transfer_is_shown_in_words_then_made_and_told(till: Till, house: House) -> None:
    answer = await till.review("transfer", TRANSFER)
    assert "You move 50,000 XAF from Cameroon to Senegal." in words(answer)
    assert "50,765 XOF arrive in the wallet of Senegal at once." in words(answer)
    assert "1 XAF = 1.0153 XOF" in words(answer)
    assert await till.merchant.wallets() == {"CMR": (95_000, 0)}

    answer = await till.confirm("transfer", hidden(answer))

    assert await till.merchant.wallets() == {"CMR": (45_000, 0), "SEN": (50_765, 0)}
    assert "50,000 XAF have left the wallet of Cameroon and 50,765 XOF" in await told_after(
        till, answer
    )
    made = await house.transfers.find(*operation(till, answer))
    assert made is not None
    assert made.quote.rate == Decimal("1.0153")
    assert "50,765 XOF" in words(await till.visitor.get(await link_after(till, answer)))


async def test_a_payout_is_shown_in_words_then_under_way_and_told(till: Till) -> None:
    answer = await till.review("payout", PAYOUT)
    # The page's own example: 47,500 at 1.0153 is 48,226.75, sent as 48,227.
    assert "You pay 48,227 XOF to +237 653 456 789." in words(answer)
    assert "50,000 XAF leave the wallet of Cameroon, of which 2,500 XAF are the fee." in words(
        answer
    )

    answer = await till.confirm("payout", hidden(answer))

    assert await till.merchant.wallets() == {"CMR": (45_000, 50_000)}
    assert "50,000 XAF of the wallet of Cameroon are set aside" in await told_after(till, answer)
    assert "48,227 XOF" in words(await till.visitor.get(await link_after(till, answer)))
    await till.merchant.house.worker.run_until_idle()
    assert await till.merchant.wallets() == {"CMR": (45_000, 0)}


async def test_what_is_typed_is_told_as_it_is_then_moved(till: Till, house: House) -> None:
    told = await till.preview("payout", {**PAYOUT, "reference": "salary-1"})
    assert told.headers["content-type"] == "application/json"
    assert told["errors"] == {}
    shown = panel(told)
    answer = await till.move("payout", {**PAYOUT, "reference": "salary-1"})
    book, operation_id = operation(till, answer)
    made = await house.payouts.get(book, operation_id)
    speech = [
        f"{made.agreed.amount.number:,} XAF",
        f"{made.agreed.fee.number:,} XAF",
        f"{made.agreed.net.number:,} XAF",
        "48,227 XOF",
        "1 XAF = 1.0153 XOF",
        "45,000 XAF",
    ]
    assert [part for part in speech if part not in shown] == []
    assert made.agreed.external_id == "salary-1"


async def test_the_number_says_the_operator_until_one_is_chosen(till: Till) -> None:
    guessed = {**PAYOUT, "provider": ""}
    assert "MTN MoMo by the number" in panel(await till.preview("payout", guessed))
    # Without the calling code it is a number of the wallet's own country.
    national = {**guessed, "phone": "653-45-67-89"}
    assert "MTN MoMo by the number" in panel(await till.preview("payout", national))
    answer = await till.review("payout", national)
    assert "The number is one of MTN MoMo." in words(answer)
    chosen = {**guessed, "provider": "ORANGE_CMR"}
    told = panel(await till.preview("payout", chosen))
    assert "Orange Money" in told
    assert "by the number" not in told


async def test_what_is_not_typed_yet_is_no_error_and_what_is_known_is_told(till: Till) -> None:
    told = await till.preview("payout", {"from": "CMR", "amount": "", "phone": ""})
    assert told["errors"] == {}
    # The rate is known as soon as it is known between which currencies.
    begun = await till.preview("transfer", {**TRANSFER, "amount": ""})
    assert "Rate 1 XAF = 1.0153 XOF" in panel(begun)
    begun = await till.preview("payout", {"from": "CMR", "provider": "MTN_MOMO_CIV"})
    assert "Rate 1 XAF = 1.0153 XOF" in panel(begun)
    told = await till.preview("payout", {"from": "CMR", "amount": "1000", "phone": "2"})
    assert list(told["errors"]) == ["phone"]
    assert "Fee (5 %) 50 XAF Net 950 XAF" in panel(told)
    short = await till.preview("transfer", {**TRANSFER, "amount": "95000.01"})
    assert "Then available \u22120.01 XAF" in panel(short)
    assert "The wallet has only 95,000 XAF available." in panel(short)


async def test_without_a_script_the_form_itself_shows_what_it_comes_to(till: Till) -> None:
    page = await till.visitor.post(f"{till.app}/move/transfer/preview", **TRANSFER)
    assert page.status == 200
    assert "50,765 XOF arrives Leaves the wallet 50,000 XAF Fee free of charge" in words(page)
    assert 'value="50 000"' in page.raw.decode()
    assert await till.merchant.wallets() == {"CMR": (95_000, 0)}


@pytest.mark.parametrize(
    ("way", "changes", "field", "said"),
    [
        ("transfer", {"amount": ""}, "amount", "Write an amount."),
        ("transfer", {"to": "CMR"}, "to", "Choose another country than the one that the money"),
        ("transfer", {"to": "FRA"}, "to", "This country is not served."),
        ("transfer", {"amount": "99"}, "amount", "Write an amount from 100 XAF to 10,000,000 XAF."),
        ("transfer", {"amount": "5.000"}, None, ""),
        ("transfer", {"amount": "-5"}, "amount", "Write a number above zero with at most two"),
        ("transfer", {"amount": "1,2345"}, "amount", "Write a number above zero"),
        ("transfer", {"amount": "٣٠٠"}, "amount", "Write a number above zero"),
        ("transfer", {"amount": "96000"}, "amount", "The wallet has only 95,000 XAF available."),
        ("payout", {"phone": ""}, "phone", "Write the beneficiary’s number."),
        ("payout", {"phone": "237600000000"}, "phone", "Only test numbers are known in test"),
        ("payout", {"provider": "WAVE_CIV"}, "provider", "This operator is suspended for now"),
        ("payout", {"provider": "NOBODY"}, "provider", "Choose an operator of the list."),
        ("payout", {"amount": "500001"}, "amount", "Write an amount from 100 XAF to 500,000 XAF."),
        ("payout", {"amount": "95001"}, "amount", "The wallet has only 95,000 XAF available."),
    ],
)
async def test_what_is_wrong_is_said_beside_its_field(
    till: Till, way: str, changes: Mapping[str, str], field: str | None, said: str
) -> None:
    fields = {**(TRANSFER if way == "transfer" else PAYOUT), **changes}

    answer = await till.review(way, fields)

    if field is None:
        assert answer.status == 200
        return
    assert answer.status == 422
    assert beside(answer, field).startswith(said)
    # What was typed is still there.
    typed = re.search(r'id="amount"[^>]* value="([^"]*)"', answer.raw.decode())
    assert typed is not None
    assert typed[1] == fields["amount"]
    assert await till.merchant.wallets() == {"CMR": (95_000, 0)}


@pytest.mark.parametrize(("way", "fields"), [("transfer", TRANSFER), ("payout", PAYOUT)])
async def test_a_confirmation_that_is_sent_again_leads_to_what_was_moved_once(
    till: Till, house: House, way: str, fields: Mapping[str, str]
) -> None:
    form = await till.confirmation(way, fields)
    at_once = await asyncio.gather(*(till.confirm(way, form) for _ in range(5)))
    later = await till.confirm(way, form)

    assert len({moved_id(answer) for answer in (*at_once, later)}) == 1
    available, reserved = (await till.merchant.wallets())["CMR"]
    assert (available, reserved) == (45_000, 0 if way == "transfer" else 50_000)
    assert len(await moves_of(house, way)) == 1
    assert len(await till.office.log(action=_ACTIONS[way])) == 1


async def test_two_processes_that_are_sent_one_confirmation_move_it_once(
    till: Till, settings: Settings, clock: ManualClock, house: House
) -> None:
    form = await till.confirmation("payout", PAYOUT)
    async with opened(settings, clock) as other:
        other.people = people_of(other)
        there = replace(till.visitor, browser=replace(till.visitor.browser, api=other.asgi()))
        answers = await asyncio.gather(
            *(replace(till, visitor=each).confirm("payout", form) for each in (till.visitor, there))
        )
    assert len({moved_id(answer) for answer in answers}) == 1
    assert len(await moves_of(house, "payout")) == 1


async def test_two_confirmations_of_one_form_are_two_operations(till: Till, house: House) -> None:
    forms = [await till.confirmation("transfer", {**TRANSFER, "amount": "1000"}) for _ in range(2)]
    made = {moved_id(await till.confirm("transfer", form)) for form in forms}
    assert len(made) == len(await moves_of(house, "transfer")) == 2


async def test_who_moved_what_stands_in_the_company_s_log(till: Till) -> None:
    answer = await till.move("transfer", TRANSFER)
    entry = (await till.office.log(action=Action.TRANSFER_MADE))[0]
    assert (entry.person_name, entry.company_id) == ("Fanta", await till.office.company())
    assert (entry.subject.kind, entry.subject.id) == ("transfer", moved_id(answer))
    moved_id(await till.move("payout", {**PAYOUT, "amount": "10 000"}))
    awa = await Visitor.signed_in(till.merchant.api, till.office, "awa")
    page = await awa.get(f"/dashboard/company/{entry.company_id}/audit")
    links = re.findall(r'href="(/dashboard/app/[^"]+/transactions/[^"]+)"', page.raw.decode())
    assert len(links) == 2
    assert "9,645 XOF" in words(await awa.get(links[0]))
    assert "50,765 XOF" in words(await awa.get(links[1]))
    log = words(page)
    assert "Fanta moved 50,000 XAF from Cameroon to Senegal (shop, test)" in log
    assert (
        "Fanta paid 9,645 XOF with MTN_MOMO_CIV out of the wallet of Cameroon (shop, test)" in log
    )


async def test_what_the_log_cannot_hold_is_not_moved(till: Till, house: House) -> None:
    form = await till.confirmation("transfer", TRANSFER)
    with patch.object(house.audit, "write", side_effect=RuntimeError("no log")):
        answer = await till.confirm("transfer", form)
    assert answer.status == 500
    assert await till.merchant.wallets() == {"CMR": (95_000, 0)}
    # Nothing was decided, so the same confirmation may be sent again.
    assert moved_id(await till.confirm("transfer", form))
    assert len(await till.office.log(action=Action.TRANSFER_MADE)) == 1


async def test_what_was_moved_and_never_answered_is_found_and_not_moved_again(
    till: Till, house: House, clock: ManualClock
) -> None:
    for way, fields in (("transfer", TRANSFER), ("payout", {**PAYOUT, "amount": "1000"})):
        form = await till.confirmation(way, fields)
        with patch.object(house.keys, "keep", side_effect=OSError("the process is gone")):
            first = await till.confirm(way, form)
        clock.advance(seconds=31)

        again = await till.confirm(way, form)

        assert moved_id(again) == moved_id(first)
        assert len(await moves_of(house, way)) == 1


async def test_while_nobody_can_tell_the_same_confirmation_is_given_again(
    till: Till, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asking, "_LOOKS", 1)
    form = await till.confirmation("transfer", TRANSFER)
    for refusal in (overtaken(), Refusal(Code.BUSY, "Later.")):
        with patch.object(house.keys, "claim", side_effect=refusal):
            answer = await till.confirm("transfer", form)
        assert answer.status == ANSWERS[refusal.code].status
        assert "it is paid once, however often you confirm" in words(answer)
        assert hidden(answer) == form
    assert await till.merchant.wallets() == {"CMR": (95_000, 0)}
    assert moved_id(await till.confirm("transfer", form))


async def test_a_token_is_of_one_form_and_leads_another_back_to_the_beginning(till: Till) -> None:
    form = await till.confirmation("transfer", TRANSFER)
    moved_id(await till.confirm("transfer", form))
    for changes in ({"amount": "1000"}, {"description": "Another"}, {"shown": "1"}):
        other = await till.confirm("transfer", {**form, **changes})
        assert other.headers["location"] == f"{till.app}/move/transfer"
    assert (await till.merchant.wallets())["CMR"] == (45_000, 0)


async def test_what_the_ledger_refuses_is_refused_for_good_beside_its_field(till: Till) -> None:
    fields = {**TRANSFER, "amount": "60000"}
    first, second = [await till.confirmation("transfer", fields) for _ in range(2)]
    moved_id(await till.confirm("transfer", first))

    answer = await till.confirm("transfer", second)

    assert answer.status == 400
    assert beside(answer, "amount") == "The wallet has only 35,000 XAF available."
    # A copy of it that comes when there is enough again moves nothing either.
    await till.merchant.collect(100_000)
    copy = await till.confirm("transfer", second)
    assert copy.status == 400
    assert beside(copy, "amount") == "The wallet has only 130,000 XAF available."
    assert (await till.merchant.wallets())["CMR"] == (130_000, 0)


async def test_a_reference_is_used_once(till: Till) -> None:
    for way, fields, status in (("transfer", TRANSFER, 409), ("payout", PAYOUT, 409)):
        fields = {**fields, "amount": "1000", "reference": "JUNE-2026", "description": "Rent"}
        moved_id(await till.move(way, fields))
        answer = await till.move(way, fields)
        assert answer.status == status
        assert beside(answer, "reference").startswith("This reference was used before.")
    listed = await till.merchant.keys.send(
        "GET", "/api/v1/payments/withdrawals", query={"externalId": "JUNE-2026"}
    )
    assert [row["amount"] for row in listed["data"]] == [1_000]
    path = f"/api/v1/payments/withdraw/{listed['data'][0]['id']}"
    detail = await till.merchant.keys.send("GET", path)
    assert detail["description"] == "Rent"


async def test_a_rate_that_has_changed_is_shown_and_confirmed_anew(
    settings: Settings, clock: ManualClock, tmp_path: Path
) -> None:
    file = tmp_path / "rates.json"
    sources = pinned(file, {"XAF/XOF": "1.01"})
    async with opened(settings, clock, fx_sources=sources) as house:
        till = await till_of(house, clock)
        for way, fields, before, after in (
            ("transfer", TRANSFER, "50,500 XOF", "51,000 XOF"),
            ("payout", {**PAYOUT, "amount": "10000"}, "9,690 XOF", "9,785 XOF"),
        ):
            review = await till.review(way, fields)
            assert before in words(review)
            pinned(file, {"XAF/XOF": "1.02" if way == "transfer" else "1.03"})
            clock.advance(hours=1, seconds=1)
            till.visitor = await Visitor.signed_in(till.merchant.api, till.office, "fanta")
            held = await till.merchant.wallets()

            answer = await till.confirm(way, hidden(review))

            assert answer.status == 409
            assert "The rate or the fee has changed since you looked." in words(answer)
            assert after in words(answer)
            assert await till.merchant.wallets() == held
            # The old confirmation is over for good, the new one moves what it shows.
            assert (await till.confirm(way, hidden(review))).status == 409
            assert hidden(answer)["token"] != hidden(review)["token"]
            moved_id(await till.confirm(way, hidden(answer)))
            assert len(await moves_of(house, way)) == 1


async def test_without_a_rate_nothing_is_confirmed_and_the_form_says_why(
    settings: Settings, clock: ManualClock
) -> None:
    async with opened(settings, clock, fx_sources=("file:/nowhere/rates.json",)) as house:
        till = await till_of(house, clock)
        words_of = "There is no exchange rate that is fresh enough at the moment"
        told = await till.preview("transfer", TRANSFER)
        assert words_of in panel(told)
        answer = await till.review("transfer", TRANSFER)
        assert answer.status == 422
        assert words_of in words(answer)
        # A confirmation that was given while there was one is good again when there is.
        token = str(house.ids.uuid())
        answer = await till.confirm("transfer", {**TRANSFER, "shown": "?", "token": token})
        assert answer.status == 503
        assert words_of in words(answer)
        # Within one currency none is needed.
        moved_id(await till.move("transfer", {**TRANSFER, "to": "GAB"}))


async def test_a_fee_that_has_changed_is_shown_and_confirmed_anew(
    till: Till, house: House, clock: ManualClock
) -> None:
    form = await till.confirmation("payout", PAYOUT)
    await house.database.execute("update applications set payout_fee_bps = 100")
    clock.advance(seconds=2)
    answer = await till.confirm("payout", form)
    assert answer.status == 409
    assert "of which 500 XAF are the fee" in words(answer)


async def test_a_viewer_has_no_form_and_is_refused(till: Till) -> None:
    form = await till.confirmation("transfer", TRANSFER)
    for role in (Role.VIEWER, Role.DEVELOPER, Role.APPROVER):
        await till.office.hire(role.lower(), role)
        other = replace(
            till, visitor=await Visitor.signed_in(till.merchant.api, till.office, role.lower())
        )
        assert "Move money" not in words(await other.visitor.get(f"{till.app}/wallets"))
        assert (await other.visitor.get(f"{till.app}/move/transfer")).status == 404
        for answer in (
            await other.preview("transfer", TRANSFER),
            await other.review("transfer", TRANSFER),
            await other.confirm("transfer", form),
        ):
            assert answer.status == 404
    assert await till.merchant.wallets() == {"CMR": (95_000, 0)}


async def test_another_company_s_wallet_is_not_there(till: Till) -> None:
    form = await till.confirmation("transfer", TRANSFER)
    await till.office.hire("eve", company="Rival")
    eve = replace(till, visitor=await Visitor.signed_in(till.merchant.api, till.office, "eve"))
    assert (await eve.confirm("transfer", form)).status == 404
    assert (await eve.preview("transfer", TRANSFER)).status == 404
    assert await till.merchant.wallets() == {"CMR": (95_000, 0)}


async def test_what_another_application_moved_is_not_told(till: Till, house: House) -> None:
    answer = await till.move("transfer", TRANSFER)
    other = await house.office.create_application("Acme", "other")
    page = await till.visitor.get(
        f"/dashboard/app/{other.application.id}/test/wallets",
        moved="transfer",
        id=moved_id(answer),
    )
    assert "have left the wallet" not in words(page)


async def test_a_confirmation_of_another_site_or_session_moves_nothing(till: Till) -> None:
    form = await till.confirmation("transfer", TRANSFER)
    path = f"{till.app}/move/transfer/confirm"
    assert (await till.visitor.post(path, site="cross-site", **form)).status == 403
    assert (await till.visitor.post(path, **{**form, "csrf": "x"})).status == 403
    for token in ("", "x", "é"):
        assert (await till.confirm("transfer", {**form, "token": token})).status == 404
    # What was not shown is not moved, whatever the form says that was.
    await till.merchant.collect(100_000, "GAB")
    for changes in ({"amount": "90000"}, {"from": "GAB"}, {"to": "CIV"}):
        form = await till.confirmation("transfer", TRANSFER)
        assert (await till.confirm("transfer", {**form, **changes})).status == 409
    form = await till.confirmation("transfer", TRANSFER)
    assert (await till.confirm("transfer", {**form, "from": "KEN"})).status == 404
    for changes in ({"phone": "237653456129"}, {"provider": "ORANGE_CIV"}, {"shown": ""}):
        form = await till.confirmation("payout", PAYOUT)
        assert (await till.confirm("payout", {**form, **changes})).status == 409
    assert await till.merchant.wallets() == {"CMR": (95_000, 0), "GAB": (95_000, 0)}


async def test_an_owner_shows_a_second_factor_before_live_money_moves(
    till: Till, house: House
) -> None:
    merchant = await till.merchant.live()
    awa = await Visitor.signed_in(merchant.api, till.office, "awa")
    live = replace(till, visitor=awa, environment="live")
    page = await awa.get(f"{live.app}/move/transfer")
    assert "A second factor first" in words(page)
    assert "<select" not in page.raw.decode()
    for answer in (
        await live.review("transfer", TRANSFER),
        await live.confirm("transfer", {**TRANSFER, "token": str(house.ids.uuid())}),
    ):
        assert answer.headers["location"].startswith("/dashboard/account?needed=second-factor")

    await till.office.set_up(await till.office.of(awa.token or ""))
    await collect_live(house, merchant)
    answer = await live.move("transfer", {**TRANSFER, "to": "GAB"})

    assert await merchant.wallets() == {"CMR": (45_000, 0), "GAB": (50_000, 0)}
    assert "50,000 XAF have left the wallet of Cameroon" in await told_after(live, answer)
    entry = (await till.office.log(action=Action.TRANSFER_MADE))[0]
    assert entry.details["environment"] == "PRODUCTION"
    # The same application in test has another book, in which nothing moved.
    assert await till.merchant.wallets() == {"CMR": (95_000, 0)}


async def test_before_the_first_payment_there_is_nothing_to_move(house: House, till: Till) -> None:
    other = await house.office.create_application("Acme", "other")
    at = f"/dashboard/app/{other.application.id}/test/move"
    assert (await till.visitor.get(at)).headers["location"] == f"{at}/transfer"
    assert "No wallet yet" in words(await till.visitor.get(f"{at}/transfer"))
    assert (await till.visitor.post(f"{at}/transfer/review", **TRANSFER)).status == 404


async def test_a_transfer_at_the_dashboard_is_posted_as_one_of_the_api_s(
    till: Till, house: House
) -> None:
    answer = await till.move("transfer", TRANSFER)
    api = await till.merchant.transfer(amount=50_000 - 5_000)
    assert api.status == 201
    own = await journal(house, moved_id(answer))
    other = await journal(house, api["id"])
    accounts = [line.split()[0] for line in own.splitlines()]
    assert accounts == [line.split()[0] for line in other.splitlines()]


class Bare:
    """Entries without a record: what a rail would have brought in."""

    async def write(
        self, connection: Connection, ledger: Sequence[object], _records: Sequence[None], /
    ) -> list[Verdict]:
        return verdicts(await connection.fetchrow(_POST, *ledger))


_POST = """
    select post($1, $2, $3, $4, $5, $6, $7, null, null) as verdicts,
        null::int[] as places, null::uuid[] as ids
"""


async def collect_live(house: House, merchant: Merchant) -> None:
    """95,000 XAF in Cameroon's wallet in production, where no rail is configured."""
    entry = movements.payment_completed(
        house.ids.uuid(),
        provider="MTN_MOMO_CMR",
        country="CMR",
        paid=Money(10_000_000, "XAF"),
        fee=Money(500_000, "XAF"),
    )
    book = Book(merchant.new.application.id, Environment.PRODUCTION)
    assert (await house.poster.post(Order(book, entry, None), Bare())).posted


_ACTIONS = {"transfer": Action.TRANSFER_MADE, "payout": Action.PAYOUT_REQUESTED}


_IDS = {"transfer": "select id from transfers", "payout": "select id from payouts"}


async def moves_of(house: House, way: str) -> list[object]:
    """The identifiers of all transfers, or of all payouts."""
    rows = await house.database.fetch(_IDS[way])
    return [row["id"] for row in rows]


def operation(till: Till, answer: Answer) -> tuple[Book, UUID]:
    """The book and the identifier of what an answer leads to."""
    book = Book(till.merchant.new.application.id, Environment.TEST)
    return book, UUID(moved_id(answer))


def panel(told: Answer) -> str:
    """What the script puts beside the form, without its tags."""
    return words(replace(told, raw=f"<body>{told['panel']}".encode()))
