"""What can be sent on a bare connection: requests that are two, too long, too slow or none."""

from __future__ import annotations

import re
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from kpay.web.reading import BODY_WITHIN_SECONDS, MOST_BODY_BYTES
from kpay.web.server import _HEADERS_WITHIN_SECONDS
from tests.system.program import Program, Server, key_headers

HEALTH = b"GET /healthz HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"phoneNumber":"237653456789"}'
LENGTH = b"Content-Length: %d\r\n" % len(BODY)
CHUNKED = b"Transfer-Encoding: chunked\r\n"
# A second request, hidden where a proxy and we could disagree on the end of the first.
HIDDEN = b"0\r\n\r\nGET /healthz HTTP/1.1\r\nHost: hidden\r\n\r\n"
WAITED_SECONDS = max(_HEADERS_WITHIN_SECONDS, BODY_WITHIN_SECONDS)
# A bound on the machine's own slowness, beside those that are tested: without them nothing ends.
GRACE_SECONDS = 60


@pytest.fixture(scope="module")
def served(program: Program) -> Iterator[tuple[Server, bytes]]:
    """A server, and the head of a request to it that takes a body."""
    made = program.json("app", "create", "--company", "Wire", "--name", "one")
    keys = "".join(f"{name}: {value}\r\n" for name, value in key_headers(made["test"]).items())
    head = f"POST /api/v1/payments/predict-provider HTTP/1.1\r\nHost: x\r\n{keys}".encode()
    with program.serving() as server:
        yield server, head


def answers(server: Server, *sent: bytes, seconds: float = GRACE_SECONDS) -> list[int]:
    """The statuses that come back until the server closes the connection, which it must."""
    got = b""
    with socket.create_connection(("127.0.0.1", server.port), seconds) as connection:
        try:
            for part in sent:
                connection.sendall(part)
            while part := connection.recv(65_536):
                got += part
        except (ConnectionResetError, BrokenPipeError):
            # Closed while we were still talking: what was said before still counts.
            pass
    return [int(status) for status in re.findall(rb"HTTP/1\.\d (\d{3}) ", got)]


def test_a_sound_request_is_answered(served: tuple[Server, bytes]) -> None:
    server, head = served
    last = b"Connection: close\r\n\r\n"

    assert answers(server, HEALTH + last) == [200]
    assert answers(server, HEALTH + b"\r\n" + HEALTH + last) == [200, 200]
    assert answers(server, head + LENGTH + last + BODY) == [201]
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (len(BODY), BODY)
    assert answers(server, head + CHUNKED + last + chunk) == [201]


@pytest.mark.parametrize(
    "rest",
    [
        pytest.param(LENGTH + b"Content-Length: 5\r\n\r\n" + BODY, id="two lengths"),
        pytest.param(b"Content-Length: 5, 30\r\n\r\n" + BODY, id="a list of lengths"),
        pytest.param(b"Content-Length: +30\r\n\r\n" + BODY, id="a signed length"),
        pytest.param(b"Content-Length: -1\r\n\r\n" + BODY, id="a length below zero"),
        pytest.param(b"Content-Length: 0x1e\r\n\r\n" + BODY, id="a hexadecimal length"),
        pytest.param(
            b"Transfer-Encoding : chunked\r\n\r\n" + HIDDEN, id="a space before the colon"
        ),
        pytest.param(b"Transfer-Encoding: xchunked\r\n\r\n" + HIDDEN, id="an unknown encoding"),
        pytest.param(b"Transfer-Encoding: identity\r\n\r\n" + HIDDEN, id="the identity encoding"),
        pytest.param(CHUNKED + b"\r\nzz\r\n" + HIDDEN, id="a size that is none"),
        pytest.param(CHUNKED + b"\r\n" + b"F" * 17 + b"\r\n", id="a size beyond all numbers"),
        pytest.param(b"X-A: a\0b\r\n\r\n", id="a NUL in a header"),
    ],
)
def test_what_is_one_request_to_us_and_two_to_a_proxy_is_refused_and_the_connection_closed(
    served: tuple[Server, bytes], rest: bytes
) -> None:
    server, head = served

    told = answers(server, head + rest)

    # One refusal at most, and nothing of what was hidden is ever answered.
    assert len(told) <= 1
    assert all(400 <= status < 500 for status in told)


def test_a_length_beside_chunks_leaves_no_room_for_a_second_request(
    served: tuple[Server, bytes],
) -> None:
    """RFC 9112, 6.3: the chunks are what counts, and the connection is not used again."""
    server, head = served

    told = answers(server, head + LENGTH + CHUNKED + b"\r\n" + HIDDEN)

    assert len(told) <= 1


@pytest.mark.parametrize(
    "head",
    [
        pytest.param(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-A: " + b"a" * 200_000, id="a header"),
        pytest.param(HEALTH + b"".join(b"X-%d: a\r\n" % n for n in range(2_000)), id="headers"),
        pytest.param(b"GET /" + b"a" * 200_000, id="an address"),
        pytest.param(b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", id="TLS"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", id="HTTP/2"),
    ],
)
def test_a_head_that_is_too_long_or_none_is_refused_and_the_connection_closed(
    served: tuple[Server, bytes], head: bytes
) -> None:
    told = answers(served[0], head + b"\r\n\r\n")

    assert len(told) <= 1
    assert all(400 <= status < 500 for status in told)


def test_a_body_that_is_too_large_is_refused_before_it_is_all_there(
    served: tuple[Server, bytes],
) -> None:
    server, head = served
    for rest in (b"Content-Length: 100000000\r\n\r\n", CHUNKED + b"\r\n5F5E100\r\n"):
        assert answers(server, head + rest, b"a" * (4 * MOST_BODY_BYTES)) in ([413], [])
        assert server.request("GET", "/healthz")[0] == 200


def test_a_head_or_a_body_that_does_not_come_is_not_waited_for(
    served: tuple[Server, bytes],
) -> None:
    server, head = served

    # Many at once, for what is told of one must not keep hold of another.
    slow = (
        HEALTH,
        *[head + LENGTH + b"\r\n" + BODY[:5]] * 20,
        *[head + CHUNKED + b"\r\n5\r\n" + BODY[:5] + b"\r\n"] * 20,
    )
    with ThreadPoolExecutor(len(slow)) as pool:
        # Each raises TimeoutError where the server does not close it.
        waits = [
            pool.submit(answers, server, sent, seconds=WAITED_SECONDS + GRACE_SECONDS)
            for sent in slow
        ]
        # Nobody else waits for them.
        assert server.request("GET", "/healthz")[0] == 200
        no_head, *half_a_body = (each.result() for each in waits)

    assert half_a_body == [[408]] * 40
    assert no_head in ([408], [])


def test_a_body_that_nobody_reads_does_not_keep_a_connection(
    served: tuple[Server, bytes],
) -> None:
    """What is answered without its body, such as a refusal, leaves nothing that could drip on."""
    server, _ = served
    part = b"Content-Length: 30\r\n\r\n{"
    for start, status in (
        (b"GET /api/public/platform-info", 200),
        (b"GET /healthz", 200),
        (b"POST /api/v1/payments/init", 401),
        (b"POST /nothing", 404),
    ):
        assert answers(server, start + b" HTTP/1.1\r\nHost: x\r\n" + part) == [status]
