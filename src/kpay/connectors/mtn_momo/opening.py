"""The connector as an operator configured it: `KPAY_MTN_MOMO_CMR_…` for each country's contract."""

from __future__ import annotations

import re
from collections.abc import Mapping

from kpay.connectors.mtn_momo.connector import MtnMomoConnector
from kpay.connectors.mtn_momo.pacing import MOST_READS
from kpay.connectors.mtn_momo.product import Account, Credentials, Product
from kpay.connectors.variables import Place, Variables
from kpay.connectors.wire import Wire
from kpay.core.book import Environment

_ADDRESSES: Mapping[Environment, str] = {
    Environment.PRODUCTION: "https://proxy.momoapi.mtn.com",
    Environment.TEST: "https://sandbox.momodeveloper.mtn.com",
}
_SANDBOX = "sandbox"
# Two processes together stay within what MTN allows.
_USUAL_READS = 5
# What MTN calls each country where we know it to be.
_TARGETS: Mapping[str, str] = {
    "BEN": "mtnbenin",
    "CIV": "mtnivorycoast",
    "CMR": "mtncameroon",
    "COG": "mtncongo",
    "GHA": "mtnghana",
    "RWA": "mtnrwanda",
    "UGA": "mtnuganda",
    "ZMB": "mtnzambia",
}


def open_mtn_momo(variables: Variables, place: Place) -> MtnMomoConnector:
    """What is wrong is noted with the variables, which whoever called asks afterwards."""
    wire = Wire()
    url = variables.address("URL", _ADDRESSES[place.environment])
    callback_url = _callback_url(variables, place)
    reads = variables.read("STATUS_READS", _reads, _USUAL_READS)
    accounts = {}
    for country, target in _TARGETS.items():
        if variables.any_of(f"{country}_"):
            target = _SANDBOX if place.environment is Environment.TEST else target
            collection, disbursement = (
                Product(
                    name,
                    wire,
                    url,
                    target,
                    _credentials(variables, f"{country}_{name.upper()}"),
                    place.clock,
                    callback_url,
                    reads,
                )
                for name in ("collection", "disbursement")
            )
            accounts[f"MTN_MOMO_{country}"] = Account(country, collection, disbursement)
    if not accounts:
        variables.wrong("CMR_COLLECTION_USER", "must be set, or that of another country")
    return MtnMomoConnector(wire, accounts, place.clock)


def _credentials(variables: Variables, product: str) -> Credentials:
    return Credentials(
        user=variables.needed(f"{product}_USER"),
        key=variables.secret(f"{product}_KEY"),
        subscription=variables.secret(f"{product}_SUBSCRIPTION"),
    )


def _reads(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,2}", text) or not 1 <= int(text) <= MOST_READS:
        raise ValueError(f"must be a whole number from 1 to {MOST_READS}")
    return int(text)


def _callback_url(variables: Variables, place: Place) -> str | None:
    """None unless it is wanted: MTN refuses everything that names a host it was not told before."""
    if variables.text("CALLBACKS", "0") not in ("0", "1"):
        variables.wrong("CALLBACKS", "must be 1 (on) or 0 (off)")
    if variables.text("CALLBACKS", "0") != "1":
        return None
    if not place.callback_url.startswith("https://"):
        variables.wrong("CALLBACKS", "needs a KPAY_PUBLIC_URL that begins with https://")
    return place.callback_url
