"""The map has every host, every tenant's rules in order of precedence, and says in words where each of them leads."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import fastforward_crds as crds
import pytest
import yaml
from fastforward_compiler.compile import Compiler
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.cli.offline import load
from fastforward_operator.page.routemap import present_map, tag_of
from fastforward_operator.presentation import Resources, hosts_of
from fastforward_operator.xds import wire
from fastforward_operator.xds.store import SHARED, SNAPSHOT, Entry

from fastforward.snapshot.v1 import snapshot_pb2
from support.credentials import tls_data
from support.gatewayapi import gateway, gateway_class, http_route, listener, parent, tls_listener
from support.gatewayapi import rule as answers
from support.resources import Document, edge, exact, prefix, regex, resource, route, rule, secret, upstream

HOST = "shop.example.com"
REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"hostname": "b.example.com"}}


def published(*documents: Document) -> Resources:
    objects = []
    for document in documents:
        made = crds.parse_resource({**document, "metadata": {"namespace": "shop", **document["metadata"]}})
        assert isinstance(made, crds.Resource), made
        objects.append(made)
    changes = {ObjectRef(kind=o.kind, namespace=o.metadata.namespace, name=o.metadata.name): o for o in objects}
    return entries(DecisionEmitter().apply(Compiler().apply(changes, {})).upserts)


def entries(resources: Iterable[snapshot_pb2.Resource]) -> Resources:
    made = {each.name: Entry(each.version, wire.snapshot_entry(each.SerializeToString()), 1) for each in resources}
    return {SHARED: {SNAPSHOT: made}}


def rules(*made: Document, protocol: str = "HTTP1") -> list[dict[str, Any]]:
    """Of everybody, on the host."""
    upstreams = (upstream(name, 1, protocol=protocol) for name in ("books", "new"))
    hosts = present_map(published(edge(80), *upstreams, route("r", *made, hosts=HOST)))["hosts"]
    (found,) = [host for host in hosts if host["host"] == HOST]
    return next(each["rules"] for each in found["tenants"] if not each["tenant"])


def test_hosts_come_by_name_and_those_without_a_rule_too() -> None:
    told = present_map(published(edge(80), route("r", rule(says="x"), hosts=HOST)))
    hosts = {host["host"]: [tenant["tenant"] for tenant in host["tenants"]] for host in told["hosts"]}
    assert list(hosts) == sorted(hosts)
    assert hosts[HOST] == [""]
    assert {host["edge"] for host in told["hosts"]} == {"shop/public"}


def test_rules_come_in_order_of_precedence_with_their_conditions() -> None:
    header = {"name": "X-A", "type": "Prefix", "value": "v"}
    query = {"name": "q", "type": "Present"}
    found = rules(
        rule(prefix("/"), to="books"),
        rule(regex("/x[0-9]+"), to="books"),
        rule(prefix("/a", methods=["GET", "POST"], headers=[header], query=[query]), to="books"),
        rule(exact("/a"), to="books"),
    )
    matches = [each["match"] for each in found]
    assert matches[0] == "any method exactly /a"
    assert "GET POST below /a, header x-a^=v, query q" in matches
    assert matches[-1] == "any method below /"


@pytest.mark.parametrize(
    ("destination", "words"),
    [
        ({"respond": {"status": 418, "body": "x"}}, "answered here with 418"),
        ({"redirect": {"scheme": "https", "status": 308}}, "redirect 308 to https://the same host"),
        ({"upstreams": [{"name": "missing"}]}, ""),
    ],
)
def test_where_a_rule_leads_is_said_in_words(destination: Document, words: str) -> None:
    (found,) = rules(rule(**destination))
    assert found["leads"].startswith(words)


def test_upstreams_have_their_shares() -> None:
    (found,) = rules(rule(upstreams=[{"name": "books", "weight": 9}, {"name": "new", "weight": 1}]))
    assert found["upstreams"] == [{"upstream": "shop/books", "share": 0.9}, {"upstream": "shop/new", "share": 0.1}]


def test_a_message_to_several_leads_to_each_of_them() -> None:
    parts = [{"name": "books", "as": "a"}, {"name": "new", "as": "b"}]
    (found,) = rules(rule(message={"type": "shop.orders.place", "gather": {"upstreams": parts}}), protocol="GRPC")
    assert found["leads"] == "message shop.orders.place, to each at once,"
    assert found["upstreams"] == [{"upstream": "shop/books", "share": 1.0}, {"upstream": "shop/new", "share": 1.0}]


def examples(folder: Path, *documents: Document) -> dict[str, dict[str, str] | None]:
    """By Route and rule."""
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents))
    hosts = present_map(entries(DecisionEmitter().apply(load([folder]).delta).upserts))["hosts"]
    found = [each for host in hosts for tenant in host["tenants"] for each in tenant["rules"]]
    return {f"{each['route']} {each['rule']}": each["example"] for each in found}


def test_an_example_meets_all_that_the_rule_asks(tmp_path: Path) -> None:
    value = {"name": "X-A", "type": "Prefix", "value": "v"}
    queries = [{"name": "q", "type": "Present"}, {"name": "r", "type": "Exact", "value": "a%20b"}]
    asks = exact("/a", methods=["POST"], headers=[value], query=queries, apiVersion="2")
    found = examples(tmp_path, edge(8080), route("r", {"name": "one", **rule(asks, says="x")}, hosts=HOST))
    assert found["default/r one"] == {
        "method": "POST",
        "scheme": "http",
        "host": f"{HOST}:8080",
        "path": "/a?q=any&r=a%20b",
        "headers": "x-a: v\nx-api-version: 2",
        "listener": "",
    }


@pytest.mark.parametrize(
    ("match", "host"),
    [
        (regex("/x[0-9]+"), HOST),
        (prefix("/", headers=[{"name": "x-a", "type": "Regex", "value": "v+"}]), HOST),
        (prefix("/", query=[{"name": "q", "type": "Regex", "value": "v+"}]), HOST),
        (prefix("/"), "*.example.com"),
    ],
)
def test_of_what_has_no_text_of_its_own_there_is_no_example(tmp_path: Path, match: Document, host: str) -> None:
    assert examples(tmp_path, edge(80), route("r", {"name": "one", **rule(match, says="x")}, hosts=host)) == {
        "default/r one": None
    }


def test_an_example_comes_in_where_its_rule_holds(tmp_path: Path) -> None:
    """The listener that it names, or else one with TLS."""
    at_http = [{"name": "public", "listener": "http"}]
    secure = {
        "name": "https",
        "port": 8443,
        "protocol": "HTTPS",
        "tls": {"certificates": [{"name": "development-tls"}]},
    }
    found = examples(
        tmp_path,
        edge(80, listeners=[{"name": "http", "port": 80}, secure]),
        route("plain", {"name": "one", **rule(says="x")}, hosts=HOST, edges=at_http),
        route("both", {"name": "one", **rule(exact("/b"), says="x")}, hosts=HOST),
    )
    said = {name: (each["scheme"], each["host"], each["listener"]) for name, each in found.items() if each is not None}
    assert said == {
        "default/plain one": ("http", HOST, "http"),
        "default/both one": ("https", f"{HOST}:8443", ""),
    }


def test_an_example_names_the_port_of_a_gateway(tmp_path: Path) -> None:
    found = examples(
        tmp_path,
        gateway_class(),
        gateway(listener(80), tls_listener(443, "own"), tls_listener(8443, "own", name="more")),
        *(
            http_route(name, answers(filters=(REDIRECT,)), hosts=(HOST,), parents=(parent(sectionName=name),))
            for name in ("http", "https", "more")
        ),
        secret("own", tls_data(HOST), "kubernetes.io/tls"),
    )
    said = {name.split()[0]: (each["scheme"], each["host"]) for name, each in found.items() if each is not None}
    assert said == {
        "default/http": ("http", HOST),
        "default/https": ("https", HOST),
        "default/more": ("https", f"{HOST}:8443"),
    }


def test_the_tag_changes_with_the_rules_and_with_nothing_else() -> None:
    world = (edge(80), resource("Tenant", "acme", {}), route("r", rule(says="x"), hosts=HOST))
    tag = tag_of(published(*world))
    assert tag_of(published(*world, resource("Tenant", "other", {}))) == tag
    assert tag_of(published(*world, route("s", rule(prefix("/s"), says="x"), hosts=HOST))) != tag


def test_hosts_are_those_that_an_object_names() -> None:
    made = crds.parse_resource({**route("r", rule(says="x"), hosts=("a.example.com", "b.example.com"))})
    assert isinstance(made, crds.Resource)
    assert hosts_of(crds.pack(made)) == ["a.example.com", "b.example.com"]
    assert hosts_of(None) == []
