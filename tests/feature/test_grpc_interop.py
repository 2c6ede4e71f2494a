"""gRPC's own interoperability cases, by its client in Go, against the adapter behind Envoy.

Left out are the cases that ask for what no message has: echoed metadata in binary (`custom_metadata`), compressed
answers (`client_compressed_*`, `server_compressed_*`), credentials of a cloud, and channels of a special make
(`pick_first_unary`, `rpc_soak`, `orca_*`, `http2_*` of a server that misbehaves).
"""

from __future__ import annotations

import base64
import subprocess
from collections.abc import Generator

import grpc
import pytest

from support import tools
from support.gateway import Gateway
from support.grpc_schemas import descriptors
from support.interop_target import SERVICE, InteropTarget, running_interop_target
from support.resources import edge, prefix, resource, route, rule, upstream

CASES = (
    "empty_unary",
    "large_unary",
    "client_streaming",
    "server_streaming",
    "ping_pong",
    "empty_stream",
    "timeout_on_sleeping_server",
    "cancel_after_begin",
    "cancel_after_first_response",
    "status_code_and_message",
    "special_status_message",
    "unimplemented_method",
    "unimplemented_service",
)


@pytest.fixture
def target() -> Generator[InteropTarget]:
    with running_interop_target() as running:
        yield running


@pytest.fixture(autouse=True)
def service(deciding_gateway: Gateway, target: InteropTarget) -> None:
    document = base64.b64encode(descriptors(SERVICE, "test.proto")).decode()
    versions = [{"name": "v1", "document": document}]
    deciding_gateway.apply(
        edge(deciding_gateway.port, hosts=["localhost", "messages.example.com"]),
        upstream("interop", target.port, protocol="GRPC"),
        resource("Schema", "interop", {"format": "Protobuf", "versions": versions}),
        route(
            "calls",
            rule(
                prefix("/"),
                adapter={"protocol": "GRPC", "schema": {"name": "interop"}, "host": "messages.example.com"},
            ),
            hosts="localhost",
        ),
        route(
            "messages",
            rule(
                prefix("/grpc.testing.TestService"), message={"type": "interop.test", "upstream": {"name": "interop"}}
            ),
            hosts="messages.example.com",
        ),
    )


@pytest.mark.parametrize("case", CASES)
def test_a_case_passes(gateway: Gateway, case: str) -> None:
    command = [str(tools.program("grpc-interop-client")), "-server_host=localhost", f"-server_port={gateway.port}"]
    done = subprocess.run([*command, f"-test_case={case}"], check=False, capture_output=True, text=True, timeout=30)
    assert done.returncode == 0, done.stderr


def test_text_metadata_are_echoed(gateway: Gateway) -> None:
    """The half of `custom_metadata` that is text."""
    with grpc.insecure_channel(f"localhost:{gateway.port}") as channel:
        _, call = channel.unary_unary("/grpc.testing.TestService/UnaryCall").with_call(
            b"", metadata=(("x-grpc-test-echo-initial", "test_initial_metadata_value"),), timeout=10
        )
    assert ("x-grpc-test-echo-initial", "test_initial_metadata_value") in list(call.initial_metadata())
