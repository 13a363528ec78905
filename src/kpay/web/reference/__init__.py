"""The interactive reference at /api/docs: Swagger UI over our own document, served by us alone.

The page asks nobody but us for anything, and its policy holds the browser to that. How to renew the
library is in docs/decisions/0012-the-reference-is-swagger-ui.md.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from litestar import Request, Response, get

from kpay.web.assets import Assets

PATH = "/api/docs"

# No script but our own files, and no address but ours to send anything to. The library puts styles
# on its elements and shows its icons from within its style sheet.
POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self' 'unsafe-inline'",
        "img-src 'self' data:",
        "connect-src 'self'",
        "base-uri 'none'",
        "form-action 'none'",
        "frame-ancestors 'none'",
    )
)
_PAGE = "index.html"


def handlers() -> list[Any]:
    """The page and its files."""
    assets = Assets(Path(__file__).parent / "assets")

    @get([PATH, f"{PATH}/"])
    async def reference(request: Request[Any, Any, Any]) -> Response[bytes]:
        more = {"content-security-policy": POLICY}
        found: Response[bytes] = assets.answer(_PAGE, request.headers, more)
        return found

    return [reference, assets.handler(f"{PATH}/assets")]
