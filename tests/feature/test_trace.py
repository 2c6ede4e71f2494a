"""A message's way, from Envoy to its target: what `ff trace`, `ff status`, the metrics and a collector tell of it."""

from __future__ import annotations

import json
from collections.abc import Generator

import pytest

from fastforward.message.v1 import dispatch_pb2, error_pb2
from support.client import Response
from support.collector import Collector, Span, running_collector
from support.credentials import apikeys_data
from support.ff import Said, ff
from support.gateway import Gateway, Stack, running_stack, until
from support.message_target import ThreadedTarget, running_target
from support.processes import free_port
from support.resources import keys_of, on, policy, prefix, proven_by, resource, route, rule, secret, upstream

ACME = "AAAAAAAAAAAA"
KEY = {"x-api-key": f"ffk_{ACME}_{ACME.lower()}", "content-type": "application/json"}
TRACE, CALLER = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"
UNSAMPLED = "0af7651916cd43dd8448eb211c80319c"
PRIVATE = "Please leave it with the neighbours."


@pytest.fixture
def target() -> Generator[ThreadedTarget]:
    with running_target() as running:
        yield running


@pytest.fixture(scope="module")
def collector() -> Generator[Collector]:
    with running_collector() as running:
        yield running


@pytest.fixture(scope="module")
def telling_stack(collector: Collector) -> Generator[Stack]:
    """A stack of its own, whose decision service tells of traces."""
    with pytest.MonkeyPatch.context() as patch, running_stack() as stack:
        patch.setenv("OTEL_EXPORTER_OTLP_ENDPOINT", collector.endpoint)
        stack.start_decision_service()
        yield stack


@pytest.fixture
def telling_gateway(telling_stack: Stack) -> Generator[Gateway]:
    made = Gateway(telling_stack, namespace=f"t{next(telling_stack.numbers)}", port=free_port())
    made.begin()
    yield made
    made.end()


def orders(gateway: Gateway, target: ThreadedTarget) -> None:
    gateway.apply(
        secret("api-keys", apikeys_data(**{ACME: "acme"}), "gateway.fastforward.dev/api-keys"),
        resource("Tenant", "acme", {}),
        upstream("orders", target.port, protocol="GRPC"),
        route(
            "orders",
            rule(prefix("/orders"), message={"type": "shop.orders.place", "upstream": {"name": "orders"}}),
        ),
        policy("buyers", on("Route", "orders"), authentication=proven_by(keys_of())),
    )


def place(gateway: Gateway, **headers: str) -> Response:
    body = json.dumps({"note": PRIVATE})
    return gateway.request("POST", "/orders?card=4111", headers={**KEY, **headers}, body=body)


def run(gateway: Gateway, *arguments: str) -> Said:
    return ff(*arguments, "--api", f"http://127.0.0.1:{gateway.stack.api_port}")


def test_the_id_in_an_answer_leads_to_the_way_of_its_message(deciding_gateway: Gateway, target: ThreadedTarget) -> None:
    orders(deciding_gateway, target)
    answer = place(deciding_gateway)
    id_ = answer.header("x-ff-message-id")
    assert id_ is not None
    assert answer.status == 200
    said = run(deciding_gateway, "trace", id_)
    assert said.code == 0, said.err
    assert f"{id_}  answered in " in said.out
    for word in ("decision0", "shop.orders.place", "acme", "/orders", "in  ingress", "in  dispatch", "out egress"):
        assert word in said.out
    [way] = run(deciding_gateway, "trace", answer.header("x-request-id") or "", "-o", "json").json["messages"]
    assert (way["id"], len(way["steps"])) == (id_, 13)
    assert way["traceId"] == deciding_gateway.log_line(answer)["traceparent"][3:35]
    assert run(deciding_gateway, "trace", way["traceId"]).code == 0
    for hidden in (PRIVATE, "4111", KEY["x-api-key"], ACME.lower()):
        assert hidden not in json.dumps(way)


def test_a_message_that_failed_says_where_and_why(deciding_gateway: Gateway, target: ThreadedTarget) -> None:
    orders(deciding_gateway, target)
    error = error_pb2.Error(code=error_pb2.CODE_INTERNAL, reason="stock/broken", title="The stock is broken")
    target.answer = dispatch_pb2.HandleResponse(error=error)
    answer = place(deciding_gateway)
    id_ = json.loads(answer.body)["messageId"]
    assert answer.header("x-ff-message-id") == id_
    [way] = run(deciding_gateway, "trace", id_, "-o", "json").json["messages"]
    assert (way["verdict"], way["reason"], way["steps"][-1]["stage"]) == ("failed", "stock/broken", "dispatch")
    line = next(json.loads(line) for line in deciding_gateway.stack.log("decision0").splitlines() if id_ in line)
    assert (line["event"], line["level"], line["reason"]) == ("message ended", "info", "stock/broken")
    assert PRIVATE not in deciding_gateway.stack.log("decision0")


def test_a_message_that_nobody_knows_of_is_exit_code_one(deciding_gateway: Gateway) -> None:
    said = run(deciding_gateway, "trace", "01890a5d-ac96-774b-bcce-b302099a8057")
    assert (said.code, said.out) == (1, "")


def test_status_shows_the_hop_to_a_target_and_that_its_breaker_opens(
    deciding_gateway: Gateway, target: ThreadedTarget
) -> None:
    orders(deciding_gateway, target)
    name = f"{deciding_gateway.namespace}/orders"

    def hop() -> dict[str, object]:
        found = run(deciding_gateway, "status", "-o", "json").json["hops"]
        return next((each for each in found if each["name"] == name), {})

    assert place(deciding_gateway).status == 200
    assert (hop()["node"], hop()["breaker"], hop()["calls"], hop()["inFlight"]) == ("decision0", "closed", 1, 0)
    target.stop()
    until(lambda: (place(deciding_gateway), hop())[1], lambda found: found["breaker"] == "open")
    assert int(str(hop()["failures"])) > 1


def test_what_a_client_began_goes_on_through_the_stages_to_the_target(
    telling_gateway: Gateway, collector: Collector, target: ThreadedTarget
) -> None:
    gateway = telling_gateway
    orders(gateway, target)
    answer = place(gateway, traceparent=f"00-{TRACE}-{CALLER}-01")
    whole = until(lambda: [each for each in collector.spans if each.trace_id == TRACE])[0]
    assert (whole.name, whole.parent_id, whole.kind) == ("shop.orders.place", CALLER, "SERVER")
    assert whole.attributes["ff.message.id"] == answer.header("x-ff-message-id")
    assert whole.attributes["ff.request.id"] == answer.header("x-request-id")
    assert whole.resource == {"service.name": "fastforward-entrypoint", "service.instance.id": "decision0"}
    [dispatch] = [each for each in collector.spans if (each.trace_id, each.kind) == (TRACE, "CLIENT")]
    assert dispatch.parent_id == whole.span_id
    assert target.metadata[-1]["traceparent"] == f"00-{TRACE}-{dispatch.span_id}-01"


def test_what_begins_at_the_proxy_is_told_and_what_a_client_left_unsampled_is_not(
    telling_gateway: Gateway, collector: Collector, target: ThreadedTarget
) -> None:
    gateway = telling_gateway
    orders(gateway, target)
    place(gateway, traceparent=f"00-{UNSAMPLED}-{CALLER}-00")
    answer = place(gateway)

    def of_second() -> list[Span]:
        wanted = answer.header("x-request-id")
        return [each for each in collector.spans if each.attributes.get("ff.request.id") == wanted]

    [whole] = until(of_second)
    begun = gateway.log_line(answer)["traceparent"]
    assert (whole.trace_id, whole.parent_id) == (begun[3:35], begun[36:52])
    assert UNSAMPLED not in {each.trace_id for each in collector.spans}
    assert target.metadata[0]["traceparent"] == f"00-{UNSAMPLED}-{CALLER}-00"
