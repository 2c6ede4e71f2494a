"""Bodies of upstreams' answers: what they must be.

In: `responseBody` of a RouteRule. Out: `ResponseBodyRules`. Called by route and by the compiler's translate/body.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from .dispatch import SchemaRef
from .meta import Model


class ResponseBodyRules(Model):
    """What the body of an answer with a status of 2xx must be. It is held, whole, and the decision service judges it.

    Clients get 502 instead of one that breaks this. Upstreams are asked for no encoding and for no ranges, for neither
    can be judged; 204 and answers to HEAD need no body.
    """

    schema_: Annotated[SchemaRef, Field(alias="schema")]
    """JSONSchema that it must keep."""
    max_bytes: Annotated[int, Field(ge=1, le=65_536)] = 32_768
    """Largest body; what a larger one says is malformed."""
    shadow: bool = False
    """Judge and report, but let everything pass."""
