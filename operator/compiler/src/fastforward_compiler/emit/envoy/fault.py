"""Faults put in on purpose, to the filter fault.

In: ir.Fault. Out: its per-route configuration. Called by entry. Source: Envoy, "Fault Injection".
"""

from __future__ import annotations

from fastforward_compiler import ir

from .protos import EnvoyMessage, fault_common_pb2, fault_pb2, percent_pb2, route_components_pb2
from .wire import exact, milliseconds, prefix, regex

_HEADER = route_components_pb2.HeaderMatcher


def emit_fault(fault: ir.Fault) -> EnvoyMessage:
    """Returns delay and abort, and for which requests."""
    made = fault_pb2.HTTPFault(headers=[header_matcher(each) for each in fault.headers])
    if fault.delay_percent:
        delay = fault_common_pb2.FaultDelay(
            fixed_delay=milliseconds(fault.delay_ms), percentage=percent(fault.delay_percent)
        )
        made.delay.CopyFrom(delay)
    if fault.abort_percent:
        made.abort.http_status = fault.abort_status
        made.abort.percentage.CopyFrom(percent(fault.abort_percent))
    # Nobody may switch faults off, or on, from outside: no runtime key, no x-envoy-fault-* headers.
    return made


def percent(share: int) -> EnvoyMessage:
    """Returns so many of a hundred."""
    return percent_pb2.FractionalPercent(numerator=share)


def header_matcher(match: ir.TextMatch) -> EnvoyMessage:
    """Returns the condition on a header."""
    match match.type:
        case ir.TextType.PRESENT:
            return _HEADER(name=match.name, present_match=True)
        case ir.TextType.EXACT:
            return _HEADER(name=match.name, string_match=exact(match.value))
        case ir.TextType.PREFIX:
            return _HEADER(name=match.name, string_match=prefix(match.value))
        case _:
            return _HEADER(name=match.name, string_match={"safe_regex": regex(match.value)})
