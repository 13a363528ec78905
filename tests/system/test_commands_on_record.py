"""What an operator's command changes or shows stands in the audit log, with who typed it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import asyncpg

from tests.system.program import Program

NOWHERE = "http://127.0.0.1:9/webhooks?token=of-theirs"


async def _lines(url: str) -> list[tuple[str, str]]:
    """Each action with the command that it was by, the oldest first; and no secret in any."""
    connection = await asyncpg.connect(url)
    try:
        rows = await connection.fetch(
            "select action, command, address, details::text from audit_log order by id"
        )
    finally:
        await connection.close()
    assert "of-theirs" not in str(rows)
    assert "whsec_" not in str(rows)
    return [(row["action"], row["command"].partition(", by ")[0]) for row in rows]


def test_what_a_command_changes_or_shows_is_on_record_with_the_command(
    program: Program, database_url: str, tmp_path: Path
) -> None:
    own = Program(tmp_path, {**program.extra, "KPAY_DATABASE_URL": database_url})
    application = own.json("app", "create", "--company", "Acme", "--name", "one")["application"]
    own.json("key", "regenerate", application["id"], "test")
    assert own.run("token-key", "rotate").returncode == 0
    assert own.run("webhook", "set", application["id"], "generic", NOWHERE).returncode == 0
    tested = own.json("webhook", "test", application["id"])
    for words in (
        ("replay", application["id"], tested["id"]),
        ("replay", application["id"], "--since", "2026-06-23T10:00"),
        ("secret", application["id"]),
        ("rotate", application["id"]),
        ("resume", application["id"], "generic"),
        ("remove", application["id"], "generic"),
    ):
        done = own.run("webhook", *words)
        assert done.returncode == 0, (words, done.stderr)

    assert asyncio.run(_lines(database_url)) == [
        ("application.created", "kpay app create"),
        ("application.keys_made", "kpay key regenerate"),
        ("token_key.rotated", "kpay token-key rotate"),
        ("webhook.set", "kpay webhook set"),
        ("webhook.tested", "kpay webhook test"),
        ("webhook.replay_asked", "kpay webhook replay"),
        ("webhook.period_replayed", "kpay webhook replay"),
        ("webhook.secret_shown", "kpay webhook secret"),
        ("webhook.secret_rotated", "kpay webhook rotate"),
        ("webhook.resumed", "kpay webhook resume"),
        ("webhook.removed", "kpay webhook remove"),
    ]
