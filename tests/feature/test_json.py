"""Calls in JSON: switched by a Workload while requests are under way, to a target and to another EntryPoint."""

from __future__ import annotations

import json
import sys
from collections.abc import Generator

import pytest

from support.credentials import apikeys_data
from support.gateway import STOP_S, Gateway, until
from support.message_target import ThreadedTarget, running_target
from support.processes import free_port
from support.resources import Document, keys_of, on, policy, prefix, proven_by, resource, route, rule, secret, upstream

ACME = "AAAAAAAAAAAA"
KEY = {"x-api-key": f"ffk_{ACME}_{ACME.lower()}", "content-type": "application/json"}
ORDER = b'{"sku": "abc", "quantity": 2}'


@pytest.fixture
def target(deciding_gateway: Gateway) -> Generator[ThreadedTarget]:
    with running_target() as running:
        deciding_gateway.apply(
            secret("api-keys", apikeys_data(**{ACME: "acme"}), "gateway.fastforward.dev/api-keys"),
            resource("Tenant", "acme", {}),
            upstream("orders", running.port, protocol="GRPC"),
            route("orders", rule(prefix("/orders"), message={"type": "a.b", "upstream": {"name": "orders"}})),
            policy("buyers", on("Route", "orders"), authentication=proven_by(keys_of())),
        )
        yield running


@pytest.fixture
def runner(deciding_gateway: Gateway) -> Generator[int]:
    """Another EntryPoint, which runs stages for others; its port."""
    stack, port = deciding_gateway.stack, free_port()
    settings = {
        "FF_ENTRYPOINT_LISTEN": f"unix:{stack.folder / 'runner.sock'}",
        "FF_ENTRYPOINT_OPERATOR": f"unix:{stack.folder / 'xds.sock'}",
        "FF_ENTRYPOINT_NODE": "runner",
        "FF_ENTRYPOINT_STAGES_LISTEN": f"127.0.0.1:{port}",
    }
    stack.run("runner", [sys.executable, "-m", "fastforward_entrypoint"], settings)
    until(lambda: stack.alive() and (stack.folder / "runner.sock").exists(), seconds=60)
    yield port
    child = stack.children.pop("runner")
    child.terminate()
    child.wait(STOP_S)


def how(encoding: str, component: str = "Target", to: str = "orders", **said: object) -> Document:
    return resource("Workload", to, {"component": component, "upstream": {"name": to}, "encoding": encoding, **said})


def notes(gateway: Gateway) -> dict[str, str]:
    """What `ff status` shows of this test's hops."""
    hops = gateway.stack.api("/v1/hops")["hops"]
    return {
        hop["name"]: hop["note"] for hop in hops if f"{gateway.namespace}/" in hop["name"] and hop["node"] != "runner"
    }


def place(gateway: Gateway) -> None:
    answer = gateway.request("POST", "/orders", headers=KEY, body=ORDER)
    assert (answer.status, json.loads(answer.body)) == (200, {"order": 7})


def test_what_a_target_is_told_can_be_read_while_it_is_switched_on_and_no_message_is_lost(
    gateway: Gateway, target: ThreadedTarget
) -> None:
    sent = 0

    def send() -> bool:
        nonlocal sent
        place(gateway)
        sent += 1
        return bool(target.said)

    send()
    for _ in range(2):
        target.said.clear()
        gateway.apply(how("JSON"))
        until(send)
        assert notes(gateway) == {f"{gateway.namespace}/orders": "JSON"}
        gateway.apply(how("Protobuf"))
        until(lambda: (target.said.clear(), send())[1] is False)
    assert len(target.received) == sent
    assert len({each.header.id for each in target.received}) == sent


def test_stages_of_another_entrypoint_are_asked_in_json(gateway: Gateway, target: ThreadedTarget, runner: int) -> None:
    taken = ["normalization", "routing"]
    gateway.apply(upstream("runner", runner, protocol="GRPC"), how("JSON", "Stages", "runner", stages=taken))

    def told() -> dict[str, str]:
        place(gateway)
        return notes(gateway)

    hop = f"stages of {gateway.namespace}/runner"
    until(told, lambda notes: notes.get(hop) == "JSON")
    assert {each.payload.body for each in target.received} == {b'{"quantity":2,"sku":"abc"}'}
    gateway.apply(how("Protobuf", "Stages", "runner", stages=taken))
    until(told, lambda notes: notes.get(hop) == "")
