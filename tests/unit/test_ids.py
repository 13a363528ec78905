"""Identifiers: UUIDv7 that only ever grow, and public text that sorts and reads back as they do."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from uuid import RFC_4122, UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kpay.core.ids import (
    dated_reference,
    first_id,
    milliseconds,
    parse_public_id,
    parse_uuid,
    public_id,
    reference_suffix,
)
from kpay.database.clock import DatabaseClock
from kpay.database.ids import SystemIds

TEN_O_CLOCK = datetime(2026, 6, 23, 10, tzinfo=UTC)
UUIDS = st.uuids()
# So many suffixes of six letters there are.
SIX_LETTERS = 32**6


def assert_version_7_and_growing(made: list[UUID]) -> None:
    assert {(value.version, value.variant) for value in made} == {(7, RFC_4122)}
    assert all(earlier < later for earlier, later in pairwise(made))


def test_each_is_a_uuid_of_version_7_greater_than_the_one_before() -> None:
    source = SystemIds(DatabaseClock().now_ms)

    assert_version_7_and_growing([source.uuid() for _ in range(10_000)])


def test_what_rails_are_told_is_a_uuid_of_version_4_and_tells_no_time() -> None:
    source = SystemIds(lambda: milliseconds(TEN_O_CLOCK))

    made = [source.reference() for _ in range(1_000)]

    assert {(value.version, value.variant) for value in made} == {(4, RFC_4122)}
    assert len({value.int >> 80 for value in made}) > 990
    # Each bit but those of the version and the variant is now this, now that.
    always = never = made[0].int
    for value in made:
        always, never = always & value.int, never | value.int
    assert always == 0x4 << 76 | 0b10 << 62
    assert never == (1 << 128) - 1 - (0xB << 76) - (0b01 << 62)


def test_they_begin_with_the_clock_s_time_in_milliseconds() -> None:
    source = SystemIds(lambda: milliseconds(TEN_O_CLOCK))

    assert source.uuid().int >> 80 == 1_782_208_800_000


def test_the_database_s_clock_tells_milliseconds_as_it_tells_the_time() -> None:
    clock = DatabaseClock()

    before, told, after = milliseconds(clock.now()), clock.now_ms(), milliseconds(clock.now())

    # Either rounds down from its own floating point.
    assert before - 1 <= told <= after + 1


def test_they_grow_while_the_clock_stands() -> None:
    source = SystemIds(lambda: 1_782_208_800_000)

    # More than one millisecond's counter can hold, so that it runs over.
    assert_version_7_and_growing([source.uuid() for _ in range(10_000)])


def test_they_grow_while_the_clock_goes_back_a_little() -> None:
    ticks = iter(range(2_000_000_000_000, 1_999_999_940_000, -60))
    source = SystemIds(lambda: next(ticks))

    assert_version_7_and_growing([source.uuid() for _ in range(1_000)])


def test_they_follow_a_clock_that_is_set_back_by_more_than_a_minute() -> None:
    ticks = iter([2_000_000_000_000, 1_999_999_939_999, 1_999_999_939_999])
    source = SystemIds(lambda: next(ticks))

    ahead, *made = [source.uuid() for _ in range(3)]

    assert ahead.int >> 80 == 2_000_000_000_000
    assert [each.int >> 80 for each in made] == [1_999_999_939_999] * 2
    assert_version_7_and_growing(made)


@given(st.integers(0, 250_000_000_000_000))
def test_the_first_of_a_moment_divides_what_is_made_before_from_what_is_made_then(
    now: int,
) -> None:
    moment = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=now)
    made = SystemIds(lambda: now).uuid()

    assert first_id(moment) < made
    if now:
        earlier = SystemIds(lambda: now - 1).uuid()
        assert earlier < first_id(moment)


def test_before_there_were_any_the_first_is_the_least_of_all() -> None:
    assert first_id(datetime(1, 1, 1, tzinfo=UTC)) == UUID(int=0)


@given(st.integers(0, SIX_LETTERS - 1))
def test_a_suffix_is_six_letters_and_digits_that_are_not_misread(number: int) -> None:
    assert re.fullmatch(r"[0-9A-HJKMNP-TV-Z]{6}", reference_suffix(number))


def test_a_suffix_grows_by_a_letter_when_all_of_its_length_are_used_up() -> None:
    edges = (SIX_LETTERS - 1, SIX_LETTERS, 32 * SIX_LETTERS - 1, 32 * SIX_LETTERS)

    assert [len(reference_suffix(number)) for number in edges] == [6, 7, 7, 8]


@given(st.integers(0, 2**40), st.integers(1, 2**40))
def test_two_numbers_have_two_suffixes(number: int, distance: int) -> None:
    assert reference_suffix(number) != reference_suffix(number + distance)


@given(st.integers(0, SIX_LETTERS - 1))
def test_numbers_that_differ_in_one_bit_have_two_suffixes(number: int) -> None:
    for bit in range(30):
        assert reference_suffix(number) != reference_suffix(number ^ 1 << bit)


@given(st.integers(0, 2**45))
def test_a_suffix_says_which_number_it_was_made_of(number: int) -> None:
    """Then no two numbers can have the same one, near or far apart."""
    suffix = reference_suffix(number)
    letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
    scattered = 0
    for letter in suffix:
        scattered = scattered * 32 + letters.index(letter)
    size = 32 ** len(suffix)

    assert scattered * pow(0x9E3779B97F4A7C15, -1, size) % size == number


def test_the_numbers_that_are_drawn_first_all_have_their_own_suffix() -> None:
    count = 50_000

    assert len({reference_suffix(number) for number in range(count)}) == count


def test_the_suffixes_of_neighbours_do_not_look_alike() -> None:
    """A reference shows nobody how much business is done, and misread it is no neighbour's."""
    for one, other in pairwise(reference_suffix(number) for number in range(1_001)):
        assert sum(mine != yours for mine, yours in zip(one, other, strict=True)) >= 3, (one, other)


@given(UUIDS)
def test_a_public_id_reads_back(value: UUID) -> None:
    text = public_id("wdr", value)

    assert re.fullmatch(r"wdr_[0-9a-z]{26}", text)
    assert parse_public_id("wdr", text) == value


@given(UUIDS, UUIDS)
def test_public_ids_sort_as_their_uuids_do(one: UUID, other: UUID) -> None:
    assert (public_id("pay", one) < public_id("pay", other)) == (one < other)


@given(UUIDS)
def test_a_payment_is_no_withdrawal(value: UUID) -> None:
    assert parse_public_id("wdr", public_id("pay", value)) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "wdr",
        "wdr_",
        "_" * 30,
        "wdr_" + "0" * 25,
        "wdr_" + "0" * 27,
        # One more than 128 bits can hold.
        "wdr_8" + "0" * 25,
        "wdr_z" + "z" * 25,
        # Letters that Crockford's base 32 leaves out.
        "wdr_" + "u" * 26,
        "wdr_" + "0" * 25 + "é",
        "wdr_" + "0" * 25 + "\x00",
        "wdr_" + "٠" * 26,
        "WDR_" + "0" * 26,
        "wdr_'; drop table payouts; --",
    ],
)
def test_junk_is_no_public_id(text: str) -> None:
    assert parse_public_id("wdr", text) is None


@given(st.text(max_size=40))
def test_any_text_is_a_public_id_or_none(text: str) -> None:
    value = parse_public_id("wdr", text)

    assert value is None or public_id("wdr", value) == text.lower()


@given(UUIDS)
def test_a_uuid_is_read_in_its_canonical_form_only(value: UUID) -> None:
    assert parse_uuid(str(value)) == value
    assert parse_uuid(value.hex) is None
    assert parse_uuid(f"{{{value}}}") is None
    assert parse_uuid(f"urn:uuid:{value}") is None


@given(st.text(max_size=40))
def test_any_text_is_a_uuid_or_none(text: str) -> None:
    value = parse_uuid(text)

    assert value is None or str(value) == text.lower()


def test_a_reference_says_what_it_is_and_on_which_day() -> None:
    moment = datetime(2026, 6, 23, 23, 59, tzinfo=UTC)

    assert dated_reference("KPAY-WD", moment, "ABC789") == "KPAY-WD-20260623-ABC789"
    assert dated_reference("KPAY", moment, "ABC789") == "KPAY-20260623-ABC789"
