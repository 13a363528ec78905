"""The documents for merchants, run from top to bottom on a house of this process."""

from __future__ import annotations

import json
import os
import shutil
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from kpay.app import House
from tests.client import Merchant
from tests.docs.blocks import DOCUMENTS, ROOT, RUN, Block, blocks
from tests.docs.shell import Shell, shell
from tests.forms import alike
from tests.loopback import on_loopback

pytestmark = pytest.mark.skipif(
    any(shutil.which(name) is None for name in ("bash", "curl")), reason="needs bash and curl"
)

# These are run by the real program, in tests/system: test_readme.py and test_webhook_page.py.
ELSEWHERE = {ROOT / "README.md", ROOT / "docs" / "webhooks.md"}
RUNNABLE = [
    document
    for document in DOCUMENTS
    if document not in ELSEWHERE and any(block.kind in RUN for block in blocks(document))
]


@pytest.mark.parametrize("document", RUNNABLE, ids=lambda path: path.name)
async def test_a_document_is_true_from_its_first_block_to_its_last(
    house: House, document: Path, tmp_path: Path
) -> None:
    merchant = await Merchant.join(house)
    folder = tmp_path / "reader"
    folder.mkdir()
    said: str | None = None
    async with on_loopback(merchant.api) as url, shell(folder, environment(merchant, url)) as run:
        for block in blocks(document):
            if block.why is not None:
                continue
            if block.kind in RUN:
                said = await told(run, block)
                # A reader's own pace: what a block began has ended before the next looks at it.
                await house.worker.run_until_idle()
            elif block.kind == "json":
                assert said is not None, f"{block.place}: nothing was run before it"
                assert compared(block.text, said) == [], block.place


async def told(run: Shell, block: Block) -> str:
    try:
        return await run.run(block.kind, block.text)
    except AssertionError as problem:
        raise AssertionError(f"{block.place}: {problem}") from None


def compared(shown: str, said: str) -> list[str]:
    """How what was printed differs from what is shown."""
    return alike(read(shown), read(said), figures=True)


def read(text: str) -> Any:
    return json.loads(text, parse_float=Decimal)


def test_a_wrong_figure_a_missing_field_and_another_form_would_be_noticed() -> None:
    said = '{"id": "pay_01jyegwm00e8g9wv3kcaw7b2sd", "amount": 9500.5}'

    assert compared('{"id": "pay_01jyegwm00e8g9wv3kcaw7b2se", "amount": 9500.50}', said) == []
    for wrong in (
        '{"id": "pay_01jyegwm00e8g9wv3kcaw7b2sd", "amount": 9500}',
        '{"id": "wdr_01jyegwm00e8g9wv3kcaw7b2sd", "amount": 9500.5}',
        '{"id": "pay_01jyegwm00e8g9wv3kcaw7b2sd"}',
        '{"id": "pay_01jyegwm00e8g9wv3kcaw7b2sd", "amount": "9500.5"}',
        '{"id": "pay_01jyegwm00e8g9wv3kcaw7b2sd", "amount": 9500.5, "fee": null}',
    ):
        assert len(compared(wrong, said)) == 1, wrong


def environment(merchant: Merchant, url: str) -> dict[str, str]:
    """A merchant's shell: the address and the keys, and for `kpay` the house's own database."""
    settings = merchant.house.settings
    return {
        "PATH": os.environ["PATH"],
        "HOME": os.environ.get("HOME", "/"),
        "LANG": "C.UTF-8",
        "PYTHONPATH": str(ROOT / "src"),
        "KPAY_HOME": str(settings.home),
        "KPAY_DATABASE_URL": settings.database_url or "",
        "KPAY_SECRET": settings.secret or "",
        "KPAY_URL": url,
        "KPAY_API_KEY": merchant.new.test.api_key,
        "KPAY_SECRET_KEY": merchant.new.test.secret_key,
    }
