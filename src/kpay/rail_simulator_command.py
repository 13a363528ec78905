"""`kpay rail-simulator`: a rail that misbehaves on purpose, to be used in place of pawaPay."""

from __future__ import annotations

import asyncio
import secrets
import signal
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from cyclopts import Parameter

from kpay.terminal import AsJson, err, fail, out, print_json

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey

    from kpay.rail_simulator.scenario import Scenario
    from kpay.rail_simulator.server import Options
    from kpay.rail_simulator.signatures import PublicKey


def rail_simulator(
    *,
    host: Annotated[str, Parameter(help="The address to listen on.")] = "127.0.0.1",
    port: Annotated[int, Parameter(help="The port to listen on; 0 for any free one.")] = 9090,
    scenario: Annotated[
        Path | None, Parameter(help="What goes wrong: TOML or JSON, see docs/rail-simulator.md.")
    ] = None,
    seed: Annotated[int | None, Parameter(help="In place of the scenario's own.")] = None,
    token: Annotated[
        str | None, Parameter(help="What merchants call with; made up unless given.")
    ] = None,
    callback_url: Annotated[
        str | None, Parameter(help="Where callbacks go, of every operation.")
    ] = None,
    signatures: Annotated[
        Literal["der", "raw", "none"], Parameter(help="How callbacks are signed.")
    ] = "der",
    signing_key: Annotated[
        Path | None, Parameter(help="A P-256 private key in PEM; made for this run unless given.")
    ] = None,
    request_key: Annotated[
        Path | None,
        Parameter(help="A merchant's public key in PEM: its requests must be signed with it."),
    ] = None,
    request_key_id: Annotated[str, Parameter(help="What that key is called.")] = "1",
    stepped: Annotated[
        bool, Parameter(negative="", help="Time goes on only by POST /simulator/advance.")
    ] = False,
    as_json: AsJson = False,
) -> None:
    """Serve a rail that speaks pawaPay's v2 wire and misbehaves as a scenario says.

    It keeps its books in memory: they end with it. No real money is anywhere near.
    """
    from kpay.rail_simulator.server import Options

    options = Options(
        token=token or f"sim_{secrets.token_urlsafe(18)}",
        scenario=_scenario(scenario, seed),
        callback_url=callback_url,
        signatures=signatures,
        signing_key=None if signing_key is None else _signing_key(signing_key),
        request_keys={} if request_key is None else {request_key_id: _public_key(request_key)},
    )
    try:
        asyncio.run(_serve(options, host, port, stepped=stepped, as_json=as_json))
    except (OSError, OverflowError) as problem:
        fail(f"Cannot listen on {host}:{port}: {problem}. Choose another port with --port.")
    err.print("Stopped.")


async def _serve(options: Options, host: str, port: int, *, stepped: bool, as_json: bool) -> None:
    from kpay.core.clock import ManualClock
    from kpay.rail_simulator.agenda import SystemClock
    from kpay.rail_simulator.server import Simulator, serving

    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    clock = ManualClock(SystemClock().now()) if stepped else SystemClock()
    try:
        simulator = Simulator(options, clock)
    except KeyError as problem:
        fail(f"The scenario names {problem.args[0]}, which is no provider of this account.")
    async with serving(simulator, host, port) as url:
        _tell(url, options, stepped=stepped, as_json=as_json)
        told = loop.create_task(stop.wait())
        tasks: set[asyncio.Task[Any]] = {told}
        if not stepped:
            tasks.add(loop.create_task(simulator.agenda.drive()))
        # A rail whose time has stopped without being told to is no rail.
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        for task in done - {told}:
            task.result()


def _tell(url: str, options: Options, *, stepped: bool, as_json: bool) -> None:
    if as_json:
        print_json({"url": url, "token": options.token, "seed": options.scenario.seed})
        # Whoever waits for it at the other end of a pipe would wait for good.
        sys.stdout.flush()
        return
    from kpay.rail_simulator.scenario import EXAMPLE

    say = out.print
    say(f"A rail that misbehaves, at {url}", markup=False)
    say(f"seed {options.scenario.seed}{', time is stepped' if stepped else ''}", markup=False)
    say("\nPoint kpay at it:", markup=False)
    say("  export KPAY_RAILS=pawapay", markup=False)
    say(f"  export KPAY_PAWAPAY_URL={url}", markup=False, soft_wrap=True)
    say(f"  export KPAY_PAWAPAY_TOKEN={options.token}", markup=False, soft_wrap=True)
    if options.request_keys:
        say("  export KPAY_PAWAPAY_KEY_FILE=…   # the private half of --request-key", markup=False)
        say(f"  export KPAY_PAWAPAY_KEY_ID={next(iter(options.request_keys))}", markup=False)
    where = options.callback_url or (
        "nowhere: give --callback-url, the address that kpay rail list shows"
    )
    say(f"Callbacks go to {where}.", markup=False, soft_wrap=True)
    say(f"Its books: GET {url}/simulator/books, with the token.", markup=False, soft_wrap=True)
    if not options.scenario.rules:
        say(
            "\nIt behaves, but for marked amounts (66603). A scenario, for --scenario:",
            markup=False,
        )
        say(EXAMPLE, markup=False, soft_wrap=True)


def _scenario(path: Path | None, seed: int | None) -> Scenario:
    import msgspec

    from kpay.rail_simulator.scenario import Scenario, ScenarioError, read_scenario

    try:
        read = Scenario() if path is None else read_scenario(path.read_text(encoding="utf-8"))
    except (ScenarioError, OSError, UnicodeDecodeError) as problem:
        fail(f"{path}: {problem}")
    return read if seed is None else msgspec.structs.replace(read, seed=seed)


def _signing_key(path: Path) -> EllipticCurvePrivateKey:
    from kpay.rail_simulator.signatures import SignatureError, load_signing_key

    try:
        return load_signing_key(path.read_bytes())
    except (SignatureError, OSError) as problem:
        fail(f"{path}: {problem}")


def _public_key(path: Path) -> PublicKey:
    from kpay.rail_simulator.signatures import SignatureError, load_public_key

    try:
        return load_public_key(path.read_bytes())
    except (SignatureError, OSError) as problem:
        fail(f"{path}: {problem}")
