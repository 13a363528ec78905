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
    (plants.claims_hold_nothing, 6, "handed over again"),
    (plants.nothing_is_reserved, 6, "reserved:"),
    (plants.silence_is_failure, 6, "is FAILED, and the rail has it"),
    (plants.silence_is_handed_over_again, 6, "handed over again"),
    (plants.not_found_is_final, 6, "is FAILED, and the rail has it"),
    (plants.external_ids_are_forgotten, 10, "live operations have one externalId"),
    (plants.holds_are_given_back_twice, 6, "must hold"),
    (plants.rounding_is_skipped, 6, "provider:"),
    (plants.rates_change_after_acceptance, 6, "arriving"),
    (plants.answers_precede_commits, 6, "was acknowledged and does not exist"),
    (plants.calls_precede_intents, 6, "handed over again"),
    (plants.stale_claims_are_called, 7, "handed over again"),
    (plants.stale_answers_count, 2, "handed over again"),
    (plants.refunds_are_forgotten, 10, "is refunded 2 times"),
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
