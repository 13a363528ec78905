"""The connector: submit and check, and whatever else of pawaPay's API has a use here.

What each operation's request says is in `deposits.py`, `payouts.py` and `refunds.py`; what the
answers mean is in `answers.py`.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import date
from types import MappingProxyType
from uuid import UUID

from kpay.catalogue.model import OperationType
from kpay.connectors.capabilities import (
    Balance,
    Callback,
    CancelAnswer,
    Condition,
    Judged,
    Predicted,
)
from kpay.connectors.model import Instruction, Outcome, Unknown
from kpay.connectors.pawapay.answers import (
    of_bulk,
    of_cancelling,
    of_resending,
    of_status,
    of_submission,
)
from kpay.connectors.pawapay.balances import fetch_balances
from kpay.connectors.pawapay.callbacks import CallbackJudge
from kpay.connectors.pawapay.client import PawapayClient
from kpay.connectors.pawapay.conditions import fetch_conditions
from kpay.connectors.pawapay.deposits import DEPOSITS
from kpay.connectors.pawapay.operation import Operation
from kpay.connectors.pawapay.payouts import PAYOUTS
from kpay.connectors.pawapay.predictions import fetch_prediction
from kpay.connectors.pawapay.refunds import REFUNDS
from kpay.connectors.pawapay.statements import order_statement, read_statement
from kpay.connectors.statements import Line, RailWallet
from kpay.connectors.variables import Place
from kpay.connectors.wire import NoAnswer

_OPERATIONS: Mapping[OperationType, Operation] = {
    OperationType.DEPOSIT: DEPOSITS,
    OperationType.PAYOUT: PAYOUTS,
    OperationType.REFUND: REFUNDS,
}


class PawapayConnector:
    """A contract with pawaPay."""

    name = "pawapay"
    # A longer call may be rejected, and with it all that is in it.
    most_at_once: Mapping[OperationType, int] = MappingProxyType({OperationType.PAYOUT: 20})

    def __init__(
        self, client: PawapayClient, place: Place, *, unsigned_callbacks: bool = False
    ) -> None:
        self._client = client
        self._callback_url = place.callback_url
        self._judge = CallbackJudge(client, place.clock, unsigned=unsigned_callbacks)

    async def submit(self, instruction: Instruction) -> Outcome:
        """Our reference is pawaPay's idempotency key: the same one twice is carried out once."""
        operation = _OPERATIONS[instruction.type]
        try:
            answer = await self._client.post(operation.path, operation.request(instruction))
        except NoAnswer as problem:
            return Unknown(str(problem))
        return of_submission(answer, instruction, operation.id_field)

    async def submit_many(self, instructions: Sequence[Instruction]) -> Sequence[Outcome]:
        """Some payouts at once; each is taken or not for itself."""
        operation = _OPERATIONS[instructions[0].type]
        wanted = [operation.request(instruction) for instruction in instructions]
        try:
            answer = await self._client.post(f"{operation.path}/bulk", wanted)
        except NoAnswer as problem:
            return [Unknown(str(problem))] * len(instructions)
        return of_bulk(answer, instructions, operation.id_field)

    async def check(self, instruction: Instruction) -> Outcome:
        operation = _OPERATIONS[instruction.type]
        try:
            answer = await self._client.get(f"{operation.path}/{instruction.reference}")
        except NoAnswer as problem:
            return Unknown(str(problem))
        return of_status(answer, instruction, operation.id_field)

    async def cancel(self, instruction: Instruction) -> CancelAnswer:
        """Ask that what is ENQUEUED is called off; pawaPay knows whether it is, and says so."""
        operation = _OPERATIONS[instruction.type]
        path = f"{operation.path}/fail-enqueued/{instruction.reference}"
        try:
            answer = await self._client.ask_for(path)
        except NoAnswer as problem:
            return Unknown(str(problem))
        return of_cancelling(answer, instruction, operation.id_field)

    async def resend_callback(self, type_: OperationType, reference: UUID) -> str | None:
        """pawaPay does so for what has ended, and calls what has not INVALID_STATE."""
        path = f"{_OPERATIONS[type_].path}/resend-callback/{reference}"
        return of_resending(await self._client.ask_for(path), path)

    async def conditions(self) -> Sequence[Condition]:
        return await fetch_conditions(self._client)

    async def balances(self) -> Sequence[Balance]:
        return await fetch_balances(self._client)

    async def predict(self, phone_number: str) -> Predicted | None:
        return await fetch_prediction(self._client, phone_number)

    async def order_statement(self, wallet: RailWallet, day: date) -> str:
        return await order_statement(self._client, wallet, day, self._callback_url)

    def read_statement(self, wallet: RailWallet, day: date, ticket: str) -> AsyncIterator[Line]:
        return read_statement(self._client, wallet, day, ticket)

    async def judge(self, callback: Callback) -> Judged:
        return await self._judge.judge(callback)

    async def close(self) -> None:
        await self._client.close()
