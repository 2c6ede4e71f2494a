"""`ff import` says what it wrote, closes what it can't guard, and writes nothing over what is there."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from fastforward_operator.importing.traefikrule import RuleError, parse_rule
from fastforward_operator.importing.wishes import Asks
from fastforward_operator.providers.dump import dump_documents

from support.ff import ff
from support.gatewayapi import foreign, gateway, http_route, listener
from support.gatewayapi import rule as gateway_rule
from support.imports import Document, ingress, ingress_route, middleware, path, rules, run


def test_an_ingress_becomes_an_edge_a_route_and_an_upstream(tmp_path: Path) -> None:
    found, said = run(tmp_path, ingress(path("/api"), path("/one", "Exact", "other")))
    assert found["Edge"] == [{"hosts": ["a.test"], "listeners": [{"name": "http", "port": 80}]}]
    assert [rule["matches"][0]["path"] for rule in rules(found)] == [
        {"type": "Prefix", "value": "/api"},
        {"type": "Exact", "value": "/one"},
    ]
    assert found["Upstream"] == [{"service": {"name": each, "port": 80}} for each in ("web", "other")]
    assert "0 no equivalent" in said.err
    assert said.out.startswith("# From Ingress default/web.")


def test_a_certificate_makes_an_https_listener_to_which_clear_text_is_sent(tmp_path: Path) -> None:
    secured = ingress(path())
    secured["spec"]["tls"] = [{"hosts": ["a.test"], "secretName": "tls"}]
    found, _ = run(tmp_path, secured)
    listeners = {each["name"]: each for each in found["Edge"][0]["listeners"]}
    assert listeners["https"]["tls"] == {"certificates": [{"name": "tls"}]}
    by_listener = {route["edges"][0]["listener"]: route["rules"][0] for route in found["Route"]}
    assert by_listener["http"]["redirect"] == {"scheme": "https", "status": 308}
    assert by_listener["https"]["upstreams"] == [{"name": "web-80"}]


def test_groups_of_a_path_are_put_into_the_rewrite(tmp_path: Path) -> None:
    found, _ = run(
        tmp_path,
        ingress(path("/api(/|$)(.*)", "ImplementationSpecific"), rewrite_target="/$2", use_regex="true"),
    )
    (rule,) = rules(found)
    assert rule["matches"][0]["path"] == {"type": "Regex", "value": "(?i)/api(?:(/)(.*))?"}
    assert rule["rewrite"]["regex"] == {"pattern": "^(?i)/api(/|$)(.*).*$", "substitution": r"/\2"}


def test_limits_addresses_and_sizes_are_taken(tmp_path: Path) -> None:
    wanted = {"limit_rps": "5", "whitelist_source_range": "10.0.0.0/8, 192.0.2.1", "proxy_body_size": "8m"}
    found, _ = run(tmp_path, ingress(path(), **wanted))
    (limit,), (route,) = found["RateLimit"], found["Route"]
    assert limit["budget"] == {"requests": 5, "window": "1s", "burst": 25}
    assert limit["targets"] == [{"kind": "Route", "name": "web"}]
    assert route["admission"] == {"allowAddresses": ["10.0.0.0/8", "192.0.2.1"], "maxBodyBytes": 8 << 20}


@pytest.mark.parametrize(
    "annotations",
    [
        {"auth_url": "https://auth.test/check"},
        {"auth_type": "basic", "auth_secret": "users"},
        {"auth_tls_secret": "default/ca"},
        {"whitelist_source_range": "not-a-network"},
        {"backend_protocol": "HTTPS"},
        {"enable_modsecurity": "true"},
        {"configuration_snippet": "more_set_headers 'a: b';\ndeny all;\n"},
        {"configuration_snippet": 'if ($http_x = "") { return 403; }'},
        {"configuration_snippet": 'if ($http_x != "k#1") { return 403; }'},
        {"configuration_snippet": "# don't\nset $c '#'; add_header x don't; deny all; add_header y can't;"},
        {"configuration_snippet": "if ($http_x = a) { rewrite ^ /denied last; }"},
        {"configuration_snippet": "try_files /nope =403;"},
        {"configuration_snippet": "grpc_pass grpc://checker;"},
        {"server_snippet": "access_by_lua_block { check() }"},
    ],
    ids=str,
)
def test_what_is_guarded_by_something_unknown_is_closed(tmp_path: Path, annotations: dict[str, str]) -> None:
    found, said = run(tmp_path, ingress(path(), **annotations))
    (rule,) = rules(found)
    assert rule["respond"]["status"] == 403
    assert "upstreams" not in rule
    assert "answer 403" in said.err


@pytest.mark.parametrize(
    "spec",
    [
        {"basicAuth": {"secret": "users"}},
        {"forwardAuth": {"address": "https://auth"}},
        {"forwardAuth": {"address": "http://auth?a=b"}},
        {"forwardAuth": {"address": "http://auth", "tls": {"caSecret": "ca"}}},
        {"forwardAuth": {"address": "http://auth", "forwardBody": True}},
        {"forwardAuth": {"address": "http://auth", "authRequestHeaders": ["x-forwarded-for"]}},
        {"plugin": {"anything": {}}},
        {"neverHeardOf": {}},
        {"chain": {"middlewares": [{"name": "missing"}]}},
        {"headers": {"allowedHosts": ["a.test"]}},
    ],
    ids=str,
)
def test_a_middleware_that_may_guard_closes_its_rules(tmp_path: Path, spec: Document) -> None:
    route = ingress_route("Host(`a.test`)", middlewares=[{"name": "m"}])
    found, _ = run(tmp_path, route, middleware("m", **spec))
    assert [rule["respond"]["status"] for rule in rules(found)] == [403]


def test_services_that_are_asked_become_policies(tmp_path: Path) -> None:
    forward = middleware(
        "m",
        forwardAuth={
            "address": "http://auth.test:8080/verify",
            "authRequestHeaders": ["cookie"],
            "authResponseHeaders": ["x-user", "x-forwarded-user"],
        },
    )
    asked = ingress(path(), name="asked", auth_url="http://oauth2.test/check", auth_response_headers="x-user,x-email")
    found, said = run(tmp_path, ingress_route("Host(`a.test`)", middlewares=[{"name": "m"}]), forward, asked)
    of_traefik, of_nginx = (each["authorization"]["external"] for each in found["AuthPolicy"])
    assert of_traefik == {
        "upstream": {"name": "m"},
        "path": "/verify",
        "appendPath": False,
        "requestHeaders": ["cookie"],
        "answerHeaders": ["x-user"],
    }
    assert (of_nginx["upstream"], of_nginx["answerHeaders"]) == ({"name": "asked-auth"}, ["x-user", "x-email"])
    for host, port in (("auth.test", 8080), ("oauth2.test", 80)):
        assert {"dns": {"host": host, "port": port}} in found["Upstream"]
    assert all("upstreams" in rule for rule in rules(found))
    assert "x-forwarded-user belongs to the gateway" in said.err


@pytest.mark.parametrize(
    ("host", "spec"),
    [
        ("auth.iam.svc.cluster.local", {"service": {"name": "auth", "namespace": "iam", "port": 80}}),
        ("auth.shop.svc", {"service": {"name": "auth", "port": 80}}),
        ("auth", {"dns": {"host": "auth", "port": 80}}),
        ("192.0.2.1", {"endpoints": [{"address": "192.0.2.1", "port": 80}]}),
    ],
)
def test_a_service_of_the_cluster_is_found_by_its_name(host: str, spec: Document) -> None:
    assert Asks(name="auth", host=host, port=80, said={}).upstream("shop") == spec


@pytest.mark.parametrize(
    ("criterion", "key"),
    [
        ({}, []),
        ({"sourceCriterion": {"ipStrategy": {"depth": 0}}}, [{"type": "Address"}]),
        ({"sourceCriterion": {"requestHeaderName": "x-user"}}, [{"type": "Header", "header": "x-user"}]),
    ],
)
def test_requests_under_way_are_counted(tmp_path: Path, criterion: Document, key: list[Document]) -> None:
    bound = middleware("m", inFlightReq={"amount": 7, **criterion})
    found, said = run(tmp_path, ingress_route("Host(`a.test`)", middlewares=[{"name": "m"}]), bound)
    (spec,) = found["RateLimit"]
    assert (spec["key"], spec["budget"]) == ([*key, {"type": "Endpoint"}], {"requests": 7})
    assert (spec["concurrency"], spec["enforcement"]) == ({}, "Exact")
    assert "counted over all proxies" in said.err


def test_of_two_services_none_is_asked(tmp_path: Path) -> None:
    route = ingress_route("Host(`a.test`)", middlewares=[{"name": "m"}, {"name": "n"}])
    both = [middleware(name, forwardAuth={"address": "http://auth"}) for name in ("m", "n")]
    found, _ = run(tmp_path, route, *both)
    assert [rule["respond"]["status"] for rule in rules(found)] == [403]
    assert "AuthPolicy" not in found


@pytest.mark.parametrize("namespace", ["default", "traefik"])
def test_options_called_default_are_those_of_who_names_none(tmp_path: Path, namespace: str) -> None:
    route = ingress_route("Host(`a.test`)")
    route["spec"] |= {"tls": {"secretName": "tls"}, "entryPoints": ["websecure"]}
    by_entry_point = ingress_route("Host(`b.test`)", "other")
    by_entry_point["spec"]["entryPoints"] = ["websecure"]
    traefik = ingress(path(), host="c.test")
    traefik["spec"] |= {"ingressClassName": "traefik", "tls": [{"hosts": ["c.test"], "secretName": "tls"}]}
    option = middleware("default", clientAuth={"secretNames": ["ca"], "clientAuthType": "RequireAndVerifyClientCert"})
    option |= {"kind": "TLSOption", "metadata": {"name": "default", "namespace": namespace}}
    found, _ = run(tmp_path, route, by_entry_point, traefik, option)
    assert [rule["respond"]["status"] for rule in rules(found)] == [403, 403, 403]


@pytest.mark.parametrize("named", ["default-mtls@kubernetescrd", "default-missing@kubernetescrd", "own@file"])
def test_options_that_an_annotation_names_keep_callers_out(tmp_path: Path, named: str) -> None:
    guarded = ingress(path())
    guarded["metadata"]["annotations"] = {"traefik.ingress.kubernetes.io/router.tls.options": named}
    option = {**middleware("mtls", clientAuth={"secretNames": ["ca"]}), "kind": "TLSOption"}
    found, said = run(tmp_path, guarded, option)
    assert [rule["respond"]["status"] for rule in rules(found)] == [403]
    assert "answer 403" in said.err


@pytest.mark.parametrize("guard", [{"server_snippet": "deny all;"}, {"auth_tls_secret": "default/ca"}], ids=str)
def test_what_guards_a_whole_host_closes_the_other_ingresses_of_it(tmp_path: Path, guard: dict[str, str]) -> None:
    documents = [
        ingress(path("/a"), **guard),
        ingress(path("/b"), name="b"),
        ingress(path("/c"), name="c", host="c.test"),
    ]
    found, said = run(tmp_path, *documents)
    refused = {rule["matches"][0]["path"]["value"]: "respond" in rule for rule in rules(found)}
    assert refused == {"/a": True, "/b": True, "/c": False}
    assert "Ingress default/web guards the whole host" in said.err


def test_a_snippet_that_refuses_nobody_is_told_alone(tmp_path: Path) -> None:
    snippet = "# deny nobody;\nproxy_set_header X-Return 'denied; return';\nrewrite ^/a /b break;"
    found, said = run(tmp_path, ingress(path(), configuration_snippet=snippet))
    assert "upstreams" in rules(found)[0]
    assert "1 no equivalent" in said.err


def test_a_guarded_prefix_stays_one_to_the_letter(tmp_path: Path) -> None:
    guard = middleware("m", ipAllowList={"sourceRange": ["10.0.0.0/8"]})
    guarded = ingress_route("Host(`a.test`) && PathPrefix(`/admin`)", middlewares=[{"name": "m"}])
    open_ = ingress_route("Host(`a.test`) && PathPrefix(`/`)", "open")
    found, _ = run(tmp_path, guarded, guard, open_)
    admitted = next(route for route in found["Route"] if "admission" in route)
    assert [match["path"] for match in admitted["rules"][0]["matches"]] == [
        {"type": "Prefix", "value": "/admin"},
        {"type": "Regex", "value": "/admin[^/].*"},
    ]


def test_a_rule_that_no_match_can_say_is_left_out_and_told(tmp_path: Path) -> None:
    left_out = ingress_route("Host(`a.test`) && !PathPrefix(`/x`)")
    found, said = run(tmp_path, left_out, ingress_route("Host(`a.test`) && Path(`/y`)", "other"))
    assert [rule["matches"][0]["path"]["value"] for rule in rules(found)] == ["/y"]
    assert "No match can exclude a path. So nothing takes Host(`a.test`) && !PathPrefix(`/x`)." in said.err


def test_canaries_take_their_part(tmp_path: Path) -> None:
    weighted = ingress(path(to="other"), name="canary", canary="true", canary_weight="20")
    named = ingress(path(to="other"), name="named", canary="true", canary_by_header="x-new")
    found, _ = run(tmp_path, ingress(path()), weighted, named)
    split, always = sorted(rules(found), key=lambda rule: "matches" in rule)
    assert split["upstreams"] == [{"name": "web-80", "weight": 80}, {"name": "other-80", "weight": 20}]
    assert always["matches"][0]["headers"] == [{"name": "x-new", "type": "Exact", "value": "always"}]
    assert always["upstreams"] == [{"name": "other-80"}]


def test_whoever_finds_no_rule_comes_to_the_default_backend(tmp_path: Path) -> None:
    document = ingress(path("/a"))
    document["spec"]["defaultBackend"] = {"service": {"name": "other", "port": {"number": 80}}}
    found, _ = run(tmp_path, document)
    last = found["Route"][-1]
    assert "hosts" not in last
    assert last["rules"][0]["upstreams"] == [{"name": "other-80"}]


def test_copies_go_to_mirrors(tmp_path: Path) -> None:
    mirrors = [{"name": "other", "port": 80, "percent": 20}]
    spec = {"mirroring": {"name": "web", "port": 80, "mirrors": mirrors}}
    copied = {**middleware("copied"), "kind": "TraefikService", "spec": spec}
    route = ingress_route("Host(`a.test`)", services=[{"name": "copied", "kind": "TraefikService"}])
    found, _ = run(tmp_path, route, copied)
    (rule,) = rules(found)
    assert rule["upstreams"] == [{"name": "web-80"}]
    assert rule["mirrors"] == [{"name": "other-80", "percent": 20}]


def test_filters_and_policies_of_gateway_api_are_kept(tmp_path: Path) -> None:
    """A copy for a quarter, and TLS towards the Service."""
    mirror = {"backendRef": {"name": "other", "port": 80}, "fraction": {"numerator": 1, "denominator": 4}}
    one = gateway_rule(to="web", filters=({"type": "RequestMirror", "requestMirror": mirror},))
    validation = {"hostname": "web.internal", "wellKnownCACertificates": "System"}
    policy = {"targetRefs": [{"group": "", "kind": "Service", "name": "web"}], "validation": validation}
    objects = [gateway(listener(80)), http_route("web", one), foreign("BackendTLSPolicy", "web", policy)]
    found, said = run(tmp_path, *objects)
    (rule,) = rules(found)
    assert rule["upstreams"] == [{"name": "web-80-tls"}]
    assert rule["mirrors"] == [{"name": "other-80", "percent": 25}]
    assert {"service": {"name": "web", "port": 80}, "tls": {"serverName": "web.internal"}} in found["Upstream"]
    assert "0 no equivalent" in said.err


@pytest.mark.parametrize(
    "policy",
    [
        {"targetRefs": [{"group": "", "kind": "Service", "name": "web", "sectionName": "https"}]},
        {"validation": {"hostname": "web.internal", "subjectAltNames": [{"type": "URI", "uri": "spiffe://a"}]}},
    ],
    ids=["one port", "another name"],
)
def test_a_service_whose_proof_is_not_kept_gets_no_requests(tmp_path: Path, policy: Document) -> None:
    spec = {
        "targetRefs": [{"group": "", "kind": "Service", "name": "web"}],
        "validation": {"hostname": "web.internal"},
        **policy,
    }
    route = http_route("web", gateway_rule(to="web"))
    found, _ = run(tmp_path, gateway(listener(80)), route, foreign("BackendTLSPolicy", "web", spec))
    assert rules(found)[0]["respond"] == {"status": 500}


def test_files_are_written_with_a_report_and_never_over_others(tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text(yaml.safe_dump(ingress(path(), auth_url="https://x")))
    into = tmp_path / "made"
    assert ff("import", tmp_path / "in.yaml", "--into", into).code == 0
    assert {each.name for each in into.iterdir()} == {
        "edges.yaml",
        "default-ingress-web.yaml",
        "upstreams.yaml",
        "import-report.txt",
    }
    assert "no equivalent" in (into / "import-report.txt").read_text()
    again = ff("import", tmp_path / "in.yaml", "--into", into)
    assert again.code == 1
    assert "is there already" in again.err


def test_the_report_is_data_for_programs(tmp_path: Path) -> None:
    (tmp_path / "in.yaml").write_text(yaml.safe_dump(ingress(path(), auth_url="https://x")))
    found = ff("import", tmp_path / "in.yaml", "--edge", "shop/public", "-o", "json").json
    (lost,) = (each for each in found["report"] if each["verdict"] == "no equivalent")
    assert lost["object"] == "Ingress default/web"
    assert lost["field"] == "metadata.annotations.nginx.ingress.kubernetes.io/auth-url"
    assert lost["place"].startswith(f"{tmp_path / 'in.yaml'}:")
    edge = next(each for each in found["resources"] if each["kind"] == "Edge")
    assert edge["metadata"] == {"name": "public", "namespace": "shop"}
    assert edge["spec"]["routeNamespaces"] == {"from": "Selected", "names": ["default"]}


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("a: [", "in.yaml:1: Not YAML"),
        ("- a", "in.yaml:1: The document is not a mapping."),
        ("", "There are no manifests"),
        ("metadata: {name: x}", "in.yaml:1: kind: A kind is required."),
        ("kind: Ingress\nmetadata: x", "in.yaml:1: metadata: Wanted is a mapping."),
        ("kind: List\nitems: [3]", "in.yaml:1: The document is not a mapping."),
        ("host: {{ .Values.host }}", "in.yaml:1: A key has to be a word. Is this a template? Render it first"),
    ],
)
def test_what_cant_be_read_is_one_sentence(tmp_path: Path, content: str, said: str) -> None:
    (tmp_path / "in.yaml").write_text(content)
    answered = ff("import", tmp_path / "in.yaml")
    assert answered.code == 1
    assert said in answered.err


@pytest.mark.parametrize(
    ("text", "cases"),
    [
        ("Host(`a`) && Path(`/x`)", ["Host(`a`) && Path(`/x`)"]),
        ("Host(`a`) && (Path(`/x`) || Path(`/y`))", ["Host(`a`) && Path(`/x`)", "Host(`a`) && Path(`/y`)"]),
        ("!(Host(`a`) && Path(`/x`))", ["!Host(`a`)", "!Path(`/x`)"]),
        ('!!host("a")', ["Host(`a`)"]),
        ("Host(`a`, `b`)||Path(`/`)", ["Host(`a`, `b`)", "Path(`/`)"]),
    ],
)
def test_a_rule_is_cases_of_conditions(text: str, cases: list[str]) -> None:
    assert [" && ".join(map(str, case)) for case in parse_rule(text)] == cases


@pytest.mark.parametrize("text", ["", "Host(`a`", "Host(a)", "Nobody(`a`)", "Host(`a`) Path(`/`)", "Host(`a`) &&"])
def test_what_is_no_rule_is_told_with_its_place(text: str) -> None:
    with pytest.raises(RuleError, match=r"character|not known"):
        parse_rule(text)


def test_a_rule_of_too_many_cases_is_refused() -> None:
    part = "(Path(`/1`) || Path(`/2`) || Path(`/3`))"
    with pytest.raises(RuleError, match="more than 64 cases"):
        parse_rule(" && ".join([part] * 4))


def test_a_value_that_looks_like_a_number_is_quoted(tmp_path: Path) -> None:
    sets = {"type": "RequestHeaderModifier", "requestHeaderModifier": {"set": [{"name": "x-id", "value": "12345e67"}]}}
    route = http_route("web", gateway_rule(to="web", filters=(sets,)))
    (tmp_path / "in.yaml").write_text(dump_documents(gateway(listener(80)), route))
    assert "- name: x-id\n        value: '12345e67'\n" in ff("import", tmp_path / "in.yaml").out
