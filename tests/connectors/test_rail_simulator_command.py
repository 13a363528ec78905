"""`kpay rail-simulator`, as the program that it is."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kpay.rail_simulator.signatures import Signer
from tests.docs.blocks import ROOT

_BOUND_SECONDS = 60


@asynccontextmanager
async def started(*words: str) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "kpay", "rail-simulator", *words),
        env={**os.environ, "PYTHONPATH": str(ROOT / "src")},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def said(*words: str) -> tuple[int, str]:
    """How it ended by itself, and what it said about it."""
    async with started(*words) as process:
        _, errors = await asyncio.wait_for(process.communicate(), _BOUND_SECONDS)
        return process.returncode or 0, errors.decode()


async def test_it_serves_by_its_own_clock_until_it_is_told_to_end(tmp_path: Path) -> None:
    scenario = tmp_path / "rail.toml"
    scenario.write_text("[usual]\nends_after = 0")
    words = ("--port", "0", "--json", "--token", "t", "--scenario", str(scenario), "--seed", "9")
    async with started(*words) as process, aiohttp.ClientSession() as session:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), _BOUND_SECONDS)
        told = json.loads(line)
        assert (told["token"], told["seed"]) == ("t", 9)
        headers = {"Authorization": "Bearer t"}
        identifier = "afb57b93-7849-49aa-babb-4c3ccbfe3d79"
        body = {
            "payoutId": identifier,
            "amount": "1000",
            "currency": "XAF",
            "recipient": {
                "type": "MMO",
                "accountDetails": {"phoneNumber": "237653456789", "provider": "MTN_MOMO_CMR"},
            },
        }
        async with session.post(f"{told['url']}/v2/payouts", json=body, headers=headers) as answer:
            assert (await answer.json())["status"] == "ACCEPTED"
        status = ""
        while status != "COMPLETED":
            url = f"{told['url']}/v2/payouts/{identifier}"
            async with session.get(url, headers=headers) as answer:
                status = (await answer.json())["data"]["status"]
        advance = f"{told['url']}/simulator/advance"
        async with session.post(advance, json={"seconds": 1}, headers=headers) as answer:
            assert answer.status == 400

        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), _BOUND_SECONDS) == 0


async def test_it_says_how_to_point_kpay_at_it() -> None:
    async with started("--port", "0", "--stepped") as process:
        assert process.stdout is not None
        lines: list[str] = []
        while not lines or "after = 60" not in lines[-1]:
            line = await asyncio.wait_for(process.stdout.readline(), _BOUND_SECONDS)
            assert line, "it ended"
            lines.append(line.decode())
        text = "".join(lines)
        assert "export KPAY_RAILS=pawapay\n" in text
        assert "export KPAY_PAWAPAY_URL=http://127.0.0.1:" in text
        assert "export KPAY_PAWAPAY_TOKEN=sim_" in text
        assert "time is stepped" in text
        assert "[[rules]]" in text


@pytest.mark.parametrize(
    ("scenario", "says"),
    [
        ("speed = 1", "speed"),
        ('[[operators]]\nprovider = "NOBODY"\nstatus = "CLOSED"', "NOBODY"),
    ],
)
async def test_a_scenario_that_cannot_be_played_is_told_in_a_sentence(
    tmp_path: Path, scenario: str, says: str
) -> None:
    file = tmp_path / "rail.toml"
    file.write_text(scenario)

    code, errors = await said("--port", "0", "--scenario", str(file))

    assert code == 2
    assert says in errors
    assert "Traceback" not in errors


async def test_a_key_or_a_file_that_is_none_is_told_in_a_sentence(tmp_path: Path) -> None:
    key = tmp_path / "key.pem"
    key.write_text(Signer(ec.generate_private_key(ec.SECP256R1()), raw=False).public_pem())
    for words in (
        ("--signing-key", str(key)),
        ("--request-key", str(tmp_path)),
        ("--scenario", str(tmp_path / "none")),
    ):
        code, errors = await said("--port", "0", *words)
        assert code == 2, words
        assert str(tmp_path) in errors.replace("\n", "")
        assert "Traceback" not in errors


async def test_callbacks_are_signed_with_the_key_that_is_given(tmp_path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    file = tmp_path / "key.pem"
    file.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    words = ("--port", "0", "--json", "--token", "t", "--signing-key", str(file))
    async with started(*words) as process, aiohttp.ClientSession() as session:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), _BOUND_SECONDS)
        url = f"{json.loads(line)['url']}/v2/public-key/http"
        async with session.get(url, headers={"Authorization": "Bearer t"}) as answer:
            (published,) = await answer.json()
    assert published["key"] == Signer(key, raw=False).public_pem()
