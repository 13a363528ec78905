"""A few rounds of the soak: the program is killed under load, and nothing that it said is lost.

The whole of it is `make kill ROUNDS=50`; what it does is in soak/.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from soak.processes import Victim
from soak.rounds import play

# With this seed five rounds kill the server, a worker, PostgreSQL, one process of it, and all at
# once, in both of the program's shapes.
_SEED = "38"
ROUNDS = 5


async def test_whatever_is_killed_what_was_acknowledged_is_there_once_and_everything_ends() -> None:
    with tempfile.TemporaryDirectory(prefix="kpay-kill-", ignore_cleanup_errors=True) as home:
        result = await play(Path(home), seed=_SEED, rounds=ROUNDS)

    assert dict(result.kills) == {
        victim.value: 1 for victim in Victim if victim is not Victim.SERVER_PROCESS
    }
    # Each round kills while requests are under way and goes on afterwards.
    assert result.acknowledged > ROUNDS * 100
    assert result.refunded > 0
    assert result.repeated > 0
    assert result.tries_without_answer + result.tries_unavailable > 0
    assert result.accounts > 0
