"""The data itself: how it is made, the password of our role, and which PostgreSQL made it."""

from __future__ import annotations

import os
import secrets
import shutil
from contextlib import suppress

from kpay.database.embedded.log import Log, failure
from kpay.database.embedded.messages import EmbeddedServerError
from kpay.database.embedded.places import Places, is_empty
from kpay.database.embedded.private import (
    open_private,
    private_folder,
    sync_folder,
    write_private,
)
from kpay.database.embedded.programs import Programs
from kpay.database.embedded.user import ServerUser

# The owner of everything, and the role that the program runs as.
ROLE = "kpay"
PROGRAM_ROLE = "kpay_program"


def initialise(
    places: Places, user: ServerUser, programs: Programs, log: Log, password: str
) -> None:
    """Make the data beside its place; it is moved there when it is whole and on the disk."""
    new = places.postgres / "data.new"
    if new.exists():
        shutil.rmtree(new)
    private_folder(new, user)
    data, password_file = new / "data", new / "password"
    with open_private(password_file) as file:
        file.write(password.encode())
    os.chown(password_file, user.uid, user.gid)
    options = (
        *("--username", ROLE, "--auth", "scram-sha-256", "--pwfile", password_file),
        *("--encoding", "UTF8", "--locale", "C"),
        *("--locale-provider", "builtin", "--builtin-locale", "C.UTF-8"),
        *("--no-sync", "--no-instructions", "--no-clean"),
    )
    single = ("--single", "-D", data, "-c", "exit_on_error=on", "template1")
    for program, arguments, text in (
        ("initdb", (*options, "-D", data), ""),
        ("postgres", single, f"create database {ROLE} strategy file_copy\n"),
        ("initdb", ("--sync-only", "-D", data), ""),
    ):
        code, _ = user.run([programs.path(program), *arguments], log.fileno(), text)
        if code != 0:
            shutil.rmtree(new, ignore_errors=True)
            raise failure(places, "initialised", log)
    password_file.unlink()
    data.rename(places.data)
    sync_folder(places.postgres)
    shutil.rmtree(new)


def password_of(places: Places) -> str:
    """The password of our role, made before the database is."""
    with suppress(FileNotFoundError):
        if password := places.password.read_text().strip():
            return password
    if not is_empty(places.data):
        raise EmbeddedServerError(
            f"The password of the database is gone from {places.password}; restore that file from "
            "a backup."
        )
    password = secrets.token_urlsafe(32)
    write_private(places.password, password.encode())
    return password


def check_version(places: Places, programs: Programs) -> None:
    try:
        version = (places.data / "PG_VERSION").read_text().strip()
    except FileNotFoundError:
        raise EmbeddedServerError(
            f"{places.data} holds something else than a database; move it away and try again."
        ) from None
    if version != programs.major:
        raise EmbeddedServerError(
            f"The database in {places.data} was made by PostgreSQL {version} and this program "
            f"brings PostgreSQL {programs.major}; use the version of kpay that made it, or set "
            "KPAY_HOME to a new folder and restore a backup there."
        )
