"""However requests come to however many processes, a window lets no more pass than its quota."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from kpay.access import limiter as module
from kpay.access import windows as rows
from kpay.access.gate import Gate
from kpay.access.limiter import Limiter
from kpay.access.model import Application, Company, Terms
from kpay.access.quota import WINDOW, Bucket, Lease, Name, Quota, Share, Wanted, portion
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import Database
from tests.windows import Windows

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
BOOK = Book(UUID(int=1), Environment.TEST)
KEY = UUID(int=7)


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(NOW)


@pytest.fixture
def shared(monkeypatch: pytest.MonkeyPatch) -> Windows:
    """The rows that all processes share; each statement takes some turns of the loop."""
    plain = Windows()
    chance = random.Random(1)

    async def lease(
        _database: Database, wanted: Sequence[Wanted], now: datetime
    ) -> Mapping[Name, Lease]:
        await turns(chance.randint(0, 4))
        given = plain.lease(wanted, now)
        await turns(chance.randint(0, 4))
        return given

    monkeypatch.setattr(rows, "lease", lease)
    return plain


async def turns(count: int) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


def process(clock: ManualClock, limit: int, own: int | None = None) -> Limiter:
    """One process's limiter; `own` is the application's own limit."""

    async def application(_identifier: UUID) -> Application:
        return Application(BOOK.application_id, "", Company(KEY, "", None), Terms(rate_limit=own))

    gate = cast("Gate", SimpleNamespace(application=application))
    limits = {Bucket.KEY: limit, Bucket.GATEWAY: 0, Bucket.POLLING: 0}
    return Limiter(cast("Database", None), gate, clock, limits)


async def ask(limiter: Limiter) -> Quota:
    found = await limiter.take(Bucket.KEY, BOOK, KEY)
    assert found is not None
    return found


@pytest.mark.parametrize("seed", range(60))
async def test_no_window_lets_more_pass_than_its_quota_and_hardly_less(
    clock: ManualClock, shared: Windows, seed: int
) -> None:
    """Never more than the quota; less by a hundredth for each process but the asking one."""
    chance = random.Random(seed)
    limit = chance.choice([1, 2, 3, 17, 99, 100, 101, 250, 1_000, 1_500])
    processes = [process(clock, limit) for _ in range(chance.randint(1, 5))]
    passed = 0

    async def send(limiter: Limiter) -> None:
        nonlocal passed
        await turns(chance.randint(0, 10))
        found = await ask(limiter)
        passed += found.passed

    for _ in range(chance.randint(1, 4)):
        burst = [chance.choice(processes) for _ in range(chance.randint(0, 2 * limit))]
        await asyncio.gather(*map(send, burst))
        clock.advance(seconds=chance.choice([0, 1, 20]))
    while (await ask(processes[0])).passed:
        passed += 1

    assert sum(window.taken for window in shared.begun) <= limit * len(shared.begun)
    if len(shared.begun) == 1:
        assert limit - (len(processes) - 1) * (limit // 100) <= passed <= limit
    assert passed <= sum(window.taken for window in shared.begun)


@pytest.mark.parametrize("seed", range(30))
async def test_whoever_gives_up_waiting_takes_nothing_from_others(
    clock: ManualClock, shared: Windows, seed: int
) -> None:
    chance = random.Random(seed)
    limiter = process(clock, 40)
    waiting = [asyncio.create_task(ask(limiter)) for _ in range(30)]
    await turns(chance.randint(0, 5))
    for one in chance.sample(waiting, 10):
        one.cancel()
    told = await asyncio.gather(*waiting, return_exceptions=True)
    passed = sum(isinstance(one, Quota) and one.passed for one in told)
    while (await ask(limiter)).passed:
        passed += 1

    # A place that was given to one that had just gone is the only one that may be lost.
    gone = sum(isinstance(one, BaseException) for one in told)
    assert 40 - gone <= passed <= 40
    assert shared.present[Bucket.KEY, KEY].taken == 40


async def test_clocks_that_differ_do_not_let_more_pass(shared: Windows) -> None:
    """One process is five seconds ahead of the other: they share the window all the same."""
    slow, fast = ManualClock(NOW), ManualClock(NOW + timedelta(seconds=5))
    processes = [process(slow, 10), process(fast, 10)]
    passed = 0
    for number in range(40):
        passed += (await ask(processes[number % 2])).passed
        slow.advance(seconds=1)
        fast.advance(seconds=1)

    assert (passed, len(shared.begun)) == (10, 1)


async def test_all_that_wait_go_into_one_question(clock: ManualClock, shared: Windows) -> None:
    limiter = process(clock, 100)
    await asyncio.gather(*(ask(limiter) for _ in range(60)))

    assert shared.leases == 1


async def test_a_high_quota_is_taken_in_few_questions(clock: ManualClock, shared: Windows) -> None:
    limiter = process(clock, 100_000)
    passed = 0
    while (await ask(limiter)).passed:
        passed += 1

    assert passed == 100_000
    assert shared.leases < 250


async def test_what_an_application_has_of_its_own_counts_in_place_of_the_usual(
    clock: ManualClock, shared: Windows
) -> None:
    assert (await ask(process(clock, 100, own=5))).limit == 5
    assert await process(clock, 100, own=0).take(Bucket.KEY, BOOK, KEY) is None
    # Where nothing is limited in the whole house, nobody is.
    assert await process(clock, 0, own=5).take(Bucket.KEY, BOOK, KEY) is None
    assert shared.leases == 1


async def test_what_goes_wrong_is_told_to_all_that_wait_and_the_next_is_tried_anew(
    clock: ManualClock, shared: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    limiter = process(clock, 10)

    async def broken(*_arguments: object) -> None:
        raise RuntimeError("a defect")

    with monkeypatch.context() as patch:
        patch.setattr(rows, "lease", broken)
        told = await asyncio.gather(*(ask(limiter) for _ in range(3)), return_exceptions=True)

    assert [type(one) for one in told] == [RuntimeError] * 3
    assert (await ask(limiter)).passed
    assert shared.leases == 1


async def test_memory_is_bounded_and_less_passes_rather_than_more(
    clock: ManualClock, shared: Windows, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "MOST_SHARES", 20)
    limiter = process(clock, 1_000)
    for number in range(100):
        await limiter.take(Bucket.KEY, BOOK, UUID(int=number % 50))
        shares: dict[Any, Any] = limiter._shares
        assert len(shares) <= 20

    assert all(window.taken <= 1_000 for window in shared.begun)


# The pure rules.


@pytest.mark.parametrize(
    ("waiting", "limit", "rest", "asked"),
    [
        (1, 100, 100, 1),
        (1, 199, 199, 1),
        (1, 1_000, 1_000, 10),
        (30, 1_000, 1_000, 30),
        (1, 100_000, 100_000, 1_000),
        (1, 100_000, 1_600, 100),
        (1, 100_000, 15, 1),
        (1, 100_000, 0, 1),
    ],
)
def test_a_portion_is_a_hundredth_and_less_when_little_is_left(
    waiting: int, limit: int, rest: int, asked: int
) -> None:
    assert portion(waiting, limit, rest) == asked


def share(granted: int, rest: int = 0) -> Share:
    made = Share(Bucket.KEY, 100, NOW + WINDOW)
    made.add(Lease(NOW + WINDOW, granted, rest), 100)
    return made


def test_a_share_lasts_until_its_window_ends() -> None:
    held = share(3, 5)

    assert held.take(NOW) == Quota(Bucket.KEY, 100, 7, 60, passed=True)
    almost = NOW + WINDOW - timedelta(microseconds=1)
    assert held.take(almost) == Quota(Bucket.KEY, 100, 6, 1, passed=True)
    assert held.take(NOW + WINDOW) is None


def test_a_share_that_is_used_up_asks_while_there_is_any_and_then_refuses_alone() -> None:
    assert share(0, 1).take(NOW) is None
    assert share(0).take(NOW) == Quota(Bucket.KEY, 100, 0, 60, passed=False)
    # Its window ends too late: some clock was set back since.
    assert share(0).take(NOW - timedelta(hours=1)) is None


def test_what_is_given_is_added_in_the_same_window_and_replaces_what_lapsed() -> None:
    held = share(3, 50)
    held.add(Lease(NOW + WINDOW, 2, 48), 100)
    assert (held.left, held.rest) == (5, 48)

    held.add(Lease(NOW + 2 * WINDOW, 1, 9), 10)
    assert (held.left, held.rest, held.limit) == (1, 9, 10)


@pytest.mark.parametrize("bucket", Bucket)
def test_a_refusal_says_how_many_and_when_again(bucket: Bucket) -> None:
    Quota(bucket, 1_000, 0, 42, passed=True).check()
    with pytest.raises(Refusal, match=r"1,000 .*: try again in 42 seconds") as caught:
        Quota(bucket, 1_000, 0, 42, passed=False).check()

    assert (caught.value.code, caught.value.retry_after) == (Code.RATE_LIMITED, 42)
