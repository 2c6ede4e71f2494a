"""What rules of HTTPRoutes and GRPCRoutes do to requests and answers on their way.

In: parts of documents. Out: models. Called by httproute and grpcroute.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, StringConstraints

from fastforward_crds.lists import Items
from fastforward_crds.meta import Foreign, Port, ShortText

from .reference import Backend, BackendObject, Hostname

HeaderName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]{1,256}$", max_length=256)]
HeaderText = Annotated[str, StringConstraints(pattern=r"^[\t\x20-\x7E]*$", max_length=4096)]
Path = Annotated[str, StringConstraints(pattern=r"^[!-~]*$", max_length=1024)]


class Header(Foreign):
    """A header to write."""

    name: HeaderName
    value: HeaderText


class HeaderFilter(Foreign):
    """Changes to headers."""

    set: Annotated[tuple[Header, ...], Items(most=16)] = ()
    add: Annotated[tuple[Header, ...], Items(most=16)] = ()
    remove: Annotated[tuple[HeaderName, ...], Items(most=16)] = ()


class PathModifier(Foreign):
    """A path in place of another."""

    type: ShortText
    replace_full_path: Path | None = None
    replace_prefix_match: Path | None = None


class RedirectFilter(Foreign):
    """An answer that sends the client elsewhere."""

    scheme: ShortText | None = None
    hostname: Hostname | None = None
    path: PathModifier | None = None
    port: Port | None = None
    status_code: Literal[301, 302, 303, 307, 308] = 302


class RewriteFilter(Foreign):
    """What the backend sees instead."""

    hostname: Hostname | None = None
    path: PathModifier | None = None


class Fraction(Foreign):
    """A share."""

    numerator: Annotated[int, Field(ge=0, lt=1 << 31)]
    denominator: Annotated[int, Field(ge=1, lt=1 << 31)] = 100


class MirrorFilter(Foreign):
    """A copy of the request for somebody whose answer nobody sees."""

    backend_ref: BackendObject
    percent: Annotated[int, Field(ge=0, le=100)] | None = None
    fraction: Fraction | None = None


class CorsFilter(Foreign):
    """Cross-origin requests (Fetch standard)."""

    allow_origins: Annotated[tuple[ShortText, ...], Items(most=64)] = ()
    allow_credentials: bool = False
    allow_methods: Annotated[tuple[ShortText, ...], Items(most=9)] = ()
    allow_headers: Annotated[tuple[HeaderName, ...], Items(most=64)] = ()
    expose_headers: Annotated[tuple[HeaderName, ...], Items(most=64)] = ()
    max_age: Annotated[int, Field(ge=1, lt=1 << 31)] = 5


class RouteFilter(Foreign):
    """One step of the processing."""

    type: ShortText
    request_header_modifier: HeaderFilter | None = None
    response_header_modifier: HeaderFilter | None = None
    request_mirror: MirrorFilter | None = None
    request_redirect: RedirectFilter | None = None
    url_rewrite: RewriteFilter | None = None
    cors: CorsFilter | None = None


class FilteredBackend(Backend):
    """Where requests go, and what happens only to those that go there."""

    filters: Annotated[tuple[RouteFilter, ...], Items(most=16)] = ()
