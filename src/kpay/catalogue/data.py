"""Reads the catalogue's CSV files, once, when the program starts."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from kpay.catalogue.model import (
    Catalogue,
    Country,
    OperationType,
    Provider,
    ProviderStatus,
    TestNumber,
)
from kpay.core.limits import Limits
from kpay.core.money import UNIT, Money

_FOLDER = Path(__file__).with_name("data")


@cache
def catalogue() -> Catalogue:
    """The catalogue as shipped. A row that contradicts another stops the program here."""
    countries = {row["code"]: Country(**row) for row in _rows("countries.csv")}
    providers = {row["provider"]: _provider(row) for row in _rows("providers.csv")}
    for provider in providers.values():
        if provider.currency != countries[provider.country].currency:
            raise ValueError(f"{provider.code} is not in its country's currency")
    numbers = [_test_number(row) for row in _rows("test_numbers.csv")]
    return Catalogue(
        countries=countries,
        providers=providers,
        limits=dict(_limits()),
        test_numbers={(number.operation, number.phone_number): number for number in numbers},
    )


def _rows(name: str) -> Iterator[dict[str, str]]:
    with (_FOLDER / name).open(encoding="utf-8", newline="") as file:
        yield from csv.DictReader(file)


def _provider(row: dict[str, str]) -> Provider:
    return Provider(
        code=row["provider"],
        country=row["country"],
        operator=row["operator"],
        currency=row["currency"],
        deposit_decimals=int(row["deposit_decimals"]),
        payout_decimals=int(row["payout_decimals"]),
        status=ProviderStatus(row["status"]),
        prefixes=tuple(row["prefixes"].split()),
    )


def _limits() -> Iterator[tuple[tuple[OperationType, str], Limits]]:
    words = {OperationType.DEPOSIT: "payment", OperationType.PAYOUT: "payout"}
    for row in _rows("currencies.csv"):
        currency = row["currency"]
        for operation, word in words.items():
            least, most = int(row[f"{word}_min"]), int(row[f"{word}_max"])
            yield (
                (operation, currency),
                Limits(Money(least * UNIT, currency), Money(most * UNIT, currency)),
            )


def _test_number(row: dict[str, str]) -> TestNumber:
    return TestNumber(
        country=row["country"],
        operation=OperationType(row["operation"]),
        phone_number=row["phone_number"],
        outcome=row["outcome"],
        failure_code=row["failure_code"] or None,
    )
