"""HTTPRoute: which HTTP requests go where.

In: an HTTPRoute document. Out: `HttpRoute`. Called by parse and the compiler's translate/gatewayapi.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from fastforward_crds.lists import Items
from fastforward_crds.meta import Foreign, Resource, ShortText

from .filter import FilteredBackend, HeaderName, HeaderText, Path, RouteFilter
from .persistence import SessionPersistence
from .reference import Hostname, ParentRef, Period, Section


class HttpPathMatch(Foreign):
    """A condition on the path."""

    type: Literal["Exact", "PathPrefix", "RegularExpression"] = "PathPrefix"
    value: Path = "/"


class HttpTextMatch(Foreign):
    """A condition on a header or a query parameter."""

    type: Literal["Exact", "RegularExpression"] = "Exact"
    name: HeaderName
    value: HeaderText


class HttpRouteMatch(Foreign):
    """One way to match; all that is set must hold."""

    path: HttpPathMatch = HttpPathMatch()
    headers: Annotated[tuple[HttpTextMatch, ...], Items(most=16)] = ()
    query_params: Annotated[tuple[HttpTextMatch, ...], Items(most=16)] = ()
    method: ShortText | None = None


class HttpTimeouts(Foreign):
    """How long an answer may take; 0s for no bound."""

    request: Period | None = None
    backend_request: Period | None = None


class HttpRetry(Foreign):
    """When to try again."""

    codes: Annotated[tuple[Annotated[int, Field(ge=400, le=599)], ...], Items(most=64)] = ()
    attempts: Annotated[int, Field(ge=0, le=100)] | None = None
    backoff: Period | None = None


class HttpRouteRule(Foreign):
    """Matches, what happens to the request, and where it goes."""

    name: Section | None = None
    matches: Annotated[tuple[HttpRouteMatch, ...], Items(most=64)] = (HttpRouteMatch(),)
    filters: Annotated[tuple[RouteFilter, ...], Items(most=16)] = ()
    backend_refs: Annotated[tuple[FilteredBackend, ...], Items(most=16)] = ()
    timeouts: HttpTimeouts = HttpTimeouts()
    retry: HttpRetry | None = None
    session_persistence: SessionPersistence | None = None


class HttpRouteSpec(Foreign):
    """What an HTTPRoute says."""

    parent_refs: Annotated[tuple[ParentRef, ...], Items(most=32)] = ()
    hostnames: Annotated[tuple[Hostname, ...], Items(most=16)] = ()
    rules: Annotated[tuple[HttpRouteRule, ...], Items(most=16)] = (HttpRouteRule(),)


class HttpRoute(Resource):
    """Which HTTP requests go where."""

    kind: Literal["HTTPRoute"] = "HTTPRoute"
    spec: HttpRouteSpec
