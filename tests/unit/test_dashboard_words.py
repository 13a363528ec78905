"""What the dashboard says of roles, browsers and deeds, in both languages."""

from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import msgspec
import pytest

from kpay.audit.model import Action, Details, Entry, Subject
from kpay.dashboard.browsers import browser_of
from kpay.dashboard.deeds import deed_names, sentence
from kpay.dashboard.roles import role_name, role_words
from kpay.dashboard.speech import speech
from kpay.people.model import Role
from kpay.web.languages import LANGUAGES

DETAILS: dict[str, str | int | bool | None] = {
    "email": "paul@example.com",
    "role": "VIEWER",
    "before": "OWNER",
    "left": 7,
    "sessions": 3,
}


def entry(action: str, *, subject_name: str | None = "Paul Mbarga", empty: bool = False) -> Entry:
    return Entry(
        id=UUID(int=1),
        at=datetime(2026, 6, 23, tzinfo=UTC),
        company_id=UUID(int=2),
        person_id=UUID(int=3),
        person_name="Awa",
        person_email="awa@example.com",
        command=None,
        address=None,
        action=action,
        subject=Subject("person", str(UUID(int=4))),
        subject_name=subject_name,
        details={} if empty else DETAILS,
    )


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_action_has_a_name_and_a_sentence_of_its_own(language: str) -> None:
    spoken = speech(language)
    assert set(deed_names(spoken)) == set(Action)
    assert len(set(deed_names(spoken).values())) == len(Action)
    told = {action: sentence(spoken, entry(action)) for action in Action}
    assert len(set(told.values())) == len(Action)
    assert not [words for words in told.values() if "%" in words or "None" in words]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("action", Action)
def test_an_entry_without_details_is_told_too(language: str, action: Action) -> None:
    assert sentence(speech(language), entry(action, subject_name=None, empty=True))


def test_a_sentence_names_whom_it_was_done_to() -> None:
    english = speech("en")
    changed = sentence(english, entry(Action.MEMBER_ROLE_CHANGED))
    assert changed == "changed the role of Paul Mbarga from Owner to Viewer"
    assert sentence(speech("fr"), entry(Action.INVITED)) == (
        "a invité Paul Mbarga avec le rôle Lecteur"
    )
    # Whoever is no person yet is known by the address, and who is not known at all is somebody.
    invited = entry(Action.INVITED, subject_name=None)
    assert sentence(english, invited) == "invited paul@example.com as Viewer"
    removed = entry(Action.MEMBER_REMOVED, subject_name=None, empty=True)
    assert sentence(english, removed) == "removed somebody from the company"


def test_what_the_operator_changed_is_told_with_what_it_was() -> None:
    def told(language: str, action: Action, **details: str | int | bool | None) -> str:
        deed = msgspec.structs.replace(entry(action), details={"application": "Shop", **details})
        return sentence(speech(language), deed).replace("\u00a0", " ").replace("\u202f", " ")

    approved = told("en", Action.COMPANY_APPROVED, reason="Papers of 12 June")
    assert approved == "approved the company for live: Papers of 12 June"
    assert told("en", Action.COMPANY_APPROVED) == "approved the company for live"
    withdrawn = told("fr", Action.APPROVAL_WITHDRAWN, reason="Fraude", keysEnded=2)
    assert withdrawn == (
        "a retiré l’approbation de l’entreprise pour le réel (paires de clés réelles "
        "terminées : 2) : Fraude"
    )
    changed: Details = {"paymentFeeBps": 250, "paymentFeeBpsBefore": 500, "rateLimit": None}
    assert told("en", Action.TERMS_CHANGED, **changed, rateLimitBefore=0) == (
        "changed the terms of Shop: Fee on payments from 5 % to 2.5 %; "
        "Requests a minute from any number to as usual"
    )
    some = told("fr", Action.TERMS_CHANGED, providers="MTN_MOMO_CMR", providersBefore=None)
    assert some == ("a changé les conditions de Shop : Opérateurs, de tous à MTN_MOMO_CMR")
    bounds: Details = {"operation": "PAYOUT", "currency": "XAF", "least": 10_000, "most": 5_000_000}
    assert told("en", Action.LIMITS_SET, **bounds) == (
        "set the limits of Shop: Payouts, 100 XAF to 50,000 XAF"
    )
    period = {"since": "2026-06-23T09:00:00.000Z", "until": "2026-06-23T11:00:00.000Z"}
    assert told("en", Action.PERIOD_REPLAYED, **period) == (
        "asked for the webhooks from 23 Jun 2026, 09:00 UTC to 23 Jun 2026, 11:00 UTC again"
    )
    assert told("en", Action.LIMITS_LIFTED, **bounds) == (
        "took the own limits of Shop away: Payouts in XAF"
    )


def test_an_action_of_a_newer_program_is_shown_as_it_is() -> None:
    assert sentence(speech("en"), entry("key.made")) == "key.made"
    assert role_name(speech("en"), "AUDITOR") == "AUDITOR"


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_role_is_named_and_explained(language: str) -> None:
    words = role_words(speech(language))
    assert list(words) == list(Role)
    assert len({each.name for each in words.values()}) == len(Role)
    assert len({each.may for each in words.values()}) == len(Role)


@pytest.mark.parametrize(
    ("agent", "browser", "system"),
    [
        (
            "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
            "Chrome/121.0.0.0 Safari/537.36 Edg/121.0.0.0",
            "Edge",
            "Windows",
        ),
        (
            "Mozilla/5.0 (Linux; Android 14; SM-A155F) AppleWebKit/537.36 (KHTML, like Gecko) "
            "SamsungBrowser/25.0 Chrome/121.0.0.0 Mobile Safari/537.36",
            "Samsung Internet",
            "Android",
        ),
        (
            "Mozilla/5.0 (iPhone; CPU iPhone OS 17_3 like Mac OS X) AppleWebKit/605.1.15 (KHTML, "
            "like Gecko) CriOS/121.0.6167.138 Mobile/15E148 Safari/604.1",
            "Chrome",
            "iPhone",
        ),
        (
            "Mozilla/5.0 (Macintosh; Intel Mac OS X 14_3) AppleWebKit/605.1.15 (KHTML, like Gecko) "
            "Version/17.3 Safari/605.1.15",
            "Safari",
            "Mac",
        ),
        (
            "Mozilla/5.0 (X11; Linux x86_64; rv:122.0) Gecko/20100101 Firefox/122.0",
            "Firefox",
            "Linux",
        ),
        ("curl/8.5.0", None, None),
        ("", None, None),
    ],
)
def test_a_browser_is_named_as_its_owner_would(
    agent: str, browser: str | None, system: str | None
) -> None:
    assert browser_of(agent) == (browser, system)
