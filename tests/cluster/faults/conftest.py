"""A cluster that these tests may break, and where their figures go."""

from __future__ import annotations

from collections.abc import Generator
from pathlib import Path

import pytest
from fastforward_operator.kubernetes import rbac

from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl
from support.cluster.shared import shared_cluster
from support.faults.figures import Figures
from support.repository import ROOT


@pytest.fixture(scope="module")
def fragile(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """An API server without a node, that nobody else relies on."""
    with shared_cluster(tmp_path_factory.mktemp("fragile"), "--light") as cluster:
        yield cluster


@pytest.fixture(scope="module")
def kubectl(fragile: Cluster) -> Kubectl:
    """The administrator's, with our kinds and the operator's account."""
    made = Kubectl(fragile.kubeconfig)
    made("apply", "--server-side", "-f", str(ROOT / "crds/generated"))
    made("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds/generated"))
    made("apply", "--server-side", "-f", str(ROOT / "operator/controller/generated/rbac.yaml"))
    return made


@pytest.fixture(scope="module")
def operator_kubeconfig(kubectl: Kubectl, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Of the operator's service account."""
    path = tmp_path_factory.mktemp("operator") / "kubeconfig"
    return kubectl.write_kubeconfig_of(rbac.NAMESPACE, rbac.NAME, path)


@pytest.fixture(scope="session")
def figures() -> Figures:
    """Where a test puts what it measured."""
    return Figures()
