"""Adaptive concurrency: how many requests may be under way, found by how long they take.

In: ir.AdaptiveConcurrency. Out: the filter, and what takes a route out of it. Called by edge and entry. Source: Envoy,
"Adaptive concurrency" (gradient controller). Each proxy finds a bound of its own, over all requests of the Edge: the
filter can't be one of a cluster's.
"""

from __future__ import annotations

from google.protobuf import any_pb2

from fastforward_compiler import ir

from .admission import streams
from .chain import configured
from .protos import EnvoyMessage, adaptive_concurrency_pb2, percent_pb2, route_components_pb2
from .wire import milliseconds, pack, uint32

CONCURRENCY = "concurrency"

_GRADIENT = adaptive_concurrency_pb2.GradientControllerConfig
_UPDATE_MS = 100
_SAMPLES = 50
_JITTER_PERCENT = 15
_NONE = pack(route_components_pb2.FilterConfig(disabled=True))


def concurrency_filters(said: ir.AdaptiveConcurrency | None) -> list[EnvoyMessage]:
    """Returns the filter, if there is one. Proxies measure at rest one after another, as far as chance has it."""
    if said is None:
        return []
    gradient = _GRADIENT(
        sample_aggregate_percentile=percent_pb2.Percent(value=said.percentile),
        concurrency_limit_params=_GRADIENT.ConcurrencyLimitCalculationParams(
            max_concurrency_limit=uint32(said.most), concurrency_update_interval=milliseconds(_UPDATE_MS)
        ),
        min_rtt_calc_params=_GRADIENT.MinimumRTTCalculationParams(
            interval=milliseconds(said.measure_every_ms),
            request_count=uint32(_SAMPLES),
            jitter=percent_pb2.Percent(value=_JITTER_PERCENT),
            min_concurrency=uint32(said.least),
        ),
    )
    return [configured(CONCURRENCY, adaptive_concurrency_pb2.AdaptiveConcurrency(gradient_controller_config=gradient))]


def emit_exemption(entry: ir.Entry, edge: ir.Edge) -> dict[str, any_pb2.Any]:
    """Returns what takes a route out of it: streams last as long as they like, and tell nothing of how long work takes.

    Of a tenant's route it is what everybody's says: Envoy looks once, at the first route that a request finds.
    """
    lasting = isinstance(entry.destination, ir.AdapterDispatch) or streams(entry.destination)
    return {CONCURRENCY: _NONE} if lasting and edge.adaptive_concurrency is not None else {}
