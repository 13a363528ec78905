"""Keys, applications, webhook addresses and secrets: who made, changed or saw them is on record."""

from __future__ import annotations

from datetime import timedelta

import asyncpg
import pytest

from kpay.app import House
from kpay.audit.flow import Audit
from kpay.audit.model import Action, Actor, AuditFilter, Entry
from kpay.core.book import Book, Environment
from kpay.core.clock import ManualClock
from kpay.people.model import OperatorRole, Role
from kpay.webhooks.model import Topic
from tests.client import Merchant
from tests.flows.test_access import everything
from tests.people import Office, people_of
from tests.visitors import Visitor, words

BY = Actor(command="kpay app, by a test")
FIRST = "https://one.example.com:8443/hear?token=a-token-of-theirs"
SECOND = "https://two.example.com/a-path-that-nobody-guesses"
HOOK = "/api/v1/payments/webhooks/generic"


@pytest.fixture
async def office(house: House, clock: ManualClock) -> Office:
    house.people = people_of(house)
    made = Office(house, house.people, clock)
    await made.hire("awa")
    return made


async def log(house: House, *actions: Action) -> list[Entry]:
    """What the log has of these, the oldest first."""
    entries = await house.audit.page(AuditFilter(limit=100))
    return [entry for entry in reversed(entries) if entry.action in actions]


def book_of(shop: Merchant) -> Book:
    return Book(shop.new.application.id, Environment.TEST)


async def pause(shop: Merchant, reason: str) -> None:
    await shop.house.database.execute(
        """
        update webhook_endpoints
        set failures = 12, paused_since = $1, pause_reason = $2, probe_at = $1
        """,
        shop.house.clock.now(),
        reason,
    )


async def test_an_application_and_its_keys_are_on_record_by_their_public_half_alone(
    house: House,
) -> None:
    made = await house.office.create_application("Acme", "shop", by=BY)
    await house.office.approve_company("Acme")
    live = await house.office.regenerate_keys(made.application.id, Environment.PRODUCTION, by=BY)
    key_id = await house.office.rotate_token_key(by=BY)

    created, keys, token_key = await log(
        house, Action.APPLICATION_CREATED, Action.KEYS_MADE, Action.TOKEN_KEY_ROTATED
    )
    assert {entry.command for entry in (created, keys, token_key)} == {BY.command}
    assert created.company_id == keys.company_id == made.application.company.id
    assert created.subject.id == keys.subject.id == str(made.application.id)
    assert created.details == {
        "application": "shop",
        "testKey": made.test.api_key,
        "liveKey": None,
    }
    assert keys.details == {"application": "shop", "environment": "live", "apiKey": live.api_key}
    assert (token_key.company_id, token_key.subject.id) == (None, str(key_id))
    content = await everything(house)
    for pair in (made.test, live):
        assert pair.api_key.encode() in content
        assert pair.secret_key.rpartition("_")[2].encode() not in content


async def test_a_webhook_address_is_on_record_by_its_host_and_once_for_each_change(
    house: House,
) -> None:
    shop = await Merchant.join(house)
    book = book_of(shop)
    for url in (FIRST, FIRST, SECOND):
        await house.webhooks.set_url(book, Topic.GENERIC, url, by=BY)
    await pause(shop, "It answered 503.")
    # Set once more, it is sent to again at once.
    await house.webhooks.set_url(book, Topic.GENERIC, SECOND, by=BY)
    await house.webhooks.remove_url(book, Topic.GENERIC, by=BY)

    of = {"application": "shop", "environment": "test", "topic": "generic"}
    entries = await log(house, Action.WEBHOOK_SET, Action.WEBHOOK_RESUMED, Action.WEBHOOK_REMOVED)
    assert [(entry.action, entry.details) for entry in entries] == [
        (Action.WEBHOOK_SET, {**of, "host": "one.example.com:8443", "hostBefore": None}),
        (
            Action.WEBHOOK_SET,
            {**of, "host": "two.example.com", "hostBefore": "one.example.com:8443"},
        ),
        (Action.WEBHOOK_RESUMED, of),
        (Action.WEBHOOK_REMOVED, {**of, "hostBefore": "two.example.com"}),
    ]
    assert {entry.company_id for entry in entries} == {shop.new.application.company.id}


async def test_a_secret_that_is_shown_or_made_anew_is_on_record_without_it(house: House) -> None:
    shop = await Merchant.join(house)
    shown = await house.webhooks.show_secrets(book_of(shop), by=BY)
    rotated = await house.webhooks.rotate(book_of(shop), timedelta(hours=1), by=BY)

    seen, made = await log(house, Action.WEBHOOK_SECRET_SHOWN, Action.WEBHOOK_SECRET_ROTATED)
    assert (seen.command, made.command) == (BY.command, BY.command)
    assert seen.details == {"application": "shop", "environment": "test"}
    assert made.details["version"] == 2
    content = await everything(house)
    for secret in (shown.current, rotated.current):
        assert secret.removeprefix("whsec_").encode() not in content


async def test_a_merchants_program_is_on_record_by_its_key_and_where_it_called_from(
    house: House, office: Office
) -> None:
    shop = await Merchant.join(house)
    await shop.keys.send("PUT", HOOK, {"url": FIRST})
    await pause(shop, "It answered 503.")
    await shop.keys.send("POST", f"{HOOK}/resume")
    await shop.keys.send("DELETE", HOOK)

    entries = await log(house, Action.WEBHOOK_SET, Action.WEBHOOK_RESUMED, Action.WEBHOOK_REMOVED)
    assert len(entries) == 3
    for entry in entries:
        assert (entry.api_key, entry.address) == (shop.new.test.api_key, "127.0.0.1")
        assert (entry.person_id, entry.command) == (None, None)
    awa = await Visitor.signed_in(shop.api, office, "awa")
    address = f"/dashboard/company/{shop.new.application.company.id}/audit"
    page = words(await awa.get(address, action="webhook.set"))
    assert (
        f"A program with the key {shop.new.test.api_key} set the webhook address of shop (test): "
        "General, at one.example.com:8443"
    ) in page
    file = (await awa.get(f"{address}/export", action="webhook.set")).raw.decode()
    assert f",key,,,,{shop.new.test.api_key},127.0.0.1,webhook.set," in file


async def test_a_line_is_by_exactly_one_of_a_person_a_command_and_a_key(
    house: House, office: Office
) -> None:
    for actor in (Actor(), Actor(command="kpay", api_key="kpay_test_1")):
        with pytest.raises(asyncpg.CheckViolationError, match="audit_log_by_somebody"):
            await house.office.create_application("Acme", "shop", by=actor)
    assert await house.office.applications() == []


async def test_what_cannot_be_recorded_is_not_done(
    house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop = await Merchant.join(house)
    book, keys = book_of(shop), await house.office.keys(shop.new.application.id)
    await house.webhooks.set_url(book, Topic.GENERIC, FIRST)

    async def fails(*_arguments: object, **_named: object) -> None:
        raise RuntimeError("no line can be written")

    monkeypatch.setattr(Audit, "write", fails)
    for deed in (
        house.office.create_application("Acme", "another"),
        house.office.regenerate_keys(shop.new.application.id, Environment.TEST),
        house.office.rotate_token_key(),
        house.webhooks.set_url(book, Topic.GENERIC, SECOND),
        house.webhooks.remove_url(book, Topic.GENERIC),
        house.webhooks.rotate(book),
        house.webhooks.show_secrets(book),
    ):
        with pytest.raises(RuntimeError, match="no line can be written"):
            await deed
    assert await house.office.keys(shop.new.application.id) == keys
    assert [row["name"] for row in await house.office.applications()] == ["shop"]
    assert [each.url for each in await house.webhooks.endpoints(book)] == [FIRST]
    assert (await house.webhooks.secrets(book)).version == 1
    assert await house.database.fetchval("select count(*) from token_keys") == 1


@pytest.mark.parametrize(
    ("reason", "french"),
    [
        ("It answered 503.", "Elle a répondu 503."),
        ("No answer within 3 seconds.", "Pas de réponse en 3 secondes."),
        (
            "The answer was no HTTP: BadStatusLine.",
            "La réponse n’était pas du HTTP : BadStatusLine.",
        ),
        ("The connection was refused.", "La connexion a été refusée."),
        # Of a program that knew other sentences.
        ("Something else.", "Something else."),
    ],
)
async def test_why_an_address_is_paused_is_told_in_the_language_of_the_page(
    house: House, office: Office, reason: str, french: str
) -> None:
    shop = await Merchant.join(house)
    await house.webhooks.set_url(book_of(shop), Topic.GENERIC, FIRST)
    await pause(shop, reason)
    await office.hire("dede", Role.DEVELOPER)
    await office.employ("sam", OperatorRole.SUPPORT)
    for name, address in (
        ("dede", f"/dashboard/app/{shop.application_id}/test/webhooks"),
        ("sam", "/dashboard/office/overview"),
    ):
        visitor = await Visitor.signed_in(shop.api, office, name)
        assert reason in words(await visitor.get(address))
        assert french in words(await visitor.get(address, lang="fr"))
