"""Worlds and requests for the differential test: small, odd, and full of near misses.

In: a seed. Out: resource documents, and raw requests that aim at them. Called by the differential test. Paths, hosts,
headers and queries come from small pools, so that rules overlap, shadow each other, and are missed by one character.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from support.issuer import login_of

Document = dict[str, object]

HOSTS = ("a.test", "b.test", "x.wild.test", "deep.x.wild.test", "wild.test", "other.test")
CLAIMED = ("a.test", "b.test", "*.wild.test", "x.wild.test")
SEGMENTS = ("a", "b", "ab", "a.b", "A", "%41", "a-b", "1")
HEADERS = ("x-one", "x-two")
VALUES = ("v", "w", "vw", "", "v,w")
PARAMETERS = ("q", "r")
METHODS = ("GET", "POST", "PUT", "DELETE", "HEAD")
REGEXES = ("/a.*", "/(a|b)/[a-z]+", "/.*b", "/[0-9]+", "/a/?b?", "^/a$", "^/(a|b)(/.*)?$|^/b$")
TEMPLATES = ("/{one}", "/a/{two}", "/{one}/b", "/a{one}/{two}", "/a/{rest...}", "/{rest...}")
TENANTS = ("acme", "globex", "initech")
ROLES = ("admin", "member")


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """Who asks; the test turns it into a token, an API key, a password, a session, or a browser that has none."""

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
    http2: bool = False


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


def make_cases(rng: random.Random, world: World, count: int) -> list[Case]:
    """Requests that hit the rules of the world, or nearly do."""
    paths = ["/", *(path for path in _paths(world.documents) if path.startswith("/"))]
    return [_case(rng, paths) for _ in range(count)]


def _paths(node: object) -> list[str]:
    """Every path that some rule matches, wherever it stands in the documents."""
    if isinstance(node, dict):
        own = [str(node["path"].get("value", "/"))] if isinstance(node.get("path"), dict) else []
        return own + [path for value in node.values() for path in _paths(value)]
    return [path for item in node for path in _paths(item)] if isinstance(node, list) else []


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
    if tenants and rng.random() < 0.15:
        match |= rng.choice(({"roles": ["admin"]}, {"flag": "beta"}, {"region": "eu"}, {"region": "us"}))
    return match


def _path_match(rng: random.Random) -> Document:
    kind = rng.choices(("Prefix", "Exact", "Regex", "Template"), weights=(6, 3, 1, 1))[0]
    if kind == "Regex":
        return {"type": kind, "value": rng.choice(REGEXES)}
    if kind == "Template":
        return {"type": kind, "value": rng.choice(TEMPLATES)}
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


def _case(rng: random.Random, paths: Sequence[str]) -> Case:
    headers = [(rng.choice(HEADERS), rng.choice(VALUES)) for _ in range(rng.choice((0, 0, 1, 2)))]
    method = rng.choice(("GET", "GET", *METHODS))
    return Case(method=method, target=_target(rng, paths), host=_host(rng), headers=tuple(headers))


def _target(rng: random.Random, paths: Sequence[str]) -> str:
    path = rng.choice(paths) if rng.random() < 0.7 else "/"
    if path == "/" or rng.random() < 0.3:
        path = path.rstrip("/") + "/" + "/".join(rng.choices(SEGMENTS, k=rng.randint(0, 2)))
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


def make_guards(rng: random.Random, world: World) -> None:
    """Add Tenants, and AuthPolicies on the Edge and on some Routes."""
    for name in TENANTS:
        world.add("Tenant", name, {"flags": ["beta"], "region": "us"} if name == "acme" else {})
    mode = rng.choice(("Required", "Optional", "Optional"))
    providers = [_jwt_provider("main", ["acme", "globex"]), _jwt_provider("foreign", ["initech"])]
    if rng.random() < 0.4:
        providers.append({"name": "key", "apiKey": {"secrets": [{"name": "api-keys"}]}, "tenants": ["acme"]})
    if rng.random() < 0.3:
        providers.append({"name": "password", "basic": {"secrets": [{"name": "users"}]}, "tenants": ["acme"]})
    providers = providers[: rng.randint(1, len(providers))]
    if rng.random() < 0.3:
        world.add("Upstream", "login", {"endpoints": [{"address": "127.0.0.1", "port": 9}]})
        keys: Document = {"configMap": {"name": "keys", "key": "main"}}
        providers.append(login_of(tenants=("acme", "globex"), jwks=keys))
    authentication = {"mode": mode, "providers": providers}
    overridable = rng.random() < 0.3
    edge_policy: Document = {"targets": [{"kind": "Edge", "name": "edge"}], "authentication": authentication}
    if rng.random() < 0.1:
        authentication["shadow"] = True
    world.add("AuthPolicy", "everybody", {**edge_policy, "overridable": overridable})
    routes = [d for d in world.documents if d["kind"] == "Route"]
    for document in rng.sample(routes, min(rng.randint(0, 1), len(routes))):
        # Tried beside what the Edge enforces; in some worlds that is nothing.
        target = {"kind": "Route", "name": document["metadata"]["name"]}  # ty: ignore[not-subscriptable]
        tried = {"providers": [rng.choice(providers)], "shadow": True}
        world.add("AuthPolicy", "tried", {"targets": [target], "authentication": tried})
    for document in rng.sample(routes, min(2, len(routes))):
        name = document["metadata"]["name"]  # ty: ignore[not-subscriptable]
        target = {"kind": "Route", "name": name}
        world.add("AuthPolicy", f"for-{name}", {"targets": [target], "authorization": {"grants": [_grant(rng)]}})


def make_guarded_cases(rng: random.Random, world: World, count: int) -> list[Case]:
    """Requests as of `make_cases`, by callers of all kinds."""
    return [replace(case, identity=_identity(rng)) for case in make_cases(rng, world, count)]


def _jwt_provider(issuer: str, tenants: list[str]) -> Document:
    keys = {"configMap": {"name": "keys", "key": issuer}}
    return {"name": issuer, "jwt": {"issuer": f"https://{issuer}", "jwks": keys}, "tenants": tenants}


def _grant(rng: random.Random) -> Document:
    grant: Document = {"name": "grant"}
    if rng.random() < 0.5:
        grant["roles"] = sorted(set(rng.choices(ROLES, k=rng.randint(1, 2))))
    if rng.random() < 0.3:
        grant["permissions"] = ["read", "write"][: rng.randint(1, 2)]
    if rng.random() < 0.3:
        grant["tenants"] = [rng.choice(TENANTS)]
    if rng.random() < 0.3:
        grant["methods"] = ["GET", "HEAD"]
    if rng.random() < 0.2:
        grant["condition"] = "request.method != 'DELETE'"
    return grant


def _identity(rng: random.Random) -> Identity | None:
    if rng.random() < 0.2:
        return None
    return Identity(
        tenant=rng.choice((*TENANTS, *TENANTS, "", "nobody")),
        roles=tuple(rng.sample(ROLES, rng.randint(0, 2))),
        permissions=tuple(rng.sample(("read", "write"), rng.randint(0, 2))),
        issuer=rng.choice(("main",) * 5 + ("foreign", "foreign", "stranger")),
        kind=rng.choice(("token",) * 5 + ("key", "password", "session", "session", "page")),
        broken=rng.choice(("",) * 10 + ("expired", "signature")),
    )
