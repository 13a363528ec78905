"""What a search text can mean, and a conversion that is worked out again."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from uuid import UUID

import msgspec
import pytest

from kpay.core.ids import public_id
from kpay.core.money import Money
from kpay.rates.model import Quote
from kpay.transactions.model import Meaning, Noun, meanings, parse, spell
from kpay.transactions.story import Receipt

ONE = UUID("019789f1-5c00-7000-8000-000000000001")


def beside(text: str) -> list[Meaning]:
    """What a text can mean besides an externalId, which any text can be."""
    first, *others = meanings(text)
    assert first == Meaning(external_id=text.strip())
    return others


@pytest.mark.parametrize(
    ("text", "noun", "suffix"),
    [
        ("KPAY-20260623-4FWK2S", Noun.PAYMENT, "4FWK2S"),
        ("kpay-wd-20260623-4fwk2s", Noun.PAYOUT, "4FWK2S"),
        (" KPAY-RF-20260623-4FWK2S1 ", Noun.REFUND, "4FWK2S1"),
        ("TRF-OUT-ABC123", Noun.TRANSFER, "ABC123"),
        ("TRF-IN-ABC123", Noun.TRANSFER, "ABC123"),
        ("abc123", None, "ABC123"),
    ],
)
def test_a_reference_or_its_end_means_who_has_it(text: str, noun: Noun | None, suffix: str) -> None:
    assert beside(text) == [Meaning(noun=noun, suffix=suffix)]


@pytest.mark.parametrize(
    "text", ["+237 653 456 789", "237653456789", "00237-653-456-789", "(237) 653.456.789"]
)
def test_a_number_is_one_however_it_is_written(text: str) -> None:
    numbers = [each for each in beside(text) if each.suffix is None]
    assert numbers == [Meaning(phone_number="237653456789"), Meaning(chosen_number="237653456789")]


@pytest.mark.parametrize("text", ["KPAY-XX-20260623-4FWK2S", "order 1", "12345", "é", "ILOU00"])
def test_what_is_no_name_of_ours_is_an_external_id_and_nothing_else(text: str) -> None:
    assert beside(text) == []


def test_a_text_of_any_length_is_cut_to_what_can_be_an_external_id() -> None:
    assert meanings("x" * 1_000) == [Meaning(external_id="x" * 255)]


@pytest.mark.parametrize("noun", Noun)
def test_a_public_id_names_one_of_its_noun(noun: Noun) -> None:
    text = spell(noun, ONE)
    assert parse(text) == (noun, ONE)
    assert Meaning(noun=noun, id=ONE) in meanings(text)
    assert (text == str(ONE)) is (noun is Noun.TRANSFER)


def test_what_is_no_public_id_names_nothing() -> None:
    for text in ("", "pay_", "evt_" + public_id("evt", ONE)[4:], str(ONE)[:-1]):
        assert parse(text) is None


def receipt(received: int, sent: int | None) -> Receipt:
    quote = Quote(
        rate=Decimal("1.0149842105263157895"),
        source="open-er-api",
        as_of=datetime(2026, 6, 23, tzinfo=UTC),
        margin_bps=0,
        expires_at=datetime(2026, 6, 23, 1, tzinfo=UTC),
    )
    told = None if sent is None else Money(sent, "XOF")
    return Receipt(Money(4_750_000, "XAF"), Money(received, "XOF"), quote, told)


def test_a_receipt_agrees_with_what_its_own_rate_comes_to() -> None:
    agreed = receipt(4_821_175, 4_821_200)
    assert agreed.recomputed == Money(4_821_175, "XOF")
    assert agreed.agrees
    assert agreed.residue == Money(25, "XOF")
    assert not receipt(4_821_176, None).agrees


def test_what_an_operator_is_told_without_rounding_leaves_nothing() -> None:
    assert receipt(4_821_200, 4_821_200).residue is None
    assert receipt(4_821_175, None).residue is None
    elsewhere = msgspec.structs.replace(receipt(4_821_175, None), sent=Money(25, "XAF"))
    assert elsewhere.residue is None
