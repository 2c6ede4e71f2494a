"""What conditions look at: the request, its path and query apart, and what has been found out about the caller.

Made by `decide` for each request; filled by authentication and tenant resolution; read by compiled conditions.
"""

from __future__ import annotations

from collections.abc import Mapping

from .request import Request

NOBODY: frozenset[str] = frozenset()


class Facts:
    """Facts about one request."""

    __slots__ = (
        "_query",
        "api_version_default",
        "api_version_header",
        "flags",
        "path",
        "region",
        "request",
        "roles",
    )

    def __init__(self, request: Request) -> None:
        self.request = request
        self.path: str = request.path.partition("?")[0]
        self._query: Mapping[str, str] | None = None
        self.api_version_header = ""
        self.api_version_default = ""
        # Known after authentication.
        self.roles = NOBODY
        self.region = ""
        self.flags = NOBODY

    @property
    def query(self) -> Mapping[str, str]:
        """The parameters as the client wrote them, not decoded; the first value of a repeated one."""
        if self._query is None:
            self._query = parse_query(self.request.path.partition("?")[2])
        return self._query


def parse_query(query: str) -> dict[str, str]:
    """Returns the first value of each parameter, nothing decoded: the proxy compares them as they are."""
    parameters: dict[str, str] = {}
    for parameter in query.split("&"):
        if parameter:
            name, _, value = parameter.partition("=")
            parameters.setdefault(name, value)
    return parameters
