"""Tables in files of a rail: whole rows out of parts of any size, packed or not, within bounds."""

from __future__ import annotations

import gzip
from collections.abc import AsyncIterator

import pytest

from kpay.connectors.tables import LONGEST_ROW, read_rows, unpack
from kpay.connectors.wire import NoAnswer

TABLE = '\ufeffname,amount\r\n"Ngo, ""Ida""",1\r\n\r\n"two\nlines",2\nlast,é\u2028'
ROWS = [["name", "amount"], ['Ngo, "Ida"', "1"], ["two\nlines", "2"], ["last", "é\u2028"]]


async def parts(data: bytes, size: int) -> AsyncIterator[bytes]:
    for start in range(0, len(data), size):
        yield data[start : start + size]


async def read(data: bytes, size: int = 64, largest: int = 10_000_000) -> list[list[str]]:
    return [row async for row in read_rows(unpack(parts(data, size), largest))]


@pytest.mark.parametrize("size", [1, 2, 3, 7, 1_000])
async def test_rows_are_whole_however_the_file_comes_in(size: int) -> None:
    data = TABLE.encode()
    assert await read(data, size) == ROWS
    assert await read(gzip.compress(data), size) == ROWS
    # Packed in two goes, as those do who add to a file.
    assert await read(gzip.compress(data[:20]) + gzip.compress(data[20:]), size) == ROWS


async def test_an_empty_file_has_no_rows() -> None:
    assert await read(b"") == []
    assert await read(b"a", 1) == [["a"]]


async def test_much_that_was_packed_to_little_comes_out_in_small_parts() -> None:
    data = b"aaaaaaa,1\n" * 300_000
    got = [len(part) async for part in unpack(parts(gzip.compress(data), 1_000_000), len(data))]
    assert sum(got) == len(data)
    assert max(got) <= 64 * 1024
    with pytest.raises(NoAnswer, match="bytes in it"):
        await read(gzip.compress(data), largest=len(data) - 1)
    with pytest.raises(NoAnswer, match="bytes in it"):
        await read(data, largest=len(data) - 1)


async def test_a_packed_file_that_breaks_off_is_none() -> None:
    packed = gzip.compress(TABLE.encode())
    for broken in (packed[:-1], packed[:15]):
        with pytest.raises(NoAnswer, match="breaks off"):
            await read(broken)
    for spoilt in (packed[:-8] + bytes(8), packed + b"more"):
        with pytest.raises(NoAnswer, match="cannot be unpacked"):
            await read(spoilt)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"a,\xff\n", "UTF-8"),
        (b"a,\xc3", "UTF-8"),
        (b"a\0,b\n", "no text"),
        (b'"a"b,c\n', "cannot be read"),
        (b'a,"b', "cannot be read"),
        (b"a,b\rc,d\n", "cannot be read"),
        (b'a,"' + b"b\n" * LONGEST_ROW, "does not end"),
        (b"a" * (2 * LONGEST_ROW), "does not end"),
    ],
)
async def test_what_is_no_table_is_no_answer(data: bytes, words: str) -> None:
    with pytest.raises(NoAnswer, match=words):
        await read(data, 1_000)
