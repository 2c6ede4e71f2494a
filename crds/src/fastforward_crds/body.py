"""Bodies of proxied requests: what they must be.

In: `body` of a RouteRule. Out: `BodyRules`. Called by route and by the compiler's translate/body.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .dispatch import SchemaRef
from .meta import Model


class BodyRules(Model):
    """What the body of a request must be. It is held, whole, and the decision service judges it before it goes on.

    Bodies go on as they came: they are judged, not rewritten. GET, HEAD, DELETE and OPTIONS need none.
    """

    schema_: Annotated[SchemaRef, Field(alias="schema")]
    """JSONSchema that it must keep: 400 for what is no JSON, 415 for another media type, 422 for what breaks it, with
    the place of each fault.
    """
    max_bytes: Annotated[int, Field(ge=1, le=1 << 20)] = 65_536
    """Largest body; 413 above."""
    shadow: bool = False
    """Judge and report, but let everything pass."""
