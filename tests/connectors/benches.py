"""How each connector is brought into the situations that every rail has, for one suite of them all.

A bench says what its rail answers in a situation, in the rail's own words; None where a situation
cannot come about. Whoever writes a connector adds a bench, and the suite does the rest.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any, Protocol
from uuid import UUID

from msgspec.structs import replace

from kpay.app import House
from kpay.catalogue.data import catalogue
from kpay.connectors.model import Connector, Instruction
from kpay.connectors.opening import RAILS, Opener
from kpay.connectors.sandbox import SandboxConnector
from kpay.connectors.variables import Variables
from kpay.core.clock import ManualClock
from tests.connectors.support import (
    NOW,
    REFERENCE,
    hangs_up,
    instruction,
    is_silent,
    place,
    rail_server,
    says,
    says_half,
)
from tests.connectors.tiny import open_tiny
from tests.receivers import Said


class Situation(StrEnum):
    """What can be the case at a rail. The first ones are of handing over, the next of asking."""

    TAKES_IT = "it takes an instruction"
    HAS_IT_ALREADY = "it has one of that reference already"
    REFUSES_IT = "it refuses an instruction with a reason"
    UNDER_WAY = "it has not decided"
    PAID = "it has paid"
    FAILED = "it could not pay"
    NEVER_SAW_IT = "it has no such reference"
    PAID_MORE = "it has paid more than was agreed"
    TROUBLE = "it has trouble of its own"
    NONSENSE = "it says what nobody understands"
    FOREIGN = "its address is somebody else's by now"
    HANGS_UP = "it hangs up before it answers"
    HALF = "it breaks off in the middle of its answer"
    SILENT = "it never answers"
    LOCKED_OUT = "it does not accept our credentials any more"
    GONE = "nobody listens at its address"
    CANCELS_IT = "it takes it that an instruction is not to be paid"
    PAYS_IT_ALREADY = "it is too late to cancel an instruction"
    TAKES_SOME = "it takes one of a call, has another already, and refuses the third"
    LEAVES_SOME_OUT = "it answers for one of a call only"
    ANSWERS_FOR_OTHERS = "it answers for what is not in the call"
    SAYS_TWO_THINGS = "it says two things of one of a call"


@dataclass(frozen=True, slots=True)
class Stand:
    """A connector whose rail is in a situation, and an instruction to try there."""

    connector: Connector
    instruction: Instruction

    @property
    def many(self) -> list[Instruction]:
        """Three to try in one call: that one first."""
        return [replace(self.instruction, reference=reference) for reference in REFERENCES]


# Of what is handed over in one call.
REFERENCES = (
    REFERENCE,
    UUID("0c7d1b9a-3f6e-4d52-9a41-5be2f7c80a13"),
    UUID("5d2f8e64-91b0-4c37-8e2d-a6f40b1c7d95"),
)


class Bench(Protocol):
    """One connector's way into each situation."""

    name: str
    cannot: frozenset[Situation]
    """What its rail never comes to."""

    def stand(
        self, situation: Situation, house: House, /
    ) -> AbstractAsyncContextManager[Stand | None]:
        """A context in which there is a Stand, or None in it where that cannot be."""


# Whatever a rail's language, these are the same.
_BROKEN: dict[Situation, Said] = {
    Situation.TROUBLE: says({"error": "internal"}, 500),
    Situation.NONSENSE: says("<html>maintenance</html>"),
    Situation.FOREIGN: says("not found", 404),
    Situation.HANGS_UP: hangs_up,
    Situation.HALF: says_half,
    Situation.SILENT: is_silent,
}


class ServedBench:
    """A rail on the network: what its server says in each situation."""

    def __init__(
        self,
        name: str,
        opener: Opener,
        variables: dict[str, str],
        said: Mapping[Situation, Said],
        *,
        before: Sequence[Said] = (),
        cannot: frozenset[Situation] = frozenset(),
        **changes: Any,
    ) -> None:
        """`before` is what its server says before it comes to a situation."""
        self.name = name
        self.cannot = cannot
        self._before = tuple(before)
        self._opener = opener
        self._variables = variables
        self._said = {**_BROKEN, **said}
        self._changes = changes

    @asynccontextmanager
    async def stand(self, situation: Situation, _house: House) -> AsyncIterator[Stand | None]:
        if situation is not Situation.GONE and situation not in self._said:
            yield None
            return
        async with rail_server(*self._before, self._said.get(situation, 500)) as server:
            url = server.url
            if situation is Situation.GONE:
                url = "http://127.0.0.1:1"
            prefix = f"KPAY_{self.name.upper()}_"
            given = {f"{prefix}{name}": text for name, text in self._variables.items()}
            variables = Variables({**given, f"{prefix}URL": url}, prefix)
            connector: Any = self._opener(variables, place(self.name))
            variables.check()
            wire_of(connector).within = 0.2 if situation is Situation.SILENT else 5.0
            yield Stand(connector, instruction(**self._changes))
            await connector.close()


def wire_of(connector: Any) -> Any:
    return getattr(connector, "_wire", None) or connector._client._wire


class SandboxBench:
    """The sandbox: the telephone number is the situation, and there is no network to fail."""

    name = "sandbox"
    cannot = frozenset(Situation) - {
        Situation.TAKES_IT,
        Situation.HAS_IT_ALREADY,
        Situation.UNDER_WAY,
        Situation.PAID,
        Situation.FAILED,
    }
    _NUMBERS: Mapping[Situation, str] = {
        Situation.TAKES_IT: "237653456789",
        Situation.HAS_IT_ALREADY: "237653456789",
        Situation.UNDER_WAY: "237653456129",
        Situation.PAID: "237653456789",
        Situation.FAILED: "237653456089",
    }

    @asynccontextmanager
    async def stand(self, situation: Situation, house: House) -> AsyncIterator[Stand | None]:
        if situation not in self._NUMBERS:
            yield None
            return
        handed_over = situation in (Situation.TAKES_IT, Situation.HAS_IT_ALREADY)
        clock = ManualClock(NOW if handed_over else NOW + timedelta(seconds=4))
        connector = SandboxConnector(house.database, catalogue(), clock, timedelta(seconds=3))
        told = replace(instruction(), phone_number=self._NUMBERS[situation])
        yield Stand(connector, told)


def _pawapay(status: str, **more: Any) -> Said:
    return says({"payoutId": str(REFERENCE), "status": status, **more})


def _pawapay_found(status: str, amount: str = "15000.0000", **more: Any) -> Said:
    data = {"payoutId": str(REFERENCE), "status": status, "amount": amount, "currency": "XAF"}
    return says({"status": "FOUND", "data": {**data, **more}})


_NO: dict[str, Any] = {
    "failureReason": {"failureCode": "RECIPIENT_NOT_FOUND", "failureMessage": "No."}
}


def _pawapay_bulk(*told: tuple[UUID, str]) -> Said:
    """A list in an order of its own, as nothing says that it is ours."""
    return says(
        [
            {
                "payoutId": str(reference),
                "status": status,
                **(_NO if status == "REJECTED" else {}),
            }
            for reference, status in told
        ]
    )


PAWAPAY = ServedBench(
    "pawapay",
    RAILS["pawapay"],
    {"TOKEN": "a-token"},
    {
        Situation.TAKES_IT: _pawapay("ACCEPTED"),
        Situation.HAS_IT_ALREADY: _pawapay("DUPLICATE_IGNORED"),
        Situation.REFUSES_IT: _pawapay("REJECTED", **_NO),
        Situation.UNDER_WAY: _pawapay_found("ENQUEUED"),
        Situation.PAID: _pawapay_found("COMPLETED"),
        Situation.FAILED: _pawapay_found("FAILED", **_NO),
        Situation.NEVER_SAW_IT: says({"status": "NOT_FOUND"}),
        Situation.PAID_MORE: _pawapay_found("COMPLETED", "15000.01"),
        Situation.LOCKED_OUT: says({"failureReason": {"failureCode": "NO_AUTHENTICATION"}}, 401),
        Situation.CANCELS_IT: _pawapay("ACCEPTED"),
        Situation.PAYS_IT_ALREADY: _pawapay(
            "REJECTED", failureReason={"failureCode": "INVALID_STATE"}
        ),
        Situation.TAKES_SOME: _pawapay_bulk(
            (REFERENCES[2], "REJECTED"),
            (REFERENCES[0], "ACCEPTED"),
            (REFERENCES[1], "DUPLICATE_IGNORED"),
        ),
        Situation.LEAVES_SOME_OUT: _pawapay_bulk((REFERENCES[1], "ACCEPTED")),
        Situation.ANSWERS_FOR_OTHERS: _pawapay_bulk(
            (UUID(int=1), "REJECTED"), (REFERENCES[1], "ACCEPTED"), (REFERENCES[2], "ACCEPTED")
        ),
        Situation.SAYS_TWO_THINGS: _pawapay_bulk(
            (REFERENCES[0], "ACCEPTED"),
            (REFERENCES[0], "REJECTED"),
            (REFERENCES[1], "ACCEPTED"),
            (REFERENCES[2], "REJECTED"),
        ),
    },
)
TINY = ServedBench(
    "tiny",
    open_tiny,
    {"TOKEN": "a-token"},
    {
        Situation.TAKES_IT: says("taken"),
        Situation.HAS_IT_ALREADY: says("taken"),
        Situation.REFUSES_IT: says("no RECIPIENT_NOT_FOUND"),
        Situation.UNDER_WAY: says("taken"),
        Situation.PAID: says("paid 15000 XAF"),
        Situation.FAILED: says("no RECIPIENT_NOT_FOUND"),
        Situation.NEVER_SAW_IT: says("what"),
        Situation.PAID_MORE: says("paid 150000 XAF"),
        Situation.LOCKED_OUT: says("who are you", 401),
    },
)


def _momo(status: str, amount: str = "15000", **more: Any) -> Said:
    told = {"amount": amount, "currency": "EUR", "externalId": str(REFERENCE), "status": status}
    return says({**told, **more})


MTN_MOMO = ServedBench(
    "mtn_momo",
    RAILS["mtn_momo"],
    {
        "CMR_COLLECTION_USER": "a-user",
        "CMR_COLLECTION_KEY": "a-key",
        "CMR_COLLECTION_SUBSCRIPTION": "a-subscription",
        "CMR_DISBURSEMENT_USER": "a-user",
        "CMR_DISBURSEMENT_KEY": "a-key",
        "CMR_DISBURSEMENT_SUBSCRIPTION": "a-subscription",
    },
    {
        Situation.TAKES_IT: says("", 202),
        Situation.HAS_IT_ALREADY: says({"code": "RESOURCE_ALREADY_EXIST"}, 409),
        Situation.UNDER_WAY: _momo("PENDING"),
        Situation.PAID: _momo("SUCCESSFUL"),
        Situation.FAILED: _momo("FAILED", reason="RECIPIENT_NOT_FOUND"),
        Situation.NEVER_SAW_IT: says({"code": "RESOURCE_NOT_FOUND"}, 404),
        Situation.PAID_MORE: _momo("SUCCESSFUL", "15000.01"),
        Situation.LOCKED_OUT: says({"code": "ACCESS_DENIED"}, 401),
    },
    before=(says({"access_token": "a-token", "expires_in": 3600}),),
    # What it does not take it has never seen: a status check says so.
    cannot=frozenset({Situation.REFUSES_IT}),
)
BENCHES: dict[str, Bench] = {
    bench.name: bench for bench in (SandboxBench(), PAWAPAY, MTN_MOMO, TINY)
}
