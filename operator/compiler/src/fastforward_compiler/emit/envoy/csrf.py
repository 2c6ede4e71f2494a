"""What a rule says about forged requests to the filter csrf, which compares `Origin` or `Referer` with the host.

In: ir.Csrf and the scope's host. Out: the per-route configuration. Called by entry. Listeners strip ports from hosts,
and browsers write those that are not their scheme's into `Origin`: so a host that is known here is told with any port.
"""

from __future__ import annotations

from fastforward_compiler import ir

from .protos import EnvoyMessage, base_pb2, csrf_pb2, percent_pb2, string_pb2
from .wire import literal_pattern, regex


def emit_csrf(csrf: ir.Csrf, host: str) -> EnvoyMessage:
    """Returns the policy; `host` is the scope's, maybe a wildcard: then the proxy compares with the request's."""
    own = () if "*" in host else (host,)
    return csrf_pb2.CsrfPolicy(
        filter_enabled=always(not csrf.shadow),
        shadow_enabled=always(csrf.shadow),
        additional_origins=[pages_of(each) for each in (*own, *csrf.hosts)],
    )


def always(yes: bool) -> EnvoyMessage:
    """Returns all requests, or none."""
    share = percent_pb2.FractionalPercent(numerator=100 if yes else 0)
    return base_pb2.RuntimeFractionalPercent(default_value=share)


def pages_of(host: str) -> EnvoyMessage:
    """Returns the matcher of a host's pages, on any port; a `*` stands for one or more labels."""
    pattern = "[a-zA-Z0-9.-]+".join(map(literal_pattern, host.split("*")))
    return string_pb2.StringMatcher(safe_regex=regex(f"{pattern}(?::[0-9]+)?"))
