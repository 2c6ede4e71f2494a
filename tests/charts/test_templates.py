"""The charts without a cluster: what they render, what they refuse, and that their documents are what is generated."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from fastforward_compiler import ir
from fastforward_compiler.emit.kubernetes.names import Names
from fastforward_compiler.emit.kubernetes.settings import DECISION_PORT, PROBE_PORT
from fastforward_crds.meta import BUNDLE
from fastforward_operator.kubernetes import rbac, webhookconfig
from fastforward_operator.settings import Settings

from support.charts import CHARTS, cases, helm, leaves, readme, rendered, template, values
from support.images.build import RECIPES, version
from support.repository import ROOT

FASTFORWARD, DEFINITIONS = CHARTS / "fastforward", CHARTS / "fastforward-crds"
BOTH = pytest.mark.parametrize("chart", [FASTFORWARD, DEFINITIONS], ids=lambda chart: chart.name)
CASES = pytest.mark.parametrize("case", cases(), ids=lambda case: case.name)


def documents(text: str) -> list[dict[str, Any]]:
    return [document for document in yaml.safe_load_all(text) if document is not None]


def of_kind(case: str, kind: str) -> dict[str, dict[str, Any]]:
    """The documents of one kind that a golden has, by name."""
    text = (ROOT / "tests/charts/golden" / case / "rendered.yaml").read_text()
    return {each["metadata"]["name"]: each for each in documents(text) if each["kind"] == kind}


@BOTH
def test_helm_has_nothing_against_it(chart: Path) -> None:
    linted = helm("lint", "--strict", str(chart))
    assert linted.returncode == 0, linted.stdout
    assert re.findall(r"\[(?:WARNING|ERROR)\].*", linted.stdout) == []


@CASES
def test_it_renders_what_is_pinned(case: Path) -> None:
    assert rendered(case) == (case / "rendered.yaml").read_text(), f"see make golden: {case.name}"


def test_every_value_is_tried_with_another_than_its_default() -> None:
    tried = yaml.safe_load((ROOT / "tests/charts/golden/everything/values.yaml").read_text())
    nothing = yaml.safe_load((ROOT / "tests/charts/golden/nothing/values.yaml").read_text())
    told = {value.path for value in values(FASTFORWARD)}
    seen = {path for tree in (tried, nothing) for leaf in leaves(tree) for path in prefixes(leaf)}
    # A tag and a digest are tried once each.
    assert {path for path in told - seen if not path.startswith("images.")} == set()


def prefixes(path: str) -> Iterator[str]:
    parts = path.split(".")
    return (".".join(parts[: end + 1]) for end in range(len(parts)))


@BOTH
def test_its_readme_tells_every_value(chart: Path) -> None:
    assert (chart / "README.md").read_text() == readme(chart)
    told = {value.path for value in values(chart)}
    assert told
    assert [
        leaf for leaf in leaves(yaml.safe_load((chart / "values.yaml").read_text())) if not told & set(prefixes(leaf))
    ] == []


@BOTH
def test_its_schema_knows_its_values_and_no_others(chart: Path) -> None:
    schema = json.loads((chart / "values.schema.json").read_text())
    found = yaml.safe_load((chart / "values.yaml").read_text())
    assert differing(schema, schema, found, "") == {"global"}


def differing(schema: dict[str, Any], root: dict[str, Any], found: Any, path: str) -> set[str]:  # noqa: ANN401 - YAML
    """The paths that one of them has and the other has not."""
    if "$ref" in schema:
        schema = root["definitions"][schema["$ref"].rpartition("/")[2]]
    if schema.get("additionalProperties") is not False or not isinstance(found, dict):
        return set()
    known = schema["properties"]
    apart = {f"{path}{key}" for key in known.keys() ^ found.keys()}
    inner = (differing(known[key], root, found[key], f"{path}{key}.") for key in known.keys() & found.keys())
    optional = {"operator.resources.claims"}
    return apart.union(*inner) - optional


@pytest.mark.parametrize(
    ("said", "answer"),
    [
        ("operator.replicas=two", "'/operator/replicas': got string, want integer"),
        ("operator.replica=2", "'/operator': additional properties 'replica' not allowed"),
        ("images.pullPolicy=Sometimes", "'/images/pullPolicy': value must be one of"),
        ("images.envoy.digest=md5:1", "'/images/envoy/digest': 'md5:1' does not match pattern"),
        ("ports.xds=80", "'/ports/xds': minimum: got 80, want 1,024"),
        (
            "networkPolicies.apiServer[0].cidr=1",
            "'/networkPolicies/apiServer/0': additional properties 'cidr' not allowed",
        ),
        ("webhook.failurePolicy=Maybe", "'/webhook/failurePolicy': value must be one of 'Fail', 'Ignore'"),
        ("nonsense=1", "additional properties 'nonsense' not allowed"),
        (r"operator.podLabels.app\.kubernetes\.io/name=x", "'/operator/podLabels/app.kubernetes.io~1name'"),
        (r"serviceMonitor.labels.helm\.sh/chart=x", "'/serviceMonitor/labels/helm.sh~1chart'"),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(said: str, answer: str) -> None:
    done = template(FASTFORWARD, "--set", said)
    assert done.returncode != 0
    assert answer in done.stderr


def test_it_can_be_a_part_of_another_chart() -> None:
    assert template(FASTFORWARD, "--set", "global.anything=1").returncode == 0


def test_the_definitions_are_the_generated_ones() -> None:
    rendered = documents(template(DEFINITIONS).stdout)
    told = {each["metadata"]["name"]: each for each in rendered if each["kind"] == "CustomResourceDefinition"}
    generated = [yaml.safe_load(path.read_text()) for path in (ROOT / "crds/generated").iterdir()]
    assert {name: each["spec"] for name, each in told.items()} == {
        each["metadata"]["name"]: each["spec"] for each in generated
    }
    for each in told.values():
        assert each["metadata"]["annotations"] == {
            "gateway.fastforward.dev/bundle-version": BUNDLE,
            "helm.sh/resource-policy": "keep",
        }


def test_definitions_may_go_with_their_release_and_carry_what_is_asked() -> None:
    done = template(DEFINITIONS, "--set", "keep=false,labels.a=b,annotations.c=d,refuseDowngrades=false")
    for each in documents(done.stdout):
        assert each["kind"] == "CustomResourceDefinition"
        assert "helm.sh/resource-policy" not in each["metadata"]["annotations"]
        assert each["metadata"]["annotations"]["c"] == "d"
        assert each["metadata"]["labels"]["a"] == "b"


def test_one_version_holds_for_everything() -> None:
    for chart in (FASTFORWARD, DEFINITIONS):
        about = yaml.safe_load((chart / "Chart.yaml").read_text())
        assert about["version"] == about["appVersion"] == version() == BUNDLE


def test_by_default_the_images_are_those_that_are_made_here() -> None:
    (container,) = of_kind("default", "Deployment")["fastforward-operator"]["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    named = {container["image"], told["FF_ENVOY_IMAGE"], told["FF_DECISION_IMAGE"]}
    assert named == {recipe.image for recipe in RECIPES if recipe.name != "bookshop"}


@pytest.mark.parametrize("name", ["fastforward-operator", "second"])
def test_roles_are_the_generated_ones(name: str) -> None:
    rendered = documents(template(FASTFORWARD, "--set", f"nameInCluster={name}").stdout)
    found = {(each["kind"], each["metadata"]["name"]): each.get("rules") for each in rendered}
    assert found["ClusterRole", name] == list(rbac.rules())
    assert found["ClusterRole", f"{name}-webhook"] == [{**rbac.webhook_rule(), "resourceNames": [name]}]
    assert found["Role", "fastforward-operator"] == list(rbac.own_rules())


def test_an_operator_of_some_namespaces_may_read_nowhere_else() -> None:
    bindings = of_kind("everything", "ClusterRoleBinding").keys()
    assert bindings == {"second-webhook", "second-namespaces"}
    assert of_kind("everything", "ClusterRole")["second-namespaces"]["rules"] == [rbac.namespaces_rule("shop", "blog")]
    text = (ROOT / "tests/charts/golden/everything/rendered.yaml").read_text()
    read = [each["metadata"].get("namespace") for each in documents(text) if each["metadata"]["name"] == "second"]
    assert {"shop", "blog"} <= set(read)


def test_the_webhook_is_the_generated_one_and_goes_by_the_name_that_the_operator_is_told() -> None:
    (found,) = of_kind("default", "ValidatingWebhookConfiguration").values()
    assert found["webhooks"] == webhookconfig.document("fastforward-system")["webhooks"]
    (container,) = of_kind("default", "Deployment")["fastforward-operator"]["spec"]["template"]["spec"]["containers"]
    told = {each["name"]: each.get("value") for each in container["env"]}
    assert told["FF_WEBHOOK_CONFIGURATION"] == found["metadata"]["name"]
    (service,) = (each for name, each in of_kind("default", "Service").items() if name == webhookconfig.SERVICE)
    assert service["spec"]["selector"].items() <= pod_labels("default").items()


def test_the_webhook_says_other_things_where_it_is_told_to() -> None:
    (found,) = of_kind("everything", "ValidatingWebhookConfiguration").values()
    policies = {each["name"]: each["failurePolicy"] for each in found["webhooks"]}
    assert policies == {webhookconfig.NEEDED: "Ignore", webhookconfig.WELCOME: "Fail"}
    assert {each["timeoutSeconds"] for each in found["webhooks"]} == {7}
    read = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop", "blog"]}
    selector = {"matchLabels": {"checked": "yes"}, "matchExpressions": [read]}
    assert [each["namespaceSelector"] for each in found["webhooks"]] == [selector] * 2


def test_the_webhook_of_some_namespaces_is_asked_about_no_others() -> None:
    """Two installations share a cluster: the one whose operators are away must not close the other's namespaces."""
    generated = webhookconfig.document("fastforward-system")["webhooks"]
    done = template(FASTFORWARD, "--set", "operator.namespaces={shop}")
    (found,) = (each for each in documents(done.stdout) if each["kind"] == "ValidatingWebhookConfiguration")
    read = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": ["shop"]}
    assert len(found["webhooks"]) == len(generated)
    for webhook, plain in zip(found["webhooks"], generated, strict=True):
        # A selector of namespaces says nothing of objects that are in none.
        assert {rule["scope"] for rule in webhook["rules"]} == {"Namespaced"}
        expressions = plain["namespaceSelector"]["matchExpressions"]
        assert webhook["namespaceSelector"] == {"matchExpressions": [*expressions, read]}


@pytest.mark.parametrize(
    ("said", "decides", "there"),
    [
        ("", "fastforward-system/decision", "fastforward-system"),
        ("operator.namespaces={shop,blog}", "shop/decision", "shop"),
        ("operator.decision=shop/decider", "shop/decider", "fastforward-system"),
        ("decision.enabled=false", "", None),
        ("decision.enabled=false,operator.decision=shop/decider", "shop/decider", None),
    ],
)
def test_edges_that_name_nobody_ask_a_workload_that_the_operator_reads(said: str, decides: str, there: str) -> None:
    found = documents(template(FASTFORWARD, "--set", said).stdout)
    (operator,) = (each for each in found if each["kind"] == "Deployment")
    (container,) = operator["spec"]["template"]["spec"]["containers"]
    assert {"name": "FF_DECISION", "value": decides} in container["env"]
    workloads = [each["metadata"] for each in found if each["kind"] == "Workload"]
    assert [each["namespace"] for each in workloads] == ([there] if there else [])
    for each in workloads:
        assert each["annotations"] == {"helm.sh/resource-policy": "keep"}


@pytest.mark.parametrize(("policy", "passed_over"), [("Fail", True), ("Ignore", False)])
def test_a_webhook_that_must_answer_is_not_asked_about_what_comes_before_it(policy: str, *, passed_over: bool) -> None:
    found = documents(template(FASTFORWARD, "--set", f"webhook.failurePolicy={policy}").stdout)
    (configuration,) = (each for each in found if each["kind"] == "ValidatingWebhookConfiguration")
    (welcome,) = (each for each in configuration["webhooks"] if each["name"] == webhookconfig.WELCOME)
    (needed,) = (each for each in configuration["webhooks"] if each["name"] == webhookconfig.NEEDED)
    told = [
        each["expression"] for each in welcome["matchConditions"] if each["name"] == "did-not-come-with-the-operator"
    ]
    assert bool(told) == passed_over
    assert all("'fastforward-system'" in each for each in told)
    assert len(needed["matchConditions"]) == len(welcome["matchConditions"]) - passed_over


def pod_labels(case: str) -> dict[str, str]:
    return of_kind(case, "Deployment")["fastforward-operator"]["spec"]["template"]["metadata"]["labels"]


def test_every_variable_of_the_operator_is_one_of_its_settings() -> None:
    (container,) = of_kind("everything", "Deployment")["fastforward-operator"]["spec"]["template"]["spec"]["containers"]
    names = {each["name"].removeprefix("FF_").lower() for each in container["env"]}
    assert names - Settings.model_fields.keys() == {"pod_ip"}


@pytest.mark.parametrize("component", ["envoy", "decision", "stages", "ingress"])
def test_policies_select_the_pods_that_the_operator_makes(component: str) -> None:
    labels = Names(component=component, owner="shop/public").labels
    for name in ("fastforward-deny", f"fastforward-{component}"):
        selector = of_kind("default", "NetworkPolicy")[name]["spec"]["podSelector"]["matchLabels"]
        assert selector.items() <= labels.items()
    assert of_kind("default", "NetworkPolicy")["fastforward-operator"]["spec"]["podSelector"][
        "matchLabels"
    ].items() <= (pod_labels("default").items())


def test_policies_name_the_ports_that_pods_listen_on() -> None:
    policies = of_kind("everything", "NetworkPolicy")
    for component, ports in {
        "decision": (ir.REQUESTS_PORT, ir.EXCHANGE_PORT),
        "stages": (ir.STAGES_PORT,),
        "ingress": (ir.REQUESTS_PORT,),
    }.items():
        opened = [rule["ports"] for rule in policies[f"fastforward-{component}"]["spec"]["ingress"]]
        assert opened == [[{"port": port}] for port in (*ports, PROBE_PORT)], component
    traffic = policies["fastforward-envoy"]["spec"]["ingress"][0]["ports"]
    for protocol, closed in (("TCP", {PROBE_PORT}), ("UDP", set())):
        ranges = [each for each in traffic if each.get("protocol", "TCP") == protocol]
        opened = {port for each in ranges for port in range(each["port"], each["endPort"] + 1)}
        assert set(range(1, 1 << 16)) - opened == closed
    (needed,) = (
        each["ports"]
        for each in policies["fastforward-envoy"]["spec"]["egress"]
        if each.get("ports") == [{"port": DECISION_PORT}]
    )
    assert needed


def test_pods_of_every_component_are_closed_before_they_are_opened() -> None:
    policies = of_kind("default", "NetworkPolicy")
    assert policies["fastforward-deny"]["spec"] == {
        "podSelector": {"matchLabels": {"app.kubernetes.io/part-of": "fastforward"}},
        "policyTypes": ["Ingress", "Egress"],
    }
    opened = {
        each["spec"]["podSelector"]["matchLabels"].get("app.kubernetes.io/component") for each in policies.values()
    }
    assert opened == {None, "operator", "envoy", "decision", "stages", "ingress"}


def peers_of(rendered: str) -> Iterator[tuple[str, list[Any]]]:
    """Who may connect, of every rule of every policy."""
    for policy in (each for each in documents(rendered) if each["kind"] == "NetworkPolicy"):
        for rule in policy["spec"].get("ingress") or ():
            yield policy["metadata"]["name"], rule.get("from") or []
        for rule in policy["spec"].get("egress") or ():
            yield policy["metadata"]["name"], rule.get("to") or []


EXTERNAL = {"namespaceSelector": {"matchLabels": {"gateway": "external"}}}


def test_what_somebody_else_runs_comes_where_it_has_to() -> None:
    """Envoys of mode External, EntryPoints behind an Upstream, and targets that reach clients unasked."""
    found = {
        (name, port["port"])
        for name, policy in of_kind("everything", "NetworkPolicy").items()
        for rule in policy["spec"].get("ingress") or ()
        for port in rule["ports"]
        if EXTERNAL in rule["from"]
    }
    assert found == {
        ("fastforward-operator", 18001),
        ("fastforward-decision", ir.REQUESTS_PORT),
        ("fastforward-decision", ir.EXCHANGE_PORT),
        ("fastforward-ingress", ir.REQUESTS_PORT),
    }


def test_all_that_tell_of_traces_reach_the_collector() -> None:
    collector = {"podSelector": {"matchLabels": {"app": "otel"}}}
    policies = of_kind("everything", "NetworkPolicy")
    reach = {name for name, policy in policies.items() if {"to": [collector]} in (policy["spec"].get("egress") or ())}
    assert reach == {"fastforward-decision", "fastforward-stages", "fastforward-ingress"}


def test_names_are_asked_for_on_every_port_of_dns() -> None:
    for name, policy in of_kind("everything", "NetworkPolicy").items():
        if name != "fastforward-deny":
            asked = [
                {(port["port"], port["protocol"]) for port in rule["ports"]}
                for rule in policy["spec"]["egress"]
                if rule["to"] == [{"podSelector": {"matchLabels": {"k8s-app": "dns"}}}]
            ]
            assert asked == [{(53, "UDP"), (53, "TCP"), (5353, "UDP"), (5353, "TCP")}], name


def test_where_nobody_is_named_nobody_connects() -> None:
    """To Kubernetes, a rule without peers means everybody."""
    names = ("apiServer", "dns", "monitoring", "issuers", "external", "clients", "upstreams")
    names += ("redis", "postgresql", "rabbitmq", "collector")
    said = ",".join(f"networkPolicies.{name}=[]" for name in names)
    empty = template(FASTFORWARD, "--set-json", said)
    assert empty.returncode == 0, empty.stderr
    found = list(peers_of(empty.stdout))
    assert [name for name, peers in found if not peers] == []
    assert {key for _, peers in found for peer in peers for key in peer} == {"podSelector"}


@CASES
def test_everything_says_what_it_belongs_to(case: Path) -> None:
    for each in documents((case / "rendered.yaml").read_text()):
        assert each["metadata"]["labels"]["app.kubernetes.io/part-of"] == "fastforward"
