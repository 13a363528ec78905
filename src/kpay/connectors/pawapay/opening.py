"""The connector as an operator configured it: `KPAY_PAWAPAY_…`, `KPAY_TEST_PAWAPAY_…`."""

from __future__ import annotations

from collections.abc import Mapping

from kpay.connectors.pawapay.client import PawapayClient
from kpay.connectors.pawapay.connector import PawapayConnector
from kpay.connectors.signatures import Signer
from kpay.connectors.variables import Place, Variables
from kpay.connectors.wire import Wire
from kpay.core.book import Environment

_ADDRESSES: Mapping[Environment, str] = {
    Environment.PRODUCTION: "https://api.pawapay.io",
    Environment.TEST: "https://api.sandbox.pawapay.io",
}


def open_pawapay(variables: Variables, place: Place) -> PawapayConnector:
    """What is wrong is noted with the variables, which whoever called asks afterwards."""
    client = PawapayClient(
        Wire(),
        variables.address("URL", _ADDRESSES[place.environment]),
        variables.secret("TOKEN"),
        place.clock,
        _signer(variables),
    )
    return PawapayConnector(
        client,
        place,
        unsigned_callbacks=variables.read("UNSIGNED_CALLBACKS", _switch, False),
    )


def _signer(variables: Variables) -> Signer | None:
    pem = variables.file("KEY_FILE")
    key_id = variables.text("KEY_ID")
    if pem is None:
        if key_id:
            variables.wrong("KEY_ID", f"is of no use without {variables.prefix}KEY_FILE")
        return None
    if not key_id:
        variables.wrong(
            "KEY_ID", f"must be what pawaPay calls the key of {variables.prefix}KEY_FILE"
        )
    try:
        return Signer(pem, key_id)
    except ValueError as problem:
        variables.wrong("KEY_FILE", str(problem))
        return None


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 1 (on) or 0 (off)")
    return text == "1"
