"""How long from a PATCH to the API server to changed traffic. Run as `python -m perf api_to_traffic`.

The clock starts before the PATCH is sent and stops at the first answer with the new content. etcd, API server, operator
and Envoy are the real ones, each its own process on this machine; etcd does not wait for the disk. The time until the
PATCH is answered is part of it, and told beside. One change follows the other, so that the status of each is written
while the next is on its way.

Before the operator starts and after it has ended, a plain client writes some statuses as fast as the API server takes
them: that is what the operator's rate is compared with.

With -tls it is as in pods: the Envoy proves who it is, and is sent what its Edge has and nothing else.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
import tempfile
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import fastforward_crds as crds
from fastforward_operator.kubernetes.access import find_access
from fastforward_operator.kubernetes.client import Client

from perf import standalone
from perf.change_worlds import EDGE, SHAPES, Probe, World
from perf.changing import Client as Asker
from perf.changing import until_answers
from perf.harness import report
from perf.harness.benchmark import Bar, Benchmark, Chart, Goal, Options, Outcome, Table, Tell
from perf.standalone import Standalone
from support.cluster.kubectl import Kubectl
from support.cluster.shared import shared_cluster
from support.nodes import OPERATOR, certified, fill, trust_of
from support.repository import ROOT

_START_S, _GIVE_UP_S = 120.0, 20.0
_WRITERS = 32
_PLAIN = 2000
_CONDITION = {"status": "True", "observedGeneration": 1, "message": "", "lastTransitionTime": "2026-01-01T00:00:00Z"}
_PLAIN_STATUS = {
    "observedGeneration": 1,
    "conditions": [
        {**_CONDITION, "type": kind, "reason": "Plain"} for kind in ("Accepted", "ResolvedRefs", "Programmed")
    ],
    "proxies": "0/0",
}
"""As large as the operator's."""
_AS_PODS = {"FF_XDS_NAMES": OPERATOR, "FF_ENVOY_IMAGE": "envoy:bench", "FF_DECISION_IMAGE": "decision:bench"}
_FOLDERS = ("edge.yaml", "auth.yaml", "tenants", "routes")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One shape, measured."""

    start_s: float
    """From the start of the processes to the first answer of the last route."""
    change_ms: dict[str, float]
    pss_mib: dict[str, float]
    statuses_s: float
    """From the first answer of the last route to the last status written."""
    statuses_a_s: float
    """Statuses that the operator wrote, a second, from the first one to the last."""
    plain_a_s: tuple[float, float]
    """Statuses of the same size that a plain client wrote, a second, with nothing else to do: before the operator's,
    where there were none, and in place of the operator's."""
    writes_a_route: float
    """How often the operator wrote until all was told."""
    patch_ms: dict[str, float]
    """Until the API server answers."""


class Setting(NamedTuple):
    """An API server that holds the routes, and the product beside it, not started yet."""

    api: Client
    kubectl: Kubectl
    gateway: Standalone
    world: World


@contextlib.asynccontextmanager
async def setting(folder: Path, shape: str, routes: int, *, tls: bool = False) -> AsyncGenerator[Setting]:
    """With everything in `folder`."""
    with shared_cluster(folder / "api-server", "--light") as cluster:
        kubectl = Kubectl(cluster.kubeconfig)
        kubectl("apply", "--server-side", "-f", str(ROOT / "crds/generated"))
        kubectl("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds/generated"))
        kubectl("create", "namespace", "fastforward-system")
        source = {
            "FF_PROVIDER": "kubernetes",
            "FF_KUBECONFIG": str(cluster.kubeconfig),
            **(_AS_PODS if tls else {}),
        }
        async with Client(find_access(cluster.kubeconfig)) as api, Standalone(folder / "state", source) as gateway:
            world = SHAPES[shape](folder / "resources", routes, gateway.port)
            await create_all(api, folder / "resources")
            yield Setting(api, kubectl, gateway, world)


async def _measure(shape: str, routes: int, changes: int) -> Result:
    """Start everything, then change one route after the other."""
    kind, _, tls = shape.partition("-")
    with tempfile.TemporaryDirectory(prefix="ff-bench-") as name:
        folder = Path(name)
        async with setting(folder, kind, routes, tls=bool(tls)) as (api, kubectl, gateway, world):
            plain = [world.route(probe, 0) for probe in world.probes[:_PLAIN]]
            first = await plain_rate(api, plain)
            before, began = writes(kubectl), time.perf_counter()
            await start(gateway, api, folder / "tls" if tls else None)
            asker = Asker(gateway.port)
            await until_answers(asker, world.probes[-1], 0, _START_S)
            start_s, served_at = time.perf_counter() - began, time.time()
            told_at = await until_told(api, routes)
            written = writes(kubectl) - before
            chance = random.Random(0)
            samples = [await _change(api, world, asker, chance.choice(world.probes), n + 1) for n in range(changes)]
            memory = gateway.memory()
            gateway.stop(standalone.OPERATOR)
            second = await plain_rate(api, plain)
            return Result(
                start_s=round(start_s, 2),
                statuses_s=round(max(told_at) - served_at),
                statuses_a_s=round(routes / (max(told_at) - min(told_at) + 1)),
                plain_a_s=(round(first), round(second)),
                writes_a_route=round(written / routes, 3),
                change_ms=report.summary([seen for seen, _ in samples]),
                patch_ms=report.summary([answered for _, answered in samples]),
                pss_mib=memory,
            )


async def start(gateway: Standalone, api: Client, tls: Path | None) -> None:
    """The operator and an Envoy; with `tls`, one that proves who it is by what the operator made for its pod."""
    gateway.start_operator(tls=tls is not None)
    if tls is None:
        gateway.start_envoy()
    else:
        fill(tls, *await certified(api, EDGE))
        gateway.start_envoy(trust_of(tls))


async def create_all(api: Client, resources: Path) -> None:
    """What the files hold, to the API server."""
    writers = asyncio.Semaphore(_WRITERS)

    async def create(document: Mapping[str, Any]) -> None:
        async with writers:
            await api.create(collection(document), document)

    for place in _FOLDERS:
        found = resources / place
        files = sorted(found.iterdir()) if found.is_dir() else [found] if found.exists() else []
        texts = (text for file in files for text in file.read_text().split("\n---\n"))
        await asyncio.gather(*(create(json.loads(text)) for text in texts))


def collection(document: Mapping[str, Any]) -> str:
    """Path of the list that an object is in."""
    if document["kind"] == "ConfigMap":
        return "/api/v1/namespaces/default/configmaps"
    return f"/apis/{crds.API_VERSION}/namespaces/default/{crds.PLURALS[document['kind']]}"


async def plain_rate(api: Client, routes: Sequence[str]) -> float:
    """Writes a status of each, as the operator's are; returns how many a second were taken."""
    documents = [json.loads(text) for text in routes]
    writers = asyncio.Semaphore(_WRITERS)

    async def write(document: Mapping[str, Any]) -> None:
        name = document["metadata"]["name"]
        head = {"apiVersion": crds.API_VERSION, "kind": document["kind"], "metadata": {"name": name}}
        async with writers:
            await api.apply_status(f"{collection(document)}/{name}", {**head, "status": _PLAIN_STATUS})

    began = time.perf_counter()
    await asyncio.gather(*(write(document) for document in documents))
    return len(documents) / (time.perf_counter() - began)


def writes(kubectl: Kubectl) -> int:
    """How many statuses of Routes the API server has taken, by its own count."""
    counts = re.findall(r"^apiserver_request_total\{(.*)\} (\d+)$", kubectl("get", "--raw", "/metrics"), re.MULTILINE)
    wanted = {'resource="routes"', 'subresource="status"', 'verb="APPLY"', 'code="200"'}
    return sum(int(count) for labels, count in counts if wanted <= set(labels.split(",")))


async def until_told(api: Client, routes: int) -> list[float]:
    """Once every route has the status of its version: when each was written, as the API server has it, to a second."""
    async with asyncio.timeout(_START_S + routes / 50):
        while True:
            told = [_written_at(each) async for each in _routes(api) if _is_told(each)]
            if len(told) >= routes:
                return told
            # Seldom: a list of all of them keeps the API server from writing.
            await asyncio.sleep(5)


def _is_told(route: Mapping[str, Any]) -> bool:
    """Whether its last condition is the operator's word about its version; a plain client says `Plain`."""
    conditions = route.get("status", {}).get("conditions", ())
    return bool(conditions) and conditions[-1]["reason"] == "Programmed"


def _written_at(route: Mapping[str, Any]) -> float:
    times = [each["time"] for each in route["metadata"]["managedFields"] if each.get("subresource") == "status"]
    return datetime.fromisoformat(max(times)).timestamp()


async def _routes(api: Client) -> AsyncGenerator[dict[str, Any]]:
    following = ""
    while True:
        page = await api.page(f"/apis/{crds.API_VERSION}/routes", "", following)
        for each in page.objects:
            yield each
        following = page.following
        if not following:
            return


async def patch(api: Client, world: World, probe: Probe, generation: int) -> None:
    """A route becomes what it is in this generation."""
    document = json.loads(world.route(probe, generation))
    await api.merge(f"{collection(document)}/{document['metadata']['name']}", {"spec": document["spec"]})


async def _change(api: Client, world: World, asker: Asker, probe: Probe, generation: int) -> tuple[float, float]:
    began = time.perf_counter()
    await patch(api, world, probe, generation)
    answered = time.perf_counter()
    await until_answers(asker, probe, generation, _GIVE_UP_S)
    return (time.perf_counter() - began) * 1e3, (answered - began) * 1e3


def measure(options: Options, tell: Tell) -> Outcome:
    """Each shape at each size."""
    found: dict[str, Result] = {}
    for routes in options.routes:
        for shape in filter(options.wants, _SHAPES):
            label = f"{routes:,} routes, {shape}"
            tell(f"{label}: starts")
            found[label] = asyncio.run(_measure(shape, routes, options.changes))
            tell(f"{label}: {found[label].change_ms}")
    return Outcome(
        figures=_figures(found),
        tables=_tables(found),
        charts=[
            Chart(
                name="api_to_traffic",
                title="From a PATCH to changed traffic",
                unit="ms",
                value="p50",
                tail="p99",
                goal=60,
                bars=[
                    Bar(label=label, value=each.change_ms["p50"], tail=each.change_ms["p99"])
                    for label, each in found.items()
                ],
            )
        ],
        data={label: asdict(each) for label, each in found.items()},
    )


def _figures(found: Mapping[str, Result]) -> dict[str, float]:
    figures = {}
    for shape in _SHAPES:
        if each := found.get(f"10,000 routes, {shape}"):
            figures |= {f"{shape}-p50": each.change_ms["p50"], f"{shape}-p99": each.change_ms["p99"]}
    if each := found.get("10,000 routes, hosts"):
        figures |= {
            "statuses": round(100 * each.statuses_a_s / max(each.plain_a_s)),
            "writes": each.writes_a_route,
        }
    return figures


def _tables(found: Mapping[str, Result]) -> list[Table]:
    return [
        Table(
            title="From a PATCH to the first answer with the new content, ms",
            columns=["", "p50", "p90", "p99", "slowest", "changes", "of which the API server: p50", "p99"],
            rows=[
                [label, *each.change_ms.values(), each.patch_ms["p50"], each.patch_ms["p99"]]
                for label, each in found.items()
            ],
        ),
        Table(
            title="Statuses a second after a start",
            columns=["", "operator", "plain client, before", "plain client, after", "writes a route"],
            rows=[[label, each.statuses_a_s, *each.plain_a_s, each.writes_a_route] for label, each in found.items()],
        ),
    ]


_SHAPES = tuple(f"{shape}{tls}" for tls in ("", "-tls") for shape in SHAPES)
BENCHMARK = Benchmark(
    name="api_to_traffic",
    title="From `kubectl` to changed traffic",
    about="""
The same with the resources in a real API server: etcd (`--unsafe-no-fsync`: it does not wait for the disk),
kube-apiserver, operator and Envoy all run on this machine. The clock starts before the PATCH is sent. One change
follows the other at once, so that the status of each is written while the next is on its way. With `-tls` it is as in
pods: Envoy proves who it is by the certificate that the operator made for its Edge, and is sent that Edge's resources
alone.

Before the operator starts and after it has ended, a plain client that watches nothing writes statuses of the same size
as fast as the API server takes them: that is what the operator's rate is compared with.
""",
    goals={
        **{
            f"{shape}-{name}": Goal(what=f"PATCH to traffic, 10,000 routes, {shape}, {name}", bound=most, unit="ms")
            for shape in _SHAPES
            for name, most in (("p50", 15), ("p99", 60))
        },
        "statuses": Goal(
            what="statuses a second, of what a plain client reaches at best",
            bound=80,
            unit="%",
            least=True,
            why="API server and etcd share two cores with the operator, which compiles and serves meanwhile; eight "
            "writers, because 32 reach 75 % but hold what users write up (a single change in a burst: p99 1.56 s "
            "instead of 0.91 s).",
        ),
        "writes": Goal(what="writes of a status, a route", bound=1.05, unit=""),
    },
    measure=measure,
    full=Options(routes=(10_000,)),
    smoke=Options(routes=(20,), changes=5, against=("hosts",)),
)
