"""Money in: the payer is asked for a PIN."""

from __future__ import annotations

from typing import Any

from kpay.connectors.model import Instruction
from kpay.connectors.pawapay.operation import Operation, account
from kpay.core.money import rail_text


def _request(instruction: Instruction) -> dict[str, Any]:
    return {
        "depositId": str(instruction.reference),
        "amount": rail_text(instruction.amount),
        "currency": instruction.amount.currency,
        "payer": account(instruction),
    }


DEPOSITS = Operation("/v2/deposits", "depositId", _request)
