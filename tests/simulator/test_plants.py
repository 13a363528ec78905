"""Each of these defects would lose money; each is found, by a seed without it that passes."""

from __future__ import annotations

from pathlib import Path

import pytest
from simulator.simulation import SimulationFailed, simulate

from tests.simulator import plants
from tests.simulator.plants import Plant
from tests.simulator.test_simulator import SEEDS

# The plant, the seed that finds it, and what the simulator says of it.
FOUND: list[tuple[Plant, int, str]] = [
    (plants.claims_hold_nothing, 1, "handed over again"),
    (plants.nothing_is_reserved, 1, "reserved:"),
    (plants.silence_is_failure, 1, "is FAILED, and the rail has it"),
    (plants.silence_is_handed_over_again, 1, "handed over again"),
    (plants.not_found_is_final, 1, "is FAILED, and the rail has it"),
    (plants.external_ids_are_forgotten, 3, "live operations have one externalId"),
    (plants.holds_are_given_back_twice, 1, "must hold"),
    (plants.rounding_is_skipped, 3, "provider:"),
    (plants.rates_change_after_acceptance, 3, "arriving"),
    (plants.answers_precede_commits, 1, "was acknowledged and does not exist"),
    (plants.calls_precede_intents, 1, "handed over again"),
    (plants.stale_claims_are_called, 3, "handed over again"),
    (plants.stale_answers_count, 8, "handed over again"),
]


@pytest.mark.parametrize(
    ("plant", "seed", "words"), FOUND, ids=[plant.__name__ for plant, _, _ in FOUND]
)
def test_a_planted_defect_is_found(
    plant: Plant, seed: int, words: str, database_url: str, tmp_path: Path
) -> None:
    with plant(), pytest.raises(SimulationFailed) as failed:
        simulate(database_url, seed, SEEDS[seed], home=tmp_path)

    assert words in failed.value.problem
