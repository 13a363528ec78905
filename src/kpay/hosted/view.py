"""What the page shows, worked out before anything is drawn: pure, from what the operation is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import StrEnum

import msgspec

from kpay.catalogue.model import Catalogue, OperationType, Provider
from kpay.core.money import Money, round_half_up
from kpay.core.refusals import Code
from kpay.hosted.language import Language
from kpay.hosted.names import brand, wallet_name
from kpay.instructions.model import EXPIRED, Hosted, Progress, Status
from kpay.web.languages import ENGLISH

# Where there are this many countries to choose from, each is folded until it is wanted.
_MANY_COUNTRIES = 4

_KINDS = {OperationType.DEPOSIT: "payment", OperationType.PAYOUT: "payout"}


class State(StrEnum):
    """What the page is about at the moment."""

    CHOOSING = "choosing"
    CONFIRMING = "confirming"
    WAITING = "waiting"
    COMPLETED = "completed"
    FAILED = "failed"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Subject(msgspec.Struct, frozen=True):
    """What both kinds of operation are to the page. What was chosen is None before it was."""

    type: OperationType
    reference: str
    external_id: str | None
    description: str | None
    amount: Money
    """What is paid or sent to the operator; before a beneficiary has chosen, what is left of it."""
    provider: str | None
    phone_number: str | None
    is_test: bool
    hosted: Hosted
    progress: Progress
    waits: bool = True
    """Whether an operator may be chosen that is delayed, where it is to wait for it."""


class Offer(msgspec.Struct, frozen=True):
    """One operator that can be chosen."""

    code: str
    name: str
    brand: str
    checked: bool


class TestLine(msgspec.Struct, frozen=True):
    """A number of the sandbox, and what comes of it."""

    __test__ = False

    number: str
    outcome: str


class CountryOffers(msgspec.Struct, frozen=True):
    """A country with its operators, and in the sandbox its numbers."""

    code: str
    name: str
    calling_code: str
    offers: Sequence[Offer]
    tests: Sequence[TestLine]

    @property
    def has_checked(self) -> bool:
        return any(offer.checked for offer in self.offers)


class Quoted(msgspec.Struct, frozen=True):
    """What a beneficiary would receive, before they confirm it. `rate` is None without exchange.

    `changed` is whether something else was shown to them before.
    """

    receives: Money
    source: str
    rate: Decimal | None
    changed: bool


class Typed(msgspec.Struct, frozen=True):
    """What was sent with the form, as it came, and what is wrong with it by field."""

    provider: str = ""
    number: str = ""
    errors: Mapping[str, str] = msgspec.field(default_factory=dict)
    quoted: Quoted | None = None


class View(msgspec.Struct, frozen=True):
    """Everything that the template needs, in words."""

    kind: str
    state: State
    stamp: str
    merchant: str
    amount: str
    description: str | None
    reference: str
    is_test: bool
    operator: str
    phone: str
    failure: str | None
    ended: str | None
    minutes: int
    seconds: int
    countries: Sequence[CountryOffers]
    folded: bool
    example: str
    typed: Typed
    receives: str | None
    rate: str | None


def state_of(progress: Progress) -> State:
    """How an operation stands, in the page's own words."""
    match progress.status:
        case Status.PENDING:
            return State.CHOOSING
        case Status.PROCESSING:
            return State.WAITING
        case Status.COMPLETED:
            return State.COMPLETED
        case Status.CANCELLED:
            return State.CANCELLED
        case Status.FAILED:
            expired = progress.failure_code == EXPIRED
            return State.EXPIRED if expired else State.FAILED


def stamp_of(subject: Subject) -> str:
    """Changes whenever the page has something else to show: the state, and which try it is."""
    return f"{state_of(subject.progress)}-{subject.hosted.choice}"


def view(
    subject: Subject,
    catalogue: Catalogue,
    language: Language,
    *,
    merchant: str,
    offers: Sequence[Provider],
    typed: Typed | None,
    now: datetime,
) -> View:
    """The page of an operation at this moment."""
    state = state_of(subject.progress)
    if state is State.CHOOSING and typed is not None and typed.quoted is not None:
        state = State.CONFIRMING
    # After a refusal the form still holds what was tried.
    entered = typed or Typed(subject.provider or "", _national(subject, catalogue))
    left = max(subject.hosted.expires_at - now, now - now)
    operator = operator_name(catalogue, entered.provider or subject.provider)
    ended_at = subject.progress.ended_at
    countries = _countries(subject, catalogue, language, offers, entered)
    by_code = subject.type is OperationType.PAYOUT
    return View(
        kind=_KINDS[subject.type],
        state=state,
        stamp=stamp_of(subject),
        merchant=merchant,
        amount=language.money(subject.amount, by_code=by_code),
        description=subject.description,
        reference=subject.reference,
        is_test=subject.is_test,
        operator=operator,
        phone=f"+{subject.phone_number}" if subject.phone_number else "",
        failure=failure_text(subject, catalogue, language),
        ended=None if ended_at is None else language.moment(ended_at),
        minutes=-(-int(left.total_seconds()) // 60),
        seconds=int(left.total_seconds()) + 1,
        countries=countries,
        folded=len(countries) >= _MANY_COUNTRIES,
        example=_example(countries, catalogue),
        typed=entered,
        receives=(
            language.money(typed.quoted.receives, by_code=by_code)
            if typed is not None and typed.quoted is not None
            else None
        ),
        rate=None if typed is None else _rate(typed.quoted, language),
    )


def _rate(quoted: Quoted | None, language: Language) -> str | None:
    """1 XAF = 1.015 XOF, to four decimals as the API shows it."""
    if quoted is None or quoted.rate is None:
        return None
    number = language.exact(round_half_up(quoted.rate, 4))
    return f"1\u00a0{quoted.source} = {number}\u00a0{quoted.receives.currency}"


def operator_name(catalogue: Catalogue, provider: str | None) -> str:
    """An operator as people know it, or nothing where none was chosen."""
    found = None if provider is None else catalogue.providers.get(provider)
    return "" if found is None else wallet_name(found.operator)


def failure_text(subject: Subject, catalogue: Catalogue, language: Language) -> str | None:
    """Why the last try came to nothing, in words that a payer can do something with."""
    code = subject.progress.failure_code
    if code is None or code == EXPIRED:
        return None
    key = f"failure.{code}"
    return language.say(
        key if language.knows(key) else "failure.OTHER",
        operator=operator_name(catalogue, subject.provider),
    )


def error_of(
    code: Code, catalogue: Catalogue, language: Language, provider: str
) -> tuple[str, str]:
    """What is said of a choice that cannot be taken, and beside which field."""
    match code:
        case Code.INVALID_PHONE_NUMBER:
            return "number", language.say(
                "error.number_invalid", country=_country_name(catalogue, language, provider)
            )
        case Code.NOT_A_TEST_NUMBER:
            return "number", language.say("error.number_test")
        case Code.AMOUNT_OUT_OF_BOUNDS:
            return "provider", language.say("error.too_small")
        case Code.NO_RATE:
            return "provider", language.say("error.no_rate")
        case Code.UNKNOWN_PROVIDER:
            return "provider", language.say("error.provider")
        case _:
            return "provider", language.say("error.provider_closed")


def _countries(
    subject: Subject,
    catalogue: Catalogue,
    language: Language,
    offers: Sequence[Provider],
    entered: Typed,
) -> list[CountryOffers]:
    by_country: dict[str, list[Provider]] = {}
    for provider in offers:
        by_country.setdefault(provider.country, []).append(provider)
    only = len(offers) == 1
    return [
        CountryOffers(
            code=code,
            name=_name(catalogue, language, code),
            calling_code=catalogue.countries[code].calling_code,
            offers=[
                Offer(
                    code=provider.code,
                    name=wallet_name(provider.operator),
                    brand=brand(provider.operator),
                    checked=only or provider.code == entered.provider,
                )
                for provider in providers
            ],
            tests=_tests(subject, catalogue, language, code),
        )
        for code, providers in by_country.items()
    ]


def _tests(
    subject: Subject, catalogue: Catalogue, language: Language, country: str
) -> list[TestLine]:
    if not subject.is_test:
        return []
    return [
        TestLine(
            number.phone_number,
            language.say(f"test.{number.outcome}", code=number.failure_code),
        )
        for (kind, _), number in catalogue.test_numbers.items()
        if kind is subject.type and number.country == country
    ]


def _national(subject: Subject, catalogue: Catalogue) -> str:
    """The number that was chosen, as it is typed in its operator's own country."""
    if subject.provider is None or subject.phone_number is None:
        return ""
    country = catalogue.countries[catalogue.providers[subject.provider].country]
    return subject.phone_number.removeprefix(country.calling_code)


def _example(countries: Sequence[CountryOffers], catalogue: Catalogue) -> str:
    """A number as it is typed where the payer is most likely to be: that of the sandbox will do."""
    wanted = next((one for one in countries if one.has_checked), None) or next(
        iter(countries), None
    )
    if wanted is None:
        return ""
    return next(
        number.phone_number.removeprefix(wanted.calling_code)
        for number in catalogue.test_numbers.values()
        if number.country == wanted.code
    )


def _country_name(catalogue: Catalogue, language: Language, provider: str) -> str:
    return _name(catalogue, language, catalogue.providers[provider].country)


def _name(catalogue: Catalogue, language: Language, code: str) -> str:
    country = catalogue.countries[code]
    return country.name if language.code == ENGLISH else country.name_fr
