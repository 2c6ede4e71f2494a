"""Match: the conditions on a request under which a rule of a Route takes it.

In: part of a Route document. Out: `Match`. Called by route.
"""

from __future__ import annotations

import re
from typing import Annotated, Literal

from pydantic import StringConstraints

from .formats import HeaderName, HeaderText, Label, Name
from .lists import Items
from .meta import Model, Rule

_PATH = re.compile(r"/[!-~]*")
_CAUGHT = "[{][A-Za-z_][A-Za-z0-9_]*"
_TEMPLATE = f"(/[^{{}}/]*({_CAUGHT}[}}][^{{}}/]*)?)*(/{_CAUGHT}[.]{{3}}[}}])?"

Method = Literal["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "CONNECT"]


class PathMatch(Model):
    """A condition on the path, without the query; the path is normalised before (RFC 3986, section 6)."""

    type: Literal["Exact", "Prefix", "Regex", "Template"] = "Prefix"
    """Exact; Prefix by whole segments (`/a` matches `/a`, `/a/b`, not `/ab`); Regex on the whole path (RE2); Template
    with `{name}` for a part of a segment, one in each, and `{name...}` for the rest of the path."""
    value: Annotated[str, StringConstraints(min_length=1, max_length=1024)] = "/"
    """The path, prefix, regular expression or template."""

    rules_cel = (
        Rule(
            "self.type == 'Regex' || self.value.matches('^/[!-~]*$')",
            "A path starts with / and has no spaces.",
            "value",
            lambda s: s.type == "Regex" or _PATH.fullmatch(s.value) is not None,
        ),
        Rule(
            "self.type == 'Regex' || !self.value.matches('[?#]')",
            "A path has neither query nor fragment.",
            "value",
            lambda s: s.type == "Regex" or not ("?" in s.value or "#" in s.value),
        ),
        Rule(
            "self.type != 'Regex' || size(self.value) <= 512",
            "A regular expression has at most 512 characters.",
            "value",
            lambda s: s.type != "Regex" or len(s.value) <= 512,
        ),
        Rule(
            f"self.type != 'Template' || (size(self.value) <= 512 && self.value.matches('^({_TEMPLATE})$'))",
            "A template has at most one {name} in each segment, {name...} at its end alone, and 512 characters.",
            "value",
            lambda s: s.type != "Template" or (len(s.value) <= 512 and re.fullmatch(_TEMPLATE, s.value) is not None),
        ),
    )


class TextMatch(Model):
    """A condition on a header or a query parameter."""

    name: HeaderName
    """Name; header names in any case, query parameters as they are."""
    type: Literal["Exact", "Prefix", "Regex", "Present"] = "Exact"
    """How to compare; Regex is RE2 on the whole value; Present asks only that it is there."""
    value: HeaderText = ""
    """Value to compare with; repeated headers are joined with a comma first."""

    rules_cel = (
        Rule(
            "self.type in ['Present', 'Exact'] || (has(self.value) && size(self.value) > 0)",
            "This type needs a value.",
            "value",
            lambda s: s.type in ("Present", "Exact") or bool(s.value),
        ),
        Rule(
            "self.type != 'Regex' || !has(self.value) || size(self.value) <= 512",
            "A regular expression has at most 512 characters.",
            "value",
            lambda s: s.type != "Regex" or len(s.value) <= 512,
        ),
    )


class Match(Model):
    """One way to match; all that is set must hold."""

    path: PathMatch = PathMatch()
    """Condition on the path."""
    methods: Annotated[tuple[Method, ...], Items(most=9, distinct=True)] = ()
    """HTTP methods; any when empty."""
    headers: Annotated[tuple[TextMatch, ...], Items(most=16, key="name")] = ()
    """Conditions on headers, one a name."""
    query: Annotated[tuple[TextMatch, ...], Items(most=16, key="name")] = ()
    """Conditions on query parameters, one a name; the first value of a repeated one counts."""
    tenants: Annotated[tuple[Name, ...], Items(most=64, distinct=True)] = ()
    """Tenants of whom the request must prove to be one."""
    roles: Annotated[tuple[Label, ...], Items(most=16, distinct=True)] = ()
    """Roles of which the caller must have one."""
    region: Label | None = None
    """Region of the request: its tenant's, or else the edge's."""
    flag: Label | None = None
    """Feature flag that must be on for the request's tenant."""
    api_version: Label | None = None
    """API version that the request asks for (Edge `apiVersions`)."""
