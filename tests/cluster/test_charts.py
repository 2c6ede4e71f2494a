"""Both charts in a real cluster, by a life of theirs: installed, used, upgraded, uninstalled, and installed again."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import fastforward_crds as crds
import pytest

from support.charts import CHARTS, helm
from support.cluster.definition import Cluster
from support.cluster.images import load_archive
from support.cluster.kubectl import Kubectl
from support.cluster.shared import shared_cluster
from support.images.build import RECIPES, build
from support.operator import edge, respond

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAMESPACE = "fastforward-system"
OPERATOR = "deployment/fastforward-operator"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """One of its own: definitions belong to whoever installed them."""
    with shared_cluster(tmp_path_factory.mktemp("charts")) as running:
        for recipe in RECIPES:
            if recipe.name == "operator":
                load_archive(running, build(recipe))
        yield running


@dataclass(slots=True)
class Life:
    """A cluster, and what happens in it."""

    cluster: Cluster
    kubectl: Kubectl

    def helm(self, *arguments: str) -> str:
        done = helm(*arguments, "--namespace", NAMESPACE, kubeconfig=self.cluster.kubeconfig)
        assert done.returncode == 0, f"{done.stderr}\n{self.told()}"
        return done.stdout

    def told(self) -> str:
        """What the operators wrote, for a test that fails."""
        return self.kubectl.run("-n", NAMESPACE, "logs", OPERATOR, "--all-pods", "--prefix", "--tail=20").stdout

    def install(self, chart: str, *arguments: str) -> None:
        self.helm("upgrade", "--install", chart, str(CHARTS / chart), "--wait", "--timeout=120s", *arguments)

    def pods(self) -> list[dict[str, Any]]:
        """Of the operator."""
        listed = self.kubectl.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=operator")
        return [each for each in listed["items"] if "deletionTimestamp" not in each["metadata"]]

    def serving(self) -> int:
        """How many replicas proxies are sent to."""
        listed = self.kubectl.get(
            "endpointslices", "-n", NAMESPACE, "-l", "kubernetes.io/service-name=fastforward-operator"
        )
        return sum(end["conditions"]["ready"] for each in listed["items"] for end in each["endpoints"] or ())

    def holder(self) -> str:
        return self.kubectl.get("lease", "fastforward-operator", "-n", NAMESPACE)["spec"]["holderIdentity"]


@dataclass(slots=True)
class Watch:
    """How many replicas were ready, asked all the time."""

    seen: list[int] = field(default_factory=list)


@contextmanager
def watching(life: Life) -> Generator[Watch]:
    watch, stop = Watch(), threading.Event()

    def look() -> None:
        while not stop.wait(0.1):
            watch.seen.append(life.serving())

    thread = threading.Thread(target=look)
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()


@pytest.fixture(scope="module")
def life(cluster: Cluster) -> Life:
    """With both charts installed, into a namespace that takes restricted pods alone."""
    kubectl = Kubectl(cluster.kubeconfig)
    kubectl("create", "namespace", NAMESPACE)
    kubectl("label", "namespace", NAMESPACE, "pod-security.kubernetes.io/enforce=restricted")
    found = Life(cluster, kubectl)
    found.install("fastforward-crds")
    found.install("fastforward")
    return found


def test_a_life_of_the_charts(life: Life) -> None:
    """One test, because each step stands on the one before."""
    is_installed(life)
    namespace = is_used(life)
    is_upgraded_without_a_gap(life)
    is_uninstalled_and_leaves_what_users_made(life, namespace)
    is_installed_again(life, namespace)
    has_no_rights_elsewhere(life, namespace)


def is_installed(life: Life) -> None:
    deployment = life.kubectl.get(OPERATOR, "-n", NAMESPACE)
    assert (deployment["status"]["readyReplicas"], deployment["spec"]["replicas"]) == (2, 2)
    assert life.serving() == 2
    names = [each["metadata"]["name"] for each in life.pods()]
    assert sum(life.holder().startswith(name) for name in names) == 1
    assert [status["restartCount"] for each in life.pods() for status in each["status"]["containerStatuses"]] == [0, 0]


def is_used(life: Life) -> str:
    """Objects get statuses."""
    namespace = f"test-{secrets.token_hex(4)}"
    life.kubectl("create", "namespace", namespace)
    documents = "\n---\n".join((edge("shop.example.com"), respond("shop", "shop.example.com", "one")))
    life.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=documents)
    for what in ("edge/public", "route/shop"):
        life.kubectl("-n", namespace, "wait", "--for=condition=Accepted", "--timeout=20s", what)
    conditions = {
        each["type"]: each for each in life.kubectl.get("route", "shop", "-n", namespace)["status"]["conditions"]
    }
    assert (conditions["Programmed"]["status"], conditions["Programmed"]["reason"]) == ("False", "NoProxies")
    return namespace


def is_upgraded_without_a_gap(life: Life) -> None:
    before = {each["metadata"]["name"] for each in life.pods()}
    with watching(life) as watch:
        life.install("fastforward", "--set", "operator.podAnnotations.changed=yes,operator.logLevel=debug")
        life.kubectl("-n", NAMESPACE, "rollout", "status", OPERATOR, "--timeout=60s", seconds=70)
    assert before.isdisjoint({each["metadata"]["name"] for each in life.pods()})
    assert len(watch.seen) > 10
    assert min(watch.seen) >= 2
    deadline = time.monotonic() + 15
    while any(life.holder().startswith(name) for name in before):
        assert time.monotonic() < deadline, f"{life.holder()} has ended and holds the Lease"
        time.sleep(0.2)
    life.install("fastforward-crds", "--set", "labels.changed=yes")
    changed = life.kubectl.get("customresourcedefinitions", "-l", "changed=yes")["items"]
    assert len(changed) == len(crds.KINDS)


def is_uninstalled_and_leaves_what_users_made(life: Life, namespace: str) -> None:
    life.helm("uninstall", "fastforward", "--wait")
    life.helm("uninstall", "fastforward-crds", "--wait")
    kinds = "deployments,pods,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets"
    left = life.kubectl.get(kinds, "-n", NAMESPACE, "-l", "app.kubernetes.io/managed-by=Helm")["items"]
    left += life.kubectl.get("clusterroles,clusterrolebindings", "-l", "app.kubernetes.io/part-of=fastforward")["items"]
    assert [each["metadata"]["name"] for each in left] == []
    listed = life.kubectl.get("routes,edges", "-n", namespace)["items"]
    assert sorted(each["metadata"]["name"] for each in listed) == ["public", "shop"]


def is_installed_again(life: Life, namespace: str) -> None:
    """This time for one namespace."""
    generation = life.kubectl.get("route", "shop", "-n", namespace)["metadata"]["generation"]
    life.install("fastforward-crds")
    life.install(
        "fastforward", "--set", f"operator.namespaces[0]={namespace},nameInCluster=second,webhook.enabled=true"
    )
    life.kubectl("-n", namespace, "apply", "--server-side", "-f", "-", stdin=respond("shop", "shop.example.com", "two"))
    life.kubectl(
        *("-n", namespace, "wait", "route/shop", "--timeout=20s"),
        f"--for=jsonpath={{.status.observedGeneration}}={generation + 1}",
    )


def has_no_rights_elsewhere(life: Life, namespace: str) -> None:
    def may(verb: str, what: str, where: str) -> bool:
        user = f"system:serviceaccount:{NAMESPACE}:fastforward-operator"
        return life.kubectl.run("auth", "can-i", verb, what, "--as", user, "-n", where).stdout.strip() == "yes"

    assert may("list", "routes", namespace)
    assert may("list", "secrets", namespace)
    assert may("create", "deployments", NAMESPACE)
    assert may("patch", "validatingwebhookconfigurations/second", NAMESPACE)
    for verb, what, where in (
        ("list", "secrets", NAMESPACE),
        ("list", "routes", "default"),
        ("list", "secrets", "default"),
        ("create", "deployments", namespace),
        ("patch", "services", namespace),
        ("delete", "secrets", namespace),
        ("get", "secrets", namespace),
        ("patch", "validatingwebhookconfigurations/fastforward-operator", namespace),
    ):
        assert not may(verb, what, where), f"{verb} {what} in {where}"
