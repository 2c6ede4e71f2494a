"""Calls in gRPC made of JSON: the filter of an Edge, and what a route's requests become.

In: ir.Edge, ir.Transcoding. Out: the filter, which does nothing by itself, and its per-route configuration. Called by
edge and entry. Source: Envoy, "gRPC-JSON transcoder".
"""

from __future__ import annotations

from google.protobuf import any_pb2

from fastforward_compiler import ir

from .chain import configured
from .protos import EnvoyMessage, transcoder_pb2
from .wire import pack, uint32

TRANSCODER = "grpc.transcoder"

_TRANSCODER = transcoder_pb2.GrpcJsonTranscoder


def transcoder_filters(edge: ir.Edge) -> list[EnvoyMessage]:
    """Returns the filter, if there is one. Behind all that matches and judges: these see paths and bodies as sent."""
    return [configured(TRANSCODER, _TRANSCODER(proto_descriptor_bin=b""))] if edge.grpc_transcoding else []


def emit_transcoding(entry: ir.Entry) -> dict[str, any_pb2.Any]:
    """Returns what the requests of an entry become, if they become anything, by the filter's name."""
    return {} if entry.transcoding is None else {TRANSCODER: pack(_configure(entry.transcoding))}


def _configure(said: ir.Transcoding) -> EnvoyMessage:
    return _TRANSCODER(
        proto_descriptor_bin=said.descriptors,
        services=said.services,
        # The route is settled, and everything judged by it: another one would be a way around.
        match_incoming_request_route=True,
        auto_mapping=said.all_methods,
        convert_grpc_status=True,
        query_param_unescape_plus=True,
        ignored_query_parameters=said.ignored_query,
        ignore_unknown_query_parameters=not said.rejects_unknown_query,
        request_validation_options=_TRANSCODER.RequestValidationOptions(
            reject_unknown_method=True,
            reject_unknown_query_parameters=said.rejects_unknown_query,
            reject_binding_body_field_collisions=True,
        ),
        print_options=_TRANSCODER.PrintOptions(
            preserve_proto_field_names=said.proto_names,
            always_print_primitive_fields=said.writes_defaults,
            always_print_enums_as_ints=said.enum_numbers,
            stream_newline_delimited=said.stream == "Lines",
            stream_sse_style_delimited=said.stream == "Events",
        ),
        # Above the connection's buffer; what is larger has been refused before.
        max_request_body_size=uint32(said.max_bytes),
        max_response_body_size=uint32(said.max_bytes),
    )
