"""gRPC's interoperability test as messages: the schema of its service, and a workload that does what its cases ask.

In: messages of grpc.testing.TestService. Out: what the test descriptions say that its server answers. Called by the
test of interoperability. Source: doc/interop-test-descriptions.md of gRPC.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import grpc

from fastforward.message.v1 import dispatch_pb2, envelope_pb2, error_pb2

from .message_target import ThreadedTarget
from .messages import reply

SERVICE = """
syntax = "proto3";
package grpc.testing;

service TestService {
  rpc EmptyCall(Empty) returns (Empty);
  rpc UnaryCall(SimpleRequest) returns (SimpleResponse);
  rpc StreamingOutputCall(StreamingOutputCallRequest) returns (stream StreamingOutputCallResponse);
  rpc StreamingInputCall(stream StreamingInputCallRequest) returns (StreamingInputCallResponse);
  rpc FullDuplexCall(stream StreamingOutputCallRequest) returns (stream StreamingOutputCallResponse);
}

message Empty {}
message Payload { bytes body = 2; }
message EchoStatus { int32 code = 1; string message = 2; }
message SimpleRequest { int32 response_size = 2; Payload payload = 3; EchoStatus response_status = 7; }
message SimpleResponse { Payload payload = 1; }
message StreamingInputCallRequest { Payload payload = 1; }
message StreamingInputCallResponse { int32 aggregated_payload_size = 1; }
message ResponseParameters { int32 size = 1; int32 interval_us = 2; }
message StreamingOutputCallRequest {
  repeated ResponseParameters response_parameters = 2;
  Payload payload = 3;
  EchoStatus response_status = 7;
}
message StreamingOutputCallResponse { Payload payload = 1; }
"""
Json = dict[str, Any]


@dataclass
class InteropTarget(ThreadedTarget):
    """The service. Without a body to send it sends zeros."""

    def Handle(  # noqa: N802 - gRPC's name
        self, request: dispatch_pb2.HandleRequest, context: grpc.ServicerContext
    ) -> dispatch_pb2.HandleResponse:
        """One message."""
        del context
        envelope = request.envelope
        self.received.append(envelope)
        content = json.loads(envelope.payload.body or b"{}")
        status = content.get("responseStatus", {}) if isinstance(content, dict) else {}
        if status.get("code"):
            code = error_pb2.Code.ValueType(status["code"])
            error = error_pb2.Error(code=code, title=status.get("message", ""), reason="target/asked-for")
            return dispatch_pb2.HandleResponse(error=error)
        made = reply(json.dumps(_answer(envelope.header.source.target.rpartition("/")[2], content)).encode())
        made.header.completion.fields.extend(
            envelope_pb2.Field(name=each.name, value=each.value)
            for each in envelope.header.source.fields
            if each.name == "x-grpc-test-echo-initial"
        )
        return dispatch_pb2.HandleResponse(reply=made)


def _answer(method: str, content: Any) -> Json | list[Json]:  # noqa: ANN401 - JSON
    match method:
        case "UnaryCall":
            return _payload(content.get("responseSize", 0))
        case "StreamingInputCall":
            sizes = (len(base64.b64decode(each.get("payload", {}).get("body", ""))) for each in content)
            return {"aggregatedPayloadSize": sum(sizes)}
        case "StreamingOutputCall" | "FullDuplexCall":
            return [_payload(each.get("size", 0)) for each in content.get("responseParameters", ())]
        case _:
            return {}


def _payload(size: int) -> Json:
    return {"payload": {"body": base64.b64encode(bytes(size)).decode()}}


@contextmanager
def running_interop_target() -> Generator[InteropTarget]:
    """Runs one on the loopback."""
    target = InteropTarget()
    target.start()
    try:
        yield target
    finally:
        target.stop()
