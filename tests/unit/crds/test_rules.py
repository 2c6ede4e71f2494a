"""Every rule: a document that keeps it, one that breaks it, and what is said then. In Python and in CEL alike."""

from __future__ import annotations

from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache

import fastforward_crds as crds
import pytest
from cel import cel  # the engine: the package's own __init__.py may be that of xds-protos
from fastforward_crds.generate.schema import Schema, structural_schema
from fastforward_crds.meta import Model, Rule
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from support.documents import Document, broken, values

UP = {"upstreams": [{"name": "u"}]}
JWT = {"issuer": "i", "jwks": {"url": "https://i/keys"}}
EDGE = {"kind": "Edge", "name": "e"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One rule, by its model and message, with documents of that model."""

    model: type[Model]
    message: str
    field: str
    kept: tuple[Document, ...]
    broken: tuple[Document, ...]

    def __str__(self) -> str:
        return f"{self.model.__name__}: {self.message}"


def case(model: type[Model], message: str, field: str, *, kept: list[Document], broken: list[Document]) -> Case:
    return Case(model=model, message=message, field=field, kept=tuple(kept), broken=tuple(broken))


CASES = (
    case(
        crds.PolicyTarget,
        "Only a Route has rules to aim at.",
        "rule",
        kept=[{"kind": "Route", "name": "a", "rule": "r"}, EDGE],
        broken=[{**EDGE, "rule": "r"}],
    ),
    case(
        crds.Listener,
        "HTTPS needs tls; HTTP has none.",
        "tls",
        kept=[
            {"name": "a", "port": 1},
            {"name": "a", "port": 1, "protocol": "HTTPS", "tls": {"certificates": [{"name": "c"}]}},
        ],
        broken=[
            {"name": "a", "port": 1, "protocol": "HTTPS"},
            {"name": "a", "port": 1, "tls": {"certificates": [{"name": "c"}]}},
        ],
    ),
    case(
        crds.RouteNamespaces,
        "Names go with from: Selected, and only with it.",
        "names",
        kept=[{}, {"from": "Selected", "names": ["a"]}, {"from": "All", "names": []}],
        broken=[{"from": "Selected"}, {"from": "Selected", "names": []}, {"names": ["a"]}],
    ),
    case(
        crds.TrustedHops,
        "A tenant header needs addresses to trust.",
        "addresses",
        kept=[{}, {"addresses": ["10.0.0.0/8"]}, {"tenantHeader": "t", "addresses": ["10.0.0.0/8"]}],
        broken=[{"tenantHeader": "t"}, {"tenantHeader": "t", "addresses": []}],
    ),
    case(
        crds.PathMatch,
        "A path starts with / and has no spaces.",
        "value",
        kept=[{}, {"value": "/a"}, {"type": "Regex", "value": "a b"}],
        broken=[{"value": "a"}, {"value": "/a b"}, {"value": "/ä"}, {"type": "Exact", "value": "/a\n"}],
    ),
    case(
        crds.PathMatch,
        "A path has neither query nor fragment.",
        "value",
        kept=[{"value": "/a"}, {"type": "Regex", "value": "/a?"}],
        broken=[{"value": "/a?b"}, {"type": "Exact", "value": "/a#b"}],
    ),
    case(
        crds.PathMatch,
        "A regular expression has at most 512 characters.",
        "value",
        kept=[{"type": "Regex", "value": "a" * 512}, {"value": "/" + "a" * 600}],
        broken=[{"type": "Regex", "value": "a" * 513}],
    ),
    case(
        crds.TextMatch,
        "This type needs a value.",
        "value",
        kept=[{"name": "a"}, {"name": "a", "type": "Present"}, {"name": "a", "type": "Regex", "value": "b"}],
        broken=[{"name": "a", "type": "Regex"}, {"name": "a", "type": "Prefix", "value": ""}],
    ),
    case(
        crds.TextMatch,
        "A regular expression has at most 512 characters.",
        "value",
        kept=[{"name": "a", "type": "Regex", "value": "a" * 512}, {"name": "a", "value": "a" * 513}],
        broken=[{"name": "a", "type": "Regex", "value": "a" * 513}],
    ),
    case(
        crds.HeaderValue,
        "This header belongs to the gateway.",
        "name",
        kept=[{"name": name, "value": ""} for name in ("hosts", "x-ff", "x-forwarded-for", "my-x-ff-a")],
        broken=[{"name": name, "value": ""} for name in ("Host", "CONNECTION", "x-FF-tenant", "x-envoy-a")],
    ),
    case(
        crds.HeaderChanges,
        "These headers belong to the gateway.",
        "remove",
        kept=[{}, {"remove": []}, {"remove": ["cookie"]}],
        broken=[{"remove": ["cookie", "Content-Length"]}, {"remove": ["transfer-encoding"]}],
    ),
    case(
        crds.Rewrite,
        "Only one way to rewrite the path.",
        "",
        kept=[{}, {"replacePath": "/a", "host": "a"}, {"regex": {"pattern": "a", "substitution": ""}}],
        broken=[
            {"replacePath": "/a", "replacePrefix": "/b"},
            {"replacePath": "/a", "regex": {"pattern": "a", "substitution": "b"}},
        ],
    ),
    case(
        crds.Cors,
        "Credentials can't be granted to every origin.",
        "allowCredentials",
        kept=[{"allowOrigins": ["*"]}, {"allowOrigins": ["https://*.a"], "allowCredentials": True}],
        broken=[{"allowOrigins": ["https://a", "*"], "allowCredentials": True}],
    ),
    case(
        crds.ShardDispatch,
        "A header goes with key: Header, and only with it.",
        "header",
        kept=[{"upstream": "a"}, {"upstream": "a", "key": "Header", "header": "h"}],
        broken=[{"upstream": "a", "header": "h"}, {"upstream": "a", "key": "Header"}],
    ),
    case(
        crds.RouteRule,
        "A rule has exactly one destination: upstreams, shards, redirect or respond.",
        "",
        kept=[UP, {"respond": {}}, {"redirect": {}, "upstreams": []}, {"shards": {"upstream": "a"}}],
        broken=[{}, {"upstreams": []}, {**UP, "respond": {}}, {"respond": {}, "redirect": {}}],
    ),
    case(
        crds.RouteRule,
        "A rewrite needs an upstream.",
        "rewrite",
        kept=[{**UP, "rewrite": {}}, {"shards": {"upstream": "a"}, "rewrite": {"host": "b"}}],
        broken=[{"respond": {}, "rewrite": {}}, {"redirect": {}, "upstreams": [], "rewrite": {"host": "b"}}],
    ),
    case(
        crds.RouteRule,
        "A timeout needs an upstream.",
        "timeout",
        kept=[{**UP, "timeout": {"request": "1s"}}, {"shards": {"upstream": "a"}, "timeout": {}}, {"respond": {}}],
        broken=[{"respond": {}, "timeout": {"idle": "1s"}}, {"redirect": {}, "timeout": {}}],
    ),
    case(
        crds.RouteRule,
        "Changes to request headers need an upstream.",
        "requestHeaders",
        kept=[{**UP, "requestHeaders": {"remove": ["a"]}}, {"shards": {"upstream": "a"}, "requestHeaders": {}}],
        broken=[{"respond": {}, "requestHeaders": {"remove": ["a"]}}],
    ),
    case(
        crds.RouteRule,
        "Cross-origin rules need an upstream: the proxy applies them to no answer of its own.",
        "cors",
        kept=[{**UP, "cors": {"allowOrigins": ["*"]}}, {"shards": {"upstream": "a"}, "cors": {"allowOrigins": ["*"]}}],
        broken=[{"respond": {}, "cors": {"allowOrigins": ["*"]}}, {"redirect": {}, "cors": {"allowOrigins": ["*"]}}],
    ),
    case(
        crds.RouteRule,
        "A retry needs an upstream.",
        "retry",
        kept=[{**UP, "retry": {}}, {"shards": {"upstream": "a"}, "retry": {}}],
        broken=[{"respond": {}, "retry": {}}],
    ),
    case(
        crds.RouteRule,
        "replacePrefix needs every match to be a Prefix.",
        "rewrite.replacePrefix",
        kept=[{**UP, "rewrite": {"replacePrefix": "/b"}}, {**UP, "matches": [{"path": {"type": "Exact"}}]}],
        broken=[{**UP, "rewrite": {"replacePrefix": "/b"}, "matches": [{}, {"path": {"type": "Exact"}}]}],
    ),
    case(
        crds.RouteSpec,
        "Rule names are unique.",
        "rules",
        kept=[{"edges": [{"name": "e"}], "rules": [UP, UP, {**UP, "name": "a"}, {**UP, "name": "b"}]}],
        broken=[{"edges": [{"name": "e"}], "rules": [{**UP, "name": "a"}, UP, {**UP, "name": "a"}]}],
    ),
    case(
        crds.HashOn,
        "Hash on exactly one thing.",
        "",
        kept=[{"header": "a"}, {"cookie": "a", "address": False}, {"address": True}],
        broken=[{}, {"address": False}, {"header": "a", "cookie": "a"}, {"cookie": "a", "address": True}],
    ),
    case(
        crds.LoadBalancing,
        "hashOn goes with RingHash, and only with it.",
        "hashOn",
        kept=[{}, {"policy": "RingHash", "hashOn": {"address": True}}],
        broken=[{"policy": "RingHash"}, {"hashOn": {"address": True}}],
    ),
    case(
        crds.UpstreamSpec,
        "An upstream has exactly one of endpoints, dns and service.",
        "endpoints",
        kept=[
            {"endpoints": [{"address": "::1", "port": 1}]},
            {"endpoints": [], "dns": {"host": "a", "port": 1}},
            {"service": {"name": "a", "port": 1}},
        ],
        broken=[
            {},
            {"endpoints": []},
            {"endpoints": [{"address": "::1", "port": 1}], "dns": {"host": "a", "port": 1}},
            {"dns": {"host": "a", "port": 1}, "service": {"name": "a", "port": 1}},
        ],
    ),
    case(
        crds.ServiceRef,
        "A port has either a number or a name.",
        "port",
        kept=[{"name": "a", "port": 1}, {"name": "a", "portName": "http"}],
        broken=[{"name": "a"}, {"name": "a", "port": 1, "portName": "http"}],
    ),
    case(
        crds.KeyPart,
        "A header goes with type: Header, and only with it.",
        "header",
        kept=[{"type": "Header", "header": "h"}, {"type": "Tenant"}],
        broken=[{"type": "Header"}, {"type": "Tenant", "header": "h"}],
    ),
    case(
        crds.RateLimitSpec,
        "Plans need Tenant in the key.",
        "plans",
        kept=[
            {"targets": [EDGE], "budget": {"requests": 1}, "plans": []},
            {
                "targets": [EDGE],
                "budget": {"requests": 1},
                "plans": [{"plan": "a", "requests": 1}],
                "key": [{"type": "Address"}, {"type": "Tenant"}],
            },
        ],
        broken=[
            {"targets": [EDGE], "budget": {"requests": 1}, "plans": [{"plan": "a", "requests": 1}]},
            {
                "targets": [EDGE],
                "budget": {"requests": 1},
                "plans": [{"plan": "a", "requests": 1}],
                "key": [{"type": "Address"}],
            },
        ],
    ),
    case(
        crds.JwksSource,
        "Exactly one source of keys.",
        "",
        kept=[{"url": "http://a"}, {"secret": {"name": "a", "key": "b"}}],
        broken=[{}, {"url": "http://a", "configMap": {"name": "a", "key": "b"}}],
    ),
    case(
        crds.Provider,
        "A provider is either jwt or apiKey.",
        "",
        kept=[{"name": "a", "jwt": JWT}, {"name": "a", "apiKey": {"secrets": [{"name": "s"}]}}],
        broken=[{"name": "a"}, {"name": "a", "jwt": JWT, "apiKey": {"secrets": [{"name": "s"}]}}],
    ),
    case(
        crds.Authentication,
        "Providers are needed, except with mode None.",
        "providers",
        kept=[{"mode": "None"}, {"mode": "None", "providers": []}, {"providers": [{"name": "a", "jwt": JWT}]}],
        broken=[{}, {"mode": "Optional", "providers": []}, {"mode": "None", "providers": [{"name": "a", "jwt": JWT}]}],
    ),
    case(
        crds.AuthPolicySpec,
        "A policy says something about authentication or authorization.",
        "",
        kept=[{"targets": [EDGE], "authentication": {"mode": "None"}}],
        broken=[{"targets": [EDGE]}],
    ),
)


def models(base: type[Model] = Model) -> Iterator[type[Model]]:
    for model in base.__subclasses__():
        if model.__module__.startswith(crds.__name__):
            yield model
            yield from models(model)


SCHEMAS = {model: structural_schema(model) for model in models()}
RULED = sorted({model for model in models() if model.rules_cel}, key=lambda model: model.__name__)


@contextmanager
def without_rules() -> Generator[None, None, None]:
    """Models that keep no rule, so that one can be asked what it says of a document that breaks it."""
    with pytest.MonkeyPatch.context() as patch:
        for model in RULED:
            patch.setattr(model, "rules_cel", ())
        yield


def with_defaults(value: object, schema: Schema) -> object:
    """The value as the API server hands it to CEL: without null, and with defaults filled in, down to the leaves."""
    if isinstance(value, dict):
        known = schema["properties"]
        filled = {name: inner["default"] for name, inner in known.items() if "default" in inner}
        filled |= {name: inner for name, inner in value.items() if inner is not None}
        return {name: with_defaults(inner, known[name]) for name, inner in filled.items()}
    return [with_defaults(item, schema["items"]) for item in value] if isinstance(value, list) else value


def verdicts(model: type[Model], rules: tuple[Rule, ...], document: Document) -> list[tuple[str, bool, object]]:
    """What Python and what CEL say of each rule; raises ValidationError where the document does not fit the schema."""
    with without_rules():
        instance = model.model_validate(document, by_alias=True, by_name=False)
    seen = with_defaults(document, SCHEMAS[model])
    return [(rule.message, rule.holds(instance), cel.evaluate(rule.expression, {"self": seen})) for rule in rules]


@cache
def written(model: type[Model]) -> st.SearchStrategy[Document]:
    """Mappings that users may write for the model, most of them sound."""
    sound = values(SCHEMAS[model])
    return sound | broken(sound)


def rule_of(case: Case) -> Rule:
    return next(rule for rule in case.model.rules_cel if rule.message == case.message)


def test_every_rule_has_a_case_and_every_case_a_rule() -> None:
    rules = {(model.__name__, rule.message, rule.field) for model in RULED for rule in model.rules_cel}
    # A model that adds no rules to those of its base shares them.
    assert rules == {(each.model.__name__, each.message, each.field) for each in CASES}


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_document_that_keeps_the_rule_is_accepted(case: Case) -> None:
    for document in case.kept:
        case.model.model_validate(document, by_alias=True, by_name=False)
        assert [said for said in verdicts(case.model, (rule_of(case),), document) if said[1:] != (True, True)] == []


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_document_that_breaks_the_rule_is_refused_with_its_message(case: Case) -> None:
    for document in case.broken:
        with pytest.raises(ValidationError) as refused:
            case.model.model_validate(document, by_alias=True, by_name=False)
        assert refused.value.errors()[0]["msg"] == f"Value error, {case.field}\x1f{case.message}"
        assert verdicts(case.model, (rule_of(case),), document) == [(case.message, False, False)]


@pytest.mark.parametrize("model", RULED, ids=lambda model: model.__name__)
@settings(deadline=None, max_examples=40, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_python_and_cel_agree_on_every_rule(model: type[Model], data: st.DataObject) -> None:
    document = data.draw(written(model))
    try:
        said = verdicts(model, model.rules_cel, document)
    except ValidationError:
        assume(False)
        raise
    assert [each for each in said if each[1] is not each[2]] == []
