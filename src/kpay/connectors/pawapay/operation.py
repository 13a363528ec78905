"""What pawaPay's three kinds of operation have in common."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kpay.connectors.model import Instruction


@dataclass(frozen=True, slots=True)
class Operation:
    """One kind: where it lives, what its identifier is called, and what its request says."""

    path: str
    id_field: str
    request: Callable[[Instruction], dict[str, Any]]


def account(instruction: Instruction) -> dict[str, Any]:
    """A payer or a recipient."""
    return {
        "type": "MMO",
        "accountDetails": {
            "phoneNumber": instruction.phone_number,
            "provider": instruction.provider,
        },
    }
