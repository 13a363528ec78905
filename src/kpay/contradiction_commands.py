"""`kpay contradiction`: what rails say against our books, and how an operator settles it."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Literal
from uuid import UUID

from cyclopts import App, Parameter
from rich.markup import escape

from kpay.terminal import (
    AsJson,
    fail,
    new_table,
    out,
    print_json,
    typed_by,
    with_house,
)

if TYPE_CHECKING:
    from kpay.app import House
    from kpay.contradictions.model import Contradiction

contradictions = App(
    name="contradiction", help="What rails say against our books, held for a person to settle."
)

Operation = Annotated[str, Parameter(help="A payment's, withdrawal's or refund's id.")]
What = Annotated[
    Literal[
        "paid_after_failed",
        "paid_after_cancelled",
        "paid_after_refused",
        "refused_after_completed",
        "paid_differently",
    ]
    | None,
    Parameter(help="Which one, where several are open."),
]


@contradictions.command(name="list")
def list_contradictions(
    *,
    every: Annotated[
        bool, Parameter(name="--all", negative="", help="Those that were settled as well.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """List what is open, newest first, with what to do about it. Exits 1 when anything is."""
    from kpay.office.shapes import shown_contradiction

    async def fetch(house: House) -> Sequence[Contradiction]:
        return await house.contradictions.list(open_only=not every)

    found = with_house(fetch)
    if as_json:
        print_json([shown_contradiction(one) for one in found])
    elif not found:
        out.print("Nothing contradicts our books." if every else "Nothing is open.")
    else:
        _tell(found)
    sys.exit(1 if any(one.settled is None for one in found) else 0)


@contradictions.command
def show(operation: Operation, *, as_json: AsJson = False) -> None:
    """Show all that was found of one operation, with the evidence."""
    from kpay.office.shapes import shown_contradiction

    async def fetch(house: House) -> Sequence[Contradiction]:
        return await house.contradictions.of_operation(_identifier(operation))

    found = with_house(fetch)
    if as_json:
        print_json([shown_contradiction(one) for one in found])
        return
    for one in found:
        table = new_table("What", str(one.what))
        for name, value in shown_contradiction(one).items():
            if name not in ("what", "next") and value is not None:
                words = json.dumps(value, ensure_ascii=False) if name == "evidence" else str(value)
                table.add_row(name, escape(words))
        out.print(table)
        if one.settled is None:
            out.print(_next(one), markup=False)


@contradictions.command
def settle(
    operation: Operation,
    *,
    note: Annotated[str, Parameter(help="How it was settled: kept, and shown with it.")],
    decision: Annotated[
        Literal["noted"],
        Parameter(help="noted: settled outside of these books, which stay as they are."),
    ] = "noted",
    what: What = None,
    reference: Annotated[
        UUID | None, Parameter(help="Of which reference, where several are open.")
    ] = None,
) -> None:
    """Settle one that was looked into. It cannot be taken back; who did it is in the audit log."""

    async def change(house: House) -> Contradiction:
        from kpay.contradictions.model import Decision
        from kpay.contradictions.model import What as Known

        return await house.contradictions.settle(
            typed_by("contradiction settle"),
            _identifier(operation),
            Decision(decision),
            note,
            what=None if what is None else Known(what),
            reference=reference,
        )

    settled = with_house(change)
    out.print(f"Settled: {settled.what} of {operation}.", markup=False)


def _identifier(text: str) -> UUID:
    from kpay.core.ids import parse_public_id, parse_uuid

    found = parse_uuid(text) or parse_public_id(text.partition("_")[0], text)
    if found is None:
        fail(f"{text} is no id of a payment, a withdrawal or a refund.")
    return found


def _tell(found: Sequence[Contradiction]) -> None:
    """In few columns: what is piped is no wider than a small terminal."""
    from kpay.office.shapes import operation_id

    table = new_table("Operation", "What", "Told")
    for one in found:
        table.add_row(
            operation_id(one.type, one.operation_id),
            f"[red]{one.what}[/red]" if one.settled is None else str(one.what),
            "" if one.told is None else str(one.told),
        )
    out.print(table)
    for one in found:
        if one.settled is None:
            words = f"{operation_id(one.type, one.operation_id)} stands {one.status}. {_next(one)}"
            out.print(words, markup=False, soft_wrap=True)


def _next(one: Contradiction) -> str:
    from kpay.contradictions.model import next_action

    return next_action(one.type, one.what)
