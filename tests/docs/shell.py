"""One shell for one document: what a block sets, the next one finds."""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from tests.node import NODE

# A bound, not an expectation: a block that hangs is a failure, not the end of the run.
_BLOCK_SECONDS = 60
_MOST_BYTES = 1_000_000


class Shell:
    """A bash that is given one block after the other."""

    def __init__(self, process: asyncio.subprocess.Process, folder: Path) -> None:
        self._process = process
        self._folder = folder

    async def run(self, kind: str, text: str) -> str:
        """What a block prints. Fails with it when a command of it fails."""
        if kind == "js":
            (self._folder / "block.mjs").write_text(text, encoding="utf-8")
            text = f"{NODE} block.mjs"
        elif kind == "python":
            (self._folder / "block.py").write_text(text, encoding="utf-8")
            text = f"{sys.executable} block.py"
        return await asyncio.wait_for(self._said(text), _BLOCK_SECONDS)

    async def _said(self, text: str) -> str:
        mark = f"-- {secrets.token_hex(8)}"
        # `set -e` ends the shell where a command fails; standard error comes with the rest.
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{text}\nprintf '\\n%s\\n' '{mark}'\n".encode())
        await self._process.stdin.drain()
        said: list[str] = []
        while line := (await self._process.stdout.readline()).decode():
            if line.strip() == mark:
                return "".join(said).strip()
            said.append(line)
        raise AssertionError("".join(said) or "the shell ended without a word")


@asynccontextmanager
async def shell(folder: Path, environment: Mapping[str, str]) -> AsyncIterator[Shell]:
    """A shell in a folder, with `.venv/bin/kpay` there as our documents call it."""
    command = folder / ".venv" / "bin" / "kpay"
    command.parent.mkdir(parents=True)
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m kpay "$@"\n')
    command.chmod(0o755)
    process = await asyncio.create_subprocess_exec(
        "bash",
        "-eu",
        "-o",
        "pipefail",
        cwd=folder,
        env={**environment, "PATH": f"{command.parent}:{environment['PATH']}"},
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
        limit=_MOST_BYTES,
    )
    try:
        yield Shell(process, folder)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()
