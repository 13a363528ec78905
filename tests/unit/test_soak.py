"""The soak's own judgement: it works out the right sums, and it sees each kind of lie."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest
from soak import reading
from soak.books import expected
from soak.journal import Answer, Defect, Journal, Record
from soak.operations import ROUTES, Kind, Route, Wanted, draw, number_of, refund_of
from soak.processes import Kill, Shape, Victim

PAID, FAILS = "COMPLETED", "FAILED"
UNAVAILABLE = Answer(503)
LOST = Answer(0)


def route(kind: Kind, destination: str, ends: str = PAID) -> Route:
    (found,) = (
        each
        for each in ROUTES
        if (each.kind, each.destination, each.ends) == (kind, destination, ends)
        and each.source in ("", "CMR")
    )
    return found


def record(wanted: Wanted, *answers: Answer) -> Record:
    made = Record(wanted)
    for answer in answers:
        made.add(answer)
    return made


def payout(ends: str = PAID) -> Wanted:
    return Wanted(0, "W-1", route(Kind.PAYOUT, "CMR", ends), 100_000)


def row(status: str = PAID, identifier: str = "wdr_1", **changes: Any) -> dict[str, Any]:
    """A payout of 1,000 as the program lists it."""
    return {
        "id": identifier,
        "status": status,
        "message": status,
        "externalId": "W-1",
        "provider": "MTN_MOMO_CMR",
        "phoneNumber": "237653456089" if status == FAILS else "237653456789",
        "amount": 1_000,
        "feeAmount": 50,
        "netAmount": 950,
        "sourceCountry": "CMR",
        "createdAt": "2026-06-23T10:00:00.000Z",
        **changes,
    }


CREATED = Answer(201, row("PENDING"))
USED = Answer(409, {"existingId": "wdr_1"})


# The sums.


def test_the_page_s_payout_across_currencies_comes_to_the_page_s_postings() -> None:
    """50,000 XAF to Côte d'Ivoire, at the sandbox's rate."""
    wanted = Wanted(3, "W", route(Kind.PAYOUT, "CIV"), 5_000_000)

    assert expected([record(wanted, Answer(201, {"id": "wdr_1"}))]) == {
        (3, "wallet:CMR"): -5_000_000,
        (3, "fees:XAF"): 250_000,
        (3, "fx:XAF"): 4_750_000,
        (3, "fx:XOF"): -4_822_675,
        (3, "provider:MTN_MOMO_CIV"): 4_822_700,
        (3, "rounding:XOF"): -25,
    }


def test_every_operation_comes_to_nothing_in_each_currency() -> None:
    currencies = {"CMR": "XAF", "GAB": "XAF", "SEN": "XOF"}
    for number in range(500):
        sums = {"XAF": 0, "XOF": 0}
        for (_, account), amount in expected([record(draw("s", number, 3), CREATED)]).items():
            kind, _, where = account.partition(":")
            currency = currencies.get(where, where)
            if kind == "provider":
                currency = "XOF" if where == "MTN_MOMO_CIV" else "XAF"
            sums[currency] += amount
        assert sums == {"XAF": 0, "XOF": 0}


def test_a_half_is_rounded_up_and_hundredths_are_spelled_as_they_are() -> None:
    payment = Wanted(0, "P", route(Kind.PAYMENT, "GAB"), 10_010)

    assert (payment.fee, payment.net) == (501, 9_509)
    assert [number_of(minor) for minor in (100, 105, 150, 123_456)] == [
        "1",
        "1.05",
        "1.50",
        "1234.56",
    ]


@pytest.mark.parametrize("answers", [[LOST], [UNAVAILABLE], [LOST, UNAVAILABLE]])
def test_what_was_never_acknowledged_counts_for_nothing(answers: list[Answer]) -> None:
    assert expected([record(payout(), *answers)]) == {}


@pytest.mark.parametrize("answers", [[CREATED], [LOST, CREATED], [LOST, USED]])
def test_what_is_on_record_counts_once_however_often_it_was_sent(answers: list[Answer]) -> None:
    assert expected([record(payout(), *answers)])[0, "wallet:CMR"] == -100_000


def test_what_failed_leaves_nothing() -> None:
    assert expected([record(payout(FAILS), CREATED)]) == {}


# The answers.


@pytest.mark.parametrize("status", [200, 400, 401, 404, 422, 500, 502])
def test_an_answer_that_no_operation_here_deserves_is_a_lie(status: int) -> None:
    with pytest.raises(Defect):
        record(payout(), Answer(status))


def test_a_conflict_at_the_first_try_is_a_lie() -> None:
    with pytest.raises(Defect):
        record(payout(), USED)


def test_an_external_id_is_used_once() -> None:
    journal = Journal()
    journal.open(payout())
    with pytest.raises(ValueError, match="twice"):
        journal.open(payout())


# What is on record.


@pytest.mark.parametrize(
    ("ends", "answers", "rows"),
    [
        (PAID, [CREATED], [row()]),
        (PAID, [CREATED], [row("PROCESSING", createdAt="2999-01-01T00:00:00.000Z")]),
        (PAID, [LOST], []),
        (PAID, [LOST], [row()]),
        (PAID, [LOST, USED], [row()]),
        # The first try was recorded, failed and gave its externalId back before the second.
        (FAILS, [LOST, Answer(201, row(FAILS, "wdr_2"))], [row(FAILS), row(FAILS, "wdr_2")]),
    ],
)
def test_what_is_as_it_was_answered_is_taken(
    ends: str, answers: list[Answer], rows: list[dict[str, Any]]
) -> None:
    told = [
        Answer(each.status, {**each.body, "createdAt": rows[0]["createdAt"]})
        if each.status == 201
        else each
        for each in answers
    ]
    reading._check(record(payout(ends), *told), rows)


@pytest.mark.parametrize(
    ("ends", "answers", "rows"),
    [
        pytest.param(PAID, [CREATED], [], id="lost"),
        pytest.param(PAID, [CREATED], [row(identifier="wdr_2")], id="another in its place"),
        pytest.param(PAID, [CREATED], [row(), row(identifier="wdr_2")], id="there twice"),
        pytest.param(PAID, [LOST], [row(), row(identifier="wdr_2")], id="twice by one try"),
        pytest.param(PAID, [LOST, USED], [], id="named and not there"),
        pytest.param(PAID, [CREATED], [row(amount=Decimal("999.99"))], id="another amount"),
        pytest.param(PAID, [CREATED], [row(feeAmount=51)], id="another fee"),
        pytest.param(PAID, [CREATED], [row(reference="KPAY-WD")], id="another reference"),
        pytest.param(PAID, [CREATED], [row(FAILS, phoneNumber="237653456789")], id="another end"),
        pytest.param(PAID, [CREATED], [row("PROCESSING")], id="open for ever"),
        pytest.param(
            FAILS,
            [LOST, Answer(201, row(FAILS))],
            [
                row("PROCESSING", phoneNumber="237653456089", createdAt="2999-01-01T00:00:00.000Z"),
                row("PENDING", "wdr_2", phoneNumber="237653456089"),
            ],
            id="two at once",
        ),
    ],
)
def test_every_other_thing_on_record_is_a_lie(
    ends: str, answers: list[Answer], rows: list[dict[str, Any]]
) -> None:
    with pytest.raises(Defect):
        reading._check(record(payout(ends), *answers), rows)


# Cancellations.

CANCELLED = Answer(200, row("CANCELLED"))
TOO_LATE = Answer(409)


def recalled(*recalls: Answer) -> Record:
    made = record(payout(), CREATED)
    for answer in recalls:
        made.add_recall(answer)
    return made


@pytest.mark.parametrize(
    ("recalls", "ends"),
    [
        ([CANCELLED], ["CANCELLED"]),
        ([TOO_LATE], [PAID]),
        ([LOST], ["CANCELLED", PAID]),
        # The first try did it, unheard, so that the second came too late.
        ([LOST, TOO_LATE], ["CANCELLED", PAID]),
        ([], [PAID]),
    ],
)
def test_a_cancellation_holds_as_it_was_answered(recalls: list[Answer], ends: list[str]) -> None:
    for end in ("CANCELLED", PAID):
        asked = recalled(*recalls)
        if end in ends:
            reading._check(asked, [row(end)])
            left = {} if end == "CANCELLED" else {"wallet:CMR": -100_000}
            wallets = {code: sum_ for (_, code), sum_ in expected([asked]).items()}
            assert {code: wallets[code] for code in wallets if code == "wallet:CMR"} == left
        else:
            with pytest.raises(Defect):
                reading._check(asked, [row(end)])


def test_a_cancellation_is_not_answered_with_anything_else() -> None:
    with pytest.raises(Defect):
        recalled(Answer(404))


# Keys.

IN_PROGRESS = Answer(409, {"code": "idempotency_in_progress"})


def keyed(ends: str = PAID) -> Wanted:
    return replace(payout(ends), is_keyed=True)


@pytest.mark.parametrize("answers", [[CREATED], [LOST, CREATED], [LOST, IN_PROGRESS, CREATED]])
def test_what_has_a_key_is_answered_as_if_it_had_been_sent_once(answers: list[Answer]) -> None:
    made = record(keyed(), *answers)

    assert made.id == "wdr_1"
    assert not record(keyed(), LOST, IN_PROGRESS).is_decided


@pytest.mark.parametrize("answers", [[USED], [LOST, USED], [IN_PROGRESS]])
def test_another_answer_to_a_key_is_a_lie(answers: list[Answer]) -> None:
    with pytest.raises(Defect):
        record(keyed(), *answers)


def test_without_a_key_nothing_is_in_progress() -> None:
    with pytest.raises(Defect):
        record(payout(), LOST, IN_PROGRESS)


def test_one_key_makes_one_operation_even_when_it_fails() -> None:
    made = record(keyed(FAILS), LOST, Answer(201, row(FAILS, "wdr_2")))
    with pytest.raises(Defect, match="one key"):
        reading._check(made, [row(FAILS), row(FAILS, "wdr_2")])


def test_a_key_that_is_sent_again_is_answered_the_same() -> None:
    made = record(keyed(), CREATED)
    for answer in (LOST, UNAVAILABLE, CREATED, Answer(201, row(PAID))):
        made.add_repeat(answer)

    assert made.repeats == 2
    for lie in (Answer(201, row(identifier="wdr_2")), USED, Answer(201, row(amount=999))):
        with pytest.raises(Defect):
            made.add_repeat(lie)


# Refunds.


def test_a_refund_takes_back_all_that_was_paid_and_leaves_the_fee() -> None:
    paid = replace(draw("s", 0, 3), route=route(Kind.PAYMENT, "GAB"), merchant=1, amount=10_000)
    wanted = refund_of(paid, "pay_1")

    both = [record(paid, CREATED), record(wanted, CREATED)]
    assert expected(both) == {(1, "wallet:GAB"): -500, (1, "fees:XAF"): 500}


def test_a_refund_of_another_payment_is_a_lie() -> None:
    paid = Wanted(0, "P", route(Kind.PAYMENT, "CMR"), 100_000)
    listed = row(externalId="refund-P", identifier="rfd_1", originalPaymentId="pay_1")
    made = record(refund_of(paid, "pay_1"), Answer(201, listed))

    reading._check(made, [listed])
    with pytest.raises(Defect):
        reading._check(made, [{**listed, "originalPaymentId": "pay_2"}])


# The draws.


def test_the_same_seed_draws_the_same_and_another_does_not() -> None:
    assert [draw("a", n, 8) for n in range(50)] == [draw("a", n, 8) for n in range(50)]
    assert [draw("a", n, 8) for n in range(50)] != [draw("b", n, 8) for n in range(50)]
    assert Kill.draw("a", 3, 600) == Kill.draw("a", 3, 600)


def test_every_kind_of_kill_has_its_turn() -> None:
    kinds = {(kill.shape, kill.victim) for kill in (Kill.draw("a", n, 600) for n in range(11))}

    assert kinds == {
        (shape, victim)
        for shape in Shape
        for victim in Victim
        if shape is Shape.APART or victim is not Victim.WORKER
    }
