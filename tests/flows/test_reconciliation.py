"""Our books against a rail's statements: matched day by day, and explained to the franc."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace
from structlog.testing import capture_logs

from kpay import reconciliation_commands
from kpay.app import House
from kpay.audit.model import Action, Actor, AuditFilter
from kpay.catalogue.model import OperationType
from kpay.connectors.model import Accepted, Instruction, Outcome, Paid, Refused, Unknown
from kpay.connectors.statements import Line, NotReady, RailWallet, TicketLost
from kpay.connectors.wire import NoAnswer
from kpay.contradictions.model import What
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.money import Money
from kpay.core.refusals import Code, Refusal
from kpay.reconciliation import store
from kpay.reconciliation.breaks import Break
from kpay.reconciliation.floats import Float, floats, unfinished
from kpay.reconciliation.model import Kind, State
from kpay.reconciliation_commands import _read, _sheet, _tell
from kpay.settings import Settings
from tests.books import operation_of
from tests.client import Merchant
from tests.houses import opened
from tests.rails import ScriptedRail
from tests.soundness import assert_sound
from tests.statements import AccountingRail

TODAY = date(2026, 6, 23)
OPERATOR = Actor(command="kpay reconciliation close, by somebody")


@pytest.fixture
async def rail(house: House, clock: ManualClock) -> AccountingRail:
    """A rail that tells statements, with 1,000,000 XAF that our books have nothing of.

    The day before is reconciled: nothing had moved on it.
    """
    made = AccountingRail(clock, opening=100_000_000)
    made.serve(house)
    await house.worker.run_until_idle()
    return made


async def next_day(house: House, clock: ManualClock) -> None:
    """Half past one in the next morning, and whatever is due by then."""
    now = clock.now()
    morning = datetime(now.year, now.month, now.day, 1, 30, tzinfo=UTC) + timedelta(days=1)
    clock.advance(seconds=int((morning - now).total_seconds()))
    await house.worker.run_until_idle()


async def the_float(house: House) -> Float:
    (found,) = await floats(house.database)
    return found


async def the_break(house: House) -> Break:
    (found,) = await house.breaks.list(open_only=False)
    return found


def parts(found: Float) -> dict[str, int | object]:
    return {part.words: part.amount.number for part in found.parts}


async def test_a_day_on_which_both_moved_the_same_agrees_to_the_franc(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail, database_url: str
) -> None:
    await merchant.collect(100_000)
    await merchant.withdraw(amount=10_000)
    refunded = await merchant.collect(20_000)
    await merchant.refund(refunded)
    await house.worker.run_until_idle()

    await next_day(house, clock)

    found = await the_float(house)
    assert (found.day, found.lines) == (TODAY, 4)
    # 100,000 and 20,000 came in; 9,500, less its fee, and 20,000 went out.
    assert found.theirs.number == 1_000_000 + 100_000 - 9_500 + 20_000 - 20_000
    assert found.difference.number == 1_000_000
    assert parts(found) == {"it differed so before the first statement, of 2026-06-22": 1_000_000}
    assert found.unexplained.number == 0
    assert await house.breaks.list(open_only=False) == []
    assert await unfinished(house.database) == []
    await assert_sound(database_url)


async def test_what_is_no_operation_explains_the_difference_by_the_rail_s_own_words(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    await merchant.collect(100_000)
    rail.add("TOP_UP", Money(50_000_000, "XAF"))
    rail.add("FEE", Money(-150_000, "XAF"))
    rail.add("FEE", Money(-25_000, "XAF"))

    await next_day(house, clock)

    found = await the_float(house)
    assert {words: amount for words, amount in parts(found).items() if "rail" in words} == {
        "FEE at the rail": -1_750,
        "TOP_UP at the rail": 500_000,
    }
    assert found.unexplained.number == 0


async def test_a_line_without_an_operation_is_missing_here_and_said_loudly(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    rail.add("PAYOUT", Money(-700_000, "XAF"), operation=OperationType.PAYOUT)
    with capture_logs() as logs:
        await next_day(house, clock)

    found = await the_break(house)
    assert (found.kind, found.state) == (Kind.MISSING_HERE, State.OPEN)
    assert found.off_by.number == -7_000
    assert found.application_id is None
    (alarm,) = [line for line in logs if line["event"] == "reconciliation_break"]
    assert alarm["log_level"] == "error"
    assert (await the_float(house)).unexplained.number == 0
    _, (line,) = await house.breaks.get(found.id)
    assert (line.word, line.amount.number, line.raw) == ("PAYOUT", -7_000, {"word": "PAYOUT"})


async def test_an_operation_without_a_line_is_awaited_for_a_day_and_missing_there_then(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    rail.otherwise = Paid()
    await merchant.collect(100_000)

    await next_day(house, clock)
    assert (await the_break(house)).state is State.AWAITED
    assert (await the_float(house)).unexplained.number == 0
    await next_day(house, clock)

    found = await the_break(house)
    assert (found.kind, found.state) == (Kind.MISSING_THERE, State.OPEN)
    assert (found.theirs.number, found.ours.number) == (0, 100_000)
    assert str(found.application_id) == merchant.application_id
    assert (await the_float(house)).unexplained.number == 0
    assert await house.reconciliation.count() == 1


async def test_lines_around_midnight_are_matched_with_the_next_day(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    """One moves there before midnight and ends here after it; another the other way round."""
    clock.advance(hours=13, minutes=59, seconds=59)
    rail.script.append(Accepted())
    first = await merchant.pay()
    await house.worker.run_until_idle()
    rail.write(rail.asked[-1][1])
    rail.otherwise = Paid()
    await merchant.collect(40_000)
    early = rail.asked[-1][1]
    clock.advance(minutes=5)
    rail.write(early)
    await house.worker.run_until_idle()
    assert (await merchant.payment(first))["status"] == "COMPLETED"

    clock.advance(hours=1)
    with capture_logs() as logs:
        await house.worker.run_until_idle()
        awaited = await house.breaks.list(open_only=False)
        assert {(one.kind, one.state) for one in awaited} == {
            (Kind.MISSING_HERE, State.AWAITED),
            (Kind.MISSING_THERE, State.AWAITED),
        }
        assert (await the_float(house)).unexplained.number == 0
        await next_day(house, clock)

    assert [line for line in logs if line["event"] == "reconciliation_break"] == []
    over = await house.breaks.list(open_only=False)
    assert {one.state for one in over} == {State.CLOSED}
    assert {one.off_by.number for one in over} == {0}
    assert (await the_float(house)).unexplained.number == 0


async def test_another_amount_there_is_a_break_and_a_contradiction_of_its_operation(
    funded: Merchant, house: House, clock: ManualClock, rail: AccountingRail, database_url: str
) -> None:
    async def less(instruction: Instruction) -> Outcome:
        rail.write(instruction, minor=instruction.amount.minor - 100)
        return Paid()

    rail.otherwise = less
    payout = await funded.withdraw(amount=10_000)
    await house.worker.run_until_idle()

    await next_day(house, clock)

    found = next(
        one for one in await house.breaks.list() if one.instruction_id == operation_of(payout["id"])
    )
    assert (found.kind, found.off_by.number) == (Kind.DIFFERENT_AMOUNT, 1)
    (held,) = await house.contradictions.list()
    assert (held.what, held.attempt) == (What.PAID_DIFFERENTLY, None)
    assert held.operation_id == operation_of(payout["id"])
    assert (await funded.payout(payout))["status"] == "COMPLETED"
    await assert_sound(database_url)


async def test_a_line_of_what_failed_here_is_held_as_paid_after_it_failed(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail, database_url: str
) -> None:
    async def pays_and_denies(instruction: Instruction) -> Outcome:
        rail.write(instruction)
        return Refused("RECIPIENT_NOT_FOUND")

    await merchant.collect(100_000)
    rail.otherwise = pays_and_denies
    payout = await merchant.withdraw(amount=10_000)
    await house.worker.run_until_idle()
    with capture_logs() as logs:
        await next_day(house, clock)
        await next_day(house, clock)

    (held,) = await house.contradictions.list()
    assert (held.what, held.operation_id) == (
        What.PAID_AFTER_FAILED,
        operation_of(payout["id"]),
    )
    assert held.evidence == {
        "statement": "2026-06-23",
        "wallet": "CMR XAF",
        "theirs": -950_000,
        "ours": 0,
    }
    assert [line["event"] for line in logs if line["log_level"] == "error"] == [
        "reconciliation_break",
        "contradiction",
    ]
    assert await merchant.wallets() == {"CMR": (95_000, 0)}
    await assert_sound(database_url)


async def test_a_line_of_what_the_rail_refused_before_another_one_paid_it_is_held(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail, database_url: str
) -> None:
    async def pays_and_denies(instruction: Instruction) -> Outcome:
        if rail.verbs[-1] == "submit":
            rail.write(instruction)
        return Refused("DOWN", own_trouble=True)

    await merchant.collect(100_000)
    rail.otherwise = pays_and_denies
    second = ScriptedRail()
    second.name = "second"
    both = {rail.name: rail, second.name: second}
    house.routing.serve(Environment.TEST, both, {"*": tuple(both)})
    payout = await merchant.withdraw(amount=10_000)
    await house.worker.run_until_idle()
    assert (await merchant.payout(payout))["status"] == "COMPLETED"
    await next_day(house, clock)

    (held,) = await house.contradictions.list()
    assert (held.what, held.operation_id, held.connector) == (
        What.PAID_AFTER_REFUSED,
        operation_of(payout["id"]),
        rail.name,
    )
    assert held.reference == rail.asked[-1][1].reference != second.asked[0][1].reference
    # What the second rail has paid is none of the first one's float.
    found = await the_break(house)
    assert (found.kind, found.theirs.number, found.ours.number) == (Kind.MISSING_HERE, -9_500, 0)
    assert (await the_float(house)).unexplained.number == 0
    await assert_sound(database_url)


async def test_what_the_rail_moved_twice_is_a_duplicate_until_it_takes_one_back(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    await merchant.collect(100_000)
    payment = rail.asked[-1][1]
    rail.write(payment)
    await next_day(house, clock)
    assert (await the_break(house)).kind is Kind.DUPLICATE

    rail.write(payment, minor=-payment.amount.minor)
    await next_day(house, clock)

    closed = await the_break(house)
    assert (closed.state, closed.closed_by) == (State.CLOSED, "kpay")
    assert closed.note == "Both sides agree with the day of 2026-06-24."
    assert (await the_float(house)).unexplained.number == 0


async def test_what_is_learnt_days_later_closes_the_break_by_itself(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    async def pays_in_silence(instruction: Instruction) -> Outcome:
        rail.write(instruction)
        rail.otherwise = Unknown("no answer")
        return Unknown("no answer")

    rail.otherwise = pays_in_silence
    await merchant.pay()
    await house.worker.run_until_idle()
    await next_day(house, clock)
    await next_day(house, clock)
    found = await the_break(house)
    assert (found.kind, found.state) == (Kind.MISSING_HERE, State.OPEN)
    assert await house.contradictions.list() == []

    rail.otherwise = Paid()
    clock.advance(hours=1)
    await house.worker.run_until_idle()
    await next_day(house, clock)

    assert (await the_break(house)).state is State.CLOSED
    assert (await the_float(house)).unexplained.number == 0


async def test_what_was_under_way_before_the_first_statement_is_no_break(
    merchant: Merchant, house: House, clock: ManualClock
) -> None:
    """Handed over the day before, ended on the first day that is reconciled."""
    rail = AccountingRail(clock, Accepted()).serve(house)
    await merchant.pay()
    await house.payments.work(10)
    rail.write(rail.asked[0][1])
    rail.otherwise = Paid()
    clock.advance(hours=14, minutes=10)
    await house.payments.work(10)
    await next_day(house, clock)

    found = await the_break(house)
    assert (found.kind, found.state, found.closed_by) == (
        Kind.MISSING_THERE,
        State.CLOSED,
        "kpay",
    )
    assert (await the_float(house)).unexplained.number == 0


async def test_an_operator_closes_a_break_and_it_opens_again_when_a_side_changes(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    await merchant.collect(100_000)
    payment = rail.asked[-1][1]
    rail.write(payment)
    await next_day(house, clock)
    found = await the_break(house)

    with pytest.raises(Refusal) as refused:
        await house.breaks.close(OPERATOR, found.id, " ")
    assert refused.value.code is Code.INVALID_PARAMETER
    await house.breaks.close(OPERATOR, found.id, "The rail takes it back next week.")
    with pytest.raises(Refusal) as again:
        await house.breaks.close(OPERATOR, found.id, "Again.")
    assert again.value.code is Code.NOT_FOUND
    (line,) = await house.audit.page(AuditFilter(action=Action.BREAK_CLOSED))
    assert line.details["note"] == "The rail takes it back next week."

    await next_day(house, clock)
    closed = await the_break(house)
    assert (closed.state, closed.note) == (State.CLOSED, "The rail takes it back next week.")
    # It still explains the float, as it still differs.
    assert (await the_float(house)).unexplained.number == 0
    rail.write(payment)
    await next_day(house, clock)
    assert (await the_break(house)).state is State.OPEN


# The work itself: claimed once, taken up where it stood, the same twice.


async def test_a_rail_that_makes_a_statement_slowly_or_not_at_all_is_asked_again(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    await merchant.collect(100_000)
    rail.silences.extend(
        [
            NoAnswer("no answer within 25 seconds"),
            None,
            NoAnswer("HTTP 500"),
            None,
            NotReady(),
            NoAnswer("HTTP 502"),
            TicketLost("it failed there"),
        ]
    )
    await next_day(house, clock)
    troubles = []
    for _ in range(8):
        troubles += [one.trouble for one in await unfinished(house.database)]
        clock.advance(minutes=10)
        await house.worker.run_until_idle()

    assert troubles == [
        "no answer within 25 seconds",
        "HTTP 500",
        "is being made",
        "HTTP 502",
        "it failed there",
    ]
    found = await the_float(house)
    assert (found.day, found.unexplained.number) == (TODAY, 0)
    assert rail.ordered.count(TODAY) == 2


async def test_a_statement_that_breaks_off_is_read_again_from_the_first_line(
    merchant: Merchant,
    house: House,
    clock: ManualClock,
    rail: AccountingRail,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(store, "PART", 2)
    for _ in range(7):
        await merchant.collect(1_000)
    rail.fails_after = 5
    with pytest.raises(ConnectionResetError):
        await next_day(house, clock)
    kept = await house.database.fetchval("select count(*) from rail_lines")
    assert kept == 4

    clock.advance(minutes=11)
    await house.worker.run_until_idle()

    found = await the_float(house)
    assert (found.lines, found.unexplained.number) == (7, 0)
    assert await house.breaks.list(open_only=False) == []


async def test_a_process_that_died_while_it_matched_leaves_a_day_that_another_matches(
    merchant: Merchant,
    house: House,
    clock: ManualClock,
    rail: AccountingRail,
    settings: Settings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """In parts of one: it dies when half of the day is judged."""
    monkeypatch.setattr(store, "PART", 1)
    rail.otherwise = Paid()
    for _ in range(4):
        await merchant.collect(1_000)
    judged = 0
    write = store.write

    async def dies(*arguments: object) -> None:
        nonlocal judged
        judged += 1
        if judged == 3:
            raise RuntimeError("the process ends here")
        await write(*arguments)  # type: ignore[arg-type]

    with monkeypatch.context() as patched:
        patched.setattr(store, "write", dies)
        with pytest.raises(RuntimeError):
            await next_day(house, clock)
    assert len(await house.breaks.list(open_only=False)) == 2
    clock.advance(minutes=11)
    async with opened(settings, clock) as another:
        rail.serve(another)
        await another.worker.run_until_idle()

    assert len(await house.breaks.list(open_only=False)) == 4
    found = await the_float(house)
    assert (found.day, found.unexplained.number) == (TODAY, 0)
    assert rail.ordered.count(TODAY) == 1


async def test_twice_is_the_same_as_once_and_two_processes_do_a_day_once(
    merchant: Merchant,
    house: House,
    clock: ManualClock,
    rail: AccountingRail,
    settings: Settings,
) -> None:
    rail.otherwise = Paid()
    await merchant.collect(1_000)
    rail.add("PAYOUT", Money(-700_000, "XAF"), operation=OperationType.PAYOUT)
    await next_day(house, clock)
    before = await the_float(house), await house.breaks.list(open_only=False)

    await house.database.execute(
        "update reconciliations set stage = 'match', due_at = $1 where day = $2", clock.now(), TODAY
    )
    with capture_logs() as logs:
        await house.worker.run_until_idle()
        async with opened(settings, clock) as another:
            rail.serve(another)
            await another.worker.run_until_idle()

    assert (await the_float(house), await house.breaks.list(open_only=False)) == before
    assert [line for line in logs if line["log_level"] == "error"] == []
    assert rail.ordered.count(TODAY) == 1


async def test_days_on_which_nobody_ran_are_made_up_for_one_after_the_other(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    await merchant.collect(1_000)
    clock.advance(days=4)
    await merchant.collect(2_000)
    clock.advance(days=1)
    await house.worker.run_until_idle()

    assert rail.ordered[1:] == [TODAY + timedelta(days=number) for number in range(5)]
    assert (await the_float(house)).day == TODAY + timedelta(days=4)
    assert (await the_float(house)).unexplained.number == 0


async def test_a_day_of_which_the_rail_says_nothing_keeps_the_next_ones_waiting(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail, database_url: str
) -> None:
    """Each begins with what the one before ended with."""
    await merchant.collect(1_000)
    clock.advance(days=3)
    rail.silences.append(NoAnswer("HTTP 500"))
    await house.worker.run_until_idle()
    waiting = [one.day for one in await unfinished(house.database)]
    assert waiting == [TODAY, TODAY + timedelta(days=1), TODAY + timedelta(days=2)]
    assert TODAY + timedelta(days=1) not in rail.ordered

    clock.advance(minutes=10)
    await house.worker.run_until_idle()

    assert rail.ordered[1:] == [TODAY + timedelta(days=number) for number in range(3)]
    assert await unfinished(house.database) == []
    await assert_sound(database_url)


async def test_a_line_with_text_that_no_column_can_hold_is_kept_as_what_can(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    rail.add("FEE \0 \ud800", Money(-100, "XAF"))
    await next_day(house, clock)

    assert (await the_float(house)).lines == 1


async def test_a_rail_that_tells_no_statements_is_asked_for_none(
    merchant: Merchant, house: House, clock: ManualClock, tmp_path: Path
) -> None:
    await merchant.collect(1_000)
    await next_day(house, clock)

    assert house.reconciliation.rails == []
    assert await house.database.fetchval("select count(*) from rail_days") == 0


# What the operator's commands say of it.


async def test_a_day_that_is_not_over_is_refused_in_words(
    house: House,
    rail: AccountingRail,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """What it would do instead, the days before it, is not what was asked for."""

    acts: list[Callable[[House], Awaitable[object]]] = []

    class Stopped(Exception):
        pass

    def instead(act: Callable[[House], Awaitable[object]]) -> object:
        acts.append(act)
        raise Stopped

    monkeypatch.setattr(reconciliation_commands, "with_house", instead)
    today = house.reconciliation.latest + timedelta(days=1)
    with pytest.raises(Stopped):
        reconciliation_commands.run(day=today.isoformat())

    with pytest.raises(SystemExit) as refused:
        await acts[0](house)

    assert refused.value.code == 2
    assert f"{today} is not over: {house.reconciliation.latest} is the last day" in (
        capsys.readouterr().err
    )


async def test_the_report_says_how_much_and_why_and_fails_while_a_break_is_open(
    merchant: Merchant,
    house: House,
    clock: ManualClock,
    rail: AccountingRail,
    capsys: pytest.CaptureFixture[str],
) -> None:
    await merchant.collect(100_000)
    rail.add("FEE", Money(-150_000, "XAF"))
    await next_day(house, clock)
    with pytest.raises(SystemExit) as sound:
        _tell(await _read(house), as_json=False)
    assert sound.value.code == 0
    told = capsys.readouterr().out
    assert "scripted CMR XAF (test), end of 2026-06-23: the rail holds 998,500.00 XAF more" in told
    assert re.search(r"FEE at the rail +-1,500.00 XAF +1 *\n", told)

    rail.add("PAYOUT", Money(-700_000, "XAF"), operation=OperationType.PAYOUT)
    await next_day(house, clock)
    with pytest.raises(SystemExit) as unsound:
        _tell(await _read(house), as_json=True)
    assert unsound.value.code == 1
    told_json = json.loads(capsys.readouterr().out)
    assert told_json["sound"] is False
    (wallet,) = told_json["wallets"]
    assert (wallet["theirs"], wallet["ours"], wallet["difference"]) == (
        "1091500",
        "100000",
        "991500",
    )
    assert wallet["unexplained"] == "0"
    (found,) = told_json["breaks"]
    assert (found["kind"], found["offBy"], found["line"]) == (
        "missing_here",
        "-7000",
        "2026-06-24/1",
    )
    assert "No operation of ours has this reference" in found["next"]


async def test_a_rail_whose_balances_do_not_follow_from_its_lines_is_not_explained_away(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail, database_url: str
) -> None:
    await merchant.collect(100_000)
    line = rail.lines[-1]
    assert line.balance is not None
    rail.lines[-1] = replace(line, balance=line.balance + Money(500, "XAF"))
    await next_day(house, clock)

    told = await _read(house)

    assert told.floats[0].unexplained.number == 5
    assert not told.is_sound
    # It is the rail's own sum that is wrong, and none of our promises.
    await assert_sound(database_url)


async def test_every_break_goes_into_a_sheet(
    merchant: Merchant, house: House, clock: ManualClock, rail: AccountingRail
) -> None:
    payment = await merchant.collect(100_000)
    rail.write(rail.asked[-1][1])
    await next_day(house, clock)

    rows = list(csv.DictReader(io.StringIO(_sheet((await _read(house)).breaks).decode())))

    (row,) = rows
    assert (row["kind"], row["state"], row["theirs"], row["ours"]) == (
        "duplicate",
        "open",
        "200000",
        "100000",
    )
    assert row["operation"] == payment["id"]


class QuietRail(AccountingRail):
    """Its lines do not say what the wallet held after them."""

    async def read_statement(
        self, wallet: RailWallet, day: date, ticket: str
    ) -> AsyncIterator[Line]:
        async for line in super().read_statement(wallet, day, ticket):
            yield replace(line, balance=None)


async def test_what_had_moved_when_a_rail_was_first_asked_is_counted_once(
    house: House, clock: ManualClock, database_url: str
) -> None:
    rail = QuietRail(clock, opening=100_000_000)
    rail.serve(house)
    rail.add("TOPUP", Money(5_000_000, "XAF"))
    clock.advance(seconds=10)
    # It tells 1,050,000 XAF, of which 50,000 are of the day that is not told yet.
    await house.worker.run_until_idle()
    assert (await the_float(house)).theirs.minor == 105_000_000
    clock.advance(seconds=10)
    rail.add("FEE", Money(-10_000, "XAF"))

    for _ in range(2):
        await next_day(house, clock)

        found = await the_float(house)
        assert found.theirs.minor == rail.held == 104_990_000
        assert parts(found) == {
            "it differed so before the first statement, of 2026-06-22": 1_000_000,
            "TOPUP at the rail": 50_000,
            "FEE at the rail": -100,
        }
        assert found.unexplained.minor == 0
    await assert_sound(database_url)
