"""The page's Node.js programs, run as they stand there but for the host."""

from __future__ import annotations

import asyncio
import json
import os
from decimal import Decimal
from pathlib import Path

import pytest

from kpay.core.clock import ManualClock
from kpay.settings import Settings
from tests.client import Merchant
from tests.forms import alike, form_of
from tests.houses import opened, pinned
from tests.loopback import on_loopback
from tests.node import NODE
from tests.page import page_json, snippets

_SECONDS = 60
HOST = "https://admin.kpay.site"


@pytest.mark.parametrize(
    ("number", "external_id"), [(0, "PAYOUT-CROSS-001"), (1, "PAYOUT-CROSS-002")]
)
async def test_a_program_of_the_page_gets_the_answer_of_the_page(
    settings: Settings, clock: ManualClock, tmp_path: Path, number: int, external_id: str
) -> None:
    sources = pinned(tmp_path / "rates.json", {"XAF/XOF": "1.01498421052631578947"})
    async with opened(settings, clock, fx_sources=sources) as house:
        merchant = await Merchant.join(house)
        await merchant.collect(200_000)
        async with on_loopback(merchant.api) as url:
            data = await answered(snippets()[number], merchant, url, tmp_path)

    _, page = page_json(external_id)
    shown = {name: value for name, value in page.items() if name not in ("id", "reference")}
    assert alike(shown, {name: data[name] for name in shown}, figures=True) == []
    assert (form_of(data["id"]), form_of(data["reference"])) == (
        "withdrawal",
        "withdrawal reference",
    )


async def answered(program: str, merchant: Merchant, url: str, folder: Path) -> dict[str, object]:
    """The page's `data`, after its program ran with a merchant's keys in its environment."""
    assert program.count(HOST) == 1
    script = folder / "page.mjs"
    script.write_text(f"{program.replace(HOST, url)}\nconsole.log(JSON.stringify(data));\n")
    process = await asyncio.create_subprocess_exec(
        NODE,
        script,
        env={
            "PATH": os.environ["PATH"],
            "KPAY_API_KEY": merchant.new.test.api_key,
            "KPAY_SECRET_KEY": merchant.new.test.secret_key,
        },
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, wrong = await asyncio.wait_for(process.communicate(), _SECONDS)
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    assert process.returncode == 0, wrong.decode()
    data: dict[str, object] = json.loads(said, parse_float=Decimal)
    return data


def test_the_page_has_two_programs() -> None:
    assert len(snippets()) == 2
    assert all(HOST in program for program in snippets())
