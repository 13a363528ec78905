"""One suite for every connector: the same outcome in the same situation, whatever the rail.

It is what a flow relies on: nothing is raised for business, nothing but a plain refusal is a
failure, and whatever is not understood is unknown.
"""

from __future__ import annotations

import json

import pytest

from kpay.app import House
from kpay.connectors.capabilities import (
    CancelAnswer,
    Cancelling,
    CancelsEnqueued,
    Declined,
    SubmitsMany,
)
from kpay.connectors.model import (
    Accepted,
    NotFound,
    Outcome,
    Paid,
    Refused,
    Unknown,
    outcome_evidence,
)
from kpay.connectors.opening import RAILS
from kpay.instructions.model import cancelling_evidence
from tests.connectors.benches import BENCHES, Situation

HANDED_OVER: dict[Situation, type[Outcome]] = {
    Situation.TAKES_IT: Accepted,
    Situation.HAS_IT_ALREADY: Accepted,
    Situation.REFUSES_IT: Refused,
    Situation.TROUBLE: Unknown,
    Situation.NONSENSE: Unknown,
    Situation.FOREIGN: Unknown,
    Situation.HANGS_UP: Unknown,
    Situation.HALF: Unknown,
    Situation.SILENT: Unknown,
    Situation.LOCKED_OUT: Unknown,
    Situation.GONE: Unknown,
}
ASKED: dict[Situation, type[Outcome]] = {
    Situation.UNDER_WAY: Accepted,
    Situation.PAID: Paid,
    Situation.FAILED: Refused,
    Situation.NEVER_SAW_IT: NotFound,
    Situation.PAID_MORE: Unknown,
    Situation.TROUBLE: Unknown,
    Situation.NONSENSE: Unknown,
    # A proxy that knows nothing of our reference has not looked for it.
    Situation.FOREIGN: Unknown,
    Situation.HANGS_UP: Unknown,
    Situation.HALF: Unknown,
    Situation.SILENT: Unknown,
    Situation.LOCKED_OUT: Unknown,
    Situation.GONE: Unknown,
}
CASES = [
    (name, verb, situation)
    for name in BENCHES
    for verb, expected in (("submit", HANDED_OVER), ("check", ASKED))
    for situation in expected
    if situation not in BENCHES[name].cannot
]


@pytest.mark.parametrize(("name", "verb", "situation"), CASES)
async def test_the_same_situation_has_the_same_outcome(
    name: str, verb: str, situation: Situation, house: House
) -> None:
    expected = (HANDED_OVER if verb == "submit" else ASKED)[situation]
    async with BENCHES[name].stand(situation, house) as stand:
        assert stand is not None, "this bench has no words for the situation"
        outcome = await getattr(stand.connector, verb)(stand.instruction)

        assert type(outcome) is expected
        # Every outcome can be kept as it is, and no credential is in what is kept.
        kept = json.dumps(outcome_evidence(outcome))
        assert "a-token" not in kept
        if isinstance(outcome, Refused):
            assert outcome.code == "RECIPIENT_NOT_FOUND"


CANCELLING: dict[Situation, type[CancelAnswer]] = {
    Situation.CANCELS_IT: Cancelling,
    Situation.PAYS_IT_ALREADY: Declined,
    Situation.TROUBLE: Unknown,
    Situation.NONSENSE: Unknown,
    Situation.FOREIGN: Unknown,
    Situation.HANGS_UP: Unknown,
    Situation.HALF: Unknown,
    Situation.SILENT: Unknown,
    Situation.LOCKED_OUT: Unknown,
    Situation.GONE: Unknown,
}


@pytest.mark.parametrize("situation", CANCELLING)
@pytest.mark.parametrize("name", BENCHES)
async def test_a_rail_that_can_cancel_says_whether_it_does_and_ends_nothing(
    name: str, situation: Situation, house: House
) -> None:
    async with BENCHES[name].stand(situation, house) as stand:
        if stand is None or not isinstance(stand.connector, CancelsEnqueued):
            # It has no words for cancelling, and then it must not be thought to be able to.
            assert name != "pawapay"
            return
        answer = await stand.connector.cancel(stand.instruction)

        assert type(answer) is CANCELLING[situation]
        assert "a-token" not in json.dumps(cancelling_evidence(answer))


_UNKNOWN = (Unknown, Unknown, Unknown)
TOGETHER: dict[Situation, tuple[type[Outcome], ...]] = {
    Situation.TAKES_SOME: (Accepted, Accepted, Refused),
    Situation.LEAVES_SOME_OUT: (Unknown, Accepted, Unknown),
    Situation.ANSWERS_FOR_OTHERS: (Unknown, Accepted, Accepted),
    Situation.SAYS_TWO_THINGS: (Unknown, Accepted, Refused),
    # An answer that is about one of them says nothing of the call.
    Situation.TAKES_IT: _UNKNOWN,
    Situation.TROUBLE: _UNKNOWN,
    Situation.NONSENSE: _UNKNOWN,
    Situation.FOREIGN: _UNKNOWN,
    Situation.HANGS_UP: _UNKNOWN,
    Situation.HALF: _UNKNOWN,
    Situation.SILENT: _UNKNOWN,
    Situation.LOCKED_OUT: _UNKNOWN,
    Situation.GONE: _UNKNOWN,
}


@pytest.mark.parametrize("situation", TOGETHER)
@pytest.mark.parametrize("name", BENCHES)
async def test_of_what_is_handed_over_in_one_call_each_has_its_own_outcome(
    name: str, situation: Situation, house: House
) -> None:
    async with BENCHES[name].stand(situation, house) as stand:
        if stand is None or not isinstance(stand.connector, SubmitsMany):
            # It takes one at a time, and then it must not be thought to take more.
            assert name != "pawapay"
            return
        outcomes = await stand.connector.submit_many(stand.many)

        assert tuple(type(outcome) for outcome in outcomes) == TOGETHER[situation]
        assert "a-token" not in json.dumps([outcome_evidence(outcome) for outcome in outcomes])
        assert {outcome.code for outcome in outcomes if isinstance(outcome, Refused)} <= {
            "RECIPIENT_NOT_FOUND"
        }


@pytest.mark.parametrize("name", BENCHES)
async def test_asking_twice_is_answered_alike(name: str, house: House) -> None:
    for situation in (Situation.PAID, Situation.FAILED):
        said = []
        for _ in range(2):
            async with BENCHES[name].stand(situation, house) as stand:
                assert stand is not None
                said.append(await stand.connector.check(stand.instruction))
        assert said[0] == said[1]
        assert type(said[0]) is ASKED[situation]


def test_every_rail_has_a_bench() -> None:
    assert {"sandbox", *RAILS} <= set(BENCHES)
