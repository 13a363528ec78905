"""What our account's wallets hold, a country each."""

from __future__ import annotations

from kpay.connectors.amounts import read_rail_amount
from kpay.connectors.capabilities import Balance
from kpay.connectors.pawapay.client import PawapayClient
from kpay.connectors.wire import NoAnswer


async def fetch_balances(client: PawapayClient) -> list[Balance]:
    """Raises NoAnswer, also where a balance cannot be read: half of them would be a wrong sum."""
    answer = await client.get("/v2/wallet-balances")
    rows = answer.read_object().get("balances")
    if answer.status != 200 or not isinstance(rows, list):
        raise NoAnswer(f"/v2/wallet-balances answered {answer.status}")
    found = []
    for row in rows:
        amount = read_rail_amount(row.get("balance"), row.get("currency"))
        country = row.get("country")
        if amount is None or not isinstance(country, str):
            raise NoAnswer("/v2/wallet-balances has a row that cannot be read")
        found.append(Balance(country, amount, row.get("provider") or None))
    return found
