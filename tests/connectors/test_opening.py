"""Going live by configuration: what can be set, and how a start says what is wrong with it."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from kpay.catalogue.data import catalogue
from kpay.catalogue.model import OperationType
from kpay.connectors.opening import callback_path, open_routing
from kpay.connectors.routing import Routing
from kpay.connectors.signatures import Message, PrivateKey, verify
from kpay.connectors.variables import RailsConfigurationError
from kpay.core.book import Environment
from kpay.core.clock import ManualClock
from kpay.core.refusals import Code, Refusal
from kpay.settings import Settings
from tests.connectors.support import NOW, instruction, rail_server, says
from tests.rails import ScriptedRail

LIVE = {"KPAY_RAILS": "pawapay", "KPAY_PAWAPAY_TOKEN": "a-token"}


def opened(env: Mapping[str, str]) -> Routing:
    sandbox = ScriptedRail()
    return open_routing(Settings.from_env(env), catalogue(), ManualClock(NOW), sandbox)


def name_of(routing: Routing, environment: Environment, provider: str) -> str | None:
    found = routing.connector(environment, catalogue().providers[provider])
    return None if found is None else found.name


def pem(key: PrivateKey, password: bytes | None = None) -> bytes:
    lock = NoEncryption() if password is None else BestAvailableEncryption(password)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, lock)


def test_without_configuration_the_sandbox_serves_and_production_is_closed() -> None:
    routing = opened({})

    assert name_of(routing, Environment.TEST, "MTN_MOMO_CMR") == "scripted"
    assert name_of(routing, Environment.PRODUCTION, "MTN_MOMO_CMR") is None
    assert routing.environments == [Environment.TEST]
    with pytest.raises(Refusal) as refused:
        routing.open_provider(Environment.PRODUCTION, "MTN_MOMO_CMR", OperationType.PAYOUT)
    assert refused.value.code is Code.PROVIDER_CLOSED


def test_a_token_and_the_name_of_a_rail_go_live() -> None:
    routing = opened(LIVE)

    assert name_of(routing, Environment.PRODUCTION, "MTN_MOMO_CMR") == "pawapay"
    assert name_of(routing, Environment.TEST, "MTN_MOMO_CMR") == "scripted"
    # Suspended, and only of the sandbox: no rail changes that.
    assert name_of(routing, Environment.PRODUCTION, "WAVE_SEN") is None
    assert name_of(routing, Environment.PRODUCTION, "ORANGE_GAB") is None


def test_one_provider_may_have_a_rail_and_the_others_none() -> None:
    routing = opened({**LIVE, "KPAY_RAILS": "MTN_MOMO_CMR=pawapay"})

    assert name_of(routing, Environment.PRODUCTION, "MTN_MOMO_CMR") == "pawapay"
    assert name_of(routing, Environment.PRODUCTION, "ORANGE_CMR") is None


MTN = {
    f"KPAY_MTN_MOMO_CMR_{product}_{what}": "something"
    for product in ("COLLECTION", "DISBURSEMENT")
    for what in ("USER", "KEY", "SUBSCRIPTION")
}


def test_rails_may_stand_in_an_order_and_one_that_does_not_reach_a_provider_is_left_out() -> None:
    routing = opened(
        {**LIVE, **MTN, "KPAY_RAILS": "MTN_MOMO_CMR=pawapay/mtn_momo,*=mtn_momo/pawapay"}
    )

    def order(provider: str) -> list[str]:
        known = catalogue().providers[provider]
        return [rail.name for rail in routing.rails(Environment.PRODUCTION, known)]

    assert order("MTN_MOMO_CMR") == ["pawapay", "mtn_momo"]
    assert order("ORANGE_CMR") == ["pawapay"]
    assert order("WAVE_SEN") == []
    assert name_of(routing, Environment.PRODUCTION, "MTN_MOMO_CMR") == "pawapay"


def test_the_test_environment_may_be_served_by_pawapay_s_own_sandbox() -> None:
    routing = opened(
        {
            "KPAY_TEST_RAILS": "MTN_MOMO_CMR=pawapay,*=sandbox",
            "KPAY_TEST_PAWAPAY_TOKEN": "a-token",
        }
    )

    assert name_of(routing, Environment.TEST, "MTN_MOMO_CMR") == "pawapay"
    assert name_of(routing, Environment.TEST, "ORANGE_CMR") == "scripted"
    assert name_of(routing, Environment.PRODUCTION, "MTN_MOMO_CMR") is None


def test_a_rail_that_serves_nobody_any_more_is_still_there_for_what_it_has() -> None:
    routing = opened({"KPAY_PAWAPAY_TOKEN": "a-token"})

    assert name_of(routing, Environment.PRODUCTION, "MTN_MOMO_CMR") is None
    assert routing.named(Environment.PRODUCTION, "pawapay") is not None


def test_a_token_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("a-token\n")

    routing = opened({"KPAY_RAILS": "pawapay", "KPAY_PAWAPAY_TOKEN_FILE": str(file)})

    assert name_of(routing, Environment.PRODUCTION, "MTN_MOMO_CMR") == "pawapay"


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP256R1()),
        ec.generate_private_key(ec.SECP384R1()),
        rsa.generate_private_key(65_537, 2_048),
    ],
    ids=["P-256", "P-384", "RSA"],
)
async def test_a_key_signs_requests(key: PrivateKey, tmp_path: Path) -> None:
    file = tmp_path / "key.pem"
    file.write_bytes(pem(key))
    async with rail_server(says({"status": "ACCEPTED"})) as server:
        routing = opened(
            {
                **LIVE,
                "KPAY_PAWAPAY_URL": server.url,
                "KPAY_PAWAPAY_KEY_FILE": str(file),
                "KPAY_PAWAPAY_KEY_ID": "kpay-1",
            }
        )
        connector = routing.named(Environment.PRODUCTION, "pawapay")
        assert connector is not None
        await connector.submit(instruction())
        await connector.check(instruction())
        await routing.close()

    handed_over, asked = server.heard
    headers = {name.lower(): text for name, text in handed_over.headers.items()}
    message = Message("POST", f"{server.url}{handed_over.path}", headers, handed_over.raw)
    covered = ("@method", "@authority", "@path", "signature-date", "content-digest", "content-type")
    verify(message, key.public_key(), NOW, required=covered, oldest=timedelta(minutes=1))
    # The server saw the host that was signed, and a question is signed by nobody.
    assert server.url.endswith(headers["host"])
    assert "Signature" not in asked.headers


WRONG = {
    "no token": ({"KPAY_RAILS": "pawapay"}, "KPAY_PAWAPAY_TOKEN: must be set, or "),
    "two tokens": (
        {**LIVE, "KPAY_PAWAPAY_TOKEN_FILE": "/dev/null"},
        "KPAY_PAWAPAY_TOKEN: is set twice",
    ),
    "a token of two lines": ({**LIVE, "KPAY_PAWAPAY_TOKEN": "a\nb"}, "KPAY_PAWAPAY_TOKEN: holds"),
    "a file that is not there": (
        {"KPAY_RAILS": "pawapay", "KPAY_PAWAPAY_TOKEN_FILE": "/nowhere/token"},
        "KPAY_PAWAPAY_TOKEN_FILE: /nowhere/token cannot be read: No such file or directory",
    ),
    "an empty file": (
        {"KPAY_RAILS": "pawapay", "KPAY_PAWAPAY_TOKEN_FILE": "/dev/null"},
        "KPAY_PAWAPAY_TOKEN_FILE: /dev/null is empty",
    ),
    "no https": (
        {**LIVE, "KPAY_PAWAPAY_URL": "http://api.example.com"},
        "KPAY_PAWAPAY_URL: must begin with https://, or be http:// of this machine",
    ),
    "a token of two lines in a file": (
        {"KPAY_RAILS": "pawapay", "KPAY_PAWAPAY_TOKEN_FILE": __file__},
        "KPAY_PAWAPAY_TOKEN_FILE: holds what no secret has",
    ),
    "a key without its id": (
        {**LIVE, "KPAY_PAWAPAY_KEY_FILE": "/dev/null"},
        "KPAY_PAWAPAY_KEY_ID: must be what pawaPay calls the key of KPAY_PAWAPAY_KEY_FILE",
    ),
    "an id without a key": (
        {**LIVE, "KPAY_PAWAPAY_KEY_ID": "kpay-1"},
        "KPAY_PAWAPAY_KEY_ID: is of no use without KPAY_PAWAPAY_KEY_FILE",
    ),
    "a misspelled variable": (
        {**LIVE, "KPAY_PAWAPAY_TOKN": "a-token"},
        "KPAY_PAWAPAY_TOKN: is no setting: there are ",
    ),
    "a variable of a misspelled rail": (
        {**LIVE, "KPAY_PAWPAY_URL": "http://127.0.0.1:9090"},
        "KPAY_PAWPAY_URL: is no setting; those of a rail begin with KPAY_PAWAPAY_",
    ),
    "a variable of a misspelled rail of the test environment": (
        {**LIVE, "KPAY_TEST_MTNMOMO_URL": "http://127.0.0.1:9090"},
        "KPAY_TEST_MTNMOMO_URL: is no setting; those of a rail begin with KPAY_TEST_MTN_MOMO_",
    ),
    "a switch": (
        {**LIVE, "KPAY_PAWAPAY_UNSIGNED_CALLBACKS": "yes"},
        "KPAY_PAWAPAY_UNSIGNED_CALLBACKS: must be 1",
    ),
    "no such rail": ({"KPAY_RAILS": "pawpay"}, "KPAY_RAILS: 'pawpay' is no rail; use pawapay"),
    "no such second rail": (
        {**LIVE, "KPAY_RAILS": "*=pawapay/mtn"},
        "KPAY_RAILS: 'mtn' is no rail; use pawapay",
    ),
    "a second rail that does not reach the provider": (
        {**LIVE, **MTN, "KPAY_RAILS": "ORANGE_CMR=pawapay/mtn_momo"},
        "KPAY_RAILS: mtn_momo does not serve ORANGE_CMR.",
    ),
    "a second rail without its settings": (
        {**LIVE, "KPAY_RAILS": "MTN_MOMO_CMR=pawapay/mtn_momo"},
        "KPAY_MTN_MOMO_CMR_COLLECTION_USER: must be set",
    ),
    "the sandbox in production": ({"KPAY_RAILS": "sandbox"}, "KPAY_RAILS: 'sandbox' is no rail"),
    "no such provider": (
        {**LIVE, "KPAY_RAILS": "MTN_CMR=pawapay"},
        "KPAY_RAILS: 'MTN_CMR' is no provider",
    ),
    "a suspended provider": (
        {**LIVE, "KPAY_RAILS": "WAVE_SEN=pawapay"},
        "KPAY_RAILS: pawapay does not serve WAVE_SEN",
    ),
    "a live rail's token for the test environment": (
        {"KPAY_TEST_RAILS": "pawapay", "KPAY_PAWAPAY_TOKEN": "a-token"},
        "KPAY_TEST_PAWAPAY_TOKEN: must be set",
    ),
}


@pytest.mark.parametrize("case", WRONG)
def test_a_start_says_what_is_wrong_with_its_rails(case: str) -> None:
    env, sentence = WRONG[case]

    with pytest.raises(RailsConfigurationError) as caught:
        opened(env)

    assert sentence in str(caught.value)
    assert "a-token" not in str(caught.value)


def test_what_a_merchant_s_shell_holds_is_no_misspelled_setting_of_a_rail() -> None:
    """The README has a merchant's own variables exported beside the operator's."""
    names = ("URL", "API_KEY", "SECRET_KEY", "APPLICATION_ID", "WEBHOOK_SECRET", "TEST_API_KEY")

    routing = opened({**LIVE, **{f"KPAY_{name}": "something" for name in names}})

    assert name_of(routing, Environment.PRODUCTION, "MTN_MOMO_CMR") == "pawapay"


@pytest.mark.parametrize("kind", ["text", "locked", "small", "of another kind"])
def test_a_key_that_cannot_sign_is_told(kind: str, tmp_path: Path) -> None:
    other = ed25519.Ed25519PrivateKey.generate()
    content = {
        "text": b"not a key",
        "locked": pem(ec.generate_private_key(ec.SECP256R1()), b"a password"),
        "small": pem(ec.generate_private_key(ec.SECP224R1())),
        "of another kind": other.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()),
    }
    file = tmp_path / "key.pem"
    file.write_bytes(content[kind])

    with pytest.raises(RailsConfigurationError, match="KPAY_PAWAPAY_KEY_FILE: it must be a "):
        opened({**LIVE, "KPAY_PAWAPAY_KEY_FILE": str(file), "KPAY_PAWAPAY_KEY_ID": "kpay-1"})


def test_everything_that_is_wrong_with_a_rail_is_told_at_once() -> None:
    env = {"KPAY_RAILS": "pawapay", "KPAY_PAWAPAY_URL": "ftp://x", "KPAY_PAWAPAY_KEY_ID": "k"}

    with pytest.raises(RailsConfigurationError) as caught:
        opened(env)

    assert str(caught.value).count("; ") == 2


def test_each_environment_has_an_address_for_callbacks_of_its_own() -> None:
    assert callback_path(Environment.PRODUCTION, "pawapay") == "/callbacks/pawapay"
    assert callback_path(Environment.TEST, "pawapay") == "/callbacks/test/pawapay"
