"""W3C trace context (https://www.w3.org/TR/trace-context/), natively: a change of headers that valid requests skip.

Out: the filter's configuration. Called by chain. A valid `traceparent` passes as it is, with its `tracestate`; any
other request begins a trace here, unsampled: its id is the time in nanoseconds and the first eight digits of the
request id. Nothing but Lua takes the dashes out of a UUID, and it costs several times as much a request; Envoy's tracer
asks for an exporter, and costs more again.
"""

from __future__ import annotations

from .matching import ANYTHING, every, header_input, none, pattern, skip_if, some, test
from .protos import EnvoyMessage, header_mutation_pb2, mutation_rules_pb2
from .wire import header_option

_PARENT, _STATE, _REQUEST_ID = "traceparent", "tracestate", "x-request-id"
_IDS = "[0-9a-f]{32}-[0-9a-f]{16}-[0-9a-f]{2}"
_LATER = "(?:0[1-9a-f]|[1-9a-e][0-9a-f]|f[0-9a-e])"
"""Versions after 00, which may have more behind the flags; ff is none."""
_VALID = f"00-{_IDS}|{_LATER}-{_IDS}(?:-{ANYTHING})?"
_ZEROS = f"..-(?:0{{32}}{ANYTHING}|.{{33}}0{{16}}-{ANYTHING})"
_RANDOM = "%REQ(X-REQUEST-ID):8%"
"""Of a UUID (version 4), its first eight hexadecimal digits."""
_BEGUN = f"00-00000%START_TIME(%s%9f)%{_RANDOM}-{_RANDOM}%START_TIME(%8f)%-00"
"""Ten digits of seconds, nine of nanoseconds: ids that are shorter than 32 digits have zeros in front."""


def trace_context() -> EnvoyMessage:
    """Returns the filter's configuration.

    Behind a trusted proxy a request id may be any text; a request whose id can't begin a trace goes on without one.
    """
    parent, request_id = header_input(_PARENT), header_input(_REQUEST_ID)
    valid = every([test(parent, pattern(_VALID)), none(test(parent, pattern(_ZEROS)))])
    foreign = none(test(request_id, pattern(f"[0-9a-f]{{8}}{ANYTHING}")))
    mutation = mutation_rules_pb2.HeaderMutation
    changes = [mutation(append=header_option(_PARENT, _BEGUN)), mutation(remove=_STATE)]
    mutations = header_mutation_pb2.Mutations(request_mutations=changes)
    return skip_if(some(valid, foreign), "trace", header_mutation_pb2.HeaderMutation(mutations=mutations))
