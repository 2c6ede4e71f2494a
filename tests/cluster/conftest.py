"""The clusters of these tests: one light one, one with a node, and a namespace of its own for each test."""

from __future__ import annotations

import secrets
from collections.abc import Generator
from pathlib import Path

import pytest
from fastforward_operator.kubernetes import rbac

from support.cluster.definition import Cluster
from support.cluster.images import load_archive
from support.cluster.kubectl import Kubectl
from support.cluster.shared import shared_cluster
from support.conformance.preparation import CLASS, gateway_class, module
from support.images.build import RECIPES, build
from support.repository import ROOT


@pytest.fixture(scope="package")
def api_server(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Generator[Cluster]:
    """A real API server without a node, shared by all tests here: what belongs to no namespace is everybody's."""
    base = tmp_path_factory.getbasetemp()
    with shared_cluster((base if worker_id == "master" else base.parent) / "api-server", "--light") as cluster:
        yield cluster


@pytest.fixture(scope="package")
def kubectl(api_server: Cluster) -> Kubectl:
    """The administrator's, with our kinds installed."""
    made = Kubectl(api_server.kubeconfig)
    made("apply", "--server-side", "-f", str(ROOT / "crds/generated"))
    made("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds/generated"))
    return made


@pytest.fixture(scope="package")
def operator_kubeconfig(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the operator's service account, which may do what the generated roles say and no more."""
    kubectl("apply", "--server-side", "-f", str(ROOT / "operator/controller/generated/rbac.yaml"))
    path = tmp_path_factory.mktemp("operator") / "kubeconfig"
    return kubectl.write_kubeconfig_of(rbac.NAMESPACE, rbac.NAME, path)


@pytest.fixture
def our_class(kubectl: Kubectl) -> str:
    """The class of our Gateways, with the definitions of Gateway API."""
    for definitions in sorted(
        (module("sigs.k8s.io/gateway-api") / "config/crd/experimental").glob("gateway.networking.k8s.io_*.yaml")
    ):
        kubectl("apply", "--server-side", "-f", str(definitions))
    kubectl("wait", "--for=condition=Established", "--timeout=60s", "crd", "--all")
    kubectl.apply(gateway_class())
    return CLASS


@pytest.fixture
def namespace(kubectl: Kubectl) -> str:
    """Nobody else's."""
    name = f"test-{secrets.token_hex(4)}"
    kubectl("create", "namespace", name)
    return name


@pytest.fixture(scope="package")
def cluster(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> Generator[Cluster]:
    """A whole cluster with a node, shared by all tests here."""
    base = tmp_path_factory.getbasetemp()
    with shared_cluster((base if worker_id == "master" else base.parent) / "node") as running:
        yield running


@pytest.fixture(scope="package")
def images(cluster: Cluster) -> dict[str, str]:
    """The node has the images of what is deployed, made from the sources as they are; their names, by recipe."""
    for recipe in RECIPES:
        load_archive(cluster, build(recipe))
    return {recipe.name: recipe.image for recipe in RECIPES}
