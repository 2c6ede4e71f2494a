"""Routes of Gateway API do the same whether they stand as they are or are imported: generated worlds and requests.

Both are compiled and asked by the evaluator. Compared is what a client and a backend would see.
"""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import urljoin

import pytest
import yaml
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_operator.cli.offline import load
from fastforward_operator.cli.simulation import Judged, judge, make_request
from fastforward_operator.importing import import_files
from fastforward_pipeline import Snapshot, TokenBuckets

from differential.generate import METHODS, PARAMETERS, REGEXES, SEGMENTS, VALUES
from support.gatewayapi import foreign, gateway, gateway_class, listener, parent
from support.resources import endpoint_slice, service

WORLDS, REQUESTS = 40, 120
HOSTS = ("a.test", "b.test", "*.wild.test", "x.wild.test")
ASKED = ("a.test", "b.test", "x.wild.test", "deep.x.wild.test", "wild.test", "other.test")
SERVICES = ("one", "two", "three")
Document = dict[str, Any]


@pytest.mark.parametrize("seed", range(WORLDS))
def test_an_imported_route_does_what_it_did(tmp_path: Path, seed: int) -> None:
    rng = random.Random(seed)
    theirs = make_world(rng)
    services = [
        part
        for name in SERVICES
        for part in (
            service(name, {"port": 80}),
            endpoint_slice(name, {"addresses": ["127.0.0.1"]}, ports=({"port": 80},)),
        )
    ]
    (tmp_path / "theirs.yaml").write_text(yaml.safe_dump_all(theirs))
    imported = import_files([tmp_path / "theirs.yaml"])
    ours = [each.document for each in imported.written]
    native = compiled(tmp_path / "native", [*theirs, gateway_class(), *services])
    made = compiled(tmp_path / "imported", [*ours, *services])
    ports = {
        listener["port"]: listener["name"]
        for each in ours
        if each["kind"] == "Edge"
        for listener in each["spec"]["listeners"]
    }
    buckets, differences = TokenBuckets(), []
    for _ in range(REQUESTS):
        method, url, headers, port = make_case(rng, theirs)
        request = make_request(method, url, headers, address="127.0.0.1")
        there = outcome(judge(native, request, buckets), url)
        here = outcome(judge(made, replace(request, listener=ports[port]), buckets), url)
        if there != here:
            differences.append(f"{method} {url} {headers}\n   native   {there}\n   imported {here}")
    told = f"{len(differences)} of {REQUESTS} differ:\n" + "\n".join(differences[:8])
    assert not differences, told + "\n" + json.dumps(theirs) + "\n" + "---\n".join(map(str, imported.written))


def compiled(folder: Path, documents: list[Document]) -> Snapshot:
    folder.mkdir()
    (folder / "all.yaml").write_text(yaml.safe_dump_all(documents))
    offline = load([folder])
    assert [str(found) for found in offline.findings()] == []
    return Snapshot.empty().apply(DecisionEmitter().apply(offline.delta).upserts)


def outcome(judged: Judged, url: str) -> tuple[object, ...]:
    """What client and backend see. What nobody has a rule for is 404, whatever it is called."""
    decision = judged.decision
    if decision.refusal is not None or (decision.status == 500 and not decision.candidates):
        return ("refused", decision.status)
    answers = dict(judged.answer_headers())
    where = urljoin(url, answers.pop("location", "")) if "location" in answers else ""
    names = {re.split("[/:-]", candidate.upstream)[1] for candidate in decision.candidates}
    view = judged.upstream_view()
    if view:
        # Backends of a Gateway get the host with the port that the client wrote.
        view["host"] = view["host"].partition(":")[0]
    return (decision.status, where, answers, sorted(names), view)


def make_world(rng: random.Random) -> list[Document]:
    listeners = [listener(80, "http")]
    if rng.random() < 0.4:
        listeners = [listener(80, "wide", hostname="*.wild.test"), listener(80, "all")]
    if rng.random() < 0.4:
        listeners.append(listener(8080, "other"))
    routes = [make_route(rng, number, [each["name"] for each in listeners]) for number in range(rng.randint(1, 5))]
    return [gateway(*listeners), *routes]


def make_route(rng: random.Random, number: int, sections: list[str]) -> Document:
    ref = parent(**({"sectionName": rng.choice(sections)} if rng.random() < 0.3 else {}))
    spec: Document = {"parentRefs": [ref]}
    grpc = rng.random() < 0.2
    if rng.random() < 0.8 or ref.get("sectionName") == "wide":
        # A host of another listener alone would be told as a mistake.
        pool = HOSTS[2:] if ref.get("sectionName") == "wide" else HOSTS
        spec["hostnames"] = sorted(set(rng.choices(pool, k=rng.randint(1, 2))))
    spec["rules"] = [make_rule(rng, grpc=grpc) for _ in range(rng.randint(1, 3))]
    return foreign("GRPCRoute" if grpc else "HTTPRoute", f"route{number}", spec)


def make_rule(rng: random.Random, *, grpc: bool) -> Document:
    make = make_grpc_match if grpc else make_match
    rule: Document = {"matches": [make(rng) for _ in range(rng.randint(1, 2))]}
    filters = []
    prefixes = not grpc and all(match["path"]["type"] == "PathPrefix" for match in rule["matches"])
    if rng.random() < 0.3:
        changes = {"set": [{"name": "X-New", "value": "1"}], "remove": ["x-one"]}
        filters.append({"type": "RequestHeaderModifier", "requestHeaderModifier": changes})
    if rng.random() < 0.2:
        added = {"add": [{"name": "x-answer", "value": "1"}]}
        filters.append({"type": "ResponseHeaderModifier", "responseHeaderModifier": added})
    if not grpc and rng.random() < 0.15:
        rule["filters"] = [{"type": "RequestRedirect", "requestRedirect": make_redirect(rng)}]
        return rule
    if not grpc and rng.random() < 0.3:
        filters.append({"type": "URLRewrite", "urlRewrite": make_rewrite(rng, prefixes=prefixes)})
    if filters:
        rule["filters"] = filters
    # By what the rule is so far: all else is as it would be without.
    own = random.Random(json.dumps(rule, sort_keys=True))
    if own.random() < 0.3:
        rule["sessionPersistence"] = own.choice(({}, {"type": "Header"}, {"sessionName": "sid"}))
    rule["backendRefs"] = [
        {"name": name, "port": 80, "weight": rng.randint(0, 3)} for name in rng.sample(SERVICES, rng.randint(1, 2))
    ]
    return rule


def make_match(rng: random.Random) -> Document:
    kind = rng.choices(("PathPrefix", "Exact", "RegularExpression"), weights=(6, 3, 1))[0]
    value = rng.choice(REGEXES) if kind == "RegularExpression" else make_path(rng)
    match: Document = {"path": {"type": kind, "value": value}}
    if rng.random() < 0.25:
        match["method"] = rng.choice(METHODS)
    for part, names in (("headers", ("X-One", "x-two")), ("queryParams", PARAMETERS)):
        if rng.random() < 0.25:
            match[part] = [{"name": rng.choice(names), "value": rng.choice(VALUES[:3])}]
    return match


def make_path(rng: random.Random) -> str:
    return "/" + "/".join(rng.choices(SEGMENTS[:4], k=rng.randint(0, 3)))


def make_grpc_match(rng: random.Random) -> Document:
    method: Document = {}
    if rng.random() < 0.7:
        method["service"] = rng.choice(SEGMENTS[:3])
    if rng.random() < 0.7:
        method["method"] = rng.choice(SEGMENTS[:3])
    return {"method": method} if method else {}


def make_redirect(rng: random.Random) -> Document:
    made: Document = {"statusCode": rng.choice((301, 302))}
    for name, values in (
        ("scheme", ("https", "http")),
        ("hostname", ("elsewhere.test",)),
        ("port", (443, 8443, 80)),
        ("path", ({"type": "ReplaceFullPath", "replaceFullPath": "/moved"},)),
    ):
        if rng.random() < 0.4:
            made[name] = rng.choice(values)
    return made


def make_rewrite(rng: random.Random, *, prefixes: bool) -> Document:
    made: Document = {"hostname": "inner.test"} if rng.random() < 0.4 else {}
    ways: list[Document] = [{"type": "ReplaceFullPath", "replaceFullPath": rng.choice(("/whole", "/"))}]
    if prefixes:
        ways += [{"type": "ReplacePrefixMatch", "replacePrefixMatch": rng.choice(("/", "/new", "/n/e"))}] * 2
    return made | {"path": rng.choice(ways)}


def make_case(rng: random.Random, world: list[Document]) -> tuple[str, str, list[tuple[str, str]], int]:
    """Method, URL, headers, port."""
    port = rng.choice([each["port"] for each in world[0]["spec"]["listeners"]])
    path = make_path(rng) + rng.choice(("", "", "b", "/", "/a"))
    query = (
        "?" + "&".join(f"{rng.choice(PARAMETERS)}={rng.choice(VALUES[:3])}" for _ in range(2))
        if rng.random() < 0.4
        else ""
    )
    headers = [(rng.choice(("x-one", "x-two")), rng.choice(VALUES[:3]))] if rng.random() < 0.5 else []
    url = f"http://{rng.choice(ASKED)}{'' if port == 80 else f':{port}'}{path}{query}"
    return rng.choice(("GET", "POST", *METHODS)), url, headers, port
