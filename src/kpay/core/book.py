"""Whose books: one application in one environment. Test and live money never meet."""

from __future__ import annotations

from enum import StrEnum
from uuid import UUID

import msgspec


class Environment(StrEnum):
    """The prefix of the API key picks it; nothing crosses from one to the other."""

    TEST = "TEST"
    PRODUCTION = "PRODUCTION"

    @property
    def word(self) -> str:
        """The word that keys carry: kpay_test_…, kpay_live_…"""
        return "test" if self is Environment.TEST else "live"


class Book(msgspec.Struct, frozen=True, order=True, cache_hash=True):
    """The accounts of one application in one environment. No entry spans two books."""

    application_id: UUID
    environment: Environment

    @property
    def is_test(self) -> bool:
        return self.environment is Environment.TEST
