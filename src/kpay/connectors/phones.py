"""The telephone number of a payer or a beneficiary, as a rail will be told it.

In the sandbox only test numbers exist, and they are looked up before any other rule, because some
(Benin's) are no valid numbers. Live numbers must be mobile numbers of the provider's country.
"""

from __future__ import annotations

import re

from kpay.catalogue.model import Catalogue, OperationType, Provider
from kpay.core.book import Environment
from kpay.core.refusals import Code, Refusal

_DIGITS = re.compile(r"[0-9]{6,15}\Z")


def read_phone(
    catalogue: Catalogue,
    environment: Environment,
    operation: OperationType,
    provider: Provider,
    text: str,
) -> str:
    """The number in digits only. Refuses: invalid_phone_number, not_a_test_number."""
    digits = text.strip().removeprefix("+").replace(" ", "")
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
