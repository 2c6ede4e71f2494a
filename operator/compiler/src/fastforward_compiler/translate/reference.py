"""References: who may refer to objects of another namespace (GEP-709).

In: ReferenceGrants. Out: yes or no. Called by every module of this package that resolves a reference.
"""

from __future__ import annotations

import fastforward_crds as crds

from fastforward_compiler.cells import Cells, Rule, Source

from .world import GRANTS_IN, REFERENCE_GRANTS

Grants = frozenset[tuple[str, str, str, str]]
"""(referring kind, its namespace, target kind, target name or "" for every one)."""

_GROUPS = {kind: version.rpartition("/")[0] for version, kind in crds.INPUTS}
"""Of every kind that is read; "" is the core."""


def is_permitted(cells: Cells, *, kind: str, namespace: str, to_kind: str, to: str) -> bool:
    """Whether an object of `kind` in `namespace` may refer to the `to_kind` with identity `to`."""
    target_namespace, _, name = to.partition("/")
    if namespace == target_namespace:
        return True
    grants = cells.read(GRANTS, target_namespace)
    return (kind, namespace, to_kind, "") in grants or (kind, namespace, to_kind, name) in grants


def target(ref: crds.Ref, namespace: str) -> str:
    """The identity that a reference from `namespace` names."""
    return f"{ref.namespace or namespace}/{ref.name}"


def _make_grants(cells: Cells, namespace: str) -> Grants:
    grants = [cells.read(REFERENCE_GRANTS, name) for name in cells.read(GRANTS_IN, namespace)]
    return frozenset(
        (origin.kind, origin.namespace, to.kind, to.name or "")
        for grant in grants
        if grant is not None
        for origin in grant.spec.from_
        if origin.group == _GROUPS.get(origin.kind)
        for to in grant.spec.to
        if to.group == _GROUPS.get(to.kind)
    )


GRANTS: Rule[Grants] = Rule("grants", _make_grants)


def _make_existence(cells: Cells, source: Source[object], name: str) -> bool:
    return cells.read(source, name) is not None


EXISTS: Rule[bool] = Rule("existence", _make_existence)
"""(source, identity): whether there is such an object; its edits don't reach who asks no more than that."""
