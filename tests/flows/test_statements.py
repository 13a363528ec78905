"""A wallet's movements and statements: they add up, whatever happened and whenever it is asked."""

from __future__ import annotations

from decimal import Decimal
from random import Random
from typing import Any

import asyncpg
import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.statements import flow
from tests.client import Answer, Merchant

BALANCES = ("balance", "reservedBalance", "availableBalance")
FAILING_NUMBER = "237653456089"
OPEN_NUMBER = "237653456129"


async def movements(merchant: Merchant, country: str = "CMR", **query: Any) -> Answer:
    return await merchant.token.send("GET", f"/api/wallets/{country}/movements", query=query)


async def statement(merchant: Merchant, country: str = "CMR", **query: Any) -> Answer:
    return await merchant.token.send("GET", f"/api/wallets/{country}/statement", query=query)


async def statement_file(merchant: Merchant, country: str = "CMR", **query: Any) -> Answer:
    path = f"/api/wallets/{country}/statement/export"
    return await merchant.token.send("GET", path, query=query)


async def balances(merchant: Merchant, country: str = "CMR") -> dict[str, Any]:
    """What `GET /balance` says of a wallet."""
    rows = (await merchant.keys.send("GET", "/api/v1/payments/balance")).json
    (found,) = [row for row in rows if row["country"] == country]
    return {name: found[name] for name in BALANCES}


def assert_adds_up(told: Any) -> None:
    """Line by line, by types, and from the opening balance to the closing one."""
    standing = dict(told["opening"])
    for row in told["movements"]:
        standing["balance"] += row["amount"]
        standing["reservedBalance"] += row["reservedAmount"]
        standing["availableBalance"] = standing["balance"] - standing["reservedBalance"]
        assert {name: row[name] for name in BALANCES} == standing, row
    assert standing == told["closing"]
    for name in ("amount", "reservedAmount"):
        assert sum(total[name] for total in told["totals"]) == sum(
            row[name] for row in told["movements"]
        )
    assert sum(total["count"] for total in told["totals"]) == len(told["movements"])


@pytest.fixture
async def busy(merchant: Merchant, house: House) -> Merchant:
    """One of everything that can happen to a wallet, in this order."""
    await merchant.collect(200_000, externalId="in", description="Basket")
    await merchant.transfer(amount=100_000, externalId="out", description="Supply")
    await merchant.withdraw(
        amount=10_000, externalId="paid", provider="MTN_MOMO_CIV", sourceCountry="CMR"
    )
    await house.worker.run_until_idle()
    await merchant.withdraw(amount=1_000, externalId="failed", phoneNumber=FAILING_NUMBER)
    await house.worker.run_until_idle()
    called_back = await merchant.withdraw(amount=2_000, externalId="called back")
    await merchant.keys.send("POST", f"/api/v1/payments/withdraw/{called_back['id']}/cancel")
    await merchant.transfer(
        amount=500, externalId="back", sourceCountry="SEN", destinationCountry="CMR"
    )
    await merchant.withdraw(amount=3_000, externalId="open", phoneNumber=OPEN_NUMBER)
    await house.worker.run_until_idle()
    return merchant


async def test_a_statement_tells_everything_that_happened_to_a_wallet(busy: Merchant) -> None:
    told = (await statement(busy)).json

    assert_adds_up(told)
    assert [(row["type"], row["externalId"]) for row in told["movements"]] == [
        ("PAYMENT", "in"),
        ("WALLET_TRANSFER_OUT", "out"),
        ("WITHDRAWAL_RESERVED", "paid"),
        ("WITHDRAWAL_COMPLETED", "paid"),
        ("WITHDRAWAL_RESERVED", "failed"),
        ("WITHDRAWAL_RELEASED", "failed"),
        ("WITHDRAWAL_RESERVED", "called back"),
        ("WITHDRAWAL_RELEASED", "called back"),
        ("WALLET_TRANSFER_IN", "back"),
        ("WITHDRAWAL_RESERVED", "open"),
    ]
    payment, out, held, paid, _, failed, _, called_back, back, _ = told["movements"]
    assert [row["amount"] for row in (payment, out, held, paid)] == [190_000, -100_000, 0, -10_000]
    assert [row["reservedAmount"] for row in (held, paid, failed)] == [10_000, -10_000, -1_000]
    assert [payment[name] for name in ("grossAmount", "feeAmount", "netAmount")] == [
        200_000,
        10_000,
        190_000,
    ]
    assert [paid[name] for name in ("grossAmount", "feeAmount", "netAmount")] == [
        10_000,
        500,
        9_500,
    ]
    # A fee is taken once, so it is there once.
    assert [row["feeAmount"] for row in (out, held, failed, back)] == [None] * 4
    assert (out["reference"][:8], back["reference"][:7]) == ("TRF-OUT-", "TRF-IN-")
    assert (out["counterCountry"], out["counterCurrency"]) == ("SEN", "XOF")
    assert out["counterAmount"] == Decimal(101_530)
    assert (paid["counterCountry"], paid["counterCurrency"]) == ("CIV", "XOF")
    assert (failed["failureReason"], called_back["failureReason"]) != (None, None)
    assert called_back["failureReason"] is None
    assert payment["description"] == "Basket"
    assert told["opening"] == dict.fromkeys(BALANCES, 0)
    assert told["closing"] == await balances(busy)
    assert {total["type"]: total["feeAmount"] for total in told["totals"]} == {
        "PAYMENT": 10_000,
        "WALLET_TRANSFER_IN": 0,
        "WALLET_TRANSFER_OUT": 0,
        "WITHDRAWAL_RESERVED": 0,
        "WITHDRAWAL_COMPLETED": 500,
        "WITHDRAWAL_RELEASED": 0,
    }


async def test_a_refund_leaves_the_balance_once_and_one_that_is_called_back_never(
    merchant: Merchant, house: House
) -> None:
    await merchant.collect(50_000)
    kept, returned = [await merchant.collect(10_000) for _ in range(2)]
    back = await merchant.refund(returned, externalId="back", reason="Out of stock")
    await house.worker.run_until_idle()
    called_back = await merchant.refund(kept, externalId="called back")
    await merchant.keys.send("POST", f"/api/v1/payments/refunds/{called_back['id']}/cancel")

    told = (await statement(merchant)).json

    assert_adds_up(told)
    assert [
        (row["type"], row["externalId"], row["amount"], row["reservedAmount"])
        for row in told["movements"][3:]
    ] == [
        ("REFUND_RESERVED", "back", 0, 10_000),
        ("REFUND_COMPLETED", "back", -10_000, -10_000),
        ("REFUND_RESERVED", "called back", 0, 10_000),
        ("REFUND_RELEASED", "called back", 0, -10_000),
    ]
    paid = told["movements"][4]
    assert (paid["operationId"], paid["description"]) == (back["id"], "Out of stock")
    # The fee of a payment is not given back.
    assert paid["feeAmount"] is None
    assert told["closing"] == await balances(merchant)


async def test_each_line_leads_to_its_operation(busy: Merchant) -> None:
    for row in (await statement(busy))["movements"]:
        if row["type"].startswith("WALLET"):
            browser, path = busy.token, f"/api/wallets/transfer/{row['operationId']}"
        else:
            kind = "withdraw/" if row["type"].startswith("WITHDRAWAL") else ""
            browser, path = busy.keys, f"/api/v1/payments/{kind}{row['operationId']}"
        found = (await browser.send("GET", path)).json
        assert found["externalId"] == row["externalId"]
        assert row["reference"] in str(found)


async def test_the_other_side_of_a_transfer_is_told_on_the_other_wallet(busy: Merchant) -> None:
    rows = (await statement(busy, "SEN"))["movements"]

    assert [(row["type"], row["amount"], row["counterCountry"]) for row in rows] == [
        ("WALLET_TRANSFER_IN", 101_530, "CMR"),
        ("WALLET_TRANSFER_OUT", -500, "CMR"),
    ]
    assert (rows[0]["counterAmount"], rows[0]["counterCurrency"]) == (100_000, "XAF")


async def test_movements_are_the_statement_backwards_page_by_page(busy: Merchant) -> None:
    whole = (await statement(busy))["movements"]
    for limit in (1, 2, 3, 9, 10, 11, 100):
        walked: list[Any] = []
        query: dict[str, Any] = {"limit": limit}
        while True:
            page = await movements(busy, **query)
            walked += page["data"]
            if page["nextCursor"] is None:
                break
            assert len(page["data"]) == limit
            query["cursor"] = page["nextCursor"]
        assert walked == whole[::-1]


async def test_new_movements_do_not_disturb_who_is_walking_the_pages(busy: Merchant) -> None:
    whole = (await movements(busy, limit=100))["data"]
    first = await movements(busy, limit=4)
    await busy.collect(1_000)
    await busy.withdraw(amount=100)

    rest = await movements(busy, limit=100, cursor=first["nextCursor"])
    assert [*first["data"], *rest["data"]] == whole


@pytest.mark.parametrize("limit", [1, 2, 100])
async def test_movements_are_narrowed_by_type_and_external_id(busy: Merchant, limit: int) -> None:
    whole = (await movements(busy, limit=100))["data"]

    async def walk(**query: Any) -> list[Any]:
        rows: list[Any] = []
        cursor: dict[str, Any] = {}
        while True:
            page = await movements(busy, limit=limit, **query, **cursor)
            rows += page["data"]
            if page["nextCursor"] is None:
                return rows
            cursor = {"cursor": page["nextCursor"]}

    for type_ in {row["type"] for row in whole}:
        assert await walk(type=type_) == [row for row in whole if row["type"] == type_]
    for external_id in {row["externalId"] for row in whole}:
        same = [row for row in whole if row["externalId"] == external_id]
        assert await walk(externalId=external_id) == same
        assert await walk(externalId=external_id, type=same[0]["type"]) == [
            row for row in same if row["type"] == same[0]["type"]
        ]
    assert await walk(externalId="nobody's") == []


async def test_an_external_id_that_was_used_again_names_both_operations(
    busy: Merchant, house: House
) -> None:
    await busy.withdraw(amount=700, externalId="failed")
    await house.worker.run_until_idle()

    rows = (await movements(busy, externalId="failed"))["data"]
    assert [row["type"] for row in rows] == [
        "WITHDRAWAL_COMPLETED",
        "WITHDRAWAL_RESERVED",
        "WITHDRAWAL_RELEASED",
        "WITHDRAWAL_RESERVED",
    ]


async def test_a_page_that_a_filter_leaves_empty_says_where_to_go_on(
    busy: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(flow, "_MOST_SCANNED", 2)
    found: list[Any] = []
    query: dict[str, Any] = {"type": "PAYMENT"}
    sizes = []
    while True:
        page = await movements(busy, **query)
        found += page["data"]
        sizes.append(len(page["data"]))
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]

    assert sizes == [0, 0, 0, 0, 1, 0]
    assert [row["externalId"] for row in found] == ["in"]


async def do_something(merchant: Merchant, random: Random) -> None:
    """A payment, a transfer out or in, a withdrawal that will be paid or not, or what is due."""
    match random.randrange(6):
        case 0:
            await merchant.pay(amount=random.randint(100, 9_999))
        case 1:
            await merchant.transfer(amount=random.randint(100, 50_000))
        case 2:
            await merchant.transfer(
                sourceCountry="SEN", destinationCountry="CMR", amount=random.randint(100, 900)
            )
        case 3 | 4:
            number = random.choice(["237653456789", FAILING_NUMBER])
            await merchant.withdraw(amount=random.randint(100, 20_000), phoneNumber=number)
        case _:
            await merchant.house.worker.run_until_idle()


@pytest.mark.parametrize("seed", range(4))
async def test_statements_of_random_histories_add_up_over_any_periods(
    house: House, clock: ManualClock, seed: int
) -> None:
    """Against a model that looks at the balance after each thing that was done."""
    random = Random(seed)  # noqa: S311
    merchant = await Merchant.join(house)
    await merchant.collect(500_000)
    moments = [clock.now()]
    standings = [await balances(merchant)]
    clock.advance(hours=1)

    for _ in range(24):
        await merchant.renew_token()
        await do_something(merchant, random)
        moments.append(clock.now())
        standings.append(await balances(merchant))
        # Sometimes two things happen in one moment.
        if random.random() < 0.7:
            clock.advance(hours=random.randint(1, 30))

    def standing_before(moment: Any) -> dict[str, Any]:
        before = [standing for at, standing in zip(moments, standings, strict=True) if at < moment]
        return before[-1] if before else dict.fromkeys(BALANCES, 0)

    await merchant.renew_token()
    whole = (await statement(merchant)).json
    assert_adds_up(whole)
    assert whole["closing"] == standings[-1]
    for _ in range(12):
        since, until = sorted(random.choices(moments, k=2))
        told = (
            await statement(merchant, **{"from": since.isoformat(), "to": until.isoformat()})
        ).json
        assert_adds_up(told)
        assert told["opening"] == standing_before(since)
        assert told["closing"] == standing_before(until)
        assert told["movements"] == [
            row
            for row in whole["movements"]
            if since.isoformat()[:19] <= row["createdAt"][:19] < until.isoformat()[:19]
        ]
        page = await movements(
            merchant, limit=100, **{"from": since.isoformat(), "to": until.isoformat()}
        )
        assert page["data"] == told["movements"][::-1]


@pytest.fixture
async def at_midnight(merchant: Merchant, clock: ManualClock) -> Merchant:
    """Payments in the last moment of the 23rd, at midnight, and in the first one of the 25th."""
    clock.advance(hours=13, minutes=59, seconds=59)
    await merchant.collect(100, externalId="last second of the 23rd")
    clock.advance(seconds=1)
    await merchant.collect(200, externalId="midnight")
    clock.advance(hours=24)
    await merchant.collect(300, externalId="midnight of the 25th")
    await merchant.renew_token()
    return merchant


@pytest.mark.parametrize(
    ("since", "until", "expected"),
    [
        ("2026-06-23", "2026-06-23", [1]),
        ("2026-06-24", "2026-06-24", [2]),
        ("2026-06-23", "2026-06-24", [1, 2]),
        ("2026-06-24", "2026-06-25", [2, 3]),
        ("2026-06-25", None, [3]),
        (None, "2026-06-22", []),
        ("2026-06-26", "2026-06-26", []),
        # A movement at `from` is in, a movement at `to` is not.
        ("2026-06-24T00:00:00Z", "2026-06-25T00:00:00Z", [2]),
        ("2026-06-24T00:00:00Z", "2026-06-24T00:00:00Z", []),
        ("2026-06-24T00:00:00.000001Z", "2026-06-25T00:00:00.000001Z", [3]),
        # Midnight in Douala is an hour before midnight in UTC.
        ("2026-06-24T00:00:00+01:00", "2026-06-25T00:00:00+01:00", [1, 2]),
        (None, None, [1, 2, 3]),
    ],
)
async def test_a_period_takes_what_is_from_its_first_moment_on_and_before_its_last(
    at_midnight: Merchant, since: str | None, until: str | None, expected: list[int]
) -> None:
    query = {name: text for name, text in (("from", since), ("to", until)) if text is not None}
    told = (await statement(at_midnight, **query)).json

    assert_adds_up(told)
    assert [row["grossAmount"] // 100 for row in told["movements"]] == expected
    # What was before the period is its opening balance.
    before = {1: 0, 2: 95, 3: 285}
    if expected:
        assert told["opening"]["balance"] == before[expected[0]]
    listed = (await movements(at_midnight, **query))["data"]
    assert listed == told["movements"][::-1]
    in_file = (await statement_file(at_midnight, **query)).csv
    assert [row["id"] for row in in_file if row["line"] == "MOVEMENT"] == [
        row["id"] for row in told["movements"]
    ]


async def test_a_statement_of_a_time_before_the_first_movement_is_of_nothing(
    at_midnight: Merchant,
) -> None:
    told = (await statement(at_midnight, **{"from": "2020-01-01", "to": "2020-12-31"})).json

    assert (told["from"], told["to"]) == ("2020-01-01T00:00:00.000Z", "2021-01-01T00:00:00.000Z")
    assert told["opening"] == told["closing"] == dict.fromkeys(BALANCES, 0)
    assert told["movements"] == told["totals"] == []


async def test_an_empty_period_keeps_the_balance(at_midnight: Merchant) -> None:
    told = (await statement(at_midnight, **{"from": "2027-01-01"})).json

    assert told["opening"] == told["closing"] == await balances(at_midnight)
    assert told["movements"] == []


async def test_a_long_period_is_refused_in_json_and_whole_in_csv(
    busy: Merchant, monkeypatch: pytest.MonkeyPatch
) -> None:
    for most in (3, 9):
        monkeypatch.setattr(flow, "MOST_IN_JSON", most)
        refused = await statement(busy)
        assert (refused.status, refused["code"]) == (400, "statement_too_long")
        assert "/api/wallets/CMR/statement/export" in refused["message"]
    monkeypatch.setattr(flow, "MOST_IN_JSON", 10)
    told = (await statement(busy)).json
    in_file = (await statement_file(busy)).csv

    assert len(told["movements"]) == 10
    assert [row["line"] for row in in_file] == [
        "OPENING",
        *["MOVEMENT"] * 10,
        *["TOTAL"] * 6,
        "CLOSING",
    ]


async def test_a_statement_in_csv_says_the_same_as_in_json(busy: Merchant) -> None:
    told = (await statement(busy)).json
    answer = await statement_file(busy)
    rows = answer.csv

    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == (
        'attachment; filename="kpay-test-statement-CMR.csv"'
    )
    assert "content-length" not in answer.headers
    for row, expected in zip(
        [row for row in rows if row["line"] == "MOVEMENT"], told["movements"], strict=True
    ):
        assert {name: row[name] for name in expected} == {
            name: "" if value is None else str(value) for name, value in expected.items()
        }
    for row, total in zip(
        [row for row in rows if row["line"] == "TOTAL"], told["totals"], strict=True
    ):
        assert {name: row[name] for name in total} == {
            name: str(value) for name, value in total.items()
        }
    for row, name in ((rows[0], "opening"), (rows[-1], "closing")):
        assert {each: row[each] for each in BALANCES} == {
            each: str(value) for each, value in told[name].items()
        }


@pytest.mark.parametrize(
    ("country", "query", "status", "code"),
    [
        ("GAB", {}, 404, "no_wallet"),
        ("FRA", {}, 400, "unsupported_country"),
        ("cmr", {}, 400, "unsupported_country"),
        ("CMR", {"from": "yesterday"}, 400, "invalid_parameter"),
        ("CMR", {"from": "2026-06-25", "to": "2026-06-23"}, 400, "invalid_parameter"),
        ("CMR", {"to": "9999-12-31"}, 400, "invalid_parameter"),
        ("CMR", {"month": "6"}, 400, "invalid_parameter"),
    ],
)
async def test_what_cannot_be_is_refused_by_each_of_the_four_routes(
    busy: Merchant, country: str, query: dict[str, str], status: int, code: str
) -> None:
    for tail in ("movements", "movements/export", "statement", "statement/export"):
        path = f"/api/wallets/{country}/{tail}"
        answer = await busy.token.send("GET", path, query=query)
        assert (answer.status, answer["code"]) == (status, code), tail
        assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(
    "cursor",
    [
        "",
        "nonsense",
        "mov_GAB_1_0",
        "mov_CMR_1",
        "mov_CMR_-1_0",
        "mov_CMR_1_0_0",
        "mov_CMR_²_0",
        "mov_CMR_1000000_0",
        f"mov_CMR_{10**17}_{10**17}",
        f"mov_CMR_{'9' * 40}_0",
        "mov_CMR_1_0\n",
        "x" * 20_000,
        # Two numbers that were never true at one time: all of one chain, nothing of the other.
        "mov_CMR_9_0",
        "mov_CMR_0_7",
    ],
)
async def test_a_cursor_that_was_never_given_is_refused(busy: Merchant, cursor: str) -> None:
    answer = await movements(busy, cursor=cursor)

    assert (answer.status, answer["code"]) == (400, "invalid_parameter")
    assert "cursor must be the nextCursor" in answer["message"]


async def test_a_type_that_there_is_not_is_refused_with_those_that_there_are(
    busy: Merchant,
) -> None:
    answer = await movements(busy, type="payment")

    assert (answer.status, answer["code"]) == (400, "invalid_parameter")
    assert "PAYMENT, WALLET_TRANSFER_IN" in answer["message"]


async def test_a_ledger_that_does_not_add_up_is_not_shown_as_if_it_did(
    busy: Merchant, database_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Somebody with the administrator's rights changed a line."""
    connection = await asyncpg.connect(database_url)
    await connection.execute("alter table postings disable trigger postings_insert_only")
    await connection.execute(
        "update postings set amount = amount - 1 where account = 'wallet:CMR' and version = 2"
    )
    await connection.close()

    assert (await statement(busy)).status == 500
    assert (await statement_file(busy)).status == 500
    # Where the file has begun by then, it is broken off.
    monkeypatch.setattr(flow, "OF_FILE", 1)
    broken = await statement_file(busy)
    assert (broken.status, broken.whole) == (200, False)
    assert b"CLOSING" not in broken.raw
