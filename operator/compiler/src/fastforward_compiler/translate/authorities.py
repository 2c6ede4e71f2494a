"""Certificates of authorities, by reference.

In: references to ConfigMaps and Secrets. Out: one PEM bundle, and Problems. Called by edge (who signs clients'
certificates) and backendtls (who signs those of endpoints).
"""

from __future__ import annotations

from collections.abc import Iterable

import fastforward_crds as crds

from fastforward_compiler.cells import Cells
from fastforward_compiler.problem import ObjectRef, Problem, Reason, problem

from .certificate import AUTHORITIES, Unusable
from .reference import is_permitted, target


def find_authorities(
    cells: Cells, on: ObjectRef, field: str, refs: Iterable[crds.AuthoritiesRef], problems: list[Problem]
) -> bytes:
    """The bundle; what can't be used is told."""
    bundles = []
    for place, ref in enumerate(refs):
        name = target(ref, on.namespace)
        if not is_permitted(cells, kind=on.kind, namespace=on.namespace, to_kind=ref.kind, to=name):
            message = f"{ref.kind} {name} is in another namespace, and no ReferenceGrant there permits it."
            problems.append(problem(on, Reason.REF_NOT_PERMITTED, f"{field}[{place}]", message))
            continue
        found = cells.read(AUTHORITIES, ref.kind, name)
        if isinstance(found, Unusable):
            problems.append(problem(on, found.reason, f"{field}[{place}]", found.message))
        else:
            bundles.append(found.rstrip() + b"\n")
    return b"".join(bundles)
