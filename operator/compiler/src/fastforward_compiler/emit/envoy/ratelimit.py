"""Native rate limits to the filters local_ratelimit, delivered by ECDS. Called by emitter."""

from __future__ import annotations

from .chain import LIMITS, SHADOW_LIMITS
from .protos import local_rate_limit_pb2
from .wire import extension


def emit_limits() -> dict[str, bytes]:
    """Returns the filters by name."""
    return {
        name: extension(name, local_rate_limit_pb2.LocalRateLimit(stat_prefix=name)) for name in (LIMITS, SHADOW_LIMITS)
    }
