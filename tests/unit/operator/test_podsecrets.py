"""Which Secrets pods may have: applied is nothing that names another one, and the operator's own are for nobody."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes import PodSettings, edge_names, emit_workload, workload_names
from fastforward_operator.kubernetes import dataplane
from fastforward_operator.kubernetes.authority import first, write_secret
from fastforward_operator.kubernetes.client import ApiError
from fastforward_operator.kubernetes.dataplane import DataPlane
from fastforward_operator.kubernetes.podsecrets import WORKLOADS, is_for
from structlog.testing import capture_logs

from support.eventually import eventually, meanwhile

SETTINGS = PodSettings(namespace="system", envoy_image="envoy:1", decision_image="decision:1")
BARE = ir.Workload(name="shop/a", pods=ir.Pods(replicas=1))
NAMES = workload_names("shop/a")
DEPLOYMENT = f"deployments/{NAMES.base}"
BESIDE = [f"serviceaccounts/{NAMES.base}", f"services/{NAMES.base}"]
"""Applied beside it, whatever Secrets there are."""
REDIS = ir.Redis(host="redis.data.svc", port=6379)
STORE = ir.Store(host="store.data.svc", port=1, tls=True)


def secret(name: str = "r", workloads: str | None = "shop/a", **more: object) -> dict[str, Any]:
    annotations = {} if workloads is None else {"annotations": {WORKLOADS: workloads}}
    return {"metadata": {"name": name, "namespace": "system", **annotations}, "data": {"k": ""}, **more}


def labelled(**labels: str) -> dict[str, Any]:
    found = secret()
    return {**found, "metadata": {**found["metadata"], "labels": labels}}


@pytest.mark.parametrize(
    ("workloads", "workload", "may"),
    [
        ("shop/a", "shop/a", True),
        ("other/b, shop/*", "shop/a", True),
        (" shop/a ,", "shop/a", True),
        (None, "system/a", True),
        ("shop/a", "system/a", True),
        (None, "shop/a", False),
        ("", "shop/a", False),
        ("shop/b,other/a,shop", "shop/a", False),
        ("*", "shop/a", False),
        ("*/*", "shop/a", False),
        ("sho*/*", "shop/a", False),
        ("shop/*", "shop-b/a", False),
    ],
)
def test_a_secret_is_for_workloads_of_its_namespace_and_those_that_it_names(
    workloads: str | None, workload: str, *, may: bool
) -> None:
    assert is_for(workload, secret(workloads=workloads)) is may


@pytest.mark.parametrize("workload", ["shop/a", "system/a"])
@pytest.mark.parametrize(
    "kept",
    [
        secret("fastforward-ca"),
        labelled(**{"app.kubernetes.io/managed-by": "fastforward"}),
        labelled(**edge_names("shop/public").labels),
        secret(type="helm.sh/release.v1"),
        secret(type="kubernetes.io/service-account-token"),
        secret(type="bootstrap.kubernetes.io/token"),
    ],
    ids=["authority", "made by the operator", "of an Edge", "release", "account", "node"],
)
def test_what_the_operator_or_others_keep_is_for_no_workload(kept: dict[str, Any], workload: str) -> None:
    assert not is_for(workload, kept)


class Cluster:
    """An API server with Secrets by name, and what is applied and taken away."""

    def __init__(self) -> None:
        self.there: dict[str, Any] = {}
        self.applied: list[str] = []
        self.bodies: dict[str, Any] = {}
        self.deleted: list[tuple[str, Any]] = []
        self.listed = 0

    def put(self, found: dict[str, Any]) -> None:
        self.there[f"secrets/{found['metadata']['name']}"] = found

    async def each(self, *_: str) -> Any:  # noqa: ANN401 - an asynchronous generator
        self.listed += 1
        for each in ():
            yield each

    async def read(self, path: str) -> Any:  # noqa: ANN401 - JSON
        return self.there.get("/".join(path.split("/")[-2:]))

    async def apply(self, path: str, body: Any, _: Any) -> str:  # noqa: ANN401 - JSON
        name = "/".join(path.split("/")[-2:])
        self.there[name] = {**body, "metadata": {**body["metadata"], "uid": "u", "resourceVersion": "5"}}
        self.bodies[name] = body
        self.applied.append(name)
        return "5"

    async def delete(self, path: str, _: Any, only: Any) -> None:  # noqa: ANN401 - JSON
        name = "/".join(path.split("/")[-2:])
        if self.there.pop(name, None) is None:
            raise ApiError(404, "no")
        self.deleted.append((name, only))


class Plane(DataPlane):
    """Of which the certificates are none of our business."""

    async def _certify(self, names: Any) -> None:  # noqa: ANN401 - as there
        path = f"/api/v1/namespaces/system/secrets/{names.secret}"
        await self.client.apply(path, {"metadata": names.metadata("system", names.secret)}, self.leads)


@pytest.fixture
def cluster() -> Cluster:
    return Cluster()


@pytest.fixture
def plane(cluster: Cluster) -> DataPlane:
    class Ready:
        async def wait(self) -> None:
            pass

    authority = type("Authority", (), {"ready": Ready()})()
    return Plane(cast("Any", cluster), cast("Any", authority), SETTINGS, lambda: True, "system")


def observe(plane: DataPlane, workload: ir.Workload) -> None:
    plane.observe_step(ir.Delta(workloads=ir.Changes(upserts=(workload,))))


def naming(name: str) -> list[ir.Workload]:
    """A Workload for each of the fields that name a Secret."""
    named = (name, "k")
    return [
        replace(BARE, redis=replace(REDIS, password=named)),
        replace(BARE, postgresql=replace(STORE, password=named)),
        replace(BARE, postgresql=replace(STORE, authority=named)),
        replace(BARE, rabbitmq=replace(STORE, password=named)),
        replace(BARE, rabbitmq=replace(STORE, authority=named)),
        replace(BARE, seal=named),
    ]


@pytest.mark.parametrize("name", ["fastforward-ca", NAMES.secret, edge_names("shop/public").secret, "r", "missing"])
@pytest.mark.parametrize("field", range(6), ids=["redis", "postgresql", "its CA", "rabbitmq", "its CA too", "seal"])
async def test_no_pod_is_given_a_secret_that_is_not_for_its_workload(
    plane: DataPlane, cluster: Cluster, name: str, field: int
) -> None:
    metadata = {**secret("fastforward-ca")["metadata"], "annotations": {WORKLOADS: "shop/*"}}
    cluster.put(write_secret(first(datetime.now(UTC)), metadata))
    cluster.put({"metadata": edge_names("shop/public").metadata("system", edge_names("shop/public").secret)})
    cluster.put(secret(workloads="shop/b, other/*"))
    observe(plane, naming(name)[field])
    await plane._pass()
    assert cluster.applied == [f"secrets/{NAMES.secret}", *BESIDE]
    assert plane.faults == {}


@pytest.mark.parametrize("field", range(6))
async def test_pods_are_given_secrets_that_are_for_their_workload(
    plane: DataPlane, cluster: Cluster, field: int
) -> None:
    cluster.put(secret())
    observe(plane, naming("r")[field])
    await plane._pass()
    assert DEPLOYMENT in cluster.applied


async def test_what_waits_for_a_secret_is_applied_once_it_is_there_and_does_not_have_all_be_listed(
    plane: DataPlane, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataplane, "RETRY_S", 0.01)
    observe(plane, naming("r")[0])
    async with meanwhile(plane.run()):
        plane.observe_objects({})
        await eventually(lambda: len(cluster.applied) > 5)
        assert cluster.applied[1:3] == BESIDE
        assert set(cluster.applied[3:]) == {f"secrets/{NAMES.secret}"}
        assert cluster.listed == len(dataplane.PLURALS)
        cluster.put(secret(workloads=None))
        tried = len(cluster.applied)
        await eventually(lambda: len(cluster.applied) > tried + 2)
        assert DEPLOYMENT not in cluster.applied
        cluster.put(secret())
        await eventually(lambda: DEPLOYMENT in cluster.applied)


HELD = replace(BARE, redis=replace(REDIS, password=("r", "k")), postgresql=replace(STORE, part="shop"))
ELSEWHERE = ir.Redis(host="redis.evil.example", port=6379, password=("r", "k"))


@pytest.mark.parametrize(
    ("now", "found", "goes_on"),
    [
        (replace(HELD, pods=ir.Pods(replicas=3)), secret(workloads=None), True),
        (replace(HELD, postgresql=None), secret(workloads=None), True),
        (replace(HELD, redis=ELSEWHERE), secret(workloads=None), False),
        (replace(HELD, redis=replace(ELSEWHERE, host=REDIS.host, tls=True)), secret(workloads=None), False),
        (replace(HELD, redis=replace(REDIS, password=("r", "other"))), secret(workloads=None), False),
        (replace(HELD, redis=replace(REDIS, password=("s", "k"))), secret(workloads=None), False),
        (replace(HELD, postgresql=replace(STORE, part="shop", password=("r", "k"))), secret(workloads=None), False),
        (replace(HELD, seal=("s", "k")), secret(workloads=None), False),
        (replace(HELD, pods=ir.Pods(replicas=3)), None, False),
    ],
    ids=["more pods", "no store", "elsewhere", "TLS", "key", "another", "two stores", "one more", "it is gone"],
)
async def test_pods_with_a_secret_that_is_for_their_workload_no_more_have_it_for_nothing_else(
    plane: DataPlane, cluster: Cluster, now: ir.Workload, found: dict[str, Any] | None, *, goes_on: bool
) -> None:
    """As pods that are replaced have what those before them had; a new image and a number of replicas reach them."""
    cluster.put(secret())
    cluster.put(secret("s", workloads="shop/b"))
    observe(plane, HELD)
    await plane._pass()
    before = cluster.there[DEPLOYMENT]
    assert "uid" not in cluster.bodies[DEPLOYMENT]["metadata"]
    if found is None:
        del cluster.there["secrets/r"]
    else:
        cluster.put(found)
    plane.settings = replace(SETTINGS, decision_image="decision:2")
    observe(plane, now)
    await plane._pass()
    after = cluster.there[DEPLOYMENT]
    if goes_on:
        assert after["spec"]["template"]["spec"]["containers"][0]["image"] == "decision:2"
        assert after["spec"]["replicas"] == now.pods.replicas
        assert cluster.bodies[DEPLOYMENT]["metadata"]["uid"] == "u", "one that is deleted meanwhile is not made again"
    assert (after != before) is goes_on
    assert (plane._waiting, cluster.deleted) == (set() if goes_on else {NAMES}, [])


@pytest.mark.parametrize(
    "now", [naming("fastforward-ca")[0], naming("missing")[0], BARE], ids=["it", "another", "none"]
)
async def test_pods_that_have_a_secret_of_the_operators_own_end(
    plane: DataPlane, cluster: Cluster, now: ir.Workload
) -> None:
    """As an operator made them that did not look."""
    for name in ("fastforward-ca", "r"):
        cluster.put(secret(name))
    held = replace(naming("r")[0], seal=("fastforward-ca", "tls.key"))
    [made] = [each for each in emit_workload(held, SETTINGS) if each["kind"] == "Deployment"]
    cluster.there[DEPLOYMENT] = {**made, "metadata": {"uid": "u", "resourceVersion": "5"}}
    observe(plane, now)
    with capture_logs() as logs:
        await plane._pass()
    assert cluster.deleted == [(DEPLOYMENT, {"uid": "u", "resourceVersion": "5"})]
    assert [(each["workload"], each["secret"]) for each in logs] == [("shop/a", "fastforward-ca")]
    assert (DEPLOYMENT in cluster.there) is (now is BARE)


async def test_what_is_looked_at_is_what_is_applied(plane: DataPlane, cluster: Cluster) -> None:
    cluster.put(secret())
    read = cluster.read

    async def changing(path: str) -> Any:  # noqa: ANN401 - JSON
        if path.endswith("secrets/r"):
            observe(plane, naming("fastforward-ca")[0])
        return await read(path)

    cluster.read = changing
    observe(plane, naming("r")[0])
    await plane._pass()
    volumes = cluster.there[DEPLOYMENT]["spec"]["template"]["spec"]["volumes"]
    assert "fastforward-ca" not in {each.get("secret", {}).get("secretName") for each in volumes}
