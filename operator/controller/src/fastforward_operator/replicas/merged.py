"""What the proxies of all replicas acknowledged, as if they were those of one.

In: updates of the own ledger, deltas of other replicas. Out: updates for the status board. Called by bootstrap, in the
main event loop. A replica that holds another version of a resource than this one keeps its proxies' objects waiting:
its proxies can't have what it has not. One that is gone keeps nobody waiting; its proxies are on their way to another.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from fastforward.replica.v1 import replica_pb2
from fastforward_operator.publication import Publications
from fastforward_operator.xds.ledger import KeyState, LedgerUpdate
from fastforward_operator.xds.store import SNAPSHOT, Key


@dataclass(slots=True)
class Remote:
    """What one other replica has told."""

    name: str
    complete: bool = False
    envoys: Mapping[str, int] = field(default_factory=dict)
    decisions: int = 0
    versions: dict[Key, str] = field(default_factory=dict)
    waiting: dict[Key, tuple[str, ...]] = field(default_factory=dict)
    refused: dict[Key, tuple[tuple[str, str], ...]] = field(default_factory=dict)
    lacks_since: dict[Key, int] = field(default_factory=dict)
    """Our revision from which on it may hold another version."""

    def concerns(self, key: Key) -> bool:
        """Whether any node of it is to have the resource."""
        return self.decisions > 0 if key.type_url == SNAPSHOT else self.envoys.get(key.fleet, 0) > 0

    def take(self, delta: replica_pb2.LedgerDelta) -> list[Key]:
        """What it tells now; returns the keys that this is about."""
        told = []
        for each in delta.keys:
            key = Key(each.type_url, each.name, each.fleet)
            told.append(key)
            for known in (self.versions, self.waiting, self.refused):
                known.pop(key, None)
            if each.version:
                self.versions[key] = each.version
            if each.waiting:
                self.waiting[key] = tuple(each.waiting)
            if each.refused:
                self.refused[key] = tuple((refusal.node, refusal.words) for refusal in each.refused)
        if delta.HasField("nodes"):
            self.envoys, self.decisions = dict(delta.nodes.envoys), delta.nodes.decisions
        self.complete |= delta.complete
        return told


@dataclass(slots=True)
class MergedLedger:
    """Between the own ledger and the status board."""

    publications: Publications
    tell: Callable[[LedgerUpdate], None]
    remotes: dict[int, Remote] = field(default_factory=dict)
    """By number of the stream: a replica that comes back may be heard twice for a moment."""
    envoys: Mapping[str, int] = field(default_factory=dict)
    """Of this replica."""
    decisions: int = 0
    _own: dict[Key, KeyState] = field(default_factory=dict)
    """What is not settled here."""

    def observe_own(self, update: LedgerUpdate) -> None:
        """What changed in the own ledger."""
        published = self.publications.revisions
        for key, state in update.keys.items():
            # What is taken away the ledger knows for a grace longer.
            if state.settled or key not in published:
                self._own.pop(key, None)
            else:
                self._own[key] = state
        self.envoys, self.decisions = update.envoys, update.decisions
        if not self.remotes:
            self.tell(update)
            return
        self._tell({key: self._merge(key, state) for key, state in update.keys.items() if key in published})

    def observe_removed(self, removed: Iterable[Key]) -> None:
        """What is taken away is asked for no more."""
        for key in removed:
            self._own.pop(key, None)
            for remote in self.remotes.values():
                remote.lacks_since.pop(key, None)

    def observe_remote(self, stream: int, name: str, delta: replica_pb2.LedgerDelta) -> None:
        """What another replica tells."""
        remote = self.remotes.setdefault(stream, Remote(name))
        was_complete, nodes = remote.complete, (remote.envoys, remote.decisions)
        told = remote.take(delta)
        if not remote.complete:
            return
        if not was_complete or nodes != (remote.envoys, remote.decisions):
            # Nodes that come or go concern every resource that they are to have.
            told = list(self.publications.versions)
        self._tell_again(told)

    def forget(self, stream: int) -> None:
        """A stream ended."""
        remote = self.remotes.pop(stream, None)
        if remote is not None and remote.complete:
            self._tell_again(self.publications.versions)

    def _tell_again(self, keys: Iterable[Key]) -> None:
        revisions = self.publications.revisions
        self._tell({key: self._merge(key, self._state(key)) for key in keys if key in revisions})

    def _state(self, key: Key) -> KeyState:
        revision = self.publications.revisions[key]
        state = self._own.get(key)
        # What is newer than the ledger's last word on it, it will speak of.
        return state if state is not None else KeyState(revision=revision)

    def _merge(self, key: Key, own: KeyState) -> KeyState:
        waiting, refused, lacking = list(own.waiting), list(own.refused), own.lacking
        unsettled = not own.settled
        version = self.publications.versions.get(key)
        for remote in self.remotes.values():
            if not remote.complete or not remote.concerns(key):
                continue
            if remote.versions.get(key) == version:
                since = remote.lacks_since.get(key, own.revision)
                theirs = remote.waiting.get(key, ()), remote.refused.get(key, ())
            else:
                since = remote.lacks_since.setdefault(key, own.revision)
                theirs = (f"replica {remote.name}",), ()
            if not any(theirs):
                remote.lacks_since.pop(key, None)
                continue
            waiting += theirs[0]
            refused += theirs[1]
            lacking = min(lacking, since) if unsettled else since
            unsettled = True
        return KeyState(revision=own.revision, lacking=lacking, waiting=tuple(sorted(waiting)), refused=tuple(refused))

    def _tell(self, keys: Mapping[Key, KeyState]) -> None:
        complete = [remote for remote in self.remotes.values() if remote.complete]
        envoys: Counter[str] = Counter(self.envoys)
        for remote in complete:
            envoys.update(remote.envoys)
        decisions = self.decisions + sum(remote.decisions for remote in complete)
        self.tell(LedgerUpdate(keys=keys, envoys=envoys, decisions=decisions))
