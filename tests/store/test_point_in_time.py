"""Back to a moment: a base backup and the archived log, with the settings of docs/backup.md."""

from __future__ import annotations

import asyncio
import os
import re
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from kpay.app import House
from kpay.core.clock import ManualClock
from kpay.database.embedded import EmbeddedServer
from kpay.database.embedded.base_backup import put_in_place, take
from kpay.database.embedded.places import Places
from kpay.database.ready import ready_database
from kpay.settings import Settings
from kpay.verify import verify
from tests.client import Merchant
from tests.conftest import START

_RUNBOOK = Path(__file__).parents[2] / "docs" / "backup.md"
_SECONDS = 30


@pytest.fixture
def folder() -> Iterator[Path]:
    """Not below pytest's own folder, which another run's start closes to the server's user."""
    with tempfile.TemporaryDirectory(prefix="kpay-moment-", ignore_cleanup_errors=True) as name:
        yield Path(name)


def test_recovery_to_a_moment_has_what_was_before_it_and_nothing_after(folder: Path) -> None:
    settings = Settings(
        home=folder / "home",
        secret="a secret for tests that is long enough",
        sandbox_delay=timedelta(0),
    )
    archive = _archive(settings)
    moment = asyncio.run(_before_and_after(settings, folder / "base"))

    elsewhere = replace(settings, home=folder / "elsewhere")
    kept = {"postgres/password": (settings.home / "postgres" / "password").read_bytes()}
    put_in_place(elsewhere.home, Places(folder / "base"), kept, lambda _: None)
    _recover_to(Places(elsewhere.home), moment, archive)

    with EmbeddedServer.attach(elsewhere.home) as server:
        asyncio.run(_recovered(server.url))
    with ready_database(elsewhere) as ready:
        assert asyncio.run(_external_ids(ready)) == ["in the base backup", "in the log"]
        assert asyncio.run(_broken(ready)) == 0


def _archive(settings: Settings) -> Path:
    """Make the database, and have it archive its log from its next start on."""
    archive = settings.home / "postgres" / "archive"
    with ready_database(settings) as ready:
        owner = (settings.home / "postgres" / "data").stat()
        archive.mkdir(mode=0o700)
        os.chown(archive, owner.st_uid, owner.st_gid)

        async def change() -> None:
            connection = await asyncpg.connect(ready.migration_url)
            for name in ("archive_mode", "archive_command"):
                await connection.execute(f"alter system set {name} = {_told(name, archive)}")
            await connection.close()

        asyncio.run(change())
    return archive


async def _before_and_after(settings: Settings, base: Path) -> datetime:
    """A payment in the base backup, one after it, a moment that is returned, and a last one."""
    server = await asyncio.to_thread(EmbeddedServer.attach, settings.home)
    house = House(replace(settings, database_url=server.url), clock=ManualClock(START))
    await house.open()
    try:
        merchant = await Merchant.join(house)
        await merchant.collect(1_000, externalId="in the base backup")
        (base / "postgres").mkdir(parents=True)
        await asyncio.to_thread(take, server.url, Places(base).data, lambda _: None)
        await merchant.collect(1_000, externalId="in the log")
        moment: datetime = await house.database.fetchval("select clock_timestamp()")
        await merchant.collect(1_000, externalId="after the moment")
        await _archived(house)
    finally:
        await house.close()
        await asyncio.to_thread(server.release)
    return moment


async def _archived(house: House) -> None:
    """Wait until the archive has the log with the last payment in it."""
    last = await house.database.fetchval("select pg_walfile_name(pg_switch_wal())")
    end = time.monotonic() + _SECONDS
    asked = "select last_archived_wal >= $1 from pg_stat_archiver"
    while not await house.database.fetchval(asked, last):
        assert time.monotonic() < end, "the log was not archived"
        await asyncio.sleep(0.02)


def _recover_to(places: Places, moment: datetime, archive: Path) -> None:
    """Tell a base backup how far to go when it starts."""
    owner = places.data.stat()
    with (places.data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"restore_command = {_told('restore_command', archive)}\n")
        settings.write(f"recovery_target_time = '{moment.isoformat()}'\n")
        settings.write("recovery_target_action = 'promote'\n")
        settings.write("archive_mode = off\n")
    signal = places.data / "recovery.signal"
    signal.touch(mode=0o600)
    os.chown(signal, owner.st_uid, owner.st_gid)


async def _recovered(url: str) -> None:
    """Wait until the server takes writes: while it recovers it can be read only."""
    connection = await asyncpg.connect(url)
    end = time.monotonic() + _SECONDS
    while await connection.fetchval("select pg_is_in_recovery()"):
        assert time.monotonic() < end, "the recovery did not end"
        await asyncio.sleep(0.02)
    await connection.close()


def _told(name: str, archive: Path) -> str:
    """What the runbook gives for a setting, with the archive that this test has."""
    found = re.search(rf"^{name} = (.+)$", _RUNBOOK.read_text(), re.MULTILINE)
    assert found is not None, name
    return found[1].replace("/var/backups/wal", str(archive))


async def _external_ids(settings: Settings) -> list[str]:
    house = House(settings, clock=ManualClock(START))
    await house.open()
    try:
        rows = await house.database.fetch(
            "select external_id from payments order by created_at, id"
        )
        return [row["external_id"] for row in rows]
    finally:
        await house.close()


async def _broken(settings: Settings) -> int:
    return sum([finding.broken async for finding in verify(settings.database_url or "")])
