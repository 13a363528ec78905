"""What a rail can do besides taking instructions: found out from what its connector implements.

A connector lists nothing: it has the method or it has not.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Protocol, TypeAlias, runtime_checkable
from uuid import UUID

import msgspec

from kpay.catalogue.model import OperationType
from kpay.connectors.model import Connector, Evidence, Instruction, Outcome, Unknown
from kpay.core.limits import Limits
from kpay.core.money import Money

OPERATIONAL = "OPERATIONAL"
DELAYED = "DELAYED"
CLOSED = "CLOSED"


class Condition(msgspec.Struct, frozen=True):
    """On which terms a rail carries out one operation of a provider at present.

    `status` is OPERATIONAL, DELAYED or CLOSED; what it does not say is None.
    """

    provider: str
    operation: OperationType
    currency: str
    status: str
    decimals: int | None = None
    limits: Limits | None = None


class Balance(msgspec.Struct, frozen=True):
    """What our account at a rail holds for one country."""

    country: str
    amount: Money
    provider: str | None = None


class Callback(msgspec.Struct, frozen=True):
    """A request that came in from a rail, or from anybody. Header names are in lower case.

    `url` is the address that the rail was given, not the one that a proxy made of it.
    """

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes
    received_at: datetime


class Heard(msgspec.Struct, frozen=True):
    """A callback that is the rail's own, and the reference that it is about.

    `proved` where a signature shows that. Where a rail signs nothing, little is kept of what comes
    in, and only of what is open.
    """

    reference: UUID
    proved: bool = True


class Aside(msgspec.Struct, frozen=True):
    """A callback that is the rail's own and about no operation: it is answered, and not kept."""

    why: str


class Doubted(msgspec.Struct, frozen=True):
    """A callback that is not known to be the rail's; it counts for nothing."""

    why: str


class NotNow(msgspec.Struct, frozen=True):
    """It cannot be judged at this moment: the rail is to send it again."""

    why: str


Judged: TypeAlias = Heard | Aside | Doubted | NotNow


class Cancelling(msgspec.Struct, frozen=True):
    """The rail takes it that something is not to be paid. That it is not, a status says later."""

    raw: Evidence = msgspec.field(default_factory=dict)


class Declined(msgspec.Struct, frozen=True):
    """The rail does not cancel it, with its code for why: nothing has changed there."""

    code: str
    raw: Evidence = msgspec.field(default_factory=dict)


CancelAnswer: TypeAlias = Cancelling | Declined | Unknown


@runtime_checkable
class Limited(Protocol):
    """Serves some providers only."""

    @property
    def providers(self) -> frozenset[str]: ...


@runtime_checkable
class Closing(Protocol):
    """Holds connections that have to be let go of."""

    async def close(self) -> None: ...


@runtime_checkable
class TellsConditions(Protocol):
    """Tells limits, decimals and availability. Raises NoAnswer where it cannot now."""

    async def conditions(self) -> Sequence[Condition]: ...


@runtime_checkable
class TellsBalances(Protocol):
    """Tells what our account there holds. Raises NoAnswer where it cannot now."""

    async def balances(self) -> Sequence[Balance]: ...


class Predicted(msgspec.Struct, frozen=True):
    """Whose a telephone number most likely is, and the number as the rail writes it."""

    provider: str
    phone_number: str


@runtime_checkable
class PredictsProviders(Protocol):
    """Tells which operator serves a telephone number. Raises NoAnswer where it cannot now.

    None is nobody's number, as far as the rail knows.
    """

    async def predict(self, phone_number: str) -> Predicted | None: ...


@runtime_checkable
class JudgesCallbacks(Protocol):
    """Calls back, and its callbacks can be told from anybody else's."""

    async def judge(self, callback: Callback) -> Judged: ...


@runtime_checkable
class CancelsEnqueued(Protocol):
    """Can cancel what waits there for its operator. Raises nothing for business.

    Asked for one instruction twice, it cancels it once; what it is paying already, it pays.
    """

    async def cancel(self, instruction: Instruction) -> CancelAnswer: ...


@runtime_checkable
class SubmitsMany(Protocol):
    """Takes several instructions of one type in one call, each with an outcome of its own.

    Outcomes are in the order of the instructions. What the answer leaves out is unknown, and where
    there is no answer, all are.
    """

    @property
    def most_at_once(self) -> Mapping[OperationType, int]:
        """How many one call takes at most; a type that is not there goes one by one."""

    async def submit_many(self, instructions: Sequence[Instruction]) -> Sequence[Outcome]: ...


@runtime_checkable
class ResendsCallbacks(Protocol):
    """Calls back again when it is asked to. Raises NoAnswer where it cannot tell now.

    Returned is its reason where it does not, None where it does.
    """

    async def resend_callback(self, type_: OperationType, reference: UUID) -> str | None: ...


def serves(connector: Connector, provider: str) -> bool:
    """Whether a connector can reach a provider at all."""
    return not isinstance(connector, Limited) or provider in connector.providers


def most_at_once(connector: Connector | None, type_: OperationType) -> int:
    """How many instructions of a type a connector takes in one call."""
    if connector is not None and isinstance(connector, SubmitsMany):
        return connector.most_at_once.get(type_, 1)
    return 1
