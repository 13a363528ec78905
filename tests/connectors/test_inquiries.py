"""A callback about what is over: one status check, and only a contradiction can come of it."""

from __future__ import annotations

from uuid import UUID

import pytest
from structlog.testing import capture_logs

from kpay.connectors.model import Accepted, NotFound, Outcome, Paid, Refused, Unknown
from kpay.contradictions.model import What
from kpay.core.book import Environment
from kpay.instructions.inquiries import ASKED_AFTER, MOST_TRIES, is_done
from kpay.instructions.model import ASKED_AGAIN_AFTER
from kpay.instructions.store import hear
from tests.books import journal
from tests.client import Answer, Merchant
from tests.connectors.door import Door
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import says
from tests.hosted import Visitor, to_confirm, withdraw
from tests.rails import ScriptedRail
from tests.soundness import assert_sound

TO_A_PHONE = "237650000000"
SUBMITTED = ("submit", "accepted")


@pytest.fixture
async def failed(door: Door, made: Answer, rail: PawapayRail) -> Answer:
    """A payout that the rail has refused, and whose hold was given back."""
    rail.decide(rail.only, "FAILED", failureReason={"failureCode": "RECIPIENT_NOT_FOUND"})
    await door.passes(seconds=3)
    assert (await door.live.payout(made))["status"] == "FAILED"
    return made


async def found(door: Door) -> list[tuple[What, str]]:
    """Every contradiction with how its operation stands."""
    listed = await door.live.house.contradictions.list(open_only=False)
    return [(one.what, one.status) for one in listed]


async def test_a_late_callback_finds_that_what_failed_was_paid_and_moves_nothing(
    door: Door, failed: Answer, rail: PawapayRail, database_url: str
) -> None:
    before = await journal(door.live.house, failed["id"])
    rail.decide(rail.only, "COMPLETED")
    assert await door.calls(rail.only, "COMPLETED") == 200
    await door.works()
    assert await found(door) == []

    with capture_logs() as logs:
        await door.passes(minutes=1)

    (held,) = await door.live.house.contradictions.list()
    assert (held.what, held.status) == (What.PAID_AFTER_FAILED, "FAILED")
    assert (held.attempt, held.connector, str(held.reference)) == (3, "pawapay", rail.only)
    assert isinstance(held.evidence, dict)
    assert held.evidence["answer"]["data"]["status"] == "COMPLETED"
    assert [line["what"] for line in logs if line["event"] == "contradiction"] == [held.what]
    assert await door.live.attempts(failed) == [SUBMITTED, ("check", "refused"), ("check", "paid")]
    assert (await door.live.payout(failed))["status"] == "FAILED"
    assert await door.live.wallets() == {"CMR": (95_000, 0)}
    assert await journal(door.live.house, failed["id"]) == before
    await assert_sound(database_url)


async def test_one_that_only_lies_costs_a_check_and_holds_nothing(
    door: Door, failed: Answer, rail: PawapayRail, database_url: str
) -> None:
    assert await door.calls(rail.only, "COMPLETED") == 200
    await door.passes(minutes=1)

    assert (await door.live.attempts(failed))[2:] == [("check", "refused")]
    assert await found(door) == []
    await assert_sound(database_url)


async def test_a_flood_of_them_costs_a_check_in_a_quarter_of_an_hour(
    door: Door, failed: Answer, rail: PawapayRail
) -> None:
    for _ in range(60):
        assert await door.calls(rail.only, "COMPLETED") == 200
        await door.passes(seconds=30)

    # Half an hour of them: one after a minute, the next a quarter of an hour later.
    assert len((await door.live.attempts(failed))[2:]) == 2
    await door.passes(minutes=20)
    checked = len((await door.live.attempts(failed))[2:])
    await door.passes(days=2)
    assert len((await door.live.attempts(failed))[2:]) == checked == 3


async def test_what_comes_while_the_rail_is_asked_is_asked_about_as_well(
    door: Door, failed: Answer, rail: PawapayRail
) -> None:
    """The answer may have left before what the callback is about."""
    assert await door.calls(rail.only, "FAILED") == 200
    door.clock.advance(minutes=1)
    pawapay = door.live.house.routing.named(Environment.PRODUCTION, "pawapay")
    assert pawapay is not None

    async def meanwhile(_: object) -> Outcome:
        door.clock.advance(seconds=1)
        assert await door.calls(rail.only, "COMPLETED") == 200
        return Refused("RECIPIENT_NOT_FOUND")

    scripted = ScriptedRail(meanwhile)
    door.live.house.routing.serve(
        Environment.PRODUCTION, {"pawapay": scripted, "judge": pawapay}, {"*": "pawapay"}
    )
    # Whose callbacks they are is judged by the one that has the keys.
    scripted.judge = pawapay.judge  # type: ignore[attr-defined]
    await door.works()
    assert scripted.verbs == ["check"]

    await door.passes(minutes=14)
    assert scripted.verbs == ["check"]
    await door.passes(minutes=1)
    assert scripted.verbs == ["check", "check"]
    assert await found(door) == [(What.PAID_AFTER_FAILED, "FAILED")]


async def test_while_the_rail_is_away_it_is_asked_a_few_times_more(
    door: Door, failed: Answer, rail: PawapayRail
) -> None:
    rail.decide(rail.only, "COMPLETED")
    assert await door.calls(rail.only, "COMPLETED") == 200
    rail.instead["/v2/payouts"] = says({}, 503)
    await door.passes(minutes=1)
    await door.passes(minutes=14)
    assert (await door.live.attempts(failed))[2:] == [("check", "unknown")]

    rail.instead.clear()
    await door.passes(minutes=1)
    assert await found(door) == [(What.PAID_AFTER_FAILED, "FAILED")]


async def test_a_rail_that_stays_away_is_not_asked_for_ever(
    door: Door, failed: Answer, rail: PawapayRail
) -> None:
    assert await door.calls(rail.only, "COMPLETED") == 200
    rail.instead["/v2/payouts"] = says({}, 503)
    for _ in range(20):
        await door.passes(minutes=15)

    assert (await door.live.attempts(failed))[2:] == [("check", "unknown")] * MOST_TRIES


async def test_what_a_dead_process_was_asking_is_asked_by_the_next(
    door: Door, failed: Answer, rail: PawapayRail
) -> None:
    rail.decide(rail.only, "COMPLETED")
    assert await door.calls(rail.only, "COMPLETED") == 200
    door.clock.advance(minutes=1)

    async def dies(_: object) -> None:
        raise RuntimeError

    inquiries = door.live.house.inquiries
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(inquiries, "_ask", dies)
        assert await inquiries.work(100) == 1
    assert await found(door) == []

    await door.passes(minutes=1)
    assert await found(door) == [(What.PAID_AFTER_FAILED, "FAILED")]


async def test_an_earlier_choice_of_a_hosted_page_is_asked_about_while_the_last_one_goes_on(
    door: Door, live: Merchant, rail: PawapayRail, database_url: str
) -> None:
    payout = await withdraw(live, amount=10_000)
    visitor = Visitor.at(live, payout)
    await confirm(visitor, door)
    first = rail.only
    rail.decide(first, "FAILED", failureReason={"failureCode": "RECIPIENT_NOT_FOUND"})
    await door.passes(seconds=3)
    await confirm(visitor, door)
    (second,) = set(rail.operations) - {first}

    rail.decide(first, "COMPLETED")
    assert await door.calls(first, "COMPLETED") == 200
    await door.passes(minutes=2)

    (held,) = await live.house.contradictions.list()
    assert (held.what, held.status) == (What.PAID_AFTER_REFUSED, "PROCESSING")
    assert str(held.reference) == first
    # The other is asked about at its own times, and none of that was about it.
    rail.decide(second, "COMPLETED")
    await door.passes(minutes=20)
    assert await found(door) == [(What.PAID_AFTER_REFUSED, "COMPLETED")]
    assert await live.wallets() == {"CMR": (85_000, 0)}
    await assert_sound(database_url)


async def confirm(visitor: Visitor, door: Door) -> None:
    shown = await visitor.choose("MTN_MOMO_CMR", TO_A_PHONE)
    assert (await visitor.post("/choose", **to_confirm(shown))).status == 303
    await door.works()


async def test_another_rail_s_callback_about_it_asks_nobody(
    door: Door, failed: Answer, rail: PawapayRail
) -> None:
    await told_by(door, "mtn_momo", rail.only, proved=True)
    await told_by(door, "mtn_momo", rail.only, proved=False)
    await door.passes(minutes=20)
    assert (await door.live.attempts(failed))[2:] == []


async def test_what_nothing_proves_is_asked_about_too_and_kept_ten_times(
    door: Door, failed: Answer, rail: PawapayRail
) -> None:
    """An operator that signs nothing calls once; who knows the reference may have us ask."""
    rail.decide(rail.only, "COMPLETED")
    for number in range(12):
        await told_by(door, "pawapay", rail.only, proved=False, digest=bytes([number]))
    assert await door.kept() == 10

    await door.passes(minutes=1)
    assert await found(door) == [(What.PAID_AFTER_FAILED, "FAILED")]


async def told_by(
    door: Door, connector: str, reference: str, *, proved: bool, digest: bytes = b""
) -> None:
    await hear(
        door.live.house.database,
        Environment.PRODUCTION,
        connector,
        digest=digest,
        reference=UUID(reference),
        headers="{}",
        body=b"",
        received_at=door.clock.now(),
        proved=proved,
        inquire_at=door.clock.now() + ASKED_AFTER,
        inquire_again_after=ASKED_AGAIN_AFTER,
    )


async def test_done_inquiries_are_kept_for_ninety_days(
    door: Door, failed: Answer, rail: PawapayRail
) -> None:
    assert await door.calls(rail.only, "FAILED") == 200
    door.clock.advance(days=91)
    inquiries = door.live.house.inquiries
    # It is not done: only then its time begins to count.
    assert await inquiries.clear_away(100) == 0
    assert await inquiries.work(100) == 1
    assert await inquiries.clear_away(100) == 1


@pytest.mark.parametrize(
    ("outcome", "done"),
    [
        (Paid(), True),
        (Refused("X"), True),
        (NotFound(), True),
        (Unknown("?", contradicts=True), True),
        (Unknown("?"), False),
        (Accepted(), False),
    ],
)
def test_what_says_something_definite_settles_an_inquiry(outcome: Outcome, done: bool) -> None:
    assert is_done(outcome, 1) is done
    assert is_done(outcome, MOST_TRIES)
