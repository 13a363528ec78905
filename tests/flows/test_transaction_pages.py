"""The list of transactions and the page of one: found, narrowed, told, and what is done there."""

from __future__ import annotations

import re
from uuid import UUID

import pytest

from kpay.audit.model import Action
from kpay.connectors.model import NotFound, Paid, Unknown
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.people.model import Role
from kpay.transactions.model import Noun, Wanted
from tests.client import Answer, Merchant
from tests.people import Office
from tests.rails import ScriptedRail
from tests.receivers import listening
from tests.transactions import STAYS_OPEN, one_of_each
from tests.visitors import Visitor, words


@pytest.fixture
async def made(merchant: Merchant, clock: ManualClock) -> dict[str, Answer]:
    return await one_of_each(merchant, clock)


@pytest.fixture
async def awa(merchant: Merchant, office: Office) -> Visitor:
    """The owner of the merchant's company."""
    await office.hire("awa")
    return await Visitor.signed_in(merchant.api, office, "awa")


def place(merchant: Merchant, *parts: str) -> str:
    return "/".join((f"/dashboard/app/{merchant.application_id}/test/transactions", *parts))


def listed(answer: Answer) -> list[str]:
    """The public ids on a page of the list, in its order."""
    assert answer.status == 200, answer.raw
    return re.findall(r'<li id="t-([^"]+)"', answer.raw.decode())


async def found(merchant: Merchant, visitor: Visitor, **query: str) -> list[str]:
    return listed(await visitor.get(place(merchant), **query))


async def test_all_four_are_in_one_list_the_newest_first(
    merchant: Merchant, awa: Visitor, made: dict[str, Answer]
) -> None:
    order = ["refused", "refund", "small", "payout", "transfer", "payment"]
    assert await found(merchant, awa) == [made[name]["id"] for name in order]

    told = words(await awa.get(place(merchant)))

    assert "Payment from +237 653 456 789" in told
    assert "+400,000 XAF 380,000 XAF for you" in told
    assert "From Cameroon to Senegal" in told
    assert "100,000 XAF 101,530 XOF arrive" in told
    assert "Payout to +225 05 03 45 67 89" in told
    assert "\u221250,000 XAF" in told
    assert "Refund to +237 653 456 789" in told
    assert "it was not confirmed on the phone" in told


@pytest.mark.parametrize(
    ("query", "wanted"),
    [
        ({"type": "payment"}, ["refused", "small", "payment"]),
        ({"type": "transfer"}, ["transfer"]),
        ({"status": "FAILED"}, ["refused"]),
        ({"status": "PENDING"}, []),
        ({"country": "SEN"}, ["transfer"]),
        ({"country": "CIV"}, ["payout"]),
        ({"type": "payout", "country": "CMR", "status": "COMPLETED"}, ["payout"]),
        ({"from": "2026-06-24"}, []),
        ({"from": "2026-06-23", "to": "2026-06-23", "type": "refund"}, ["refund"]),
        ({"q": "order-1"}, ["payment"]),
        ({"q": " TRF-1 "}, ["transfer"]),
        ({"q": "PAYOUT-1", "type": "payment"}, []),
        ({"q": "+225 05 03 45 67 89"}, ["payout"]),
        ({"q": "00237-653-456-039"}, ["refused"]),
        ({"q": "237653456789", "type": "refund"}, ["refund"]),
        ({"q": "order"}, []),
        # What none of our own forms says narrows nothing.
        ({"type": "x", "status": "y", "country": "zz", "from": "then", "before": "w"}, None),
    ],
)
async def test_the_list_is_narrowed_by_its_address(
    merchant: Merchant,
    awa: Visitor,
    made: dict[str, Answer],
    query: dict[str, str],
    wanted: list[str] | None,
) -> None:
    there = list(made) if wanted is None else wanted
    assert sorted(await found(merchant, awa, **query)) == sorted(made[one]["id"] for one in there)


async def test_each_is_found_by_its_id_and_by_its_reference_and_by_the_end_of_that(
    merchant: Merchant, awa: Visitor, made: dict[str, Answer]
) -> None:
    for name, answer in made.items():
        body = answer.json
        reference = (
            body["reference"] if "reference" in body else body["sourceTransaction"]["reference"]
        )
        for text in (body["id"], reference, reference.lower()):
            assert await found(merchant, awa, q=text) == [body["id"]], (name, text)
        end = reference.rpartition("-")[2]
        # Any short text can be the end of a reference, and transfers are looked through for it:
        # only where nothing else is wanted.
        assert await found(merchant, awa, q=end, type=_noun(name)) == [body["id"]], name
        assert await found(merchant, awa, q=end) == ([] if name == "transfer" else [body["id"]])
    arrived = made["transfer"]["destinationTransaction"]["reference"]
    assert await found(merchant, awa, q=arrived) == [made["transfer"]["id"]]


async def test_a_number_that_was_chosen_on_a_hosted_page_is_found(
    merchant: Merchant, awa: Visitor
) -> None:
    house, book = merchant.house, Book(merchant.new.application.id, Environment.TEST)
    body = {"amount": 5000, "externalId": "hosted-1", "returnUrl": "https://shop.example.com/back"}
    made = await merchant.keys.send("POST", "/api/v1/payments/init", body)
    assert await found(merchant, awa, q="237653456789") == []
    [told] = await house.transactions.page(book, Wanted())
    payment = await house.payments.get(book, told.id)
    choice = house.payments.read_choice(
        payment.agreed,
        merchant.new.application.terms,
        provider="MTN_MOMO_CMR",
        phone_number="237653456789",
    )
    assert await house.payments.choose(payment.agreed, choice)

    assert await found(merchant, awa, q="237653456789") == [made["id"]]

    page = words(await awa.get(place(merchant, made["id"])))
    assert "Chosen on the page" in page
    assert "MTN Cameroon, +237 653 456 789" in page


async def test_older_ones_are_a_page_away_whatever_they_are_narrowed_to(
    merchant: Merchant, awa: Visitor, clock: ManualClock
) -> None:
    made = []
    for _ in range(60):
        made.append((await merchant.pay())["id"])
        clock.advance(seconds=1)
    first = await awa.get(place(merchant), q="237653456789", type="payment")
    assert listed(first) == made[:-51:-1]
    older = re.search(r'href="([^"]+before=[^"]+)"', first.raw.decode())
    assert older is not None
    path, _, query = older[1].replace("&amp;", "&").partition("?")
    assert "q=237653456789" in query
    second = await awa.get(path, **dict(part.split("=") for part in query.split("&")))
    assert listed(second) == made[9::-1]


async def test_the_file_has_what_the_filters_leave_however_much_it_is(
    merchant: Merchant, awa: Visitor, made: dict[str, Answer]
) -> None:
    for _ in range(120):
        await merchant.pay(amount=100)
    answer = await awa.get(place(merchant, "export"))
    assert answer.status == 200
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert 'filename="kpay-test-transactions.csv"' in answer.headers["content-disposition"]
    assert answer.whole
    assert answer.raw.startswith(b"\xef\xbb\xbftype,id,")
    assert len(answer.csv) == 126

    one = (await awa.get(place(merchant, "export"), q="PAYOUT-1")).csv
    assert [(row["id"], row["status"], row["amount"], row["arrivesAmount"]) for row in one] == [
        (made["payout"]["id"], "COMPLETED", "50000", "48226.75")
    ]


async def test_a_payout_is_told_from_the_asking_to_the_end(
    merchant: Merchant, awa: Visitor, made: dict[str, Answer]
) -> None:
    told = words(await awa.get(place(merchant, made["payout"]["id"])))

    for part in (
        "The payout was asked for",
        "50,000 XAF were set aside in your wallet in Cameroon in the same moment.",
        "Handed to MTN Côte d’Ivoire",
        '"phoneNumber": "2250503456789"',
        "The beneficiary: 48,227 XOF were paid out.",
        "Supplier in Abidjan",
        "47,500 XAF at this rate are 48,226.75 XOF.",
        "1 XAF = 1.0153 XOF",
        "Sent by the operator 48,227 XOF Rounding 0.25 XOF",
        "Set aside, Cameroon reserved:CMR 50,000 XAF",
        "Rounding, XOF rounding:XOF 0.25 XOF",
        "No address was set that hears this, so nothing was sent.",
    ):
        assert part in told, (part, told)


async def test_a_payment_that_was_refused_says_why_and_that_nothing_was_taken(
    merchant: Merchant, awa: Visitor, made: dict[str, Answer]
) -> None:
    told = words(await awa.get(place(merchant, made["refused"]["id"])))

    assert "The reason: it was not confirmed on the phone. The payer: nothing was taken." in told
    assert "PAYMENT_NOT_APPROVED" in told
    assert "Nothing was posted: no money has moved." in told


async def test_a_refund_and_its_payment_lead_to_each_other(
    merchant: Merchant, awa: Visitor, made: dict[str, Answer]
) -> None:
    payment, refund = made["small"]["id"], made["refund"]["id"]
    assert place(merchant, refund) in (await awa.get(place(merchant, payment))).raw.decode()
    told = await awa.get(place(merchant, refund))
    assert place(merchant, payment) in told.raw.decode()
    assert "The payer: 5,000 XAF were given back." in words(told)


async def test_what_is_on_its_way_says_when_it_is_asked_about_next(
    merchant: Merchant, awa: Visitor
) -> None:
    await merchant.collect(100_000)
    payout = await merchant.withdraw(amount=10_000, phoneNumber=STAYS_OPEN)
    told = words(await awa.get(place(merchant, payout["id"])))
    assert "No operator has been told yet." in told
    assert "Next: handed to the operator" in told
    await merchant.house.worker.run_until_idle()

    told = words(await awa.get(place(merchant, payout["id"])))

    assert "10,000 XAF stay set aside in your wallet in Cameroon until the operator says" in told
    assert "Next: the operator is asked again" in told
    assert "It has it, and will say later how it ends." in told


async def test_what_is_not_known_is_told_as_that_and_questions_alike_are_one_step(
    merchant: Merchant, awa: Visitor, clock: ManualClock
) -> None:
    await merchant.collect(100_000)
    lost = Unknown("TimeoutError")
    rail = ScriptedRail(lost, lost, lost, NotFound(), otherwise=Paid({"id": "op-1"}))
    rail.serve(merchant.house)
    payout = await merchant.withdraw(amount=10_000)
    for _ in range(4):
        await merchant.house.worker.run_until_idle()
        clock.advance(minutes=1)
    told = words(await awa.get(place(merchant, payout["id"])))
    assert "Asked MTN Cameroon what became of it, 2 times" in told
    assert told.count("No clear answer. That is no failure") == 2
    assert "It says that it has never received it." in told
    assert "Next: handed to the operator" in told
    await merchant.house.worker.run_until_idle()

    told = words(await awa.get(place(merchant, payout["id"])))

    assert told.count("Handed to MTN Cameroon") == 2
    assert '"id": "op-1"' in told
    assert "The beneficiary: 9,500 XAF were paid out." in told


async def test_a_pending_payout_is_cancelled_after_a_question_and_it_is_on_record(
    merchant: Merchant, office: Office, awa: Visitor
) -> None:
    await merchant.collect(100_000)
    payout = await merchant.withdraw(amount=10_000)
    address = place(merchant, payout["id"])
    assert "Yes, cancel it" not in words(await awa.get(address))
    assert "Yes, cancel it" in words(await awa.get(address, ask="cancel"))

    answer = await awa.post(f"{address}/cancel")

    assert (answer.status, answer.headers["location"]) == (303, f"{address}?done=cancelled#main")
    told = words(await awa.get(address))
    assert "You: all of 10,000 XAF is back in your wallet in Cameroon." in told
    assert "Cancel it" not in told
    assert (await merchant.wallets())["CMR"] == (95_000, 0)
    entry = (await office.log(company_id=await office.company()))[0]
    assert (entry.action, entry.person_name) == (Action.CANCELLING_ASKED, "Awa")
    assert entry.details["reference"] == payout["reference"]

    again = await awa.post(f"{address}/cancel")
    assert again.status == 409
    assert "It cannot be cancelled any more" in words(again)


async def test_a_payment_is_given_back_once_by_the_same_flow_as_of_the_api(
    merchant: Merchant, office: Office, awa: Visitor
) -> None:
    await merchant.collect(100_000)
    payment = await merchant.collect(20_000)
    address = place(merchant, payment["id"])

    answer = await awa.post(f"{address}/refund", reason=" Wrong\n size ")

    refund = (await merchant.payment(payment))["refunds"][0]
    assert answer.headers["location"] == f"{place(merchant, refund['id'])}?done=refunded#main"
    assert (await merchant.wallets())["CMR"] == (94_000, 20_000)
    entry = (await office.log(company_id=await office.company()))[0]
    assert (entry.action, entry.subject.id) == (Action.REFUND_ASKED, payment["id"])
    assert "Wrong size" in words(await awa.get(place(merchant, refund["id"])))
    assert "Give it back" not in words(await awa.get(address))
    again = await awa.post(f"{address}/refund")
    assert again.status == 409
    assert "It was given back already, or is being given back." in words(again)
    assert len((await merchant.payment(payment))["refunds"]) == 1


async def test_more_than_the_wallet_has_is_not_given_back(merchant: Merchant, awa: Visitor) -> None:
    payment = await merchant.collect(20_000)

    answer = await awa.post(f"{place(merchant, payment['id'])}/refund")

    assert answer.status == 422
    assert "Your wallet does not have as much available as the payer has paid." in words(answer)
    assert (await merchant.wallets())["CMR"] == (19_000, 0)


async def test_a_form_for_another_kind_of_transaction_is_none(
    merchant: Merchant, awa: Visitor, made: dict[str, Answer]
) -> None:
    for name, deed in (
        ("payment", "cancel"),
        ("transfer", "cancel"),
        ("payout", "refund"),
        ("transfer", "replay"),
    ):
        answer = await awa.post(f"{place(merchant, made[name]['id'])}/{deed}")
        assert answer.status == 404, (name, deed)


async def test_a_role_is_offered_what_it_may_do_and_nothing_else(
    merchant: Merchant, office: Office, made: dict[str, Answer]
) -> None:
    offered = {}
    for role in Role:
        await office.hire(role.lower(), role)
        visitor = await Visitor.signed_in(merchant.api, office, role.lower())
        told = words(await visitor.get(place(merchant, made["payment"]["id"]), ask="refund"))
        offered[role] = ("Yes, give" in told, "Send it now" in told)
    assert offered == {
        Role.OWNER: (True, True),
        Role.FINANCE: (True, False),
        Role.APPROVER: (False, False),
        Role.DEVELOPER: (False, True),
        Role.VIEWER: (False, False),
    }


async def test_an_owner_without_a_second_factor_moves_nothing_that_is_live(
    merchant: Merchant, office: Office, awa: Visitor
) -> None:
    live = await merchant.live()
    ScriptedRail().serve(merchant.house, Environment.PRODUCTION)
    payment = await live.pay()
    assert payment.status == 201, payment.raw
    address = f"/dashboard/app/{live.application_id}/live/transactions/{payment['id']}"
    assert (await awa.get(address)).status == 200

    answer = await awa.post(f"{address}/refund")

    assert answer.headers["location"].startswith("/dashboard/account?needed=")
    asked = {entry.action for entry in await office.log(company_id=await office.company())}
    assert Action.REFUND_ASKED not in asked


async def test_the_webhook_of_an_end_is_shown_as_it_was_sent_and_sent_again(
    merchant: Merchant, office: Office, awa: Visitor
) -> None:
    async with listening() as receiver:
        await merchant.keys.send("PUT", "/api/v1/payments/webhooks/generic", {"url": receiver.url})
        payment = await merchant.collect(20_000)
        address = place(merchant, payment["id"])
        told = words(await awa.get(address))
        assert "payment.completed delivered" in told
        assert "X-KPAY-Signature" in told
        assert f'"paymentId":"{payment["id"]}"' in told
        assert receiver.events == ["payment.completed"]

        answer = await awa.post(f"{address}/replay")

        assert answer.headers["location"] == f"{address}?done=replayed#webhook"
        await merchant.house.worker.run_until_idle()
        assert receiver.events == ["payment.completed"] * 2
        assert "Attempt 2 · 200" in words(await awa.get(address))
        entry = (await office.log(company_id=await office.company()))[0]
        assert entry.action == Action.REPLAY_ASKED


async def test_another_application_finds_nothing_of_this_one(
    merchant: Merchant, office: Office, made: dict[str, Answer]
) -> None:
    other = await Merchant.join(merchant.house, "Rival", "stall", api=merchant.api)
    await office.hire("eve", company="Rival")
    eve = await Visitor.signed_in(merchant.api, office, "eve")
    for name, answer in made.items():
        assert (await eve.get(place(other, answer["id"]))).status == 404, name
        assert await found(other, eve, q=answer["id"]) == [], name
    assert await found(other, eve, q="237653456789") == []


async def test_a_page_about_what_was_never_there_is_not_there(
    merchant: Merchant, awa: Visitor, made: dict[str, Answer]
) -> None:
    known = made["payment"]["id"]
    for name in (known.upper(), "pay_x", str(UUID(int=7)), known.replace("pay_", "wdr_"), ""):
        assert (await awa.get(place(merchant, name))).status == 404, name


async def test_what_a_stranger_wrote_is_text_and_no_part_of_the_page(
    merchant: Merchant, awa: Visitor
) -> None:
    nasty = "<script>alert(1)</script>"
    payment = await merchant.collect(
        1_000, externalId=nasty, description=nasty, customerName=nasty, metadata={"a": nasty}
    )
    for path in (place(merchant), place(merchant, payment["id"])):
        answer = await awa.get(path, q=nasty)
        assert answer.status == 200
        assert nasty.encode() not in answer.raw
    assert await found(merchant, awa, q=nasty) == [payment["id"]]
    assert await found(merchant, awa, q="\0") == [payment["id"]]


def _noun(name: str) -> str:
    """What one of the transactions that were made is."""
    return name if name in set(Noun) else Noun.PAYMENT
