"""The API server asks the operator before it takes an object, and says what the operator says."""

from __future__ import annotations

import asyncio
import base64
import time
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest
import yaml
from fastforward_operator.bootstrap import bootstrap
from fastforward_operator.kubernetes import rbac, webhookconfig
from fastforward_operator.kubernetes.access import find_access

from support.admission import CONFIGURATIONS, Admitting, Api, admitting, farewells, resource_of, settings
from support.cluster.kubectl import Kubectl
from support.eventually import eventually
from support.operator import until
from support.resources import Document

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


@pytest.fixture
async def scene(tmp_path: Path, kubectl: Kubectl, namespace: str) -> AsyncGenerator[Admitting]:
    async with admitting(tmp_path, kubectl.kubeconfig, (namespace,)) as found:
        yield found


def edge(namespace: str, name: str, *hosts: str, port: int = 80, **spec: object) -> Document:
    return resource_of(
        namespace, "Edge", name, {"hosts": list(hosts), "listeners": [{"name": "web", "port": port}], **spec}
    )


def route(namespace: str, name: str, host: str, **rule: object) -> Document:
    rules = [rule or {"respond": {"body": "x"}}]
    return resource_of(namespace, "Route", name, {"edges": [{"name": "public"}], "hosts": [host], "rules": rules})


async def test_what_is_wrong_by_itself_is_refused_by_its_field(scene: Admitting, namespace: str) -> None:
    broken = resource_of(namespace, "Upstream", "u", {"endpoints": [{"address": "10.0.0.999", "port": 80}]})
    told = await scene.create(broken)
    assert (told.status, told.by_webhook) == (422, True)
    assert told.causes == [("spec.endpoints[0].address", "Invalid")]
    assert webhookconfig.WELCOME in told.message


async def test_kubectl_shows_field_remedy_and_warnings(scene: Admitting, kubectl: Kubectl, namespace: str) -> None:
    assert (await scene.create(edge(namespace, "public", "a.example.com"))).taken

    def apply(document: Document) -> tuple[int, str]:
        done = kubectl.run("apply", "--server-side", "-f", "-", stdin=yaml.safe_dump(document))
        return done.returncode, done.stderr

    code, text = await asyncio.to_thread(apply, route(namespace, "r", "b.example.com"))
    assert code == 1
    assert f"spec.hosts[0]: Host b.example.com is not among those of Edge {namespace}/public" in text
    code, text = await asyncio.to_thread(apply, route(namespace, "r", "a.example.com", upstreams=[{"name": "nowhere"}]))
    assert (code, text.startswith("Warning: spec.rules[0].upstreams[0]: Upstream")) == (0, True), text


async def test_what_may_still_come_is_taken_with_a_warning(scene: Admitting, namespace: str) -> None:
    told = await scene.create(route(namespace, "early", "a.example.com", upstreams=[{"name": "later"}]))
    assert told.taken
    assert any("Edge" in text and "was not found" in text for text in told.warnings)


async def test_a_host_that_another_edge_owns_is_refused(scene: Admitting, namespace: str) -> None:
    assert (await scene.create(edge(namespace, "old", "a.example.com"))).taken
    told = await scene.create(edge(namespace, "new", "a.example.com", "b.example.com", port=81))
    assert told.causes == [("spec.hosts[0]", "HostConflict")]
    assert webhookconfig.NEEDED in told.message


async def test_an_edit_is_refused_only_for_what_it_makes_worse(
    scene: Admitting, kubectl: Kubectl, namespace: str
) -> None:
    await scene.create(edge(namespace, "public", "a.example.com"))
    label = (webhookconfig.OFF, "off")
    kubectl("label", "namespace", namespace, "=".join(label))
    broken = route(namespace, "r", "b.example.com")
    await until(lambda: scene.create(broken), lambda told: told.taken)
    kubectl("label", "namespace", namespace, f"{label[0]}-")
    await scene.until_asked()
    told = await scene.api.replace({**broken, "spec": {**broken["spec"], "rules": [{"respond": {"body": "y"}}]}})
    assert told.taken
    assert any("not among those" in text for text in told.warnings)
    worse = {**broken, "spec": {**broken["spec"], "hosts": ["b.example.com", "c.example.com"]}}
    assert (await scene.api.replace(worse)).causes == [("spec.hosts[1]", "HostNotOwned")]
    metadata = {**broken["metadata"], "labels": {"team": "x"}}
    assert (await scene.api.replace({**broken, "metadata": metadata, "spec": told.body["spec"]})).taken


async def test_a_dry_run_is_judged_and_leaves_nothing(scene: Admitting, namespace: str) -> None:
    broken = resource_of(namespace, "Upstream", "u", {"endpoints": [{"address": "10.0.0.999", "port": 80}]})
    assert (await scene.api.create(broken, dry=True)).by_webhook
    good = resource_of(namespace, "Upstream", "u", {"endpoints": [{"address": "10.0.0.9", "port": 80}]})
    assert (await scene.api.create(good, dry=True)).taken
    assert (await scene.api.create(good)).taken


async def test_statuses_and_deletions_ask_nobody(scene: Admitting, namespace: str) -> None:
    await scene.create(edge(namespace, "public", "a.example.com"))
    before = asked(scene)
    path = f"/apis/gateway.fastforward.dev/v1alpha1/namespaces/{namespace}/edges/public"
    status = {"status": {"observedGeneration": 1, "conditions": [], "proxies": "0/0"}}
    told = await scene.api.ask("PATCH", f"{path}/status", status, "merge-patch+json")
    assert told.taken, told.message
    assert (await scene.api.ask("PATCH", path, {"metadata": {"labels": {"a": "b"}}}, "merge-patch+json")).taken
    assert (await scene.api.ask("DELETE", path)).taken
    assert asked(scene) == before


def asked(scene: Admitting) -> float:
    """How often the operator was."""
    samples = [each for metric in scene.operator.metrics.registry.collect() for each in metric.samples]
    return sum(each.value for each in samples if each.name == "ff_admissions_total")


async def test_it_is_told_when_certificates_end(scene: Admitting) -> None:
    samples = [each for metric in scene.operator.metrics.registry.collect() for each in metric.samples]
    ends = {each.labels["certificate"]: each.value for each in samples if each.name == "ff_certificate_end_seconds"}
    assert ends.keys() == {"webhook", "authority"}
    assert ends["authority"] > ends["webhook"] > time.time() + 29 * 86_400


async def test_the_leader_keeps_the_bundle_of_the_configuration_current(scene: Admitting, namespace: str) -> None:
    assert scene.name == f"fastforward-{namespace}"
    held = scene.authority
    announcer = webhookconfig.Announcer(held.client, held, lambda: True, name=scene.name)
    await scene.configure("")
    await announcer.announce()
    await scene.until_asked()
    assert await bundles(scene) == [scene.bundle] * 2
    before = await version(scene)
    await announcer.announce()
    assert await version(scene) == before


async def configuration(scene: Admitting) -> Document:
    return (await scene.api.ask("GET", f"{CONFIGURATIONS}/{scene.name}")).body


async def bundles(scene: Admitting) -> list[str]:
    hooks = (await configuration(scene))["webhooks"]
    return [base64.b64decode(hook["clientConfig"].get("caBundle", "")).decode() for hook in hooks]


async def version(scene: Admitting) -> str:
    return (await configuration(scene))["metadata"]["resourceVersion"]


async def test_the_operator_s_account_may_do_all_of_it(
    tmp_path: Path, kubectl: Kubectl, operator_kubeconfig: Path, namespace: str
) -> None:
    """With the generated configuration under its own name, and the bundle put in by the leader."""
    made = settings(tmp_path, operator_kubeconfig, (namespace,), lease_namespace=rbac.NAMESPACE, write_status=True)
    operator = bootstrap(made)
    await operator.start()
    async with Api(find_access(kubectl.kubeconfig)) as api:
        found = Admitting(api, operator, (namespace,), webhookconfig.NAME)
        try:
            await eventually(lambda: found.port)
            await found.configure("")
            await found.until_asked()
            assert await bundles(found) == [found.bundle] * 2
        finally:
            await api.ask("DELETE", f"{CONFIGURATIONS}/{found.name}")
            await operator.stop()
    await farewells()
