"""The kinds of changes of no_drop: the files of each, version by version, and what requests may then be answered.

In: two backends, a folder. Out: `Kind`s, which are written in one version after the other. Called by no_drop.
Each kind has a few hosts of its own that change at once, so that a thousand changes take no thousand waits.
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

from perf.clients import fingerprint
from perf.told import Told
from support import resources
from support.credentials import certificate_pem, jwks, tls_data
from support.resources import Document, on, prefix, resource, rule, secret

LANES = 4
"""Objects of a kind that change at once."""
EDGE = "public"
_CALLS = "/bookshop.v1.Catalog"
_CERTIFICATES = 50
_SLICES = (("a", "b"), ("b",), ("b", "a"), ("a",))
Files = Mapping[str, Sequence[Document]]
"""What is in each file."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of change."""

    name: str
    what: str
    """For people."""
    steps: Callable[[int], Sequence[Files]]
    """What is written for a version, one after the other; a file without documents is removed."""
    answers: Callable[[int], frozenset[str]]
    """What a version may answer."""
    told: Callable[[Told, int], bool]
    """Whether the operator says that all proxies have this version."""
    sends: Mapping[str, int] = field(default_factory=dict)
    """How many resources of which types Envoy must have acknowledged besides: Secrets and endpoints have no status."""
    exact: bool = True
    """Whether what is answered then must be of this version: where nobody says so, answers of the version before are
    right as well."""
    tls: bool = False

    @property
    def over(self) -> tuple[str, ...]:
        """Protocols of its load."""
        return ("HTTP/1.1", "HTTP/2") if self.tls else ("HTTP/1.1", "HTTP/2", "gRPC", "WebSocket")

    @property
    def hosts(self) -> list[str]:
        return [host_of(self.name, lane) for lane in range(LANES)]


@dataclass(slots=True)
class Folder:
    """Resources as files, put in place by renaming."""

    path: Path
    _written: dict[str, str] = field(default_factory=dict)

    def write(self, files: Files) -> None:
        """Those whose content is new."""
        for name, documents in files.items():
            text = "\n---\n".join(json.dumps(each) for each in documents)
            if self._written.get(name, "") == text:
                continue
            self._written[name] = text
            file = self.path / f"{name}.yaml"
            if text:
                beside = file.with_name(f".{file.name}")
                beside.write_text(text)
                beside.rename(file)
            else:
                file.unlink()


def host_of(kind: str, lane: int) -> str:
    """A host that a kind changes."""
    return f"{kind}-{lane}.bench.localhost"


@dataclass(frozen=True, slots=True, kw_only=True)
class Backends:
    """Two bookshops, `a` and `b`, where Envoys find them."""

    address: str
    rest: Mapping[str, int]
    """Port of each."""
    calls: Mapping[str, int]
    """The same for gRPC."""

    def upstreams(self, *names: str, before: str = "") -> list[Document]:
        """An Upstream for HTTP and one for gRPC of each."""
        return [made for name in names for made in self._two(name, before)]

    def _two(self, name: str, before: str) -> list[Document]:
        rest = {"endpoints": [{"address": self.address, "port": self.rest[name]}]}
        calls = {"endpoints": [{"address": self.address, "port": self.calls[name]}], "protocol": "GRPC"}
        return [
            resource("Upstream", f"{before}{name}-rest", rest),
            resource("Upstream", f"{before}{name}-calls", calls),
        ]


def to(backend: str, *, matches: Document | None = None, **fields: resources.Json) -> list[Document]:
    """Rules that send gRPC and everything else to a backend."""
    return split({backend: 1}, matches=matches, **fields)


def split(weights: Mapping[str, int], *, matches: Document | None = None, **fields: resources.Json) -> list[Document]:
    """The same, to several."""
    paths = {"calls": prefix(_CALLS, **(matches or {})), "rest": prefix("/", **(matches or {}))}
    return [
        rule(path, upstreams=[{"name": f"{name}-{sort}", "weight": each} for name, each in weights.items()], **fields)
        for sort, path in paths.items()
    ]


def route(name: str, hosts: Sequence[str], rules: Sequence[Document]) -> Document:
    """A Route on the Edge."""
    return resources.route(name, *rules, hosts=tuple(hosts))


def kinds(backends: Backends) -> list[Kind]:
    """All of them."""
    return [
        _of_routes("swap", "Backend swapped for a new Upstream", _turns, _swap(backends)),
        _of_routes("insert", "Rule inserted before others, and taken out", _turns, _insert),
        _of_routes("reorder", "Rules reordered", _turns, _reorder),
        _of_routes("weight", "Weights", _anyone, _weight),
        _of_routes("filter", "Header change", lambda version: frozenset({f"a {version}"}), _filter),
        _host_move(),
        _policy(),
        _certificate(),
        _endpoints(backends),
    ]


def _of_routes(
    name: str,
    what: str,
    answers: Callable[[int], frozenset[str]],
    documents: Callable[[str, int], Sequence[Document]],
) -> Kind:
    """A kind that edits one Route for each host; `documents`: of a name and a version, the Route last."""

    def steps(version: int) -> Sequence[Files]:
        return [{f"{name}-{lane}": documents(f"{name}-{lane}", version) for lane in range(LANES)}]

    def told(said: Told, version: int) -> bool:
        # The first version is generation 1.
        return all(said.programmed("Route", f"{name}-{lane}") > version for lane in range(LANES))

    return Kind(name=name, what=what, steps=steps, answers=answers, told=told)


def _turns(version: int) -> frozenset[str]:
    return frozenset({"ab"[version % 2]})


def _anyone(_: int) -> frozenset[str]:
    return frozenset({"a", "b"})


def _hosts(name: str) -> list[str]:
    return [f"{name}.bench.localhost"]


def _swap(backends: Backends) -> Callable[[str, int], Sequence[Document]]:
    """Upstreams that were never there before, and the Route that names them, in one file."""

    def documents(name: str, version: int) -> Sequence[Document]:
        backend, before = "ab"[version % 2], f"{name}-{version}-"
        made = backends.upstreams(backend, before=before)
        return [*made, route(name, _hosts(name), to(f"{before}{backend}"))]

    return documents


def _insert(name: str, version: int) -> Sequence[Document]:
    inserted = to("b", matches={"headers": [{"name": "x-load", "value": "1"}]}) if version % 2 else []
    return [route(name, _hosts(name), [*inserted, *to("a", timeout={"request": f"{30 + version}s"})])]


def _reorder(name: str, version: int) -> Sequence[Document]:
    """Two pairs of rules that match the same requests by different headers: the first one takes them."""
    pairs = [
        to(backend, matches={"headers": [{"name": header, "value": "1"}]})
        for backend, header in (("a", "x-load"), ("b", "x-also"))
    ]
    return [route(name, _hosts(name), [each for pair in (pairs, pairs[::-1])[version % 2] for each in pair])]


def _weight(name: str, version: int) -> Sequence[Document]:
    share = 5 + version % 90
    return [route(name, _hosts(name), split({"a": share, "b": 100 - share}))]


def _filter(name: str, version: int) -> Sequence[Document]:
    changes = {"set": [{"name": "x-version", "value": str(version)}]}
    return [route(name, _hosts(name), to("a", responseHeaders=changes))]


def edited_while_away() -> Kind:
    """What is edited while no operator runs."""
    made = _of_routes(
        "killed", "Operator killed, a header change meanwhile", lambda version: frozenset({f"a {version}"}), _filter
    )
    return replace(made, exact=False)


def _host_move() -> Kind:
    """Host of one Route, then of another; the one that gains it is edited first, as two edits can't be one."""

    def steps(version: int) -> Sequence[Files]:
        gains, loses = "ab"[version % 2], "ba"[version % 2]
        return [
            {f"host-{lane}-{gains}": [_owner(lane, gains, [host_of("host", lane)], version)] for lane in range(LANES)},
            {f"host-{lane}-{loses}": [_owner(lane, loses, [], version)] for lane in range(LANES)},
        ]

    def told(said: Told, version: int) -> bool:
        return all(said.programmed("Route", f"host-{lane}-{each}") > version for lane in range(LANES) for each in "ab")

    return Kind(name="host", what="Host moved to another Route", steps=steps, answers=_turns, told=told)


def _owner(lane: int, backend: str, hosts: Sequence[str], version: int) -> Document:
    mine = f"host-{lane}-{backend}.bench.localhost"
    return route(f"host-{lane}-{backend}", [mine, *hosts], to(backend, timeout={"request": f"{30 + version}s"}))


def _policy() -> Kind:
    """Attached, changed and detached, each kind of policy in turn."""

    def steps(version: int) -> Sequence[Files]:
        made: dict[str, Sequence[Document]] = {}
        for lane in range(LANES):
            name = f"policy-{lane}"
            made[name] = [route(name, _hosts(name), to("a"))]
            made[f"{name}-limit"] = [_limit(name, version)] if version % 4 in (1, 2) else []
            made[f"{name}-auth"] = [_authentication(name, version)] if version % 4 in (2, 3) else []
        return [made]

    def told(said: Told, version: int) -> bool:
        limits, auths = version % 4 in (1, 2), version % 4 in (2, 3)
        names = [f"policy-{lane}" for lane in range(LANES)]
        return all(
            bool(said.programmed("RateLimit", name)) == limits and bool(said.programmed("AuthPolicy", name)) == auths
            for name in names
        )

    return Kind(
        name="policy",
        what="RateLimit and AuthPolicy attached, changed, detached",
        steps=steps,
        answers=lambda _: frozenset({"a"}),
        told=told,
    )


def _limit(name: str, version: int) -> Document:
    return resources.limit(name, on("Route", name), requests=1_000_000 + version, window="1s")


def _authentication(name: str, version: int) -> Document:
    provider = resources.tokens_of("issuer", clockSkew=f"{60 + version % 100}s")
    return resources.policy(name, on("Route", name), authentication=resources.proven_by(provider, mode="Optional"))


def _certificate() -> Kind:
    """The Secret of each host is written anew."""
    labels = [_sans(host_of("certificate", lane), number) for lane in range(LANES) for number in range(_CERTIFICATES)]
    prints = {label: _print(label) for label in labels}

    def steps(version: int) -> Sequence[Files]:
        return [
            {
                f"certificate-{lane}": [
                    secret(f"certificate-{lane}", tls_data(*_of(lane, version)), "kubernetes.io/tls"),
                    route(f"certificate-{lane}", [host_of("certificate", lane)], to("a")),
                ]
                for lane in range(LANES)
            }
        ]

    def answers(version: int) -> frozenset[str]:
        return frozenset({"a", *(f"a {prints[_of(lane, version)]}" for lane in range(LANES))})

    return Kind(
        name="certificate",
        what="Certificate renewed",
        steps=steps,
        answers=answers,
        told=lambda _, __: True,
        sends={"Secret": LANES},
        exact=False,
        tls=True,
    )


def _of(lane: int, version: int) -> tuple[str, str]:
    return _sans(host_of("certificate", lane), version % _CERTIFICATES)


def _sans(host: str, number: int) -> tuple[str, str]:
    """The first name is no host that is asked for: it picks the key."""
    return f"n{number}.{host}", host


def _print(hosts: tuple[str, str]) -> str:
    return fingerprint(ssl.PEM_cert_to_DER_cert(certificate_pem(*hosts)))


def _endpoints(backends: Backends) -> Kind:
    """Endpoints of Services come and go; one backend at least is there at any time."""

    def steps(version: int) -> Sequence[Files]:
        return [
            {
                f"endpoints-{lane}": [
                    *_fixed(f"endpoints-{lane}"),
                    *_slices(f"endpoints-{lane}-rest", backends.address, backends.rest, version),
                    *_slices(f"endpoints-{lane}-calls", backends.address, backends.calls, version),
                ]
                for lane in range(LANES)
            }
        ]

    return Kind(
        name="endpoints",
        what="Endpoints come and go",
        steps=steps,
        answers=lambda version: frozenset(_SLICES[version % len(_SLICES)]),
        told=lambda _, __: True,
        sends={"ClusterLoadAssignment": 2 * LANES},
        exact=False,
    )


def _fixed(name: str) -> list[Document]:
    port = {"name": "main", "port": 80}
    return [
        resources.service(f"{name}-rest", port),
        resources.service(f"{name}-calls", port),
        resource("Upstream", f"{name}-rest", {"service": {"name": f"{name}-rest", "port": 80}}),
        resource("Upstream", f"{name}-calls", {"service": {"name": f"{name}-calls", "port": 80}, "protocol": "GRPC"}),
        route(name, _hosts(name), to(name)),
    ]


def _slices(service: str, address: str, ports: Mapping[str, int], version: int) -> list[Document]:
    """A slice for each: an endpoint is an address, and they have the same."""
    return [
        resources.endpoint_slice(
            service,
            {"addresses": [address]},
            ports=({"name": "main", "port": ports[name]},),
            name=f"{service}-{name}",
        )
        for name in _SLICES[version % len(_SLICES)]
    ]


def beginning(backends: Backends, port: int, tls: int) -> list[Document]:
    """What is there throughout: the Edge, backends, a neighbour, keys."""
    listeners = [
        {"name": "http", "port": port},
        {
            "name": "https",
            "port": tls,
            "protocol": "HTTPS",
            "tls": {"certificates": [{"name": f"certificate-{lane}"} for lane in range(LANES)]},
        },
    ]
    return [
        resources.edge(port, name=EDGE, hosts=["*.bench.localhost"], listeners=listeners, accessLog=True),
        *backends.upstreams("a", "b"),
        route("neighbour", ["neighbour.bench.localhost"], to("a")),
        resources.config_map("keys", {"issuer": jwks("issuer")}),
    ]


def fillers(count: int) -> list[Document]:
    """Routes that nobody asks for."""
    return [
        resources.route(f"r{number}", rule(says=str(number)), hosts=f"h{number}.bench.localhost")
        for number in range(count)
    ]
