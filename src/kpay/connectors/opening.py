"""The rails of an installation, opened from its configuration, or one sentence on why they cannot.

`KPAY_RAILS` says which rails serve which provider in production, and `KPAY_TEST_RAILS` in the test
environment, where the sandbox does unless it says otherwise. A rail that has settings and no
provider any more is in service all the same: what was begun there is asked about there.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from difflib import SequenceMatcher

from kpay.catalogue.model import Catalogue, ProviderStatus
from kpay.connectors.capabilities import serves
from kpay.connectors.model import Connector
from kpay.connectors.routing import EVERY, Routing, Served, in_order
from kpay.connectors.variables import Place, RailsConfigurationError, Variables
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.settings import Settings

CALLBACKS = "/callbacks/"
SANDBOX = "sandbox"

_SETTING = {Environment.PRODUCTION: "KPAY_RAILS", Environment.TEST: "KPAY_TEST_RAILS"}
# How much of a prefix has to be there, in order: one or two letters may be wrong.
_ALIKE = 0.85
_PREFIX = {Environment.PRODUCTION: "KPAY_", Environment.TEST: "KPAY_TEST_"}


Opener = Callable[[Variables, Place], Connector]


def _pawapay(variables: Variables, place: Place) -> Connector:
    from kpay.connectors.pawapay import open_pawapay

    return open_pawapay(variables, place)


def _mtn_momo(variables: Variables, place: Place) -> Connector:
    from kpay.connectors.mtn_momo import open_mtn_momo

    return open_mtn_momo(variables, place)


# A rail is a function and a line here. Its code is loaded where it is configured: one that checks
# signatures needs megabytes that nobody without it should hold.
RAILS: Mapping[str, Opener] = {"pawapay": _pawapay, "mtn_momo": _mtn_momo}


def open_routing(
    settings: Settings,
    catalogue: Catalogue,
    clock: Clock,
    sandbox: Connector | None,
    rails: Mapping[str, Opener] = RAILS,
) -> Routing:
    """Every connector that is configured. Raises RailsConfigurationError."""
    _check_spelling(settings.rail_variables, rails)
    served = {}
    for environment, routes in (
        (Environment.TEST, settings.test_rails),
        (Environment.PRODUCTION, settings.rails),
    ):
        connectors: dict[str, Connector] = {}
        named = {name for order in routes.values() for name in in_order(order)}
        for name, opener in rails.items():
            variables = Variables(settings.rail_variables, f"{_PREFIX[environment]}{name.upper()}_")
            if variables or name in named:
                url = f"{settings.public_url}{callback_path(environment, name)}"
                connectors[name] = opener(variables, Place(environment, catalogue, clock, url))
                variables.check()
        if environment is Environment.TEST and sandbox is not None:
            connectors[SANDBOX] = sandbox
        _check(environment, routes, connectors, catalogue, rails)
        if connectors:
            served[environment] = Served(connectors, routes)
    return Routing(catalogue, served)


def check_rails(settings: Settings, catalogue: Catalogue, clock: Clock) -> None:
    """Raise RailsConfigurationError for rails that can never work, before anything is started."""
    open_routing(settings, catalogue, clock, None)


def callback_path(environment: Environment, name: str) -> str:
    """Where a rail calls us back, below the public address."""
    return f"{CALLBACKS}{'test/' if environment is Environment.TEST else ''}{name}"


def _check_spelling(given: Mapping[str, str], rails: Mapping[str, Opener]) -> None:
    """Refuse what seems meant for a rail whose name is misspelled.

    It would be passed over, and the rail go by what is usual instead: by its own address, say.
    """
    prefixes = [f"{before}{name.upper()}_" for before in _PREFIX.values() for name in rails]
    for variable in sorted(given):
        if not variable.startswith(tuple(prefixes)):
            for prefix in prefixes:
                if SequenceMatcher(None, variable[: len(prefix)], prefix).ratio() >= _ALIKE:
                    raise RailsConfigurationError(
                        f"{variable}: is no setting; those of a rail begin with {prefix}"
                    )


def _check(
    environment: Environment,
    routes: Mapping[str, Sequence[str]],
    connectors: Mapping[str, Connector],
    catalogue: Catalogue,
    rails: Mapping[str, Opener],
) -> None:
    setting = _SETTING[environment]
    usable = [*rails, *([SANDBOX] if environment is Environment.TEST else [])]
    for provider, order in routes.items():
        known = catalogue.providers.get(provider)
        for name in in_order(order):
            if name not in usable:
                raise RailsConfigurationError(
                    f"{setting}: {name!r} is no rail; use {', '.join(usable)}."
                )
            # Of every other provider, a rail serves those that it reaches.
            if provider == EVERY:
                continue
            if known is None:
                raise RailsConfigurationError(f"{setting}: {provider!r} is no provider.")
            served = name not in connectors or serves(connectors[name], provider)
            if known.status is ProviderStatus.SUSPENDED or not served:
                raise RailsConfigurationError(f"{setting}: {name} does not serve {provider}.")
