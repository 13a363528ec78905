"""The rail simulator misbehaves over HTTP, and its own books stay right."""

from __future__ import annotations

import asyncio
from typing import Any

import aiohttp
import pytest

from tests.connectors.rails import Merchant, payout, rail


async def asked(merchant: Merchant, body: Any, path: str = "/v2/payouts") -> asyncio.Task[Any]:
    """A request on its way, which has been received: its answer may take its time."""
    before = merchant.simulator.agenda.waiting
    task = asyncio.create_task(merchant.call("POST", path, body))
    while merchant.simulator.agenda.waiting == before and not task.done():  # noqa: ASYNC110
        await asyncio.sleep(0)
    return task


async def test_a_time_out_before_accepting_leaves_nothing_and_the_next_try_is_answered() -> None:
    async with rail() as merchant:
        body = payout(amount="66602")
        task = await asked(merchant, body)
        assert await merchant.status(body["payoutId"]) == "NOT_FOUND"
        await merchant.pass_seconds(120)
        with pytest.raises(aiohttp.ClientError):
            await task

        _, again = await merchant.call("POST", "/v2/payouts", body)

        assert again["status"] == "ACCEPTED"


async def test_a_time_out_after_accepting_has_paid() -> None:
    async with rail() as merchant:
        body = payout(amount="66603")
        task = await asked(merchant, body)
        await merchant.pass_seconds(120)
        with pytest.raises(aiohttp.ClientError):
            await task

        assert await merchant.status(body["payoutId"]) == "COMPLETED"
        _, again = await merchant.call("POST", "/v2/payouts", body)
        assert again["status"] == "DUPLICATE_IGNORED"


async def test_who_goes_away_is_waited_for_no_longer_and_was_paid_all_the_same() -> None:
    async with rail() as merchant:
        body = payout(amount="66603")
        task = await asked(merchant, body)
        task.cancel()
        await merchant.pass_seconds(1)

        assert await merchant.status(body["payoutId"]) == "COMPLETED"


async def test_a_slow_answer_comes_when_its_time_has_come() -> None:
    async with rail("[usual]\nslow_for = 30") as merchant:
        task = await asked(merchant, payout(amount="66601"))
        await merchant.pass_seconds(29)
        assert not task.done()
        await merchant.pass_seconds(1)

        assert (await task)[1]["status"] == "ACCEPTED"


@pytest.mark.parametrize(
    ("amount", "status", "accepted"),
    [("66604", 500, False), ("66605", 500, True), ("66606", 502, True)],
)
async def test_an_error_says_nothing_of_whether_it_was_accepted(
    amount: str, status: int, accepted: bool
) -> None:
    async with rail() as merchant:
        body = payout(amount=amount)
        got, said = await merchant.call("POST", "/v2/payouts", body)
        assert got == status
        if status == 500:
            assert said["failureReason"]["failureCode"] == "UNKNOWN_ERROR"
        else:
            assert said.startswith("<html>")

        found = await merchant.status(body["payoutId"])
        _, again = await merchant.call("POST", "/v2/payouts", body)

        assert found == ("ACCEPTED" if accepted else "NOT_FOUND")
        assert again["status"] == ("DUPLICATE_IGNORED" if accepted else "ACCEPTED")
        assert await merchant.balance() == str(1_000_000_000 - int(amount))


async def test_nonsense_is_half_an_answer() -> None:
    async with rail() as merchant:
        with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
            await merchant.pay_out(amount="66607")


async def test_a_status_can_be_stale_missing_or_an_error() -> None:
    async with rail("[usual]\nends_after = 10") as merchant:
        stale, _ = await merchant.pay_out(amount="66631")
        missing, _ = await merchant.pay_out(amount="66632")
        error, _ = await merchant.pay_out(amount="66633")
        await merchant.pass_seconds(10)

        assert await merchant.status(stale) == "PROCESSING"
        assert await merchant.status(missing) == "NOT_FOUND"
        assert (await merchant.call("GET", f"/v2/payouts/{error}"))[0] == 500
        assert await merchant.status(error) == "COMPLETED"
        await merchant.pass_seconds(120)

        assert await merchant.status(stale) == "COMPLETED"
        assert await merchant.status(missing) == "COMPLETED"


@pytest.mark.parametrize(
    ("number", "said"),
    [("237653456789", ["FAILED", "COMPLETED"]), ("237653456089", ["COMPLETED", "FAILED"])],
)
async def test_a_status_can_contradict_itself_while_the_books_do_not(
    number: str, said: list[str]
) -> None:
    async with rail() as merchant:
        identifier, _ = await merchant.pay_out(amount="66634", number=number)
        assert await merchant.status(identifier) == "ACCEPTED"
        await merchant.pass_seconds(1)

        assert [await merchant.status(identifier) for _ in range(2)] == said

        (row,) = (await merchant.call("GET", "/simulator/operations"))[1]
        assert (row["status"], row["timesPaid"]) == (said[1], int(said[1] == "COMPLETED"))


async def test_an_outcome_may_be_decided_by_its_mark() -> None:
    async with rail() as merchant:
        stuck, _ = await merchant.pay_out(amount="66641")
        rejected, said = await merchant.pay_out(amount="66642")
        failed, _ = await merchant.pay_out(amount="66643")
        await merchant.pass_seconds(3_600)

        assert await merchant.status(stuck) == "PROCESSING"
        assert said["status"] == "REJECTED"
        assert await merchant.status(rejected) == "NOT_FOUND"
        assert await merchant.status(failed) == "FAILED"


async def test_some_are_reconciled_before_they_end() -> None:
    async with rail("[usual]\nends_after = 10") as merchant:
        identifier, _ = await merchant.pay_out(amount="66651")
        await merchant.pass_seconds(10)
        assert await merchant.status(identifier) == "IN_RECONCILIATION"
        await merchant.pass_seconds(10)

        assert await merchant.status(identifier) == "COMPLETED"


@pytest.mark.parametrize(
    ("word", "status", "answers", "accepted"),
    [
        ("cut", 500, None, 2),
        ("short", 200, ["ACCEPTED", "ACCEPTED"], 4),
        ("partial", 200, ["ACCEPTED", "REJECTED", "ACCEPTED", "REJECTED"], 2),
        ("left_out", 200, ["ACCEPTED", "ACCEPTED"], 2),
    ],
)
async def test_a_bulk_may_be_carried_out_or_answered_in_part(
    word: str, status: int, answers: list[str] | None, accepted: int
) -> None:
    async with rail(f'[usual]\nbulk = "{word}"') as merchant:
        bodies = [payout() for _ in range(4)]
        got, said = await merchant.call("POST", "/v2/payouts/bulk", bodies)

        assert got == status
        if answers is not None:
            assert [one["status"] for one in said] == answers
        _, books = await merchant.call("GET", "/simulator/books")
        assert books["operations"]["PAYOUT"] == {"ACCEPTED": accepted}
        _, single = await merchant.call("POST", "/v2/payouts", bodies[0])
        assert single["status"] == "DUPLICATE_IGNORED"


async def test_a_bulk_may_be_answered_in_another_order_than_it_came_in() -> None:
    async with rail() as merchant:
        # The first one's amount is the mark of them all.
        bodies = [payout(amount="66665"), payout(), payout()]
        _, said = await merchant.call("POST", "/v2/payouts/bulk", bodies)

        assert [one["payoutId"] for one in said] == [one["payoutId"] for one in bodies[::-1]]
        assert {one["status"] for one in said} == {"ACCEPTED"}


async def test_what_was_accepted_is_not_said_to_be_rejected_later() -> None:
    async with rail('[usual]\nbulk = "partial"') as merchant:
        known = payout()
        await merchant.call("POST", "/v2/payouts", known)

        _, said = await merchant.call("POST", "/v2/payouts/bulk", [payout(), known])

        assert [one["status"] for one in said] == ["ACCEPTED", "DUPLICATE_IGNORED"]


async def test_a_bulk_that_is_never_answered_was_carried_out_whole() -> None:
    async with rail('[usual]\nanswer = "timeout_after"') as merchant:
        bodies = [payout() for _ in range(3)]
        task = await asked(merchant, bodies, "/v2/payouts/bulk")
        await merchant.pass_seconds(120)
        with pytest.raises(aiohttp.ClientError):
            await task

        for body in bodies:
            assert await merchant.status(body["payoutId"]) == "COMPLETED"


async def test_a_retry_is_answered_and_accepted_once() -> None:
    weighted = "seed = 3\n[usual]\nanswer = { error_before = 50, error_after = 50 }"
    async with rail(weighted) as merchant:
        bodies = [payout() for _ in range(20)]
        for body in bodies:
            assert (await merchant.call("POST", "/v2/payouts", body))[0] == 500
        found = [await merchant.status(body["payoutId"]) for body in bodies]
        again = [await merchant.call("POST", "/v2/payouts", body) for body in bodies]

        assert {"ACCEPTED", "NOT_FOUND"} == set(found)
        for before, (_, said) in zip(found, again, strict=True):
            wanted = "ACCEPTED" if before == "NOT_FOUND" else "DUPLICATE_IGNORED"
            assert said["status"] == wanted
        assert await merchant.balance() == str(1_000_000_000 - 20_000)


async def test_a_merchant_that_makes_new_ids_for_one_payout_is_found_out() -> None:
    async with rail() as merchant:
        for reference in ("INV-1", "INV-2", "INV-1"):
            await merchant.pay_out(clientReferenceId=reference)
        await merchant.pass_seconds(1)

        _, books = await merchant.call("GET", "/simulator/books")

        assert books["clientReferencesPaidTwice"] == ["INV-1"]
        _, rows = await merchant.call("GET", "/simulator/operations?clientReferenceId=INV-1")
        assert [row["timesPaid"] for row in rows] == [1, 1]


async def test_other_rules_while_it_runs() -> None:
    async with rail() as merchant:
        toml = b'[usual]\noutcome = "rejected"'
        assert (await merchant.call("POST", "/simulator/scenario", toml))[0] == 200
        assert (await merchant.pay_out())[1]["status"] == "REJECTED"

        for wrong in (b"speed = 1", b'[[operators]]\nprovider = "NOBODY"\nstatus = "CLOSED"'):
            assert (await merchant.call("POST", "/simulator/scenario", wrong))[0] == 400
        assert (await merchant.pay_out())[1]["status"] == "REJECTED"


async def test_what_was_received_is_listed() -> None:
    async with rail() as merchant:
        await merchant.pay_out()
        await merchant.pay_out(amount="100.50")

        _, said = await merchant.call("GET", "/simulator/received?after=0")

        assert said["count"] == 2
        assert [row["status"] for row in said["requests"]] == [200, 400]


async def test_its_corner_refuses_what_it_does_not_know() -> None:
    async with rail() as merchant:
        for path, body in (
            ("/simulator/availability", {"provider": "NOBODY", "status": "CLOSED"}),
            ("/simulator/availability", {"provider": "MTN_MOMO_CMR", "status": "SLEEPY"}),
            ("/simulator/end", {"failureCode": "NOT_A_CODE"}),
            ("/simulator/end", {"colour": "red"}),
            ("/simulator/advance", {"seconds": -1}),
            ("/simulator/advance", {"seconds": 10**30}),
        ):
            assert (await merchant.call("POST", path, body))[0] == 400, body
        assert (await merchant.call("GET", "/simulator/operations?limit=all"))[0] == 400


async def test_all_that_is_open_can_be_ended_at_once() -> None:
    async with rail('[usual]\noutcome = "stuck"') as merchant:
        first, _ = await merchant.pay_out()
        second, _ = await merchant.pay_out()
        end = {"operation": "PAYOUT", "failureCode": "RECIPIENT_NOT_FOUND"}

        assert (await merchant.call("POST", "/simulator/end", end))[1] == {"ended": 2}

        assert {await merchant.status(first), await merchant.status(second)} == {"FAILED"}
        assert (await merchant.call("POST", "/simulator/end", {}))[1] == {"ended": 0}
