"""Components of a cluster go away and come back, as tests of what survives that need them to."""

from __future__ import annotations

from collections.abc import Generator

import pytest

from support.cluster import apiserver
from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl
from support.cluster.outage import How, outage
from support.cluster.shared import shared_cluster
from support.eventually import eventually


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """One that nobody else relies on."""
    with shared_cluster(tmp_path_factory.mktemp("fragile"), "--light") as cluster:
        yield cluster


@pytest.mark.parametrize(("component", "how"), [("etcd", "stopped"), ("kube-apiserver", "stopped"), ("etcd", "frozen")])
async def test_the_api_server_is_away_and_back_with_all_that_it_knew(
    fragile: Cluster, component: str, how: How
) -> None:
    kubectl = Kubectl(fragile.kubeconfig)
    name = f"{component}-{how}"
    kubectl("create", "configmap", name)
    with outage(fragile, component, how):
        await eventually(lambda: not apiserver.is_ready(fragile), seconds=20, claim="the API server is not ready")
    await eventually(lambda: apiserver.is_ready(fragile), seconds=60, claim="the API server is ready again")
    assert kubectl("get", "configmap", name, "-o", "name").strip() == f"configmap/{name}"


async def test_what_ends_by_itself_is_started_again(fragile: Cluster) -> None:
    log = fragile.log("supervisor")

    def starts() -> int:
        return log.read_text().count("kube-controller-manager started")

    await eventually(lambda: starts() > 0, claim="it was started once")
    before = starts()
    with outage(fragile, "kube-controller-manager"):
        assert starts() == before
    await eventually(lambda: starts() == before + 1)
