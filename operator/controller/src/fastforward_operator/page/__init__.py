"""The operator's page for browsers: read-only, made of files that a browser takes as they are, without any build step.

In: the API's state. Out: routes of the API, and headers for each of its answers. Called by api.
"""

from .explanation import HEADER_LINES, Explainer, ExplanationError, Question
from .files import HEADERS, routes
from .recent import Recent
from .routemap import present_map, tag_of

__all__ = [
    "HEADERS",
    "HEADER_LINES",
    "Explainer",
    "ExplanationError",
    "Question",
    "Recent",
    "present_map",
    "routes",
    "tag_of",
]
