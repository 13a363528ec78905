"""`kpay reconciliation`: our books against the rails' statements."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated
from uuid import UUID

from cyclopts import App, Parameter
from rich.markup import escape

from kpay.terminal import (
    AsJson,
    err,
    fail,
    new_table,
    out,
    print_json,
    typed_by,
    with_house,
)

if TYPE_CHECKING:
    from kpay.app import House
    from kpay.office.report import Report
    from kpay.reconciliation.breaks import Break, StatementLine
    from kpay.reconciliation.floats import Float

reconciliation = App(
    name="reconciliation", help="Our books against the statements of the rails, day by day."
)

BreakId = Annotated[str, Parameter(help="A break's id: see kpay reconciliation list.")]


@reconciliation.command
def run(
    *,
    day: Annotated[
        str | None, Parameter(help="Up to which day, such as 2026-06-22; the last whole one.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Do what is due now; a running worker does the same every day.

    Exits 1 when a break is open or a day could not be finished.
    """

    async def act(house: House) -> Report:
        if not house.reconciliation.rails:
            fail("No rail here tells its statements: see docs/reconciliation.md.")
        latest = house.reconciliation.latest
        wanted = _day(day) or latest
        if wanted > latest:
            fail(f"{wanted} is not over: {latest} is the last day that has a whole statement.")
        await house.reconciliation.plan(wanted)
        while await house.reconciliation.work(100):
            pass
        return await _read(house)

    _tell(with_house(act), as_json=as_json)


@reconciliation.command
def report(
    *,
    csv: Annotated[
        Path | None, Parameter(help="Write every break as CSV here, those that are closed too.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how each rail's balance and our float stand to each other, and why they differ.

    Exits 1 when a break is open or a day could not be finished.
    """
    told = with_house(_read)
    if csv is not None:
        csv.write_bytes(_sheet(told.breaks))
        err.print(f"{csv} holds {len(told.breaks)} breaks.", markup=False)
    _tell(told, as_json=as_json)


@reconciliation.command(name="list")
def list_breaks(
    *,
    every: Annotated[
        bool, Parameter(name="--all", negative="", help="Those that are closed or awaited too.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List the breaks that are open, with what to do about each. Exits 1 when there are any."""

    async def fetch(house: House) -> Sequence[Break]:
        return await house.breaks.list(open_only=not every)

    found = with_house(fetch)
    if as_json:
        from kpay.office.shapes import shown_break

        print_json([shown_break(one) for one in found])
    elif not found:
        out.print("There is no break." if every else "No break is open.")
    else:
        _table(found)
        for kind, known in sorted({(one.kind, one.is_known) for one in found if one.is_open}):
            from kpay.reconciliation.model import next_action

            words = f"{kind}: {next_action(kind, known=known)}"
            out.print(words, markup=False, soft_wrap=True)
    sys.exit(1 if any(one.is_open for one in found) else 0)


@reconciliation.command
def show(identifier: BreakId, *, as_json: AsJson = False) -> None:
    """Show a break with the lines that it is about."""
    from kpay.office.shapes import shown_break, shown_line

    async def fetch(house: House) -> tuple[Break, Sequence[StatementLine]]:
        return await house.breaks.get(_identifier(identifier))

    found, lines = with_house(fetch)
    shown = shown_break(found) | {"lines": [shown_line(line) for line in lines]}
    if as_json:
        print_json(shown)
        return
    table = new_table("What", "Value")
    for name, value in shown.items():
        if name != "lines" and value is not None:
            table.add_row(name, escape(str(value)))
    out.print(table)
    table = new_table("Day", "Line", "At", "Word", "Amount", "Balance", "As the rail has it")
    for line in shown["lines"]:
        table.add_row(*(escape(_words(value)) for value in line.values()))
    out.print(table)


@reconciliation.command
def close(
    identifier: BreakId,
    *,
    note: Annotated[str, Parameter(help="Why it is no matter any more: kept, and shown with it.")],
) -> None:
    """Close a break that was looked into. It opens again when one of its sides changes."""

    async def change(house: House) -> Break:
        return await house.breaks.close(
            typed_by("reconciliation close"), _identifier(identifier), note
        )

    with_house(change)
    out.print(f"{identifier} is closed.", markup=False)


async def _read(house: House) -> Report:
    from kpay.office.report import read_report

    return await read_report(house.database, house.breaks)


def _tell(told: Report, *, as_json: bool) -> None:
    if as_json:
        from kpay.office.shapes import shown_report

        print_json(shown_report(told))
    else:
        _print(told)
    sys.exit(0 if told.is_sound else 1)


def _print(told: Report) -> None:
    for one in told.floats:
        _print_float(one)
    for waiting in told.unfinished:
        why = waiting.trouble or "under way"
        out.print(
            f"{waiting.connector} {waiting.wallet} {waiting.day} is not finished "
            f"({waiting.stage}): {why}.",
            style="yellow",
            markup=False,
        )
    if not told.floats:
        out.print("No day is reconciled yet.")
    if told.open:
        _table(told.open)
        out.print("See kpay reconciliation list for what to do about each.")


def _print_float(one: Float) -> None:
    name = _wallet(one)
    if not one.difference.minor:
        agrees = "[green]our books and the rail agree to the franc[/green]"
    else:
        agrees = f"[yellow]the rail holds {one.difference} more than our books say[/yellow]"
    out.print(f"{escape(name)}, end of {one.day}: {agrees}.", soft_wrap=True)
    table = new_table("", "Amount", "")
    table.add_row("The rail holds", str(one.theirs), f"{one.lines} lines that day")
    table.add_row("Our books say", str(one.ours), "")
    for part in one.parts:
        count = "" if part.count is None else str(part.count)
        table.add_row(f"  {escape(part.words)}", str(part.amount), count)
    if one.unexplained.minor:
        table.add_row("  [red]what nothing explains[/red]", str(one.unexplained), "")
    out.print(table)


def _table(found: Sequence[Break]) -> None:
    """In few columns: what is piped is no wider than a small terminal."""
    from kpay.core.ids import public_id
    from kpay.reconciliation.breaks import PREFIX

    table = new_table("Break", "Kind", "Off by", "Found on")
    for one in found:
        kind = f"[red]{one.kind}[/red]" if one.is_open else f"{one.kind}, {one.state}"
        table.add_row(public_id(PREFIX, one.id), kind, str(one.off_by), str(one.found_on))
    out.print(table)


def _sheet(found: Sequence[Break]) -> bytes:
    from kpay.core.sheet import head, sheet
    from kpay.office.shapes import shown_break

    rows = [shown_break(one) for one in found]
    columns = list(rows[0]) if rows else []
    return head(columns) + sheet([list(row.values()) for row in rows])


def _wallet(one: Break | Float) -> str:
    wallet = one.place.wallet
    words = (one.place.connector, wallet.country, wallet.currency, wallet.provider)
    live = "" if one.place.environment.word == "live" else " (test)"
    return " ".join(filter(None, words)) + live


def _words(value: object) -> str:
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    return "" if value is None else str(value)


def _identifier(text: str) -> UUID:
    from kpay.core.ids import parse_public_id
    from kpay.reconciliation.breaks import PREFIX

    found = parse_public_id(PREFIX, text)
    if found is None:
        fail(f"{text} is no id of a break: they begin with {PREFIX}_.")
    return found


def _day(text: str | None) -> date | None:
    try:
        return None if text is None else date.fromisoformat(text)
    except ValueError:
        fail(f"{text} is no date such as 2026-06-22.")
