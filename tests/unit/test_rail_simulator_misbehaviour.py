"""What goes wrong at the rail simulator: by mark, by rule, by seed, and the same each time."""

from __future__ import annotations

import json
import re
import tomllib
from collections import Counter
from pathlib import Path

import pytest

from kpay.catalogue.model import OperationType
from kpay.connectors.opening import callback_path
from kpay.core.book import Environment
from kpay.rail_simulator.books import Place, Status
from kpay.rail_simulator.misbehaviour import (
    MARKED,
    WORDS,
    Asked,
    Plan,
    plan_of,
    tellings,
)
from kpay.rail_simulator.scenario import EXAMPLE, Scenario, ScenarioError, read_scenario

ROOT = Path(__file__).parents[2]


def asked(
    minor: int = 100_000, number: str = "237653456789", type_: OperationType = OperationType.PAYOUT
) -> Asked:
    return Asked(type_, "MTN_MOMO_CMR", number, minor)


def drawn(scenario: Scenario, wanted: Asked, nth: int = 0) -> Plan:
    return plan_of(wanted, nth, scenario.rules, scenario.seed)


def test_without_a_rule_it_behaves() -> None:
    assert drawn(Scenario(), asked()) == Plan()


@pytest.mark.parametrize("mark", sorted(MARKED))
def test_a_marked_amount_or_number_misbehaves(mark: str) -> None:
    dimension, word = MARKED[mark]

    by_amount = drawn(Scenario(), asked(minor=int(f"666{mark}00")))
    by_number = drawn(Scenario(), asked(number=f"2376500666{mark}"))

    assert by_amount == by_number
    assert getattr(by_amount, dimension) == word != getattr(Plan(), dimension)


@pytest.mark.parametrize("minor", [6_660_350, 166_660_300, 66_603, 6_669_900])
def test_an_amount_that_only_looks_like_it_does_not(minor: int) -> None:
    assert drawn(Scenario(), asked(minor=minor)) == Plan()


def test_the_first_rule_that_names_a_dimension_decides_it() -> None:
    scenario = read_scenario(
        """
        [usual]
        callback = "never"
        answer = "slow"
        ends_after = 9

        [[rules]]
        operation = "DEPOSIT"
        callback = "late"

        [[rules]]
        operation = "PAYOUT"
        callback = "twice"

        [[rules]]
        callback = "first"
        """
    )

    plan = drawn(scenario, asked())

    assert (plan.callback, plan.answer, plan.ends_after) == ("twice", "slow", 9)


@pytest.mark.parametrize(
    ("rule", "takes", "leaves"),
    [
        ('number = "2376*"', asked(), asked(number="2379")),
        ('number = "237653456789"', asked(), asked(number="2376534567890")),
        ("amount = 1000", asked(), asked(minor=100_001)),
        ("amount = [1000, 2000]", asked(minor=200_000), asked(minor=200_001)),
        ("amount = [1000, 2000]", asked(), asked(minor=99_999)),
        ('operation = "PAYOUT"', asked(), asked(type_=OperationType.REFUND)),
        ('provider = "MTN_MOMO_CMR"', asked(), asked()._replace(provider="ORANGE_CMR")),
    ],
)
def test_a_rule_is_for_what_it_says(rule: str, takes: Asked, leaves: Asked) -> None:
    scenario = read_scenario(f'[[rules]]\n{rule}\ncallback = "twice"')

    assert drawn(scenario, takes).callback == "twice"
    assert drawn(scenario, leaves).callback == "once"


WEIGHTED = """
seed = {seed}
[usual]
answer = {{ prompt = 70, slow = 20, nonsense = 10, error_after = 0 }}
ends_after = [2, 4]
"""


def test_the_same_seed_plays_the_same_and_another_another() -> None:
    first, again, other = (read_scenario(WEIGHTED.format(seed=seed)) for seed in (7, 7, 8))
    plans = [[drawn(one, asked(), nth) for nth in range(200)] for one in (first, again, other)]

    assert plans[0] == plans[1] != plans[2]


def test_weights_are_kept() -> None:
    scenario = read_scenario(WEIGHTED.format(seed=1))
    plans = [drawn(scenario, asked(minor=minor)) for minor in range(2_000)]

    counted = Counter(plan.answer for plan in plans)
    assert 1_300 < counted["prompt"] < 1_500
    assert 320 < counted["slow"] < 480
    assert 130 < counted["nonsense"] < 270
    assert counted["error_after"] == 0
    assert {plan.ends_after for plan in plans} == {2, 3, 4}


def test_what_is_drawn_does_not_change_from_one_version_to_the_next() -> None:
    scenario = read_scenario("seed = 7\n[usual]\nanswer = { slow = 1, prompt = 1, nonsense = 1 }")

    drawn_ = [drawn(scenario, asked(), nth).answer for nth in range(10)]

    assert " ".join(drawn_) == ("nonsense prompt prompt slow slow prompt slow slow slow prompt")


@pytest.mark.parametrize(
    ("callback", "told"),
    [
        ("once", [(0, "COMPLETED")]),
        ("first", [(0, "COMPLETED")]),
        ("twice", [(0, "COMPLETED"), (5, "COMPLETED")]),
        ("late", [(600, "COMPLETED")]),
        ("out_of_order", [(0, "COMPLETED"), (3, "PROCESSING")]),
        ("contradictory", [(0, "COMPLETED"), (5, "FAILED")]),
        ("contradictory_first", [(0, "FAILED"), (30, "COMPLETED")]),
        ("never", []),
    ],
)
def test_callbacks_of_each_word(callback: str, told: list[tuple[int, str]]) -> None:
    said = tellings(Plan(callback=callback), None)

    assert [(after, str(status)) for after, status, _ in said] == told
    assert callback in WORDS["callback"]


def test_the_opposite_of_a_failure_is_completed() -> None:
    said = tellings(Plan(callback="contradictory"), "RECIPIENT_NOT_FOUND")

    assert said == (
        (0, Status.FAILED, "RECIPIENT_NOT_FOUND"),
        (5, Status.COMPLETED, None),
    )


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("seed = ", "cannot be read"),
        ("{", "cannot be read"),
        ('seed = "x"', "seed"),
        ("speed = 1", "speed"),
        ('[usual]\nanswer = "never"', "usual.answer: never is none of prompt, slow"),
        ('[usual]\noutcome = "NOT_A_CODE"', "or a failure code"),
        ("[[rules]]\ncallback = { once = 0 }", "rules[0].callback: one weight"),
        ("[[rules]]\ncallback = { once = -1 }", "rules[0].callback"),
        ("[usual]\nends_after = [5, 1]", "usual.ends_after: write one number"),
        ("[usual]\nends_after = [1, 2, 3]", "usual.ends_after: write one number"),
        ("[usual]\nends_after = -1", "usual.ends_after: write one number"),
        ("[[rules]]\namount = [5, 1]", "rules[0].amount: write one number"),
        ('[[operators]]\nprovider = "MTN_MOMO_CMR"\nstatus = "SLEEPY"', "SLEEPY"),
        ('[account.balances]\n"CMR" = 1', "CMR/XAF"),
        ("[account.fees]\nPAYOUT = 10001", "10000"),
    ],
)
def test_a_scenario_that_is_not_right_says_where(text: str, says: str) -> None:
    with pytest.raises(ScenarioError) as problem:
        read_scenario(text)
    assert says in str(problem.value)


def test_toml_and_json_say_the_same() -> None:
    assert read_scenario(json.dumps(tomllib.loads(EXAMPLE))) == read_scenario(EXAMPLE)


def test_the_account_of_a_scenario() -> None:
    scenario = read_scenario(
        """
        [account]
        company = "Acme"
        fees = { PAYOUT = 150 }
        balances = { "CMR/XAF" = 5000 }
        [callbacks]
        PAYOUT = "http://127.0.0.1:1/p"
        """
    )

    assert scenario.company == "Acme"
    assert scenario.fees == {OperationType.PAYOUT: 150}
    assert scenario.balance(Place("CMR", "XAF")) == 500_000
    assert scenario.balance(Place("SEN", "XOF")) > 500_000
    assert scenario.callbacks == {OperationType.PAYOUT: "http://127.0.0.1:1/p"}


DOCUMENT = (ROOT / "docs" / "rail-simulator.md").read_text(encoding="utf-8")


def test_the_document_s_scenario_is_one() -> None:
    (shown,) = re.findall("^```toml\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)

    scenario = read_scenario(shown)

    assert len(scenario.rules) == 2
    assert len(scenario.turns) == 2


def test_the_document_names_every_word_and_every_mark() -> None:
    for dimension, words in WORDS.items():
        (row,) = re.findall(rf"^\| `{dimension}` \|(.*)\|$", DOCUMENT, re.MULTILINE)
        # A word stands in code, or beside another that says the same of both.
        assert set(words) <= set(re.findall(r"`(\w+)`", row)), dimension
    for mark, (dimension, word) in MARKED.items():
        assert f"| {mark} | {dimension} `{word}` |" in DOCUMENT


def test_the_document_has_callbacks_sent_to_where_kpay_takes_them() -> None:
    shown = re.findall(r"http://127\.0\.0\.1:8080(/callbacks[^\s\"]*)", DOCUMENT)

    assert len(shown) == 2
    assert set(shown) == {callback_path(Environment.PRODUCTION, "pawapay")}
