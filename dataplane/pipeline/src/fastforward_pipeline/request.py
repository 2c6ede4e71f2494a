"""A request as the pipeline sees it: plain values, the time included.

Made by EntryPoint from what the proxy asks, and by the CLI from a method and a URL. Read by every stage.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

Headers = Mapping[str, tuple[str, ...]]
"""Names in lower case; the values of a repeated header in order."""
_LENGTH_DIGITS = 19
"""The proxy refuses longer ones."""


def make_headers(pairs: Iterable[tuple[str, str]]) -> Headers:
    """Returns the headers of `pairs`, names in any case."""
    headers: dict[str, tuple[str, ...]] = {}
    for name, value in pairs:
        lower = name.lower()
        headers[lower] = (*headers.get(lower, ()), value)
    return headers


def read_length(text: str) -> int | None:
    """Returns the length that a client announces (RFC 9110, section 8.6); None of what is none.

    Zeros in front are allowed, as many as a header holds: they say nothing, and Python reads 4300 digits at most.
    """
    if not (text.isascii() and text.isdigit()):
        return None
    digits = text.lstrip("0") or "0"
    return int(digits) if len(digits) <= _LENGTH_DIGITS else None


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """One request. Text that came as bytes is decoded as Latin-1, so that no byte is lost."""

    method: str
    host: str
    """The authority as the client sent it."""
    path: str
    """With the query, if there is one."""
    now: float
    """Unix time in seconds."""
    scheme: str = "http"
    headers: Headers = field(default_factory=dict)
    address: str = ""
    """The client's address, after trusted hops."""
    peer: str = ""
    """The address at the other end of the connection."""
    listener: str = ""
    """Name of the Edge's listener; empty for unknown."""
    edge: str = ""
    """NAMESPACE/NAME of the Edge; empty for whichever knows the host best."""
    plan: str = ""
    """Name of the Plan that the proxy has found; empty when the tables shall be asked. The proxy has normalised
    the path of such a request."""
    body_bytes: int | None = None
    """Length of the body; None for unknown."""
    request_id: str = ""
    content: bytes | None = None
    """The body, as far as it was held; None where nobody has it at hand, as in explanations."""

    def header(self, name: str) -> str | None:
        """Returns the value of a header (name in lower case), repeated ones joined with a comma; None without one."""
        values = self.headers.get(name)
        if values is None:
            return None
        return values[0] if len(values) == 1 else ",".join(values)

    def text(self, name: str) -> str:
        """Returns the same, empty without one."""
        return self.header(name) or ""
