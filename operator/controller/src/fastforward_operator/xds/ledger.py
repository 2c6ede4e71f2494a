"""Who acknowledged what: the account on which the Programmed condition rests.

In: publications, acknowledgements and refusals of every session, sessions that come and go. Out: for every resource
that is not settled, who keeps it waiting and who refused it in which words. Called by publisher, which hands the
updates to the status board in another thread.

A node counts from the moment at which it has been told everything that was there when it came: until then it serves
nothing, and objects that were Programmed before stay so. A node that comes back with older versions counts at once. A
frozen node counts until its stream is closed for want of keepalive answers: it may be serving something old.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from fastforward_operator.room import give_room_back

from .session import EnvoySession, Receipt, Session
from .store import CLUSTER, LISTENER, ROUTE, SCOPE, SNAPSHOT, Key, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyState:
    """Where one version of one resource stands."""

    revision: int
    lacking: int = 0
    """While it is not settled: the first revision of it that some node may lack. What older ones said, all have."""
    waiting: tuple[str, ...] = ()
    """Names of nodes that have not answered."""
    refused: tuple[tuple[str, str], ...] = ()
    """(node, its own words)."""

    @property
    def settled(self) -> bool:
        """Whether every node that counts acknowledged it."""
        return not self.waiting and not self.refused


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUpdate:
    """What changed since the last one."""

    keys: Mapping[Key, KeyState]
    envoys: Mapping[str, int]
    """Proxies that count, by fleet; fleets without any are left out."""
    decisions: int


@dataclass(slots=True)
class Ledger:
    """One a process."""

    store: Store
    sessions: dict[int, Session] = field(default_factory=dict)
    counted: set[int] = field(default_factory=set)
    waiting: dict[Key, set[int]] = field(default_factory=dict)
    refused: dict[Key, dict[int, str]] = field(default_factory=dict)
    lacking: dict[Key, int] = field(default_factory=dict)
    """Of what is not settled: see KeyState."""
    _audited: set[int] = field(default_factory=set)
    _changed: set[Key] = field(default_factory=set)
    _count_changed: bool = False

    def add(self, session: Session) -> None:
        """A stream opened."""
        self.sessions[session.sid] = session

    def remove(self, session: Session) -> None:
        """A stream ended: nobody waits for it any more."""
        self.sessions.pop(session.sid, None)
        self._audited.discard(session.sid)
        if session.sid in self.counted:
            self.counted.discard(session.sid)
            self._count_changed = True
        for book in (self.waiting, self.refused):
            for key in [key for key, sids in book.items() if session.sid in sids]:
                self._strike(book, key, session.sid)

    def publish(self, keys: Iterable[Key]) -> None:
        """New versions: every counted node has to answer for them."""
        for key in keys:
            self.refused.pop(key, None)
            self.waiting.pop(key, None)
            nodes = {s.sid for s in self._counted_for(key) if not s.settled(key)}
            if nodes:
                self.waiting[key] = nodes
                self.lacking.setdefault(key, self._revision(key))
            else:
                self.lacking.pop(key, None)
            self._changed.add(key)

    def restate(self, keys: Iterable[Key]) -> None:
        """The same versions in a newer step: who has answered for them need not answer again."""
        self._changed.update(keys)

    def drop(self, keys: Iterable[Key]) -> None:
        """Resources that are gone keep nobody waiting."""
        for key in keys:
            for book in (self.waiting, self.refused, self.lacking):
                book.pop(key, None)
            self._changed.discard(key)

    def observe(self, session: Session, receipt: Receipt) -> None:
        """An answer of a node."""
        for key in receipt.acknowledged:
            if session.settled(key):
                self._strike(self.waiting, key, session.sid)
                self._strike(self.refused, key, session.sid)
        for key in receipt.refused:
            self.refused.setdefault(key, {})[session.sid] = session.channels[key.type_url].refused[key.name].message
            self._strike(self.waiting, key, session.sid)
            self._changed.add(key)
        for key in receipt.behind:
            self._lacks(session, key)
        if session.sid not in self.counted and (session.came_back or self._is_told(session)):
            self.counted.add(session.sid)
            self._count_changed = True
        if session.sid not in self._audited and self._is_told(session):
            self._audit(session)

    def routes_settled(self, revision: int) -> bool:
        """Whether every counted proxy acknowledged all listeners and routes up to a revision."""
        for book in (self.waiting, self.refused):
            for key in book:
                if key.type_url in (LISTENER, SCOPE, ROUTE):
                    entry = self.store.get(key)
                    if entry is not None and entry.revision <= revision:
                        return False
        return True

    def take_update(self) -> LedgerUpdate | None:
        """What changed since the last call; None when nothing did."""
        if not self._changed and not self._count_changed:
            return None
        keys = {key: self.state(key) for key in self._changed}
        self._changed.clear()
        give_room_back(self.waiting, self.refused, self.lacking)
        self._count_changed = False
        sessions = [self.sessions[sid] for sid in self.counted]
        envoys = Counter(session.fleet for session in sessions if session.kind == "envoy")
        return LedgerUpdate(keys=keys, envoys=envoys, decisions=len(sessions) - envoys.total())

    def state(self, key: Key) -> KeyState:
        """Where the newest version of a resource stands."""
        return KeyState(
            revision=self._revision(key),
            lacking=self.lacking.get(key, 0),
            waiting=tuple(sorted(self.sessions[sid].name for sid in self.waiting.get(key, ()))),
            refused=tuple((self.sessions[sid].name, words) for sid, words in self.refused.get(key, {}).items()),
        )

    def _counted_for(self, key: Key) -> Iterable[Session]:
        kind = "decision" if key.type_url == SNAPSHOT else "envoy"
        sessions = (self.sessions[sid] for sid in self.counted)
        return (s for s in sessions if s.kind == kind and s.fleet == key.fleet)

    def _strike(self, book: dict[Key, set[int]] | dict[Key, dict[int, str]], key: Key, sid: int) -> None:
        sids = book.get(key)
        if sids is None or sid not in sids:
            return
        sids.discard(sid) if isinstance(sids, set) else sids.pop(sid)
        if not sids:
            del book[key]
        if key not in self.waiting and key not in self.refused:
            self.lacking.pop(key, None)
        self._changed.add(key)

    def _is_told(self, session: Session) -> bool:
        """Whether the node acknowledged all that was there when it came; marks of that time have revision 0.

        Clusters are left out: their acknowledgement is withheld as long as any of them warms.
        """
        if isinstance(session, EnvoySession) and not self._has_opened_all(session):
            return False
        return not any(
            channel.owes_answer
            or any(mark.revision == 0 for marks in (channel.dirty, channel.pending) for mark in marks.values())
            for type_url, channel in session.channels.items()
            if type_url != CLUSTER
        )

    def _has_opened_all(self, session: EnvoySession) -> bool:
        if LISTENER not in session.channels:
            return False
        if not self.store.of_type(LISTENER, session.fleet):
            # Nothing leads it to routes, which are there all the same.
            return True
        routed = [type_url for type_url in (SCOPE, ROUTE) if self.store.of_type(type_url, session.fleet)]
        return not routed or any(type_url in session.channels for type_url in routed)

    def _audit(self, session: Session) -> None:
        """What a node lacks at the moment from which on it counts."""
        self._audited.add(session.sid)
        for type_url, entries in self.store.of_fleet(session.fleet).items():
            if (type_url == SNAPSHOT) == (session.kind == "decision"):
                for name in entries:
                    key = Key(type_url, name, session.fleet)
                    if not session.settled(key) and session.sid not in self.refused.get(key, ()):
                        self._lacks(session, key)

    def _lacks(self, session: Session, key: Key) -> None:
        """A node may hold any earlier version of a resource, or none."""
        self.waiting.setdefault(key, set()).add(session.sid)
        self.lacking[key] = 0
        self._changed.add(key)

    def _revision(self, key: Key) -> int:
        entry = self.store.get(key)
        return entry.revision if entry else 0
