"""The rail: what it truly did with each reference, whatever it says about it.

It takes the sandbox's place behind the same interface. It pays or refuses when it likes, loses
requests and answers, hears what was sent minutes ago, answers what was true a while before, and now
and then says the opposite of the truth. It holds to two things that every real rail holds to: what
is sent reaches it within three minutes or never, and what it has heard it denies for no longer.

A reference that it was told twice it carries out once, if it had said that it never saw it. One
that is handed over again without that is carried out again: such a request met the first one before
either was on record, as requests of two workers do.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import timedelta
from enum import Enum
from random import Random
from uuid import UUID

from kpay.catalogue.model import OperationType
from kpay.connectors.model import (
    Accepted,
    Instruction,
    NotFound,
    Outcome,
    Paid,
    Refused,
    Unknown,
)
from kpay.instructions.model import outcome_name
from simulator.clock import ONE_MINUTE, Time
from simulator.loop import MICROSECONDS
from simulator.turns import Seat

# Longer than this nothing is on its way, and nothing that was heard is denied.
LONGEST_WAY = 3 * ONE_MINUTE
_LONGEST_DECISION = 12 * ONE_MINUTE
_PAYS = 0.7


class Truth(Enum):
    """What became of a reference."""

    UNHEARD = "unheard"
    OPEN = "open"
    PAID = "paid"
    REFUSED = "refused"


class Manner(Enum):
    """How the rail takes one call."""

    HONEST = "honest"
    LOST_BEFORE = "lost before it was heard"
    LOST_AFTER = "lost after it was heard"
    ON_ITS_WAY = "heard later"
    MUMBLED = "answered with an error"
    LATE = "answered late"
    STALE = "answered as it was before"
    LIE = "answered with the opposite"
    LATE_LIE = "answered late with the opposite"


_SUBMITS = {
    Manner.HONEST: 40,
    Manner.LOST_BEFORE: 12,
    Manner.LOST_AFTER: 14,
    Manner.ON_ITS_WAY: 10,
    Manner.MUMBLED: 8,
    Manner.LATE: 15,
    Manner.LIE: 1,
}
_CHECKS = {
    Manner.HONEST: 50,
    Manner.LOST_BEFORE: 10,
    Manner.MUMBLED: 8,
    Manner.LATE: 15,
    Manner.STALE: 15,
    Manner.LIE: 1,
    Manner.LATE_LIE: 1,
}


@dataclass(eq=False)
class Dealings:
    """All that passed between us and the rail over one reference."""

    instruction: Instruction
    handed_over: int = 0
    """How often we began to hand it over."""
    denied: int = 0
    """How often we had, when the rail last told us that it never saw it."""
    last_handed_over: int = 0
    under_way: int = 0
    """Calls that have not reached the rail."""
    arrivals: list[int] = field(default_factory=list)
    heard_at: int | None = None
    ends_at: int = 0
    will: Truth = Truth.UNHEARD
    times: int = 0
    told: dict[str, list[Seat]] = field(default_factory=dict)
    """The outcomes that processes of ours have got, and which processes."""
    lied: set[str] = field(default_factory=set)
    """Those of them that were not true and never became true."""

    def truth(self, now: int) -> Truth:
        if self.heard_at is None:
            return Truth.UNHEARD
        return self.will if now >= self.ends_at else Truth.OPEN

    @property
    def may_still_arrive(self) -> bool:
        return bool(self.arrivals or self.under_way)


@dataclass
class Said:
    """What the rail says to one call, for how many steps it keeps it back, and when it was so."""

    answer: Outcome | Exception
    steps: int
    handed_over: int
    lie: bool = False


class Rail:
    """The truth of the rail. Every process of ours reaches it through a `RailPort`."""

    def __init__(self, random: Random, time: Time) -> None:
        self._random = random
        self._time = time
        self.dealings: dict[UUID, Dealings] = {}
        self.honest = False
        self.wrongs: list[str] = []
        """What a process of ours did to it that no process may do."""

    def called(self, verb: str, instruction: Instruction) -> Manner:
        """A process of ours begins a call. Says how it will be taken."""
        dealings = self.dealings.setdefault(instruction.reference, Dealings(instruction))
        dealings.under_way += 1
        if instruction.amount != dealings.instruction.amount:
            self.wrongs.append(f"{short(instruction)} was sent again with another amount")
        if instruction.type is OperationType.REFUND:
            self._look_for_deposit(instruction)
        if verb == "submit":
            self._hand_over(dealings)
        if self.honest:
            return Manner.HONEST
        manners = _SUBMITS if verb == "submit" else _CHECKS
        return self._random.choices(list(manners), list(manners.values()))[0]

    def hear(self, verb: str, instruction: Instruction, manner: Manner) -> Said:
        """The call has reached the rail, or is lost here."""
        dealings = self.dealings[instruction.reference]
        self.tick()
        steps = 0
        lie = manner in (Manner.LIE, Manner.LATE_LIE)
        if manner in (Manner.LATE, Manner.LATE_LIE):
            steps = self._random.randint(1, 6)
        if manner is Manner.ON_ITS_WAY:
            delay = self._random.randrange(LONGEST_WAY)
            dealings.arrivals.append(self._time.true + delay)
        elif verb == "submit" and manner is not Manner.LOST_BEFORE:
            self._receive(dealings, self._time.true)
        answer = self._answer(verb, dealings, manner)
        return Said(answer, steps, dealings.handed_over, lie)

    def told(self, seat: Seat, instruction: Instruction, said: Said) -> None:
        """An answer has reached a process of ours."""
        if isinstance(said.answer, Exception):
            return
        dealings = self.dealings[instruction.reference]
        name = outcome_name(said.answer)
        dealings.told.setdefault(name, []).append(seat)
        if said.lie:
            dealings.lied.add(name)
        if isinstance(said.answer, NotFound):
            dealings.denied = max(dealings.denied, said.handed_over)

    def tick(self) -> None:
        """Hear what was on its way and has come."""
        for dealings in self.dealings.values():
            for arrival in [one for one in dealings.arrivals if one <= self._time.true]:
                dealings.arrivals.remove(arrival)
                self._receive(dealings, arrival)

    def truth(self, reference: UUID) -> Truth:
        dealings = self.dealings.get(reference)
        return Truth.UNHEARD if dealings is None else dealings.truth(self._time.true)

    def _look_for_deposit(self, refund: Instruction) -> None:
        """A refund names a deposit that we were told was paid, and gives all of that back."""
        reference = refund.deposit_reference
        deposit = None if reference is None else self.dealings.get(reference)
        if deposit is None or "paid" not in deposit.told:
            self.wrongs.append(f"{short(refund)} gives back what the rail never said it took")
        elif (deposit.instruction.amount, deposit.instruction.phone_number) != (
            refund.amount,
            refund.phone_number,
        ):
            self.wrongs.append(f"{short(refund)} gives back something else than was taken")

    def _hand_over(self, dealings: Dealings) -> None:
        again = dealings.handed_over > dealings.denied
        # A claim is held by the clock: one that was set back holds what had run out, and the rail's
        # own memory of references is what is left then.
        if again and self._time.set_back_at < dealings.last_handed_over - 2 * ONE_MINUTE:
            self.wrongs.append(
                f"{short(dealings.instruction)} was handed over again, though the rail never said "
                "that it had not seen it"
            )
            dealings.times += 1
        dealings.handed_over += 1
        dealings.last_handed_over = self._time.true

    def _receive(self, dealings: Dealings, now: int) -> None:
        if dealings.heard_at is not None:
            return
        dealings.heard_at = now
        dealings.times += 1
        dealings.will = Truth.PAID if self._random.random() < _PAYS else Truth.REFUSED
        at_once = self.honest or self._random.random() < 0.3
        dealings.ends_at = now if at_once else now + self._random.randrange(_LONGEST_DECISION)

    def _answer(self, verb: str, dealings: Dealings, manner: Manner) -> Outcome | Exception:
        match manner:
            case Manner.LOST_BEFORE | Manner.LOST_AFTER | Manner.ON_ITS_WAY:
                return self._random.choice(
                    [TimeoutError(), ConnectionResetError("by peer"), ValueError("no JSON")]
                )
            case Manner.MUMBLED:
                return Unknown("HTTP 500", {"body": "\0 \ud800"})
            case Manner.STALE if verb == "check":
                return self._stale(dealings)
            case Manner.LIE | Manner.LATE_LIE if dealings.heard_at is not None:
                pays = dealings.will is Truth.PAID
                return Refused("SO_IT_SAID") if pays else Paid({"note": "so it said"})
        truth = dealings.truth(self._time.true)
        if truth is Truth.UNHEARD:
            return NotFound() if verb == "check" else Unknown("nothing came back")
        if truth is Truth.OPEN:
            return self._accepted(dealings)
        return Paid() if truth is Truth.PAID else Refused("RECIPIENT_NOT_FOUND")

    def _stale(self, dealings: Dealings) -> Outcome:
        heard_at = dealings.heard_at
        young = heard_at is None or self._time.true - heard_at < LONGEST_WAY
        if young and self._random.random() < 0.6:
            return NotFound()
        return NotFound() if heard_at is None else Accepted()

    def _accepted(self, dealings: Dealings) -> Outcome:
        if self._random.random() < 0.5:
            return Accepted()
        left = (dealings.ends_at - self._time.true) // MICROSECONDS
        return Accepted(ask_after=timedelta(seconds=self._random.randrange(left + 60)))


def short(instruction: Instruction) -> str:
    """How the transcript calls an instruction: by its reference's number among all of the run."""
    return f"{instruction.type.lower()} {numbered(instruction.reference)}"


def numbered(reference: UUID) -> int:
    return reference.int & 0xFFFFFF
