"""The resources of the change-to-traffic benchmark, in two shapes, and how to ask for one route.

In: a folder and a number of routes. Out: files, one a Route unless told otherwise, and `Probe`s. Called by whatever
starts the product with many routes. The answer of each route is a direct response that carries the route's number and
generation, so that no upstream blurs the time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from joserfc import jwt
from joserfc.jwk import ECKey

TENANTS = 1000
EDGE = "default/bench"
_DOCUMENTS = 4000
"""In a file that holds many: below a MiB."""
_ALGORITHM = "ES256"
_ISSUER = "https://issuer.bench.localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Probe:
    """How to ask for one route, and the file that defines it."""

    number: int
    file: Path
    request: bytes
    """A whole HTTP/1.1 request."""


class HostsWorld:
    """A host for each route."""

    def __init__(self, folder: Path, routes: int, port: int, apart: int = 0) -> None:
        """`apart`: how many routes have a file of their own, which can be changed; all when 0."""
        self._folder = folder
        _write(folder / "edge.yaml", _edge(["*.bench.localhost"], port))
        self.probes = [self._probe(number) for number in range(routes)]
        self.apart = _write_routes(folder / "packed", self.probes, apart, lambda probe: self.route(probe, 0))

    def route(self, probe: Probe, generation: int) -> str:
        """The document of a route in one of its generations."""
        host = f"h{probe.number}.bench.localhost"
        rule = {"matches": [{"path": {"value": "/svc"}}], "respond": {"body": answer(probe, generation)}}
        return _route(f"r{probe.number}", host, rule)

    def _probe(self, number: int) -> Probe:
        request = f"GET /svc/x HTTP/1.1\r\nhost: h{number}.bench.localhost\r\n\r\n".encode()
        return Probe(number=number, file=self._folder / "routes" / f"r{number}.yaml", request=request)


class TenantsWorld:
    """One host shared by TENANTS tenants with the same share of the routes; callers prove their tenant by token."""

    def __init__(self, folder: Path, routes: int, port: int, apart: int = 0) -> None:
        """`apart` as for HostsWorld."""
        self._folder, self._each = folder, max(1, routes // TENANTS)
        key = ECKey.generate_key("P-256", {"use": "sig", "alg": _ALGORITHM, "kid": "bench"})
        _write(folder / "edge.yaml", _edge(["shared.bench.localhost"], port))
        _write(folder / "auth.yaml", _authentication(key))
        self._tokens = [_token(key, self._tenant(n * self._each)) for n in range(-(-routes // self._each))]
        self.probes = [self._probe(number) for number in range(routes)]
        for tenant in sorted({self._tenant(probe.number) for probe in self.probes}):
            _write(folder / "tenants" / f"{tenant}.yaml", _document("Tenant", tenant, {}))
        self.apart = _write_routes(folder / "packed", self.probes, apart, lambda probe: self.route(probe, 0))

    def route(self, probe: Probe, generation: int) -> str:
        """The document of a route in one of its generations."""
        match = {"path": {"value": f"/svc{probe.number % self._each}"}, "tenants": [self._tenant(probe.number)]}
        rule = {"matches": [match], "respond": {"body": answer(probe, generation)}}
        return _route(f"r{probe.number}", "shared.bench.localhost", rule)

    def _tenant(self, number: int) -> str:
        return f"t{number // self._each}"

    def _probe(self, number: int) -> Probe:
        lines = (
            f"GET /svc{number % self._each}/x HTTP/1.1",
            "host: shared.bench.localhost",
            f"authorization: Bearer {self._tokens[number // self._each]}",
        )
        request = ("\r\n".join(lines) + "\r\n\r\n").encode()
        return Probe(number=number, file=self._folder / "routes" / f"r{number}.yaml", request=request)


World = HostsWorld | TenantsWorld
SHAPES = {"hosts": HostsWorld, "tenants": TenantsWorld}


def answer(probe: Probe, generation: int) -> str:
    """The body of a route's answer in one of its generations."""
    return f"r{probe.number} g{generation}"


def put(path: Path, text: str) -> None:
    """A file that is there at once as a whole, as editors and `git` write it: renamed into place."""
    beside = path.with_name(f".{path.name}")
    beside.write_text(text)
    beside.rename(path)


def _write_routes(packed: Path, probes: Sequence[Probe], apart: int, text: Callable[[Probe], str]) -> Sequence[Probe]:
    """A file for each of so many routes, evenly spread, the others in few large ones; returns those apart."""
    chosen = probes[:: len(probes) // apart][:apart] if 0 < apart < len(probes) else probes
    own = {probe.number for probe in chosen}
    for probe in chosen:
        _write(probe.file, text(probe))
    others = [probe for probe in probes if probe.number not in own]
    for start in range(0, len(others), _DOCUMENTS):
        together = "\n---\n".join(text(probe) for probe in others[start : start + _DOCUMENTS])
        _write(packed / f"from-{start}.yaml", together)
    return chosen


def _edge(hosts: list[str], port: int) -> str:
    return _document(
        "Edge", "bench", {"hosts": hosts, "listeners": [{"name": "http", "port": port}], "accessLog": False}
    )


def _route(name: str, host: str, rule: dict[str, object]) -> str:
    return _document("Route", name, {"edges": [{"name": "bench"}], "hosts": [host], "rules": [rule]})


def _authentication(key: ECKey) -> str:
    labels = {"gateway.fastforward.dev/use": "true"}
    keys = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "jwks", "labels": labels}}
    keys["data"] = {"jwks.json": json.dumps({"keys": [key.as_dict(private=False)]})}
    source = {"issuer": _ISSUER, "jwks": {"configMap": {"name": "jwks", "key": "jwks.json"}}}
    provider = {"name": "token", "jwt": source, "tenants": ["*"]}
    policy = {"targets": [{"kind": "Edge", "name": "bench"}], "authentication": {"providers": [provider]}}
    return "\n---\n".join((json.dumps(keys), _document("AuthPolicy", "members", policy)))


def _token(key: ECKey, tenant: str) -> str:
    claims = {"iss": _ISSUER, "tenant": tenant, "exp": int(time.time()) + 86_400}
    return jwt.encode({"alg": _ALGORITHM, "kid": "bench"}, claims, key, algorithms=[_ALGORITHM])


def _document(kind: str, name: str, spec: dict[str, object]) -> str:
    # JSON is YAML, and quicker to write.
    return json.dumps(
        {"apiVersion": "gateway.fastforward.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    )


def _write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)
