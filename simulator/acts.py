"""What happens in a step, drawn from the seed: who asks a process of ours for what."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Sequence
from random import Random
from typing import Any

from simulator.checks import Checks
from simulator.merchants import Merchants
from simulator.operations import OUTGOING, Kind, Operation
from simulator.payers import Payers
from simulator.process import Process
from simulator.turns import Armed, Fate

_KINDS = {Kind.PAYMENT: 40, Kind.TRANSFER: 25, Kind.PAYOUT: 35}
# How often a refund is asked of a payment that can be refunded, and a page opened in time.
_SENSIBLE = 0.85
# What somebody does who has a page before them.
_VISITS = {"pick": 70, "look": 18, "call off": 12}
# How often a process that was asked with a key dies, or loses its database, meanwhile, and where.
_STRUCK = 0.2
_STRIKES = (
    ("idempotency.claim", Fate.DIES_AFTER),
    ("ledger.hold_attempts", Fate.DIES_BEFORE),
    ("commit", Fate.DIES_BEFORE),
    ("commit", Fate.DIES_AFTER),
    ("commit", Fate.LOST_AFTER),
    ("idempotency.keep", Fate.DIES_BEFORE),
    ("idempotency.keep", Fate.LOST_BEFORE),
)

Spawn = Callable[[Process, Coroutine[Any, Any, None]], None]


class Acts:
    """Everything that somebody does. `spawn` begins a piece of work in a process."""

    def __init__(
        self,
        story: Random,
        faults: Random,
        processes: Sequence[Process],
        merchants: Merchants,
        payers: Payers,
        checks: Checks,
        spawn: Spawn,
    ) -> None:
        self._story = story
        self._faults = faults
        self._processes = processes
        self._merchants = merchants
        self._payers = payers
        self._checks = checks
        self._spawn = spawn
        self._acts = {
            self._ask_new: 46,
            self._ask_twins: 7,
            self._cancel: 8,
            self._work: 35,
            self._refund: 9,
            self._refund_twice: 4,
            self._send_again: 9,
            self._visit: 18,
            self._resume: 1,
        }

    def act(self) -> None:
        """Do one thing at one of the processes that run; some things need a second one."""
        running = [process for process in self._processes if process.runs]
        if running:
            (act,) = self._story.choices(list(self._acts), list(self._acts.values()))
            act(self._story.choice(running), self._story.choice(running))

    def _ask_new(self, process: Process, _other: Process) -> None:
        self._ask(process, self._merchants.draw(self._draw_kind()))

    def _ask_twins(self, process: Process, other: Process) -> None:
        """The same twice at once: under one key, or with one externalId."""
        asked = self._merchants.draw(self._draw_kind())
        self._ask(process, asked)
        if asked.key:
            self._ask(other, asked)
        elif asked.external_id:
            self._ask(other, self._merchants.twin(asked))

    def _send_again(self, process: Process, _other: Process) -> None:
        keyed = self._merchants.draw_keyed()
        if keyed is not None:
            self._ask(process, keyed)

    def _refund(self, process: Process, _other: Process) -> Operation | None:
        payments = self._checks.payments(complete=self._story.random() < _SENSIBLE)
        if not payments:
            return None
        asked = self._merchants.draw_refund(self._story.choice(payments))
        self._ask(process, asked)
        return asked

    def _refund_twice(self, process: Process, other: Process) -> None:
        asked = self._refund(process, other)
        if asked is not None:
            self._ask(other, self._merchants.twin(asked))

    def _cancel(self, process: Process, _other: Process) -> None:
        held = [one for one in self._checks.open if one.kind in OUTGOING]
        if held:
            self._spawn(process, self._merchants.cancel(process, self._story.choice(held)))

    def _visit(self, process: Process, _other: Process) -> None:
        """Somebody does something on a page; an impatient one twice at once."""
        pages = self._checks.pages(choosing=self._story.random() < _SENSIBLE)
        if not pages:
            return
        operation = self._story.choice(pages)
        (visit,) = self._story.choices(list(_VISITS), list(_VISITS.values()))
        if visit == "look":
            self._spawn(process, self._payers.look(process, operation))
        elif visit == "call off":
            self._spawn(process, self._payers.call_off(process, operation))
        else:
            for _ in range(self._story.choice([1, 1, 1, 2])):
                provider = self._payers.draw(operation)
                self._spawn(process, self._payers.pick(process, operation, provider))

    def _resume(self, process: Process, _other: Process) -> None:
        self._spawn(process, self._merchants.resume(process))

    def _work(self, process: Process, _other: Process) -> None:
        self._spawn(process, process.work())

    def _draw_kind(self) -> Kind:
        return self._story.choices(list(_KINDS), list(_KINDS.values()))[0]

    def _ask(self, process: Process, operation: Operation) -> None:
        sending = self._merchants.begin(process, operation)
        self._spawn(process, self._merchants.send(process, operation, sending))
        if operation.key and self._faults.random() < _STRUCK and process.seat.armed is None:
            where, fate = self._faults.choice(_STRIKES)
            process.seat.armed = Armed(fate, at=where)
