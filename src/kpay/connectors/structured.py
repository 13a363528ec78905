"""Dictionaries of HTTP's structured fields (RFC 8941), as far as signatures and digests use them.

Pure, and strict: what is not written as the RFC says is a ValueError, never a guess.
"""

from __future__ import annotations

import base64
import re
from typing import TypeAlias

import msgspec

Bare: TypeAlias = str | bytes | int | bool
Parameters: TypeAlias = dict[str, Bare]

_KEY = re.compile(r"[a-z*][a-z0-9_\-.*]*", re.ASCII)
_INTEGER = re.compile(r"-?[0-9]{1,15}(?![0-9.])", re.ASCII)
_STRING = re.compile(r'"((?:[ !#-\[\]-~]|\\["\\])*)"', re.ASCII)
_BYTES = re.compile(r":([A-Za-z0-9+/=]*):", re.ASCII)
_TOKEN = re.compile(r"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*", re.ASCII)
_SPACES = re.compile(r"[ \t]*", re.ASCII)


class Item(msgspec.Struct, frozen=True):
    """One value with its parameters."""

    value: Bare
    parameters: Parameters


class Member(msgspec.Struct, frozen=True):
    """One member of a dictionary: one item, or the items of an inner list; `text` as written."""

    items: tuple[Item, ...]
    parameters: Parameters
    text: str
    is_list: bool


def parse_dictionary(text: str) -> dict[str, Member]:
    """The members by their names; the last of one name holds. Raises ValueError."""
    reader = _Reader(text)
    found: dict[str, Member] = {}
    reader.take(_SPACES)
    while not reader.at_end():
        name = reader.take(_KEY)
        found[name] = reader.member()
        reader.take(_SPACES)
        if reader.at_end():
            break
        reader.expect(",")
        reader.take(_SPACES)
        if reader.at_end():
            raise ValueError("a comma ends it")
    return found


def quoted(text: str) -> str:
    """A text as a string of structured fields. Raises ValueError where it cannot be one."""
    made = '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if not _STRING.fullmatch(made):
        raise ValueError("only printable ASCII can be written there")
    return made


def encoded(value: bytes) -> str:
    """Bytes as structured fields write them."""
    return f":{base64.b64encode(value).decode()}:"


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def at_end(self) -> bool:
        return self._at >= len(self._text)

    def take(self, pattern: re.Pattern[str]) -> str:
        return self._match(pattern)[0]

    def expect(self, character: str) -> None:
        if not self._next_is(character):
            raise ValueError(f"{character!r} is expected at {self._at}")
        self._at += 1

    def member(self) -> Member:
        if not self._next_is("="):
            # A name alone is true.
            begun = self._at
            parameters = self._parameters()
            return Member((Item(True, parameters),), {}, self._text[begun : self._at], False)
        self.expect("=")
        begun = self._at
        is_list = self._next_is("(")
        if is_list:
            items = tuple(self._inner_list())
            parameters = self._parameters()
        else:
            items = (self._item(),)
            parameters = items[0].parameters
        return Member(items, parameters, self._text[begun : self._at], is_list)

    def _inner_list(self) -> list[Item]:
        self.expect("(")
        items = []
        self.take(_SPACES)
        while not self._next_is(")"):
            items.append(self._item())
            if not self._next_is(")"):
                self.expect(" ")
                self.take(_SPACES)
        self.expect(")")
        return items

    def _item(self) -> Item:
        return Item(self._bare(), self._parameters())

    def _parameters(self) -> Parameters:
        found: Parameters = {}
        while self._next_is(";"):
            self.expect(";")
            self.take(_SPACES)
            name = self.take(_KEY)
            found[name] = True
            if self._next_is("="):
                self.expect("=")
                found[name] = self._bare()
        return found

    def _bare(self) -> Bare:
        match self._text[self._at : self._at + 1]:
            case '"':
                return re.sub(r"\\(.)", r"\1", self._match(_STRING)[1])
            case ":":
                return base64.b64decode(self._match(_BYTES)[1], validate=True)
            case "?":
                self.expect("?")
                return self.take(re.compile("[01]")) == "1"
            case "" | ",":
                raise ValueError(f"a value is expected at {self._at}")
            case first if first.isdigit() or first == "-":
                return int(self.take(_INTEGER))
            case _:
                return self.take(_TOKEN)

    def _next_is(self, character: str) -> bool:
        return self._text.startswith(character, self._at)

    def _match(self, pattern: re.Pattern[str]) -> re.Match[str]:
        found = pattern.match(self._text, self._at)
        if found is None:
            raise ValueError(f"it cannot be read from {self._at} on")
        self._at = found.end()
        return found
