"""The leader applies and takes away: what fails there holds up nothing else, and what changed meanwhile stays."""

from __future__ import annotations

import base64
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from types import SimpleNamespace
from typing import Any, cast

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import documents
from fastforward_compiler.emit.kubernetes import (
    COMPONENTS,
    OWNER,
    TLS_FOLDER,
    Names,
    PodSettings,
    edge_names,
    workload_names,
)
from fastforward_compiler.problem import ObjectRef
from fastforward_operator.kubernetes import dataplane, podcertificates
from fastforward_operator.kubernetes.client import ApiError
from fastforward_operator.kubernetes.dataplane import DIGEST, DataPlane
from fastforward_operator.kubernetes.kinds import PLURALS
from fastforward_operator.kubernetes.podsecrets import WORKLOADS
from structlog.testing import capture_logs

from support.eventually import eventually, meanwhile

SHOP = ObjectRef(kind="Workload", namespace="shop", name="a")
NAMES = workload_names("shop/a")
WORKLOAD = ir.Workload(name="shop/a", pods=ir.Pods(replicas=1))
OLD = {"name": "x", "uid": "u-x", "resourceVersion": "5", "labels": {OWNER: "shop.gone"}}


class Cluster:
    """An API server with the same objects of each kind; it fails where it is told to."""

    def __init__(self) -> None:
        self.there: list[dict[str, Any]] = [OLD]
        self.unlisted: set[str] = set()
        self.refused: dict[str, int] = {}
        self.deleted: list[str] = []
        self.conditions: list[Mapping[str, str] | None] = []
        self.applied: dict[str, Any] = {}
        self.on_list: Callable[[str], None] = lambda _: None

    async def each(self, path: str, _: str) -> AsyncIterator[Any]:
        plural = path.rpartition("/")[2]
        if plural in self.unlisted:
            raise ApiError(500, "conversion webhook failed")
        for metadata in self.there:
            yield {"metadata": metadata}
        self.on_list(plural)

    async def delete(self, path: str, may: Callable[[], bool], only: Mapping[str, str]) -> None:
        plural, name = path.split("/")[-2:]
        assert may()
        if plural in self.refused:
            raise ApiError(self.refused[plural], "no")
        self.deleted.append(f"{plural}/{name}")
        self.conditions.append(only)

    def names_of(self, plural: str) -> set[str]:
        """Of those that were taken away."""
        return {each.partition("/")[2] for each in self.deleted if each.startswith(f"{plural}/")}

    async def apply(self, path: str, body: Any, _: Callable[[], bool]) -> str:  # noqa: ANN401 - JSON
        if "apply" in self.refused:
            raise ApiError(self.refused["apply"], "no")
        self.applied[path.split("/")[-2]] = body
        return "1"

    async def read(self, path: str) -> Any:  # noqa: ANN401 - JSON
        return {"data": good()} if "/secrets/" in path else None


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def good() -> dict[str, str]:
    """What a Secret has that needs nothing."""
    files = {"ca.crt": "authority", "tls.crt": "certificate", "tls.key": "key", **documents(TLS_FOLDER)}
    return {name: encoded(text) for name, text in files.items()}


class Scene:
    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.cluster, self.leads = Cluster(), True
        self.faults: list[tuple[ObjectRef, str]] = []
        settings = PodSettings(namespace="system", envoy_image="envoy:1", decision_image="decision:1")
        authority = SimpleNamespace(bundle="authority", clock=lambda: 1, ready=SimpleNamespace(wait=self.ready))
        self.plane = DataPlane(
            cast("Any", self.cluster), cast("Any", authority), settings, lambda: self.leads, "system"
        )
        self.plane.on_fault = lambda ref, why: self.faults.append((ref, why))
        monkeypatch.setattr(podcertificates, "renew_at", lambda _: 2)
        monkeypatch.setattr(dataplane, "RETRY_S", 0.01)

    async def ready(self) -> None:
        pass


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    return Scene(monkeypatch)


def step(*workloads: ir.Workload, removed: tuple[str, ...] = ()) -> ir.Delta:
    return ir.Delta(workloads=ir.Changes(upserts=workloads, removed=removed))


EVERY = sorted(f"{plural}/x" for plural in PLURALS.values())


async def test_a_kind_that_cannot_be_listed_keeps_no_other_from_being_taken_away(scene: Scene) -> None:
    scene.cluster.unlisted = {"middlewares"}
    await scene.plane._pass()
    assert sorted(scene.cluster.deleted) == [each for each in EVERY if each != "middlewares/x"]
    assert scene.plane.faults == {"what is to go of Middleware": "500: conversion webhook failed"}
    scene.cluster.unlisted = set()
    await scene.plane._pass()
    assert scene.plane.faults == {}
    assert "middlewares/x" in scene.cluster.deleted


async def test_an_object_that_cannot_be_taken_away_keeps_no_other_from_it(scene: Scene) -> None:
    scene.cluster.there = [OLD, {**OLD, "name": "y"}]
    refuse = scene.cluster.delete

    async def delete(path: str, may: Callable[[], bool], only: Mapping[str, str]) -> None:
        if path.endswith("services/x"):
            raise ApiError(403, "no")
        await refuse(path, may, only)

    scene.cluster.delete = delete
    await scene.plane._pass()
    assert "services/y" in scene.cluster.deleted
    assert scene.plane.faults == {"Service x": "403: no"}
    scene.cluster.there = []
    await scene.plane._pass()
    assert scene.plane.faults == {}, "it is gone, whoever took it away"


async def test_what_is_taken_away_is_what_was_listed(scene: Scene) -> None:
    await scene.plane._pass()
    assert scene.cluster.conditions == [{"uid": "u-x", "resourceVersion": "5"}] * len(PLURALS)


async def test_what_changed_since_it_was_listed_is_left_to_the_next_pass(scene: Scene) -> None:
    scene.cluster.refused = {"deployments": 409}
    with capture_logs() as logs:
        async with meanwhile(scene.plane.run()):
            scene.plane.observe_objects({})
            await eventually(lambda: len(scene.cluster.deleted) >= len(PLURALS))
            assert "deployments/x" not in scene.cluster.deleted
            assert scene.plane.faults == {}
            scene.cluster.refused = {}
            await eventually(lambda: "deployments/x" in scene.cluster.deleted)
    assert {each["event"] for each in logs} == {"taken away"}


async def test_what_is_wanted_again_since_it_was_listed_stays(scene: Scene) -> None:
    scene.cluster.there = [{**OLD, "name": NAMES.base}]
    scene.cluster.on_list = lambda plural: scene.plane.observe_step(step(WORKLOAD)) if plural == "services" else None
    await scene.plane._pass()
    assert "services/" + NAMES.base not in scene.cluster.deleted


def named(names: Names) -> dict[str, Any]:
    """What something that is made is listed with."""
    return {"name": names.base, "uid": "u", "resourceVersion": "5", "labels": names.labels}


PUBLIC = ObjectRef(kind="Edge", namespace="shop", name="public")
OF_WORKLOAD = tuple(workload_names("shop/public", component) for component in COMPONENTS)


@pytest.mark.parametrize("kind", ["Edge", "Gateway"])
async def test_what_cannot_be_read_keeps_its_pods_though_a_workload_has_its_name(scene: Scene, kind: str) -> None:
    name = "shop/public" if kind == "Edge" else "shop/public~gateway"
    other = "shop/public~gateway" if kind == "Edge" else "shop/public"
    scene.cluster.there = [named(each) for each in (edge_names(name), edge_names(other), *OF_WORKLOAD)]
    scene.plane.observe_objects({replace(PUBLIC, kind=kind): object(), replace(PUBLIC, kind="Workload"): object()})
    scene.plane.observe_step(step(replace(WORKLOAD, name="shop/public")))
    await scene.plane._pass()
    # A Workload is pods of one component alone.
    stay = {edge_names(name).base, OF_WORKLOAD[0].base}
    assert scene.cluster.names_of("deployments") == {each["name"] for each in scene.cluster.there} - stay


async def test_a_workload_that_cannot_be_read_keeps_its_pods_though_an_edge_has_its_name(scene: Scene) -> None:
    scene.cluster.there = [named(each) for each in (edge_names("shop/public"), *OF_WORKLOAD)]
    scene.plane.observe_objects({PUBLIC: object(), replace(PUBLIC, kind="Workload"): object()})
    edge = ir.Edge(name="shop/public", hosts=(), listeners=(), proxies=ir.Proxies(managed=False))
    scene.plane.observe_step(ir.Delta(edges=ir.Changes(upserts=(edge,))))
    await scene.plane._pass()
    assert scene.cluster.names_of("deployments") == {edge_names("shop/public").base}


async def test_who_leads_no_more_takes_nothing_away(scene: Scene) -> None:
    def resign(_: str) -> None:
        scene.leads = False

    scene.cluster.on_list = resign
    await scene.plane._pass()
    assert scene.cluster.deleted == []


async def test_what_failed_for_a_leader_is_not_said_by_him_when_he_leads_no_more(scene: Scene) -> None:
    scene.cluster.there, scene.cluster.refused = [], {"apply": 403}
    scene.plane.observe_step(step(WORKLOAD))
    async with meanwhile(scene.plane.run()):
        scene.plane.observe_objects({SHOP: object()})
        await eventually(lambda: scene.faults)
        assert scene.faults[-1] == (SHOP, "403: no")
        scene.leads = False
        await eventually(lambda: not scene.plane.faults)
    assert scene.faults[-1] == (SHOP, "")


async def test_a_failure_on_the_way_out_of_office_is_no_fault(scene: Scene) -> None:
    async def break_off(path: str, body: Any, _: Callable[[], bool]) -> str:  # noqa: ANN401 - JSON
        scene.leads = False
        raise ApiError(403, f"{body['kind']} {path}")

    scene.cluster.apply = break_off
    scene.plane.observe_step(step(WORKLOAD))
    await scene.plane._pass()
    assert (scene.plane.faults, scene.faults) == ({}, [])


async def test_a_deployment_says_what_it_is_made_of_and_its_pods_do_not(scene: Scene) -> None:
    scene.plane.observe_step(step(WORKLOAD))
    await scene.plane._pass()
    made = scene.cluster.applied["deployments"]
    first = made["metadata"]["annotations"][DIGEST]
    assert first == scene.plane.digest(NAMES)
    assert DIGEST not in made["spec"]["template"]["metadata"].get("annotations", {})
    assert "annotations" not in scene.cluster.applied["services"]["metadata"]
    scene.plane.observe_step(step(replace(WORKLOAD, pods=ir.Pods(replicas=2))))
    assert scene.plane.digest(NAMES) not in ("", first)
    scene.plane.observe_step(step(removed=("shop/a",)))
    assert scene.plane.digest(NAMES) == ""


async def test_annotations_of_users_stay_beside_ours(scene: Scene) -> None:
    proxies = ir.Proxies(shared_annotations=(("example.com/owner", "books"), (DIGEST, "none")))
    edge = ir.Edge(name="shop/public", hosts=(), listeners=(), proxies=proxies)
    scene.plane.observe_step(ir.Delta(edges=ir.Changes(upserts=(edge,))))
    await scene.plane._pass()
    assert scene.cluster.applied["deployments"]["metadata"]["annotations"] == {
        "example.com/owner": "books",
        DIGEST: scene.plane.digest(edge_names("shop/public")),
    }


DIGESTS = """
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings, emit_edge, emit_workload
from fastforward_operator.kubernetes.dataplane import digest_of
settings = PodSettings(namespace="system", envoy_image="envoy:1", decision_image="decision:1")
store = ir.Redis(host="r", port=1, password=("r", "p"))
workload = ir.Workload(name="shop/a", pods=ir.Pods(), redis=store, seal=("s", "k"))
edge = ir.Edge(name="shop/public", hosts=(), listeners=(), proxies=ir.Proxies(labels=(("a", "1"), ("b", "2"))))
made = [*emit_workload(workload, settings), *emit_edge(edge, settings)]
print([digest_of(each["spec"]) for each in made if each["kind"] == "Deployment"])
"""


def test_every_process_comes_to_the_same_digest() -> None:
    def told(seed: str) -> str:
        command = [sys.executable, "-c", DIGESTS]
        return subprocess.run(command, check=True, capture_output=True, text=True, env={"PYTHONHASHSEED": seed}).stdout

    assert told("1") == told("2") != "[]"


@pytest.mark.parametrize(
    ("change", "stale"),
    [
        ({}, False),
        ({"keystore.jks": base64.b64encode(b"\xfe\xed\xfe\xed").decode()}, False),
        ({"ca.crt": encoded("another")}, True),
        ({"ca.crt": "/u3+7Q=="}, True),
        ({"tls.crt": "/u3+7Q=="}, True),
        ({"tls.crt": "no base64"}, True),
        ({"tls.key": ""}, True),
    ],
    ids=["good", "somebody's binary key", "old authority", "binary authority", "binary", "no base64", "no key"],
)
def test_only_what_pods_read_of_their_secret_is_looked_at(scene: Scene, change: dict[str, str], *, stale: bool) -> None:
    assert podcertificates.is_stale({"data": {**good(), **change}}, scene.plane.authority) is stale


async def test_what_was_not_applied_while_the_term_had_ended_is_when_it_goes_on(scene: Scene) -> None:
    """And nothing of what was applied before."""
    async with meanwhile(scene.plane.run()):
        scene.plane.observe_objects({})
        scene.plane.observe_step(step(WORKLOAD))
        await eventually(lambda: scene.plane.applied and not scene.plane._news.is_set())
        before, read = scene.plane.applied, scene.cluster.read
        scene.plane.go_on()
        assert not scene.plane._news.is_set(), "nothing was left out"

        async def late(path: str) -> Any:  # noqa: ANN401 - JSON
            scene.leads = False
            return await read(path)

        scene.cluster.read = late
        other = replace(WORKLOAD, name="shop/b")
        scene.plane.observe_step(step(other))
        await eventually(lambda: not scene.leads)
        scene.cluster.read = read
        scene.plane.observe_objects({})
        assert scene.plane.applied == before
        scene.leads = True
        scene.plane.go_on()
        await eventually(lambda: scene.plane.applied == 2 * before)
        assert scene.cluster.applied["deployments"]["metadata"]["name"] == workload_names("shop/b").base


async def test_what_was_to_go_while_the_term_had_ended_goes_when_it_goes_on(scene: Scene) -> None:
    scene.cluster.there = [named(NAMES)]
    scene.plane.observe_step(step(WORKLOAD))
    async with meanwhile(scene.plane.run()):
        scene.plane.observe_objects({})
        await eventually(lambda: scene.plane.applied and not scene.plane._news.is_set())
        scene.leads = False
        scene.plane.observe_step(step(removed=(WORKLOAD.name,)))
        await eventually(lambda: not scene.plane._news.is_set())
        assert NAMES.base not in scene.cluster.names_of("services")
        scene.leads = True
        scene.plane.go_on()
        await eventually(lambda: NAMES.base in scene.cluster.names_of("services"))


async def test_what_is_not_taken_away_for_the_term_ended_meanwhile_is_when_it_goes_on(scene: Scene) -> None:
    def lapse(_: str) -> None:
        scene.leads = False

    scene.cluster.on_list = lapse
    await scene.plane._pass()
    assert scene.cluster.deleted == []
    scene.leads = True
    scene.plane.go_on()
    assert scene.plane._news.is_set()


async def test_what_waits_for_a_secret_still_does_when_the_term_goes_on(scene: Scene) -> None:
    read = scene.cluster.read

    async def without(path: str) -> Any:  # noqa: ANN401 - JSON
        return None if path.endswith("/secrets/r") else await read(path)

    scene.cluster.read = without
    async with meanwhile(scene.plane.run()):
        scene.plane.observe_objects({})
        scene.plane.observe_step(step(replace(WORKLOAD, seal=("r", "k"))))
        await eventually(lambda: scene.plane._waiting)
        scene.leads = False
        scene.plane.observe_objects({PUBLIC: object()})
        await eventually(lambda: not scene.plane._news.is_set())
        readable = {"metadata": {"name": "r", "namespace": "system", "annotations": {WORKLOADS: "shop/a"}}}

        async def there(path: str) -> Any:  # noqa: ANN401 - JSON
            return readable if path.endswith("/secrets/r") else await read(path)

        scene.cluster.read, scene.leads = there, True
        scene.plane.go_on()
        await eventually(lambda: "deployments" in scene.cluster.applied, seconds=5)


async def test_a_fault_stays_while_the_term_has_ended_and_nobody_else_leads(scene: Scene) -> None:
    scene.cluster.there, scene.cluster.refused = [], {"apply": 403}
    follows = False
    scene.plane.follows = lambda: follows
    scene.plane.observe_step(step(WORKLOAD))
    async with meanwhile(scene.plane.run()):
        scene.plane.observe_objects({})
        await eventually(lambda: scene.faults)
        scene.leads = False
        scene.plane.observe_objects({PUBLIC: object()})
        await eventually(lambda: not scene.plane._news.is_set())
        await scene.plane._pass()
        assert scene.faults == [(SHOP, "403: no")], "nobody has seen that it is mended"
        follows = True
        await eventually(lambda: not scene.plane.faults)
    assert scene.faults == [(SHOP, "403: no"), (SHOP, "")]
