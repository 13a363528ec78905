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
    (plants.not_found_is_final, 6, "is FAILED, and the rail has it"),
    (plants.external_ids_are_forgotten, 2, "live operations have one externalId"),
    (plants.holds_are_given_back_twice, 10, "must hold"),
    (plants.rounding_is_skipped, 1, "provider:"),
    (plants.rates_change_after_acceptance, 2, "arriving"),
    (plants.answers_precede_commits, 1, "was acknowledged and does not exist"),
    (plants.calls_precede_intents, 1, "handed over again"),
    (plants.stale_claims_are_called, 1, "is FAILED, and the rail has it"),
    (plants.refunds_are_forgotten, 10, "verify finds refunds"),
    (plants.any_answer_is_a_delivery, 2, "is DELIVERED, and nobody took it"),
    (plants.webhooks_overtake_each_other, 39, "was heard before"),
    (plants.keys_are_forgotten, 1, "was answered"),
    (plants.attempts_have_operations_of_their_own, 10, "and exists"),
    (plants.keys_fit_any_request, 8, "was acknowledged and does not exist"),
    (plants.pages_never_close, 5, "could be chosen on until"),
    (plants.deadlines_end_what_a_rail_has, 1, "was given up, and the rail may have heard"),
    (plants.choices_are_taken_twice, 2, "another reference, while the one before"),
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
