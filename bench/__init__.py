"""The benchmark: how many durable operations a second, as ratios to pgbench on the same server.

Figures of one machine drift by a third from minute to minute; ratios taken in pairs do not. So
each round runs `pgbench` with a minimal posting function, one transaction each, and then as long of
HTTP requests against our own server, on the same PostgreSQL with the same settings.

| File | What it measures | `make bench ARGS=…` |
|---|---|---|
| `peak.py`, `drain.py` | how many a second, against pgbench | |
| `half.py` | how long an answer takes at half of that | |
| `growth.py`, `loader.py` | what ten million postings cost | `--growth` |
| `memory.py` | what is resident, at rest and over minutes of load | `--memory` |
| `startup.py` | how soon it answers | `--startup` |

Each keeps its raw results in `docs/benchmarks/` (`results.py`) and knows its own section of the
report (`report.py`).
"""
