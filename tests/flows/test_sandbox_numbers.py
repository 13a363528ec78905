"""The sandbox: the telephone number decides how a payment or a payout ends."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import pytest

import kpay.catalogue.data
from kpay.catalogue.model import OFFERED, OperationType
from kpay.connectors.model import Accepted
from kpay.core.clock import ManualClock
from tests.client import PAYERS, Answer, Merchant
from tests.two_rails import TwoRails

DEPOSIT, PAYOUT = OperationType.DEPOSIT, OperationType.PAYOUT
PATHS = {DEPOSIT: "/api/v1/payments", PAYOUT: "/api/v1/payments/withdraw"}
STATUSES = {"COMPLETED": "COMPLETED", "FAILED": "FAILED", "SUBMITTED": "PROCESSING"}


@dataclass(frozen=True)
class Number:
    """A row of the table of test numbers."""

    country: str
    operation: OperationType
    phone_number: str
    outcome: str
    failure_code: str | None


def _read() -> list[Number]:
    folder = Path(kpay.catalogue.data.__file__).with_name("data")
    with (folder / "test_numbers.csv").open() as file:
        return [
            Number(
                row["country"],
                OperationType(row["operation"]),
                row["phone_number"],
                row["outcome"],
                row["failure_code"] or None,
            )
            for row in csv.DictReader(file)
        ]


NUMBERS = _read()


def of(operation: OperationType, country: str | None = None) -> list[Number]:
    """The numbers of an operation, in one country or in all of them."""
    return [
        row
        for row in NUMBERS
        if row.operation is operation and (country is None or row.country == country)
    ]


@pytest.fixture
async def funded(merchant: Merchant) -> Merchant:
    """A wallet in every country, with enough in it for each of its numbers to be paid."""
    for country in PAYERS:
        await merchant.collect(50_000, country)
    return merchant


async def use(merchant: Merchant, number: Number, provider: str) -> Answer:
    """Collect from a number, or pay it, with a provider that need not be of its country."""
    if number.operation is PAYOUT:
        return await merchant.withdraw(provider=provider, phoneNumber=number.phone_number)
    return await merchant.pay(provider=provider, phoneNumber=number.phone_number)


async def detail(merchant: Merchant, operation: OperationType, made: Answer) -> Answer:
    return await (merchant.payout(made) if operation is PAYOUT else merchant.payment(made))


async def expect_outcomes(merchant: Merchant, uses: Iterable[tuple[Number, str]]) -> None:
    """Use each number with a provider, let the worker finish, and look at what became of it."""
    made = [(number, await use(merchant, number, provider)) for number, provider in uses]
    assert [answer.raw for _, answer in made if answer.status != 201] == []
    await merchant.house.worker.run_until_idle()
    for number, answer in made:
        found = await detail(merchant, number.operation, answer)
        outcome = (found["status"], found["failureReason"])
        assert outcome == (STATUSES[number.outcome], number.failure_code), number
        assert (found["completedAt"] is None) == (number.outcome != "COMPLETED")
        assert (found["failedAt"] is None) == (number.outcome != "FAILED")


def test_the_table_has_numbers_for_every_country_that_the_house_serves() -> None:
    countries = kpay.catalogue.data.catalogue().countries
    assert {row.country for row in NUMBERS} == set(countries) == set(PAYERS)


@pytest.mark.parametrize("operation", OFFERED)
async def test_every_number_has_its_outcome(funded: Merchant, operation: OperationType) -> None:
    rows = of(operation)
    assert len(rows) > 40

    await expect_outcomes(funded, [(row, PAYERS[row.country][0]) for row in rows])


@pytest.mark.parametrize("operation", OFFERED)
async def test_the_number_decides_with_a_provider_of_any_other_country(
    funded: Merchant, operation: OperationType
) -> None:
    countries = list(PAYERS)
    providers = [PAYERS[country][0] for country in (*countries[1:], countries[0])]
    neighbour = dict(zip(countries, providers, strict=True))

    await expect_outcomes(funded, [(row, neighbour[row.country]) for row in of(operation)])


@pytest.mark.parametrize("operation", OFFERED)
async def test_a_submitted_number_stays_open_until_it_is_finished_either_way(
    funded: Merchant, operation: OperationType
) -> None:
    number = next(row for row in of(operation, "CMR") if row.outcome == "SUBMITTED")
    wallet = (await funded.wallets())["CMR"]
    for verdict, status, reason in (
        ({"outcome": "COMPLETED"}, "COMPLETED", None),
        ({"outcome": "FAILED", "failureCode": "PAYER_NOT_FOUND"}, "FAILED", "PAYER_NOT_FOUND"),
        ({"outcome": "FAILED"}, "FAILED", "UNSPECIFIED_FAILURE"),
    ):
        made = await use(funded, number, "MTN_MOMO_CMR")
        finish = f"{PATHS[operation]}/{made['id']}/sandbox/finish"
        assert (await funded.keys.send("POST", finish, verdict)).status == 409
        await funded.house.worker.run_until_idle()
        assert (await detail(funded, operation, made))["status"] == "PROCESSING"

        assert (await funded.keys.send("POST", finish, verdict)).status == 202
        # The first decision stands, as a rail's would.
        other = {"outcome": "FAILED" if status == "COMPLETED" else "COMPLETED"}
        assert (await funded.keys.send("POST", finish, other)).status == 202
        await funded.house.worker.run_until_idle()

        found = await detail(funded, operation, made)
        assert (found["status"], found["failureReason"]) == (status, reason)
        assert (await funded.keys.send("POST", finish, verdict)).status == 409

    available, held = wallet
    assert isinstance(available, int)
    moved = 950 if operation is DEPOSIT else -1_000
    assert (await funded.wallets())["CMR"] == (available + moved, held)


async def test_what_another_rail_of_the_test_environment_has_is_not_ended_in_the_sandbox(
    funded: Merchant, clock: ManualClock
) -> None:
    """It said that it was decided, and nothing came of it: the sandbox is not asked about it."""
    rails = TwoRails.serve(funded.house, clock, [Accepted({})])
    made = await funded.withdraw(amount=1_000, phoneNumber="237653456789")
    await rails.works()
    finish = f"{PATHS[PAYOUT]}/{made['id']}/sandbox/finish"

    answer = await funded.keys.send("POST", finish, {"outcome": "COMPLETED"})

    assert (answer.status, answer["code"]) == (409, "not_open")
    assert answer["message"] == "first has it, and not the sandbox: it decides how it ends."


async def test_a_finish_that_is_neither_completed_nor_failed_is_refused(merchant: Merchant) -> None:
    for body in ({"outcome": "SUBMITTED"}, {"outcome": 1}, {}, {"outcome": "FAILED", "code": "X"}):
        for base in PATHS.values():
            answer = await merchant.keys.send("POST", f"{base}/pay_x/sandbox/finish", body)
            assert answer.status == 400, answer.raw


@pytest.mark.parametrize("operation", OFFERED)
async def test_an_unknown_number_is_refused_with_the_numbers_of_that_country(
    merchant: Merchant, operation: OperationType
) -> None:
    for country, (provider, _) in PAYERS.items():
        unknown = Number(country, operation, "999000111222", "", None)

        answer = await use(merchant, unknown, provider)

        assert (answer.status, answer["code"]) == (400, "not_a_test_number")
        assert listed(answer) == sorted(row.phone_number for row in of(operation, country))


async def test_a_number_of_the_other_operation_is_refused(funded: Merchant) -> None:
    """A payout to a payer's failing number, or the reverse, would say nothing about either."""
    for operation, other in ((PAYOUT, DEPOSIT), (DEPOSIT, PAYOUT)):
        known = {row.phone_number for row in of(operation)}
        only = [row for row in of(other) if row.phone_number not in known]
        assert only
        for row in only:
            wrong = Number(row.country, operation, row.phone_number, "", None)
            answer = await use(funded, wrong, PAYERS[row.country][0])
            assert (answer.status, answer["code"]) == (400, "not_a_test_number"), row
            assert row.phone_number not in listed(answer)


def listed(answer: Answer) -> Sequence[str]:
    """The numbers that a refusal's sentence holds."""
    return sorted(re.findall(r"\d{8,}", answer["message"]))


async def test_a_number_may_be_written_with_a_plus_and_spaces(funded: Merchant) -> None:
    answer = await funded.withdraw(phoneNumber="+237 653 456 789")

    assert (answer.status, answer["phoneNumber"]) == (201, "237653456789")
