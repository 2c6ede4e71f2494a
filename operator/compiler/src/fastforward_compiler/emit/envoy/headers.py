"""What the filter `headers` writes: a host's tenant into requests, Retry-After into refusals by rate limits.

Out: per-route configuration, packed. Called by entry (limits) and table (hosts).
"""

from __future__ import annotations

from google.protobuf import any_pb2

from .chain import DECISION, EXACT, RETRY_HEADER, TENANT_HEADER
from .protos import EnvoyMessage, header_mutation_pb2, mutation_rules_pb2
from .wire import ADD_IF_ABSENT, OVERWRITE_IF_THERE, SET, header_option, header_value, pack

_MUTATION = mutation_rules_pb2.HeaderMutation
_PARTS = ("limit", "reset", "remaining")
_MUTATIONS = header_mutation_pb2.Mutations
# local_ratelimit says when there is a token again, but not in the header that clients know (RFC 9110, section 10.2.3).
# RETRY_HEADER marks its refusals: an expression that asks for the status would cost every answer some microseconds.
_RETRY = (
    (RETRY_HEADER, "%RESP(x-ratelimit-reset)%", OVERWRITE_IF_THERE),
    ("retry-after", f"%RESP({RETRY_HEADER})%", ADD_IF_ABSENT),
)


def per_route(mutations: EnvoyMessage) -> any_pb2.Any:
    """Returns the configuration of a route or a table; those of both hold."""
    return pack(header_mutation_pb2.HeaderMutationPerRoute(mutations=mutations))


def emit_host_tenant(tenant: str) -> any_pb2.Any:
    """Returns what tells the tenant of a host."""
    option = header_option(TENANT_HEADER, header_value(tenant))
    return per_route(_MUTATIONS(request_mutations=[_MUTATION(append=option)]))


def emit_limit_headers(*, exact: bool) -> any_pb2.Any:
    """Returns what tells a refused client when to come again, and of native and `exact` limits the tighter one.

    An empty value writes no header. What is left decides which is tighter, and so is written last; the reset, which is
    written before, decides only between two that have as much left.
    """
    options = [header_option(f"x-ratelimit-{part}", tighter(part), SET) for part in _PARTS if exact]
    options += [header_option(*each) for each in _RETRY]
    for option in options:
        option.keep_empty_value = False
    mutations = [_MUTATION(append=option) for option in options]
    return per_route(_MUTATIONS(response_mutations=[*mutations, _MUTATION(remove=RETRY_HEADER)]))


def tighter(part: str) -> str:
    """Returns the value that the tighter limit has: the decision's, kept as metadata, or the proxy's own.

    Of two with as much left, the one that takes longer to have more.
    """
    told = f"metadata.filter_metadata['{DECISION}']"
    native = "response.headers['x-ratelimit-{}']"
    is_told = f"'{DECISION}' in metadata.filter_metadata && '{EXACT}remaining' in {told}"
    counted = "'x-ratelimit-remaining' in response.headers"
    left, later = (f"int({told}['{EXACT}{each}'])" for each in ("remaining", "reset"))
    own_left, own_later = (f"int({native.format(each)})" for each in ("remaining", "reset"))
    tighter_ = f"{left} < {own_left} || ({left} == {own_left} && {later} > {own_later})"
    own = f"({counted} ? {native.format(part)} : '')"
    return f"%CEL({is_told} && (!({counted}) || {tighter_}) ? {told}['{EXACT}{part}'] : {own})%"


LIMIT_HEADERS = {exact: emit_limit_headers(exact=exact) for exact in (False, True)}
"""By whether there are exact limits beside native ones."""
