"""The page's files, and what forbids a browser to do anything with them but to show them.

In: the files in `static`. Out: routes, and headers for every answer of the API. Called by api. Texts of users are only
ever put in as text; the headers make a slip harmless: no script but these files, nothing from and to elsewhere, no text
that becomes markup (Trusted Types), no frame around it.
"""

from __future__ import annotations

import hashlib
from collections.abc import Awaitable, Callable
from pathlib import Path

from aiohttp import ETag, web

_POLICY = (
    "default-src 'none'",
    "script-src 'self'",
    "style-src 'self'",
    "img-src 'self'",
    "connect-src 'self'",
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
    "trusted-types 'none'",
)
HEADERS = {
    "content-security-policy": "; ".join(_POLICY),
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
}
_TYPES = {".css": "text/css", ".html": "text/html", ".js": "text/javascript", ".svg": "image/svg+xml"}
_START = "index.html"
_FOLDER = Path(__file__).with_name("static")


def routes() -> list[web.RouteDef]:
    """The start at `/`, everything else below `/page/`."""
    found = sorted(_FOLDER.iterdir())
    return [web.get("/" if file.name == _START else f"/page/{file.name}", _answer(file)) for file in found]


def _answer(file: Path) -> Callable[[web.Request], Awaitable[web.Response]]:
    """A browser keeps a file and asks whether it is still the same: an operator of another version has other files."""
    body = file.read_bytes()
    tag, kind = hashlib.sha256(body).hexdigest()[:16], _TYPES[file.suffix]

    async def answer(request: web.Request) -> web.Response:
        known = ETag(value=tag) in (request.if_none_match or ())
        headers = {"cache-control": "no-cache"}
        response = (
            web.Response(status=304, headers=headers)
            if known
            else web.Response(body=body, content_type=kind, charset="utf-8", headers=headers)
        )
        response.etag = tag
        return response

    return answer
