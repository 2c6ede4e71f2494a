"""Worlds and requests for the differential test: small, odd, and full of near misses.

In: a seed. Out: resource documents, and raw requests that aim at them. Called by the differential test. Paths, hosts,
headers and queries come from small pools, so that rules overlap, shadow each other, and are missed by one character.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

Document = dict[str, object]

HOSTS = ("a.test", "b.test", "x.wild.test", "deep.x.wild.test", "wild.test", "other.test")
CLAIMED = ("a.test", "b.test", "*.wild.test", "x.wild.test")
SEGMENTS = ("a", "b", "ab", "a.b", "A", "%41", "a-b", "1")
HEADERS = ("x-one", "x-two")
VALUES = ("v", "w", "vw", "", "v,w")
PARAMETERS = ("q", "r")
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD")
REGEXES = ("/a.*", "/(a|b)/[a-z]+", "/.*b", "/[0-9]+", "/a/?b?")
TENANTS = ("acme", "globex", "initech")
ROLES = ("admin", "member")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks; the test turns it into a token or an API key."""

    tenant: str = ""
    subject: str = ""
    roles: tuple[str, ...] = ()
    permissions: tuple[str, ...] = ()
    issuer: str = "main"
    kind: str = "token"
    broken: str = ""
    """How the proof is spoilt: expired, signature, or not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One request: what goes on the wire, in order, and who asks."""

    method: str
    target: str
    host: str
    headers: tuple[tuple[str, str], ...] = ()
    identity: Identity | None = None
    body: bytes = b""


@dataclass(slots=True)
class World:
    """Documents, by the order in which they were made."""

    documents: list[Document] = field(default_factory=list)

    def add(self, kind: str, name: str, spec: Mapping[str, object]) -> None:
        """Add one of our resources, in the namespace `default`."""
        metadata = {"name": name, "namespace": "default"}
        version = "gateway.fastforward.dev/v1alpha1"
        self.documents.append({"apiVersion": version, "kind": kind, "metadata": metadata, "spec": dict(spec)})


def make_routes(rng: random.Random, world: World, count: int, *, tenants: bool = False) -> None:
    """Add Routes whose rules answer by themselves with their own name."""
    for number in range(count):
        rules = [_rule(rng, number, index, tenants=tenants) for index in range(rng.randint(1, 4))]
        spec: dict[str, object] = {"edges": [{"name": "edge"}], "rules": rules}
        if rng.random() < 0.9:
            spec["hosts"] = sorted(set(rng.choices(CLAIMED, k=rng.randint(1, 2))))
        if rng.random() < 0.3:
            spec["priority"] = rng.randint(-3, 3)
        world.add("Route", f"route{number}", spec)


def make_cases(rng: random.Random, count: int) -> list[Case]:
    """Requests that come close to the rules of `make_routes`."""
    return [_case(rng) for _ in range(count)]


def _rule(rng: random.Random, route: int, index: int, *, tenants: bool) -> Document:
    matches = [_match(rng, tenants=tenants) for _ in range(rng.choice((1, 1, 1, 2)))]
    rule: Document = {"name": f"rule{index}", "matches": matches}
    body = f"route{route}/rule{index}"
    if rng.random() < 0.1:
        rule["redirect"] = {"path": f"/{body}", "status": rng.choice((301, 302, 307, 308))}
    else:
        rule["respond"] = {"status": 200, "body": body}
    return rule


def _match(rng: random.Random, *, tenants: bool) -> Document:
    match: Document = {"path": _path_match(rng)}
    if rng.random() < 0.25:
        match["methods"] = sorted(set(rng.choices(METHODS, k=rng.randint(1, 2))))
    if rng.random() < 0.25:
        match["headers"] = [_text(rng, name) for name in _some(rng, HEADERS)]
    if rng.random() < 0.25:
        match["query"] = [_text(rng, name) for name in _some(rng, PARAMETERS)]
    if tenants and rng.random() < 0.4:
        match["tenants"] = sorted(set(rng.choices(TENANTS[:2], k=rng.randint(1, 2))))
    return match


def _path_match(rng: random.Random) -> Document:
    kind = rng.choices(("Prefix", "Exact", "Regex"), weights=(6, 3, 1))[0]
    if kind == "Regex":
        return {"type": kind, "value": rng.choice(REGEXES)}
    value = "/" + "/".join(rng.choices(SEGMENTS[:5], k=rng.randint(0, 3)))
    if kind == "Prefix" and value != "/" and rng.random() < 0.2:
        value += "/"
    return {"type": kind, "value": value}


def _text(rng: random.Random, name: str) -> Document:
    kind = rng.choices(("Exact", "Prefix", "Regex", "Present"), weights=(5, 2, 1, 2))[0]
    value = {"Regex": rng.choice(("v.*", "w?", "[a-z]+")), "Present": ""}.get(kind, rng.choice(VALUES))
    if kind == "Prefix" and not value:
        kind = "Present"
    return {"name": name, "type": kind, "value": value} if value else {"name": name, "type": kind}


def _some(rng: random.Random, pool: Sequence[str]) -> list[str]:
    return rng.sample(pool, rng.randint(1, len(pool)))


def _case(rng: random.Random) -> Case:
    headers = [(rng.choice(HEADERS), rng.choice(VALUES)) for _ in range(rng.choice((0, 0, 1, 2)))]
    return Case(method=rng.choice(METHODS), target=_target(rng), host=_host(rng), headers=tuple(headers))


def _target(rng: random.Random) -> str:
    path = "/" + "/".join(rng.choices(SEGMENTS, k=rng.randint(0, 3)))
    odd = rng.random()
    if odd < 0.06:
        path += "/"
    elif odd < 0.10:
        path = path.replace("/", "//", 1)
    elif odd < 0.14:
        path += "/../" + rng.choice(SEGMENTS)
    elif odd < 0.17:
        path += "/./"
    elif odd < 0.19:
        path = path.replace("/", "/%2e/", 1)
    if rng.random() < 0.5:
        pairs = [f"{rng.choice(PARAMETERS)}={rng.choice(VALUES)}" for _ in range(rng.randint(0, 2))]
        path += "?" + "&".join(pairs)
    return path


def _host(rng: random.Random) -> str:
    host = rng.choice(HOSTS)
    if rng.random() < 0.15:
        host = host.upper() if rng.random() < 0.5 else host.title()
    return f"{host}:8080" if rng.random() < 0.2 else host
