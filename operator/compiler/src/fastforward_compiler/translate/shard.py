"""Shard to `ir.Shard`, and which purposes the shards of a namespace serve.

In: a Shard and the Upstreams it names. Out: its IR value and Problems; PURPOSES for rules that dispatch to shards.
Called by compile through SHARD.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from fastforward_compiler import ir
from fastforward_compiler.cells import Cells, Rule
from fastforward_compiler.problem import Problem

from .reference import target
from .upstream import TRAITS, Traits, resolve_upstream
from .world import SHARDS, SHARDS_IN, ref_of


class ShardTranslation(NamedTuple):
    """A Shard and what is wrong with it."""

    shard: ir.Shard
    problems: tuple[Problem, ...]


class PurposeTraits(NamedTuple):
    """What a rule that dispatches to shards must know of the Upstreams for one purpose, taken together."""

    grpc: bool
    hash_on: tuple[str, ...]
    session: ir.Session | None = None
    """Where all of them have the same."""


def _translate_shard(cells: Cells, name: str) -> ShardTranslation | None:
    shard = cells.read(SHARDS, name)
    if shard is None:
        return None
    spec, namespace, on = shard.spec, shard.metadata.namespace, ref_of("Shard", name)
    upstreams: dict[str, str] = {}
    problems: list[Problem] = []
    for place, ref in enumerate(spec.upstreams):
        to, field = target(ref, namespace), f"spec.upstreams[{place}]"
        if resolve_upstream(cells, on, field, to, problems) is not None:
            upstreams.setdefault(ref.purpose, to)
    value = ir.Shard(
        namespace=namespace,
        name=shard.metadata.name,
        region=spec.region or "",
        state=spec.state,
        weight=spec.weight,
        upstreams=tuple(sorted(upstreams.items())),
    )
    return ShardTranslation(value, tuple(problems))


def _make_purposes(cells: Cells, namespace: str) -> Mapping[str, PurposeTraits]:
    traits: dict[str, list[Traits]] = {}
    for name in sorted(cells.read(SHARDS_IN, namespace)):
        translation = cells.read(SHARD, name)
        for purpose, upstream in translation.shard.upstreams if translation is not None else ():
            found = cells.read(TRAITS, upstream)
            if found is not None:
                traits.setdefault(purpose, []).append(found)
    return {
        purpose: PurposeTraits(
            grpc=any(each.grpc for each in found),
            hash_on=tuple(dict.fromkeys(each.hash_on for each in found if each.hash_on)),
            session=found[0].session if len({each.session for each in found}) == 1 else None,
        )
        for purpose, found in traits.items()
    }


SHARD: Rule[ShardTranslation | None] = Rule("shard", _translate_shard, root=True, counted=True)
PURPOSES: Rule[Mapping[str, PurposeTraits]] = Rule("purposes of shards", _make_purposes)
