"""A deposit given back whole: to whom is what pawaPay knows of the deposit."""

from __future__ import annotations

from typing import Any

from kpay.connectors.model import Instruction
from kpay.connectors.pawapay.operation import Operation
from kpay.core.money import rail_text


def _request(instruction: Instruction) -> dict[str, Any]:
    if instruction.deposit_reference is None:
        raise ValueError("a refund without the deposit that it gives back")
    return {
        "refundId": str(instruction.reference),
        "depositId": str(instruction.deposit_reference),
        "amount": rail_text(instruction.amount),
        "currency": instruction.amount.currency,
    }


REFUNDS = Operation("/v2/refunds", "refundId", _request)
