"""What the filter `headers` writes: a host's tenant into requests, Retry-After into refusals by rate limits.

Out: per-route configuration, packed. Called by entry (limits) and table (hosts).
"""

from __future__ import annotations

from google.protobuf import any_pb2

from .chain import TENANT_HEADER
from .protos import EnvoyMessage, header_mutation_pb2, mutation_rules_pb2
from .wire import ADD_IF_ABSENT, header_option, header_value, pack

_MUTATION = mutation_rules_pb2.HeaderMutation
_MUTATIONS = header_mutation_pb2.Mutations
# local_ratelimit says when there is a token again, but not in the header that clients know (RFC 9110, section 10.2.3).
_RESET = "%CEL(response.code == 429 ? response.headers['x-ratelimit-reset'] : '')%"


def per_route(mutations: EnvoyMessage) -> any_pb2.Any:
    """Returns the configuration of a route or a table; those of both hold."""
    return pack(header_mutation_pb2.HeaderMutationPerRoute(mutations=mutations))


def emit_host_tenant(tenant: str) -> any_pb2.Any:
    """Returns what tells the tenant of a host."""
    option = header_option(TENANT_HEADER, header_value(tenant))
    return per_route(_MUTATIONS(request_mutations=[_MUTATION(append=option)]))


def emit_retry_after() -> any_pb2.Any:
    """Returns what tells a refused client when to come again; an empty value writes no header."""
    option = header_option("retry-after", _RESET, ADD_IF_ABSENT)
    option.keep_empty_value = False
    return per_route(_MUTATIONS(response_mutations=[_MUTATION(append=option)]))


RETRY_AFTER = emit_retry_after()
