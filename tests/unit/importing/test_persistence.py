"""Sessions of Gateway API are kept by Upstreams of ours, under the same names, or it is told that they are not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from fastforward_compiler import ir
from fastforward_operator.cli.offline import load
from fastforward_operator.importing import Verdict, import_files

from support.gatewayapi import backend, foreign, gateway, gateway_class, http_route, listener, path, rule
from support.resources import endpoint_slice, service

Document = dict[str, Any]
FIELD = "spec.rules[0].sessionPersistence"


def imported(folder: Path, *documents: Document) -> tuple[dict[str, Document], dict[str, Verdict]]:
    """Specs of Upstreams by name, and verdicts on fields that are not simply taken."""
    (folder / "in.yaml").write_text(yaml.safe_dump_all(documents))
    made = import_files([folder / "in.yaml"])
    upstreams = [each.document for each in made.written if each.document["kind"] == "Upstream"]
    told = {note.field: note.verdict for note in made.notes if note.verdict in (Verdict.CHANGED, Verdict.LOST)}
    return {each["metadata"]["name"]: each["spec"] for each in upstreams}, told


def affinity(folder: Path, said: Document) -> tuple[Document, dict[str, Verdict]]:
    kept = rule(path("/shop/a"), path("/shop/b", "Exact"), to="web", sessionPersistence=said)
    upstreams, told = imported(folder, gateway(listener(80)), http_route("web", kept))
    (spec,) = upstreams.values()
    short = {name.removeprefix(FIELD).removeprefix("."): verdict for name, verdict in told.items()}
    return spec.get("sessionAffinity", {}), short


PERMANENT = {"lifetimeType": "Permanent"}
LOST, CHANGED = Verdict.LOST, Verdict.CHANGED


@pytest.mark.parametrize(
    ("said", "expected", "told"),
    [
        ({"sessionName": "sid"}, {"cookie": {"name": "sid", "path": "/shop"}}, {}),
        (
            {"sessionName": "sid", "cookieConfig": PERMANENT, "absoluteTimeout": "1h"},
            {"cookie": {"name": "sid", "path": "/shop", "maxAge": "1h"}},
            {"absoluteTimeout": CHANGED},
        ),
        (
            {"sessionName": "sid", "cookieConfig": PERMANENT, "idleTimeout": "30m"},
            {"cookie": {"name": "sid", "path": "/shop", "maxAge": "30m"}},
            {},
        ),
        (
            {"sessionName": "sid", "idleTimeout": "30m", "absoluteTimeout": "9h"},
            {"cookie": {"name": "sid", "path": "/shop", "maxAge": "30m"}},
            {"idleTimeout": CHANGED, "absoluteTimeout": LOST},
        ),
        (
            {"sessionName": "sid", "absoluteTimeout": "9h"},
            {"cookie": {"name": "sid", "path": "/shop"}},
            {"absoluteTimeout": LOST},
        ),
        (
            {"sessionName": "sid", "cookieConfig": PERMANENT},
            {"cookie": {"name": "sid", "path": "/shop"}},
            {"cookieConfig.lifetimeType": LOST},
        ),
        (
            {"sessionName": "sid", "cookieConfig": PERMANENT, "idleTimeout": "10ms"},
            {"cookie": {"name": "sid", "path": "/shop"}},
            {"idleTimeout": LOST, "cookieConfig.lifetimeType": LOST},
        ),
        ({"sessionName": "x-sid", "type": "Header"}, {"header": "x-sid"}, {}),
        (
            {"sessionName": "X-Sid", "type": "Header", "absoluteTimeout": "1h", "cookieConfig": PERMANENT},
            {"header": "x-sid"},
            {"absoluteTimeout": LOST, "cookieConfig": LOST},
        ),
        ({"sessionName": "sid", "type": "Header"}, {}, {"sessionName": LOST}),
        ({"type": "Magic"}, {}, {"type": LOST}),
    ],
)
def test_a_session_is_kept_or_it_is_told(
    tmp_path: Path, said: Document, expected: Document, told: dict[str, Verdict]
) -> None:
    assert affinity(tmp_path, said) == (expected, told)


def test_a_cookie_whose_name_can_be_none_gets_another(tmp_path: Path) -> None:
    found, told = affinity(tmp_path, {"sessionName": "a b"})
    assert found["cookie"]["name"].startswith("session-")
    assert told == {"sessionName": CHANGED}


@pytest.mark.parametrize("said", [{}, {"type": "Header"}, {"sessionName": "sid"}], ids=["cookie", "header", "name"])
def test_it_has_the_name_and_the_path_that_it_has_where_it_stands(tmp_path: Path, said: Document) -> None:
    kept = rule(path("/shop/a"), path("/shop/b"), to="web", name="kept", sessionPersistence=said)
    theirs = [gateway(listener(80)), http_route("web", kept)]
    services = [
        service("web", {"port": 80}),
        endpoint_slice("web", {"addresses": ["127.0.0.1"]}, ports=({"port": 80},)),
    ]
    (tmp_path / "in.yaml").write_text(yaml.safe_dump_all(theirs))
    made = [each.document for each in import_files([tmp_path / "in.yaml"]).written]
    sessions = []
    for name, documents in (("native", [gateway_class(), *theirs]), ("imported", made)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "all.yaml").write_text(yaml.safe_dump_all([*documents, *services]))
        offline = load([tmp_path / name])
        assert [str(found) for found in offline.findings()] == []
        splits = [
            entry.destination
            for table in offline.delta.tables.upserts
            for entry in table.entries
            if isinstance(entry.destination, ir.Split)
        ]
        found = {share.session for split in splits for share in split.shares}
        assert None not in found
        sessions.append(
            {(each.cookie, each.header, each.path, each.max_age_s, each.same_site) for each in found if each}
        )
    assert sessions[0] == sessions[1]


def test_only_the_rule_that_keeps_clients_has_such_an_upstream(tmp_path: Path) -> None:
    kept = rule(path("/kept"), to="web", sessionPersistence={"sessionName": "sid"})
    upstreams, told = imported(tmp_path, gateway(listener(80)), http_route("web", kept, rule(to="web")))
    assert {name: "sessionAffinity" in spec for name, spec in upstreams.items()} == {
        "web-80-session": True,
        "web-80": False,
    }
    assert told == {}


def test_an_upstream_keeps_clients_as_it_says_itself(tmp_path: Path) -> None:
    to = [backend("web", group="gateway.fastforward.dev", kind="Upstream")]
    kept = rule(backendRefs=to, sessionPersistence={"sessionName": "sid"})
    upstreams, told = imported(tmp_path, gateway(listener(80)), http_route("web", kept))
    assert upstreams == {}
    assert told == {"spec.rules[0].backendRefs[0].kind": CHANGED}


def test_sessions_of_calls_are_kept_as_well(tmp_path: Path) -> None:
    spec = {
        "parentRefs": [{"name": "public"}],
        "rules": [{"backendRefs": [backend("web")], "sessionPersistence": {"type": "Header", "sessionName": "x-sid"}}],
    }
    upstreams, told = imported(tmp_path, gateway(listener(80)), foreign("GRPCRoute", "calls", spec))
    assert upstreams["web-80-grpc-session"]["sessionAffinity"] == {"header": "x-sid"}
    assert told == {}


def traffic(**spec: object) -> Document:
    made = foreign(
        "XBackendTrafficPolicy", "web", {"targetRefs": [{"group": "", "kind": "Service", "name": "web"}], **spec}
    )
    return {**made, "apiVersion": "gateway.networking.x-k8s.io/v1alpha1"}


def test_a_policy_of_the_service_says_it_unless_the_rule_does(tmp_path: Path) -> None:
    policy = traffic(sessionPersistence={"sessionName": "whole"}, retryConstraint={"budget": {"percent": 0}})
    kept = rule(path("/kept"), to="web", sessionPersistence={"sessionName": "sid"})
    route = http_route("web", kept, rule(to="web"))
    upstreams, told = imported(tmp_path, gateway(listener(80)), route, policy)
    named = {name: spec["sessionAffinity"]["cookie"]["name"] for name, spec in upstreams.items()}
    assert named == {"web-80-session": "sid", "web-80": "whole"}
    assert {spec["retryBudget"]["percent"] for spec in upstreams.values()} == {1}
    assert told == {"spec.retryConstraint.budget.percent": CHANGED}


def test_the_older_kind_says_the_same(tmp_path: Path) -> None:
    policy = {**traffic(sessionPersistence={"sessionName": "whole"}), "kind": "BackendLBPolicy"}
    policy["apiVersion"] = "gateway.networking.k8s.io/v1alpha2"
    upstreams, _ = imported(tmp_path, gateway(listener(80)), http_route("web", rule(to="web")), policy)
    assert upstreams["web-80"]["sessionAffinity"] == {"cookie": {"name": "whole"}}


def test_a_kind_of_gateway_api_that_nobody_knows_is_told(tmp_path: Path) -> None:
    mesh = {
        "apiVersion": "gateway.networking.x-k8s.io/v1alpha1",
        "kind": "XMesh",
        "metadata": {"name": "m"},
        "spec": {},
    }
    assert imported(tmp_path, mesh)[1] == {"": LOST}
