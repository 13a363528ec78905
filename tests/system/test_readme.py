"""The README's own commands, run from top to bottom as it tells a new user to."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.system.program import COMMAND_SECONDS, Program

_README = Path(__file__).parents[2] / "README.md"
_BLOCK = re.compile(r"^```(bash|js)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
# What a reader's own pace gives: the worker settles one block's work before the next looks at it.
_SETTLED = """
for _ in $(seq 300); do
  open=$(for list in payments payments/withdrawals; do
    curl -sS "$KPAY_URL/api/v1/$list" \\
      -H "X-API-Key: $KPAY_API_KEY" -H "X-Secret-Key: $KPAY_SECRET_KEY"
  done | grep -cE '"(PENDING|PROCESSING)"' || true)
  if [ "$open" = 0 ]; then break; fi
  sleep 0.1
done
"""
_NEEDED = ("bash", "curl", "node")


@pytest.mark.skipif(
    any(shutil.which(name) is None for name in _NEEDED), reason=f"needs {', '.join(_NEEDED)}"
)
def test_the_readme_from_its_first_command_to_its_last(program: Program, tmp_path: Path) -> None:
    blocks = _BLOCK.findall(_README.read_text())
    assert [language for language, _ in blocks].count("js") == 1
    script = ["set -eu"]
    for number, (language, text) in enumerate(blocks):
        if language == "js":
            (tmp_path / "payout.mjs").write_text(text)
            script.append("node payout.mjs")
        else:
            # The sandbox of this run does not wait, so neither does the reader.
            script.append(text.replace("sleep 4", ":"))
        script.append(f"{_SETTLED}\necho; echo '--- {number}'")
    _command_in(tmp_path)

    with program.serving() as server:
        done = subprocess.run(
            ["bash", "-c", "\n".join(script)],
            cwd=tmp_path,
            env={**program.environment, "KPAY_URL": server.url},
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
    assert done.returncode == 0, done.stdout + done.stderr
    parts = re.split(r"^--- \d+$", done.stdout, flags=re.MULTILINE)
    me, collected, balance, gabon, ivory, consolidated, verified = parts[: len(blocks)]
    assert '"environment":"TEST"' in me
    assert collected.count('"status":"PENDING"') == 3
    assert '"country":"CMR","currency":"XAF","balance":190000' in balance
    assert '"netAmount":9500,"feeAmount":500' in gabon
    assert '"payoutCurrency":"XOF","payoutAmount":48226.75,"exchangeRate":1.0153' in ivory
    assert consolidated.count('"WALLET_TRANSFER_IN"') == 2
    assert '"country":"CMR","currency":"XAF","balance":175000' in consolidated
    assert "Every promise holds." in verified


def _command_in(folder: Path) -> None:
    """`.venv/bin/kpay`, as the README calls it, for a run that may have another environment."""
    command = folder / ".venv" / "bin" / "kpay"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m kpay "$@"\n')
    command.chmod(0o755)
