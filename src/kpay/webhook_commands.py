"""`kpay webhook`: what an operator does for a merchant whose webhooks need a hand."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

from cyclopts import App, Parameter

from kpay.terminal import ApplicationId, AsJson, new_table, out, print_json, typed_by, with_house

if TYPE_CHECKING:
    from kpay.app import House
    from kpay.core.book import Book
    from kpay.webhooks.flow import Secrets

webhooks = App(name="webhook", help="Where merchants hear what happened, and what was sent there.")

Topic = Annotated[
    Literal["generic", "payments", "payouts", "refunds"],
    Parameter(help="What the URL hears; generic hears what has no URL of its own."),
]
Environment = Annotated[
    Literal["test", "live"], Parameter(name="--env", help="In which environment.")
]


@webhooks.command(name="list")
def list_urls(
    application: ApplicationId, *, env: Environment = "test", as_json: AsJson = False
) -> None:
    """List an application's URLs and how each fares."""

    async def fetch(house: House) -> list[dict[str, Any]]:
        from kpay.core.clock import iso

        return [
            {
                "topic": str(one.topic),
                "url": one.url,
                "status": "ACTIVE" if one.paused_since is None else "PAUSED",
                "pausedSince": None if one.paused_since is None else iso(one.paused_since),
                "pauseReason": one.pause_reason,
            }
            for one in await house.webhooks.endpoints(await _book(house, application, env))
        ]

    rows = with_house(fetch)
    if as_json:
        print_json(rows)
        return
    table = new_table("Topic", "URL", "Status", "Why")
    for row in rows:
        table.add_row(row["topic"], row["url"], row["status"], row["pauseReason"] or "")
    out.print(table)


@webhooks.command(name="set")
def set_url(
    application: ApplicationId,
    topic: Topic,
    url: Annotated[str, Parameter(help="A public address; https:// in live.")],
    *,
    env: Environment = "test",
) -> None:
    """Set the URL of a topic. What waits for the one before goes to the new one."""

    async def change(house: House) -> None:
        from kpay.webhooks.model import Topic as Known

        book = await _book(house, application, env)
        await house.webhooks.set_url(book, Known(topic), url, by=typed_by("webhook set"))

    with_house(change)
    out.print("Set.")


@webhooks.command
def remove(application: ApplicationId, topic: Topic, *, env: Environment = "test") -> None:
    """Take a URL away; what waits for it is cancelled."""

    async def change(house: House) -> None:
        from kpay.webhooks.model import Topic as Known

        book = await _book(house, application, env)
        await house.webhooks.remove_url(book, Known(topic), by=typed_by("webhook remove"))

    with_house(change)
    out.print("Removed.")


@webhooks.command
def resume(application: ApplicationId, topic: Topic, *, env: Environment = "test") -> None:
    """Send again at once to a URL that is paused."""

    async def change(house: House) -> None:
        from kpay.webhooks.model import Topic as Known

        book = await _book(house, application, env)
        await house.webhooks.resume(book, Known(topic), by=typed_by("webhook resume"))

    with_house(change)
    out.print("Resumed: a running worker sends within a second.")


@webhooks.command(name="test")
def send_test(
    application: ApplicationId,
    topic: Topic = "generic",
    *,
    env: Environment = "test",
    as_json: AsJson = False,
) -> None:
    """Send a test event and say what came back."""

    async def send(house: House) -> dict[str, Any]:
        from kpay.audit.model import Action
        from kpay.webhooks.model import Topic as Known

        book = await _book(house, application, env)
        by = typed_by("webhook test")
        await house.webhooks.record(book, by, Action.WEBHOOK_TESTED, {"topic": topic})
        sent = await house.webhooks.test(book, Known(topic))
        return {
            "id": sent.public_id,
            "status": str(sent.status),
            "responseStatus": sent.response_status,
            "error": sent.error,
            "durationMs": sent.duration_ms,
        }

    told = with_house(send)
    if as_json:
        print_json(told)
        return
    what = told["error"] or f"It answered {told['responseStatus']}."
    out.print(f"{told['status']} in {told['durationMs']} ms. {what}")


@webhooks.command
def replay(
    application: ApplicationId,
    identifier: Annotated[
        str | None, Parameter(help="One event's id, or a time with --since.")
    ] = None,
    *,
    since: Annotated[str | None, Parameter(help="From then on, such as 2026-06-23T10:00.")] = None,
    until: Annotated[str | None, Parameter(help="And before that.")] = None,
    status: Annotated[
        Literal["PENDING", "DELIVERED", "FAILED", "CANCELLED"] | None,
        Parameter(help="Only what stands so."),
    ] = None,
    env: Environment = "test",
) -> None:
    """Send one event again, or those of some time; each goes to the URL that hears it now."""

    async def send(house: House) -> int:
        book = await _book(house, application, env)
        if identifier is not None:
            await _replay_one(house, book, _event(identifier))
            return 1
        return await _replay_all(house, book, since, until, status)

    out.print(f"{with_house(send)} to be sent again: a running worker does it.")


@webhooks.command
def secret(
    application: ApplicationId, *, env: Environment = "test", as_json: AsJson = False
) -> None:
    """Show what an application's webhooks are signed with."""

    async def fetch(house: House) -> Secrets:
        book = await _book(house, application, env)
        return await house.webhooks.show_secrets(book, by=typed_by("webhook secret"))

    _show_secrets(with_house(fetch), as_json=as_json)


@webhooks.command
def rotate(
    application: ApplicationId,
    *,
    overlap_hours: Annotated[
        int, Parameter(help="How long the secret before signs too; 0 ends it at once.")
    ] = 24,
    env: Environment = "test",
    as_json: AsJson = False,
) -> None:
    """Sign with a new secret from now on."""

    async def change(house: House) -> Secrets:
        book = await _book(house, application, env)
        by = typed_by("webhook rotate")
        return await house.webhooks.rotate(book, timedelta(hours=overlap_hours), by=by)

    _show_secrets(with_house(change), as_json=as_json)


async def _book(house: House, application: UUID, env: str) -> Book:
    """The book of an application that there is."""
    from kpay.core.book import Book, Environment

    await house.office.application(application)
    return Book(application, Environment.TEST if env == "test" else Environment.PRODUCTION)


def _event(text: str) -> UUID:
    from kpay.core.ids import parse_public_id
    from kpay.core.refusals import Code, Refusal
    from kpay.events.model import PREFIX

    found = parse_public_id(PREFIX, text)
    if found is None:
        raise Refusal(Code.NOT_FOUND, f"{text} is no id of an event: they begin with {PREFIX}_.")
    return found


async def _replay_one(house: House, book: Book, event: UUID) -> None:
    """One event again; that it was asked for is on record before, beside the event's id."""
    from kpay.audit.model import Action, Subject
    from kpay.core.ids import public_id
    from kpay.events.model import PREFIX

    subject = Subject("event", public_id(PREFIX, event))
    by = typed_by("webhook replay")
    await house.webhooks.record(book, by, Action.REPLAY_ASKED, {}, subject)
    await house.webhooks.replay_one(book, event)


async def _replay_all(
    house: House, book: Book, since: str | None, until: str | None, status: str | None
) -> int:
    """All of a time, however much that is, a part after the other."""
    from kpay.audit.model import Action
    from kpay.core.clock import iso
    from kpay.core.page import read_moment
    from kpay.core.refusals import Code, Refusal
    from kpay.webhooks.flow import MOST_REPLAYED
    from kpay.webhooks.store import ReplayFilter

    if since is None:
        raise Refusal(Code.INVALID_PARAMETER, "Say which: an event's id, or a time with --since.")
    begins, ends = read_moment(since, "--since"), read_moment(until, "--until")
    details = {
        "since": None if begins is None else iso(begins),
        "until": None if ends is None else iso(ends),
        "status": status,
    }
    by = typed_by("webhook replay")
    await house.webhooks.record(book, by, Action.PERIOD_REPLAYED, details)
    queued, after = 0, None
    while True:
        wanted = ReplayFilter(
            limit=MOST_REPLAYED,
            status=status,
            since=begins,
            until=ends,
            after=after,
        )
        replayed = await house.webhooks.replay(book, wanted)
        queued, after = queued + replayed.queued, replayed.last
        if replayed.looked_at < wanted.limit:
            return queued


def _show_secrets(secrets: Secrets, *, as_json: bool) -> None:
    from kpay.core.clock import iso

    until = None if secrets.previous_until is None else iso(secrets.previous_until)
    if as_json:
        print_json(
            {
                "webhookSecret": secrets.current,
                "previousSecret": secrets.previous,
                "previousUntil": until,
            }
        )
        return
    table = new_table("What", "Value")
    table.add_row("webhook secret", secrets.current)
    if secrets.previous is not None:
        table.add_row(f"until {until} also", secrets.previous)
    out.print(table)
