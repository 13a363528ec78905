"""Failed authentication is counted by address and by key; nobody can be shut out by others."""

from __future__ import annotations

import tracemalloc
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.access.throttle import (
    MOST_NAME_LENGTH,
    MOST_NAMES,
    MOST_OF_ADDRESS,
    MOST_OF_KEY,
    MOST_OF_PAIR,
    WINDOW,
    Throttle,
)
from kpay.core.refusals import Code, Refusal

NOW = datetime(2026, 6, 23, 10, tzinfo=UTC)
HERE, THERE, KEY = "192.0.2.1", "192.0.2.2", "kpay_test_a"
WRONG = Refusal(Code.INVALID_CREDENTIALS, "Invalid API credentials")


def fail(
    throttle: Throttle, address: str, key: str, times: int = 1, *, now: datetime = NOW
) -> Refusal:
    """Be wrong so often. Returns the last answer."""
    answers = [throttle.wrong(address, key, now, WRONG) for _ in range(times)]
    return answers[-1]


def read(throttle: Throttle, address: str | None, key: str, *, now: datetime = NOW) -> bool:
    """Whether an attempt would be looked at."""
    try:
        throttle.admit(address, key, now)
    except Refusal as refusal:
        assert refusal.code is Code.TOO_MANY_FAILURES  # noqa: PT017 — either way out is right
        assert refusal.retry_after is not None  # noqa: PT017
        assert 0 < refusal.retry_after <= WINDOW.total_seconds()  # noqa: PT017
        return False
    return True


def test_a_key_is_not_read_any_more_where_it_was_wrong_too_often() -> None:
    throttle = Throttle()

    assert fail(throttle, HERE, KEY, MOST_OF_PAIR - 1) is WRONG
    assert read(throttle, HERE, KEY)
    assert fail(throttle, HERE, KEY) is WRONG
    assert not read(throttle, HERE, KEY)
    assert fail(throttle, HERE, KEY).code is Code.TOO_MANY_FAILURES


def test_it_is_read_elsewhere_and_other_keys_are_read_here() -> None:
    throttle = Throttle()
    fail(throttle, HERE, KEY, 10_000)

    assert read(throttle, THERE, KEY)
    assert read(throttle, HERE, "kpay_test_b")


def test_an_address_that_tries_key_after_key_is_not_read_at_all() -> None:
    throttle = Throttle()
    for number in range(MOST_OF_ADDRESS):
        assert fail(throttle, HERE, f"kpay_test_{number}") is WRONG

    assert not read(throttle, HERE, "kpay_test_new")
    assert read(throttle, THERE, "kpay_test_new")


def test_a_key_that_is_tried_from_everywhere_gives_each_address_one_attempt() -> None:
    throttle = Throttle()
    for number in range(MOST_OF_KEY):
        fail(throttle, f"198.51.100.{number}", KEY)

    assert read(throttle, HERE, KEY)
    assert fail(throttle, HERE, KEY) is WRONG
    assert not read(throttle, HERE, KEY)
    # Who was never wrong is not touched by it: the merchant, at an address of its own.
    assert read(throttle, THERE, KEY)


def test_a_key_that_was_right_here_is_read_whatever_others_do() -> None:
    throttle = Throttle()
    throttle.right(HERE, KEY)
    for number in range(1_000):
        fail(throttle, HERE, f"kpay_test_{number}")
        fail(throttle, HERE, KEY)
        fail(throttle, f"address {number}", KEY)

    assert read(throttle, HERE, KEY)
    # Who is wrong with it is told to wait all the same.
    assert fail(throttle, HERE, KEY).code is Code.TOO_MANY_FAILURES


def test_a_key_that_is_not_in_force_any_more_is_as_any_other() -> None:
    throttle = Throttle()
    throttle.right(HERE, KEY)
    throttle.forget(HERE, KEY)
    fail(throttle, HERE, KEY, MOST_OF_PAIR)

    assert not read(throttle, HERE, KEY)


def test_after_the_window_it_is_read_again() -> None:
    throttle = Throttle()
    fail(throttle, HERE, KEY, MOST_OF_PAIR)
    fail(throttle, THERE, KEY, MOST_OF_PAIR, now=NOW + timedelta(seconds=30))

    assert not read(throttle, HERE, KEY, now=NOW + WINDOW - timedelta(microseconds=1))
    assert read(throttle, HERE, KEY, now=NOW + WINDOW)
    assert not read(throttle, THERE, KEY, now=NOW + WINDOW)


def test_nobody_in_particular_is_never_held_up() -> None:
    throttle = Throttle()
    for _ in range(1_000):
        assert throttle.wrong(None, KEY, NOW, WRONG) is WRONG
    fail(throttle, HERE, KEY, MOST_OF_ADDRESS)

    assert read(throttle, None, KEY)


def test_an_attack_from_anywhere_with_anything_does_not_fill_memory() -> None:
    throttle = Throttle()
    tracemalloc.start()
    try:
        for number in range(MOST_NAMES + 10):
            throttle.wrong(f"address {number}", f"kpay_test_{number}", NOW, WRONG)
            throttle.right(f"address {number}", f"kpay_test_{number}")
        full, _ = tracemalloc.get_traced_memory()
        for number in range(MOST_NAMES):
            throttle.wrong(f"again {number}", f"kpay_test_again_{number}", NOW, WRONG)
            throttle.right(f"again {number}", f"kpay_test_again_{number}")
            throttle.wrong(f"long {number % 10}", "a" * (MOST_NAME_LENGTH + 1), NOW, WRONG)
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert full < 40_000_000
    assert after < 1.2 * full


@given(
    st.lists(
        st.tuples(
            st.sampled_from(["a", "b", "c"]),
            st.sampled_from(["k", "l"]),
            st.booleans(),
            st.integers(0, 20),
        ),
        max_size=200,
    )
)
def test_whatever_happens_who_was_never_wrong_is_read(
    attempts: list[tuple[str, str, bool, int]],
) -> None:
    throttle, now = Throttle(), NOW
    for address, key, right, seconds in attempts:
        now += timedelta(seconds=seconds)
        if right:
            throttle.right(address, key)
        else:
            throttle.wrong(address, key, now, WRONG)

    assert read(throttle, "the merchant's own", "k", now=now)
    assert read(throttle, "the merchant's own", "l", now=now)
    assert all(read(throttle, a, k, now=now) for a, k, right, _ in attempts if right)


@pytest.mark.parametrize("key", ["", "a" * 100_000])
def test_what_is_no_key_of_ours_counts_for_its_address_alone(key: str) -> None:
    throttle = Throttle()
    fail(throttle, HERE, key, MOST_OF_ADDRESS)

    assert not read(throttle, HERE, KEY)
    assert read(throttle, THERE, key)
