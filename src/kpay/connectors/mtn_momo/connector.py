"""The connector: payers are asked by the collection product, and paid by the disbursement product.

A refund is a transfer to whoever paid: it comes out of the disbursement account.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from msgspec.structs import replace

from kpay.catalogue.model import OperationType
from kpay.connectors.amounts import read_rail_amount
from kpay.connectors.capabilities import Balance, Callback, Doubted, Heard, Judged
from kpay.connectors.model import Accepted, Instruction, Outcome, Unknown
from kpay.connectors.mtn_momo.answers import of_status, of_submission
from kpay.connectors.mtn_momo.pacing import ask_after
from kpay.connectors.mtn_momo.product import Account, NoToken, Product
from kpay.connectors.wire import NoAnswer, Wire
from kpay.core.clock import Clock
from kpay.core.money import rail_text

_COLLECT = "/v1_0/requesttopay"
_PAY = "/v1_0/transfer"
_NOTE = "KPay"


class MtnMomoConnector:
    """Contracts with MTN, by the provider that each reaches."""

    name = "mtn_momo"

    def __init__(self, wire: Wire, accounts: Mapping[str, Account], clock: Clock) -> None:
        self._wire = wire
        self._accounts = accounts
        self._clock = clock

    @property
    def providers(self) -> frozenset[str]:
        return frozenset(self._accounts)

    async def submit(self, instruction: Instruction) -> Outcome:
        """Our reference is MTN's reference id: the same one twice is carried out once."""
        product, path = self._way(instruction)
        party = "payer" if path == _COLLECT else "payee"
        wanted = {
            "amount": rail_text(instruction.amount),
            "currency": product.currency(instruction.amount.currency),
            "externalId": str(instruction.reference),
            party: {"partyIdType": "MSISDN", "partyId": instruction.phone_number},
            "payerMessage": _NOTE,
            "payeeNote": _NOTE,
        }
        try:
            return of_submission(await product.post(path, str(instruction.reference), wanted))
        except NoAnswer as problem:
            return _unknown(problem)

    async def check(self, instruction: Instruction) -> Outcome:
        """At the pace that MTN bears, and seldomer the longer it does not say how it ends."""
        product, path = self._way(instruction)
        try:
            answer = await product.read_status(f"{path}/{instruction.reference}")
        except NoAnswer as problem:
            return _unknown(problem)
        if answer is None:
            found: Outcome = Unknown("it was not asked: too many wait for their status")
        else:
            found = of_status(answer, instruction, product.currency(instruction.amount.currency))
        if isinstance(found, Accepted | Unknown):
            return replace(found, ask_after=ask_after(instruction, self._clock.now()))
        return found

    async def balances(self) -> Sequence[Balance]:
        """What can be paid out of, a country each."""
        found = []
        for provider, account in self._accounts.items():
            answer = await account.disbursement.get("/v1_0/account/balance")
            said = answer.read_object()
            amount = read_rail_amount(said.get("availableBalance"), said.get("currency"))
            if answer.status != 200 or amount is None:
                raise NoAnswer(f"the balance of {provider} was answered {answer.status}")
            found.append(Balance(account.country, amount, provider))
        return found

    async def judge(self, callback: Callback) -> Judged:
        """MTN signs nothing: who knows our reference may say that there is something to ask."""
        try:
            told = json.loads(callback.body)
            return Heard(UUID(told["externalId"]), proved=False)
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError):
            return Doubted("it names no operation")

    async def close(self) -> None:
        await self._wire.close()

    def _way(self, instruction: Instruction) -> tuple[Product, str]:
        account = self._accounts[instruction.provider]
        if instruction.type is OperationType.DEPOSIT:
            return account.collection, _COLLECT
        return account.disbursement, _PAY


def _unknown(problem: Any) -> Unknown:
    return Unknown(str(problem), alarm=isinstance(problem, NoToken) and problem.alarm)
