"""Canaries of ingress-nginx: Ingresses that have a part of the requests of others.

In: annotations of a canary, rules of all Ingresses. Out: the same rules with their shares. Called by ingress and
conversion.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from .draft import Context, Document, Rule
from .reading import Field


@dataclass(slots=True)
class Canary:
    """Requests that an Ingress takes from another one with the same host and path."""

    host: str
    paths: list[Document]
    share: Document
    place: Field
    weight: int = 0
    total: int = 100
    match: Document | None = None


def match_canary(settings: dict[str, Field]) -> Document | None:
    """What requests have that all go to the canary."""
    if "header" in settings:
        kind, value = "Exact", "always"
        if "value" in settings:
            value = settings["value"].text()
        elif "pattern" in settings:
            kind, value = "Regex", f".*(?:{settings['pattern'].text()}).*"
        else:
            settings["header"].changed("`never` is weighed like no header at all.")
        return {"headers": [{"name": settings["header"].text(), "type": kind, "value": value}]}
    if "cookie" in settings:
        name = settings["cookie"].text()
        settings["cookie"].changed("`never` is weighed like no cookie at all.")
        return {
            "headers": [{"name": "cookie", "type": "Regex", "value": f"(?:.*; *)?{re.escape(name)}=always(?:;.*)?"}]
        }
    return None


def join_canaries(context: Context, canaries: Iterable[Canary]) -> None:
    """Gives canaries their part of the rules with the same host and path."""
    for canary in canaries:
        rules = [
            rule
            for rule in context.draft.rules
            if canary.host in (rule.hosts or ("",)) and "upstreams" in rule.body and _shared(rule, canary)
        ]
        if not rules:
            canary.place.lost("There is no Ingress with this host and path.", "Import it together with that one.")
        for rule in rules:
            _join(context, rule, canary)


def _shared(rule: Rule, canary: Canary) -> list[Document]:
    """The matches of a rule of which a canary has its part."""
    return [match for match in rule.matches if match.keys() == {"path"} and match["path"] in canary.paths]


def _join(context: Context, rule: Rule, canary: Canary) -> None:
    if canary.match is not None:
        made = rule.on(rule.hosts, rule.order)
        made.matches = [{**match, **canary.match} for match in _shared(rule, canary)]
        made.body = {**rule.body, "upstreams": [canary.share]}
        context.draft.add(made)
    if canary.weight:
        (main,) = rule.body["upstreams"][:1]
        rest = {**main, "weight": max(canary.total - canary.weight, 0)}
        rule.body = {**rule.body, "upstreams": [rest, {**canary.share, "weight": canary.weight}]}
