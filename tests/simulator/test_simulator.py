"""The simulator itself: sound programs pass it, one seed is one run, a failure can be read."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulator.simulation import SimulationFailed, simulate

from tests.simulator.plants import nothing_is_reserved

# Those by which the planted defects are found, with as many steps as the longest of them takes.
SEEDS = {1: 110, 2: 110, 5: 110, 6: 60, 8: 60, 10: 110, 39: 75}


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_breaks_a_promise_whatever_breaks_around_it(
    seed: int, database_url: str, tmp_path: Path
) -> None:
    report = simulate(database_url, seed, SEEDS[seed], home=tmp_path)

    assert report.operations > SEEDS[seed]
    assert report.deaths > 0
    assert report.sent_again > 0
    assert report.choices > 0
    assert report.webhooks > 0


def test_one_seed_is_one_run(database_url: str, second_url: str, tmp_path: Path) -> None:
    first, second = (simulate(url, 7, 40, home=tmp_path) for url in (database_url, second_url))

    assert first == second


def test_two_seeds_are_two_runs(database_url: str, second_url: str, tmp_path: Path) -> None:
    first = simulate(database_url, 7, 10, home=tmp_path)
    second = simulate(second_url, 8, 10, home=tmp_path)

    assert first.digest != second.digest


def test_a_failure_tells_its_seed_its_step_and_what_led_there_and_comes_again(
    database_url: str, second_url: str, tmp_path: Path
) -> None:
    told = []
    for url in (database_url, second_url):
        with nothing_is_reserved(), pytest.raises(SimulationFailed) as failed:
            simulate(url, 2, 40, home=tmp_path)
        told.append(str(failed.value))
    problem = failed.value

    assert told[0] == told[1]
    assert problem.problem.startswith("reserved:")
    assert f"make simulate SEED=2 STEPS={problem.step}" in told[0]
    assert 0 < len(problem.tail) <= 40
    assert problem.tail[-1].split()[0] == str(problem.step)
