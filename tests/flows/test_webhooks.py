from tests.client import Merchant
from tests.receivers import listening
from tests.soundness import assert_sound
BASE="/api/v1/payments/webhooks"
async def test_first(merchant: Merchant, database_url: str) -> None:
    async with listening() as receiver:
        r = await merchant.keys.send("PUT", f"{BASE}/generic", {"url": receiver.url})
        assert r.status == 200, r.raw
        await merchant.collect(10_000)
        assert receiver.events == ["payment.completed"]
        print(receiver.heard[0].headers, receiver.heard[0].raw)
        rows = await merchant.keys.send("GET", f"{BASE}/deliveries")
        print(rows.raw)
        one = await merchant.keys.send("GET", f"{BASE}/deliveries/{rows['data'][0]['id']}")
        print(one.raw)
        t = await merchant.keys.send("POST", f"{BASE}/test", {})
        print(t.raw)
        a = await merchant.keys.send("POST", f"{BASE}/replay", {"from": "2026-01-01"})
        print(a.raw)
        a = await merchant.keys.send("POST", f"{BASE}/deliveries/{rows['data'][0]['id']}/replay")
        print(a.raw)
        await merchant.house.worker.run_until_idle()
        print(receiver.events)
    await assert_sound(database_url)
