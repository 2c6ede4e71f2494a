"""Both charts in a real cluster, by a life of theirs: installed, used, upgraded, uninstalled, and installed again."""

from __future__ import annotations

import secrets
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import fastforward_crds as crds
import pytest
from fastforward_compiler.emit.kubernetes import OWNER, edge_names, owner_label

from support.charts import CHARTS, helm
from support.cluster.definition import Cluster
from support.cluster.images import load_archive
from support.cluster.kubectl import Kubectl
from support.cluster.policies import enforced
from support.cluster.shared import shared_cluster
from support.ff import ff_of
from support.images.build import RECIPES, build
from support.operator import EDGE_PORT, edge, respond

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

NAMESPACE = "fastforward-system"
OPERATOR = "deployment/fastforward-operator"
HOST = "shop.example.com"
LISTENING = 8000


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Generator[Cluster]:
    """One of its own: definitions belong to whoever installed them."""
    with shared_cluster(tmp_path_factory.mktemp("charts")) as running:
        for recipe in RECIPES:
            if recipe.name != "bookshop":
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

    def apply(self, namespace: str, *documents: str) -> subprocess.CompletedProcess[str]:
        """What became of it, good or bad."""
        text = "\n---\n".join(documents)
        return self.kubectl.run("-n", namespace, "apply", "--server-side", "-f", "-", stdin=text)

    def pods(self) -> list[dict[str, Any]]:
        """Of the operator."""
        listed = self.kubectl.get("pods", "-n", NAMESPACE, "-l", "app.kubernetes.io/component=operator")
        return [each for each in listed["items"] if "deletionTimestamp" not in each["metadata"]]

    def serving(self) -> int:
        """How many replicas proxies are sent to."""
        service = "kubernetes.io/service-name=fastforward-operator"
        listed = self.kubectl.get("endpointslices", "-n", NAMESPACE, "-l", service)
        return sum(end["conditions"]["ready"] for each in listed["items"] for end in each["endpoints"] or ())

    def holder(self) -> str:
        return self.kubectl.get("lease", "fastforward-operator", "-n", NAMESPACE)["spec"]["holderIdentity"]

    def wait(self, namespace: str, *arguments: str, seconds: int = 60) -> None:
        self.kubectl("-n", namespace, "wait", f"--timeout={seconds}s", *arguments, seconds=seconds + 10)


@contextmanager
def asking(*questions: Callable[[], object]) -> Generator[list[list[object]]]:
    """The answers to each question, asked all the time while the block lasts."""
    answers: list[list[object]] = [[] for _ in questions]
    stop = threading.Event()

    def ask(question: Callable[[], object], found: list[object]) -> None:
        while not stop.wait(0.05):
            found.append(question())

    threads = [threading.Thread(target=ask, args=pair) for pair in zip(questions, answers, strict=True)]
    for thread in threads:
        thread.start()
    try:
        yield answers
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def until(holds: Callable[[], object], claim: str, seconds: float = 30.0) -> None:
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, f"not within {seconds} s: {claim}"
        time.sleep(0.1)


def get(url: str) -> str:
    """What a client of the shop sees."""
    request = urllib.request.Request(url, headers={"host": HOST})
    try:
        with urllib.request.urlopen(request, timeout=2) as answer:
            return answer.read().decode()
    except OSError as error:
        return repr(error)


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
    namespace = takes_objects(life)
    url = serves_traffic(life, namespace)
    is_told_by_ff(life, namespace)
    asks_the_webhook(life, namespace)
    is_upgraded_without_a_gap(life, url)
    definitions_do_not_go_back(life)
    is_closed_but_for_what_policies_name(life, namespace, url)
    is_uninstalled_and_leaves_what_users_made(life, namespace, url)
    is_installed_again(life, namespace, url)
    has_no_rights_elsewhere(life, namespace)


def is_installed(life: Life) -> None:
    deployment = life.kubectl.get(OPERATOR, "-n", NAMESPACE)
    assert (deployment["status"]["readyReplicas"], deployment["spec"]["replicas"]) == (2, 2)
    assert life.serving() == 2
    names = [each["metadata"]["name"] for each in life.pods()]
    assert sum(life.holder().startswith(name) for name in names) == 1
    assert [status["restartCount"] for each in life.pods() for status in each["status"]["containerStatuses"]] == [0, 0]


def takes_objects(life: Life) -> str:
    """As soon as the API server reaches the webhook and knows whom to trust as it."""
    namespace = f"test-{secrets.token_hex(4)}"
    life.kubectl("create", "namespace", namespace)
    documents = (edge(HOST), respond("shop", HOST, "one"))
    until(lambda: life.apply(namespace, *documents).returncode == 0, "objects are taken")
    life.wait(namespace, "--for=condition=Accepted", "edge/public", "route/shop")
    return namespace


def serves_traffic(life: Life, namespace: str) -> str:
    """The Edge became pods."""
    life.wait(namespace, "--for=condition=Programmed", "edge/public", "route/shop", seconds=90)
    service = life.kubectl.get("service", edge_names(f"{namespace}/public").base, "-n", NAMESPACE)
    url = f"http://{service['spec']['clusterIP']}:{EDGE_PORT}/"
    # The Service leads to a proxy a moment after the proxy is ready.
    until(lambda: get(url) == "one", "traffic is served")
    # Whichever operator each proxy has found.
    life.wait(namespace, "--for=jsonpath={.status.proxies}=2/2", "route/shop")
    return url


def is_told_by_ff(life: Life, namespace: str) -> None:
    """Statuses from the API server, and each operator's proxies through its forwarded port."""

    def programmed() -> bool:
        said = ff_of(life.cluster.kubeconfig, "status", "-o", "json")
        nodes = [each for each in said.json["proxies"] if each["kind"] == "envoy"]
        return bool(nodes) and {each["edge"] for each in nodes} == {f"{namespace}/public"} and not said.err

    until(programmed, "ff status shows the proxies")
    # Every operator was asked, and every decision service that is connected to it has answered: nobody is named.
    nobody = ff_of(life.cluster.kubeconfig, "trace", "nobody")
    assert (nobody.code, nobody.out, nobody.err.count("\n")) == (1, "", 1)
    route = ff_of(life.cluster.kubeconfig, "get", "route", f"{namespace}/shop", "-o", "json").json
    assert route["proxies"]["ready"] == route["proxies"]["total"] > 0


def asks_the_webhook(life: Life, namespace: str) -> None:
    """It finds what no schema can see: a host that another namespace has."""
    other = f"{namespace}-other"
    life.kubectl("create", "namespace", other)
    refused = life.apply(other, edge(HOST))
    assert refused.returncode != 0
    assert "HostConflict" in refused.stderr
    assert f"{namespace}/public" in refused.stderr


def is_upgraded_without_a_gap(life: Life, url: str) -> None:
    before = {each["metadata"]["name"] for each in life.pods()}
    with asking(life.serving, lambda: get(url)) as (serving, answers):
        life.install("fastforward", "--set", "operator.podAnnotations.changed=yes,operator.logLevel=debug")
        life.kubectl("-n", NAMESPACE, "rollout", "status", OPERATOR, "--timeout=60s", seconds=70)
    assert before.isdisjoint({each["metadata"]["name"] for each in life.pods()})
    assert len(serving) > 10
    assert set(serving) <= {2, 3}
    assert len(answers) > 10
    assert set(answers) == {"one"}
    until(lambda: not any(life.holder().startswith(name) for name in before), "a living one holds the Lease")


def definitions_do_not_go_back(life: Life) -> None:
    life.install("fastforward-crds", "--set", "labels.changed=yes")
    changed = life.kubectl.get("customresourcedefinitions", "-l", "changed=yes")["items"]
    assert len(changed) == len(crds.KINDS)
    older = ("annotate", "customresourcedefinition", "routes.gateway.fastforward.dev", "--overwrite")
    refused = life.kubectl.run(*older, "gateway.fastforward.dev/bundle-version=0.0.1")
    assert "These definitions are older than those installed" in refused.stderr


def is_closed_but_for_what_policies_name(life: Life, namespace: str, url: str) -> None:
    """By an agent that enforces them. Each connection that is refused then is one that was made before."""
    proxy = address(life, f"app.kubernetes.io/component=envoy,{OWNER}={owner_label(f'{namespace}/public')}")
    operator = address(life, "app.kubernetes.io/component=operator")
    outside, inside = stranger("default"), stranger(NAMESPACE)
    life.kubectl.apply(outside, inside)
    for each in (outside, inside):
        life.wait(each["metadata"]["namespace"], "--for=condition=Ready", "pod/stranger")
    listening = life.kubectl.get("pod", "stranger", "-n", "default")["status"]["podIP"]
    closed = [
        *(("default", "pod/stranger", operator, port) for port in (18000, 9081)),
        *((NAMESPACE, "pod/stranger", operator, port) for port in (18000, 9081)),
        *((where, "pod/stranger", proxy, 9081) for where in ("default", NAMESPACE)),
        (NAMESPACE, OPERATOR, listening, LISTENING),
    ]
    asked_for = [("default", "pod/stranger", proxy, EDGE_PORT), (NAMESPACE, "pod/stranger", proxy, EDGE_PORT)]
    assert [each for each in (*closed, *asked_for) if not connects(life, *each)] == []
    with enforced(life.cluster):
        assert [each for each in closed if connects(life, *each)] == []
        assert [each for each in asked_for if not connects(life, *each)] == []
        # Whoever is new finds its way: operators to the API server, proxies to operators, it to the webhook.
        for what in (OPERATOR, f"deployment/{edge_names(f'{namespace}/public').base}"):
            life.kubectl("-n", NAMESPACE, "rollout", "restart", what)
            life.kubectl("-n", NAMESPACE, "rollout", "status", what, "--timeout=90s", seconds=100)
        until(lambda: life.apply(namespace, respond("shop", HOST, "closed")).returncode == 0, "objects are taken")
        until(lambda: get(url) == "closed", "proxies have the change")
        assert life.apply(f"{namespace}-other", edge(HOST)).returncode != 0
        assert life.apply(namespace, respond("shop", HOST, "one")).returncode == 0
        until(lambda: get(url) == "one", "proxies have the next change")
        life.wait(namespace, "--for=condition=Programmed", "route/shop")


def address(life: Life, labels: str) -> str:
    """Of one of the pods."""
    return life.kubectl.get("pods", "-n", NAMESPACE, "-l", labels)["items"][0]["status"]["podIP"]


def stranger(namespace: str) -> dict[str, Any]:
    """A pod that is none of ours, and listens."""
    (image,) = (recipe.image for recipe in RECIPES if recipe.name == "operator")
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "command": ["/app/bin/python", "-m", "http.server", "--directory", "/tmp", str(LISTENING)],
        "readinessProbe": {"tcpSocket": {"port": LISTENING}, "periodSeconds": 1},
        "securityContext": {
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
    }
    metadata = {"name": "stranger", "namespace": namespace}
    spec = {"containers": [container], "terminationGracePeriodSeconds": 0}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def connects(life: Life, namespace: str, pod: str, host: str, port: int) -> bool:
    """Whether a program in the pod reaches the port."""
    code = f"import socket; socket.create_connection(({host!r}, {port}), 2)"
    return life.kubectl.run("-n", namespace, "exec", pod, "--", "/app/bin/python", "-c", code).returncode == 0


def is_uninstalled_and_leaves_what_users_made(life: Life, namespace: str, url: str) -> None:
    """And what serves them: proxies go on without operators."""
    life.helm("uninstall", "fastforward", "--wait")
    life.helm("uninstall", "fastforward-crds", "--wait")
    kinds = "deployments,pods,services,serviceaccounts,roles,rolebindings,networkpolicies,poddisruptionbudgets"
    left = life.kubectl.get(kinds, "-A", "-l", "app.kubernetes.io/managed-by=Helm")["items"]
    of_nobody = "clusterroles,clusterrolebindings,validatingwebhookconfigurations,validatingadmissionpolicies"
    left += life.kubectl.get(of_nobody, "-l", "app.kubernetes.io/part-of=fastforward")["items"]
    assert [each["metadata"]["name"] for each in left] == []
    listed = life.kubectl.get("routes,edges", "-n", namespace)["items"]
    assert sorted(each["metadata"]["name"] for each in listed) == ["public", "shop"]
    assert get(url) == "one"


def is_installed_again(life: Life, namespace: str, url: str) -> None:
    """This time for one namespace. Proxies that outlived the operators follow the new ones."""
    life.install("fastforward-crds")
    life.install("fastforward", "--set", f"operator.namespaces[0]={namespace},nameInCluster=second")
    changed = respond("shop", HOST, "two")
    until(lambda: life.apply(namespace, changed).returncode == 0, "objects are taken")
    until(lambda: get(url) == "two", "proxies have the change")
    life.wait(namespace, "--for=condition=Programmed", "edge/public", "route/shop")


def has_no_rights_elsewhere(life: Life, namespace: str) -> None:
    def may(verb: str, what: str, where: str) -> bool:
        user = f"system:serviceaccount:{NAMESPACE}:fastforward-operator"
        return life.kubectl.run("auth", "can-i", verb, what, "--as", user, "-n", where).stdout.strip() == "yes"

    assert may("list", "routes", namespace)
    assert may("list", "secrets", namespace)
    assert may("create", "deployments", NAMESPACE)
    assert may("patch", "validatingwebhookconfigurations/second", NAMESPACE)
    for verb, what, where in (
        ("list", "routes", NAMESPACE),
        ("list", "routes", "default"),
        ("list", "secrets", "default"),
        ("create", "deployments", namespace),
        ("patch", "services", namespace),
        ("delete", "secrets", namespace),
        ("get", "secrets", namespace),
        ("patch", "validatingwebhookconfigurations/fastforward-operator", namespace),
    ):
        assert not may(verb, what, where), f"{verb} {what} in {where}"
