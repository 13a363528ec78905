"""The example in docs/statements.md, played: what it shows is what comes."""

from __future__ import annotations

import json
import re
from datetime import datetime
from pathlib import Path

import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.instructions.api import ExportQuery
from kpay.statements.flow import MOST_IN_JSON
from kpay.statements.model import MovementType
from tests.client import Merchant

DOCUMENT = (Path(__file__).parents[2] / "docs" / "statements.md").read_text(encoding="utf-8")


def block(language: str) -> str:
    (found,) = re.findall(rf"^```{language}\n(.*?)^```$", DOCUMENT, re.MULTILINE | re.DOTALL)
    return str(found)


def table(first_column: str) -> list[dict[str, str]]:
    """The rows of the table whose first column has this name."""
    lines = DOCUMENT[DOCUMENT.index(f"| {first_column} |") :].split("\n\n")[0].splitlines()
    rows = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]
    return [dict(zip(rows[0], row, strict=True)) for row in rows[2:]]


@pytest.fixture
async def shop(house: House, clock: ManualClock) -> Merchant:
    """The shop of the example, after everything that happened to it."""
    merchant = await Merchant.join(house)
    for line in block("text").splitlines():
        moment, method, path, body = line.split(" ", 3)
        clock.advance(seconds=int((datetime.fromisoformat(moment) - clock.now()).total_seconds()))
        await merchant.renew_token()
        request = json.loads(body)
        browser = merchant.keys
        if path == "/api/wallets/transfer":
            request["applicationId"], browser = merchant.application_id, merchant.token
        answer = await browser.send(method, path, request)
        assert answer.status == 201, answer.raw
        await house.worker.run_until_idle()
    return merchant


async def test_the_statement_of_the_example_is_the_one_that_is_given(shop: Merchant) -> None:
    (address,) = re.findall(r"`GET (\S*/statement/export)\?from=(\S+)&to=(\S+)`", DOCUMENT)
    path, since, until = address
    answer = await shop.token.send("GET", path, query={"from": since, "to": until})

    expected = table("line")
    assert [{name: row[name] for name in expected[0]} for row in answer.csv] == expected


async def test_the_totals_of_the_example_are_those_that_are_given(shop: Merchant) -> None:
    (address,) = re.findall(r"`GET (\S*/statement)\?from=(\S+)&to=(\S+)`", DOCUMENT)
    path, since, until = address
    told = (await shop.token.send("GET", path, query={"from": since, "to": until})).json

    expected = json.loads(block("json"))
    assert {name: told[name] for name in expected} == expected


def test_the_document_names_every_type_every_list_and_every_bound() -> None:
    types = {name for row in table("`type`") for name in re.findall(r"`(\w+)`", row["`type`"])}

    assert types == set(MovementType)
    assert f"up to {MOST_IN_JSON:,} movements" in DOCUMENT
    assert "bom" in ExportQuery.__struct_fields__
