"""Whose a telephone number most likely is: the rail is asked where it can tell, else our catalogue.

Somebody waits for this at a form and it decides nothing, so a rail is asked within tight bounds: of
time, of how many at once, and not again for a while after it gave no answer. Whenever it does not
tell, the answer is what the prefixes of our catalogue say. What it told is kept for an hour in the
memory of this process, of so many numbers at most.
"""

from __future__ import annotations

import asyncio
import re
from collections import OrderedDict
from datetime import datetime, timedelta

import msgspec
import structlog

from kpay import metrics
from kpay.catalogue.model import OFFERED, Catalogue, Provider
from kpay.connectors.capabilities import Predicted, PredictsProviders
from kpay.connectors.phones import in_digits, predict
from kpay.connectors.routing import Routing
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.core.refusals import Code, Refusal
from kpay.database.pool import outside_transaction

KEPT = timedelta(hours=1)
MOST_KEPT = 4_096
MOST_AT_ONCE = 8
SILENT_FOR = timedelta(seconds=10)
WITHIN_SECONDS = 2.0
_NUMBER = re.compile(r"[0-9]{6,15}\Z")

log = structlog.get_logger(__name__)


class Told(msgspec.Struct, frozen=True):
    """What a rail has told of a number, and until when that holds. None is nobody's number."""

    whose: Predicted | None
    until: datetime


class Predictions:
    """Asks rails whose numbers are, and remembers it for a while."""

    def __init__(
        self,
        catalogue: Catalogue,
        routing: Routing,
        clock: Clock,
        *,
        within: float = WITHIN_SECONDS,
    ) -> None:
        self._catalogue = catalogue
        self._routing = routing
        self._clock = clock
        self._within = within
        self._told: OrderedDict[tuple[Environment, str], Told] = OrderedDict()
        self._silent_until: dict[tuple[Environment, str], datetime] = {}
        self._asking = 0

    async def predict(self, environment: Environment, text: str) -> tuple[Provider, str]:
        """The operator that most likely serves a number, and its digits; a ported one has another.

        Refuses: not_a_test_number, invalid_phone_number.
        """
        digits = in_digits(text)
        told = await self._tell(environment, digits) if self._may_be(environment, digits) else None
        if told is not None and told.whose is not None:
            provider = self._catalogue.providers.get(told.whose.provider)
            if provider is not None and _NUMBER.match(told.whose.phone_number):
                return provider, told.whose.phone_number
        elif told is not None and environment is Environment.PRODUCTION:
            # Of the test environment our own numbers are right: some of them are nobody's.
            raise Refusal(
                Code.INVALID_PHONE_NUMBER, "This phoneNumber is not one of any operator's numbers."
            )
        return predict(self._catalogue, environment, text)

    def _may_be(self, environment: Environment, digits: str) -> bool:
        """Whether a rail is worth asking: what can be no number at all is not sent anywhere."""
        if environment is Environment.TEST:
            return any((type_, digits) in self._catalogue.test_numbers for type_ in OFFERED)
        known = self._catalogue.country_of_number(digits)
        return known is not None and _NUMBER.match(digits) is not None

    async def _tell(self, environment: Environment, digits: str) -> Told | None:
        """What the environment's rail says now or said before; None where it does not say."""
        now = self._clock.now()
        told = self._told.get((environment, digits))
        if told is not None and now < told.until:
            self._told.move_to_end((environment, digits))
            return told
        found = self._rail(environment, digits)
        if found is None:
            return None
        name, connector = found
        silent_until = self._silent_until.get((environment, name))
        if self._asking >= MOST_AT_ONCE or (silent_until is not None and now < silent_until):
            metrics.rail_predictions.labels(name, "not_asked").inc()
            return None
        self._asking += 1
        try:
            return await self._ask(environment, name, connector, digits)
        finally:
            self._asking -= 1

    async def _ask(
        self, environment: Environment, name: str, connector: PredictsProviders, digits: str
    ) -> Told | None:
        outside_transaction()
        try:
            async with asyncio.timeout(self._within):
                whose = await connector.predict(digits)
        except Exception as problem:
            # Not the number: that somebody asked for it is nobody's business in a log.
            log.warning("rail_prediction_not_told", connector=name, why=repr(problem))
            metrics.rail_predictions.labels(name, "no_answer").inc()
            self._silent_until[environment, name] = self._clock.now() + SILENT_FOR
            return None
        metrics.rail_predictions.labels(name, "nobody" if whose is None else "told").inc()
        told = self._told[environment, digits] = Told(whose, self._clock.now() + KEPT)
        self._told.move_to_end((environment, digits))
        if len(self._told) > MOST_KEPT:
            self._told.popitem(last=False)
        return told

    def _rail(self, environment: Environment, digits: str) -> tuple[str, PredictsProviders] | None:
        """Whoever serves the operator that we would guess, else whichever can tell."""
        guess = self._catalogue.predict(digits)
        first = None if guess is None else self._routing.connector(environment, guess)
        able = {
            name: connector
            for where, name, connector in self._routing.all()
            if where is environment and isinstance(connector, PredictsProviders)
        }
        if first is not None and first.name in able:
            return first.name, able[first.name]
        return next(iter(able.items()), None)
