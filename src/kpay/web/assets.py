"""Files that pages are made of: scripts, styles, pictures. Read once, served from memory.

A folder of a package is given to `Assets`; what is in it has one address each, and nothing else
has. A file may lie there compressed (`name.js.gz`): it is sent as it lies to whoever takes gzip. A
browser keeps what it has and asks whether it is still the same.
"""

from __future__ import annotations

import gzip
import hashlib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from litestar import Request, Response, get
from litestar.exceptions import NotFoundException

# Text is sent as UTF-8, which the answer says of itself.
_TYPES = {
    ".css": "text/css",
    ".html": "text/html",
    ".js": "text/javascript",
    ".png": "image/png",
    ".svg": "image/svg+xml",
    ".woff2": "font/woff2",
}
_COMPRESSED = ".gz"


class Asset(msgspec.Struct, frozen=True):
    """One file as it lies in its folder: its type, its tag, and whether it is compressed."""

    media_type: str
    tag: str
    lies: bytes
    is_compressed: bool


class Assets:
    """The files of one folder. Whatever has no type in the table above is not served."""

    def __init__(self, folder: Path) -> None:
        self._files = _folder(folder)

    @property
    def names(self) -> frozenset[str]:
        return frozenset(self._files)

    def answer(self, name: str, headers: Mapping[str, str], more: Mapping[str, str]) -> Any:
        """The file of that name, or 304 to whoever has it. `more` are headers of its answer."""
        asset = self._files.get(name)
        if asset is None:
            raise NotFoundException()
        # Asked again each time, and answered in a few bytes: a new version is seen at once.
        said = {"cache-control": "no-cache", "etag": asset.tag, "vary": "accept-encoding", **more}
        if asset.tag in headers.get("if-none-match", ""):
            return Response(b"", status_code=304, headers=said, media_type=asset.media_type)
        body = asset.lies
        if asset.is_compressed and "gzip" in headers.get("accept-encoding", ""):
            said["content-encoding"] = "gzip"
        elif asset.is_compressed:
            body = gzip.decompress(body)
        return Response(body, headers=said, media_type=asset.media_type)

    def handler(self, prefix: str) -> Any:
        """A handler that serves them below `prefix`."""

        @get(f"{prefix}/{{name:str}}")
        async def asset(request: Request[Any, Any, Any]) -> Response[bytes]:
            name = str(request.path_params["name"])
            found: Response[bytes] = self.answer(name, request.headers, {})
            return found

        return asset


@cache
def _folder(folder: Path) -> dict[str, Asset]:
    """What is served of a folder, by the name that it is asked for with."""
    files = {}
    for path in sorted(folder.iterdir()):
        is_compressed = path.suffix == _COMPRESSED
        name = path.stem if is_compressed else path.name
        media_type = _TYPES.get(Path(name).suffix)
        if media_type is not None:
            lies = path.read_bytes()
            tag = f'"{hashlib.sha256(lies).hexdigest()[:24]}"'
            files[name] = Asset(media_type, tag, lies, is_compressed)
    return files
