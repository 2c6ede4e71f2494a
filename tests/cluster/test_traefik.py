"""A Traefik in front of an Edge leads to its Envoys: a subdomain for each protocol, true addresses, nothing forged."""

from __future__ import annotations

import asyncio
import http.client
import json
import socket
from collections.abc import AsyncGenerator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import grpc
import pytest
import yaml
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc
from fastforward_compiler.emit.kubernetes import COMPONENT, OWNER, edge_names, owner_label
from websockets.sync.client import connect

from cluster.test_dataplane import PODS, Scene, operating
from support import traefik
from support.client import untrusting
from support.cluster.definition import Cluster
from support.cluster.kubectl import Kubectl
from support.credentials import tls_data
from support.operator import until
from support.repository import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(420)]

HOST = "api.example.com"
API = "gateway.fastforward.dev/v1alpha1"
KINDS = "ingressroutes,ingressroutetcps,middlewares,serverstransporttcps"
FORGED = {
    "forwarded": "for=192.0.2.66",
    "x-forwarded-for": "192.0.2.66",
    "x-forwarded-host": "admin.example.com",
    "x-forwarded-user": "admin@example.com",
    "x-real-ip": "192.0.2.66",
    "x-ff-tenant": "forged-tenant",
    "x-ff-peer": "192.0.2.66",
    "x-envoy-external-address": "192.0.2.66",
}
LIES = ("192.0.2.66", "admin.example.com", "admin@example.com", "forged-tenant")


class Answer(NamedTuple):
    """Status 0 when nobody answers."""

    status: int
    text: str = ""
    client: str = ""
    """The address that the question came from."""

    @property
    def headers(self) -> dict[str, str]:
        """That arrived at the upstream."""
        arrived: dict[str, str] = json.loads(self.text)["headers"]
        return arrived

    @property
    def lies(self) -> set[str]:
        """Headers that arrived as the client forged them."""
        return {name for name, value in self.headers.items() if any(lie in value for lie in LIES)}


def ask(address: str, port: int, host: str, *, forged: Mapping[str, str] = FORGED, tls: bool = False) -> Answer:
    connection = http.client.HTTPConnection(address, port, timeout=5)
    try:
        connection.connect()
        client = connection.sock.getsockname()[0]
        if tls:
            connection.sock = untrusting().wrap_socket(connection.sock, server_hostname=host)
        connection.request("GET", "/echo", headers={"host": host, **forged})
        answer = connection.getresponse()
        return Answer(answer.status, answer.read().decode(), client)
    except (OSError, http.client.HTTPException) as error:
        return Answer(0, str(error))
    finally:
        connection.close()


@pytest.fixture(scope="module")
def kubectl(cluster: Cluster) -> Kubectl:
    """The administrator's, with our kinds and the operator's account, and none of Traefik's kinds."""
    made = Kubectl(cluster.kubeconfig)
    made("apply", "--server-side", "-f", str(ROOT / "crds/generated"))
    made("wait", "--for=condition=Established", "--timeout=30s", "-f", str(ROOT / "crds/generated"))
    made("apply", "--server-side", "-f", str(ROOT / "operator/controller/generated/rbac.yaml"))
    made("delete", "--ignore-not-found", "-f", str(traefik.definitions()))
    return made


@pytest.fixture
async def scene(
    tmp_path: Path, cluster: Cluster, kubectl: Kubectl, images: dict[str, str], namespace: str
) -> AsyncGenerator[Scene]:
    own = {"envoy_image": images["envoy"], "decision_image": images["entrypoint"]}
    async with operating(tmp_path, cluster, kubectl, namespace, **own) as made:
        yield made


def edge(*addresses: str) -> str:
    """With a Traefik in front that has these, or without one."""
    front = {"front": {"traefik": {"addresses": list(addresses)}}} if addresses else {}
    tls = {"certificates": [{"name": "api"}]}
    spec = {
        "hosts": [HOST, *([] if addresses else [f"rest.{HOST}"])],
        "listeners": [
            {"name": "http", "port": 80},
            {"name": "https", "port": 443, "protocol": "HTTPS", "tls": tls},
        ],
        **front,
        "proxies": {"replicas": 1, "service": {"type": "ClusterIP"}},
    }
    return yaml.safe_dump({"apiVersion": API, "kind": "Edge", "metadata": {"name": "public"}, "spec": spec})


def bookshop(image: str) -> list[str]:
    """What is served: the example's own program, and a Route for each protocol."""
    labels = {"app": "bookshop"}
    container = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "args": ["--rest-port", "7101", "--grpc-port", "7201", "--host", "0.0.0.0"],
        "readinessProbe": {"httpGet": {"path": "/health", "port": 7101}, "periodSeconds": 1},
    }
    ports = [{"name": "rest", "port": 7101}, {"name": "grpc", "port": 7201}]
    secret = {"type": "kubernetes.io/tls", "stringData": tls_data(f"*.{HOST}")}
    made: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "bookshop", "labels": labels}}
        | {"spec": {"containers": [container], "terminationGracePeriodSeconds": 0}},
        {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "bookshop"}}
        | {"spec": {"selector": labels, "ports": ports}},
        {"apiVersion": "v1", "kind": "Secret", "metadata": _used("api")} | secret,
        _ours("Upstream", "rest", service={"name": "bookshop", "port": 7101}),
        _ours("Upstream", "grpc", service={"name": "bookshop", "port": 7201}, protocol="GRPC"),
        *(_route(name, "grpc" if name == "grpc" else "rest") for name in ("rest", "graphql", "ws", "grpc")),
    ]
    return [yaml.safe_dump(document) for document in made]


def _used(name: str) -> dict[str, Any]:
    return {"name": name, "labels": {"gateway.fastforward.dev/use": "true"}}


def _ours(kind: str, name: str, **spec: object) -> dict[str, Any]:
    return {"apiVersion": API, "kind": kind, "metadata": {"name": name}, "spec": spec}


def _route(protocol: str, upstream: str) -> dict[str, Any]:
    hosts, rules = [f"{protocol}.{HOST}"], [{"upstreams": [{"name": upstream}]}]
    return _ours("Route", protocol, edges=[{"name": "public"}], hosts=hosts, rules=rules)


async def test_from_no_traefik_to_one_and_back(
    scene: Scene, cluster: Cluster, kubectl: Kubectl, images: dict[str, str]
) -> None:
    await scene.apply(edge(cluster.network.pods), *bookshop(images["bookshop"]))
    await scene.programmed("route/rest")
    await it_is_told_that_the_kinds_are_missing(scene)
    await scene.call("apply", "--server-side", "-f", str(traefik.definitions()))
    address = await running_traefik(scene, cluster, kubectl)
    await scene.apply(edge(address))
    await scene.programmed("edge/public")
    try:
        await until(lambda: there(scene), lambda found: len(found) == 4)
        await until(lambda: pods_applied(scene), lambda found: not found)
        await until(lambda: asked(address, "rest"), lambda answer: answer.status == 200)
        await each_protocol_is_served(address)
        await addresses_are_true(scene, address)
        await nothing_forged_arrives(scene, address)
        await nobody_else_is_let_in(scene)
        await without_the_front_nothing_is_left(scene)
    finally:
        await scene.call("delete", "--ignore-not-found", "clusterrole,clusterrolebinding", scene.namespace)
        await scene.call("delete", "-f", str(traefik.definitions()))


async def it_is_told_that_the_kinds_are_missing(scene: Scene) -> None:
    await until(lambda: pods_applied(scene), lambda found: "not installed" in found)
    events = await scene.call("-n", scene.namespace, "events", "--for", "edge/public")
    assert "ApplyFailed" in events


async def pods_applied(scene: Scene) -> str:
    """What the Edge says of it; empty when all is well."""
    edge = await scene.get("-n", scene.namespace, "edge", "public")
    said = [each["message"] for each in edge["status"].get("conditions", ()) if each["type"] == "PodsApplied"]
    return said[0] if said else ""


async def running_traefik(scene: Scene, cluster: Cluster, kubectl: Kubectl) -> str:
    """The address of its pod."""
    await asyncio.to_thread(traefik.load_image, cluster)
    await asyncio.to_thread(kubectl.apply, *traefik.documents(scene.namespace))
    ready = ("-n", scene.namespace, "wait", "--for=condition=Ready", "pod/traefik", "pod/bookshop", "--timeout=90s")
    await scene.call(*ready, seconds=100)
    return (await scene.get("-n", scene.namespace, "pod", "traefik"))["status"]["podIP"]


async def there(scene: Scene) -> list[str]:
    """Kinds of what Traefik is told."""
    return [each["kind"] for each in (await scene.get("-n", PODS, KINDS))["items"]]


async def asked(address: str, protocol: str, *, tls: bool = False) -> Answer:
    port = traefik.SECURE if tls else traefik.PLAIN
    return await asyncio.to_thread(ask, address, port, f"{protocol}.{HOST}", tls=tls)


async def each_protocol_is_served(address: str) -> None:
    for protocol in ("rest", "graphql"):
        assert (await asked(address, protocol)).status == 200
        assert (await asked(address, protocol, tls=True)).status == 200
    assert (await asked(address, "other")).status == 404
    await asyncio.to_thread(sockets_are_served, address)
    await asyncio.to_thread(calls_are_served, address)


def sockets_are_served(address: str) -> None:
    for scheme, port, tls in (("ws", traefik.PLAIN, None), ("wss", traefik.SECURE, untrusting())):
        plain = socket.create_connection((address, port), 10)
        with connect(f"{scheme}://ws.{HOST}/ws/echo", sock=plain, ssl=tls, proxy=None) as opened:
            opened.send("hello")
            assert opened.recv() == "hello"


def calls_are_served(address: str) -> None:
    options = [("grpc.default_authority", f"grpc.{HOST}")]
    with grpc.insecure_channel(f"{address}:{traefik.PLAIN}", options=options) as channel:
        answer = catalog_pb2_grpc.CatalogStub(channel).GetBook(catalog_pb2.GetBookRequest(id="emma"), timeout=10)
        assert answer.book.title == "Emma"


async def addresses_are_true(scene: Scene, address: str) -> None:
    """What the upstream is told, and what the access log says, is whom the question came from."""
    for tls in (False, True):
        answer = await asked(address, "rest", tls=tls)
        assert answer.headers["x-forwarded-for"].split(",")[0] == answer.client
        assert answer.headers["x-forwarded-proto"] == ("https" if tls else "http")
    # Envoy writes them down some seconds later.
    found = await until(lambda: logged(scene), lambda found: {listener for listener, _ in found} == {"http", "https"})
    assert found == {("http", answer.client), ("https", answer.client)}


async def logged(scene: Scene) -> set[tuple[str, str]]:
    """Listeners and addresses in the access logs."""
    selector = f"{COMPONENT}=envoy,{OWNER}={owner_label(f'{scene.namespace}/public')}"
    log = await scene.call("-n", PODS, "logs", "-c", "envoy", "--tail=-1", "-l", selector)
    lines = [json.loads(line) for line in log.splitlines() if line.startswith("{")]
    return {(line["listener"], line["address"]) for line in lines}


async def nothing_forged_arrives(scene: Scene, address: str) -> None:
    """And it would, if Traefik were not told to drop it."""
    for tls in (False, True):
        assert (await asked(address, "rest", tls=tls)).lies == set()
    name = edge_names(f"{scene.namespace}/public").base
    routes = (await scene.get("-n", PODS, "ingressroute", name))["spec"]["routes"]
    bare = [{key: value for key, value in each.items() if key != "middlewares"} for each in routes]
    patch = json.dumps({"spec": {"routes": bare}})
    await scene.call("-n", PODS, "patch", "ingressroute", name, "--type=merge", "-p", patch)
    seen = await until(lambda: asked(address, "rest"), lambda answer: bool(answer.lies))
    assert seen.lies == {"forwarded", "x-forwarded-user"}
    assert scene.operator.outside.data_plane is not None
    scene.operator.outside.data_plane.wake()
    await until(lambda: asked(address, "rest"), lambda answer: answer.lies == set())


async def nobody_else_is_let_in(scene: Scene) -> None:
    """What comes by the Service comes from the node's own address in the network of the pods."""
    direct = await scene.address("public")
    for port, tls in ((80, False), (443, True)):
        assert (await asyncio.to_thread(ask, direct, port, f"rest.{HOST}", tls=tls)).status == 0


async def without_the_front_nothing_is_left(scene: Scene) -> None:
    await scene.apply(edge())
    await until(lambda: there(scene), lambda found: found == [])
    direct = await scene.address("public")
    await until(lambda: asyncio.to_thread(ask, direct, 80, f"rest.{HOST}"), lambda answer: answer.status == 200)
    assert (await asyncio.to_thread(ask, direct, 443, f"rest.{HOST}", tls=True)).lies == set()
