"""Our pawaPay connector and the whole house behind it, against the rail simulator at its worst.

Both sides go by one clock. What the house says of each payout and what the rail's own books say
must be the same at the end: a payout that the rail paid is COMPLETED here, and was paid once.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from kpay.app import House
from kpay.catalogue.model import OperationType
from kpay.contradictions.model import What
from kpay.core.clock import ManualClock
from kpay.rail_simulator.books import Status
from kpay.rail_simulator.misbehaviour import MARKED
from kpay.rail_simulator.scenario import read_scenario
from kpay.rail_simulator.server import Options, Simulator, serving
from kpay.rail_simulator.signatures import PublicKey, load_signing_key
from kpay.settings import Settings
from tests.client import Answer, Browser, Merchant
from tests.houses import opened

PUBLIC_URL = "https://pay.example.com"
WORST = """
seed = 11
[[rules]]
operation = "DEPOSIT"
answer = "prompt"
[[rules]]
operation = "PAYOUT"
ends_after = [0, 90]
answer = { prompt = 3, slow = 1, timeout_before = 1, timeout_after = 1, error_before = 1, \
error_after = 1, gateway_error = 1, nonsense = 1 }
outcome = { completed = 7, RECIPIENT_NOT_FOUND = 2, rejected = 1 }
path = { direct = 4, reconciled = 1 }
callback = { once = 2, first = 1, twice = 1, late = 1, out_of_order = 1, contradictory = 1, \
contradictory_first = 1, never = 1 }
signature = { good = 8, tampered = 1, missing = 1 }
status = { honest = 4, stale = 2, missing = 2, error = 2 }
bulk = { whole = 1, cut = 1, short = 1, partial = 1, left_out = 1, reversed = 1 }
"""


@dataclass
class Pair:
    """A house and the rail that serves its production."""

    house: House
    simulator: Simulator
    clock: ManualClock
    merchant: Merchant
    answers: Counter[int | None]

    async def works(self) -> None:
        """The worker does all that is due, and answers that are held back come in their time."""
        task = asyncio.create_task(self.house.worker.run_until_idle())
        while not task.done():
            await asyncio.wait([task], timeout=0.02)
            if self.simulator.agenda.waiting:
                await self.simulator.agenda.advance(self.clock, 20)
        await task

    async def pass_seconds(self, seconds: int) -> None:
        await self.simulator.agenda.advance(self.clock, seconds)
        await self.works()

    def truth(self, reference: str) -> Status | None:
        found = self.simulator.rail.books.find(OperationType.PAYOUT, reference)
        return None if found is None else found.status


@asynccontextmanager
async def paired(
    settings: Settings, clock: ManualClock, scenario: str, key_file: Path | None = None
) -> AsyncIterator[Pair]:
    """With a `key_file` our requests are signed, and others are refused."""
    doors: list[Browser] = []
    answers: Counter[int | None] = Counter()

    async def post(url: str, headers: Mapping[str, str], body: bytes) -> int | None:
        path = url.removeprefix(PUBLIC_URL)
        answer = await doors[0].send("POST", path, raw=body, headers=headers)
        answers[answer.status] += 1
        return answer.status

    options = Options(
        token="a-token",
        scenario=read_scenario(scenario),
        callback_url=f"{PUBLIC_URL}/callbacks/pawapay",
        request_keys={} if key_file is None else {"ours": public_half(key_file)},
    )
    simulator = Simulator(options, clock, post)
    async with serving(simulator, "127.0.0.1", 0) as url:
        variables = {"KPAY_PAWAPAY_TOKEN": "a-token", "KPAY_PAWAPAY_URL": url}
        if key_file is not None:
            variables |= {"KPAY_PAWAPAY_KEY_FILE": str(key_file), "KPAY_PAWAPAY_KEY_ID": "ours"}
        async with opened(
            settings,
            clock,
            rails={"*": "pawapay"},
            rail_variables=variables,
            public_url=PUBLIC_URL,
        ) as house:
            merchant = await (await Merchant.join(house)).live()
            doors.append(Browser(merchant.api))
            pair = Pair(house, simulator, clock, merchant, answers)
            made = await merchant.pay(amount=1_000_000, phoneNumber="237650000000")
            assert made.status == 201, made.raw
            await pair.works()
            await pair.pass_seconds(30)
            assert (await merchant.payment(made))["status"] == "COMPLETED"
            yield pair


async def ended(pair: Pair, made: list[Answer]) -> list[Answer]:
    """Every payout once it has ended."""
    for _ in range(120):
        await pair.pass_seconds(60)
        found = [await pair.merchant.payout(one) for one in made]
        if all(one["status"] in ("COMPLETED", "FAILED") for one in found):
            return found
    raise AssertionError([(one["status"], one["attempts"][-1]) for one in found])


async def test_at_the_worst_each_payout_is_paid_at_most_once_and_both_sides_agree(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, WORST) as pair:
        made = [
            await pair.merchant.withdraw(
                amount=1_000 + 10 * number, phoneNumber=f"23765000{number:04d}"
            )
            for number in range(60)
        ]
        await pair.works()

        found = await ended(pair, made)

        for payout in found:
            truth = pair.truth(payout["providerReference"])
            assert (payout["status"] == "COMPLETED") is (truth is Status.COMPLETED), payout.json
        assert list(pair.simulator.rail.books.unsound()) == []
        counted = Counter(payout["status"] for payout in found)
        assert counted["COMPLETED"] > 20
        assert counted["FAILED"] > 5
        # A callback that was tampered with, or not signed, was not taken at first.
        assert pair.answers[200] > 20
        assert pair.answers.total() > pair.answers[200]


@pytest.mark.parametrize(
    "mark", [mark for mark, said in sorted(MARKED.items()) if said != ("outcome", "stuck")]
)
async def test_each_misbehaviour_alone(settings: Settings, clock: ManualClock, mark: str) -> None:
    async with paired(settings, clock, "") as pair:
        if MARKED[mark] == ("status", "contradictory"):
            pytest.skip("a status that lies is believed: nothing else says more")
        made = await pair.merchant.withdraw(amount=1_000, phoneNumber=f"2376500666{mark}")
        assert made.status == 201, made.raw
        await pair.works()

        (payout,) = await ended(pair, [made])

        paid = pair.truth(payout["providerReference"]) is Status.COMPLETED
        assert (payout["status"] == "COMPLETED") is paid
        refuses = MARKED[mark] in (("outcome", "rejected"), ("outcome", "UNSPECIFIED_FAILURE"))
        assert paid is not refuses


def public_half(file: Path) -> PublicKey:
    return load_signing_key(file.read_bytes()).public_key()


async def test_our_signed_requests_are_taken_and_a_refund_finds_its_deposit(
    settings: Settings, clock: ManualClock, tmp_path: Path
) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(
        ec.generate_private_key(ec.SECP256R1()).private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    async with paired(settings, clock, "", file) as pair:
        made = await pair.merchant.withdraw(amount=1_000, phoneNumber="237650000001")
        more = await pair.merchant.pay(amount=10_000, phoneNumber="237650000000")
        await pair.works()
        await pair.pass_seconds(30)
        assert (await pair.merchant.payout(made))["status"] == "COMPLETED"
        refund = await pair.merchant.refund(more)
        assert refund.status == 201, refund.raw
        await pair.works()
        await pair.pass_seconds(30)

        assert (await pair.merchant.refunded(refund))["status"] == "COMPLETED"
        assert pair.simulator.rail.books.counts() == {
            "DEPOSIT": {"COMPLETED": 2},
            "PAYOUT": {"COMPLETED": 1},
            "REFUND": {"COMPLETED": 1},
        }


async def test_a_payout_waits_for_an_operator_that_is_delayed(
    settings: Settings, clock: ManualClock
) -> None:
    delayed = """
        [[operators]]
        provider = "MTN_MOMO_CMR"
        status = "DELAYED"
        after = 60
        [[operators]]
        provider = "MTN_MOMO_CMR"
        status = "OPERATIONAL"
        after = 7200
    """
    async with paired(settings, clock, delayed) as pair:
        await pair.pass_seconds(60)
        made = await pair.merchant.withdraw(amount=1_000, phoneNumber="237650000001")
        await pair.works()
        await pair.pass_seconds(3_600)
        payout = await pair.merchant.payout(made)
        assert payout["status"] == "PROCESSING"
        assert pair.truth(payout["providerReference"]) is Status.ENQUEUED

        (payout,) = await ended(pair, [made])

        assert payout["status"] == "COMPLETED"


def lying(callback: str, status: str) -> str:
    """Payouts of 1,000 misbehave in these two ways at once; the callback comes after our check."""
    return f"""
        [[rules]]
        operation = "PAYOUT"
        status = "{status}"
        callback = "{callback}"
        late_for = 300
        outcome = "completed"
    """


async def test_a_status_that_lied_is_found_out_by_the_callback_that_comes_late(
    settings: Settings, clock: ManualClock
) -> None:
    async with paired(settings, clock, lying("late", "contradictory")) as pair:
        made = await pair.merchant.withdraw(amount=1_000, phoneNumber="237650000001")
        await pair.works()
        await pair.pass_seconds(30)
        assert (await pair.merchant.payout(made))["status"] == "FAILED"
        held = await pair.merchant.wallets()
        await pair.pass_seconds(300)
        await pair.pass_seconds(60)

        (found,) = await pair.house.contradictions.list()
        assert (found.what, found.status) == (What.PAID_AFTER_FAILED, "FAILED")
        assert pair.truth(str(found.reference)) is Status.COMPLETED
        assert await pair.merchant.wallets() == held


@pytest.mark.parametrize("callback", ["twice", "late", "out_of_order", "contradictory"])
async def test_callbacks_after_the_end_cost_one_check_and_find_nothing_where_nothing_is(
    settings: Settings, clock: ManualClock, callback: str
) -> None:
    async with paired(settings, clock, lying(callback, "honest")) as pair:
        made = await pair.merchant.withdraw(amount=1_000, phoneNumber="237650000001")
        await pair.works()
        # It has ended before the callbacks that come after the first.
        for seconds in (2, 2, 2, *[30] * 30):
            await pair.pass_seconds(seconds)

        payout = await pair.merchant.payout(made)
        assert payout["status"] == "COMPLETED"
        asked = [(each["action"], each["outcome"]) for each in payout["attempts"]]
        assert asked == [("submit", "accepted"), ("check", "paid"), ("check", "paid")]
        assert await pair.house.contradictions.list(open_only=False) == []
