"""`kpay rail`: what is in service, what is open there, and whether it lets us in."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from kpay import rail_commands
from kpay.app import House
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.rail_commands import ask_rails, read_rails, resend
from kpay.settings import Settings
from tests.client import Merchant
from tests.connectors.door import PUBLIC_URL
from tests.connectors.pawapay_rail import PawapayRail
from tests.connectors.support import says
from tests.connectors.test_conditions import configured
from tests.connectors.test_pawapay_by_simulator import ended, paired


async def asked(house: House) -> Any:
    """What pawaPay answers."""
    (row,) = [row for row in await ask_rails(house) if row["rail"] == "pawapay"]
    return row


async def test_the_rails_are_listed_with_what_they_have_open(live: Merchant) -> None:
    await live.withdraw(phoneNumber="237650000000")
    await live.house.worker.run_until_idle()

    rows = {(row["environment"], row["rail"]): row for row in await read_rails(live.house)}

    pawapay = rows["PRODUCTION", "pawapay"]
    assert pawapay["open"] == 1
    assert pawapay["callbackUrl"] == f"{PUBLIC_URL}/callbacks/pawapay"
    assert pawapay["capabilities"] == [
        "conditions",
        "balances",
        "statements",
        "predictions",
        "callbacks",
        "cancelling",
        "bulk",
        "resending",
    ]
    assert "MTN_MOMO_CMR" in pawapay["providers"]
    assert (rows["TEST", "sandbox"]["callbackUrl"], rows["TEST", "sandbox"]["open"]) == (None, 0)


async def test_a_person_can_copy_the_whole_address_from_the_list(
    live: Merchant, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """However long it is: a table of a narrow terminal would break it in two."""
    rows = await read_rails(live.house)
    address = f"{PUBLIC_URL}/{'a-long-way/' * 12}callbacks/pawapay"
    rows = [{**row, "callbackUrl": row["callbackUrl"] and address} for row in rows]
    monkeypatch.setattr(rail_commands, "with_house", lambda _: rows)

    rail_commands.list_rails()

    assert f"pawapay (PRODUCTION) calls back at {address}\n" in capsys.readouterr().out


@pytest.mark.parametrize("reference", ["KPAY-WD-20261128-6DWCTX", "wdr_01m8h4n169ee9b4j1k77hc2wys"])
def test_who_gives_another_name_than_the_rail_s_is_told_which_one_it_is(
    reference: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended_with:
        rail_commands.resend_callback(reference)

    assert ended_with.value.code == 2
    assert f"{reference} is no providerReference: that is the UUID" in capsys.readouterr().err


async def test_a_rail_that_lets_us_in_tells_terms_and_balances(
    live_house: House, rail: PawapayRail
) -> None:
    rail.configured = configured(DEPOSIT={}, PAYOUT={})
    balances = [{"country": "CMR", "balance": "1000000.50", "currency": "XAF", "provider": ""}]
    rail.instead["/v2/wallet-balances"] = says({"balances": balances})

    told = await asked(live_house)

    assert (told["failed"], told["answers"]) == (False, "terms of 2 operations, 1 balances")
    assert told["balances"] == [{"country": "CMR", "balance": "1,000,000.50 XAF"}]


async def test_a_rail_that_does_not_let_us_in_is_told(live_house: House, rail: PawapayRail) -> None:
    rail.instead["/v2/active-conf"] = says({}, 401)

    told = await asked(live_house)

    assert (told["failed"], told["answers"]) == (True, "no: /v2/active-conf answered 401")


async def test_a_person_is_told_what_to_look_at_where_a_rail_does_not_let_us_in(
    live_house: House,
    rail: PawapayRail,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rail.instead["/v2/active-conf"] = says({}, 401)
    refused = await ask_rails(live_house)

    for rows, code in ((refused, 1), ([row for row in refused if not row["failed"]], 0)):
        monkeypatch.setattr(rail_commands, "with_house", lambda _, rows=rows: rows)
        with pytest.raises(SystemExit) as left:
            rail_commands.check()

        assert left.value.code == code
        assert ("does not take our token or key" in capsys.readouterr().out) == (code == 1)


async def test_half_of_the_balances_are_none(live_house: House, rail: PawapayRail) -> None:
    rail.configured = configured(DEPOSIT={})
    rows = [{"country": "CMR", "balance": "1", "currency": "XAF"}, {"country": "GAB"}]
    rail.instead["/v2/wallet-balances"] = says({"balances": rows})

    assert (await asked(live_house))["failed"]


async def test_what_has_ended_is_called_back_about_again(
    settings: Settings, clock: ManualClock
) -> None:
    """By the rail itself, whose callback comes in and is taken as any other."""
    async with paired(settings, clock, "") as pair:
        made = await pair.merchant.withdraw(amount=1_000, phoneNumber="237650000001")
        await pair.works()
        reference = UUID(made["providerReference"])

        early = await resend(pair.house, reference)
        await ended(pair, [made])
        heard = pair.answers[200]
        told = await resend(pair.house, reference)
        await pair.simulator.agenda.advance(clock, 1)

        assert not early["sent"]
        assert early["why"].endswith("this has not ended there (INVALID_STATE)")
        assert told == {
            "environment": "PRODUCTION",
            "rail": "pawapay",
            "sent": True,
            "why": None,
        }
        assert pair.answers[200] == heard + 1
        assert (await pair.merchant.payout(made))["status"] == "COMPLETED"


async def test_why_a_callback_is_not_sent_again_is_told(live: Merchant, rail: PawapayRail) -> None:
    made = await live.withdraw(phoneNumber="237650000000")
    await live.house.worker.run_until_idle()
    reference = UUID(made["providerReference"])
    rail.instead["/v2/payouts/resend-callback/"] = says({}, 500)

    told = await resend(live.house, reference)

    assert not told["sent"]
    assert told["why"].startswith("no answer: /v2/payouts/resend-callback/")
    routing = live.house.routing
    pawapay = routing.named(Environment.PRODUCTION, "pawapay")
    assert pawapay is not None
    routing.serve(Environment.PRODUCTION, {}, {})
    assert (await resend(live.house, reference))["why"] == "it is not in service"
    routing.serve(Environment.PRODUCTION, {"pawapay": pawapay}, {"*": "pawapay"})
    with pytest.raises(Refusal) as refused:
        await resend(live.house, UUID(int=1))
    assert refused.value.code is Code.NOT_FOUND


async def test_the_sandbox_cannot_call_back_again(merchant: Merchant) -> None:
    made = await merchant.collect(10_000)
    reference = UUID((await merchant.payment(made))["providerReference"])

    assert (await resend(merchant.house, reference))["why"] == "it cannot call back again"
