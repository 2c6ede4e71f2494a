"""From what the compiler and the emitters changed to one Publication for the nodes.

In: a Delta and what both emitters made of it. Out: a Publication with the order that it needs, and which resources on
the wire stand for which output of the compiler. Called by reconcile; status asks `keys_of`. Its state belongs to the
main event loop.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from fastforward_compiler import ir
from fastforward_compiler.emit.decision import DecisionDelta
from fastforward_compiler.emit.envoy import EnvoyDelta
from fastforward_compiler.problem import ObjectRef

from .multimap import Multimap
from .xds import wire
from .xds.store import CLUSTER, ENDPOINT, SHARED, SNAPSHOT, Key, Need, Publication, Put


@dataclass(frozen=True, slots=True, kw_only=True)
class FleetStep:
    """What a step is for one fleet."""

    delta: ir.Delta
    envoy: EnvoyDelta
    ends: bool = False
    """Whether the fleet's Edge is gone: all that the fleet was told is taken away."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Emitted:
    """One step of compiler and emitters, and the bytes of what changed: (key, version, entry)."""

    delta: ir.Delta
    fleets: Mapping[str, FleetStep]
    decision: DecisionDelta
    wires: tuple[tuple[Key, str, bytes], ...]


def encode(delta: ir.Delta, fleets: Mapping[str, FleetStep], decision: DecisionDelta) -> Emitted:
    """Serialise a step; needs no state, so that it may run in any thread."""
    wires = [
        (Key(r.type_url, r.name, fleet), r.version, wire.envoy_entry(r.type_url, r.name, r.version, r.body))
        for fleet, step in fleets.items()
        for r in step.envoy.upserts
    ]
    wires += [
        (Key(SNAPSHOT, r.name), r.version, wire.snapshot_entry(r.SerializeToString(deterministic=True)))
        for r in decision.upserts
    ]
    return Emitted(delta=delta, fleets=fleets, decision=decision, wires=tuple(wires))


@dataclass(slots=True)
class Publications:
    """Numbers the steps and remembers what stands for what."""

    revision: int = 0
    versions: dict[Key, str] = field(default_factory=dict)
    """Of everything published."""
    revisions: dict[Key, int] = field(default_factory=dict)
    """In which each newest version was published."""
    hops: set[ir.Output] = field(default_factory=set)
    """Outputs that hold only when a decision service has them too."""
    inside: dict[ir.Output, frozenset[str]] = field(default_factory=dict)
    """Of the tables among them: the Routes with rules that the decision service must know, NAMESPACE/NAME."""
    outputs_of: Multimap[Key, ir.Output] = field(default_factory=Multimap)
    lost: set[ir.Output] = field(default_factory=set)
    """Outputs that stand for less since the last step, such as an Upstream that proxies of one Edge need no more."""
    _envoy: dict[ir.Output, tuple[Key, ...]] = field(default_factory=dict)
    _decision: dict[ir.Output, tuple[Key, ...]] = field(default_factory=dict)

    def needs_decision(self, output: ir.Output, ref: ObjectRef) -> bool:
        """Whether what an output says of an object holds only when a decision service has it too.

        Other Routes' rules in the same table are no business of a Route's.
        """
        if output[0] != "table" or not ref.kind.endswith("Route"):
            return output in self.hops
        return f"{ref.namespace}/{ref.name}" in self.inside.get(output, ())

    def keys_of(self, output: ir.Output, ref: ObjectRef) -> tuple[Key, ...]:
        """What must be acknowledged for an output to hold, as far as an object is concerned."""
        keys = self._envoy.get(output, ())
        if output[0] not in ("table", "auth", "limit", "edge", "scope") or self.needs_decision(output, ref):
            return keys + self._decision.get(output, ())
        return keys

    def build(self, emitted: Emitted) -> Publication:
        """The next step. Resources whose version stays are left out."""
        self.revision += 1
        self.lost = set()
        self._note_hops(emitted.delta)
        # One object a key, and an output: there are ten for each of ten thousand routes.
        same = {key: key for key, _, _ in emitted.wires}
        known = {output: output for report in emitted.delta.reports.values() if report for output in report.outputs}
        for fleet, step in emitted.fleets.items():
            for output in _removed(step.delta):
                self._note_output(self._envoy, output, fleet, ())
            for output, ids in step.envoy.outputs.items():
                keys = tuple(same.get(key, key) for key in (Key(*each, fleet) for each in ids))
                self._note_output(self._envoy, known.get(output, output), fleet, keys)
        for output, names in emitted.decision.outputs.items():
            keys = tuple(same.get(key, key) for key in (Key(SNAPSHOT, name) for name in names))
            self._note_output(self._decision, known.get(output, output), SHARED, keys)
        needs = dict(self._needs(emitted.delta.tables.upserts))
        puts = []
        for key, version, data in emitted.wires:
            if self.versions.get(key) != version:
                self.versions[key], self.revisions[key] = version, self.revision
                need, hop = needs.get(key, (None, False))
                puts.append(Put(key=key, version=version, wire=data, needs=need, hop=hop))
        removed = (*self._gone(emitted.fleets), *(Key(SNAPSHOT, name) for name in emitted.decision.removed))
        self._forget(emitted.delta, removed)
        return Publication(revision=self.revision, upserts=tuple(puts), removed=removed)

    def _gone(self, fleets: Mapping[str, FleetStep]) -> Iterator[Key]:
        for fleet, step in fleets.items():
            if step.ends:
                all_of_it = [key for key in self.versions if key.fleet == fleet and key.type_url != SNAPSHOT]
                for output in {output for key in all_of_it for output in self.outputs_of.get(key)}:
                    self._note_output(self._envoy, output, fleet, ())
                yield from all_of_it
            else:
                yield from (Key(*each, fleet) for each in step.envoy.removed)

    def prune(self, kept: Iterable[Key]) -> Publication:
        """A step that removes whatever was published and is not among what is kept."""
        self.revision += 1
        self.lost = set()
        removed = tuple(self.versions.keys() - set(kept))
        self._forget(ir.Delta(), removed)
        return Publication(revision=self.revision, removed=removed)

    def _needs(self, tables: Iterable[ir.Table]) -> Iterator[tuple[Key, tuple[tuple[Need, ...] | None, bool]]]:
        """For the resources of each table: the clusters that it names, and whether it leads to a decision service."""
        for table in tables:
            names = {name for entry in table.entries for name in entry.upstreams}
            needs: tuple[Need, ...] | None = None
            # Where the decision names the cluster, it may be any: then all are waited for.
            if not any(isinstance(entry.destination, ir.ShardDispatch) for entry in table.entries):
                needs = tuple((type_url, name) for name in sorted(names) for type_url in (CLUSTER, ENDPOINT))
            for key in self._envoy.get(("table", table.name), ()):
                yield key, (needs, ("table", table.name) in self.hops)

    def _note_hops(self, delta: ir.Delta) -> None:
        for table in delta.tables.upserts:
            routes = frozenset(entry.route for entry in table.entries if entry.reaches_inside)
            self.inside.pop(("table", table.name), None)
            if routes:
                self.inside["table", table.name] = routes
        judged = {
            **{("table", each.name): ("table", each.name) in self.inside for each in delta.tables.upserts},
            **{("auth", each.name): not each.native for each in delta.auths.upserts},
            **{("limit", each.name): each.exact for each in delta.limits.upserts},
        }
        for output, hop in judged.items():
            (self.hops.add if hop else self.hops.discard)(output)

    def _note_output(
        self, known: dict[ir.Output, tuple[Key, ...]], output: ir.Output, fleet: str, keys: tuple[Key, ...]
    ) -> None:
        """An output may stand for keys of several fleets; these are the ones of one of them."""
        before = known.get(output, ())
        if before == keys:
            return
        # Those that stay are held already.
        held = {key: key for key in before}
        keys = tuple(held.get(key, key) for key in keys)
        self.outputs_of.add_to(keys, output)
        for key in before:
            if key.fleet == fleet and key not in keys:
                self.outputs_of.discard(key, output)
                self.lost.add(output)
        others = tuple(key for key in before if key.fleet != fleet)
        if others or keys:
            known[output] = others + keys if others else keys
        else:
            known.pop(output, None)

    def _forget(self, delta: ir.Delta, removed: Iterable[Key]) -> None:
        for output in _removed(delta):
            self.hops.discard(output)
            self.inside.pop(output, None)
            for known in (self._envoy, self._decision):
                for key in known.pop(output, ()):
                    self.outputs_of.discard(key, output)
        for key in removed:
            self.versions.pop(key, None)
            self.revisions.pop(key, None)
            # Such as an Upstream that decision services need to know no more: it may stand for the key again later.
            for output in tuple(self.outputs_of.get(key)):
                for known in (self._envoy, self._decision):
                    of_fleet = (each for each in known.get(output, ()) if each.fleet == key.fleet)
                    self._note_output(known, output, key.fleet, tuple(each for each in of_fleet if each != key))
            self.outputs_of.pop(key)


def _removed(delta: ir.Delta) -> Iterator[ir.Output]:
    """Yields the outputs of what a step takes away."""
    for noun, changes in (
        ("edge", delta.edges),
        ("scope", delta.scopes),
        ("table", delta.tables),
        ("upstream", delta.upstreams),
        ("auth", delta.auths),
        ("keyset", delta.keysets),
        ("apikeys", delta.apikeys),
        ("users", delta.users),
        ("oidc", delta.oidc),
        ("addresslist", delta.addresslists),
        ("limit", delta.limits),
        ("tenant", delta.tenants),
        ("shard", delta.shards),
        ("schema", delta.schemas),
        ("eventhook", delta.eventhooks),
        ("workload", delta.workloads),
        ("stages", delta.stages),
    ):
        yield from ((noun, name) for name in changes.removed)
