"""Documents become resources, or Invalid with the field and a sentence; nothing that JSON can say raises."""

from __future__ import annotations

import json
import math

import fastforward_crds as crds
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from support import gatewayapi
from support.documents import Document, broken_documents, document, documents

ROUTE: Document = {"edges": [{"name": "public"}], "rules": [{"upstreams": [{"name": "catalog"}]}]}
KNOWN = (
    "AuthPolicy, BackendTLSPolicy, ConfigMap, Edge, EndpointSlice, EventHook, GRPCRoute, Gateway, GatewayClass,"
    " HTTPRoute, ListenerSet, Namespace, RateLimit, ReferenceGrant, Route, Schema, Secret, Service, Shard, TCPRoute,"
    " TLSRoute, Tenant,"
    " UDPRoute, Upstream, Workload"
)
STATUS_CODE = "spec.rules[0].filters[0].requestRedirect.statusCode"
UNKNOWN = (300, 304, 305, 306, 309, 399)
KINDS = tuple(kind.name for kind in crds.KINDS)


def route(**fields: object) -> Document:
    return document("Route", {**ROUTE, **fields})


def rule(**fields: object) -> Document:
    return route(rules=[{**ROUTE["rules"][0], **fields}])


def redirecting(status: int) -> Document:
    """A route of Gateway API, whose definition lists the codes as well."""
    filters = ({"type": "RequestRedirect", "requestRedirect": {"statusCode": status}},)
    return gatewayapi.http_route("moved", gatewayapi.rule(filters=filters))


def errors(parsed: crds.Resource | crds.Invalid) -> list[tuple[str, str]]:
    assert isinstance(parsed, crds.Invalid)
    return [(error.field, error.message) for error in parsed.errors]


def nested(depth: int) -> object:
    value: object = "x"
    for _ in range(depth):
        value = [value]
    return value


def test_a_route_is_read_with_its_defaults() -> None:
    parsed = crds.parse_resource(route(hosts=["shop.example.com"]))
    assert isinstance(parsed, crds.Route)
    assert parsed.metadata.namespace == "default"
    assert parsed.spec.hosts == ("shop.example.com",)
    assert parsed.spec.rules[0].matches == (crds.Match(),)
    assert parsed.spec.rules[0].upstreams[0].weight == 1


def test_a_status_and_what_kubernetes_adds_to_metadata_are_ignored() -> None:
    plain = crds.parse_resource(route())
    added = {"uid": "u", "managedFields": [], "creationTimestamp": None}
    written = route() | {"status": {"conditions": "whatever"}, "metadata": {"name": "a", **added}}
    assert crds.parse_resource(written) == plain


@pytest.mark.parametrize(
    ("written", "field", "message"),
    [
        (None, "", "The document is not a mapping."),
        ([], "", "The document is not a mapping."),
        ({}, "kind", f"A kind is required; known are {KNOWN}."),
        ({"kind": "Rout"}, "kind", f"Kind Rout is not known; known are {KNOWN}. Did you mean Route?"),
        ({"kind": ["Route"]}, "kind", f"A kind is required; known are {KNOWN}."),
        ({"kind": "List"}, "kind", "A List is not read: write each of its items as a document of its own."),
        ({"kind": "RouteList"}, "kind", "A RouteList is not read: write each of its items as a document of its own."),
        ({"kind": "a\nb\ud800"}, "kind", f"Kind a?b? is not known; known are {KNOWN}."),
        ({"kind": "Route"}, "apiVersion", f"Route has apiVersion {crds.API_VERSION}, not none."),
        ({"kind": "Secret", "apiVersion": "v2"}, "apiVersion", "Secret has apiVersion v1, not v2."),
        (route() | {"specs": 1}, "specs", "This field is not known. Did you mean spec?"),
        (route() | {"x": 1}, "x", "This field is not known. Known here: apiVersion, kind, metadata, spec, status."),
        ({**route(), "metadata": {}}, "metadata.name", "This field is required."),
        ({**route(), "metadata": None}, "metadata", "This field is required."),
        ({**route(), "metadata": {"name": "a", "generation": -1}}, "metadata.generation", "The least allowed is 0."),
        (
            {**route(), "metadata": {"name": "a", "generation": 10**5000}},
            "metadata.generation",
            "This number is too large.",
        ),
        (
            {**route(), "metadata": {"name": "A"}},
            "metadata.name",
            (
                "'A' is not an object name: lower-case letters, digits, - and . (RFC 1123 subdomain); "
                "at most 253 characters."
            ),
        ),
        (document("Route", None), "spec", "This field is required."),
        (document("Route", "x"), "spec", "Wanted is a mapping, not a text."),
        (route(hosts="a"), "spec.hosts", "Wanted is a list, not a text."),
        (route(hosts={"a": 1}), "spec.hosts", "Wanted is a list, not a mapping."),
        (route(hosts=[None]), "spec.hosts[0]", "Wanted is a host, not nothing."),
        (route(hosts=["a", "b", "a"]), "spec.hosts[2]", "a is there already: no two may be the same in this list."),
        (route(host=["a"]), "spec.host", "This field is not known. Did you mean hosts?"),
        (
            route(x=1),
            "spec.x",
            "This field is not known. Known here: admission, edges, hosts, priority, rules.",
        ),
        (route(rules=[]), "spec.rules", "Items needed: at least 1, here are 0."),
        (route(hosts=["a"] * 65), "spec.hosts", "Items allowed: at most 64, here are 65."),
        (route(priority=11), "spec.priority", "The most allowed is 10."),
        (route(priority="1"), "spec.priority", "Wanted is a whole number, not a text."),
        (route(priority=True), "spec.priority", "Wanted is a whole number, not true or false."),
        (route(priority=1.5), "spec.priority", "Wanted is a whole number, not a fraction."),
        (route(priority=math.nan), "spec.priority", "Wanted is a whole number, not a fraction."),
        (route(priority=math.inf), "spec.priority", "Wanted is a whole number, not a fraction."),
        (
            rule(matches=[{"path": {"type": "exact"}}]),
            "spec.rules[0].matches[0].path.type",
            "'exact' is none of 'Exact', 'Prefix', 'Regex' or 'Template'.",
        ),
        (
            rule(matches=[{"path": {"type": 1}}]),
            "spec.rules[0].matches[0].path.type",
            "Wanted is 'Exact', 'Prefix', 'Regex' or 'Template', not a number.",
        ),
        (
            rule(redirect={"status": 300}),
            "spec.rules[0].redirect.status",
            "This number is none of 301, 302, 303, 307 or 308.",
        ),
        (
            rule(redirect={"status": "301"}),
            "spec.rules[0].redirect.status",
            "'301' is none of 301, 302, 303, 307 or 308.",
        ),
        *(
            (redirecting(status), STATUS_CODE, "This number is none of 301, 302, 303, 307 or 308.")
            for status in UNKNOWN
        ),
        (
            rule(matches=[{"headers": [{"name": "a"}, {"name": "b"}, {"name": "a"}]}]),
            "spec.rules[0].matches[0].headers[2].name",
            "a is there already: no two may be the same in this list.",
        ),
        (
            rule(timeout={"request": "1000h"}),
            "spec.rules[0].timeout.request",
            "A duration here is at least 0s and at most 999h.",
        ),
        (
            rule(retry={"per_try_timeout": "1s"}),
            "spec.rules[0].retry.per_try_timeout",
            "This field is not known. Did you mean perTryTimeout?",
        ),
        (
            rule(rewrite={"regex": {"pattern": "", "substitution": ""}}),
            "spec.rules[0].rewrite.regex.pattern",
            "At least 1 characters are needed.",
        ),
        (
            rule(upstreams=[], respond={"body": "x" * 4097}),
            "spec.rules[0].respond.body",
            "At most 4096 characters are allowed.",
        ),
        (
            rule(upstreams=[], respond={"body": "\ud800"}),
            "spec.rules[0].respond.body",
            "This text holds characters that are not Unicode.",
        ),
        ({**route(), "metadata": {"name": "a", "labels": {None: "b"}}}, "metadata.labels.None[key]", None),
        (rule(cors={"allowCredentials": "yes"}), "spec.rules[0].cors.allowCredentials", None),
        (rule(respond={}), "spec.rules[0]", None),
    ],
)
def test_what_is_wrong_is_told_with_its_field(written: object, field: str, message: str | None) -> None:
    told = errors(crds.parse_resource(written))
    assert field in [each for each, _ in told]
    assert message is None or (field, message) in told


def test_an_invalid_document_keeps_who_it_is() -> None:
    written = {**route(), "metadata": {"name": "books", "namespace": "shop", "generation": 7}, "spec": {}}
    parsed = crds.parse_resource(written)
    assert isinstance(parsed, crds.Invalid)
    assert (parsed.kind, parsed.namespace, parsed.name, parsed.generation) == ("Route", "shop", "books", 7)


def test_a_list_that_is_short_because_its_items_are_wrong_is_told_once() -> None:
    assert errors(crds.parse_resource(route(edges=[{"nam": "a"}]))) == [
        ("spec.edges[0].name", "This field is required."),
        ("spec.edges[0].nam", "This field is not known. Did you mean name?"),
    ]


def test_ten_errors_are_told_and_the_rest_counted() -> None:
    told = errors(crds.parse_resource(route(hosts=["A"] * 30)))
    assert len(told) == 11
    assert told[-1] == ("", "And 20 further errors.")


@pytest.mark.parametrize(
    ("written", "read"),
    [
        (route(hosts=None), route()),
        (route(priority=None), route()),
        (route(priority=3.0), route(priority=3)),
        (rule(matches=None), rule()),
        (rule(matches=[{"path": None, "methods": None}]), rule(matches=[{}])),
        (document("Tenant", None), document("Tenant", {})),
    ],
)
def test_null_is_absent_and_a_whole_float_an_integer_as_for_the_api_server(written: Document, read: Document) -> None:
    before = json.dumps(written)
    assert crds.parse_resource(written) == crds.parse_resource(read)
    assert not isinstance(crds.parse_resource(written), crds.Invalid)
    assert json.dumps(written) == before


@pytest.mark.parametrize(
    ("targets", "read"),
    [
        ([{"kind": "Edge", "name": "a"}, {"kind": "Route", "name": "b", "rule": "r"}], [("a", None), ("b", "r")]),
        (
            [{"kind": "Edge", "name": "a", "rule": "r"}, {"kind": "Route", "name": "b", "x": 1}],
            [("a", None), ("b", None)],
        ),
        (
            [
                {"kind": "Gateway", "name": "a", "sectionName": "s"},
                {"kind": "HTTPRoute", "name": "b", "group": "gateway.fastforward.dev", "sectionName": "r"},
                {"kind": "GRPCRoute", "name": "c", "rule": "r"},
            ],
            [("a", "s"), ("b", None), ("c", None)],
        ),
        ([{"kind": "Edge"}, {"kind": "Tenant", "name": "a"}, "a", None, 1], []),
        (
            [{"kind": "Route", "name": f"r{number}"} for number in range(100)],
            [(f"r{number}", None) for number in range(64)],
        ),
        ({"kind": "Edge", "name": "a"}, []),
    ],
)
def test_an_invalid_policy_keeps_what_it_aims_at_as_far_as_it_can_be_read(targets: object, read: object) -> None:
    parsed = crds.parse_resource(document("AuthPolicy", {"targets": targets, "nonsense": True}))
    assert isinstance(parsed, crds.Invalid)
    assert [(target.name, target.section) for target in parsed.targets] == read


def test_null_makes_no_unknown_field_known() -> None:
    assert errors(crds.parse_resource(route(hostz=None)))[0][0] == "spec.hostz"


@pytest.mark.parametrize("depth", [10, 1000, 100_000])
def test_deep_nesting_is_refused(depth: int) -> None:
    for written in (route(hosts=nested(depth)), route(unknown=nested(depth)), document("Route", nested(depth))):
        assert errors(crds.parse_resource(written))


@settings(deadline=None, suppress_health_check=list(HealthCheck))
@given(
    spec=st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(st.characters(exclude_categories=[])),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(exclude_categories=[])), inner),
        max_leaves=20,
    ),
    where=st.sampled_from(["spec", "metadata", "kind", "apiVersion", "data", "status", "whole", "rules", "unknown"]),
    kind=st.sampled_from(KNOWN.split(", ")),
)
def test_nothing_that_json_can_say_raises(spec: object, where: str, kind: str) -> None:
    version = next(version for version, name in crds.INPUTS if name == kind)
    whole: Document = document(kind, ROUTE) | {"apiVersion": version}
    written = spec if where == "whole" else route(rules=spec) if where == "rules" else {**whole, where: spec}
    parsed = crds.parse_resource(written)
    if isinstance(parsed, crds.Invalid):
        assert parsed.errors
        for text in (parsed.kind, parsed.name, parsed.namespace, *(part for error in errors(parsed) for part in error)):
            text.encode()


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=50, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_a_document_with_something_wrong_in_it_never_raises(kind: str, data: st.DataObject) -> None:
    parsed = crds.parse_resource(data.draw(WRITTEN[kind]))
    assert not isinstance(parsed, crds.Invalid) or all(error.message.endswith((".", "?")) for error in parsed.errors)


WRITTEN = {kind: documents(kind) | broken_documents(kind) for kind in KINDS}


@pytest.mark.parametrize("kind", KINDS)
@settings(deadline=None, max_examples=25, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_what_a_resource_says_of_itself_reads_as_the_same_resource(kind: str, data: st.DataObject) -> None:
    parsed = crds.parse_resource(data.draw(WRITTEN[kind]))
    if isinstance(parsed, crds.Invalid):
        return
    written = json.loads(json.dumps(parsed.model_dump(mode="json", by_alias=True, exclude_none=True)))
    assert crds.parse_resource(written) == parsed


def test_a_resource_made_in_code_knows_its_kind() -> None:
    for kind in crds.KINDS:
        assert kind.model.model_fields["kind"].default == kind.name


def test_what_an_invalid_document_calls_itself_is_cut_short() -> None:
    metadata = {"name": "n" * 300, "namespace": "s" * 100}
    parsed = crds.parse_resource({**route(), "kind": "K" * 100, "metadata": metadata})
    assert isinstance(parsed, crds.Invalid)
    assert (parsed.kind, parsed.namespace, parsed.name) == ("K" * 63, "s" * 63, "n" * 253)


@pytest.mark.parametrize(("generation", "kept"), [(2**63 - 1, 2**63 - 1), (2**63, 0), (-1, 0), ("7", 0)])
def test_the_generation_of_an_invalid_document_is_one_that_fits_the_wire(generation: object, kept: int) -> None:
    metadata = {"name": "a", "generation": generation}
    parsed = crds.parse_resource({**route(), "metadata": metadata, "spec": {}})
    assert isinstance(parsed, crds.Invalid)
    assert parsed.generation == kept
