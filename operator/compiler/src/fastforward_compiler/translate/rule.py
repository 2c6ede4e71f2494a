"""One rule of a Route to what all its entries share: conditions, destination, changes on the way.

In: a RouteRule. Out: a Blueprint and Problems. Called by route, which spreads it over edges, hosts and tenants. A match
with a broken expression is left out; a rule that can't do what it says answers 500; the neighbours serve.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from functools import lru_cache
from typing import Any, NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem
from fastforward_compiler.regex import inside

from .body import translate_bodies
from .dispatch import translate_adapter, translate_message
from .disturbance import translate_fault, translate_mirrors
from .expression import MAX_REWRITE_PROGRAM, fault_of_regex, fault_of_substitution, fault_of_whole
from .reference import target
from .schedule import written
from .shard import PURPOSES
from .template import fault_of_path, fault_of_template, parse_template, path_rewrite
from .texts import translate_texts
from .transcoding import translate_transcode
from .upstream import Traits, resolve_upstream

UNAVAILABLE = ""
"""The Upstream of a share that always answers 500."""

_NO_CHANGES = ir.HeaderChanges()
_PATH_TYPES = {str(path_type): path_type for path_type in ir.PathType}


class Condition(NamedTuple):
    """One match: its place in the rule, the tenants it is for, what it asks."""

    place: int
    tenants: tuple[str, ...]
    match: ir.Match


class Blueprint(NamedTuple):
    """A rule, before it is spread. `fields` are those of `ir.Entry` that are alike everywhere."""

    name: str
    place: int
    conditions: tuple[Condition, ...]
    fields: dict[str, Any]
    upstreams: tuple[str, ...]


def translate_rule(
    cells: Cells, on: ObjectRef, place: int, name: str, rule: crds.RouteRule
) -> tuple[Blueprint, list[Problem]]:
    """The blueprint of a rule and what is wrong with it."""
    problems: list[Problem] = []
    field = f"spec.rules[{place}]"
    destination, upstreams = _translate_destination(cells, on, field, rule, problems)
    where, fault = _rewrite_fault(rule)
    if fault:
        problems.append(problem(on, Reason.REGEX_INVALID, f"{field}.{where}", f"The rewrite is refused: {fault}."))
        destination = ir.Unavailable(reason="The rule's rewrite is broken.")
    fields = _translate_changes(rule, destination)
    if rule.transcode is not None:
        where = f"{field}.transcode"
        fields |= translate_transcode(cells, on, where, rule.transcode, destination, problems)
    fields |= translate_bodies(cells, on, field, rule, problems)
    if rule.rewrite is not None and not fault:
        fields["rewrite"] = _translate_rewrite(rule.rewrite, rule.matches[0].path.value)
    if rule.timeout is not None:
        fields |= _translate_timeout(rule.timeout)
    if rule.mirrors:
        fields["mirrors"] = translate_mirrors(cells, on, f"{field}.mirrors", rule.mirrors, problems)
        upstreams = tuple(dict.fromkeys((*upstreams, *(each.upstream for each in fields["mirrors"]))))
    if rule.fault is not None:
        fields["fault"] = translate_fault(on, f"{field}.fault", rule.fault, problems)
    conditions = tuple(_translate_conditions(on, field, rule.matches, problems))
    return Blueprint(name, place, conditions, fields, upstreams), problems


def _translate_changes(rule: crds.RouteRule, destination: ir.Destination) -> dict[str, Any]:
    fields: dict[str, Any] = {"destination": destination}
    if rule.schedule is not None:
        fields["schedule"] = written(rule.schedule)
    if rule.request_headers is not None:
        fields["request_headers"] = _translate_headers(rule.request_headers)
    if rule.response_headers is not None:
        fields["response_headers"] = _translate_headers(rule.response_headers)
    if rule.cors is not None:
        fields["cors"] = _translate_cors(rule.cors)
    if rule.csrf is not None:
        fields["csrf"] = ir.Csrf(hosts=rule.csrf.hosts, shadow=rule.csrf.shadow)
    if rule.retry is not None:
        fields["retry"] = _translate_retry(rule.retry)
    return fields


def _translate_timeout(timeout: crds.RuleTimeout) -> dict[str, Any]:
    said = (("timeout_ms", timeout.request), ("idle_timeout_ms", timeout.idle))
    return {name: crds.milliseconds(bound) for name, bound in said if bound is not None}


def _translate_conditions(
    on: ObjectRef, field: str, matches: Sequence[crds.Match], problems: list[Problem]
) -> Iterable[Condition]:
    for place, match in enumerate(matches):
        faults = tuple(_regex_faults(match)) if match.model_fields_set else ()
        if not faults:
            yield Condition(place, tuple(dict.fromkeys(match.tenants)), _translate_match(match))
        for where, fault in faults:
            what = "template" if match.path.type == "Template" and where == "path.value" else "regular expression"
            message = f"The {what} is refused, so this match is left out: {fault}."
            problems.append(problem(on, Reason.REGEX_INVALID, f"{field}.matches[{place}].{where}", message))


def _regex_faults(match: crds.Match) -> Iterable[tuple[str, str]]:
    if match.path.type == "Regex" and (fault := fault_of_whole(match.path.value)):
        yield "path.value", fault
    if match.path.type == "Template" and (fault := fault_of_template(match.path.value)):
        yield "path.value", fault
    for part, texts in (("headers", match.headers), ("query", match.query)):
        for place, text in enumerate(texts):
            if text.type == "Regex" and (fault := fault_of_regex(text.value)):
                yield f"{part}[{place}].value", fault


def _translate_match(match: crds.Match) -> ir.Match:
    path_type, path = match.path.type, match.path.value
    if path_type == "Prefix":
        path = path.rstrip("/") or "/"
    elif path_type == "Regex":
        path = inside(path)
    elif path_type == "Template":
        path_type, path = "Regex", parse_template(path).pattern
    return ir.Match(
        path_type=_PATH_TYPES[path_type],
        path=path,
        methods=tuple(sorted(set(match.methods))) if match.methods else (),
        headers=translate_texts(match.headers, lower=True),
        query=translate_texts(match.query, lower=False),
        roles=tuple(sorted(set(match.roles))) if match.roles else (),
        region=match.region or "",
        flag=match.flag or "",
        api_version=match.api_version or "",
    )


def _translate_destination(
    cells: Cells, on: ObjectRef, field: str, rule: crds.RouteRule, problems: list[Problem]
) -> tuple[ir.Destination, tuple[str, ...]]:
    """The destination, and the Upstreams that it names."""
    if rule.upstreams:
        return _translate_split(cells, on, field, rule.upstreams, problems)
    if rule.shards is not None:
        return _translate_shards(cells, on, field, rule.shards, problems), ()
    if rule.redirect is not None:
        to = rule.redirect
        return ir.Redirect(
            status=to.status, scheme=to.scheme or "", host=to.host or "", port=to.port or 0, path=to.path or ""
        ), ()
    if rule.message is not None:
        return translate_message(cells, on, f"{field}.message", rule.message, problems)
    if rule.adapter is not None:
        return translate_adapter(cells, on, f"{field}.adapter", rule.adapter, problems)
    answer = rule.respond or crds.Respond()
    return ir.Respond(status=answer.status, body=answer.body, content_type=answer.content_type), ()


def _translate_split(
    cells: Cells, on: ObjectRef, field: str, shares: Sequence[crds.UpstreamShare], problems: list[Problem]
) -> tuple[ir.Destination, tuple[str, ...]]:
    weights: dict[str, int] = {}
    traits: list[Traits] = []
    sessions: dict[str, ir.Session | None] = {}
    near: dict[str, None] = {}
    for place, share in enumerate(shares):
        name = target(share, on.namespace)
        found = resolve_upstream(cells, on, f"{field}.upstreams[{place}]", name, problems)
        if not share.weight:
            continue
        weights_key = UNAVAILABLE if found is None else name
        weights[weights_key] = weights.get(weights_key, 0) + share.weight
        if found is not None:
            traits.append(found)
            sessions[name] = found.session
            if found.own_zone:
                near[name] = None
    names = tuple(name for name in weights if name != UNAVAILABLE)
    if not names:
        reason = "None of the rule's upstreams is there." if weights else "Every upstream of the rule has weight 0."
        return ir.Unavailable(reason=reason), ()
    parts = tuple((name, weight, sessions.get(name)) for name, weight in weights.items())
    return _split(parts, tuple(traits), tuple(near)), names


@lru_cache(maxsize=8192)
def _split(
    parts: tuple[tuple[str, int, ir.Session | None], ...], traits: tuple[Traits, ...], near: tuple[str, ...]
) -> ir.Split:
    """One value for all rules that send requests to the same Upstreams."""
    return ir.Split(
        shares=tuple(ir.Share(upstream=name, weight=weight, session=session) for name, weight, session in parts),
        grpc=any(found.grpc for found in traits),
        hash_on=tuple(dict.fromkeys(found.hash_on for found in traits if found.hash_on)),
        near=near,
    )


def _translate_shards(
    cells: Cells, on: ObjectRef, field: str, shards: crds.ShardDispatch, problems: list[Problem]
) -> ir.Destination:
    purposes = cells.read(PURPOSES, on.namespace)
    if shards.upstream not in purposes:
        message = f"No Shard in namespace {on.namespace} has an upstream for purpose {shards.upstream}."
        problems.append(problem(on, Reason.SHARD_NOT_FOUND, f"{field}.shards.upstream", message))
        return ir.Unavailable(reason=message)
    key = f"header:{shards.header.lower()}" if shards.header is not None else shards.key.lower()
    traits = purposes[shards.upstream]
    return ir.ShardDispatch(
        namespace=on.namespace,
        purpose=shards.upstream,
        key=key,
        grpc=traits.grpc,
        hash_on=traits.hash_on,
        session=traits.session,
    )


def _rewrite_fault(rule: crds.RouteRule) -> tuple[str, str]:
    """Where, and what; empty when nothing is wrong."""
    rewrite = rule.rewrite
    if rewrite is None:
        return "", ""
    if rewrite.template is not None:
        template = rule.matches[0].path.value
        return "rewrite.template", fault_of_template(template) or fault_of_path(template, rewrite.template)
    if rewrite.regex is None:
        return "", ""
    pattern = rewrite.regex.pattern
    fault = fault_of_regex(pattern, MAX_REWRITE_PROGRAM)
    return "rewrite.regex", fault or fault_of_substitution(pattern, rewrite.regex.substitution)


def _translate_rewrite(rewrite: crds.Rewrite, template: str) -> ir.Rewrite:
    if rewrite.template is not None:
        pattern, substitution = path_rewrite(template, rewrite.template)
        return ir.Rewrite(host=rewrite.host or "", regex_pattern=pattern, regex_substitution=substitution)
    return ir.Rewrite(
        host=rewrite.host or "",
        prefix=rewrite.replace_prefix or "",
        path=rewrite.replace_path or "",
        regex_pattern=rewrite.regex.pattern if rewrite.regex is not None else "",
        regex_substitution=rewrite.regex.substitution if rewrite.regex is not None else "",
    )


def _translate_headers(changes: crds.HeaderChanges) -> ir.HeaderChanges:
    made = ir.HeaderChanges(
        remove=tuple(name.lower() for name in changes.remove),
        set=tuple((header.name.lower(), header.value) for header in changes.set),
        add=tuple((header.name.lower(), header.value) for header in changes.add),
    )
    return _NO_CHANGES if made == _NO_CHANGES else made


def _translate_cors(cors: crds.Cors) -> ir.Cors:
    return ir.Cors(
        allow_origins=cors.allow_origins,
        allow_methods=cors.allow_methods,
        allow_headers=tuple(name.lower() for name in cors.allow_headers),
        expose_headers=tuple(name.lower() for name in cors.expose_headers),
        max_age_ms=crds.milliseconds(cors.max_age),
        allow_credentials=cors.allow_credentials,
    )


def _translate_retry(retry: crds.Retry) -> ir.Retry:
    return ir.Retry(
        attempts=retry.attempts,
        on=retry.retry_on,
        per_try_timeout_ms=crds.milliseconds(retry.per_try_timeout) if retry.per_try_timeout is not None else 0,
        backoff_ms=crds.milliseconds(retry.backoff),
        hedge=retry.hedge,
    )
