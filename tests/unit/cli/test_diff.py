"""`ff diff` shows what a change of resources changes for requests, and nothing else."""

import copy
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.credentials import apikeys_data, jwks
from support.ff import Said, ff
from support.gatewayapi import gateway, gateway_class, http_route, listener, parent
from support.gatewayapi import rule as answers
from support.repository import ROOT
from support.resources import (
    Document,
    config_map,
    edge,
    exact,
    keys_of,
    limit,
    on,
    policy,
    prefix,
    regex,
    resource,
    route,
    rule,
    secret,
    upstream,
)

BOOKSHOP = ROOT / "examples" / "bookshop"
ACME = "AAAAAAAAAAAA"
JWT = {
    "name": "jwt",
    "jwt": {"issuer": "https://id", "audiences": ["shop"], "jwks": {"configMap": {"name": "keys", "key": "jwks"}}},
    "tenants": ["*"],
}
Edit = Callable[[dict[str, Document]], object]


def world() -> dict[str, Document]:
    documents = [
        edge(8080),
        upstream("one", 8001),
        upstream("two", 8002),
        resource("Tenant", "acme", {"flags": ["beta"], "region": "eu"}),
        config_map("keys", {"jwks": jwks("id")}),
        secret("api", apikeys_data(**{ACME: "acme"}), "gateway.fastforward.dev/api-keys"),
        route(
            "books",
            {"name": "all", **rule(prefix("/books"), to="one")},
            {"name": "say", **rule(exact("/say"), says="hello")},
            {"name": "regex", **rule(regex("/r[0-9]+/x"), to="one")},
            {"name": "new", **rule(prefix("/new", flag="beta"), to="one")},
            {
                "name": "by",
                **rule(
                    exact("/by", headers=[{"name": "x-a", "value": "1"}], query=[{"name": "q", "value": "2"}]), to="one"
                ),
            },
        ),
        policy(
            "members",
            on("Route", "books", "new"),
            authentication={"mode": "Required", "providers": [JWT]},
            authorization={"grants": [{"name": "admins", "roles": ["admin"]}]},
        ),
        limit("few", on("Route", "books", "say"), requests=5),
    ]
    return {f"{each['kind']}/{each['metadata']['name']}": copy.deepcopy(each) for each in documents}


def written(folder: Path, documents: dict[str, Document]) -> Path:
    folder.mkdir()
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents.values()))
    return folder


def rules(documents: dict[str, Document]) -> dict[str, Any]:
    return {each["name"]: each for each in documents["Route/books"]["spec"]["rules"]}


def diff(folder: Path, edit: Edit) -> Said:
    after = world()
    edit(after)
    before = written(folder / "before", world())
    assert ff("validate", before).code == 0, ff("validate", before).out
    return ff("diff", before, written(folder / "after", after), "-o", "json")


def test_the_same_is_no_difference() -> None:
    said = ff("diff", BOOKSHOP, BOOKSHOP)
    assert (said.code, said.out.split(":")[0]) == (0, "No request changes")
    assert int(said.out.split()[3]) > 50


@pytest.mark.parametrize(
    ("edit", "label", "before", "after"),
    [
        (
            lambda w: rules(w)["all"].update(upstreams=[{"name": "two"}]),
            "upstreams",
            "default/one 100%",
            "default/two 100%",
        ),
        (
            lambda w: rules(w)["all"].update(upstreams=[{"name": "one"}, {"name": "two", "weight": 3}]),
            "upstreams",
            "default/one 100%",
            "default/one 25%, default/two 75%",
        ),
        (
            lambda w: rules(w)["say"]["respond"].update(status=201),
            "verdict",
            "answered here with 200",
            "answered here with 201",
        ),
        (lambda w: rules(w)["say"]["respond"].update(body="bye"), "answer", "hello", "bye"),
        (
            lambda w: rules(w)["all"].update(rewrite={"replacePrefix": "/b"}),
            "upstream sees",
            "GET /books, host example.com",
            "GET /b, host example.com",
        ),
        (
            lambda w: rules(w)["all"].update(requestHeaders={"set": [{"name": "x-new", "value": "1"}]}),
            "upstream gets x-new",
            "",
            "1",
        ),
        (
            lambda w: rules(w)["all"].update(responseHeaders={"set": [{"name": "x-new", "value": "1"}]}),
            "answer has x-new",
            "",
            "1",
        ),
        (lambda w: rules(w)["all"].update(timeout={"request": "3s"}), "timeout", "", "3000"),
        (lambda w: rules(w)["all"].update(retry={"attempts": 3}), "retry", "", "attempts=3"),
        (lambda w: rules(w)["all"].update(mirrors=[{"name": "two"}]), "mirrors", "", "upstream=default/two"),
        (lambda w: rules(w)["all"].update(fault={"abort": {}}), "fault", "", "abort_status=503"),
        (
            lambda w: w["Upstream/one"]["spec"].update(connectTimeout="3s"),
            "upstream default/one connect timeout",
            "2000",
            "3000",
        ),
        (
            lambda w: rules(w)["regex"]["matches"][0]["path"].update(value="/s[0-9]+/x"),
            "rule",
            "default/books#regex",
            "",
        ),
        (
            lambda w: rules(w)["by"]["matches"][0]["headers"][0].update(value="2"),
            "rule",
            "default/books#by",
            "",
        ),
        (
            lambda w: w["AuthPolicy/members"]["spec"]["authorization"]["grants"][0].update(roles=["root"]),
            "verdict",
            "proxied",
            "refused with 403",
        ),
        (
            lambda w: w["AuthPolicy/members"]["spec"]["authentication"]["providers"][0]["jwt"].update(audiences=["x"]),
            "verdict",
            "proxied",
            "refused with 403 (authentication/audience-not-allowed)",
        ),
        (lambda w: w["Tenant/acme"]["spec"].update(flags=[]), "rule", "default/books#new", ""),
        (
            lambda w: w["RateLimit/few"]["spec"]["budget"].update(requests=6),
            "limits",
            "default/few of 5",
            "default/few of 6",
        ),
        (
            lambda w: w.pop("Route/books") and w.pop("AuthPolicy/members") and w.pop("RateLimit/few"),
            "rule",
            "default/books#all",
            "",
        ),
        (lambda w: w["Edge/public"]["spec"].update(hosts=["other.org"]), "verdict", "proxied", "refused with 404"),
    ],
)
def test_a_change_is_shown_by_a_request_that_it_changes(
    tmp_path: Path, edit: Edit, label: str, before: str, after: str
) -> None:
    said = diff(tmp_path, edit)
    assert said.code == 1
    seen = [(each["before"].get(label, ""), each["after"].get(label, "")) for each in said.json["differences"]]
    assert any(old.startswith(before) and new.startswith(after) and old != new for old, new in seen), seen


def test_a_new_rule_takes_requests_from_an_old_one(tmp_path: Path) -> None:
    def edit(documents: dict[str, Document]) -> None:
        documents["Route/more"] = route("more", {"name": "one", **rule(exact("/books/1"), to="two")})

    (found,) = diff(tmp_path, edit).json["differences"]
    assert found["request"]["url"].endswith("/books/1")
    assert (found["before"]["rule"], found["after"]["rule"]) == ("default/books#all", "default/more#one")


def test_an_api_key_is_tried_where_one_is_asked_for(tmp_path: Path) -> None:
    def edit(documents: dict[str, Document]) -> None:
        documents["AuthPolicy/members"]["spec"]["authentication"]["providers"] = [keys_of("api")]

    found = diff(tmp_path, edit).json["differences"]
    seen = {
        (each["before"].get("verdict"), each["after"].get("verdict")) for each in found if "apiKey" in each["request"]
    }
    assert seen, found


def test_people_are_told_what_changes_and_how_often(tmp_path: Path) -> None:
    after = world()
    rules(after)["all"]["upstreams"] = [{"name": "two"}]
    said = ff("diff", written(tmp_path / "a", world()), written(tmp_path / "b", after))
    assert said.code == 1
    assert "GET http://any.example.com/books   (3 more like it)" in said.out
    assert "    upstreams " in said.out
    assert "default/one 100% -> default/two 100%" in said.out


@pytest.mark.parametrize(
    ("label", "before", "after"),
    [
        ("message", {"type": "shop.ship", "delivery": "Command"}, {"type": "shop.send", "delivery": "Command"}),
        ("message", {"type": "shop.a", "upstream": {"name": "one"}}, {"type": "shop.b", "upstream": {"name": "one"}}),
        ("adapter", {"protocol": "WebSocket"}, {"protocol": "WebSocket", "host": "b.test"}),
    ],
)
def test_what_becomes_of_messages_and_connections_is_compared(
    tmp_path: Path, label: str, before: Document, after: Document
) -> None:
    def folder(name: str, destination: Document) -> Path:
        documents = [edge(80), upstream("one", 9, protocol="GRPC"), route("r", {label: destination})]
        return written(tmp_path / name, {str(place): each for place, each in enumerate(documents)})

    said = ff("diff", folder("a", before), folder("b", after), "-o", "json")
    assert said.code == 1
    assert {label in each["before"] and label in each["after"] for each in said.json["differences"]} == {True}


def two_edges() -> dict[str, Document]:
    """Of one host, which the second has by a wildcard; only the first asks who it is."""
    to_second = [{"name": "back"}]
    documents = [
        edge(8080, hosts=["a.test"]),
        edge(8082, name="back", hosts=["*.test"]),
        upstream("one", 8001),
        upstream("two", 8002),
        resource("Tenant", "acme", {}),
        config_map("keys", {"jwks": jwks("id")}),
        route("front", {"name": "all", **rule(to="one")}, hosts="a.test"),
        route("behind", {"name": "all", **rule(to="one")}, hosts="a.test", edges=to_second),
        policy("members", on("Route", "front"), authentication={"mode": "Required", "providers": [JWT]}),
    ]
    return {f"{each['kind']}/{each['metadata']['name']}": copy.deepcopy(each) for each in documents}


@pytest.mark.parametrize(("name", "at"), [("front", "Edge default/public"), ("behind", "Edge default/back")])
def test_of_two_edges_with_one_host_each_is_asked(tmp_path: Path, name: str, at: str) -> None:
    after = two_edges()
    after[f"Route/{name}"]["spec"]["rules"][0]["upstreams"] = [{"name": "two"}]
    folders = written(tmp_path / "a", two_edges()), written(tmp_path / "b", after)
    (found,) = ff("diff", *folders, "-o", "json").json["differences"]
    assert (found["at"], "token" in found["request"]) == (at, name == "front")
    assert (found["before"]["upstreams"], found["after"]["upstreams"]) == ("default/one 100%", "default/two 100%")
    said = ff("diff", *folders)
    assert said.code == 1
    assert f"   at {at}\n" in said.out or f"   at {at}   by a token" in said.out


def test_an_edge_of_another_name_is_asked_by_what_it_has(tmp_path: Path) -> None:
    before, after = world(), world()
    after["Edge/public"]["metadata"]["name"] = "other"
    after["Route/books"]["spec"]["edges"] = [{"name": "other"}]
    said = ff("diff", written(tmp_path / "a", before), written(tmp_path / "b", after))
    assert said.out.startswith("No request changes: "), said.out


def test_each_port_of_a_gateway_is_asked(tmp_path: Path) -> None:
    def folder(name: str, host: str) -> Path:
        def to(host: str) -> Document:
            return answers(filters=({"type": "RequestRedirect", "requestRedirect": {"hostname": host}},))

        documents = [
            gateway_class(),
            gateway(listener(80, "plain"), listener(8080, "other")),
            http_route("plain", to("plain.example.com"), hosts=("a.test",), parents=(parent(sectionName="plain"),)),
            http_route("other", to(host), hosts=("a.test",), parents=(parent(sectionName="other"),)),
        ]
        return written(tmp_path / name, {str(place): each for place, each in enumerate(documents)})

    said = ff("diff", folder("a", "one.example.com"), folder("b", "two.example.com"))
    assert said.code == 1
    assert "GET http://a.test:8080/   at Gateway default/public, port 8080" in said.out


def test_two_directories_are_needed_or_a_cluster() -> None:
    said = ff("diff", BOOKSHOP)
    assert said.code == 2
    assert "Name two directories" in said.err
