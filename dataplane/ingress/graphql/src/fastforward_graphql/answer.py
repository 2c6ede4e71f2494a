"""Results as HTTP answers, of either media type (https://graphql.github.io/graphql-over-http/draft/#sec-Response).

In: Results. Out: Responses. Called by the adapter.
"""

from __future__ import annotations

import json
from typing import Any

from fastforward_kit.http import Response
from fastforward_pipeline.reason import FACTS, Reason

from .errors import describe, refusal
from .execution import Result
from .request import GRAPHQL, JSON, BadRequestError


def make_answer(result: Result, media_type: str) -> Response:
    """Returns the answer to one operation: with `application/json` 200 for every request that was well-formed."""
    status = result.status if media_type == GRAPHQL or result.status >= 500 else 200
    return Response(status, (("content-type", f"{media_type}; charset=utf-8"),), write(result.body))


def make_batch(results: list[Result], media_type: str) -> Response:
    """Returns the answer to a list of operations."""
    bodies = [each.body for each in results]
    return Response(200, (("content-type", f"{media_type}; charset=utf-8"),), write(bodies))


def make_refusal(error: BadRequestError, media_type: str = JSON) -> Response:
    """Returns the answer to what is no GraphQL request."""
    body = {"errors": [describe(refusal(Reason.QUERY_MALFORMED, error.detail))]}
    headers = (("content-type", f"{media_type}; charset=utf-8"), *error.headers)
    return Response(error.status, headers, write(body))


def make_failure(reason: Reason, media_type: str = JSON) -> Response:
    """Returns the answer when nothing can be executed."""
    body = {"errors": [describe(refusal(reason))]}
    return Response(FACTS[reason].status, (("content-type", f"{media_type}; charset=utf-8"),), write(body))


def write(value: Any) -> bytes:  # noqa: ANN401 - whatever JSON can say
    """Returns JSON."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False).encode("utf-8", "replace")
