"""Envoy and the evaluator agree: thousands of odd requests over generated worlds get the same answer from both.

Envoy gets the worlds as it always does, the evaluator the snapshot compiled from the same files. Compared is all that
client and origin see: status, body, headers, stage and reason of a refusal; which Upstream got what.
"""

from __future__ import annotations

import json
import random
import time
from collections.abc import Generator, Sequence

import pytest
from fastforward_operator.cli.simulation import Judged, judge
from fastforward_operator.cli.snapshots import read_snapshot
from fastforward_operator.cli.where import Where
from fastforward_pipeline import Request, Snapshot, TokenBuckets, make_headers
from fastforward_pipeline.compiled.oidc import OidcClient

from differential.features import UPSTREAMS, make_feature_cases, make_features
from differential.generate import Case, Identity, World, make_cases, make_guarded_cases, make_guards, make_routes
from differential.outcome import ORIGINS_OWN, Pairs, alike, judged, seen
from support import tokens
from support.client import Connection, Response
from support.credentials import apikeys_data, basic, jwks, users_data
from support.gateway import API_VERSION, Stack, running_stack, until
from support.http2 import Http2Client
from support.issuer import SECRET
from support.origin import Origin, Reply
from support.processes import free_port
from support.resources import Document, config_map, secret

WORLDS = 20
REQUESTS = 150
BUSY = ("authentication/passwords-busy", "authentication/decision-unavailable")
"""What a busy machine says of a password that it has not verified yet; it does not last."""


@pytest.fixture(scope="module")
def stack() -> Generator[Stack]:
    with running_stack() as running:
        running.start_decision_service()
        yield running


@pytest.fixture(scope="module")
def port() -> int:
    return free_port()


@pytest.fixture(scope="module")
def origins(stack: Stack) -> Generator[list[Origin]]:
    reply = Reply(headers=ORIGINS_OWN, body="hello")
    made = [Origin(name=name, loop=stack.origins, answer=lambda _: reply) for name in UPSTREAMS]
    for origin in made:
        origin.start()
    yield made
    for origin in made:
        origin.stop()


@pytest.fixture(scope="module")
def guard(stack: Stack) -> Generator[Origin]:
    """A service that is asked whether requests may pass."""
    made = Origin(name="guard", loop=stack.origins)
    made.start()
    yield made
    made.stop()


@pytest.mark.parametrize("seed", range(WORLDS))
def test_every_request_meets_the_same_rule(stack: Stack, port: int, seed: int) -> None:
    rng, world = random.Random(seed), _world(port)
    make_routes(rng, world, rng.randint(2, 8))
    _compare(stack, port, world, make_cases(rng, world, REQUESTS))


@pytest.mark.parametrize("seed", range(100, 100 + WORLDS))
def test_every_caller_gets_the_same_verdict(stack: Stack, port: int, seed: int) -> None:
    rng, world = random.Random(seed), _world(port)
    make_routes(rng, world, rng.randint(2, 8), tenants=True)
    make_guards(rng, world)
    world.documents += [_keys(), _api_keys(), _users(), _client()]
    _compare(stack, port, world, make_guarded_cases(rng, world, REQUESTS))


@pytest.mark.parametrize("seed", range(200, 200 + WORLDS))
def test_every_request_looks_the_same_to_client_and_origin(
    stack: Stack, port: int, origins: list[Origin], guard: Origin, seed: int
) -> None:
    rng, world = random.Random(seed), _world(port)
    make_features(rng, world, {origin.name: origin.port for origin in (*origins, guard)}, seed)
    world.documents += [_keys(), _api_keys(), _users(), _client()]
    _compare(stack, port, world, make_feature_cases(rng, world, REQUESTS), origins)


def _world(port: int) -> World:
    world = World()
    world.add(
        "Edge",
        "edge",
        {"hosts": ["a.test", "b.test", "*.wild.test"], "region": "eu", "listeners": [{"name": "http", "port": port}]},
    )
    return world


def _keys() -> Document:
    return config_map("keys", {"main": jwks("main"), "foreign": jwks("foreign")})


def _api_keys() -> Document:
    return secret(
        "api-keys",
        apikeys_data(**{_key_id(tenant): tenant for tenant in ("acme", "initech")}),
        "gateway.fastforward.dev/api-keys",
    )


def _users() -> Document:
    return secret("users", users_data(acme="acme", initech="initech", nobody=""), "gateway.fastforward.dev/users")


def _client() -> Document:
    return secret("client", {"secret": SECRET})


def _compare(stack: Stack, port: int, world: World, cases: list[Case], origins: Sequence[Origin] = ()) -> None:
    _publish(stack, world.documents)
    snapshot = Snapshot.empty().apply(read_snapshot([stack.resources], stack.folder, Where("")))
    buckets, differences = TokenBuckets(), []
    for case in cases:
        headers = (*case.headers, *_proof(case.identity, snapshot, case.host))
        for origin in origins:
            origin.received.clear()
        if case.body and case.http2:
            headers = (*headers, ("content-length", str(len(case.body))))
        response = until(
            lambda case=case, headers=headers: _ask(port, case, headers), lambda said: said.reason not in BUSY
        )
        received = [request for origin in origins for request in origin.received]
        real = seen(response, received[0] if received else None, case.method)
        said = judged(_judge(snapshot, case, headers, buckets), real.upstream)
        if not alike(real, said):
            differences.append(f"{case}\n   envoy  {real}\n   decide {said}")
    summary = f"{len(differences)} of {len(cases)} differ:\n" + "\n".join(differences[:12])
    assert not differences, summary + "\nin the world\n" + "\n".join(json.dumps(d) for d in world.documents)


def _ask(port: int, case: Case, headers: Pairs) -> Response:
    with Http2Client(port) if case.http2 else Connection(port) as client:
        return client.request(case.method, case.target, host=case.host, headers=headers, body=case.body or None)


def _publish(stack: Stack, documents: list[Document]) -> None:
    """Replace all files, and wait until everything is known and programmed."""
    generation = int(time.monotonic() * 1000)
    names = set()
    for document in documents:
        if document["apiVersion"] == API_VERSION:
            document["metadata"] = {**document["metadata"], "generation": generation}
        name = f"{document['kind']}.{document['metadata']['name']}.json"
        names.add(name)
        (stack.resources / f".{name}").write_text(json.dumps(document))
        (stack.resources / f".{name}").rename(stack.resources / name)
    for path in stack.resources.glob("[!.]*.json"):
        if path.name not in names:
            path.unlink()
    expected = sum(document["apiVersion"] == API_VERSION for document in documents)
    until(lambda: stack.api("/v1/objects")["objects"], lambda found: _settled(found, expected, generation))
    # A limit that goes later would refill the buckets of those that stay.
    limits = [document for document in documents if document["kind"] == "RateLimit"]
    native = {f"default/{d['metadata']['name']}" for d in limits if d["spec"]["enforcement"] == "PerProxy"}
    until(lambda: stack.has_limits(native), seconds=60, every=0.2)


def _settled(objects: list[Document], expected: int, generation: int) -> bool:
    conditions = [c for found in objects for c in found["conditions"] if c["type"] == "Programmed"]
    return len(objects) == expected and all(
        c["status"] != "Unknown" and c["observedGeneration"] == generation for c in conditions
    )


def _session(identity: Identity, client: OidcClient, host: str) -> tuple[tuple[str, str], ...]:
    """The cookie that a login would have set, among others."""
    kept = {
        "subject": "ann",
        "tenant": identity.tenant,
        "roles": list(identity.roles),
        "permissions": list(identity.permissions),
        "until": 0 if identity.broken == "expired" else int(time.time()) + 600,
    }
    sealed = client.seal(kept, f"session {host.partition(':')[0].lower()}", b"i" * 12)
    text = f"ff-session-{client.mark}={sealed[:-4] if identity.broken == 'signature' else sealed}"
    return (("cookie", f"{text}; theme=dark" if identity.roles else text), ("accept", "text/html"))


def _proof(identity: Identity | None, snapshot: Snapshot, host: str) -> tuple[tuple[str, str], ...]:
    if identity is None or identity.broken == "absent":
        return ()
    if identity.kind in ("session", "page"):
        clients = list(snapshot.oidc.values()) if identity.kind == "session" else []
        return _session(identity, clients[0], host) if clients else (("accept", "text/html"),)
    if identity.kind == "key":
        key = f"ffk_{_key_id(identity.tenant)}_{_key_id(identity.tenant)}"
        return (("x-api-key", key[:-1] + "x" if identity.broken else key),)
    if identity.kind == "password":
        return tuple(basic(identity.tenant or "nobody", "wrong" if identity.broken else None).items())
    claims: dict[str, object] = {"roles": list(identity.roles), "permissions": list(identity.permissions)}
    if identity.tenant:
        claims["tenant"] = identity.tenant
    if identity.broken == "expired":
        claims["exp"] = int(time.time()) - 600
    value = tokens.bearer(identity.issuer, **claims)["authorization"]
    return (("authorization", value[:-6] + "AAAAAA" if identity.broken == "signature" else value),)


def _key_id(tenant: str) -> str:
    """Twelve letters: what stands in a key for its identity."""
    return f"{tenant}keyaaaaaaaaa"[:12]


def _judge(snapshot: Snapshot, case: Case, headers: Pairs, buckets: TokenBuckets) -> Judged:
    request = Request(
        method=case.method,
        host=case.host,
        path=case.target,
        now=time.time(),
        headers=make_headers(headers),
        address="127.0.0.1",
        peer="127.0.0.1",
        listener="http",
        # HTTP/2 says nothing of the length of a body that is not there.
        body_bytes=None if case.http2 and not case.body else len(case.body),
        content=case.body,
    )
    return judge(snapshot, request, buckets)
