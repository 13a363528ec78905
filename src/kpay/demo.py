"""`make run`: a server, a demonstration merchant, and the page's scenarios over real HTTP.

Everything is done from outside, as a merchant's program would: each request and its answer are
shown, each figure is checked, and the wallets are shown before and after.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from secrets import token_hex, token_urlsafe
from typing import Any

import aiohttp
from rich.table import Table

from kpay.access.show import shown_application
from kpay.app import House
from kpay.audit.model import Actor
from kpay.core.money import round_half_up
from kpay.core.refusals import Refusal
from kpay.database.ready import Say, ready_database
from kpay.people.model import Role
from kpay.settings import Settings
from kpay.terminal import out
from kpay.web.server import check_port, public_url

_COMPANY = "Demonstration"
_TRIES = 1_000
_BETWEEN_TRIES_SECONDS = 0.02

# What the payers of the demonstration give, so that every wallet can afford the scenarios.
_COLLECTED = (
    ("MTN_MOMO_CMR", "237653456789", 300_000),
    ("AIRTEL_GAB", "24174345678", 100_000),
    ("AIRTEL_COG", "242053456789", 50_000),
)


def play(settings: Settings, *, host: str, port: int, workers: int, once: bool, say: Say) -> int:
    """Serve and play. Returns the exit code: 1 when a figure was off."""
    check_port(host, port)
    # Ended by a supervisor as by a person: the server that it started ends with it.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with ready_database(settings, say=say) as ready:
        merchant = asyncio.run(_demonstration_merchant(ready))
        say("starting the server")
        server = _start_server(ready, host, port, workers)
        try:
            wrong = asyncio.run(_play(f"http://{_reachable(host)}:{port}", merchant, server))
            _tell_result(wrong)
            if once:
                return 1 if wrong else 0
            # People are told the name that links are made of: a session is of one name alone.
            _tell_address(public_url(ready, port), merchant)
            return server.wait()
        except KeyboardInterrupt:
            return 0
        finally:
            server.terminate()
            server.wait()


async def _demonstration_merchant(settings: Settings) -> dict[str, Any]:
    """The demonstration's keys: made by the first start, kept for as long as they are in force."""
    path = settings.home / "demonstration.json"
    house = House(settings)
    await house.open()
    try:
        if path.exists():
            kept: dict[str, Any] = json.loads(path.read_text())
            with suppress(Refusal):
                await house.gate.by_keys(kept["test"]["apiKey"], kept["test"]["secretKey"])
                return kept
        name = f"Shop {token_hex(3).upper()}"
        merchant = shown_application(await house.office.create_application(_COMPANY, name))
        merchant["login"] = await _demonstration_login(house)
    finally:
        await house.close()
    _write_private(path, json.dumps(merchant, indent=2))
    return merchant


async def _demonstration_login(house: House) -> dict[str, str]:
    """Somebody who can sign in to the dashboard, with a password that nobody else has."""
    login = {"email": f"owner-{token_hex(3)}@example.com", "password": token_urlsafe(12)}
    await house.people.staff.create(
        Actor(command="kpay demo"),
        company_name=_COMPANY,
        name="Demonstration Owner",
        role=Role.OWNER,
        **login,
    )
    return login


def _write_private(path: Path, text: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)


def _start_server(
    settings: Settings, host: str, port: int, workers: int
) -> subprocess.Popen[bytes]:
    # The demonstration does not keep its reader waiting: its payments end at once and it may ask as
    # often as it likes what became of them, unless the operator said otherwise.
    env = {
        "KPAY_SANDBOX_DELAY": "0",
        "KPAY_RATE_LIMIT": "0",
        "KPAY_LOG_LEVEL": "warning",
        **os.environ,
        "KPAY_DATABASE_URL": settings.database_url or "",
    }
    options = ["--host", host, "--port", str(port), "--workers", str(workers), "--quiet"]
    return subprocess.Popen([sys.executable, "-m", "kpay", "serve", *options], env=env)  # noqa: S603


def _reachable(host: str) -> str:
    return "127.0.0.1" if host in ("0.0.0.0", "::") else host  # noqa: S104


async def _play(
    base: str, merchant: Mapping[str, Any], server: subprocess.Popen[bytes]
) -> list[str]:
    """Play everything. Returns what was off, in words."""
    async with aiohttp.ClientSession(base) as session:
        await _until_ready(session, server)
        stage = _Stage(session, merchant)
        await stage.sign_in()
        await _collect(stage)
        before = await stage.wallets()
        rate = (await stage.show("GET", "/api/v1/payments/exchange-rate?from=XAF&to=XOF"))["rate"]
        arrived = await _transfers(stage, Decimal(rate))
        await _scenario_1(stage)
        await _scenario_2(stage, Decimal(rate))
        await _scenario_3(stage)
        after = await stage.wallets()
    moved = {
        "CMR": Decimal(-50_000 - 100_000 - 10_000 - 50_000 + 30_000 + 15_000),
        "GAB": Decimal(50_000 - 30_000),
        "COG": Decimal(-15_000),
        "SEN": arrived,
    }
    _show_wallets(before, after)
    for country, change in moved.items():
        stage.expect(
            f"the {country} wallet", after[country][1], before.get(country, _NONE)[1] + change
        )
    return stage.wrong


async def _until_ready(session: aiohttp.ClientSession, server: subprocess.Popen[bytes]) -> None:
    for _ in range(_TRIES):
        if server.poll() is not None:
            raise RuntimeError(f"the server ended with code {server.returncode}")
        try:
            async with session.get("/readyz") as answer:
                if answer.status == 200:
                    return
        except aiohttp.ClientError:
            # Not listening yet.
            pass
        await asyncio.sleep(_BETWEEN_TRIES_SECONDS)
    raise RuntimeError("the server did not become ready")


_NONE = ("", Decimal(0))


@dataclass
class _Stage:
    """Where the scenarios are played: requests are shown with their answers, figures checked."""

    session: aiohttp.ClientSession
    merchant: Mapping[str, Any]
    token: str = ""
    wrong: list[str] = field(default_factory=list)
    # Every run is new to the server: an externalId is used once.
    run: str = field(default_factory=lambda: token_hex(3).upper())

    async def sign_in(self) -> None:
        _title("A token for the wallets")
        self.token = (await self.show("POST", "/api/v1/payments/token", {}))["accessToken"]

    async def send(self, method: str, path: str, body: object = None) -> tuple[int, str]:
        async with self.session.request(
            method, path, json=body, headers=self._headers(path)
        ) as answer:
            return answer.status, await answer.text()

    async def show(self, method: str, path: str, body: object = None, status: int = 0) -> Any:
        """Send, show both sides, check the status, and give the answer with exact numbers."""
        out.print(f"\n[bold cyan]{method} {path}[/bold cyan]")
        if body:
            out.print_json(data=body, indent=2)
        got, text = await self.send(method, path, body)
        out.print(f"[dim]→ {got}[/dim]")
        out.print_json(_without_token(text), indent=2)
        wanted = status or (200 if method == "GET" else 201)
        self.expect(f"the status of {method} {path}", got, wanted)
        return json.loads(text, parse_float=Decimal)

    async def wallets(self) -> dict[str, tuple[str, Decimal]]:
        """Currency and available balance by country."""
        _, text = await self.send("GET", "/api/wallets/overview")
        rows = json.loads(text, parse_float=Decimal)["wallets"]
        return {row["country"]: (row["currency"], Decimal(row["availableBalance"])) for row in rows}

    async def ended(self, path: str) -> Any:
        """The operation once it has ended."""
        for _ in range(_TRIES):
            _, text = await self.send("GET", path)
            operation = json.loads(text, parse_float=Decimal)
            if operation["status"] not in ("PENDING", "PROCESSING"):
                return operation
            await asyncio.sleep(_BETWEEN_TRIES_SECONDS)
        return operation

    def expect(self, what: str, got: object, wanted: object) -> None:
        if got != wanted:
            self.wrong.append(f"{what} is {got}, expected {wanted}")

    def _headers(self, path: str) -> dict[str, str]:
        if path.startswith("/api/wallets/"):
            return {"Authorization": f"Bearer {self.token}"}
        keys = self.merchant["test"]
        return {"X-API-Key": keys["apiKey"], "X-Secret-Key": keys["secretKey"]}


async def _collect(stage: _Stage) -> None:
    _title("Customers pay: each country's money goes to its own wallet")
    for provider, phone, amount in _COLLECTED:
        payment = await stage.show(
            "POST",
            "/api/v1/payments/init",
            {
                "amount": amount,
                "provider": provider,
                "phoneNumber": phone,
                "externalId": f"ORDER-{provider}-{stage.run}",
            },
        )
        ended = await stage.ended(f"/api/v1/payments/{payment['id']}")
        stage.expect(f"the payment by {provider}", ended["status"], "COMPLETED")
        stage.expect(f"the net by {provider}", ended["netAmount"], amount * 95 // 100)


async def _transfers(stage: _Stage, rate: Decimal) -> Decimal:
    _title("Transfers between wallets, in one currency and across two")
    await _transfer(stage, "CMR", "GAB", 50_000, "TRF-001", "Fund transfer CMR to GAB")
    answer = await _transfer(stage, "CMR", "SEN", 100_000, "TRF-002", "Supply Senegal wallet")
    arrived = round_half_up(100_000 * rate, 2)
    stage.expect("what arrives in Senegal", answer["destinationTransaction"]["amount"], arrived)
    return arrived


async def _scenario_1(stage: _Stage) -> None:
    _title("Scenario 1: direct payout in the same currency")
    await _withdraw(stage, 10_000, "ORANGE_GAB", "PAYOUT-001", "Supplier payment Gabon", None)


async def _scenario_2(stage: _Stage, rate: Decimal) -> None:
    _title("Scenario 2: cross-currency payout in a single call")
    arrives = round_half_up(47_500 * rate, 2)
    await _withdraw(
        stage, 50_000, "MTN_MOMO_CIV", "PAYOUT-002", "Supplier payment Côte d'Ivoire", arrives
    )


async def _scenario_3(stage: _Stage) -> None:
    _title("Scenario 3: consolidate funds in one wallet")
    await _transfer(stage, "GAB", "CMR", 30_000, "TRF-003", "Consolidation")
    await _transfer(stage, "COG", "CMR", 15_000, "TRF-004", "Consolidation")


async def _transfer(
    stage: _Stage, source: str, destination: str, amount: int, external_id: str, description: str
) -> Any:
    return await stage.show(
        "POST",
        "/api/wallets/transfer",
        {
            "applicationId": stage.merchant["application"]["id"],
            "sourceCountry": source,
            "destinationCountry": destination,
            "amount": amount,
            "description": description,
            "externalId": f"{external_id}-{stage.run}",
        },
    )


async def _withdraw(
    stage: _Stage,
    amount: int,
    provider: str,
    external_id: str,
    description: str,
    arrives: Decimal | None,
) -> None:
    answer = await stage.show(
        "POST",
        "/api/v1/payments/withdraw",
        {
            "amount": amount,
            "provider": provider,
            "phoneNumber": "237653456789",
            "sourceCountry": "CMR",
            "externalId": f"{external_id}-{stage.run}",
            "description": description,
        },
    )
    fee = amount * 5 // 100
    stage.expect(f"the fee to {provider}", answer.get("feeAmount"), fee)
    stage.expect(f"the net to {provider}", answer.get("netAmount"), amount - fee)
    stage.expect(f"what arrives by {provider}", answer.get("payoutAmount"), arrives)
    ended = await stage.ended(f"/api/v1/payments/withdraw/{answer['id']}")
    stage.expect(f"the payout by {provider}", ended["status"], "COMPLETED")
    sent = ended["attempts"][0]["sent"]
    out.print(
        f"[green]{ended['status']}[/green]: the operator was told to pay {sent['amount']} "
        f"{sent['currency']} to {sent['phoneNumber']}"
    )


def _without_token(text: str) -> str:
    """The answer as it is shown: a token is a secret, so only its beginning is."""
    answer = json.loads(text)
    if isinstance(answer, dict) and "accessToken" in answer:
        answer["accessToken"] = answer["accessToken"][:12] + "…"
        return json.dumps(answer)
    return text


def _title(words: str) -> None:
    out.print()
    out.rule(f"[bold]{words}[/bold]", align="left")


def _show_wallets(
    before: Mapping[str, tuple[str, Decimal]], after: Mapping[str, tuple[str, Decimal]]
) -> None:
    _title("The wallets")
    table = Table()
    table.add_column("Country")
    table.add_column("Currency")
    for title in ("Before", "After", "Change"):
        table.add_column(title, justify="right")
    for country, (currency, balance) in after.items():
        earlier = before.get(country, _NONE)[1]
        table.add_row(
            country, currency, f"{earlier:,.2f}", f"{balance:,.2f}", f"{balance - earlier:+,.2f}"
        )
    out.print(table)


def _tell_result(wrong: Sequence[str]) -> None:
    if not wrong:
        out.print("[green]Every figure is as the page says.[/green]")
    for words in wrong:
        out.print(f"[red]Off: {words}[/red]")


def _tell_address(base: str, merchant: Mapping[str, Any]) -> None:
    _title("Serving until Ctrl-C")
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_row("address", base)
    table.add_row("dashboard", f"{base}/dashboard")
    if login := merchant.get("login"):
        table.add_row("e-mail", login["email"])
        table.add_row("password", login["password"])
    table.add_row("reference", f"{base}/api/docs")
    table.add_row("application", merchant["application"]["id"])
    table.add_row("X-API-Key", merchant["test"]["apiKey"])
    table.add_row("X-Secret-Key", merchant["test"]["secretKey"])
    out.print(table)
