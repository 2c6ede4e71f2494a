"""Which adapters and stages run elsewhere: at an Upstream, in pods of their own, or in EntryPoint without either."""

from __future__ import annotations

import fastforward_crds as crds
from fastforward_compiler import Compiler, ir, object_ref
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_compiler.emit.envoy import EmitSettings, EnvoyEmitter
from fastforward_compiler.emit.kubernetes import PodSettings, emit_workload

from support.resources import Document, Json, edge, exact, resource, route, rule, upstream

PODS = "fastforward-system"
SETTINGS = PodSettings(namespace=PODS, envoy_image="envoy:1", decision_image="decision:1")
REST: Document = {"component": "Ingress", "adapters": ["REST"]}


def world(*workloads: Document) -> list[Document]:
    documents = [
        edge(8080),
        upstream("orders", 9000, protocol="GRPC"),
        upstream("ingress", 9001),
        resource("Workload", "decision", {}),
        route(
            "shop",
            rule(exact("/orders"), message={"type": "shop.orders.place", "upstream": {"name": "orders"}}),
            rule(exact("/live"), adapter={"protocol": "WebSocket"}),
        ),
        *workloads,
    ]
    for document in documents:
        document["metadata"].setdefault("namespace", "shop")
    return documents


def compiled(compiler: Compiler, *workloads: Document) -> ir.Delta:
    resources = [crds.parse_resource(document) for document in world(*workloads)]
    return compiler.apply({object_ref(each): each for each in resources})


def led(delta: ir.Delta) -> dict[str, str]:
    """By path: who has the adapter."""
    return {entry.match.path: entry.ingress for table in delta.tables.upserts for entry in table.entries if entry.route}


def told(delta: ir.Delta, name: str) -> list[tuple[str, str]]:
    report = next(made for ref, made in delta.reports.items() if (ref.kind, ref.name) == ("Workload", name) and made)
    return [(problem.field, problem.message) for problem in report.problems]


def pods(name: str = "rest", **spec: Json) -> Document:
    return resource("Workload", name, {**REST, "decision": {"name": "decision"}, **spec})


def test_only_the_adapters_that_it_names_are_elsewhere() -> None:
    delta = compiled(Compiler(), resource("Workload", "a", {**REST, "upstream": {"name": "ingress"}}))
    assert led(delta) == {"/orders": "shop/ingress", "/live": ""}


def test_of_several_the_first_that_can_has_it() -> None:
    nobody = resource("Workload", "a", {**REST, "upstream": {"name": "nobody"}})
    calls = resource("Workload", "b", {**REST, "upstream": {"name": "orders"}})
    last = resource("Workload", "c", {**REST, "upstream": {"name": "ingress"}})
    delta = compiled(Compiler(), nobody, calls, last)
    assert led(delta)["/orders"] == "shop/ingress"
    assert [field for field, _ in (*told(delta, "a"), *told(delta, "b"), *told(delta, "c"))] == ["spec.upstream"] * 2


def test_where_no_pods_are_run_entrypoint_does_the_work() -> None:
    stages = resource("Workload", "stages", {"component": "Stages", "stages": ["routing"]})
    delta = compiled(Compiler(), pods(), stages)
    assert led(delta) == {"/orders": "", "/live": ""}
    assert told(delta, "rest") == told(delta, "stages") == []
    assert delta.stages.upserts == ()


def test_where_pods_are_run_requests_go_to_them_and_to_entrypoint_until_they_are_there() -> None:
    delta = compiled(Compiler(pods=PODS), pods())
    assert led(delta) == {"/orders": "shop/rest~pods", "/live": ""}
    [made] = [each for each in delta.upstreams.upserts if each.workload]
    [workload] = [each for each in delta.workloads.upserts if each.component == "Ingress"]
    documents = {document["kind"]: document for document in emit_workload(workload, SETTINGS)}
    service = documents["Service"]
    assert made.dns is not None
    assert made.dns.host == f"{service['metadata']['name']}.{PODS}.svc"
    assert made.dns.port in {port["port"] for port in service["spec"]["ports"]}
    clusters = {each.name for each in EnvoyEmitter(EmitSettings()).apply(delta).upserts if each.name.startswith("shop")}
    assert clusters >= {"shop/rest~pods", "shop/rest~pods.members"}


def test_pods_with_adapters_hand_messages_to_the_workload_that_they_name() -> None:
    delta = compiled(Compiler(pods=PODS), pods())
    made = {each.component: emit_workload(each, SETTINGS) for each in delta.workloads.upserts}
    service = next(each for each in made["Decision"] if each["kind"] == "Service")
    deployment = next(each for each in made["Ingress"] if each["kind"] == "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    variables = {each["name"]: each.get("value") for each in container["env"]}
    ports = {port["name"]: port["port"] for port in service["spec"]["ports"]}
    host = f"{service['metadata']['name']}.{PODS}.svc"
    assert variables["FF_ENTRYPOINT_EXCHANGE"] == f"dns:///{host}:{ports['messages']}"
    assert "FF_ENTRYPOINT_INTERNAL_LISTEN" not in variables


def test_pods_that_name_nobody_who_takes_messages_are_told_and_have_no_requests() -> None:
    for name in ("nobody", "rest"):
        delta = compiled(Compiler(pods=PODS), pods(decision={"name": name}))
        assert [field for field, _ in told(delta, "rest")] == ["spec.decision"]
        assert led(delta)["/orders"] == ""


def test_stages_in_pods_are_asked_by_their_service_with_certificates() -> None:
    stages = resource("Workload", "stages", {"component": "Stages", "stages": ["routing"]})
    delta = compiled(Compiler(pods=PODS), stages)
    resources = {each.name: each for each in DecisionEmitter().apply(delta).upserts}
    place = resources["upstream/shop/stages~pods"].upstream
    assert resources["workload/shop/stages"].workload.upstream == "shop/stages~pods"
    assert place.proven
    [workload] = [each for each in delta.workloads.upserts if each.component == "Stages"]
    service = next(each for each in emit_workload(workload, SETTINGS) if each["kind"] == "Service")
    assert place.dns_host == f"{service['metadata']['name']}.{PODS}.svc"
    assert [port["port"] for port in service["spec"]["ports"]] == [place.dns_port]


def test_an_upstream_in_place_of_pods_takes_them_away() -> None:
    compiler = Compiler(pods=PODS)
    compiled(compiler, pods())
    changed = crds.parse_resource(
        resource("Workload", "rest", {**REST, "upstream": {"name": "ingress"}}, namespace="shop")
    )
    delta = compiler.apply({object_ref(changed): changed})
    assert led(delta)["/orders"] == "shop/ingress"
    assert "shop/rest~pods" in delta.upstreams.removed
    assert "shop/rest" in delta.workloads.removed
