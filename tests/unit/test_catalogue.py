"""The catalogue as shipped equals what is known of the world, written out once more by hand."""

from __future__ import annotations

import pytest

from kpay.catalogue.data import catalogue
from kpay.catalogue.model import (
    OFFERED,
    Catalogue,
    OperationType,
    ProviderStatus,
    TestNumber,
)
from kpay.core.refusals import Code, Refusal

# Zone and currency: the page's ten, then Ghana, Zambia and Sierra Leone.
COUNTRIES = {
    "CMR": ("CEMAC", "XAF"),
    "GAB": ("CEMAC", "XAF"),
    "COG": ("CEMAC", "XAF"),
    "SEN": ("UEMOA", "XOF"),
    "CIV": ("UEMOA", "XOF"),
    "BEN": ("UEMOA", "XOF"),
    "KEN": ("", "KES"),
    "COD": ("", "CDF"),
    "UGA": ("", "UGX"),
    "RWA": ("", "RWF"),
    "GHA": ("", "GHS"),
    "ZMB": ("", "ZMW"),
    "SLE": ("", "SLE"),
}
# Country, currency, decimals of a deposit, decimals of a payout.
PROVIDERS = {
    "MTN_MOMO_BEN": ("BEN", "XOF", 0, 0),
    "MOOV_BEN": ("BEN", "XOF", 0, 0),
    "MTN_MOMO_CMR": ("CMR", "XAF", 0, 0),
    "ORANGE_CMR": ("CMR", "XAF", 0, 0),
    "MTN_MOMO_CIV": ("CIV", "XOF", 0, 0),
    "ORANGE_CIV": ("CIV", "XOF", 0, 0),
    "WAVE_CIV": ("CIV", "XOF", 0, 0),
    "VODACOM_MPESA_COD": ("COD", "CDF", 0, 0),
    "AIRTEL_COD": ("COD", "CDF", 2, 2),
    "ORANGE_COD": ("COD", "CDF", 2, 2),
    "AIRTEL_GAB": ("GAB", "XAF", 2, 2),
    "ORANGE_GAB": ("GAB", "XAF", 0, 0),
    "MPESA_KEN": ("KEN", "KES", 0, 2),
    "AIRTEL_COG": ("COG", "XAF", 0, 0),
    "MTN_MOMO_COG": ("COG", "XAF", 0, 0),
    "AIRTEL_RWA": ("RWA", "RWF", 0, 0),
    "MTN_MOMO_RWA": ("RWA", "RWF", 0, 0),
    "FREE_SEN": ("SEN", "XOF", 0, 0),
    "ORANGE_SEN": ("SEN", "XOF", 0, 0),
    "WAVE_SEN": ("SEN", "XOF", 0, 0),
    "ORANGE_SLE": ("SLE", "SLE", 2, 2),
    "AIRTEL_OAPI_UGA": ("UGA", "UGX", 0, 0),
    "MTN_MOMO_UGA": ("UGA", "UGX", 2, 2),
    "AIRTEL_OAPI_ZMB": ("ZMB", "ZMW", 2, 2),
    "MTN_MOMO_ZMB": ("ZMB", "ZMW", 2, 2),
    "ZAMTEL_ZMB": ("ZMB", "ZMW", 2, 2),
    "MTN_MOMO_GHA": ("GHA", "GHS", 2, 2),
    "AIRTELTIGO_GHA": ("GHA", "GHS", 2, 2),
    "VODAFONE_GHA": ("GHA", "GHS", 2, 2),
}
# Whose numbering each country's test numbers are in.
PREDICTED = {
    "BEN": "MTN_MOMO_BEN",
    "CMR": "MTN_MOMO_CMR",
    "CIV": "MTN_MOMO_CIV",
    "COD": "VODACOM_MPESA_COD",
    "GAB": "AIRTEL_GAB",
    "KEN": "MPESA_KEN",
    "COG": "AIRTEL_COG",
    "RWA": "AIRTEL_RWA",
    "SEN": "FREE_SEN",
    "SLE": "ORANGE_SLE",
    "UGA": "AIRTEL_OAPI_UGA",
    "ZMB": "AIRTEL_OAPI_ZMB",
    "GHA": "MTN_MOMO_GHA",
}
OUTCOMES = {"COMPLETED", "FAILED", "SUBMITTED"}


@pytest.fixture
def known() -> Catalogue:
    return catalogue()


def test_there_are_thirteen_countries_each_with_its_zone_and_currency(known: Catalogue) -> None:
    assert {code: (one.zone, one.currency) for code, one in known.countries.items()} == COUNTRIES


def test_every_provider_has_its_country_currency_and_decimals(known: Catalogue) -> None:
    assert {
        code: (
            one.country,
            one.currency,
            one.decimals(OperationType.DEPOSIT),
            one.decimals(OperationType.PAYOUT),
        )
        for code, one in known.providers.items()
    } == PROVIDERS


def test_every_country_can_be_collected_in_and_paid_to(known: Catalogue) -> None:
    for country in known.countries:
        statuses = {provider.status for provider in known.of_country(country)}
        assert ProviderStatus.ACTIVE in statuses, country


def test_every_currency_has_bounds_for_both_operations(known: Catalogue) -> None:
    assert set(known.limits) == {
        (operation, currency) for operation in OFFERED for _, currency in COUNTRIES.values()
    }
    assert all(0 < bounds.least.minor < bounds.most.minor for bounds in known.limits.values())


def test_the_bounds_in_xaf_are_the_page_s(known: Catalogue) -> None:
    payout = known.limits[OperationType.PAYOUT, "XAF"]

    assert known.limits[OperationType.DEPOSIT, "XAF"].least.number == 50
    assert (payout.least.number, payout.most.number) == (100, 500_000)


@pytest.mark.parametrize(
    ("wave", "others"),
    [("WAVE_CIV", ("MTN_MOMO_CIV", "ORANGE_CIV")), ("WAVE_SEN", ("FREE_SEN", "ORANGE_SEN"))],
)
def test_wave_is_suspended_and_the_others_are_named(
    known: Catalogue, wave: str, others: tuple[str, ...]
) -> None:
    with pytest.raises(Refusal, match=f"{wave} is temporarily suspended") as caught:
        known.provider(wave)
    assert caught.value.code is Code.PROVIDER_SUSPENDED
    assert all(other in caught.value.message for other in others)


def test_only_wave_is_suspended_and_only_orange_gabon_is_of_the_sandbox(known: Catalogue) -> None:
    by_status = {
        status: {code for code, one in known.providers.items() if one.status is status}
        for status in ProviderStatus
    }

    assert by_status[ProviderStatus.SUSPENDED] == {"WAVE_CIV", "WAVE_SEN"}
    assert by_status[ProviderStatus.SANDBOX_ONLY] == {"ORANGE_GAB"}


def test_an_unknown_provider_is_told_every_known_one(known: Catalogue) -> None:
    with pytest.raises(Refusal) as caught:
        known.provider("MTN_MOMO_FRA")
    assert caught.value.code is Code.UNKNOWN_PROVIDER
    assert all(code in caught.value.message for code in PROVIDERS)


def test_an_unsupported_country_is_told_every_supported_one(known: Catalogue) -> None:
    with pytest.raises(Refusal, match=r"^sourceCountry must be one of ") as caught:
        known.country("FRA", "sourceCountry")
    assert caught.value.code is Code.UNSUPPORTED_COUNTRY
    assert all(code in caught.value.message for code in COUNTRIES)


# Test numbers.


def numbers() -> list[TestNumber]:
    return list(catalogue().test_numbers.values())


def name_of(number: TestNumber) -> str:
    return f"{number.operation}-{number.phone_number}"


@pytest.mark.parametrize("number", numbers(), ids=name_of)
def test_every_test_number_is_of_its_country_and_has_an_outcome(
    known: Catalogue, number: TestNumber
) -> None:
    country = known.country_of_number(number.phone_number)

    assert country is not None
    assert country.code == number.country
    assert number.outcome in OUTCOMES
    assert (number.failure_code is not None) == (number.outcome == "FAILED")


@pytest.mark.parametrize("number", numbers(), ids=name_of)
def test_every_test_number_is_predicted(known: Catalogue, number: TestNumber) -> None:
    provider = known.predict(number.phone_number)

    assert provider is not None
    assert provider.code == PREDICTED[number.country]


def test_every_country_has_a_number_that_pays_and_one_that_is_paid(known: Catalogue) -> None:
    for operation in OFFERED:
        completed = {
            number.country
            for number in known.test_numbers.values()
            if number.operation is operation and number.outcome == "COMPLETED"
        }
        assert completed == set(COUNTRIES)


@pytest.mark.parametrize("operation", OFFERED)
@pytest.mark.parametrize("country", COUNTRIES)
def test_any_other_number_is_told_that_country_s(
    known: Catalogue, operation: OperationType, country: str
) -> None:
    with pytest.raises(Refusal) as caught:
        known.test_number(operation, "237600000000", country)
    assert caught.value.code is Code.NOT_A_TEST_NUMBER
    listed = {word.strip(",.") for word in caught.value.message.split()}
    assert {number.phone_number for number in numbers()} & listed == {
        number.phone_number
        for number in numbers()
        if number.operation is operation and number.country == country
    }


@pytest.mark.parametrize("text", ["", "0", "33612345678", "abc", "٢٣٧٦٥٣٤٥٦٧٨٩", "237"])
def test_a_number_of_nowhere_known_is_not_predicted(known: Catalogue, text: str) -> None:
    assert known.predict(text) is None
