"""Settings: read once, and when several are wrong, every one of them is named in one message."""

from __future__ import annotations

from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path

import pytest

from kpay.settings import Settings, SettingsError, default_home

# A value that cannot be used for each variable that has any such value.
WRONG = {
    "KPAY_DATABASE_URL": "mysql://localhost/kpay",
    "KPAY_SECRET": "too short",
    "KPAY_PUBLIC_URL": "ftp://example.com",
    "KPAY_SANDBOX_DELAY": "soon",
    "KPAY_FX_TTL": "-1",
    "KPAY_FX_MAX_AGE": "nan",
    "KPAY_FX_JUMP_BPS": "12.5",
    "KPAY_FX_MARGINS": "XAFKES=50",
    "KPAY_LOG_LEVEL": "loud",
    "KPAY_POOL_SIZE": "0",
    "KPAY_QUEUE_LIMIT": "ten",
    "KPAY_DRIVE_WORK": "yes",
    "KPAY_TRUSTED_PROXIES": "10.0.0.1/8",
    "KPAY_WEBHOOK_NETWORKS": "everywhere",
    "KPAY_WEBHOOK_ATTEMPTS_DAYS": "0",
    "KPAY_RATE_LIMIT": "-1",
    "KPAY_GATEWAY_RATE_LIMIT": "many",
    "KPAY_POLLING_RATE_LIMIT": "1000000001",
    "KPAY_RAILS": "MTN_MOMO_CMR=",
    "KPAY_TEST_RAILS": "*=sandbox,*=pawapay",
}


def test_nothing_need_be_set() -> None:
    settings = Settings.from_env({})

    assert settings == Settings(home=default_home())
    assert settings.database_url is None
    assert settings.fx_ttl == timedelta(hours=1)


def test_every_variable_is_read() -> None:
    settings = Settings.from_env(
        {
            "KPAY_HOME": "/srv/kpay",
            "KPAY_DATABASE_URL": "postgresql://db/kpay",
            "KPAY_SECRET": "s" * 32,
            "KPAY_PUBLIC_URL": "https://pay.example.com/",
            "KPAY_SANDBOX_DELAY": "0.5",
            "KPAY_FX_SOURCES": "open-er-api, file:/etc/rates.json",
            "KPAY_FX_APP_ID": "abc",
            "KPAY_FX_TTL": "60",
            "KPAY_FX_MAX_AGE": "120",
            "KPAY_FX_JUMP_BPS": "300",
            "KPAY_FX_MARGINS": "XAF/KES=50,*=25",
            "KPAY_LOG_LEVEL": "DEBUG",
            "KPAY_POOL_SIZE": "3",
            "KPAY_QUEUE_LIMIT": "4",
            "KPAY_DRIVE_WORK": "0",
            "KPAY_TRUSTED_PROXIES": "127.0.0.1, 10.0.0.0/8,2001:db8::/32",
            "KPAY_WEBHOOK_NETWORKS": "10.1.0.0/16",
            "KPAY_WEBHOOK_ATTEMPTS_DAYS": "7",
            "KPAY_RATE_LIMIT": "0",
            "KPAY_GATEWAY_RATE_LIMIT": "7",
            "KPAY_POLLING_RATE_LIMIT": "1000000000",
            "KPAY_RAILS": "MTN_MOMO_CMR=mtn_momo / pawapay, *=pawapay",
            "KPAY_TEST_RAILS": "pawapay",
            "KPAY_PAWAPAY_TOKEN": " a-token ",
            "KPAY_PAWAPAY_URL": " ",
            "PAWAPAY_TOKEN": "of another program",
        }
    )

    assert settings == Settings(
        home=Path("/srv/kpay"),
        database_url="postgresql://db/kpay",
        secret="s" * 32,
        public_url="https://pay.example.com",
        sandbox_delay=timedelta(seconds=0.5),
        fx_sources=("open-er-api", "file:/etc/rates.json"),
        fx_app_id="abc",
        fx_ttl=timedelta(minutes=1),
        fx_max_age=timedelta(minutes=2),
        fx_jump_bps=300,
        fx_margins={"XAF/KES": 50, "*": 25},
        log_level="debug",
        pool_size=3,
        queue_limit=4,
        drive_work=False,
        trusted_proxies=(
            IPv4Network("127.0.0.1"),
            IPv4Network("10.0.0.0/8"),
            IPv6Network("2001:db8::/32"),
        ),
        webhook_networks=(IPv4Network("10.1.0.0/16"),),
        webhook_attempts_kept=timedelta(days=7),
        rate_limit=0,
        gateway_rate_limit=7,
        polling_rate_limit=1_000_000_000,
        rails={"MTN_MOMO_CMR": ("mtn_momo", "pawapay"), "*": ("pawapay",)},
        test_rails={"*": ("pawapay",)},
        rail_variables={"KPAY_PAWAPAY_TOKEN": "a-token"},
    )


def test_a_blank_variable_is_as_if_it_were_not_set() -> None:
    assert Settings.from_env(dict.fromkeys(WRONG, "  ")) == Settings.from_env({})


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_variable_is_named(name: str) -> None:
    with pytest.raises(SettingsError, match=f"^{name}: ") as caught:
        Settings.from_env({name: WRONG[name]})
    assert ";" not in str(caught.value)


def test_every_wrong_variable_is_named_at_once() -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env(WRONG)
    assert [part.partition(":")[0] for part in str(caught.value).split("; ")] == list(WRONG)


@pytest.mark.parametrize(
    "margins", ["XAF/KES", "XAF/KES=", "XAF/KES=-5", "XAF/KES=10000", "=5", "*=0.5", "XAF/KES=50,"]
)
def test_a_margin_is_a_pair_and_basis_points_below_the_whole(margins: str) -> None:
    with pytest.raises(SettingsError, match="KPAY_FX_MARGINS"):
        Settings.from_env({"KPAY_FX_MARGINS": margins})


@pytest.mark.parametrize("seconds", ["inf", "-inf", "1e300", "-0.001", "0x10"])
def test_a_time_in_seconds_is_finite_and_not_before_now(seconds: str) -> None:
    with pytest.raises(SettingsError, match="KPAY_FX_TTL"):
        Settings.from_env({"KPAY_FX_TTL": seconds})


def test_a_home_may_begin_with_the_user_s_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", "/home/ada")

    assert Settings.from_env({"KPAY_HOME": "~/kpay"}).home == Path("/home/ada/kpay")


def test_the_variables_of_rails_are_not_shown_with_the_settings() -> None:
    settings = Settings.from_env({"KPAY_PAWAPAY_TOKEN": "a-token"})

    assert "a-token" not in repr(settings)


def test_settings_do_not_change_once_they_are_read() -> None:
    settings = Settings.from_env({})

    with pytest.raises(AttributeError):
        settings.pool_size = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("*=", "'*=' is no PROVIDER=RAIL"),
        ("pawapay/", "'pawapay/' is no PROVIDER=RAIL, and no PROVIDER=RAIL/RAIL"),
        ("MTN_MOMO_CMR=pawapay//mtn_momo", "is no PROVIDER=RAIL"),
        ("MTN_MOMO_CMR=pawapay/pawapay", "'MTN_MOMO_CMR=pawapay/pawapay' names a rail twice"),
    ],
)
def test_an_order_of_rails_that_is_none_is_told_in_one_sentence(text: str, sentence: str) -> None:
    with pytest.raises(SettingsError) as caught:
        Settings.from_env({"KPAY_RAILS": text})
    assert sentence in str(caught.value)
