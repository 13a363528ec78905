"""The load: wrk from Debian's packages, told by a small script what to send."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_PERCENTILE = re.compile(r"^LATENCY (\S+) (\d+)$", re.MULTILINE)
_SUMMARY = re.compile(r"^SUMMARY (\d+) (\d+) (\d+)$", re.MULTILINE)

# Requests go round the given ones; an externalId makes each of them new to the server.
_SCRIPT = """
local requests = {%(requests)s}
local count, prefix = 0, "%(prefix)s"
function request()
  count = count + 1
  local it = requests[count %% #requests + 1]
  local body = it.body and it.body:gsub("@", prefix .. count)
  return wrk.format(it.method, it.path, it.headers, body)
end
function done(summary, latency)
  for _, at in ipairs({50, 99, 99.9}) do
    io.write(string.format("LATENCY %%s %%d\\n", at, latency:percentile(at)))
  end
  io.write(string.format("SUMMARY %%d %%d %%d\\n", summary.requests, summary.duration,
    summary.errors.status + summary.errors.connect + summary.errors.read
    + summary.errors.write + summary.errors.timeout))
end
"""


@dataclass(frozen=True)
class Request:
    """`body` is sent as JSON; an `@` in it becomes a number that is used once."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: Mapping[str, Any] | None = None

    def lua(self) -> str:
        fields = [f"method = {_quoted(self.method)}", f"path = {_quoted(self.path)}"]
        headers = ", ".join(f"[{_quoted(k)}] = {_quoted(v)}" for k, v in self.headers.items())
        fields.append(f"headers = {{{headers}}}")
        if self.body is not None:
            fields.append(f"body = {_quoted(json.dumps(self.body))}")
        return "{" + ", ".join(fields) + "}"


@dataclass(frozen=True)
class Load:
    """What a load came to. Latencies in milliseconds."""

    rate: float
    errors: int
    latency: Mapping[str, float]


def run(
    url: str, requests: Sequence[Request], *, connections: int, seconds: int, prefix: str
) -> Load:
    """Send the requests round and round for a time."""
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("wrk is not installed: apt-get install wrk")
    script = _SCRIPT % {
        "requests": ", ".join(request.lua() for request in requests),
        "prefix": prefix,
    }
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as file:
        file.write(script)
        file.flush()
        done = subprocess.run(
            [program, "-t1", f"-c{connections}", f"-d{seconds}s", "-s", file.name, url],
            capture_output=True,
            text=True,
            check=True,
        )
    summary = _SUMMARY.search(done.stdout)
    if summary is None:
        raise RuntimeError(f"wrk told no summary: {done.stdout}{done.stderr}")
    count, microseconds, errors = map(int, summary.groups())
    latency = {at: int(value) / 1000 for at, value in _PERCENTILE.findall(done.stdout)}
    return Load(count / (microseconds / 1_000_000), errors, latency)


def _quoted(text: str) -> str:
    """A Lua string: JSON's escapes are Lua's, for what is sent here."""
    return json.dumps(text)
