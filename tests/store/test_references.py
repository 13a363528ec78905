"""References on a real database: no two processes, tasks or starts ever draw the same one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kpay.core.ids import reference_suffix
from kpay.database.pool import Database
from kpay.database.references import References

# More than two blocks of what the database gives a process at a time.
MANY = 2_500


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    async with Database(database_url, size=4) as made:
        yield made


@pytest.fixture
async def references(database: Database) -> References:
    """Those of one process."""
    return References(database)


async def draw(references: References, count: int = MANY) -> list[str]:
    """So many suffixes, one after the other."""
    return [await references.draw() for _ in range(count)]


async def test_a_new_database_begins_with_the_first_numbers_and_leaves_none_out(
    references: References,
) -> None:
    assert await draw(references) == [reference_suffix(number) for number in range(MANY)]


async def test_tasks_that_draw_at_once_draw_different_ones_and_leave_none_out(
    references: References,
) -> None:
    drawn = await asyncio.gather(*(references.draw() for _ in range(MANY)))

    assert len(set(drawn)) == MANY
    assert set(drawn) == {reference_suffix(number) for number in range(MANY)}


async def test_two_processes_never_draw_the_same(references: References, database_url: str) -> None:
    async with Database(database_url, size=4) as elsewhere:
        other = References(elsewhere)
        drawn = await asyncio.gather(
            *(process.draw() for _ in range(MANY) for process in (references, other))
        )

    assert len(set(drawn)) == 2 * MANY


async def test_what_was_drawn_before_a_restart_is_never_drawn_again(
    references: References, database: Database
) -> None:
    # It ends in the middle of what it was given, and the rest is never used.
    before = await draw(references, 1_500)
    after = await draw(References(database))

    assert not set(before) & set(after)
