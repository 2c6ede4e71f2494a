"""What routes have to do with services that are asked whether a request may pass: their time, and their words.

In: the Auth of an entry. Out: how long its decision may take, as per-route configuration of the filters `decision.open`
and `decision.closed`; the headers that are written over the request's. Called by entry. The services themselves are
asked by the decision service.
"""

from __future__ import annotations

from functools import lru_cache

from fastforward_compiler import ir

from .chain import DECISION, TOLD, http_service
from .protos import EnvoyMessage
from .wire import header_option

_ISSUER_MS = 5500
"""The decision service gives an issuer 5 s (fastforward_entrypoint/oidc.py)."""


def extra_ms(auth: ir.Auth | None) -> int:
    """Returns how much longer a decision may take because others are asked, one after the other.

    A code is exchanged once: nobody asks a second decision service while the first one waits for an issuer.
    """
    services = sum(each.external.timeout_ms for each in _asking(auth) if each.external is not None)
    return services + (_ISSUER_MS if auth is not None and auth.logs_in else 0)


@lru_cache(maxsize=256)
def patient_service(decision_timeout_ms: int, more_ms: int, *, logs_in: bool = False) -> EnvoyMessage:
    """Returns the decision service as it is asked where others are asked in turn: each try may take as much longer.

    Where it `logs_in`, its answers set cookies and send browsers elsewhere.
    """
    return http_service(decision_timeout_ms, more_ms, logs_in=logs_in)


def write_told(auth: ir.Auth | None, route: EnvoyMessage) -> None:
    """Writes into a Route what the services tell the upstream; their headers are taken from clients in any case.

    Envoy removes first and writes what has a value then, of the decision's metadata, which no client can write.
    """
    names = {name for each in _asking(auth) if each.external is not None for name in each.external.answer_headers}
    for name in sorted(names):
        if name not in route.request_headers_to_remove:
            route.request_headers_to_remove.append(name)
        option = header_option(name, f"%DYNAMIC_METADATA({DECISION}:{TOLD}{name})%")
        option.keep_empty_value = False
        route.request_headers_to_add.append(option)


def _asking(auth: ir.Auth | None) -> tuple[ir.Authorization, ...]:
    return () if auth is None else auth.authorizations
