"""MTN's status reads: evenly spaced, bounded in a second, seldomer the longer something takes."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from kpay.connectors.mtn_momo.pacing import Pace, ask_after
from tests.connectors.support import NOW, instruction

SECOND = timedelta(seconds=1)
QUARTER = timedelta(minutes=15)


def test_places_are_evenly_apart_and_those_beyond_four_seconds_are_none() -> None:
    pace = Pace(5)
    waits = [pace.take(NOW) for _ in range(30)]

    assert waits[:21] == [timedelta(milliseconds=200 * number) for number in range(21)]
    assert waits[21:] == [None] * 9


def test_a_place_is_at_once_where_nobody_has_asked_for_a_while() -> None:
    pace = Pace(5)
    assert pace.take(NOW) == timedelta(0)
    assert pace.take(NOW + SECOND) == timedelta(0)
    assert pace.take(NOW + SECOND) == SECOND / 5


def test_refused_places_are_not_taken() -> None:
    pace = Pace(1)
    while pace.take(NOW) is not None:
        pass
    assert pace.take(NOW + SECOND) == timedelta(seconds=4)


def test_a_clock_that_is_set_back_stops_nothing() -> None:
    pace = Pace(5)
    pace.take(NOW)
    assert pace.take(NOW - timedelta(hours=1)) == timedelta(0)


@given(st.integers(1, 10), st.lists(st.integers(0, 3_000), min_size=1, max_size=80))
def test_in_no_second_are_there_more_reads_than_allowed(reads: int, steps: list[int]) -> None:
    pace, now = Pace(reads), NOW
    made = []
    for step in steps:
        now += timedelta(milliseconds=step)
        wait = pace.take(now)
        if wait is not None:
            made.append(now + wait)

    assert made == sorted(made)
    apart = SECOND / reads
    assert all(later - earlier >= apart for earlier, later in pairwise(made))


def test_intervals_grow_with_the_age_and_are_bounded() -> None:
    waits = [
        ask_after(instruction(), NOW + timedelta(seconds=age)) for age in (0, 10, 60, 600, 86_400)
    ]

    assert waits == sorted(waits)
    assert timedelta(seconds=1.5) <= waits[0] <= timedelta(seconds=2.5)
    assert timedelta(seconds=22) <= waits[2] <= timedelta(seconds=38)
    assert timedelta(minutes=9) <= waits[-1] <= QUARTER
    assert ask_after(instruction(), NOW - timedelta(hours=1)) <= timedelta(seconds=2.5)


def test_what_was_handed_over_together_is_spread() -> None:
    at = NOW + timedelta(minutes=10)
    waits = [ask_after(instruction(reference=UUID(int=number)), at) for number in range(200)]

    assert min(waits) < timedelta(minutes=4) < timedelta(minutes=6) < max(waits)
    assert len(set(waits)) > 150
    assert waits[7] == ask_after(instruction(reference=UUID(int=7)), at)
    assert timedelta(minutes=3.75) <= min(waits)
    assert max(waits) <= timedelta(minutes=6.25)
