"""What an Edge does to all of its answers: compression, and headers by which browsers protect the client.

Parts of an Edge document. Called by edge and by the compiler's translate/answers.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from .formats import MEDIA_TYPE, HeaderText
from .lists import Items
from .meta import Model


class Compression(Model):
    """Answers that are compressed for clients that take it (RFC 9110, section 12.5.3)."""

    algorithms: Annotated[tuple[Literal["gzip", "br", "zstd"], ...], Items(least=1, most=3, distinct=True)] = (
        "br",
        "gzip",
    )
    """The first one is taken where a client likes several alike; where it takes that one not, the first of its own."""
    min_bytes: Annotated[int, Field(ge=30, le=1_048_576)] = 1024
    """Shorter answers go as they are."""
    content_types: Annotated[
        tuple[Annotated[str, MEDIA_TYPE], ...],
        Items(most=32, distinct=True),
    ] = ()
    """Media types that are compressed; texts, JSON, XML, scripts, fonts and SVG when empty."""


class SecurityHeaders(Model):
    """Headers by which browsers protect the client; what an answer says itself stays."""

    preset: Literal["Api", "Web"] = "Api"
    """Api: nothing of an answer may be shown, framed or run. Web: pages, which no other site may frame."""
    hsts_days: Annotated[int, Field(ge=0, le=3650)] = 365
    """Strict-Transport-Security (RFC 6797) for hosts and their subdomains, over TLS; none with 0."""
    content_security_policy: HeaderText | None = None
    """In place of the preset's."""
