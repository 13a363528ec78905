"""pawaPay's statements held against our books: the whole house and the rail simulator, day by day.

Both sides go by one clock, and everything between them goes over HTTP: orders, files, callbacks.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from uuid import uuid4

from kpay.catalogue.model import OperationType
from kpay.contradictions.model import What
from kpay.core.clock import ManualClock
from kpay.rail_simulator.books import Place, Status
from kpay.reconciliation.floats import Float, floats, unfinished
from kpay.reconciliation.model import Kind, State
from kpay.settings import Settings
from tests.books import operation_of
from tests.connectors.rails import payout
from tests.connectors.test_pawapay_by_simulator import Pair, ended, paired
from tests.soundness import assert_sound

TODAY = date(2026, 6, 23)
CMR = Place("CMR", "XAF")
WITH_FEES = """
[account.fees]
DEPOSIT = 100
PAYOUT = 50
"""


async def next_night(pair: Pair) -> None:
    """Half past one of the next morning, and a quarter of an hour for statements to be made."""
    now = pair.clock.now()
    morning = datetime(now.year, now.month, now.day, 1, 30, tzinfo=UTC) + timedelta(days=1)
    await pair.pass_seconds(int((morning - now).total_seconds()))
    for _ in range(15):
        await pair.pass_seconds(60)
    assert await unfinished(pair.house.database) == []


async def the_float(pair: Pair) -> Float:
    """Of the wallet that we use."""
    (found,) = [
        one
        for one in await floats(pair.house.database)
        if (one.place.wallet.country, one.place.wallet.currency) == CMR
    ]
    return found


def parts(found: Float) -> dict[str, tuple[int | object, int | None]]:
    return {part.words: (part.amount.number, part.count) for part in found.parts}


def rail_holds(pair: Pair) -> int:
    return pair.simulator.rail.books.wallets[CMR].balance


async def pay_behind_our_back(pair: Pair, identifier: str, amount: str) -> None:
    """Somebody who has our token makes a payout that we know nothing of."""
    body = payout(identifier, amount=amount)
    answer = await pair.simulator.rail.initiate(OperationType.PAYOUT, json.dumps(body).encode())
    assert answer.body["status"] == "ACCEPTED", answer
    await pair.pass_seconds(30)


async def test_days_match_to_the_franc_and_what_only_the_rail_paid_is_found(
    settings: Settings, clock: ManualClock, database_url: str
) -> None:
    async with paired(settings, clock, WITH_FEES) as pair:
        before = rail_holds(pair)
        made = [
            await pair.merchant.withdraw(amount=1_000 + number, phoneNumber=f"23765000{number:04d}")
            for number in range(5)
        ]
        deposit = await pair.merchant.pay(amount=10_000, phoneNumber="237650000000")
        await ended(pair, made)
        assert (await pair.merchant.payment(deposit))["status"] == "COMPLETED"
        refund = await pair.merchant.refund(deposit)
        await pair.works()
        await pair.pass_seconds(30)
        assert (await pair.merchant.refunded(refund))["status"] == "COMPLETED"
        assert rail_holds(pair) != before

        await next_night(pair)

        found = await the_float(pair)
        # Two deposits, five payouts and a refund; the fees of the first seven; and the top-up.
        assert (found.day, found.lines) == (TODAY, 8 + 7 + 1)
        assert await pair.house.breaks.list(open_only=False) == []
        assert found.theirs.minor == found.told.minor == rail_holds(pair)
        assert found.unexplained.minor == 0
        explained = parts(found)
        assert list(explained) == ["FEE at the rail", "TOPUP at the rail"]
        assert explained["FEE at the rail"][1] == 7
        assert found.difference.minor == sum(part.amount.minor for part in found.parts)

        unknown = str(uuid4())
        await pay_behind_our_back(pair, unknown, "4321")
        await next_night(pair)

        (broken,) = await pair.house.breaks.list()
        assert (broken.key, broken.kind, broken.state) == (unknown, Kind.MISSING_HERE, State.OPEN)
        assert (broken.theirs.number, broken.ours.number) == (-4_321, 0)
        _, (line,) = await pair.house.breaks.get(broken.id)
        assert isinstance(line.raw, dict)
        assert (
            line.raw["Customer Phone Number"]
            == payout()["recipient"]["accountDetails"]["phoneNumber"]
        )
        found = await the_float(pair)
        assert found.day == TODAY + timedelta(days=1)
        assert found.theirs.minor == rail_holds(pair)
        assert found.unexplained.minor == 0
        assert parts(found)["lines there without an operation here"] == (-4_321, 1)

        # Every night's statements were called back about too: that was taken, and nothing kept.
        assert set(pair.answers) == {200}
    await assert_sound(database_url)


async def test_a_status_that_lied_is_found_by_the_statement(
    settings: Settings, clock: ManualClock, database_url: str
) -> None:
    async with paired(settings, clock, "") as pair:
        # The number has the rail say once that it failed, and it has paid.
        made = await pair.merchant.withdraw(amount=1_000, phoneNumber="237650066634")
        (found,) = await ended(pair, [made])
        assert found["status"] == "FAILED"
        assert pair.truth(found["providerReference"]) is Status.COMPLETED

        await next_night(pair)

        (broken,) = await pair.house.breaks.list()
        assert (broken.key, broken.kind) == (found["providerReference"], Kind.MISSING_HERE)
        (held,) = await pair.house.contradictions.list()
        assert (held.what, held.operation_id) == (
            What.PAID_AFTER_FAILED,
            operation_of(found["id"]),
        )
        assert (await the_float(pair)).unexplained.minor == 0
        assert (await pair.merchant.payout(made))["status"] == "FAILED"
    await assert_sound(database_url)
