"""docs/hosted-page.md: its code believes what we sign and nothing else."""

from __future__ import annotations

import json
import re
import subprocess
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from kpay.core.clock import ManualClock
from tests.client import Merchant
from tests.hosted import Visitor, init
from tests.node import NODE

DOCUMENT = (Path(__file__).parents[2] / "docs" / "hosted-page.md").read_text(encoding="utf-8")

Genuine = Callable[[Mapping[str, str], str, float], bool]


def block(language: str) -> str:
    """The document's piece of code in a language."""
    (found,) = re.findall(rf"```{language}\n(.*?)```", DOCUMENT, re.DOTALL)
    return str(found)


def by_python(query: Mapping[str, str], secret: str, now: float) -> bool:
    names: dict[str, Any] = {}
    exec(block("python"), names)  # noqa: S102
    return bool(names["is_genuine"](query, secret, now))


def by_node(query: Mapping[str, str], secret: str, now: float) -> bool:
    given = json.dumps([query, secret, now * 1_000])
    script = f"{block('js')}\nconsole.log(isGenuine(...{given}));"
    done = subprocess.run(
        [NODE, "--input-type=module", "-e", script],
        capture_output=True,
        text=True,
        check=True,
        timeout=30,
    )
    return json.loads(done.stdout) is True


@pytest.mark.parametrize("is_genuine", [by_python, by_node])
async def test_the_document_s_code_believes_a_return_of_ours_and_no_other(
    merchant: Merchant, clock: ManualClock, is_genuine: Genuine
) -> None:
    made = await init(merchant, externalId="ORDER é|1")
    visitor = Visitor.at(merchant, made)
    await visitor.cancel()
    location = (await visitor.look("/return")).headers["location"]
    query = dict(parse_qsl(urlsplit(location).query))
    secret, now = merchant.new.gateway_secret, clock.now().timestamp()

    assert is_genuine(query, secret, now)
    assert is_genuine(query, secret, now + 599)
    assert not is_genuine(query, secret, now + 601)
    assert not is_genuine(query, secret, now - 120)
    assert not is_genuine(query, "gwsec_another", now)
    for name in query:
        assert not is_genuine({**query, name: query[name] + "0"}, secret, now), name
    assert not is_genuine({**query, "status": "COMPLETED"}, secret, now)
    assert not is_genuine({**query, "sig": ""}, secret, now)
