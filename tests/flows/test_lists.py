"""Lists: newest first, page by page without a row lost or shown twice, narrowed by each filter."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any, NoReturn

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from tests.client import Answer, Browser, Merchant
from tests.flows.test_idempotency import pay, transfer, withdraw


@dataclass(frozen=True)
class Listing:
    """One of the lists: where it is, and how a row gets into it."""

    path: str
    browser: Callable[[Merchant], Browser]
    add: Callable[[Merchant, str], Awaitable[Answer]]

    async def get(self, merchant: Merchant, **query: object) -> Answer:
        return await self.browser(merchant).send("GET", self.path, query=query)

    async def found(self, merchant: Merchant, **query: object) -> list[str]:
        """The externalIds of one page of up to a hundred rows."""
        answer = await self.get(merchant, limit=100, **query)
        assert answer.status == 200, answer.raw
        assert answer["nextCursor"] is None
        return [row["externalId"] for row in answer["data"]]


async def refund(merchant: Merchant, external_id: str, country: str = "CMR") -> Answer:
    """A refund of a payment of its own, which no worker has taken up yet."""
    payment = await merchant.pay(country, amount=100)
    await merchant.house.payments.work(100)
    return await merchant.refund(payment, externalId=external_id)


PAYMENTS = Listing(
    "/api/v1/payments",
    lambda merchant: merchant.keys,
    lambda merchant, external_id: merchant.pay(externalId=external_id),
)
WITHDRAWALS = Listing(
    "/api/v1/payments/withdrawals",
    lambda merchant: merchant.keys,
    lambda merchant, external_id: merchant.withdraw(externalId=external_id, amount=100),
)
TRANSFERS = Listing(
    "/api/wallets/transfers",
    lambda merchant: merchant.token,
    lambda merchant, external_id: merchant.transfer(externalId=external_id, amount=100),
)

REFUNDS = Listing("/api/v1/payments/refunds", lambda merchant: merchant.keys, refund)
EVERY = (PAYMENTS, WITHDRAWALS, TRANSFERS, REFUNDS)

each_list = pytest.mark.parametrize(
    "listing",
    [
        pytest.param(PAYMENTS, id="payments"),
        pytest.param(WITHDRAWALS, id="withdrawals"),
        pytest.param(TRANSFERS, id="transfers"),
        pytest.param(REFUNDS, id="refunds"),
    ],
)


@pytest.fixture
async def funded(house: House, clock: ManualClock) -> Merchant:
    """Money in Cameroon, collected a day before anything that a test lists."""
    merchant = await Merchant.join(house)
    await merchant.collect(100_000, externalId="funds")
    clock.advance(days=1)
    await merchant.renew_token()
    return merchant


@each_list
async def test_walking_the_pages_shows_each_row_once_while_new_ones_arrive(
    funded: Merchant, listing: Listing
) -> None:
    made = [f"row-{number:02}" for number in range(23)]
    for external_id in made:
        assert (await listing.add(funded, external_id)).status == 201
    walked: list[str] = []
    sizes: list[int] = []
    query: dict[str, Any] = {"limit": 5, "from": "2026-06-24"}
    while True:
        page = await listing.get(funded, **query)
        sizes.append(len(page["data"]))
        walked += [row["externalId"] for row in page["data"]]
        if page["nextCursor"] is None:
            break
        query["cursor"] = page["nextCursor"]
        await listing.add(funded, f"new-{len(walked)}")

    assert walked == made[::-1]
    assert sizes == [5, 5, 5, 5, 3]


@each_list
async def test_a_page_has_twenty_rows_unless_another_limit_is_asked_for(
    funded: Merchant, listing: Listing
) -> None:
    for number in range(21):
        await listing.add(funded, f"row-{number}")

    for query, rows in (({}, 20), ({"limit": 1}, 1), ({"limit": 20}, 20)):
        page = await listing.get(funded, **query, **{"from": "2026-06-24"})
        assert len(page["data"]) == rows
        assert page["nextCursor"] is not None
    # A page that is full and holds the last row is the last page.
    whole = await listing.get(funded, limit=21, **{"from": "2026-06-24"})
    assert (len(whole["data"]), whole["nextCursor"]) == (21, None)


@each_list
async def test_a_lost_answer_is_found_by_its_external_id(
    funded: Merchant, listing: Listing
) -> None:
    external_ids = ("A-1", "A-10", "a-1", "B %_'\"é/1")
    lost = {external_id: await listing.add(funded, external_id) for external_id in external_ids}

    for external_id, answer in lost.items():
        page = await listing.get(funded, externalId=external_id)
        assert page["data"] == [answer.json]
    assert await listing.found(funded, externalId="A-%") == []


@each_list
async def test_dates_narrow_from_inclusive_to_exclusive(
    funded: Merchant, clock: ManualClock, listing: Listing
) -> None:
    for hour in range(3):
        await funded.renew_token()
        await listing.add(funded, f"at-{10 + hour}")
        clock.advance(hours=1)
    await funded.renew_token()

    async def between(since: str | None, until: str | None) -> list[str]:
        query = {"from": since, "to": until}
        found = await listing.found(
            funded, **{name: text for name, text in query.items() if text is not None}
        )
        return [external_id for external_id in found if external_id != "funds"]

    assert await between("2026-06-24T11:00:00Z", None) == ["at-12", "at-11"]
    assert await between(None, "2026-06-24T11:00:00.000Z") == ["at-10"]
    assert await between("2026-06-24T11:00:00Z", "2026-06-24T12:00:00Z") == ["at-11"]
    # Lagos is an hour ahead of UTC, and a date alone is midnight in UTC.
    assert await between("2026-06-24T13:00:00+01:00", None) == ["at-12"]
    assert await between("2026-06-24", "2026-06-25") == ["at-12", "at-11", "at-10"]
    assert await between("2026-06-25", None) == []


async def test_payments_are_narrowed_by_status_country_and_provider(
    merchant: Merchant, house: House
) -> None:
    for country in ("CMR", "GAB"):
        await merchant.pay(country, externalId=f"done-{country}")
    await house.worker.run_until_idle()
    await merchant.pay(externalId="waiting")

    assert await PAYMENTS.found(merchant, status="COMPLETED") == ["done-GAB", "done-CMR"]
    assert await PAYMENTS.found(merchant, status="PENDING") == ["waiting"]
    assert await PAYMENTS.found(merchant, status="FAILED") == []
    assert await PAYMENTS.found(merchant, country="GAB") == ["done-GAB"]
    assert await PAYMENTS.found(merchant, provider="MTN_MOMO_CMR") == ["waiting", "done-CMR"]
    assert await PAYMENTS.found(merchant, status="PENDING", country="GAB") == []


async def test_withdrawals_are_narrowed_by_status_either_country_and_provider(
    funded: Merchant, house: House
) -> None:
    abroad = {"provider": "MTN_MOMO_CIV", "sourceCountry": "CMR"}
    await funded.withdraw(externalId="home")
    await funded.withdraw(externalId="failing", phoneNumber="237653456089")
    await house.worker.run_until_idle()
    await funded.withdraw(externalId="abroad", **abroad)
    cancelled = await funded.withdraw(externalId="called back", **abroad)
    await funded.keys.send("POST", f"/api/v1/payments/withdraw/{cancelled['id']}/cancel")

    for status, external_id in (
        ("COMPLETED", "home"),
        ("FAILED", "failing"),
        ("PENDING", "abroad"),
        ("CANCELLED", "called back"),
    ):
        assert await WITHDRAWALS.found(funded, status=status) == [external_id]
    assert await WITHDRAWALS.found(funded, status="PROCESSING") == []
    assert await WITHDRAWALS.found(funded, country="CIV") == ["called back", "abroad"]
    assert len(await WITHDRAWALS.found(funded, country="CMR")) == 4
    assert await WITHDRAWALS.found(funded, provider="MTN_MOMO_CMR") == ["failing", "home"]


async def test_refunds_are_narrowed_by_status_country_and_provider(
    funded: Merchant, house: House
) -> None:
    await funded.collect(1_000, "GAB")
    await refund(funded, "home")
    await refund(funded, "abroad", "GAB")
    await house.worker.run_until_idle()
    await refund(funded, "waiting")
    cancelled = await refund(funded, "called back")
    await funded.keys.send("POST", f"{REFUNDS.path}/{cancelled['id']}/cancel")

    assert await REFUNDS.found(funded, status="COMPLETED") == ["abroad", "home"]
    assert await REFUNDS.found(funded, status="PENDING") == ["waiting"]
    assert await REFUNDS.found(funded, status="CANCELLED") == ["called back"]
    assert await REFUNDS.found(funded, country="GAB") == ["abroad"]
    assert await REFUNDS.found(funded, provider="MTN_MOMO_CMR") == [
        *("called back", "waiting", "home"),
    ]


async def test_transfers_are_narrowed_by_the_country_of_either_side(funded: Merchant) -> None:
    await funded.transfer(externalId="out", amount=50_000)
    await funded.transfer(externalId="there", destinationCountry="GAB")
    await funded.transfer(externalId="back", sourceCountry="GAB", destinationCountry="CMR")

    assert await TRANSFERS.found(funded, country="GAB") == ["back", "there"]
    assert await TRANSFERS.found(funded, country="SEN") == ["out"]
    assert await TRANSFERS.found(funded, country="CMR") == ["back", "there", "out"]


@each_list
async def test_a_parameter_that_cannot_be_is_refused_with_what_to_change(
    merchant: Merchant, listing: Listing
) -> None:
    bad: list[tuple[dict[str, object], str]] = [
        ({"cursor": "nonsense"}, "cursor must be the nextCursor"),
        ({"cursor": ""}, "cursor must be the nextCursor"),
        ({"limit": 0}, "limit must be between 1 and 100"),
        ({"limit": 101}, "limit must be between 1 and 100"),
        ({"limit": -1}, "limit must be between 1 and 100"),
        ({"limit": "many"}, "limit"),
        ({"limit": "null"}, "limit must not be null"),
        ({"limit": 1.5}, "limit"),
        ({"limit": 10**30}, "limit"),
        ({"from": "yesterday"}, "from must be a date"),
        ({"to": "2026-13-01"}, "to must be a date"),
        ({"to": ""}, "to must be a date"),
        ({"from": "0001-01-01T00:00:00+14:00"}, "from must be a date"),
        ({"page": 2}, "page"),
        ({"externalId": "\0"}, "NUL"),
        ({"from": "2026-06-25", "to": "2026-06-24"}, "from must not be after to"),
    ]
    if listing is not TRANSFERS:
        bad += [({"status": "DONE"}, "status must be one of PENDING, PROCESSING")]
        bad += [({"status": "completed"}, "status must be one of PENDING, PROCESSING")]
    for query, word in bad:
        answer = await listing.get(merchant, **query)
        assert (answer.status, answer["code"]) == (400, "invalid_parameter"), query
        assert word in answer["message"], query


@each_list
async def test_a_parameter_that_is_given_twice_is_refused(
    merchant: Merchant, listing: Listing
) -> None:
    """Of two externalIds nobody could say which was meant."""
    query = [("externalId", "A"), ("limit", "1"), ("externalId", "B")]
    answer = await listing.browser(merchant).send("GET", listing.path, query=query)

    assert (answer.status, answer["code"]) == (400, "invalid_parameter")
    assert answer["message"] == "A parameter is given more than once: externalId."


@each_list
async def test_a_country_or_provider_that_there_is_not_is_refused_with_those_that_there_are(
    funded: Merchant, listing: Listing
) -> None:
    refused = await listing.get(funded, country="FRA")
    assert (refused.status, refused["code"]) == (400, "unsupported_country")
    assert refused["message"].startswith("country must be one of CMR, GAB")
    assert await listing.found(funded, country="ZMB") == []
    if listing is not TRANSFERS:
        refused = await listing.get(funded, provider="MTN_MOMO_FRA")
        assert (refused.status, refused["code"]) == (400, "unknown_provider")
        assert "MTN_MOMO_CMR" in refused["message"]
        # One that is suspended now may have served earlier.
        assert await listing.found(funded, provider="WAVE_SEN") == []


@each_list
async def test_a_period_of_dates_is_of_whole_days(
    funded: Merchant, clock: ManualClock, listing: Listing
) -> None:
    clock.advance(hours=13, minutes=59, seconds=59)
    for external_id in ("last second of the 24th", "midnight"):
        await funded.renew_token()
        assert (await listing.add(funded, external_id)).status == 201
        clock.advance(seconds=1)

    day = {"from": "2026-06-24", "to": "2026-06-24"}
    assert await listing.found(funded, **day) == ["last second of the 24th"]
    assert await listing.found(funded, **{"from": "2026-06-25", "to": "2026-06-25"}) == ["midnight"]


@pytest.mark.parametrize(
    ("listing", "send"),
    [
        pytest.param(PAYMENTS, pay, id="payments"),
        pytest.param(WITHDRAWALS, withdraw, id="withdrawals"),
        pytest.param(TRANSFERS, transfer, id="transfers"),
    ],
)
async def test_what_a_key_s_second_attempt_made_days_later_is_listed_on_its_own_day(
    funded: Merchant,
    clock: ManualClock,
    monkeypatch: pytest.MonkeyPatch,
    listing: Listing,
    send: Callable[..., Awaitable[Answer]],
) -> None:
    """Its identifier is of the day of the first attempt, by which nothing was made."""

    async def busy(*_: object) -> NoReturn:
        raise Refusal(Code.BUSY, "Try again.")

    with monkeypatch.context() as patched:
        patched.setattr(funded.house.poster, "post", busy)
        assert (await send(funded, externalId="late")).status == 503
    clock.advance(hours=60)
    await funded.renew_token()
    assert (await send(funded, externalId="late")).status == 201

    assert await listing.found(funded, **{"from": "2026-06-26", "to": "2026-06-26"}) == ["late"]
    assert await listing.found(funded, **{"from": "2026-06-24", "to": "2026-06-25"}) == []


async def test_a_cursor_of_one_list_is_none_of_another(funded: Merchant) -> None:
    for number in range(2):
        for listing in EVERY:
            await listing.add(funded, f"row-{number}")
    for listing in EVERY:
        cursor = (await listing.get(funded, limit=1))["nextCursor"]
        for other in EVERY:
            expected = 200 if other is listing else 400
            assert (await other.get(funded, cursor=cursor)).status == expected
