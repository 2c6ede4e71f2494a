"""A listener that is named is there, and tells which of two Edges with one host is asked."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from fastforward_operator.cli.listener import come_in
from fastforward_operator.cli.simulation import RequestError, make_request
from fastforward_pipeline import Snapshot

from fastforward.snapshot.v1 import snapshot_pb2 as pb
from support.ff import Said, ff
from support.gatewayapi import gateway, gateway_class, http_route, listener, parent
from support.gatewayapi import rule as answers
from support.resources import Document, edge, resource, route, rule

TWO = [{"name": "outer", "port": 8080}, {"name": "inner", "port": 8081}]
REDIRECT = {"type": "RequestRedirect", "requestRedirect": {"hostname": "b.example.com"}}


def explain(folder: Path, documents: list[Document], *options: str, url: str = "http://a.test/") -> Said:
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents))
    return ff("explain", "request", "GET", url, *options, "--from", folder)


def two_edges() -> list[Document]:
    """The same host at both, by a wildcard at the second."""
    return [
        edge(80, hosts=["a.test"], listeners=TWO),
        edge(81, name="back", hosts=["*.test", "c.example"], listeners=[{"name": "behind", "port": 8082}]),
        route("front", rule(says="front"), hosts="a.test"),
        route("back", rule(says="back"), hosts="*.test", edges=[{"name": "back"}]),
    ]


def test_a_listener_that_no_edge_has_is_refused_with_those_that_are_there(tmp_path: Path) -> None:
    said = explain(tmp_path, two_edges(), "--listener", "outr")
    assert (said.code, said.out) == (1, "")
    assert said.err == (
        "--listener 'outr': no Edge or Gateway with routes has a listener of this name in use. There are behind of "
        "Edge default/back; inner, outer of Edge default/public. Name one of these, or none.\n"
    )


@pytest.mark.parametrize(("name", "taken"), [("outer", "front"), ("inner", "front"), ("behind", "back")])
def test_the_listener_says_which_edge_is_asked(tmp_path: Path, name: str, taken: str) -> None:
    told = explain(tmp_path, two_edges(), "--listener", name, "-o", "json").json
    assert told["route"] == f"default/{taken}"


def test_an_edge_without_the_host_answers_as_it_does_to_strangers(tmp_path: Path) -> None:
    told = explain(tmp_path, two_edges(), "--listener", "outer", "-o", "json", url="http://b.test/").json
    assert told["reason"] == "routing/no-route"
    assert "Edge default/public" in {each["object"] for stage in told["stages"] for each in stage["findings"]}


def test_only_requests_come_in_by_a_listener_that_is_explained(tmp_path: Path) -> None:
    """One in want of a certificate is not in use."""
    secure = {"name": "secure", "port": 8443, "protocol": "HTTPS", "tls": {"certificates": [{"name": "none"}]}}
    documents = [edge(80, hosts=["a.test"], listeners=[TWO[0], secure]), route("front", rule(says="x"), hosts="a.test")]
    said = explain(tmp_path, documents, "--listener", "secure")
    assert said.code == 1
    assert "There are outer of Edge default/public. " in said.err


def test_of_a_gateway_names_and_those_of_its_logs_are_known(tmp_path: Path) -> None:
    documents = [
        gateway_class(),
        gateway(listener(80, "plain"), listener(8080, "other")),
        *(
            http_route(name, answers(filters=(REDIRECT,)), parents=(parent(sectionName=name),))
            for name in ("plain", "other")
        ),
    ]
    for name, taken in (("plain", "plain"), ("other", "other"), ("port-8080", "other")):
        assert explain(tmp_path, documents, "--listener", name, "-o", "json").json["route"] == f"default/{taken}"
    said = explain(tmp_path, documents, "--listener", "none")
    assert "There are plain, other of Gateway default/public. " in said.err


def test_of_two_with_the_name_the_port_tells(tmp_path: Path) -> None:
    documents = [
        gateway_class(),
        *(gateway(listener(port, "http"), name=name) for name, port in (("one", 80), ("two", 8080))),
        *(http_route(name, answers(filters=(REDIRECT,)), parents=(parent(name),)) for name in ("one", "two")),
    ]
    for url, taken in (("http://a.test/", "one"), ("http://a.test:8080/", "two")):
        assert explain(tmp_path, documents, "--listener", "http", "-o", "json", url=url).json["route"] == (
            f"default/{taken}"
        )


SECURE = {"name": "https", "port": 443, "protocol": "HTTPS", "tls": {"certificates": [{"name": "development-tls"}]}}


def bound(*listeners: Document) -> list[Document]:
    """An Edge whose rules differ by listener, as an imported Ingress with TLS has it."""
    by = {name: [{"name": "public", "listener": name}] for name in ("http", "https")}
    return [
        edge(80, hosts=["a.test"], listeners=[{"name": "http", "port": 80}, *listeners]),
        route("plain", rule(redirect={"scheme": "https", "status": 308}), hosts="a.test", edges=by["http"]),
        route("secure", rule(says="x"), hosts="a.test", edges=by["https"]),
    ]


@pytest.mark.parametrize(
    ("url", "taken"),
    [("http://a.test/", "plain"), ("https://a.test/", "secure"), ("https://a.test:8443/", "secure")],
)
def test_scheme_and_port_tell_the_listener(tmp_path: Path, url: str, taken: str) -> None:
    assert explain(tmp_path, bound(SECURE), "-o", "json", url=url).json["route"] == f"default/{taken}"


def test_of_two_listeners_of_a_scheme_the_port_tells(tmp_path: Path) -> None:
    documents = bound({"name": "https", "port": 8080})
    for url, taken in (("http://a.test/", "plain"), ("http://a.test:8080/", "secure")):
        assert explain(tmp_path, documents, "-o", "json", url=url).json["route"] == f"default/{taken}"


@pytest.mark.parametrize(
    ("url", "fits"),
    [("http://a.test:1/", "http, port 1, fits several"), ("https://a.test/", "https, port 443, fits none")],
)
def test_where_they_do_not_tell_a_listener_has_to_be_named(tmp_path: Path, url: str, fits: str) -> None:
    said = explain(tmp_path, bound({"name": "https", "port": 8080}), url=url)
    assert (said.code, said.out) == (1, "")
    assert said.err.endswith(
        f"--listener is wanted: rules for a.test hold at one listener of Edge default/public only, and {fits} of them. "
        "There are http (http, port 80), https (http, port 8080). Name one.\n"
    )


def same_host() -> list[Document]:
    """Each Edge has a Route for the host, and both call their listener the same."""
    return [
        edge(8080, hosts=["a.test"]),
        edge(8082, name="back", hosts=["*.test"]),
        route("front", rule(says="front"), hosts="a.test"),
        route("behind", rule(says="behind"), hosts="a.test", edges=[{"name": "back"}]),
    ]


@pytest.mark.parametrize("options", [(), ("--listener", "http")], ids=["no listener", "listener"])
@pytest.mark.parametrize(
    ("url", "taken"),
    [("http://a.test:8080/", "front"), ("http://a.test:8082/", "behind"), ("http://127.0.0.1:8080/", "front")],
)
def test_of_two_edges_with_one_host_the_port_tells(
    tmp_path: Path, url: str, taken: str, options: tuple[str, ...]
) -> None:
    given = ("-H", "host: a.test", *options, "-o", "json")
    assert explain(tmp_path, same_host(), *given, url=url).json["route"] == f"default/{taken}"


@pytest.mark.parametrize(("url", "taken"), [("http://a.test/", "front"), ("https://a.test/", "behind")])
def test_of_two_edges_the_scheme_tells_where_no_port_fits(tmp_path: Path, url: str, taken: str) -> None:
    front, back, *routes = same_host()
    # By name it would be the other way round.
    back["spec"]["listeners"] = [{**SECURE, "port": 8443}]
    assert explain(tmp_path, [front, back, *routes], "-o", "json", url=url).json["route"] == f"default/{taken}"


def test_a_port_in_clear_text_is_none_for_tls(tmp_path: Path) -> None:
    front, *others = same_host()
    front["spec"]["listeners"] = [SECURE]
    told = explain(tmp_path, [front, *others], "-o", "json", url="https://a.test:8082/").json
    assert told["route"] == "default/front"


def test_the_port_is_that_of_the_url_whatever_a_host_header_says(tmp_path: Path) -> None:
    documents = [
        gateway_class(),
        gateway(listener(80, "plain"), listener(8443, "other")),
        *(
            http_route(name, answers(filters=(REDIRECT,)), parents=(parent(sectionName=name),))
            for name in ("plain", "other")
        ),
    ]
    for host in ("shop.example.com", "shop.example.com:80"):
        given = ("-H", f"host: {host}", "-o", "json")
        told = explain(tmp_path, documents, *given, url="http://127.0.0.1:8443/").json
        assert told["route"] == "default/other"


def test_no_listener_is_wanted_where_no_rule_asks(tmp_path: Path) -> None:
    documents = [edge(80, hosts=["a.test"], listeners=TWO), route("front", rule(says="x"), hosts="a.test")]
    for url in ("http://a.test/", "https://a.test/"):
        assert explain(tmp_path, documents, "-o", "json", url=url).json["route"] == "default/front"


def test_a_route_test_comes_in_by_its_url(tmp_path: Path) -> None:
    """Also for the token that it is sent with."""
    issuer = {
        "issuer": "https://id.test",
        "audiences": ["a"],
        "jwks": {"configMap": {"name": "development-jwks", "key": "k"}},
    }
    policy = resource(
        "AuthPolicy",
        "users",
        {
            "targets": [{"kind": "Route", "name": "secure"}],
            "authentication": {"providers": [{"name": "id", "jwt": issuer}]},
        },
    )
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all([*bound(SECURE), policy]))
    cases = [
        {"name": "plain", "request": {"url": "http://a.test/"}, "expect": {"status": 308}},
        {
            "name": "secure",
            "request": {"url": "https://a.test/", "token": {"sub": "jo"}},
            "expect": {"status": 200, "route": "default/secure"},
        },
        {"name": "anonymous", "request": {"url": "https://a.test/"}, "expect": {"status": 401}},
    ]
    (tmp_path / "some.test.yaml").write_text(yaml.safe_dump({"tests": cases}))
    said = ff("test", tmp_path)
    assert said.out.endswith("3 tests, none failed.\n"), said.out + said.err


def test_of_many_edges_some_are_told() -> None:
    scopes = [
        pb.Resource(name=f"scope/shop/e{number}|*", scope=pb.Scope(edge=f"shop/e{number}", host="*", listeners=["x"]))
        for number in range(10)
    ]
    request = make_request("GET", "http://a.test/", (), address="127.0.0.1", listener="y")
    with pytest.raises(RequestError, match=r"x of Edge shop/e7; those of 2 more\. Name") as raised:
        come_in(Snapshot.empty().apply(scopes), request, "listener")
    assert "e8" not in str(raised.value)


def test_an_operator_that_tells_of_none_is_believed() -> None:
    older = pb.Resource(name="scope/shop/e|*", scope=pb.Scope(edge="shop/e", host="*"))
    request = make_request("GET", "http://a.test/", (), address="127.0.0.1", listener="y")
    assert come_in(Snapshot.empty().apply([older]), request, "listener") is request


def test_a_route_test_names_a_listener_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(two_edges()))
    request = {"url": "http://a.test/", "listener": "behind"}
    cases = [
        {"name": "there", "request": request, "expect": {"route": "default/back"}},
        {"name": "not there", "request": {**request, "listener": "nowhere"}, "expect": {"status": 200}},
    ]
    (tmp_path / "some.test.yaml").write_text(yaml.safe_dump({"tests": cases}))
    said = ff("test", tmp_path)
    assert said.code == 1
    assert "request: listener 'nowhere': no Edge or Gateway with routes has a listener of this name" in said.out
    assert "2 tests, 1 failed." in said.out
