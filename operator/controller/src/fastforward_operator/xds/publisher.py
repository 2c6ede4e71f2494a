"""Publication: one step of the state, told to every node in an order that loses no request.

In: Publications from the reconciler, sessions from the server. Out: woken sessions, and ledger updates for the status
board. Called by server and reconcile. Every node has a pipeline of its own (its session), so that a slow or frozen one
delays nobody else. Things that are gone are taken away last: when every proxy has acknowledged the routes that no
longer name them, and a grace for requests on their way has passed. What went while a node was away is taken from it in
the same way when it comes back.
"""

from __future__ import annotations

import asyncio
import functools
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from .ledger import Ledger, LedgerUpdate
from .session import AT_ONCE, DecisionSession, Receipt, Session
from .store import SNAPSHOT, Key, Publication, Store

LOOK_S = 0.05
"""So far apart is it looked, at least, what may be taken away."""


@dataclass(slots=True)
class _Removal:
    key: Key
    revision: int
    due: float


@dataclass(slots=True)
class Publisher:
    """Lives in the event loop of the server; `publish` alone may be called from any thread."""

    notify: Callable[[LedgerUpdate], None]
    removal_grace_s: float = 2.0
    store: Store = field(default_factory=Store)
    ready: bool = False
    """Whether there has been a Publication: before the first one nobody is told anything."""
    ledger: Ledger = field(init=False)
    _loop: asyncio.AbstractEventLoop | None = None
    _wakers: dict[int, Callable[[], None]] = field(default_factory=dict)
    _removals: dict[Key, _Removal] = field(default_factory=dict)
    """What is due earlier comes first."""
    _looks_again: bool = False
    """Whether the one timer runs that looks after what is to be taken away."""
    _flush_scheduled: bool = False

    def __post_init__(self) -> None:
        self.ledger = Ledger(self.store)

    def bind(self, loop: asyncio.AbstractEventLoop) -> None:
        """The loop in which everything else is called."""
        self._loop = loop

    def publish(self, publication: Publication) -> None:
        """Hand over a step; thread-safe, returns at once."""
        if self._loop is not None:
            self._loop.call_soon_threadsafe(self.apply, publication)

    def join(self, session: Session, wake: Callable[[], None]) -> None:
        """A stream opened; `wake` makes its sender ask for the next response."""
        self.ledger.add(session)
        self._wakers[session.sid] = wake

    def leave(self, session: Session) -> None:
        """A stream ended."""
        self._wakers.pop(session.sid, None)
        self.ledger.remove(session)
        self.after_request(session)

    def observe(self, session: Session, receipt: Receipt) -> None:
        """A node spoke."""
        now = time.monotonic()
        self.ledger.observe(session, receipt)
        self._take_away_later(receipt.gone, now)
        self._look_again(now)
        self.after_request(session)

    def after_request(self, session: Session) -> None:
        """Others may have waited for the node."""
        if isinstance(session, DecisionSession):
            self._wake_all()
        elif wake := self._wakers.get(session.sid):
            wake()
        self._schedule_flush()

    def decision_gate(self, revision: int) -> float:
        """Until when routes of a revision wait for the decision services. One that lags is not waited for."""
        now = time.monotonic()
        until = 0.0
        for session in self.ledger.sessions.values():
            if isinstance(session, DecisionSession) and not session.channels[SNAPSHOT].quiet and not session.lags(now):
                until = max(until, session.channels[SNAPSHOT].barrier().until(revision))
        return until

    def apply(self, publication: Publication) -> None:
        """Take a step into the store and tell everybody."""
        now = time.monotonic()
        changed = self.store.put(publication.upserts, publication.revision)
        for put in publication.upserts:
            self._removals.pop(put.key, None)
        if not self.ready:
            # Of what nodes said that they hold it shows only now what is no more.
            self._take_away_later(tuple(self._removals), now)
            self.ready = True
        gone = tuple(key for key in publication.removed if key.type_url in AT_ONCE)
        for key in gone:
            self.store.remove(key)
        self.ledger.drop(gone)
        self._take_away_later((key for key in publication.removed if key.type_url not in AT_ONCE), now)
        for session in self.ledger.sessions.values():
            session.publish((*changed, *gone), publication.revision, now)
        self.ledger.publish(changed)
        # What comes back as it was, before it was taken away.
        self.ledger.restate({put.key for put in publication.upserts}.difference(changed))
        self._wake_all()
        self._schedule_flush()
        self._look_again(now)

    def remove_due(self, now: float) -> None:
        """Take away what is due and no longer named by any proxy's routes; nothing before it is known what there is."""
        if not self.ready:
            return
        settled = functools.cache(self.ledger.routes_settled)
        due = [r for r in self._removals.values() if r.due <= now and settled(r.revision)]
        if not due:
            return
        for removal in due:
            del self._removals[removal.key]
            self.store.remove(removal.key)
        keys = tuple(removal.key for removal in due)
        self.ledger.drop(keys)
        for session in self.ledger.sessions.values():
            session.publish(keys, self.store.revision, now)
        self._wake_all()

    def _take_away_later(self, keys: Iterable[Key], now: float) -> None:
        for key in keys:
            self._removals.pop(key, None)
            self._removals[key] = _Removal(key, self.store.revision, now + self.removal_grace_s)

    def _look_again(self, now: float) -> None:
        """When the first is due; what is due and still named, or may be, is left for another grace."""
        if not self._removals or self._looks_again or self._loop is None:
            return
        left_s = next(iter(self._removals.values())).due - now
        self._looks_again = True
        self._loop.call_later(max(left_s if left_s > 0 else self.removal_grace_s, LOOK_S), self._remove)

    def _remove(self) -> None:
        self._looks_again = False
        now = time.monotonic()
        self.remove_due(now)
        self._look_again(now)

    def _wake_all(self) -> None:
        for wake in list(self._wakers.values()):
            wake()

    def _schedule_flush(self) -> None:
        if not self._flush_scheduled and self._loop is not None:
            self._flush_scheduled = True
            self._loop.call_soon(self._flush)

    def _flush(self) -> None:
        self._flush_scheduled = False
        update = self.ledger.take_update()
        if update is not None:
            self.notify(update)
