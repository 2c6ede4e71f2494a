"""What clients get of a session tells no address, and what they send as one chooses nothing but an endpoint."""

from __future__ import annotations

import base64
from collections.abc import Generator

import pytest
from fastforward_compiler import ir
from fastforward_compiler.emit.envoy import session, upstream
from fastforward_compiler.emit.envoy.protos import EnvoyMessage
from google.protobuf import struct_pb2

from security.deployment import HOST, Deployment, deploying
from support.origin import Loop, Origin
from support.resources import Document, prefix, route, rule
from support.resources import upstream as upstream_of

NAMES = ("books", "private")
COOKIE = "session"
VALUES = (
    "0123456789abcdef",
    "0" * 4096,
    "127.0.0.1:80",
    base64.b64encode(b"127.0.0.1:80").decode(),
    "%24%7B",
    "a\tb",
    "'; ) : '",
    "ff-session-any=1",
    "{}",
)


@pytest.fixture
def loop() -> Generator[Loop]:
    made = Loop()
    yield made
    made.stop()


@pytest.fixture
def origin(loop: Loop) -> Generator[Origin]:
    made = Origin(name="books", loop=loop)
    made.start()
    yield made
    made.stop()


def documents(port: int) -> list[Document]:
    affinity = {"sessionAffinity": {"cookie": {"name": COOKIE}}}
    return [
        upstream_of("books", port, **affinity),
        route("shop", rule(prefix("/"), to="books"), rule(prefix("/private"), to="private"), hosts=HOST),
    ]


def told(deployment: Deployment, port: int) -> list[str]:
    """Headers of answers that tell where the origin is, as it is or encoded."""
    sent = [(), *((("cookie", f"{COOKIE}={value}"),) for value in VALUES)]
    headers = [value for pairs in sent for _, value in deployment.get("/", pairs).headers]
    secrets = (f":{port}", "127.0.0.1", base64.b64encode(f"127.0.0.1:{port}".encode()).decode().rstrip("="))
    return [value for value in headers if any(secret in value for secret in secrets)]


def test_no_answer_tells_where_the_endpoint_is(origin: Origin) -> None:
    with deploying(*documents(origin.port), origins=("private",)) as running:
        assert running.problems == ()
        assert told(running, origin.port) == []


def test_no_cookie_leads_to_another_upstream_or_is_repeated(origin: Origin) -> None:
    with deploying(*documents(origin.port), origins=("private",)) as running:
        private = running.origins["private"].port
        for value in (*VALUES, f"127.0.0.1:{private}", base64.b64encode(f"127.0.0.1:{private}".encode()).decode()):
            answer = running.get("/", (("cookie", f"{COOKIE}={value}"),))
            assert answer.status in (200, 0)
            assert all(value not in text for _, text in answer.headers)
        assert running.received == 0


def test_the_check_sees_a_build_that_writes_addresses(origin: Origin, monkeypatch: pytest.MonkeyPatch) -> None:
    def emit_address(endpoint: ir.Endpoint, target: EnvoyMessage) -> None:
        said = struct_pb2.Value(string_value=f"{endpoint.address}:{endpoint.port}")
        target.metadata.filter_metadata["envoy.lb"].CopyFrom(struct_pb2.Struct(fields={"ff-session": said}))

    assert upstream.emit_mark is session.emit_mark
    monkeypatch.setattr(upstream, "emit_mark", emit_address)
    with deploying(*documents(origin.port), origins=("private",)) as running:
        assert told(running, origin.port) != []
