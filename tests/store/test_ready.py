"""A database that is not there yet is awaited for as long as somebody has patience."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import urlsplit

import asyncpg
import pytest

from kpay.database import ready
from kpay.database.ready import ready_database
from kpay.settings import Settings
from kpay.terminal import told


class Time:
    """A clock that stands while nobody sleeps."""

    def __init__(self) -> None:
        self.slept = 0.0
        self.said: list[str] = []

    async def patiently(self, attempts: Attempts, patience: float) -> None:
        await ready._patiently(
            attempts, patience, self.said.append, now=lambda: self.slept, sleep=self._sleep
        )

    async def _sleep(self, seconds: float) -> None:
        self.slept += seconds


class Attempts:
    """What is tried: it meets these problems, one after the other, and then none."""

    def __init__(self, *problems: Exception) -> None:
        self.left = list(problems)
        self.made = 0

    async def __call__(self) -> None:
        self.made += 1
        if self.left:
            raise self.left.pop(0)


async def test_it_is_tried_again_until_the_database_is_there() -> None:
    time = Time()
    attempts = Attempts(
        ConnectionRefusedError("nobody listens"),
        asyncpg.CannotConnectNowError("the database system is starting up"),
        TimeoutError(),
    )

    await time.patiently(attempts, 60)

    assert attempts.made == 4
    assert time.said == [
        "the database cannot be reached (nobody listens): tried for 60 s more",
        "the database cannot be reached (the database system is starting up): tried for 58 s more",
        "the database cannot be reached (TimeoutError): tried for 56 s more",
    ]


async def test_a_minute_is_the_end_of_it() -> None:
    time = Time()
    attempts = Attempts(*[ConnectionRefusedError("nobody listens")] * 100)

    with pytest.raises(ConnectionRefusedError):
        await time.patiently(attempts, 60)

    assert time.slept == 60
    assert (attempts.made, len(time.said)) == (31, 30)


async def test_without_patience_it_is_tried_once() -> None:
    time = Time()
    attempts = Attempts(*[ConnectionRefusedError("nobody listens")] * 2)

    with pytest.raises(ConnectionRefusedError):
        await time.patiently(attempts, 0)

    assert (attempts.made, time.said) == (1, [])


@pytest.mark.parametrize(
    "problem",
    [
        asyncpg.ClientConfigurationError("this is no address"),
        asyncpg.InvalidPasswordError("password authentication failed"),
        ValueError("a defect"),
    ],
    ids=lambda problem: type(problem).__name__,
)
async def test_what_waiting_does_not_mend_is_told_at_once(problem: Exception) -> None:
    attempts = Attempts(*[problem] * 2)

    with pytest.raises(type(problem)):
        await Time().patiently(attempts, 60)

    assert attempts.made == 1


def test_a_wrong_password_is_told_in_one_sentence(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    url = settings.database_url or ""
    wrong = url.replace(f":{urlsplit(url).password}@", ":wrong@")
    assert wrong != url

    with (
        pytest.raises(SystemExit) as ended,
        told(),
        ready_database(replace(settings, database_url=wrong), patience=60),
    ):
        pytest.fail("it was let in")

    assert ended.value.code == 2
    assert "does not let this program in: password authentication failed" in capsys.readouterr().err
