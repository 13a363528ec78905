"""Whose a number is, as pawaPay knows it: it keeps every operator's ranges, ours may be old."""

from __future__ import annotations

from kpay.connectors.capabilities import Predicted
from kpay.connectors.pawapay.client import PawapayClient
from kpay.connectors.wire import NoAnswer

_PATH = "/v2/predict-provider"
_NOBODY_S = "INVALID_PARAMETER"


async def fetch_prediction(client: PawapayClient, phone_number: str) -> Predicted | None:
    """None where it is nobody's number. Raises NoAnswer, also for an answer that is neither."""
    answer = await client.post(_PATH, {"phoneNumber": phone_number})
    said = answer.read_object()
    provider, number = said.get("provider"), said.get("phoneNumber")
    if answer.status == 200 and isinstance(provider, str) and isinstance(number, str):
        return Predicted(provider, number)
    reason = said.get("failureReason")
    code = reason.get("failureCode") if isinstance(reason, dict) else None
    if answer.status in (200, 400) and code == _NOBODY_S:
        return None
    raise NoAnswer(f"{_PATH} answered {answer.status}")
