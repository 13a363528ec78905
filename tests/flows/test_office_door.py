"""The operator's own programs read what waits for a person: with one token, and reading alone."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kpay.app import House
from kpay.audit.model import Actor
from kpay.contradictions.model import What
from kpay.contradictions.model import next_action as of_contradiction
from kpay.core.clock import ManualClock
from kpay.reconciliation.model import Kind
from kpay.reconciliation.model import next_action as of_break
from kpay.settings import Settings, SettingsError
from tests.client import Answer, Browser, Merchant
from tests.flows.test_office_waiting import paid_and_denied
from tests.houses import opened
from tests.statements import AccountingRail

TOKEN = "a-token-of-the-operator-and-nobody-else"
READ = ("reconciliation", "breaks", "contradictions")


@pytest.fixture
async def house(settings: Settings, clock: ManualClock) -> AsyncIterator[House]:
    async with opened(settings, clock, office_token=TOKEN) as made:
        yield made


@pytest.fixture
def program(house: House) -> Browser:
    """What the operator has written to look after it."""
    return Browser(house.asgi(), {"Authorization": f"Bearer {TOKEN}"})


async def got(program: Browser, what: str, **query: object) -> Answer:
    answer = await program.send("GET", f"/office/{what}", query=query)
    assert answer.status == 200, answer.raw
    return answer


async def paid_after_it_had_failed(house: House, clock: ManualClock) -> None:
    """A rail refuses a payout and pays it all the same, as its statement of the day says."""
    rail = AccountingRail(clock, opening=100_000_000)
    rail.serve(house)
    await house.worker.run_until_idle()
    await paid_and_denied(house, clock, rail, await Merchant.join(house))


async def test_what_waits_is_told_with_what_to_do_next(
    house: House, clock: ManualClock, program: Browser
) -> None:
    await paid_after_it_had_failed(house, clock)

    (broken,) = (await got(program, "breaks"))["breaks"]
    assert (broken["kind"], broken["state"]) == (str(Kind.MISSING_HERE), "open")
    assert broken["offBy"] == "-950"
    assert broken["next"] == of_break(Kind.MISSING_HERE, known=True)
    one = await got(program, f"breaks/{broken['id']}")
    assert {name: one[name] for name in broken} == broken
    assert [line["amount"] for line in one["lines"]] == ["-950"]

    (told,) = (await got(program, "contradictions"))["contradictions"]
    assert told["what"] == str(What.PAID_AFTER_FAILED)
    assert told["next"] == of_contradiction("PAYOUT", What.PAID_AFTER_FAILED)
    assert told["operation"] == broken["operation"]

    report = await got(program, "reconciliation")
    assert report["sound"] is False
    assert report["breaks"] == [broken]
    (wallet,) = report["wallets"]
    assert (wallet["country"], wallet["unexplained"]) == ("CMR", "0")


async def test_what_is_closed_is_told_to_those_who_ask_for_all(
    house: House, clock: ManualClock, program: Browser
) -> None:
    await paid_after_it_had_failed(house, clock)
    (broken,) = await house.breaks.list()
    await house.breaks.close(Actor(command="a test"), broken.id, "Taken back on 24 June.")

    assert (await got(program, "breaks"))["breaks"] == []
    (closed,) = (await got(program, "breaks", all="true"))["breaks"]
    assert (closed["state"], closed["note"]) == ("closed", "Taken back on 24 June.")


async def test_books_without_a_statement_are_an_empty_report(program: Browser) -> None:
    report = await got(program, "reconciliation")
    assert {name: report[name] for name in ("sound", "wallets", "breaks", "unfinished")} == {
        "sound": True,
        "wallets": [],
        "breaks": [],
        "unfinished": [],
    }


@pytest.mark.parametrize("what", READ)
@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"Authorization": f"Bearer {TOKEN}x"},
        {"Authorization": f"Basic {TOKEN}"},
        {"Authorization": "Bearer \u00ff"},
        {"X-API-Key": TOKEN, "X-Secret-Key": TOKEN},
    ],
    ids=["none", "wrong", "another scheme", "not ASCII", "as keys"],
)
async def test_nobody_reads_without_the_token(
    house: House, what: str, headers: dict[str, str]
) -> None:
    answer = await Browser(house.asgi(), headers).send("GET", f"/office/{what}")
    assert (answer.status, answer["code"]) == (401, "invalid_token")
    assert answer.headers["www-authenticate"].startswith("Bearer")


async def test_a_merchant_s_token_opens_nothing(house: House) -> None:
    merchant = await Merchant.join(house)
    for caller in (merchant.keys, merchant.token):
        assert (await caller.send("GET", "/office/breaks")).status == 401


async def test_who_guesses_is_not_read_after_a_while(house: House) -> None:
    guesser = Browser(house.asgi(), {"Authorization": "Bearer guess"}).elsewhere()
    statuses = [(await guesser.send("GET", "/office/breaks")).status for _ in range(61)]
    assert statuses[:5] == [401] * 5
    assert statuses[-1] == 429


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("POST", "breaks", 405, "method_not_allowed"),
        ("GET", "nothing", 404, "not_found"),
        ("GET", "breaks/brk_x", 404, "not_found"),
        ("GET", "breaks/brk_01kvvkz5e0ekkvnsgk3vcmnys2", 404, "not_found"),
    ],
)
async def test_what_is_not_there_says_so(
    program: Browser, method: str, path: str, status: int, code: str
) -> None:
    answer = await program.send(method, f"/office/{path}")
    assert (answer.status, answer["code"]) == (status, code)


async def test_a_word_that_is_no_parameter_is_refused(program: Browser) -> None:
    answer = await program.send("GET", "/office/breaks", query={"every": "true"})
    assert (answer.status, answer["code"]) == (400, "invalid_parameter")


async def test_without_a_token_of_the_operator_s_there_is_no_office(
    settings: Settings, clock: ManualClock
) -> None:
    async with opened(settings, clock) as closed:
        browser = Browser(closed.asgi(), {"Authorization": "Bearer "})
        for what in READ:
            assert (await browser.send("GET", f"/office/{what}")).status == 404


def test_the_token_is_a_variable_or_a_file_and_is_shown_nowhere(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    for env in ({"KPAY_OFFICE_TOKEN": TOKEN}, {"KPAY_OFFICE_TOKEN_FILE": str(file)}):
        settings = Settings.from_env(env)
        assert settings.office_token == TOKEN
        assert TOKEN not in repr(settings)
    for wrong in ({"KPAY_OFFICE_TOKEN": "short"}, {"KPAY_OFFICE_TOKEN_FILE": "/nowhere"}):
        with pytest.raises(SettingsError, match="KPAY_OFFICE_TOKEN"):
            Settings.from_env(wrong)
