"""TLS of an Upstream towards its endpoints.

In: an Upstream's `tls`, the Secrets and ConfigMaps that it names. Out: `ir.UpstreamTls`, and Problems. Called by
upstream. Where nobody could be believed, nobody is: the Upstream has no endpoint then.
"""

from __future__ import annotations

from typing import NamedTuple

import fastforward_crds as crds

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .authorities import find_authorities
from .certificate import CERTIFICATE, Unusable
from .reference import is_permitted, target

_FIELD = "spec.tls"


class BackendTls(NamedTuple):
    """None where there is none to be had, with the Problems that say why."""

    tls: ir.UpstreamTls | None
    problems: tuple[Problem, ...] = ()


def translate_backend_tls(cells: Cells, on: ObjectRef, tls: crds.UpstreamTls) -> BackendTls:
    """All that is named must be there."""
    problems: list[Problem] = []
    authorities = find_authorities(cells, on, f"{_FIELD}.authorities", tls.authorities, problems)
    client = _find_client(cells, on, tls.certificate, problems) if tls.certificate is not None else None
    if problems:
        return BackendTls(None, tuple(problems))
    made = ir.UpstreamTls(
        server_name=tls.server_name,
        authorities=authorities,
        dns_names=tls.names or (tls.server_name,),
        pins=tls.pins,
        client=client,
    )
    return BackendTls(made)


def _find_client(cells: Cells, on: ObjectRef, ref: crds.Ref, problems: list[Problem]) -> ir.Certificate | None:
    name, field = target(ref, on.namespace), f"{_FIELD}.certificate"
    if not is_permitted(cells, kind=on.kind, namespace=on.namespace, to_kind="Secret", to=name):
        message = f"Secret {name} is in another namespace, and no ReferenceGrant there permits it."
        problems.append(problem(on, Reason.REF_NOT_PERMITTED, field, message))
        return None
    found = cells.read(CERTIFICATE, name)
    if isinstance(found, Unusable):
        problems.append(problem(on, found.reason, field, found.message))
        return None
    return found
