"""Every setting, read once from the environment into one frozen object and passed by hand.

`Settings.from_env` names every wrong variable at once. docs/configuration.md lists them all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from ipaddress import IPv4Network, IPv6Network, ip_network
from pathlib import Path
from typing import TypeVar

from kpay.core.money import BASIS_POINTS

T = TypeVar("T")

LOG_LEVELS = ("debug", "info", "warning", "error")

MOST_RATE_LIMIT = 1_000_000_000


class SettingsError(Exception):
    """One or more variables hold something that cannot be used; the message names each."""


@dataclass(frozen=True)
class Settings:
    """What the operator decides. Durations are timedeltas, rates and fees are basis points."""

    home: Path
    database_url: str | None = None
    migration_url: str | None = None
    secret: str | None = None
    # What the operator's own programs read the office with; without one it is closed.
    office_token: str | None = field(default=None, repr=False)
    public_url: str = "http://localhost:8080"
    sandbox_delay: timedelta = timedelta(seconds=3)
    gateway_life: timedelta = timedelta(minutes=30)
    fx_sources: tuple[str, ...] | None = None
    fx_app_id: str | None = None
    fx_ttl: timedelta = timedelta(hours=1)
    fx_max_age: timedelta = timedelta(hours=6)
    fx_jump_bps: int = 2_000
    fx_margins: Mapping[str, int] | None = None
    log_level: str = "info"
    pool_size: int = 8
    queue_limit: int = 10_000
    drive_work: bool = True
    trusted_proxies: tuple[IPv4Network | IPv6Network, ...] = ()
    webhook_networks: tuple[IPv4Network | IPv6Network, ...] = ()
    webhook_attempts_kept: timedelta = timedelta(days=30)
    # Requests a minute; 0 is as many as anybody likes.
    rate_limit: int = 100
    gateway_rate_limit: int = 20
    polling_rate_limit: int = 60
    # Which rails serve which provider, in the order in which they are tried; `*` stands for every
    # other one. A name alone is an order of one.
    rails: Mapping[str, Sequence[str]] = field(default_factory=dict)
    test_rails: Mapping[str, Sequence[str]] = field(default_factory=lambda: {"*": ("sandbox",)})
    # The variables of rails, which their connectors read: secrets may be among them.
    rail_variables: Mapping[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def from_env(cls, env: Mapping[str, str] | None = None) -> Settings:
        """Read the `KPAY_…` variables. Raises SettingsError naming every one that is wrong."""
        reader = _Reader(os.environ if env is None else env)
        settings = cls(
            home=reader.read("KPAY_HOME", _path, default_home()),
            database_url=reader.read("KPAY_DATABASE_URL", _database_url, None),
            migration_url=reader.read("KPAY_MIGRATION_URL", _database_url, None),
            secret=reader.read("KPAY_SECRET", _secret, None),
            office_token=reader.read(
                "KPAY_OFFICE_TOKEN",
                _secret,
                reader.read("KPAY_OFFICE_TOKEN_FILE", _secret_file, None),
            ),
            public_url=reader.read("KPAY_PUBLIC_URL", _http_url, cls.public_url),
            sandbox_delay=reader.read("KPAY_SANDBOX_DELAY", _seconds, cls.sandbox_delay),
            gateway_life=reader.read("KPAY_GATEWAY_LIFE", _seconds, cls.gateway_life),
            fx_sources=reader.read("KPAY_FX_SOURCES", _fx_sources, None),
            fx_app_id=reader.read("KPAY_FX_APP_ID", str, None),
            fx_ttl=reader.read("KPAY_FX_TTL", _seconds, cls.fx_ttl),
            fx_max_age=reader.read("KPAY_FX_MAX_AGE", _seconds, cls.fx_max_age),
            fx_jump_bps=reader.read("KPAY_FX_JUMP_BPS", _whole, cls.fx_jump_bps),
            fx_margins=reader.read("KPAY_FX_MARGINS", _margins, None),
            log_level=reader.read("KPAY_LOG_LEVEL", _log_level, cls.log_level),
            pool_size=reader.read("KPAY_POOL_SIZE", _positive, cls.pool_size),
            queue_limit=reader.read("KPAY_QUEUE_LIMIT", _positive, cls.queue_limit),
            drive_work=reader.read("KPAY_DRIVE_WORK", _switch, cls.drive_work),
            trusted_proxies=reader.read("KPAY_TRUSTED_PROXIES", _networks, cls.trusted_proxies),
            webhook_networks=reader.read("KPAY_WEBHOOK_NETWORKS", _networks, cls.webhook_networks),
            webhook_attempts_kept=reader.read(
                "KPAY_WEBHOOK_ATTEMPTS_DAYS", _days, cls.webhook_attempts_kept
            ),
            rate_limit=reader.read("KPAY_RATE_LIMIT", _rate_limit, cls.rate_limit),
            gateway_rate_limit=reader.read(
                "KPAY_GATEWAY_RATE_LIMIT", _rate_limit, cls.gateway_rate_limit
            ),
            polling_rate_limit=reader.read(
                "KPAY_POLLING_RATE_LIMIT", _rate_limit, cls.polling_rate_limit
            ),
            rails=reader.read("KPAY_RAILS", _rails, {}),
            test_rails=reader.read("KPAY_TEST_RAILS", _rails, {"*": ("sandbox",)}),
            rail_variables=reader.rest(),
        )
        reader.check()
        return settings


def default_home() -> Path:
    """Where the program keeps its data when KPAY_HOME is not set."""
    if os.geteuid() == 0:
        return Path("/var/lib/kpay")
    data_home = os.environ.get("XDG_DATA_HOME")
    return (Path(data_home) if data_home else Path.home() / ".local" / "share") / "kpay"


class _Reader:
    """Reads variables and remembers what was wrong, so that one start tells everything."""

    def __init__(self, env: Mapping[str, str]) -> None:
        self._env = env
        self._problems: list[str] = []
        self._read: set[str] = set()

    def read(self, name: str, parse: Callable[[str], T], default: T) -> T:
        self._read.add(name)
        text = self._env.get(name, "").strip()
        if not text:
            return default
        try:
            return parse(text)
        except ValueError as problem:
            self._problems.append(f"{name}: {problem}")
            return default

    def rest(self) -> dict[str, str]:
        """Every other variable of ours that is set, and was not asked for so far."""
        return {
            name: text.strip()
            for name, text in self._env.items()
            if name.startswith("KPAY_") and name not in self._read and text.strip()
        }

    def check(self) -> None:
        if self._problems:
            raise SettingsError("; ".join(self._problems))


def _path(text: str) -> Path:
    return Path(text).expanduser().absolute()


def _database_url(text: str) -> str:
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("must begin with postgresql://")
    return text


def _secret(text: str) -> str:
    if len(text) < 32:
        raise ValueError("must be at least 32 characters")
    return text


def _secret_file(text: str) -> str:
    try:
        found = _path(text).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError):
        raise ValueError(f"{text} cannot be read: name a file that the program can read") from None
    return _secret(found)


def _http_url(text: str) -> str:
    if not text.startswith(("http://", "https://")):
        raise ValueError("must begin with http:// or https://")
    return text.rstrip("/")


def _seconds(text: str) -> timedelta:
    try:
        seconds = float(text)
    except ValueError:
        raise ValueError(f"{text!r} is not a number of seconds") from None
    if not 0 <= seconds <= 10**9:
        raise ValueError("must be between 0 and 1,000,000,000 seconds")
    return timedelta(seconds=seconds)


def _whole(text: str) -> int:
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _positive(text: str) -> int:
    value = _whole(text)
    if value == 0:
        raise ValueError("must be at least 1")
    return value


def _days(text: str) -> timedelta:
    days = _whole(text)
    if not 1 <= days <= 3_650:
        raise ValueError("must be between 1 and 3,650 days")
    return timedelta(days=days)


def _rate_limit(text: str) -> int:
    value = _whole(text)
    if value > MOST_RATE_LIMIT:
        raise ValueError(f"must be at most {MOST_RATE_LIMIT:,} a minute, or 0 for no limit")
    return value


def _switch(text: str) -> bool:
    if text not in ("0", "1"):
        raise ValueError("must be 1 (on) or 0 (off)")
    return text == "1"


def _log_level(text: str) -> str:
    if text.lower() not in LOG_LEVELS:
        raise ValueError(f"must be one of {', '.join(LOG_LEVELS)}")
    return text.lower()


def _fx_sources(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _networks(text: str) -> tuple[IPv4Network | IPv6Network, ...]:
    """`127.0.0.1,10.0.0.0/8,2001:db8::/32`: addresses and networks of addresses."""
    try:
        return tuple(ip_network(part.strip()) for part in text.split(","))
    except ValueError as problem:
        raise ValueError(f"{problem}: use addresses such as 10.0.0.7 or 10.0.0.0/8") from None


def _rails(text: str) -> dict[str, tuple[str, ...]]:
    """`pawapay`, or `MTN_MOMO_CMR=mtn_momo/pawapay,*=pawapay`: the rails of every provider, or of
    each, the first one first.
    """
    routes: dict[str, tuple[str, ...]] = {}
    for part in text.split(","):
        provider, equals, order = (found.strip() for found in part.strip().rpartition("="))
        provider = provider if equals else "*"
        names = tuple(name.strip() for name in order.split("/"))
        if not all(names) or not provider:
            raise ValueError(f"{part.strip()!r} is no PROVIDER=RAIL, and no PROVIDER=RAIL/RAIL")
        if len(set(names)) < len(names):
            raise ValueError(f"{part.strip()!r} names a rail twice")
        if provider in routes:
            raise ValueError(f"{provider} is given twice")
        routes[provider] = names
    return routes


def _margins(text: str) -> dict[str, int]:
    """`XAF/KES=50,*=25`: basis points taken off the rate of a pair, `*` for every other pair."""
    margins = {}
    for part in text.split(","):
        pair, _, points = part.strip().partition("=")
        if pair != "*" and not (len(pair) == 7 and pair[3] == "/"):
            raise ValueError(f"{pair!r} is not a pair such as XAF/KES, or *")
        margins[pair] = _whole(points)
        if margins[pair] >= BASIS_POINTS:
            raise ValueError(f"the margin of {pair} must be under {BASIS_POINTS} basis points")
    return margins
