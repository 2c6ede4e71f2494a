"""Changes to a request before its upstream, and to an answer before the client: headers, host, path.

In: parts of a rule of a Route. Called by the models of route and by translate/rule.
"""

from __future__ import annotations

import re
from typing import Annotated

from .formats import SUBSTITUTION, ExactHost, HeaderName, HeaderText, PathText, RegexText
from .lists import Items
from .meta import Model, Rule, count_set

_GATEWAYS_OWN = "^(?i)(host|connection|transfer-encoding|content-length|x-ff-.*|x-envoy-.*)$"
_OWN_HEADER = re.compile(_GATEWAYS_OWN.replace("^(?i)", ""), re.IGNORECASE)


class HeaderValue(Model):
    """A header to write."""

    name: HeaderName
    """Header name, but none of the gateway's own: `host`, `connection`, `x-ff-*`, `x-envoy-*` and the like."""
    value: HeaderText
    """Literal value."""

    rules_cel = (
        Rule(
            f"!self.name.matches('{_GATEWAYS_OWN}')",
            "This header belongs to the gateway.",
            "name",
            lambda s: _OWN_HEADER.fullmatch(s.name) is None,
        ),
    )


class HeaderChanges(Model):
    """Changes to a message's headers, in the order remove, set, add."""

    set: Annotated[tuple[HeaderValue, ...], Items(most=32, key="name")] = ()
    """Headers to write over."""
    add: Annotated[tuple[HeaderValue, ...], Items(most=32)] = ()
    """Headers to append a value to."""
    remove: Annotated[tuple[HeaderName, ...], Items(most=32, distinct=True)] = ()
    """Headers to remove."""

    rules_cel = (
        Rule(
            f"!has(self.remove) || self.remove.all(h, !h.matches('{_GATEWAYS_OWN}'))",
            "These headers belong to the gateway.",
            "remove",
            lambda s: not any(_OWN_HEADER.fullmatch(name) for name in s.remove),
        ),
    )


class RegexRewrite(Model):
    """A rewrite by regular expression (RE2)."""

    pattern: RegexText
    """What to replace, everywhere in the path."""
    substitution: Annotated[str, SUBSTITUTION]
    r"""Replacement; `\1` is the first group."""


class Rewrite(Model):
    """What the upstream sees instead."""

    host: ExactHost | None = None
    """Host header."""
    replace_prefix: PathText | None = None
    """What the matched prefix becomes; needs a Prefix match."""
    replace_path: PathText | None = None
    """The whole path; the query stays."""
    regex: RegexRewrite | None = None
    """Replacement in the path by regular expression."""
    template: PathText | None = None
    """The whole path, with `{name}` for what the match, a Template, has caught; the query stays."""

    rules_cel = (
        Rule(
            "[has(self.replacePrefix), has(self.replacePath), has(self.regex), has(self.template)]"
            ".filter(x, x).size() <= 1",
            "Only one way to rewrite the path.",
            "",
            lambda s: count_set(s.replace_prefix, s.replace_path, s.regex, s.template) <= 1,
        ),
    )
