"""The page that KPay is measured by, kept word for word, and its examples taken out of it."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

PAGE = (Path(__file__).parent / "cross-border.txt").read_text(encoding="utf-8")

_SNIPPET = re.compile(
    r"^Node\.js\n(const res = await fetch\(.*?^const data = .*?$)", re.MULTILINE | re.DOTALL
)
_REQUEST = re.compile(r"^POST /api/wallets/transfer\n(\{.*?^\})", re.MULTILINE | re.DOTALL)
_RESPONSE = re.compile(
    r"^[^\n]*[Rr]esponse[^\n]*\(201 Created\)\n(\{.*?^\})", re.MULTILINE | re.DOTALL
)
_SENT = re.compile(r"JSON\.stringify\((\{.*?^\})\)", re.MULTILINE | re.DOTALL)


def snippets() -> list[str]:
    """The page's Node.js programs, as they stand there."""
    return _SNIPPET.findall(PAGE)


def page_json(external_id: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The request with this externalId on the page, and the response that follows it."""
    requests = [*_REQUEST.finditer(PAGE), *_SENT.finditer(PAGE)]
    (request,) = [one for one in requests if external_id in one[1]]
    response = _RESPONSE.search(PAGE, request.end())
    assert response is not None
    return json.loads(request[1]), json.loads(response[1])
