"""Money out: from our account's wallet of the country to a recipient's."""

from __future__ import annotations

from typing import Any

from kpay.connectors.model import Instruction
from kpay.connectors.pawapay.operation import Operation, account
from kpay.core.money import rail_text


def _request(instruction: Instruction) -> dict[str, Any]:
    return {
        "payoutId": str(instruction.reference),
        "amount": rail_text(instruction.amount),
        "currency": instruction.amount.currency,
        "recipient": account(instruction),
    }


PAYOUTS = Operation("/v2/payouts", "payoutId", _request)
