"""The load: wrk from Debian's packages, told by a small script what to send and when.

Without a pause a connection sends its next request as soon as it has an answer: the peak. With one
it first thinks for a while, as wrk's `delay` hook says, and so the rate is held down. What
wrk 4.1 makes of that, by its source and by trial against a server that answers after 5 ms:

- The pause is not in the latency. The clock of a request starts when it is written, after the
  pause, and with pauses of 20 and 100 ms the medians were 5.6 and 5.7 ms.
- A pause is a whole number of milliseconds, counted by a timer that is never early, so that the
  rate is a little less than was asked; `half.py` corrects for it.
- Coordinated omission is corrected for, with pauses or without: an answer that took longer than two
  of a connection's mean intervals counts again for each request which that connection would have
  sent meanwhile. With pauses of 20 ms and a server that stood still for 300 ms every 1.7 s there
  were 13 % more samples than requests. The high percentiles are therefore of what was due, not only
  of what was sent.
- An answer that takes more than two seconds counts as an error; one that never comes does not.
"""

from __future__ import annotations

import itertools
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

# Each load has externalIds of its own.
_runs = itertools.count(1)

# Requests go round the given ones; an externalId makes each of them new to the server. They are
# spelled once and cut where its number goes, so that the load takes little of the machine from what
# is measured. Pauses are drawn between half and one and a half of the mean, so that connections do
# not march in step.
_SCRIPT = """
local requests = {%(requests)s}
local count, prefix, pause = 0, "%(prefix)s", %(pause).3f
local mark, heads, tails = "#########", {}, {}
function init(args)
  for number, it in ipairs(requests) do
    local body = it.body and it.body:gsub("@", prefix .. mark)
    local whole = wrk.format(it.method, it.path, it.headers, body)
    local first, last = whole:find(mark, 1, true)
    heads[number] = first and whole:sub(1, first - 1) or whole
    tails[number] = first and whole:sub(last + 1)
  end
end
function request()
  count = count + 1
  local number = count %% #requests + 1
  local tail = tails[number]
  return tail and heads[number] .. string.format("%%09d", count) .. tail or heads[number]
end
if pause > 0 then
  function delay()
    return pause * (0.5 + math.random()) + 0.5
  end
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
    """What a load came to: answers a second, errors, and latencies in milliseconds."""

    rate: float
    errors: int
    p50: float
    p99: float
    p999: float


def run(
    url: str, requests: Sequence[Request], *, connections: int, seconds: int, pause: float = 0
) -> Load:
    """Send the requests round and round for a time; `pause` is the mean one, in milliseconds."""
    program = shutil.which("wrk")
    if program is None:
        raise RuntimeError("wrk is not installed: apt-get install wrk")
    script = _SCRIPT % {
        "requests": ", ".join(request.lua() for request in requests),
        "prefix": f"{next(_runs)}-",
        "pause": pause,
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
    rate = round(count / (microseconds / 1_000_000), 1)
    return Load(rate, errors, latency["50"], latency["99"], latency["99.9"])


def _quoted(text: str) -> str:
    """A Lua string: JSON's escapes are Lua's, for what is sent here."""
    return json.dumps(text)
