"""What `kpay verify` found: a table for a person, JSON for a program.

The JSON says where each journal ends. A report that was kept elsewhere is what a later one can be
held against: see `ledger/journal.py`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from pathlib import Path

from kpay import verify
from kpay.ledger.journal import Heads
from kpay.terminal import fail, new_progress, new_table, out, print_json
from kpay.verify import Finding


async def report_on(url: str, against: Path | None, *, as_json: bool) -> int:
    """Check everything and tell it. Returns how many rows break a promise."""
    earlier = None if against is None else _ends_in(against)
    rows = await verify.count_rows(url)
    ends = await verify.journal_ends(url)
    findings = []
    with new_progress() as bar:
        reading = bar.add_task("Reading the journal", total=rows["entries"])
        async for finding in verify.verify(
            url, lambda done: bar.update(reading, completed=done), earlier
        ):
            findings.append(finding)
            bar.update(reading, description=f"Checked {finding.check.name}")
    broken = sum(finding.broken for finding in findings)
    if as_json:
        print_json(_for_a_program(rows, ends, findings, broken))
    else:
        _tell(rows, findings, broken)
    return broken


def _for_a_program(
    rows: Mapping[str, int], ends: Heads, findings: Sequence[Finding], broken: int
) -> dict[str, object]:
    return {
        "rows": rows,
        "broken": broken,
        "journals": ends.report(),
        "checks": [
            {
                "name": finding.check.name,
                "promise": finding.check.promise,
                "broken": finding.broken,
                "rows": [{name: str(value) for name, value in row.items()} for row in finding.rows],
            }
            for finding in findings
        ],
    }


def _tell(rows: Mapping[str, int], findings: Sequence[Finding], broken: int) -> None:
    out.print(", ".join(f"{count:,} {table}" for table, count in rows.items()))
    table = new_table("Promise", "What is checked", "Broken")
    for finding in findings:
        colour = "red" if finding.broken else "green"
        table.add_row(
            str(finding.check.promise),
            finding.check.words,
            f"[{colour}]{finding.broken}[/{colour}]",
        )
    out.print(table)
    for finding in findings:
        for row in finding.rows:
            out.print(f"{finding.check.name}: {', '.join(f'{k}={v}' for k, v in row.items())}")
    out.print("Every promise holds." if not broken else f"{broken} rows break a promise.")


def _ends_in(report: Path) -> Heads:
    """Where the journals ended, from an earlier answer of `kpay verify --json`."""
    try:
        return Heads.read(json.loads(report.read_text(encoding="utf-8")))
    except OSError as problem:
        fail(f"{report} cannot be read: {problem.strerror}")
    except (KeyError, TypeError, ValueError):
        fail(f"{report} is no answer of kpay verify --json with the ends of journals.")
