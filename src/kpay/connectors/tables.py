"""Files that rails give out: tables in CSV, packed or not, read row by row in bounded memory.

Nothing of a file is believed before it is read to its end: what breaks off raises NoAnswer.
"""

from __future__ import annotations

import codecs
import csv
import zlib
from collections.abc import AsyncGenerator, AsyncIterator, Iterator

from kpay.connectors.wire import NoAnswer

_GZIP = b"\x1f\x8b"
_GZIP_WINDOW = 31
_PART = 64 * 1024
# No row of any table is longer; one that never ends would fill the memory.
LONGEST_ROW = 64 * 1024


async def unpack(chunks: AsyncIterator[bytes], largest: int) -> AsyncGenerator[bytes, None]:
    """What is in a file, whether it is packed by gzip or as it is: its first bytes tell.

    Raises NoAnswer, also where more than `largest` bytes come out of it.
    """
    first, packed, decided, got = b"", _Packed(), False, 0
    async for chunk in chunks:
        first += chunk
        if not decided and len(first) < len(_GZIP):
            continue
        if not decided:
            decided, packed.is_it = True, first.startswith(_GZIP)
        for part in packed.feed(first):
            got += len(part)
            if got > largest:
                raise NoAnswer(f"a file with more than {largest:,} bytes in it")
            yield part
        first = b""
    if first:
        yield first
    packed.end()


class _Packed:
    """Unpacks in parts, so that little that becomes much never is much at once."""

    def __init__(self) -> None:
        self.is_it = False
        self._one = zlib.decompressobj(_GZIP_WINDOW)

    def feed(self, chunk: bytes) -> Iterator[bytes]:
        if not self.is_it:
            yield chunk
            return
        rest, part = chunk, b""
        # A full part says that there may be more, though nothing is left to put in.
        while rest or len(part) == _PART:
            if self._one.eof:
                self._one = zlib.decompressobj(_GZIP_WINDOW)
            try:
                part = self._one.decompress(rest, _PART)
            except zlib.error:
                raise NoAnswer("a file that cannot be unpacked") from None
            rest = self._one.unconsumed_tail or self._one.unused_data
            if part:
                yield part

    def end(self) -> None:
        if self.is_it and not self._one.eof:
            raise NoAnswer("a file that breaks off")


async def read_rows(chunks: AsyncIterator[bytes]) -> AsyncGenerator[list[str], None]:
    """The rows of a table in CSV and UTF-8, empty ones left out. Raises NoAnswer."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    rest = ""
    async for chunk in chunks:
        rest += _decoded(decoder, chunk)
        if "\n" in rest or len(rest) > LONGEST_ROW:
            rows, rest = _whole_rows(rest)
            for row in rows:
                yield row
    for row in _parsed(rest + _decoded(decoder, b"", final=True)):
        yield row


def _decoded(decoder: codecs.IncrementalDecoder, chunk: bytes, *, final: bool = False) -> str:
    try:
        text = decoder.decode(chunk, final)
    except UnicodeDecodeError:
        raise NoAnswer("a table that is not in UTF-8") from None
    if "\0" in text:
        raise NoAnswer("a table with what no text has in it")
    return text


def _whole_rows(text: str) -> tuple[list[list[str]], str]:
    """The rows that have ended, and what has begun: a line end in quotes ends none."""
    *lines, rest = text.split("\n")
    rows, row = list[list[str]](), ""
    for line in lines:
        row += f"{line}\n"
        if row.count('"') % 2 == 0:
            rows += _parsed(row)
            row = ""
    rest = row + rest
    if len(rest) > LONGEST_ROW:
        raise NoAnswer("a table with a row that does not end")
    return rows, rest


def _parsed(text: str) -> list[list[str]]:
    try:
        return [row for row in csv.reader([text], strict=True) if row]
    except csv.Error:
        raise NoAnswer("a table with a row that cannot be read") from None
