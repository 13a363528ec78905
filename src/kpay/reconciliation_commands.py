"""`kpay reconciliation`: our books against the rails' statements."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any
from uuid import UUID

from cyclopts import App, Parameter
from rich.markup import escape

from kpay.terminal import (
    AsJson,
    err,
    fail,
    new_table,
    operation_id,
    out,
    print_json,
    typed_by,
    with_house,
)

if TYPE_CHECKING:
    from kpay.app import House
    from kpay.reconciliation.breaks import Break, StatementLine
    from kpay.reconciliation.floats import Float, Unfinished

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

    async def act(house: House) -> Told:
        if not house.reconciliation.rails:
            fail("No rail here tells its statements: see docs/reconciliation.md.")
        latest = house.reconciliation.latest
        wanted = _day(day) or latest
        if wanted > latest:
            fail(f"{wanted} is not over: {latest} is the last day that has a whole statement.")
        await house.reconciliation.plan(wanted)
        while await house.reconciliation.work(100):
            pass
        return await Told.of(house)

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
    told = with_house(lambda house: Told.of(house))
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
        print_json([_shown(one) for one in found])
    elif not found:
        out.print("There is no break." if every else "No break is open.")
    else:
        _table(found)
        for kind, known in sorted({(one.kind, _known(one)) for one in found if _is_open(one)}):
            from kpay.reconciliation.model import next_action

            words = f"{kind}: {next_action(kind, known=known)}"
            out.print(words, markup=False, soft_wrap=True)
    sys.exit(1 if any(map(_is_open, found)) else 0)


@reconciliation.command
def show(identifier: BreakId, *, as_json: AsJson = False) -> None:
    """Show a break with the lines that it is about."""

    async def fetch(house: House) -> tuple[Break, Sequence[StatementLine]]:
        return await house.breaks.get(_identifier(identifier))

    found, lines = with_house(fetch)
    shown = {**_shown(found), "lines": [_shown_line(line) for line in lines]}
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


class Told:
    """All that there is to tell: the floats, the breaks and what is not finished."""

    def __init__(
        self,
        floats: Sequence[Float],
        breaks: Sequence[Break],
        unfinished: Sequence[Unfinished],
    ) -> None:
        self.floats = floats
        self.breaks = breaks
        self.unfinished = unfinished

    @classmethod
    async def of(cls, house: House) -> Told:
        from kpay.reconciliation.floats import floats, unfinished

        return cls(
            await floats(house.database),
            await house.breaks.list(open_only=False),
            await unfinished(house.database),
        )

    @property
    def is_sound(self) -> bool:
        explained = all(one.unexplained.minor == 0 for one in self.floats)
        return explained and not self.unfinished and not any(map(_is_open, self.breaks))


def _tell(told: Told, *, as_json: bool) -> None:
    if as_json:
        print_json(
            {
                "sound": told.is_sound,
                "wallets": [_shown_float(one) for one in told.floats],
                "breaks": [_shown(one) for one in told.breaks if _is_open(one)],
                "unfinished": [_shown_unfinished(one) for one in told.unfinished],
            }
        )
    else:
        _print(told)
    sys.exit(0 if told.is_sound else 1)


def _print(told: Told) -> None:
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
    found = [one for one in told.breaks if _is_open(one)]
    if found:
        _table(found)
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
    table = new_table("Break", "Kind", "Off by", "Found on")
    for one in found:
        kind = f"[red]{one.kind}[/red]" if _is_open(one) else f"{one.kind}, {one.state}"
        table.add_row(_shown(one)["id"], kind, str(one.off_by), str(one.found_on))
    out.print(table)


def _sheet(found: Sequence[Break]) -> bytes:
    from kpay.core.sheet import head, sheet

    rows = [_shown(one) for one in found]
    columns = list(rows[0]) if rows else []
    return head(columns) + sheet([list(row.values()) for row in rows])


def _shown(one: Break) -> dict[str, Any]:
    """A break for a program; amounts are plain decimals in text."""
    from kpay.core.clock import iso
    from kpay.core.ids import parse_uuid, public_id
    from kpay.core.money import rail_text
    from kpay.reconciliation.breaks import PREFIX
    from kpay.reconciliation.model import next_action

    reference = parse_uuid(one.key)
    return {
        "id": public_id(PREFIX, one.id),
        "environment": one.place.environment.word,
        "connector": one.place.connector,
        "country": one.place.wallet.country,
        "currency": one.place.wallet.currency,
        "walletProvider": one.place.wallet.provider,
        "kind": str(one.kind),
        "state": str(one.state),
        "theirs": rail_text(one.theirs),
        "ours": rail_text(one.ours),
        "offBy": rail_text(one.off_by),
        "reference": None if reference is None else str(reference),
        "line": one.key if reference is None else None,
        "application": None if one.application_id is None else str(one.application_id),
        "operation": _operation(one),
        "foundOn": str(one.found_on),
        "foundAt": iso(one.found_at),
        "judgedOn": str(one.judged_on),
        "note": one.note,
        "closedBy": one.closed_by,
        "closedAt": None if one.closed_at is None else iso(one.closed_at),
        "next": next_action(one.kind, known=_known(one)) if _is_open(one) else None,
    }


def _shown_line(line: StatementLine) -> dict[str, Any]:
    from kpay.core.clock import iso
    from kpay.core.money import rail_text

    return {
        "day": str(line.day),
        "number": line.number,
        "at": iso(line.at),
        "word": line.word,
        "amount": rail_text(line.amount),
        "balance": None if line.balance is None else rail_text(line.balance),
        "raw": line.raw,
    }


def _shown_float(one: Float) -> dict[str, Any]:
    from kpay.core.clock import iso
    from kpay.core.money import rail_text

    return {
        "environment": one.place.environment.word,
        "connector": one.place.connector,
        "country": one.place.wallet.country,
        "currency": one.place.wallet.currency,
        "provider": one.place.wallet.provider,
        "day": str(one.day),
        "lines": one.lines,
        "theirs": rail_text(one.theirs),
        "ours": rail_text(one.ours),
        "difference": rail_text(one.difference),
        "because": [
            {"what": part.words, "amount": rail_text(part.amount), "count": part.count}
            for part in one.parts
        ],
        "unexplained": rail_text(one.unexplained),
        "told": rail_text(one.told),
        "toldAt": iso(one.told_at),
    }


def _shown_unfinished(one: Unfinished) -> dict[str, Any]:
    from kpay.core.clock import iso

    return {
        "environment": one.environment.lower(),
        "connector": one.connector,
        "wallet": one.wallet,
        "day": str(one.day),
        "stage": one.stage,
        "dueAt": iso(one.due_at),
        "trouble": one.trouble,
    }


def _operation(one: Break) -> str | None:
    """The operation as its merchant knows it."""
    if one.instruction_id is None or one.type is None:
        return None
    return operation_id(one.type, one.instruction_id)


def _wallet(one: Break | Float) -> str:
    wallet = one.place.wallet
    words = (one.place.connector, wallet.country, wallet.currency, wallet.provider)
    live = "" if one.place.environment.word == "live" else " (test)"
    return " ".join(filter(None, words)) + live


def _is_open(one: Break) -> bool:
    return one.state == "open"


def _known(one: Break) -> bool:
    return one.instruction_id is not None


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
