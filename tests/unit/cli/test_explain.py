"""`ff explain` tells the truth about a request, offline and from a running operator's snapshot, and how to mend it."""

from pathlib import Path

import pytest
import yaml
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_operator.cli.offline import load
from fastforward_operator.supervisor.development import Development
from fastforward_pipeline.trail import STAGES

from fastforward.snapshot.v1 import snapshot_pb2
from support.credentials import jwks
from support.ff import ff
from support.gatewayapi import at, gateway, gateway_class, http_route, listener, parent, rule
from support.issuer import LABEL, SECRET, login_of
from support.operator_api import operator_api
from support.repository import ROOT
from support.resources import (
    config_map,
    edge,
    exact,
    granted_to,
    on,
    policy,
    proven_by,
    route,
    secret,
    upstream,
)
from support.resources import rule as answers

BOOKSHOP = ROOT / "examples" / "bookshop"
OFFLINE = ("--from", BOOKSHOP)
ADMITTED = "the client 198.51.100.1, of country DE, and its body are admitted"


def explain(url: str, *options: str | Path, method: str = "GET") -> dict[str, object]:
    told: dict[str, object] = ff("explain", "request", method, url, "-o", "json", *(options or OFFLINE)).json
    return told


def test_an_allowed_request_names_route_upstreams_and_every_stage() -> None:
    told = explain("http://bookshop.localhost/books?limit=2")
    assert (told["verdict"], told["status"], told["route"], told["rule"]) == (
        "allowed",
        200,
        "bookshop/books",
        "browse",
    )
    stages = told["stages"]
    assert isinstance(stages, list)
    assert tuple(stage["stage"] for stage in stages) == STAGES
    assert {stage["placement"] for stage in stages} <= {"native", "inline", "none"}
    assert all(stage["why"] for stage in stages)


def test_a_request_for_one_upstream_names_it() -> None:
    told = explain("http://bookshop.localhost/books", "-H", "x-canary: always", *OFFLINE)
    assert told["upstream"] == "bookshop/catalog-v2"


def test_a_refusal_names_stage_object_and_remedy() -> None:
    told = explain("http://admin.bookshop.localhost/admin/stock")
    assert (told["verdict"], told["status"], told["reason"]) == ("refused", 401, "authentication/token-missing")
    out = ff("explain", "request", "GET", "http://admin.bookshop.localhost/admin/stock", *OFFLINE).out
    assert "refused with 401: A token is needed (authentication/token-missing)" in out
    assert "AuthPolicy bookshop/administrators spec.authentication" in out
    assert "Remedy: Send `Authorization: Bearer TOKEN`." in out


def test_a_login_is_explained_and_begins_with_no_secret(tmp_path: Path) -> None:
    documents = [
        edge(8080, hosts=["shop.example.com"]),
        upstream("login", 9),
        secret("client", {"secret": SECRET}),
        config_map("keys", {LABEL: jwks(LABEL)}),
        route("shop", {"upstreams": [{"name": "login"}]}),
        policy("staff", on("Route", "shop"), authentication=proven_by(login_of())),
    ]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents))
    told = explain("http://shop.example.com/", "-H", "accept: text/html", "--from", tmp_path)
    assert (told["status"], told["reason"]) == (302, "authentication/login-started")
    stages = told["stages"]
    assert isinstance(stages, list)
    (stage,) = [each for each in stages if each["stage"] == "authentication"]
    assert stage["placement"] == "inline"
    assert stage["why"].endswith("AuthPolicy default/staff logs browsers in.")
    (finding,) = stage["findings"]
    assert finding["detail"] == "there is no session, so the browser is sent to http://login.example.com"
    assert finding["field"] == "spec.authentication.providers[login].oidc"
    assert SECRET not in str(told)


def test_a_near_miss_says_what_did_not_match() -> None:
    out = ff("explain", "request", "GET", "http://bookshop.localhost/books", "-H", "x-canary: never", *OFFLINE).out
    rule = "Route bookshop/books rules[canary-by-header].headers[x-canary]"
    assert f"near miss: {rule}: wanted 'always', got never" in out


def test_a_rewrite_shows_what_the_upstream_sees() -> None:
    told = explain("http://dev.bookshop.localhost/echo/a?b=c", "-H", "x-debug: 1", *OFFLINE)
    seen = told["upstreamRequest"]
    assert isinstance(seen, dict)
    assert (seen["path"], seen["headers"]["x-environment"]) == ("/echo/a?b=c", "development")
    assert "x-debug" not in seen["headers"]


@pytest.mark.parametrize(
    ("path", "becomes"),
    [
        ("/call", "sent as a message"),
        ("/command", "sent as a message"),
        ("/live", "handed to an adapter"),
        ("/say", "answered here with 200"),
        ("/", "proxied"),
    ],
)
def test_what_goes_on_otherwise_than_as_a_request_is_told_so(tmp_path: Path, path: str, becomes: str) -> None:
    command = {"type": "shop.orders.ship", "delivery": "Command"}
    documents = [
        edge(8080, hosts=["shop.example.com"]),
        upstream("orders", 9, protocol="GRPC"),
        route(
            "orders",
            answers(exact("/call"), message={"type": "shop.orders.place", "upstream": {"name": "orders"}}),
            answers(exact("/command"), message=command),
            answers(exact("/live"), adapter={"protocol": "WebSocket"}),
            answers(exact("/say"), says="x"),
            answers(to="orders"),
        ),
    ]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents))
    asked = ("explain", "request", "POST", f"http://shop.example.com{path}", "--from", tmp_path)
    told = ff(*asked, "-o", "json").json
    assert (told["verdict"], told["becomes"]) == ("allowed", becomes)
    assert (told["upstreamRequest"] is not None) == (becomes == "proxied")
    out = ff(*asked).out
    assert f"allowed, {becomes}\n" in out
    assert ("it sees" in out) == (becomes == "proxied")


def test_the_snapshot_of_a_running_operator_gives_the_same_explanation() -> None:
    resources = DecisionEmitter().apply(load([BOOKSHOP]).delta).upserts
    snapshot = snapshot_pb2.SnapshotDelta(resources=resources).SerializeToString()
    with operator_api([], [], snapshot) as api:
        for url in (
            "http://bookshop.localhost/books",
            "http://bookshop.localhost/orders/1",
            "http://nowhere.localhost/",
        ):
            assert explain(url, "--api", api) == explain(url)
        live, offline = (ff("explain", "route", "bookshop/orders", *o) for o in (("--api", api), OFFLINE))
    assert live.out == offline.out


def test_credentials_of_ff_up_are_believed_offline_too(tmp_path: Path) -> None:
    development = Development(tmp_path / "dev")
    development.provide(load([BOOKSHOP]).resources)
    token = ff("token", "acme", "--state", tmp_path).out.strip()
    key = development.api_keys()["globex"]
    url, state = "http://bookshop.localhost/orders/1", ("--state", tmp_path, *OFFLINE)
    assert explain(url, "-H", f"authorization: Bearer {token}", *state)["tenant"] == "acme"
    assert explain(url, "-H", f"x-api-key: {key}", *state)["upstream"] == "bookshop/orders-us"
    assert explain(url, "-H", f"x-api-key: {key}", *OFFLINE)["reason"] == "authentication/key-unknown"


def test_a_known_api_key_is_taken_as_valid_when_the_operator_hands_out_no_hashes(tmp_path: Path) -> None:
    development = Development(tmp_path)
    development.provide(load([BOOKSHOP]).resources)
    key = development.api_keys()["globex"]
    resources = DecisionEmitter().apply(load([BOOKSHOP], tmp_path).delta).upserts
    for apikeys in (resource.apikeys for resource in resources if resource.WhichOneof("body") == "apikeys"):
        apikeys.pepper = bytes(32)
        for stored in apikeys.keys:
            stored.hash = bytes(32)
    snapshot = snapshot_pb2.SnapshotDelta(resources=resources).SerializeToString()
    url = "http://bookshop.localhost/orders/1"
    with operator_api([], [], snapshot) as api:
        said = ff("explain", "request", "GET", url, "-H", f"x-api-key: {key}", "--api", api)
        stranger = explain(url, "-H", "x-api-key: ffk_aaaaaaaaaaaa_secret", "--api", api)
    assert "tenant    globex" in said.out
    assert "is taken as valid: the operator hands out no hash" in said.err
    assert stranger["reason"] == "authentication/key-unknown"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (("GET", "bookshop.localhost/books"), "is no URL with scheme and host"),
        (("GET", "http://a/", "-H", "no colon"), "'no colon' is no header"),
        (("GET", "http://a/", "--address", "nobody"), "'nobody' is no address of a client"),
        (("GET", "http://[::1"), "'http://[::1' is no URL: Invalid IPv6 URL."),
        (("GET", "http://a:99999/"), "is no URL: Port out of range"),
        (("GET", "http://a:0/"), "is no URL with scheme and host"),
        (("GET", "http://:80/"), "is no URL with scheme and host"),
        (("GET", "http://a/b\nc"), "is no URL with scheme and host"),
        (("G T", "http://a/"), "'G T' is no method, such as GET."),
        (("", "http://a/"), "'' is no method, such as GET."),
        (("GET", "http://a/", "-H", "a b: c"), "'a b' is no name of a header"),
        (("GET", "http://a/", "-H", "x: a\nb: c"), "The value of header x has control characters"),
        (("GET", "http://a/", "-H", "content-length: -5"), "content-length '-5' is no number of bytes."),
        (("GET", "http://a/", "-H", "content-length: ²"), "content-length '²' is no number of bytes."),
    ],
    ids=lambda part: " ".join(part) if isinstance(part, tuple) else "",
)
def test_what_is_no_request_is_one_sentence(arguments: tuple[str, ...], told: str) -> None:
    said = ff("explain", "request", *arguments, *OFFLINE)
    assert said.code == 1
    assert told in said.err


def test_a_host_header_names_the_host_as_with_curl() -> None:
    told = explain("http://127.0.0.1:8080/admin/stock", "-H", "Host: admin.bookshop.localhost", *OFFLINE)
    assert told["route"] == "bookshop/admin"


def test_every_explanation_can_be_printed_as_yaml() -> None:
    said = ff("explain", "request", "GET", "http://bookshop.localhost/orders/1", "-o", "yaml", *OFFLINE)
    assert yaml.safe_load(said.out) == explain("http://bookshop.localhost/orders/1", *OFFLINE)


def test_broken_resources_are_named_as_a_likely_cause(tmp_path: Path) -> None:
    (tmp_path / "broken.yaml").write_text("a: [")
    said = ff("explain", "request", "GET", "http://a/", "--from", tmp_path)
    assert said.err == f"The resources have 1 problem, which may be why: ff validate {tmp_path}\n"


def test_a_route_tells_where_each_stage_runs_and_why() -> None:
    told = ff("explain", "route", "bookshop/orders", "-o", "json", *OFFLINE).json
    (rule,) = (rule for rule in told["rules"] if rule["rule"] == "orders")
    assert rule["hop"] is True
    assert [stage["stage"] for stage in rule["stages"]] == list(STAGES)
    admission = rule["stages"][1]
    assert admission["placement"] == "inline"
    assert "RateLimit bookshop/orders-by-tenant counts exactly" in admission["why"]
    out = ff("explain", "route", "bookshop/admin", *OFFLINE).out
    assert "rule stock: upstreams, by the proxy alone" in out
    assert "policy bookshop/administrators" in out
    assert "below /admin: place 1 of 1 on admin.bookshop.localhost for everybody" in out


def test_a_route_that_is_not_in_use_is_told_with_those_that_are() -> None:
    said = ff("explain", "route", "bookshop/none", *OFFLINE)
    assert said.code == 1
    assert "No rule of Route bookshop/none is in use" in said.err
    assert "bookshop/books" in said.err


def test_a_rule_is_told_apart_where_other_policies_hold(tmp_path: Path) -> None:
    guard = policy("inner", at("Gateway", "public", "inner"), authorization=granted_to(anybody={}))
    redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": "b.example.com"}}
    route = http_route("books", rule(filters=(redirect,), name="all"), hosts=("a.test",))
    documents = [gateway_class(), gateway(listener(80), listener(8080, "inner")), route, guard]
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump_all(documents))
    told = ff("explain", "route", "books", "--from", tmp_path, "-o", "json").json
    assert [(each["rule"], each["auth"]) for each in told["rules"]] == [("all", "default/inner"), ("all", "")]
    out = ff("explain", "route", "books", "--from", tmp_path).out
    assert "below /: place 1 of 1 on a.test at default/public:8080 for everybody\n  policy default/inner\n" in out
    assert out.count("policy ") == 1


def test_a_gateway_has_hosts_of_its_own_on_each_port(tmp_path: Path) -> None:
    listeners = [listener(80, "plain"), listener(8080, "other")]
    documents = [gateway_class(), gateway(*listeners)]
    for name in ("plain", "other"):
        redirect = {"type": "RequestRedirect", "requestRedirect": {"hostname": f"{name}.example.com"}}
        made = http_route(name, rule(filters=(redirect,)), parents=(parent(sectionName=name),))
        documents.append(made)
    for document in documents:
        document["metadata"]["namespace"] = "shop"
    documents[0]["metadata"].pop("namespace")
    (tmp_path / "gateway.yaml").write_text(yaml.safe_dump_all(documents))
    asked = {port: explain(f"http://a.test{port}/", "--from", tmp_path)["route"] for port in ("", ":80", ":8080")}
    assert asked == {"": "shop/plain", ":80": "shop/plain", ":8080": "shop/other"}


@pytest.mark.parametrize(
    ("address", "verdict", "field", "detail"),
    [
        ("192.0.2.7", "refused", "spec.admission.denyLists", "'192.0.2.7' is of list bots"),
        ("203.0.113.9", "refused", "spec.admission.allowCountries", "'203.0.113.9' is not of country DE"),
        (
            "198.51.100.1",
            "allowed",
            "spec.admission",
            "the client 198.51.100.1, of country DE, and its body are admitted",
        ),
    ],
)
def test_an_explanation_names_the_list_or_the_country(
    tmp_path: Path, address: str, verdict: str, field: str, detail: str
) -> None:
    lists = {"configMaps": [{"name": "lists", "key": "bots"}]}
    countries = {"configMaps": [{"name": "lists", "key": "a.csv"}]}
    documents = [
        edge(80, addressLists=[{"name": "bots", **lists}], countries=countries),
        config_map("lists", {"bots": "192.0.2.0/24", "a.csv": "198.51.100.0/24,DE"}),
        route("books", answers(says="x"), admission={"denyLists": ["bots"], "allowCountries": ["DE"]}),
    ]
    (tmp_path / "all.yaml").write_text(yaml.safe_dump_all(documents))
    told = explain("http://example.com/", "--address", address, "--from", tmp_path)
    assert told["verdict"] == verdict
    stages = told["stages"]
    assert isinstance(stages, list)
    findings = [each for stage in stages if stage["stage"] == "admission" for each in stage["findings"]]
    assert [(each["field"], each["detail"]) for each in findings] == [(field, detail)]
