"""Stage 4, normalisation: the request as the proxy's listener leaves it, so that a raw URL is explained as served.

In: a raw Request. Out: the Request with host and path in canonical form, or a Refusal. It runs first, because
everything else looks at its result; the proxy has done it already for requests that come with a Plan. Each rule was
tried on the real proxy: no port, no closing dot of the host; `%2F` and `%5C` unescaped, dot segments removed,
percent-encoded letters that need not be decoded, repeated slashes merged (RFC 3986, section 6.2.2; Envoy's
normalize_path and merge_slashes).
"""

from __future__ import annotations

import re
from dataclasses import replace
from enum import Enum

from fastforward_pipeline.decision import Refusal
from fastforward_pipeline.exchange import Exchange
from fastforward_pipeline.facts import Facts
from fastforward_pipeline.reason import Reason
from fastforward_pipeline.request import Request
from fastforward_pipeline.trail import Verdict


class EscapedSlashes(Enum):
    """What happens to `%2F` and `%5C` in a path (Envoy's path_with_escaped_slashes_action)."""

    KEEP = "keep"
    REJECT = "reject"
    UNESCAPE = "unescape"


_FORGEABLE = ("x-ff-", "x-envoy-")
_FORWARDED = ("x-forwarded-", "forwarded", "x-real-ip")
_HOST = re.compile(r"[A-Za-z0-9!$%&'()*+,\-.:;=@\[\]_~]*")
_PORT = re.compile(r":\+?([0-9]{1,10})$")
_MAX_PORT = 2**32
_PATH = re.compile(r"/[!-\"$-~]*")
_ESCAPED_SLASH = re.compile(r"%(?:2[Ff]|5[Cc])")
# Servlet containers read `..;x` as `..`, so the proxy does too.
_DOTS_WITH_PARAMETERS = re.compile(r"(?<=/)(\.\.?);[^/]*")
_ESCAPE = re.compile(r"%([0-9A-Fa-f]{2})")
_UNRESERVED = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~")
# What canonical paths have percent-encoded; a backslash is a slash.
_RESERVED = str.maketrans({character: f"%{ord(character):02X}" for character in '"<>^`{|}'} | {"\\": "/"})
# Some paths need nothing done: only plain characters, no dot or slash after a slash.
_CANONICAL = re.compile(r"(?:/[A-Za-z0-9\-_~!$&'()*+,;=:@][A-Za-z0-9\-._~!$&'()*+,;=:@]*)+/?(?:\?.*)?")


def judge(exchange: Exchange) -> Refusal | None:
    """Puts the request into canonical form, if the proxy has not."""
    if exchange.request.plan:
        exchange.facts = Facts(exchange.request)
        return None
    before = exchange.request
    outcome = normalize(before)
    if isinstance(outcome, Refusal):
        return outcome
    exchange.request = outcome
    exchange.facts = Facts(outcome)
    if exchange.trail is not None:
        _tell(exchange, before)
    return None


def normalize(request: Request, slashes: EscapedSlashes = EscapedSlashes.UNESCAPE) -> Request | Refusal:
    """Returns the request in canonical form, or why the proxy would refuse it: it is malformed, or no rule takes it."""
    if any("_" in name for name in request.headers):
        return _malformed("a header's name has an underscore", "headers")
    if _HOST.fullmatch(request.host) is None:
        return _malformed(f"the host {request.host!r} has a character that no host has", "host")
    path = _canonical(request.path, slashes, asterisk=request.method == "OPTIONS")
    if path is None:
        return _malformed(f"the path {request.path[:200]!r} is none", "path")
    if _hides_dots(path):
        detail = f"the path {path[:200]!r} means another one to servers that leave out what follows a `;`"
        return Refusal(reason=Reason.NO_ROUTE, detail=detail, object="request", field="path")
    return replace(request, host=strip_port(request.host).removesuffix("."), path=path)


def receive(request: Request, trusted_hops: int) -> Request:
    """Returns the request with headers as the proxy's listener leaves them.

    What only the gateway may write goes, and unless something in front is trusted, what only that may write.
    """
    forgeable = _FORGEABLE if trusted_hops else _FORGEABLE + _FORWARDED
    headers = {name: values for name, values in request.headers.items() if not name.startswith(forgeable)}
    if trusted_hops == 0:
        headers["x-forwarded-proto"] = (request.scheme,)
        if request.address:
            headers["x-forwarded-for"] = (request.address,)
    return replace(request, headers=headers)


def strip_port(host: str) -> str:
    """Returns the host without a port; what is no port stays."""
    port = _PORT.search(host)
    if port is None or int(port[1]) >= _MAX_PORT:
        return host
    return host[: port.start()]


def normalize_path(target: str, slashes: EscapedSlashes, *, asterisk: bool = False) -> str | None:
    """Returns the request target in canonical form, its query untouched; None when it is none that a rule can have."""
    path = _canonical(target, slashes, asterisk=asterisk)
    return None if path is None or _hides_dots(path) else path


def _hides_dots(path: str) -> bool:
    """Whether a dot segment is left, which was written with escapes and parameters: the proxy removes only others."""
    bare = path.partition("?")[0]
    return "/..;" in bare or "/.;" in bare


def _canonical(target: str, slashes: EscapedSlashes, *, asterisk: bool = False) -> str | None:
    """Returns the request target as the proxy's listener leaves it; None when it is malformed."""
    if target == "*" and asterisk:
        return target
    if _PATH.fullmatch(target) is None:
        return None
    if _CANONICAL.fullmatch(target) is not None:
        return target
    path, mark, query = target.partition("?")
    if slashes is not EscapedSlashes.KEEP and "%" in path:
        unescaped = _ESCAPED_SLASH.sub(lambda found: "/" if found[0][1] == "2" else "\\", path)
        if unescaped != path and slashes is EscapedSlashes.REJECT:
            return None
        path = unescaped
    if "%00" in path:
        return None
    path = _DOTS_WITH_PARAMETERS.sub(r"\1", path)
    path = _ESCAPE.sub(_unescape, path).translate(_RESERVED)
    return merge_slashes(remove_dot_segments(path)) + mark + query


def remove_dot_segments(path: str) -> str:
    """Returns the path with `.` and `..` resolved (RFC 3986, section 5.2.4); `..` never leaves the root."""
    segments: list[str] = []
    parts = path.split("/")[1:]
    for place, part in enumerate(parts):
        if part not in {".", ".."}:
            segments.append(part)
            continue
        if part == ".." and segments:
            segments.pop()
        if place == len(parts) - 1:
            segments.append("")
    return "/" + "/".join(segments)


def merge_slashes(path: str) -> str:
    """Returns the path with repeated slashes merged; nothing but slashes becomes two, as in the proxy."""
    if "//" not in path:
        return path
    return "/" + "/".join(filter(None, path.split("/"))) + ("/" if path.endswith("/") else "")


def _unescape(found: re.Match[str]) -> str:
    character = chr(int(found[1], 16))
    return character if character in _UNRESERVED else found[0]


def _malformed(detail: str, field: str) -> Refusal:
    return Refusal(reason=Reason.MALFORMED, detail=detail, object="request", field=field)


def _tell(exchange: Exchange, before: Request) -> None:
    after = exchange.request
    changes = [
        f"the {name} {old!r} is read as {new!r}"
        for name, old, new in (("host", before.host, after.host), ("path", before.path, after.path))
        if old != new
    ]
    detail = "; ".join(changes) or "host and path are in canonical form"
    if exchange.trail is not None:
        exchange.trail.note("normalization", Verdict.PASSED, detail, object="request")
