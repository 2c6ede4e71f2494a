"""Admission to what the proxy checks by itself: client addresses, body sizes, content types.

In: the Admissions of an ir.Entry. Out: per-route configuration of the filters `admission` and `body`, packed. Called by
entry. The first judges headers, before anything else; a body whose length is not announced is judged after
authorization only, because counting it means holding it.

The evaluator's rule: an address outside is 403; a content-length or received bytes above the bound are 413; a media
type that is not listed is 415 when there may be a body: when the content-length is above 0, or when a request without
content-length has a content type, or a method that has bodies. Envoy shows filters no transfer-encoding, and HTTP/2 has
none: a POST that says nothing is taken for one with a body, or bodies in chunks would pass.
"""

from __future__ import annotations

from google.protobuf import any_pb2

from fastforward_compiler import ir

from .addresslist import client_in_any, client_in_any_or_unknown
from .chain import ADMISSION, ADMISSION_SHADOW, BODY
from .protos import EnvoyMessage, buffer_pb2
from .rbac import client_in, every, has_header, header_at_least, header_matches, none, refuse, some
from .refusal import ADDRESS_DENIED, BODY_TOO_LARGE, CONTENT_TYPE_REFUSED
from .wire import literal_pattern, pack, uint32

_MAX_MESSAGE_BYTES = 4 * 1024 * 1024
"""What EntryPoint takes in."""
_NOTHING = ir.Admission()
_HAS_UNANNOUNCED_BODY = every(
    none(has_header("content-length")),
    none(header_matches(":method", "GET|HEAD|DELETE|OPTIONS|TRACE|CONNECT")),
    has_header("content-type"),
)
_MAY_HAVE_BODY = some(
    header_at_least("content-length", 1),
    every(
        none(has_header("content-length")),
        some(none(header_matches(":method", "GET|HEAD|DELETE|OPTIONS|TRACE|CONNECT")), has_header("content-type")),
    ),
)
_IS_CALL = header_matches("content-type", r"(?i)[ \t]*application/grpc.*")
_HAS_BODY = some(header_at_least("content-length", 1), _HAS_UNANNOUNCED_BODY)


def emit_admission(entry: ir.Entry) -> dict[str, any_pb2.Any]:
    """Returns the configuration of the filter `admission`, if it has something to check, by the filter's name."""
    rules = refuse(not_admitted(entry), not_admitted(entry, shadow=True), told_as=ADMISSION_SHADOW)
    return {} if rules is None else {ADMISSION: rules}


def emit_body_bound(entry: ir.Entry) -> dict[str, any_pb2.Any]:
    """Returns the configuration of the filter `body`, if it has something to check, by the filter's name."""
    bounds = body_bounds(entry)
    held = entry.transcoding is not None or not streams(entry.destination)
    return {BODY: hold(min(bounds))} if bounds and held else {}


def streams(destination: ir.Destination) -> bool:
    """Whether it is an upstream that speaks gRPC, whose streams can't be held; what the client says decides nothing."""
    return isinstance(destination, ir.Split | ir.ShardDispatch) and destination.grpc


def not_admitted(entry: ir.Entry, *, shadow: bool = False) -> dict[str, EnvoyMessage]:
    """Returns what is refused by its headers, by reason; with `shadow`, what would be."""
    admissions = admissions_of(entry, shadow=shadow)
    bounds = body_bounds(entry, shadow=shadow)
    refused: dict[str, EnvoyMessage] = {}
    if outside := [principal for admission in admissions for principal in addresses_outside(admission)]:
        refused[ADDRESS_DENIED] = some(*outside)
    if bounds:
        refused[BODY_TOO_LARGE] = too_large(min(bounds))
    other = [wrong_content(admission.content_types) for admission in admissions if admission.content_types]
    if entry.transcoding is not None and not shadow:
        other.append(_IS_CALL)
    if other:
        refused[CONTENT_TYPE_REFUSED] = some(*other)
    return refused


def admissions_of(entry: ir.Entry, *, shadow: bool = False) -> list[ir.Admission]:
    """Returns the Edge's and the Route's settings, if they say anything: those in force, or those in the shadow."""
    return [each for each in (entry.edge_admission, entry.admission) if each != _NOTHING and each.shadow is shadow]


def body_bounds(entry: ir.Entry, *, shadow: bool = False) -> list[int]:
    """Returns the largest sizes of bodies, in bytes; what is held whole has one in any case: messages, and JSON that
    becomes a call. (Envoy's transcoder bounds only what it has not read yet.)
    """
    whole = [_MAX_MESSAGE_BYTES] if isinstance(entry.destination, ir.MessageDispatch) and not shadow else []
    if entry.transcoding is not None and not shadow:
        whole.append(entry.transcoding.max_bytes)
    admissions = admissions_of(entry, shadow=shadow)
    return whole + [each.max_body_bytes for each in admissions if each.max_body_bytes is not None]


def hold(max_bytes: int) -> any_pb2.Any:
    """Returns the configuration that holds a body whose length is not announced. Envoy wants a bound above 0."""
    return pack(buffer_pb2.BufferPerRoute(buffer=buffer_pb2.Buffer(max_request_bytes=uint32(max(max_bytes, 1)))))


def addresses_outside(admission: ir.Admission) -> list[EnvoyMessage]:
    """Returns the requests from clients that are not let in, seen past trusted hops."""
    outside = [client_in(network) for network in admission.deny_addresses]
    if admission.deny_lists:
        outside.append(client_in_any_or_unknown(admission.deny_lists))
    inside = [client_in(network) for network in admission.allow_addresses]
    if admission.allow_lists:
        inside.append(client_in_any(admission.allow_lists))
    return [*outside, none(some(*inside))] if inside else outside


def too_large(max_bytes: int) -> EnvoyMessage:
    """Returns the requests that announce a larger body; with a bound of 0, those that have any."""
    return header_at_least("content-length", max_bytes + 1) if max_bytes else _HAS_BODY


def wrong_content(content_types: tuple[str, ...]) -> EnvoyMessage:
    """Returns the requests that have a body of another media type; parameters don't count (RFC 9110, section 8.3)."""
    listed = "|".join(map(literal_pattern, content_types))
    return every(_MAY_HAVE_BODY, none(header_matches("content-type", rf"(?i)[ \t]*(?:{listed})[ \t]*(?:;.*)?")))
