"""What every page for people is made of, whoever draws it: a form read, an answer sent."""

from __future__ import annotations

import base64
import gzip
import hashlib
from collections.abc import Iterable
from urllib.parse import parse_qsl

import msgspec
import structlog

from kpay import metrics
from kpay.core.refusals import ANSWERS, Code, Refusal
from kpay.web.endpoint import Send
from kpay.web.errors import refusal_headers
from kpay.web.headers import SECURITY

_WORTH_ZIPPING = 1_000
# More than any form of ours has.
_MOST_FIELDS = 128

log = structlog.get_logger(__name__)

Headers = tuple[tuple[bytes, bytes], ...]


class Answer(msgspec.Struct, frozen=True):
    """What is sent back for a page; the headers that every answer has are added."""

    status: int
    body: bytes = b""
    headers: Headers = ()


def read_form(body: bytes) -> dict[str, str]:
    """The fields of a form, the last of those that have one name. Refuses: malformed_body."""
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as problem:
        raise Refusal(Code.MALFORMED_BODY, "The body must be a form of this page.") from problem
    return dict(pairs)


def redirect(where: str, headers: Iterable[tuple[bytes, bytes]] = ()) -> Answer:
    """To another page, which is got however this one was asked for."""
    return Answer(303, b"", ((b"location", where.encode()), *headers))


def trouble(refusal: Refusal, body: bytes, headers: Headers) -> Answer:
    """A page for whom it is no business what went wrong: that is counted, and in the log."""
    status = ANSWERS[refusal.code].status
    metrics.refusals.labels(refusal.code).inc()
    log.info("page_refused", status=status, code=refusal.code)
    return Answer(status, body, (*headers, *refusal_headers(refusal)))


def source_hash(text: str) -> str:
    """A style or a script as a Content-Security-Policy names it."""
    digest = hashlib.sha256(text.encode()).digest()
    return f"'sha256-{base64.b64encode(digest).decode()}'"


def zipped(answer: Answer) -> Answer:
    """The same, compressed where that is worth it."""
    if len(answer.body) < _WORTH_ZIPPING:
        return answer
    headers = (*answer.headers, (b"content-encoding", b"gzip"))
    return Answer(answer.status, gzip.compress(answer.body, mtime=0), headers)


async def send_answer(send: Send, answer: Answer, request_id: str) -> None:
    there = {name for name, _ in answer.headers}
    headers = [
        *answer.headers,
        *(header for header in SECURITY if header[0] not in there),
        (b"content-length", b"%d" % len(answer.body)),
        (b"x-request-id", request_id.encode()),
    ]
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body})
