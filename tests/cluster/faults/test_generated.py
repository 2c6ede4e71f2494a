"""Resources by the thousand, sound, spoilt and hostile: nothing crashes, neighbours serve, each has its reason."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections import Counter
from pathlib import Path
from typing import Any

import aiohttp
import fastforward_crds as crds
import pytest
from fastforward_operator.kubernetes.access import find_access

from support.admission import Api
from support.cluster.kubectl import Kubectl
from support.envoy import Envoy, start_envoy
from support.faults.figures import Figures, smaller
from support.faults.generated import PORTS, drawn, fingerprint, hostile
from support.faults.outcome import listed
from support.faults.process import OperatorProcess
from support.faults.scene import STEADY, Scene, scene
from support.load import load
from support.operator import edge, respond, serves, until
from support.processes import free_port

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(7200)]

USUAL, USUAL_SAMPLE = 100_000, 4_000
COUNT = int(os.environ.get("FF_GENERATED", USUAL))
SAMPLE = int(os.environ.get("FF_GENERATED_API", USUAL_SAMPLE))
SEED = int(os.environ.get("FF_GENERATED_SEED", "0"))
"""Another one gives other documents; the same one, by the same sources, the same."""
BATCH, API_BATCH = 2000, 500
REASON_S = 5.0
GIVE_UP_S = 120.0
HOST = "steady.neighbour.test"
AWAY = "metadata: {namespace: neighbour, creationTimestamp: '2026-01-01T00:00:00Z', "
"""The neighbours' namespace: what is generated is in another, and younger, as it would be on an API server."""


class Told:
    """What the operator's API says of each object, kept up to date as a dashboard does it: by what is new."""

    def __init__(self, operator: OperatorProcess) -> None:
        self._url = f"http://127.0.0.1:{operator.api_port}/v1/objects"
        self._since = ""
        self.objects: dict[tuple[str, ...], dict[str, Any]] = {}

    async def look(self) -> list[dict[str, Any]]:
        """What is new of those that are there, and how that is told."""
        async with aiohttp.ClientSession() as session, session.get(self._url, params={"since": self._since}) as answer:
            told = await answer.json()
        if told["complete"]:
            self.objects.clear()
        for each in told["gone"]:
            self.objects.pop(_key(each), None)
        self.objects.update((_key(each), each) for each in told["objects"])
        self._since = told["since"]
        news: list[dict[str, Any]] = told["objects"]
        return news

    async def until_judged(self, places: set[str]) -> float:
        """Seconds until each has a verdict; each refused one has words for it."""
        began, left = time.monotonic(), set(places)
        while left:
            news = await self.look()
            for each in news:
                if any(c["type"] == "Accepted" and c["status"] == "False" for c in each["conditions"]):
                    assert each["problems"], each
                    assert each["problems"][0]["message"], each
            left -= {each["source"] for each in news if each["conditions"]}
            assert time.monotonic() < began + GIVE_UP_S, sorted(left)[:10]
            await asyncio.sleep(0.1)
        return time.monotonic() - began

    async def until_left(self, count: int) -> float:
        """Seconds until no more are there than so many."""
        began = time.monotonic()
        while len(self.objects) > count:
            await self.look()
            assert time.monotonic() < began + GIVE_UP_S, sorted(self.objects)[:10]
            await asyncio.sleep(0.1)
        return time.monotonic() - began


def _key(each: dict[str, Any]) -> tuple[str, ...]:
    return each["kind"], each["namespace"], each["name"]


async def refused(envoy: Envoy) -> int:
    """How often Envoy refused what it was told."""
    lines = (await envoy.admin("/stats?filter=update_rejected$")).splitlines()
    return sum(int(line.rpartition(":")[2]) for line in lines if ":" in line)


def name_of(document: Any) -> str:  # noqa: ANN401 - may be anything
    metadata = document.get("metadata")
    return str(metadata.get("name", "")) if isinstance(metadata, dict) else ""


async def batches(count: int, size: int, first: int) -> list[list[Any]]:
    """So many documents of the seeds from `first` on. Drawn before anything is timed: a batch takes a core a minute."""
    free = asyncio.Semaphore(os.cpu_count() or 1)

    async def draw(number: int) -> list[Any]:
        async with free:
            documents = await asyncio.to_thread(drawn, size, number)
        print(f"seed {number} gives documents {fingerprint(documents)}", flush=True)
        return documents

    found = await asyncio.gather(*(draw(first + number) for number in range(count // size)))
    assert [len(documents) for documents in found] == [size] * len(found)
    return found


def seed_of(drawn_before: list[list[Any]]) -> str:
    """As the figures tell it."""
    return f"{SEED}, which gives documents {fingerprint(list(map(fingerprint, drawn_before)))}"


async def test_generated_files_leave_neighbours_alone(tmp_path: Path, figures: Figures) -> None:
    folder = tmp_path / "resources"
    folder.mkdir()
    drawn_before = await batches(COUNT, BATCH, SEED)
    ports = {port: free_port() for port in PORTS}
    settings = {"FF_PROVIDER": "file", "FF_DIRECTORIES": str(folder), "FF_PORTS": json.dumps(ports)}
    operator = OperatorProcess(tmp_path / "operator", {**settings, "FF_LOG_LEVEL": "error"})
    operator.start()
    neighbours = (edge(HOST), respond("steady", HOST, "steady", path=STEADY), respond("shop", HOST, "0", path="/shop"))
    write(folder, "neighbours", "\n---\n".join(text.replace("metadata: {", AWAY) for text in neighbours).encode())
    await until(operator.is_ready, bool)
    socket = tmp_path / "operator/state/xds.sock"
    envoy = start_envoy("envoy", tmp_path / "envoy", xds_socket=socket, port=ports[80])
    try:
        await serves(envoy, HOST, "steady", STEADY)
        async with load(ports[80], HOST, path=STEADY, clients=1) as seen:
            reasons, gone, changes = await feed(folder, operator, envoy, drawn_before)
        nacks, alive = await refused(envoy), operator.running
    finally:
        await asyncio.to_thread(envoy.stop)
        await operator.stop()
    figures.put(
        "generated",
        {
            "files": f"{len(drawn_before) * BATCH:,} documents, and {len(list(hostile()))} hostile files",
            "seed": seed_of(drawn_before),
            "crashes": "0" if alive else "1",
            "refusals by Envoy": str(nacks),
            "each has its reason": f"within {max(reasons):.1f} s, {BATCH:,} at once",
            "each is gone when its file is": f"within {max(gone):.1f} s",
            "a neighbour's change is live": f"within {max(changes):.1f} s",
            "requests": f"{sum(seen.answers.values())}, failed: {sum(seen.failed.values())}",
        },
        holds=alive and not nacks and not seen.failed and max(reasons) <= REASON_S,
        note=smaller(COUNT, USUAL, "documents"),
        failed=dict(seen.failed),
    )
    assert (alive, nacks, dict(seen.failed)) == (True, 0, {})


async def feed(
    folder: Path, operator: OperatorProcess, envoy: Envoy, drawn_before: list[list[Any]]
) -> tuple[list[float], list[float], list[float]]:
    """Seconds until each batch was judged, and gone again, and until a neighbour's change was live meanwhile."""
    reasons: list[float] = []
    gone: list[float] = []
    changes: list[float] = []
    told = Told(operator)
    neighbours = len(await told.look())
    for number, documents in enumerate(drawn_before):
        places = set()
        for start in range(0, len(documents), 100):
            some = documents[start : start + 100]
            write(folder, f"generated-{start}", "\n---\n".join(map(json.dumps, some)).encode())
            # One that was spoilt in its name may be one of several of that name.
            own = (place for place, document in enumerate(some) if name_of(document).startswith("g"))
            places |= {f"{folder}/generated-{start}.yaml:{2 * place + 1}" for place in own}
        meanwhile = asyncio.create_task(changed(folder, envoy, str(number + 1)))
        reasons.append(await told.until_judged(places))
        changes.append(await meanwhile)
        take_away(folder)
        gone.append(await told.until_left(neighbours))
        print(f"judged in {reasons[-1]:.1f} s, gone in {gone[-1]:.1f} s, changed in {changes[-1]:.1f} s", flush=True)
    for name, content in hostile():
        write(folder, f"hostile-{name}", content)
        changes.append(await changed(folder, envoy, name))
    return reasons, gone, changes


def take_away(folder: Path) -> None:
    for path in folder.glob("generated-*"):
        path.unlink()


def write(folder: Path, name: str, content: bytes) -> None:
    new = folder / f".{name}.new"
    new.write_bytes(content)
    new.rename(folder / f"{name}.yaml")


async def changed(folder: Path, envoy: Envoy, body: str) -> float:
    """Seconds until a neighbour's change is live."""
    began = time.monotonic()
    text = respond("shop", HOST, body, path="/shop").replace("metadata: {", AWAY)
    neighbours = (edge(HOST), respond("steady", HOST, "steady", path=STEADY))
    before = "\n---\n".join(each.replace("metadata: {", AWAY) for each in neighbours)
    write(folder, "neighbours", f"{before}\n---\n{text}".encode())
    await until(lambda: envoy.get(HOST, "/shop"), lambda answer: answer.body == body, seconds=60)
    return time.monotonic() - began


async def test_generated_resources_through_the_api_server(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str, figures: Figures
) -> None:
    settings = {"FF_KUBECONFIG": str(operator_kubeconfig), "FF_LOG_LEVEL": "error"}
    answers: Counter[int] = Counter()
    reasons: list[float] = []
    drawn_before = await batches(SAMPLE, API_BATCH, SEED + 1_000_000)
    async with (
        scene(tmp_path, kubectl, operator_kubeconfig, namespace, settings=settings) as found,
        Api(find_access(kubectl.kubeconfig)) as api,
    ):
        envoy = await found.begin()
        async with load(found.port, found.host, path=STEADY, clients=1) as seen:
            for number, documents in enumerate(drawn_before):
                for document in documents:
                    answers[await posted(api, document, namespace)] += 1
                began = time.monotonic()
                await until(lambda: unsaid(found), lambda left: not left, seconds=120, every=0.5)
                reasons.append(time.monotonic() - began)
                await found.apply(respond("shop", found.host, str(number), path="/shop"))
                await serves(envoy, found.host, str(number), "/shop")
                for kind in crds.KINDS:
                    await found.call("delete", kind.plural, "--wait=false", "-l", "generated=true")
            nacks, alive = await refused(envoy), found.operator.running
    figures.put(
        "generated-api",
        {
            "objects": ", ".join(f"{number:,} answered {status}" for status, number in sorted(answers.items())),
            "seed": seed_of(drawn_before),
            "crashes": "0" if alive else "1",
            "refusals by Envoy": str(nacks),
            "each that was taken has its status": f"within {max(reasons):.1f} s, up to {API_BATCH} at once",
            "requests": f"{sum(seen.answers.values())}, failed: {sum(seen.failed.values())}",
        },
        holds=alive and not nacks and not seen.failed and max(reasons) <= REASON_S,
        note=smaller(SAMPLE, USUAL_SAMPLE, "documents"),
        failed=dict(seen.failed),
    )
    assert (alive, nacks, dict(seen.failed)) == (True, 0, {})


async def posted(api: Api, document: dict[str, Any], namespace: str) -> int:
    """HTTP's status; 0 for what is no object that could be sent anywhere."""
    metadata, kind = document.get("metadata"), document.get("kind")
    if not isinstance(metadata, dict) or kind not in crds.PLURALS:
        return 0
    placed = {**document, "metadata": {**metadata, "labels": {"generated": "true"}}}
    path = f"/apis/{crds.API_VERSION}/namespaces/{namespace}/{crds.PLURALS[kind]}"
    told = await api.ask("POST", f"{path}?fieldValidation=Strict", placed)
    return told.status


async def unsaid(found: Scene) -> list[str]:
    """Objects of which nothing is said yet."""
    left = []
    for kind in crds.KINDS:
        path = f"/apis/{crds.API_VERSION}/namespaces/{found.namespace}/{kind.plural}"
        left += [each["metadata"]["name"] async for each in listed(found.api, path) if not each.get("status")]
    return left
