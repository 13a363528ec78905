"""What an operator set for one connector: read by name, and everything that is wrong told at once.

A secret comes from its variable or, better, from a file that `…_FILE` names; it is never logged and
never in the database.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar
from urllib.parse import urlsplit

from kpay.catalogue.model import Catalogue
from kpay.core.book import Environment
from kpay.core.clock import Clock
from kpay.settings import SettingsError

T = TypeVar("T")

_FILE = "_FILE"
_LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})


@dataclass(frozen=True, slots=True)
class Place:
    """Where a connector is to work. `callback_url` is where its rail reaches us."""

    environment: Environment
    catalogue: Catalogue
    clock: Clock
    callback_url: str


class RailsConfigurationError(SettingsError):
    """The rails that are configured cannot work; the message says which and why."""


class Variables:
    """The variables that begin with a prefix such as `KPAY_PAWAPAY_`, by the rest of a name."""

    def __init__(self, given: Mapping[str, str], prefix: str) -> None:
        self.prefix = prefix
        self._given = {
            name.removeprefix(prefix): text
            for name, text in given.items()
            if name.startswith(prefix)
        }
        self._asked: set[str] = set()
        self._problems: list[str] = []

    def __bool__(self) -> bool:
        """Whether anything at all is set."""
        return bool(self._given)

    def any_of(self, beginning: str) -> bool:
        """Whether anything is set whose name begins so."""
        return any(name.startswith(beginning) for name in self._given)

    def text(self, name: str, usual: str = "") -> str:
        self._asked.add(name)
        return self._given.get(name, usual)

    def needed(self, name: str) -> str:
        """What it cannot do without."""
        found = self.text(name)
        if not found:
            self.wrong(name, "must be set")
        return found

    def read(self, name: str, parse: Callable[[str], T], usual: T) -> T:
        """A value that `parse` makes of the text, with a ValueError in words where it cannot."""
        text = self.text(name)
        if not text:
            return usual
        try:
            return parse(text)
        except ValueError as problem:
            self.wrong(name, str(problem))
            return usual

    def address(self, name: str, usual: str) -> str:
        """The address of a service, without a slash at its end: https, but for this machine's."""
        found = self.text(name, usual).rstrip("/")
        url = urlsplit(found)
        if url.scheme != "https" and not (url.scheme == "http" and url.hostname in _LOCAL_HOSTS):
            self.wrong(name, "must begin with https://, or be http:// of this machine")
        return found

    def secret(self, name: str) -> str:
        """One that it cannot do without, from the variable or the file that `…_FILE` names."""
        direct, path = self.text(name), self.text(name + _FILE)
        where = name
        if direct and path:
            self.wrong(name, f"is set twice: leave out {self.prefix}{name} or its {_FILE}")
        if path:
            where = name + _FILE
            direct = (self.file(where) or b"").decode("utf-8", "replace").strip()
        elif not direct:
            self.wrong(
                name, f"must be set, or {self.prefix}{name}{_FILE} name a file that holds it"
            )
        if not direct.isprintable() or not direct.isascii():
            self.wrong(
                where, "holds what no secret has: only one line of printable ASCII can be sent"
            )
        return direct

    def file(self, name: str) -> bytes | None:
        """What is in the file that a variable names, or None where none is named or it is wrong."""
        path = self.text(name)
        if not path:
            return None
        try:
            found = Path(path).expanduser().read_bytes()
        except (OSError, RuntimeError, ValueError) as problem:
            # In the system's words: a Python class says nothing to who has to put it right.
            why = getattr(problem, "strerror", None) or problem
            self.wrong(name, f"{path} cannot be read: {why}")
            return None
        if not found.strip():
            self.wrong(name, f"{path} is empty")
        return found

    def wrong(self, name: str, sentence: str) -> None:
        self._problems.append(f"{self.prefix}{name}: {sentence}")

    def check(self) -> None:
        """Raise RailsConfigurationError, which names all that is wrong, if anything is."""
        known = ", ".join(f"{self.prefix}{name}" for name in sorted(self._asked))
        for name in sorted(self._given.keys() - self._asked):
            self.wrong(name, f"is no setting: there are {known}")
        if self._problems:
            raise RailsConfigurationError("; ".join(self._problems))
