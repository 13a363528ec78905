"""What a row of pawaPay's statement comes to, and what is never guessed."""

from __future__ import annotations

from datetime import UTC, date, datetime
from uuid import UUID

import pytest

from kpay.catalogue.model import OperationType
from kpay.connectors.pawapay.sheet import NEEDED, Sheet
from kpay.connectors.statements import Line, RailWallet
from kpay.connectors.wire import NoAnswer
from kpay.rail_simulator.statements import COLUMNS

DAY = date(2026, 6, 23)
ID = "8917c345-4791-4285-a416-62f24b6982db"
PAYOUT = {
    "Transaction ID": ID,
    "Transaction Type": "PAYOUT",
    "Status": "COMPLETED",
    "Currency": "XAF",
    "Amount": "9500",
    "Fee": "95.5",
    "Net Amount": "-9595.5",
    "Customer Phone Number": "237650000001",
    "Completed At": "2026-06-23T10:00:00Z",
}


def read(columns: tuple[str, ...] = COLUMNS, **changes: str) -> list[Line]:
    row = {**PAYOUT, **{name.replace("_", " "): text for name, text in changes.items()}}
    sheet = Sheet(columns, RailWallet("CMR", "XAF"), DAY)
    return sheet.read([row.get(name.strip(), "") for name in columns])


def moved(lines: list[Line]) -> list[tuple[str, int, OperationType | None, UUID | None]]:
    return [(line.word, line.amount.minor, line.operation, line.reference) for line in lines]


def test_a_payout_is_money_out_and_its_fee_a_line_of_its_own() -> None:
    lines = read()
    assert moved(lines) == [
        ("PAYOUT", -950_000, OperationType.PAYOUT, UUID(ID)),
        ("FEE", -9_550, None, None),
    ]
    assert {line.at for line in lines} == {datetime(2026, 6, 23, 10, tzinfo=UTC)}
    assert lines[0].raw["Customer Phone Number"] == "237650000001"
    assert lines[1].raw == {"Transaction Type": "PAYOUT", "Transaction ID": ID}
    assert lines[0].balance is None


@pytest.mark.parametrize(
    ("word", "net", "minor", "operation"),
    [
        ("DEPOSIT", "9500", 950_000, OperationType.DEPOSIT),
        ("PAYOUT", "9500.00", -950_000, OperationType.PAYOUT),
        ("REFUND", "-9500.0000", -950_000, OperationType.REFUND),
        ("REMITTANCE", "-9500", -950_000, OperationType.PAYOUT),
    ],
)
def test_the_type_says_which_way_it_went(
    word: str, net: str, minor: int, operation: OperationType
) -> None:
    lines = read(Transaction_Type=word, Fee="0", Net_Amount=net)
    assert moved(lines) == [(word, minor, operation, UUID(ID))]


def test_a_top_up_is_no_operation_and_has_no_reference() -> None:
    lines = read(Transaction_Type="TOPUP", Fee="0.00", Net_Amount="9500")
    assert moved(lines) == [("TOPUP", 950_000, None, None)]


def test_a_fee_is_taken_from_what_comes_in() -> None:
    assert moved(read(Transaction_Type="DEPOSIT", Net_Amount="9404.5")) == [
        ("DEPOSIT", 950_000, OperationType.DEPOSIT, UUID(ID)),
        ("FEE", -9_550, None, None),
    ]
    # A fee of more than the amount leaves less than there was.
    assert len(read(Transaction_Type="DEPOSIT", Amount="5", Net_Amount="-90.5")) == 2


def test_columns_go_by_their_names_in_any_order_with_others_beside() -> None:
    columns = ("New", *reversed(NEEDED), " Balance ")
    assert moved(read(columns)) == moved(read())


@pytest.mark.parametrize("status", ["FAILED", "PROCESSING", "IN_RECONCILIATION", "ENQUEUED"])
def test_what_has_not_moved_is_no_line(status: str) -> None:
    assert read(Status=status, Amount="?", Completed_At="") == []


def test_an_operation_without_one_of_our_references_is_a_line_all_the_same() -> None:
    assert [line.reference for line in read(Transaction_ID="x-1")] == [None, None]


def test_the_midnight_that_ends_the_day_is_the_next_ones() -> None:
    assert read(Completed_At="2026-06-24T00:00:00Z") == []
    assert len(read(Completed_At="2026-06-23T00:00:00Z")) == 2
    assert len(read(Completed_At="2026-06-24T00:59:59+01:00")) == 2
    assert len(read(Completed_At="2026-06-23 23:59:59.999")) == 2


@pytest.mark.parametrize(
    ("column", "cell", "words"),
    [
        ("Status", "REVERSED", "Status is 'REVERSED'"),
        ("Status", "", "Status is ''"),
        ("Transaction Type", "CASHBACK", "Transaction Type is 'CASHBACK'"),
        ("Currency", "XOF", "Currency is not XAF"),
        ("Amount", "", "Amount is ''"),
        ("Amount", "-9500", "Amount is '-9500'"),
        ("Amount", "9,500", "Amount is '9,500'"),
        ("Amount", "9500.001", "Amount is '9500.001'"),
        ("Amount", "9.5e3", "Amount is '9.5e3'"),
        ("Fee", "", "Fee is ''"),
        ("Fee", "0.001", "Fee is '0.001'"),
        ("Net Amount", "", "Net Amount is ''"),
        ("Net Amount", "--9595.5", "Net Amount is"),
        ("Net Amount", "-9595", "its parts come to -9,595.50 XAF"),
        ("Net Amount", "9404.5", "its parts come to -9,595.50 XAF"),
        ("Completed At", "", "Completed At is ''"),
        ("Completed At", "23/06/2026", "Completed At is '23/06/2026'"),
        ("Completed At", "2026-06-22T23:59:59Z", "another day"),
        ("Completed At", "2026-06-24T00:00:01Z", "another day"),
    ],
)
def test_what_is_not_understood_is_trouble_in_words(column: str, cell: str, words: str) -> None:
    with pytest.raises(NoAnswer, match=f"^row 2 of the statement cannot be read: .*{words}"):
        read(COLUMNS, **{column.replace(" ", "_"): cell})


def test_money_that_comes_in_is_not_told_with_a_minus() -> None:
    with pytest.raises(NoAnswer, match=r"its parts come to 9,500\.00 XAF"):
        read(Transaction_Type="DEPOSIT", Fee="0", Net_Amount="-9500")


@pytest.mark.parametrize("column", NEEDED)
def test_a_column_that_is_missing_or_there_twice_is_trouble(column: str) -> None:
    without = tuple(name for name in NEEDED if name != column)
    for columns in (without, (*NEEDED, column)):
        with pytest.raises(NoAnswer, match=f"one column '{column}', and has: "):
            Sheet(columns, RailWallet("CMR", "XAF"), DAY)


def test_a_row_of_another_length_is_trouble() -> None:
    sheet = Sheet(COLUMNS, RailWallet("CMR", "XAF"), DAY)
    with pytest.raises(NoAnswer, match=r"row 2 .*not as many cells"):
        sheet.read(["", ""])
