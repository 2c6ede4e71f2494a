"""What one node knows of one type, and what it is to be told next: the delta protocol without the wire.

In: subscriptions, acknowledgements, refusals, names that changed, the time. Out: what to send. Called by session.
Newest wins: a name is only marked as changed; its version is looked up when it is sent, so that an older version never
follows a newer one and a burst of changes to one resource is one sending. A response that is refused as a whole is
halved and sent again until the one bad resource is alone, so that its neighbours are programmed.
Source: "The delta variants" in Envoy's xDS protocol documentation.
"""

from __future__ import annotations

import math
from bisect import bisect_right
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from fastforward_operator.room import give_room_back

from .store import Entry

MAX_BYTES = 3_500_000
"""Of one response, so that the next acknowledgement is not long in coming. Envoy takes messages of any length."""
MAX_RESOURCES = 5_000
WINDOW = 4
"""Responses on their way before further changes wait and coalesce."""
PATIENCE_S = 0.1
"""How long anything waits for an acknowledgement."""
NEW_PATIENCE_S = 2.0
"""How long a route waits for a cluster that the node has never had: sent earlier it would answer 503, where the route
of before still answers."""


@dataclass(frozen=True, slots=True)
class Mark:
    """Something unsettled: since when, and the revision from which on it matters."""

    revision: int
    since: float
    nonce: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """One response."""

    nonce: str
    versions: Mapping[str, str]
    removed: tuple[str, ...]
    at: float
    entries: tuple[bytes, ...] = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Refusal:
    """A version that the node refused, in its own words."""

    version: str
    message: str


class Barrier:
    """Until when something of a given revision has to wait for what is unsettled in a channel."""

    def __init__(self, marks: Iterable[Mark]) -> None:
        self._revisions: list[int] = []
        self._until: list[float] = []
        latest = 0.0
        for revision, since in sorted((mark.revision, mark.since) for mark in marks):
            latest = max(latest, since + PATIENCE_S)
            self._revisions.append(revision)
            self._until.append(latest)

    def until(self, revision: int) -> float:
        """Time at which waiting ends; 0 when there is nothing to wait for."""
        position = bisect_right(self._revisions, revision)
        return self._until[position - 1] if position else 0.0


@dataclass(slots=True)
class Channel:
    """One type of one node. `entries` is the store's own mapping of the type."""

    entries: Mapping[str, Entry]
    next_nonce: Callable[[], str]
    rank: Callable[[str], int] | None = None
    """Orders the names of a whole state, where a node takes a response for complete in itself."""
    whole: bool = False
    """Whether the node takes the next response for all there is: it is neither cut nor goes in part."""
    lingers: bool = False
    """Whether what the node holds of an earlier stream and is no more waits for a mark: it may still be named."""
    opened: bool = False
    came_back: bool = False
    """Whether the node held something when it opened."""
    wildcard: bool = False
    owes_answer: bool = False
    names: set[str] = field(default_factory=set)
    sent: dict[str, str] = field(default_factory=dict)
    """Newest version sent, or held according to the node."""
    dirty: dict[str, Mark] = field(default_factory=dict)
    forced: set[str] = field(default_factory=set)
    """Names to be sent although the version was sent before."""
    pending: dict[str, Mark] = field(default_factory=dict)
    """Sent, not yet acknowledged."""
    held: set[str] = field(default_factory=set)
    """What the node has in one version or another."""
    suspects: deque[tuple[str, ...]] = field(default_factory=deque)
    """Halves of refused responses, each to be sent by itself."""
    refused: dict[str, Refusal] = field(default_factory=dict)
    in_flight: dict[str, Sent] = field(default_factory=dict)

    def subscribes(self, name: str) -> bool:
        """Whether the node wants to know of `name`."""
        return self.wildcard or name in self.names

    def settled(self, name: str) -> bool:
        """Whether the node acknowledged the newest version of `name`, or its absence."""
        if name in self.dirty or name in self.pending or name in self.refused:
            return False
        entry = self.entries.get(name)
        return self.sent.get(name) == (entry.version if entry else None)

    @property
    def quiet(self) -> bool:
        """Whether nothing is to be sent or on its way."""
        return not (self.dirty or self.pending or self.owes_answer or self.in_flight)

    def open(self, subscribe: Iterable[str], held: Mapping[str, str], now: float) -> None:
        """The first request: what the node wants and, after a reconnect, what it has. That is not sent again.

        What it has and is no more is taken away, at once or with a later mark.
        """
        self.opened = True
        self.came_back = bool(held)
        self.whole = self.whole and not held
        self.sent.update(held)
        self.held.update(held)
        names = set(subscribe)
        if not names or "*" in names:
            self._widen(now)
            # Without this the node would wait for its first response until a timeout.
            self.owes_answer = not held
        for name in names - {"*"}:
            if name in held and self._stays(name):
                self.names.add(name)
            else:
                self._want(name, now, force=name not in held)

    def subscribe(self, names: Iterable[str], now: float) -> None:
        """Later wishes. A name asked for again is sent again, as the protocol demands."""
        for name in names:
            if name == "*":
                self._widen(now)
            else:
                self._want(name, now, force=True)

    def unsubscribe(self, names: Iterable[str]) -> None:
        """What the node no longer wants to hear of, and forgets."""
        for name in names:
            if name == "*":
                self.wildcard = False
            self.names.discard(name)
            if not self.subscribes(name):
                for known in (self.sent, self.dirty, self.pending, self.refused):
                    known.pop(name, None)
                self.forced.discard(name)
                self.held.discard(name)

    def mark(self, name: str, revision: int, now: float, *, force: bool = False) -> None:
        """`name` changed with `revision`; a mark that is already there is older and stays.

        What the node has already is not marked: it will never acknowledge it again.
        """
        if not self.subscribes(name):
            return
        if force:
            self.forced.add(name)
        if self._is_known(name):
            self.dirty.pop(name, None)
        else:
            self.dirty.setdefault(name, Mark(revision, now))

    def acknowledge(self, nonce: str) -> tuple[str, ...]:
        """Returns the names of which this response brought the last word that was sent."""
        sent = self.in_flight.pop(nonce, None)
        if sent is None:
            return ()
        self.held.update(filter(self.subscribes, sent.versions))
        self.held.difference_update(sent.removed)
        landed = tuple(name for name in (*sent.versions, *sent.removed) if self._land(name, nonce))
        give_room_back(self.dirty, self.pending, self.forced)
        return landed

    def refuse(self, nonce: str, message: str) -> tuple[str, ...]:
        """Returns the names that are refused for good: those that were sent alone.

        One that is left because a newer response carries its neighbours is not: the blame may have been theirs.
        """
        sent = self.in_flight.pop(nonce, None)
        if sent is None:
            return ()
        names = tuple(name for name in (*sent.versions, *sent.removed) if self._land(name, nonce))
        if len(sent.versions) + len(sent.removed) == 1:
            for name in names:
                self.refused[name] = Refusal(version=sent.versions.get(name, ""), message=message)
            return names
        for half in (names[: len(names) // 2], names[len(names) // 2 :]):
            if half:
                self.suspects.append(half)
                for name in half:
                    self.sent.pop(name, None)
                    # Marked as pending, so that it counts as unsettled until it is sent again.
                    self.pending[name] = Mark(0, sent.at)
        return ()

    def may_send(self, now: float) -> bool:
        """Whether the window allows one more response; a node that is slow to answer gets one a time-out."""
        if len(self.in_flight) < WINDOW:
            return True
        return now >= self.window_opens()

    def window_opens(self) -> float:
        """Time at which a full window lets one more response pass."""
        newest = max((sent.at for sent in self.in_flight.values()), default=0.0)
        return newest + PATIENCE_S if len(self.in_flight) >= WINDOW else 0.0

    def barrier(self) -> Barrier:
        """What is unsettled, for those who have to wait for it."""
        return Barrier((*self.dirty.values(), *self.pending.values()))

    def waits_until(self, name: str, patience_s: float) -> float:
        """Until when others wait for `name`; 0 when it is settled."""
        mark = self.dirty.get(name) or self.pending.get(name)
        return mark.since + patience_s if mark else 0.0

    def patience_ends(self) -> float:
        """When what has to go whole waits for none of its parts any more; never for what goes as it can."""
        return (
            min((mark.since for mark in self.dirty.values()), default=0.0) + NEW_PATIENCE_S if self.whole else math.inf
        )

    def take(self, now: float, eligible: Callable[[str, Entry], bool] | None = None) -> Sent | None:
        """Takes the next response out of what is to be sent; None when nothing may go now."""
        sent = None
        while self.suspects and sent is None:
            names = self.suspects.popleft()
            for name in names:
                self.pending.pop(name, None)
            sent = self._build({name: Mark(0, now) for name in names if self.subscribes(name)}, now)
        sent = sent or self._build(self._choose(eligible), now)
        if sent is None and self.owes_answer and not self.dirty:
            sent = Sent(nonce=self.next_nonce(), versions={}, removed=(), at=now, entries=())
        if sent is not None:
            self.owes_answer = self.whole = False
            self.in_flight[sent.nonce] = sent
        return sent

    def _choose(self, eligible: Callable[[str, Entry], bool] | None) -> dict[str, Mark]:
        """Takes names that differ from what was sent out of the dirty ones, up to the size of a response.

        Where the response has to be whole: all of them, or none.
        """
        chosen: dict[str, Mark] = {}
        passed: list[str] = []
        size = 0
        for name, mark in self.dirty.items():
            if self._is_known(name):
                passed.append(name)
                continue
            entry = self.entries.get(name)
            if entry is not None and eligible is not None and not eligible(name, entry):
                if self.whole:
                    return {}
                continue
            if not self.whole:
                size += len(entry.wire) if entry else len(name)
                if chosen and (size > MAX_BYTES or len(chosen) >= MAX_RESOURCES):
                    break
            chosen[name] = mark
        for name in (*passed, *chosen):
            del self.dirty[name]
            self.forced.discard(name)
        return chosen

    def _is_known(self, name: str) -> bool:
        entry = self.entries.get(name)
        return name not in self.forced and self.sent.get(name) == (entry.version if entry else None)

    def _build(self, chosen: Mapping[str, Mark], now: float) -> Sent | None:
        if not chosen:
            return None
        nonce = self.next_nonce()
        versions, removed, wires = {}, [], []
        for name, mark in chosen.items():
            entry = self.entries.get(name)
            if entry is None:
                removed.append(name)
                self.sent.pop(name, None)
            else:
                versions[name] = self.sent[name] = entry.version
                wires.append(entry.wire)
            self.pending[name] = Mark(mark.revision, now, nonce)
            self.refused.pop(name, None)
        return Sent(nonce=nonce, versions=versions, removed=tuple(removed), at=now, entries=tuple(wires))

    def _land(self, name: str, nonce: str) -> bool:
        """Whether `nonce` is the newest response about `name`; then it is no longer on its way."""
        mark = self.pending.get(name)
        if mark is None or mark.nonce != nonce:
            return False
        del self.pending[name]
        return True

    def _stays(self, name: str) -> bool:
        return self.lingers and name not in self.entries

    def _widen(self, now: float) -> None:
        self.wildcard = True
        names = {**self.entries, **{name: None for name in self.sent if not self._stays(name)}}
        for name in sorted(names, key=self.rank) if self.rank else names:
            self.mark(name, 0, now)

    def _want(self, name: str, now: float, *, force: bool) -> None:
        self.names.add(name)
        self.mark(name, 0, now, force=force)
