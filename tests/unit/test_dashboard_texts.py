"""Every text of the dashboard is there in French, with the same parts, and none is left over."""

from __future__ import annotations

import re
import runpy
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
from babel.messages.pofile import read_po

from kpay.core.money import Money
from kpay.dashboard.speech import speech
from kpay.web.languages import LANGUAGES

SCRIPT = Path(__file__).parents[2] / "scripts" / "texts"


def test_each_text_has_its_french_and_no_french_is_left_over() -> None:
    script = runpy.run_path(str(SCRIPT))
    texts = {message.id for message in script["gathered"]() if message.id}
    with script["FRENCH"].open("rb") as file:
        french = {str(each.id): str(each.string or "") for each in read_po(file, locale="fr")}
    del french[""]
    assert set(french) == texts
    for text, translated in french.items():
        assert translated, text
        assert set(re.findall(r"%\(\w+\)s", translated)) == set(re.findall(r"%\(\w+\)s", text))


def test_gathering_texts_that_have_not_changed_writes_the_same_file() -> None:
    script = runpy.run_path(str(SCRIPT))
    before = script["FRENCH"].read_bytes()
    assert script["written"](script["merged"](before)) == before


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_writes_amounts_dates_and_countries_its_own_way(language: str) -> None:
    told = speech(language)
    moment = datetime(2026, 6, 1, 10, 4, tzinfo=UTC)
    said = [
        told.money(Money(4_821_175, "XOF")),
        told.money(Money(500_000, "XAF")),
        told.rate(Decimal("1.01500")),
        told.percent(250),
        told.moment(moment),
        told.country("CIV"),
        told.say("Sign in"),
        told.rates("file"),
        told.rates("frankfurter"),
    ]
    wanted = {
        "en": [
            "48,211.75 XOF",
            "5,000 XAF",
            "1.015",
            "2.5 %",
            "1 Jun 2026, 10:04 UTC",
            "Côte d’Ivoire",
            "Sign in",
            "file of rates",
            "frankfurter",
        ],
        "fr": [
            "48 211,75 XOF",
            "5 000 XAF",
            "1,015",
            "2,5 %",
            "1 juin 2026, 10:04 UTC",
            "Côte d’Ivoire",
            "Se connecter",
            "fichier de taux",
            "frankfurter",
        ],
    }[language]
    assert [text.replace("\u00a0", " ").replace("\u202f", " ") for text in said] == wanted
