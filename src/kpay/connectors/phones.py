"""The telephone number of a payer or a beneficiary, as a rail will be told it.

In the sandbox only test numbers exist, and they are looked up before any other rule, because some
(Benin's) are no valid numbers. Live numbers must be mobile numbers of the provider's country.
"""

from __future__ import annotations

import re
from contextlib import suppress

from kpay.catalogue.model import OFFERED, Catalogue, OperationType, Provider
from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal

_DIGITS = re.compile(r"[0-9]{6,15}\Z")


def in_digits(text: str) -> str:
    """A number without the marks that may be written with it; what else it holds stays."""
    return text.strip().removeprefix("+").replace(" ", "")


def read_phone(
    catalogue: Catalogue,
    environment: Environment,
    operation: OperationType,
    provider: Provider,
    text: str,
) -> str:
    """The number in digits only. Refuses: invalid_phone_number, not_a_test_number."""
    digits = in_digits(text)
    if environment is Environment.TEST:
        return catalogue.test_number(operation, digits, provider.country).phone_number
    calling_code = catalogue.countries[provider.country].calling_code
    if not (_DIGITS.match(digits) and digits.startswith(calling_code) and _is_mobile(digits)):
        raise Refusal(
            Code.INVALID_PHONE_NUMBER,
            f"phoneNumber must be a mobile number of {provider.country}: digits only, beginning "
            f"with {calling_code}.",
        )
    return digits


def predict(catalogue: Catalogue, environment: Environment, text: str) -> tuple[Provider, str]:
    """The operator that most likely serves a number, and its digits; a ported one has another.

    Refuses: not_a_test_number, invalid_phone_number.
    """
    digits = in_digits(text)
    known = any((type_, digits) in catalogue.test_numbers for type_ in OFFERED)
    if environment is Environment.TEST and not known:
        raise Refusal(
            Code.NOT_A_TEST_NUMBER,
            "The sandbox knows only test numbers, such as 237653456789.",
        )
    provider = catalogue.predict(digits)
    if provider is None:
        raise Refusal(
            Code.INVALID_PHONE_NUMBER,
            "No operator is known for this phoneNumber: it must begin with the calling code of a "
            "supported country.",
        )
    return provider, digits


def predict_as_typed(
    catalogue: Catalogue, environment: Environment, country: str, text: str
) -> Provider:
    """The operator of a number as a person types it, perhaps without the code of `country`.

    Refuses: not_a_test_number, invalid_phone_number.
    """
    readings = as_typed(catalogue.countries[country].calling_code, text)
    for reading in readings[:-1]:
        with suppress(Refusal):
            return predict(catalogue, environment, reading)[0]
    return predict(catalogue, environment, readings[-1])[0]


def as_typed(calling_code: str, text: str) -> list[str]:
    """What a person may have meant: with the calling code, without it, or with a zero before.

    A number is typed as its country writes it; which zero belongs to it differs (it does in Côte
    d'Ivoire, and does not in Kenya), so each reading is tried, the most literal first.
    """
    digits = re.sub(r"[\s().\-\u2010-\u2015]", "", text).removeprefix("+").removeprefix("00")
    national = digits.removeprefix("0")
    return list(dict.fromkeys([digits, calling_code + digits, calling_code + national]))


def _is_mobile(digits: str) -> bool:
    # Imported where it is needed: its tables of every country cost memory that a sandbox can save.
    import phonenumbers

    try:
        number = phonenumbers.parse(f"+{digits}", None)
    except phonenumbers.NumberParseException:
        return False
    kind = phonenumbers.number_type(number)
    return phonenumbers.is_valid_number(number) and kind in (
        phonenumbers.PhoneNumberType.MOBILE,
        phonenumbers.PhoneNumberType.FIXED_LINE_OR_MOBILE,
    )
