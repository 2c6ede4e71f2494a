"""What `ff get`, `ff status` and completion tell of objects of a cluster is what the operator's API tells of them.

kubectl is a script here, which lists what the test wants.
"""

from __future__ import annotations

import json
import os
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from fastforward_compiler import ir
from fastforward_compiler.problem import ObjectRef
from fastforward_crds import gatewayapi
from fastforward_operator.cli.told import described
from fastforward_operator.kubernetes.client import JUDGED, api_version
from fastforward_operator.kubernetes.payload import payload
from fastforward_operator.objectstatus import Condition, ObjectStatus
from fastforward_operator.presentation import present

from support.ff import Said, ff, ff_process

THEN = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
CREATED = "2026-01-01T00:00:00Z"
KUBECTL = """\
#!/bin/sh
for asked; do :; done
asked=${asked##*/}
asked=${asked%%\\?*}
case "$(cat FOLDER/forbidden)" in *" $asked "*) echo "Error (Forbidden): $asked" >&2; exit 1 ;; esac
[ -f FOLDER/$asked.json ] && exec cat FOLDER/$asked.json
echo '{"items": []}'
"""
THEIRS = "example.com/other"
BRIEF = ("GatewayClass", "BackendTLSPolicy")
"""Kinds whose statuses do not tell all conditions."""
Json = dict[str, Any]


def judged(kind: str, *more: tuple[str, str, str, str], name: str = "x", accepted: str = "True") -> ObjectStatus:
    """What an operator says of an object; `more` are further conditions."""
    good = accepted == "True"
    said = (
        *more,
        ("Accepted", accepted, "Accepted" if good else "NoMatchingParent", "" if good else "No listener."),
        ("ResolvedRefs", "True", "ResolvedRefs", ""),
        ("Programmed", accepted, "Programmed" if good else "NoMatchingParent", "" if good else "No listener."),
    )
    conditions = tuple(
        Condition(type=kind_, status=status, reason=reason, message=message, observed_generation=3, since=THEN)
        for kind_, status, reason, message in said
    )
    verdicts = tuple(
        ir.Verdict(type=each.type, holds=each.status == "True", reason=each.reason, message=each.message)
        for each in conditions
        if each.type in ("Accepted", "ResolvedRefs")
    )
    place = (("group", gatewayapi.GROUP), ("kind", "Gateway"), ("name", "public"))
    return ObjectStatus(
        ref=ObjectRef(kind=kind, namespace="" if kind == "GatewayClass" else "shop", name=name),
        generation=3,
        source=None,
        conditions=conditions,
        problems=(),
        effective=(),
        parts=(ir.Part(place=place, verdicts=verdicts, serves=good),) if kind.endswith(("Route", "Policy")) else (),
    )


def document(status: ObjectStatus, spec: Json | None = None, there: Json | None = None) -> Json:
    """The object with its status written."""
    ref = status.ref
    space = {"namespace": ref.namespace} if ref.namespace else {}
    return {
        "apiVersion": api_version(ref.kind),
        "kind": ref.kind,
        "metadata": {"name": ref.name, **space, "generation": 3, "creationTimestamp": CREATED},
        "spec": spec or {},
        "status": payload(status, (2, 2), there or {}, THEN),
    }


def essence(told: Json) -> tuple[Any, ...]:
    """What the API and a status tell alike: only files have lines, and the API tells milliseconds."""
    conditions = [(each["type"], each["status"], each["reason"], each["message"]) for each in told["conditions"]]
    return (*(told[name] for name in ("kind", "namespace", "name", "generation")), conditions)


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a file for each list, PLURAL.json, and one that names what may not be listed."""
    script = tmp_path / "kubectl"
    script.write_text(KUBECTL.replace("FOLDER", str(tmp_path)))
    script.chmod(0o755)
    (tmp_path / "forbidden").write_text("")
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FF_CONTEXT", ".")
    return tmp_path


def put(cluster: Path, **lists: list[Json]) -> None:
    for plural, items in lists.items():
        (cluster / f"{plural}.json").write_text(json.dumps({"items": items}))


def names(said: Said) -> list[str]:
    return [f"{each['kind']} {each['namespace']}/{each['name']}" for each in said.json["objects"]]


def of_class(name: str, of: str) -> Json:
    return document(judged("Gateway", name=name), {"gatewayClassName": of})


def attached(name: str, to: str) -> Json:
    return document(judged("ListenerSet", name=name), {"parentRef": {"name": to}})


CLASSES = [
    document(judged("GatewayClass", name="ours"), {"controllerName": gatewayapi.CONTROLLER}),
    document(judged("GatewayClass", name="theirs"), {"controllerName": THEIRS}),
]
GATEWAYS = [of_class("public", "ours"), of_class("elsewhere", "theirs"), of_class("nowhere", "gone")]
FOREIGN = {"metadata": {"name": "foreign", "namespace": "shop", "creationTimestamp": CREATED}, "status": {}}


@pytest.mark.parametrize("kind", [kind for kind in JUDGED if kind not in BRIEF])
@pytest.mark.parametrize("accepted", ["True", "False"])
def test_a_status_tells_what_the_operator_tells(kind: str, accepted: str) -> None:
    status = judged(kind, accepted=accepted)
    told, seen = present(status, (2, 2), None), described(document(status))
    assert essence(seen) == essence(told)
    if accepted == "True":
        assert seen["proxies"] == told["proxies"]


@pytest.mark.parametrize("kind", ["Edge", "Workload", "Gateway"])
def test_conditions_that_only_some_objects_have_are_told_first(kind: str) -> None:
    status = judged(kind, ("PodsApplied", "False", "ApplyFailed", "quota"), ("PodsReady", "False", "PodsNotReady", "1"))
    assert essence(described(document(status))) == essence(present(status, (2, 2), None))


@pytest.mark.parametrize("kind", BRIEF)
def test_what_a_status_has_no_place_for_follows_from_the_rest(kind: str) -> None:
    good = described(document(judged(kind)))["conditions"]
    assert [each["reason"] for each in good] == ["Accepted", "ResolvedRefs", "Programmed"]
    refused = described(document(judged(kind, accepted="False")))["conditions"][-1]
    assert (refused["type"], refused["status"], refused["reason"]) == ("Programmed", "False", "NoMatchingParent")
    assert refused["message"] == "It is not told apart from Accepted."


def test_of_several_parents_the_worst_counts_and_those_of_others_do_not() -> None:
    good, bad = judged("HTTPRoute").parts[0], judged("HTTPRoute", accepted="False").parts[0]
    also = replace(bad, verdicts=tuple(replace(each, message="Not allowed.") for each in bad.verdicts[:1]))
    status = replace(judged("HTTPRoute"), parts=(good, bad, also))
    seen = {each["type"]: each for each in described(document(status))["conditions"]}
    assert (seen["Accepted"]["status"], seen["Accepted"]["message"]) == ("False", "No listener. Not allowed.")
    assert seen["ResolvedRefs"]["status"] == "True"
    theirs = {"controllerName": THEIRS, "parentRef": {"name": "a"}, "conditions": [{"type": "Accepted"}]}
    seen = described(document(judged("HTTPRoute"), there={"parents": [theirs]}))
    assert [each["status"] for each in seen["conditions"]] == ["True"] * 3


def test_what_nobody_has_said_anything_of_waits_since_it_is_there() -> None:
    default = {"type": "Accepted", "status": "Unknown", "reason": "Pending", "message": "Waiting for controller"}
    conditions = [{**default, "lastTransitionTime": "1970-01-01T00:00:00Z"}]
    for status in ({}, {"conditions": conditions}):
        found = described({**of_class("new", "ours"), "status": status})
        assert {each["status"] for each in found["conditions"]} == {"Unknown"}
        assert {each["lastTransitionTime"] for each in found["conditions"]} == {CREATED}
        assert {each["observedGeneration"] for each in found["conditions"]} == {0}
        assert found["proxies"] == {"ready": 0, "total": 0}


def test_objects_of_gateway_api_are_told_where_they_are_ours(cluster: Path) -> None:
    put(
        cluster,
        gatewayclasses=CLASSES,
        gateways=GATEWAYS,
        listenersets=[attached("more", "public"), attached("other", "elsewhere")],
        httproutes=[document(judged("HTTPRoute", name="books")), FOREIGN],
        backendtlspolicies=[document(judged("BackendTLSPolicy", name="tls")), FOREIGN],
    )
    assert names(ff("get", "-o", "json")) == [
        "GatewayClass /ours",
        "Gateway shop/public",
        "ListenerSet shop/more",
        "HTTPRoute shop/books",
        "BackendTLSPolicy shop/tls",
    ]
    assert names(ff("get", "lset", "-n", "shop", "-o", "json")) == ["ListenerSet shop/more"]
    assert "GatewayClass" not in ff("get", "-n", "shop").out
    assert "proxies      2 of 2 have it" in ff("get", "httproutes", "shop/books").out
    assert "5 of 5 objects are programmed; none with problems." in ff("status").out


def test_a_route_of_gateway_api_that_is_not_accepted_makes_status_fail(cluster: Path) -> None:
    put(cluster, httproutes=[document(judged("HTTPRoute", name="books", accepted="False"))])
    said = ff("status")
    assert said.code == 1
    assert "  HTTPRoute shop/books: Accepted False NoMatchingParent: No listener." in said.out


def test_pods_that_cannot_be_made_anew_make_status_fail_while_the_old_ones_serve(cluster: Path) -> None:
    put(cluster, edges=[document(judged("Edge", ("PodsApplied", "False", "ApplyFailed", "The quota is used up.")))])
    said = ff("status")
    assert (said.code, "  Edge shop/x: PodsApplied False ApplyFailed: The quota is used up." in said.out) == (1, True)


def test_what_may_not_be_listed_is_told_once(cluster: Path) -> None:
    put(cluster, gateways=GATEWAYS)
    (cluster / "forbidden").write_text(" gatewayclasses ")
    said = ff("status")
    assert (said.code, said.err.count("gatewayclasses")) == (0, 1)


def test_routes_of_gateway_api_are_completed(cluster: Path) -> None:
    put(cluster, httproutes=[document(judged("HTTPRoute", name="books"))])
    asked = {"COMP_WORDS": "ff\nexplain\nroute\nshop/", "COMP_CWORD": "3", "_FF_COMPLETE": "complete_bash"}
    assert ff_process(**asked).out.split() == ["shop/books"]
