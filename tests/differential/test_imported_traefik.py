"""IngressRoutes that are imported do what a real Traefik does with them: generated worlds and requests.

Traefik gets the same rules, priorities and middlewares, and sends requests on to real origins; the evaluator is asked
for the resources that the import makes. Compared is what client and origin see.
"""

from __future__ import annotations

import json
import random
import re
import subprocess
import sys
import urllib.request
from collections.abc import Generator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_operator.cli.offline import load
from fastforward_operator.cli.simulation import judge, make_request
from fastforward_operator.importing import import_files
from fastforward_pipeline import Snapshot, TokenBuckets

from support.client import Connection
from support.gateway import until
from support.origin import Loop, Origin, Reply
from support.processes import free_ports
from support.resources import endpoint_slice, service

WORLDS, REQUESTS = 25, 150
SERVICES = ("one", "two", "three")
HOSTS = ("a.test", "b.test", "x.wild.test")
ASKED = (*HOSTS, "deep.x.wild.test", "wild.test", "other.test")
SEGMENTS = ("a", "b", "ab", "a.b")
VALUES = ("v", "w", "vw")
PREFIXES = ("/a", "/b", "/a/b", "/ab", "/a/")
STRIPPED: dict[str, object] = {"stripPrefix": {"prefixes": ["/a"]}}
ADDED: dict[str, object] = {"addPrefix": {"prefix": "/in"}}
COMPARED = ("x-one", "x-new", "x-custom")
Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Traefik:
    """One that runs."""

    file: Path
    port: int
    api: int

    def publish(self, configuration: Document, router: str) -> None:
        self.file.write_text(yaml.safe_dump(configuration))
        until(lambda: f"{router}@file" in self.routers(), bool, seconds=20)

    def routers(self) -> list[str]:
        with urllib.request.urlopen(f"http://127.0.0.1:{self.api}/api/http/routers?per_page=1000", timeout=5) as answer:
            return [each["name"] for each in json.load(answer)]


@pytest.fixture(scope="module")
def traefik(tmp_path_factory: pytest.TempPathFactory) -> Generator[Traefik]:
    folder = tmp_path_factory.mktemp("traefik")
    file, (port, api) = folder / "dynamic.yaml", free_ports(2)
    file.write_text("{}")
    command = [
        str(Path(sys.executable).with_name("traefik")),
        f"--entrypoints.web.address=127.0.0.1:{port}",
        f"--entrypoints.traefik.address=127.0.0.1:{api}",
        "--api.insecure",
        f"--providers.file.filename={file}",
        "--providers.providersthrottleduration=0s",
        "--global.checknewversion=false",
        "--global.sendanonymoususage=false",
        "--log.level=ERROR",
    ]
    with (folder / "log").open("w") as log, subprocess.Popen(command, stdout=log, stderr=log) as process:
        found = Traefik(file, port, api)
        until(lambda: is_up(found), bool, seconds=20)
        yield found
        process.terminate()


def is_up(traefik: Traefik) -> bool:
    try:
        traefik.routers()
    except OSError:
        return False
    return True


@pytest.fixture(scope="module")
def origins() -> Generator[dict[str, Origin]]:
    loop = Loop()
    made = {name: Origin(name=name, loop=loop, answer=lambda _: Reply(body="hello")) for name in SERVICES}
    for origin in made.values():
        origin.start()
    yield made
    for origin in made.values():
        origin.stop()
    loop.stop()


@pytest.mark.parametrize("seed", range(WORLDS))
def test_an_imported_router_does_what_traefik_does(
    tmp_path: Path, traefik: Traefik, origins: dict[str, Origin], seed: int
) -> None:
    rng = random.Random(seed)
    world = make_world(rng, seed)
    traefik.publish(configuration(world, origins), world[0]["metadata"]["name"] + "-0")
    (tmp_path / "theirs.yaml").write_text(yaml.safe_dump_all(world))
    written = import_files([tmp_path / "theirs.yaml"], literal=True).written
    snapshot = compiled(tmp_path / "imported", [each.document for each in written])
    buckets, differences = TokenBuckets(), []
    for _ in range(REQUESTS):
        method, host, target, headers = make_case(rng)
        there = seen(traefik, origins, method, host, target, headers)
        request = make_request(method, f"http://{host}{target}", headers, address="127.0.0.1", listener="http")
        here = said(judge(snapshot, request, buckets))
        if there != here:
            differences.append(f"{method} {host} {target} {headers}\n   traefik  {there}\n   imported {here}")
    told = f"{len(differences)} of {REQUESTS} differ:\n" + "\n".join(differences[:8])
    assert not differences, told + "\n" + yaml.safe_dump_all(world) + "\n" + "---\n".join(map(str, written))


def seen(
    traefik: Traefik, origins: dict[str, Origin], method: str, host: str, target: str, headers: list[tuple[str, str]]
) -> tuple[object, ...]:
    for origin in origins.values():
        origin.received.clear()
    with Connection(traefik.port) as connection:
        answer = connection.request(method, target, host=host, headers=headers)
    for name, origin in origins.items():
        if origin.received:
            got = origin.last
            kept = {key.lower(): value for key, value in got.headers if key.lower() in COMPARED}
            return (answer.status, name, got.method, got.header("host"), got.target, kept, answer.header("x-answer"))
    return (answer.status, answer.header("location"))


def said(judged: Any) -> tuple[object, ...]:  # noqa: ANN401
    answers = dict(judged.answer_headers())
    view = judged.upstream_view()
    if not view:
        return (judged.decision.status, answers.get("location"))
    (candidate,) = judged.decision.candidates
    name = re.split("[/-]", candidate.upstream)[1]
    kept = {key: value for key, value in view["headers"].items() if key in COMPARED}
    return (200, name, view["method"], view["host"], view["path"], kept, answers.get("x-answer"))


def compiled(folder: Path, documents: list[Document]) -> Snapshot:
    folder.mkdir()
    slices = [endpoint_slice(name, {"addresses": ["127.0.0.1"]}, ports=({"port": 80},)) for name in SERVICES]
    services = [service(name, {"port": 80}) for name in SERVICES]
    (folder / "all.yaml").write_text(yaml.safe_dump_all([*documents, *services, *slices]))
    offline = load([folder])
    assert [str(found) for found in offline.findings()] == []
    return Snapshot.empty().apply(DecisionEmitter().apply(offline.delta).upserts)


def make_world(rng: random.Random, seed: int) -> list[Document]:
    """IngressRoutes with one route each, then their Middlewares."""
    routers, middlewares, orders = [], [], set()
    for number in range(rng.randint(2, 6)):
        name, chain = f"r{seed}-{number}", make_chain(rng)
        route: Document = {
            # One prefix can take another's place where every path has it.
            "match": make_rule(rng, "PathPrefix(`/a`)" if STRIPPED in chain and ADDED in chain else ""),
            "kind": "Rule",
            "services": [{"name": rng.choice(SERVICES), "port": 80}],
            "middlewares": [{"name": f"{name}-{place}"} for place in range(len(chain))],
        }
        order = rng.randint(1, 40) if rng.random() < 0.3 else len(route["match"])
        if order in orders or order != len(route["match"]):
            # Which of two with the same priority comes first, Traefik does not say.
            order = next(each for each in range(order, 1000) if each not in orders)
            route["priority"] = order
        orders.add(order)
        routers.append(foreign("IngressRoute", name, {"entryPoints": ["web"], "routes": [route]}))
        middlewares += [foreign("Middleware", f"{name}-{place}", spec) for place, spec in enumerate(chain)]
    return [*routers, *middlewares]


def foreign(kind: str, name: str, spec: Document) -> Document:
    return {"apiVersion": "traefik.io/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}


def configuration(world: list[Document], origins: dict[str, Origin]) -> Document:
    """The same for Traefik's file provider."""
    routers = {}
    for item in world:
        for place, route in enumerate(item["spec"].get("routes", ())):
            router = {
                "rule": route["match"],
                "service": route["services"][0]["name"],
                "entryPoints": ["web"],
                "middlewares": [each["name"] for each in route["middlewares"]],
            }
            priority = {"priority": route["priority"]} if "priority" in route else {}
            routers[f"{item['metadata']['name']}-{place}"] = router | priority
    services = {
        name: {"loadBalancer": {"servers": [{"url": f"http://127.0.0.1:{origin.port}"}]}}
        for name, origin in origins.items()
    }
    middlewares = {each["metadata"]["name"]: each["spec"] for each in world if each["kind"] == "Middleware"}
    return {"http": {"routers": routers, "services": services, **({"middlewares": middlewares} if middlewares else {})}}


def make_rule(rng: random.Random, path: str) -> str:
    parts = []
    if rng.random() < 0.8:
        hosts = [rng.choice((*(f"Host(`{host}`)" for host in HOSTS), r"HostRegexp(`^.+\.wild\.test$`)"))]
        hosts += [f"Host(`{rng.choice(HOSTS)}`)"] if rng.random() < 0.2 else []
        parts.append(either(hosts))
    if path:
        parts.append(path)
    elif not parts or rng.random() < 0.8:
        parts.append(either([make_path(rng) for _ in range(rng.choice((1, 1, 2)))]))
    if rng.random() < 0.25:
        methods = either([f"Method(`{method}`)" for method in rng.sample(("GET", "POST", "PUT"), rng.randint(1, 2))])
        parts.append(methods if rng.random() < 0.7 else f"!{methods}")
    if rng.random() < 0.25:
        parts.append(rng.choice((f"Header(`X-One`, `{rng.choice(VALUES)}`)", "HeaderRegexp(`X-One`, `^v`)")))
    if rng.random() < 0.25:
        parts.append(rng.choice((f"Query(`q`, `{rng.choice(VALUES)}`)", "QueryRegexp(`q`, `w$`)")))
    rng.shuffle(parts)
    return " && ".join(parts)


def either(alternatives: list[str]) -> str:
    return alternatives[0] if len(alternatives) == 1 else f"({' || '.join(alternatives)})"


def make_path(rng: random.Random) -> str:
    match rng.choice(("PathPrefix", "PathPrefix", "PathPrefix", "Path", "PathRegexp")):
        case "PathPrefix":
            return f"PathPrefix(`{rng.choice((*PREFIXES, '/'))}`)"
        case "Path":
            return f"Path(`{rng.choice(PREFIXES)}`)"
        case _:
            return f"PathRegexp(`{rng.choice(('^/a', 'b$', '^/(a|b)$', '/[ab]+/'))}`)"


def make_chain(rng: random.Random) -> list[Document]:
    rewrites: list[list[Document]] = [
        [],
        [],
        [{"stripPrefix": {"prefixes": [rng.choice(PREFIXES)]}}],
        [{"stripPrefix": {"prefixes": ["/b", "/a"]}}],
        [ADDED],
        [STRIPPED, ADDED],
        [{"stripPrefixRegex": {"regex": ["/[ab]+"]}}],
        [{"replacePath": {"path": "/whole"}}],
        [{"replacePathRegex": {"regex": "^/(a|b)([^/]*)", "replacement": "/x$2-$1"}}],
    ]
    chain = list(rng.choice(rewrites))
    if rng.random() < 0.3:
        changes = {"customRequestHeaders": {"X-New": "1", "X-One": ""}, "customResponseHeaders": {"X-Answer": "yes"}}
        chain.append({"headers": changes})
    if rng.random() < 0.2:
        chain.insert(0, {"ipAllowList": {"sourceRange": [rng.choice(("127.0.0.0/8", "10.0.0.0/8"))]}})
    return chain


def make_case(rng: random.Random) -> tuple[str, str, str, list[tuple[str, str]]]:
    path = "/" + "/".join(rng.choices(SEGMENTS, k=rng.randint(0, 3))) + rng.choice(("", "", "b", "/"))
    query = f"?q={rng.choice(VALUES)}" if rng.random() < 0.4 else ""
    headers = [("x-one", rng.choice(VALUES))] if rng.random() < 0.5 else []
    return rng.choice(("GET", "POST", "PUT", "DELETE")), rng.choice(ASKED), re.sub("/+", "/", path) + query, headers
