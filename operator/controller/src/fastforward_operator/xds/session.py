"""One stream of one node: which response goes next, in the order that loses no request.

In: requests of the node, keys that changed, the time. Out: serialised responses. Called by server (which moves the
bytes) and publisher. No input or output here, and no clock: tests drive it by hand.

Order for Envoy: extensions, secrets, clusters and endpoints at once; listeners and routes when what they need is
acknowledged, but never later than PATIENCE_S: under ADS Envoy withholds every acknowledgement of clusters while one of
them warms, so one slow health check must not stall all others. A route whose needs are settled goes at once; one to a
cluster that Envoy has never had waits longer, NEW_PATIENCE_S, until Envoy has acknowledged its endpoints at least.
An Envoy that starts opens its ports upon the first routes that it is told, so it is told all of them at once.
"""

from __future__ import annotations

import itertools
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from envoy.service.discovery.v3 import discovery_pb2

from fastforward.snapshot.v1 import snapshot_pb2

from . import wire
from .channel import NEW_PATIENCE_S, PATIENCE_S, Barrier, Channel, Sent
from .store import CLUSTER, ENDPOINT, EXTENSION, LISTENER, ROUTE, SCOPE, SECRET, SHARED, SNAPSHOT, Entry, Key, Store

BEFORE_ALL = (SECRET, EXTENSION, CLUSTER, ENDPOINT)
FIRST_WHOLE = frozenset({LISTENER, SCOPE})
"""Types of which the first response on a stream is the whole state: an Envoy that starts takes it for that, opens its
ports, and would answer 404 for all that is still to come."""
AT_ONCE = frozenset({LISTENER, SCOPE, ROUTE})
"""Types whose removal is part of the change itself: nothing else names them."""
_SNAPSHOT_ORDER = (
    "keyset",
    "apikeys",
    "users",
    "oidc",
    "addresslist",
    "tenant",
    "auth",
    "limit",
    "shards",
    "upstream",
    "zones",
    "schema",
    "eventhook",
    "workload",
    "scope",
    "plan",
    "table",
)

Gate = Callable[[int], float]
"""Revision -> time until which a route of that revision waits for the decision services; 0 for not at all."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Receipt:
    """What a request said about earlier responses."""

    acknowledged: tuple[Key, ...] = ()
    refused: tuple[Key, ...] = ()
    behind: tuple[Key, ...] = ()
    """What a node that came back holds in another version than the newest."""
    gone: tuple[Key, ...] = ()
    """What it holds and is no more, and is not to be taken from it at once: its routes may still name it."""


class Session:
    """What Envoy and decision services have in common."""

    kind = "node"

    def __init__(self, sid: int, store: Store, fleet: str = SHARED) -> None:
        self.sid = sid
        self.fleet = fleet
        self.opened_at = time.monotonic()
        self.name = ""
        self.channels: dict[str, Channel] = {}
        self.told: Counter[str] = Counter()
        """Resources sent on this stream, removals included, by type."""
        self.wake_at = 0.0
        """When to ask for a response again although nothing happened; 0 for never."""
        self._store = store
        self._nonces = itertools.count(1)

    def publish(self, keys: Iterable[Key], revision: int, now: float) -> None:
        """Mark what changed in the store."""
        for key in keys:
            channel = self.channels.get(key.type_url) if key.fleet == self.fleet else None
            if channel is not None:
                channel.mark(key.name, revision, now)

    @property
    def came_back(self) -> bool:
        """Whether the node serves something from an earlier stream."""
        return any(channel.came_back for channel in self.channels.values())

    def _keys(self, type_url: str, names: Iterable[str]) -> tuple[Key, ...]:
        return tuple(Key(type_url, name, self.fleet) for name in names)

    def _behind(self, type_url: str, channel: Channel) -> tuple[Key, ...]:
        if not channel.came_back:
            return ()
        return self._keys(type_url, (name for name in channel.dirty if name in channel.entries))

    def _gone(self, type_url: str, channel: Channel, held: Iterable[str]) -> tuple[Key, ...]:
        return self._keys(type_url, (n for n in held if n not in channel.entries)) if channel.lingers else ()

    def settled(self, key: Key) -> bool:
        """Whether the node acknowledged the newest version of a resource."""
        channel = self.channels.get(key.type_url)
        return channel is not None and channel.settled(key.name)

    def oldest_sent(self) -> float:
        """When the oldest response was sent that is not answered yet; 0 when all are."""
        return min((sent.at for c in self.channels.values() for sent in c.in_flight.values()), default=0.0)

    def lags(self, now: float) -> bool:
        """Whether the node keeps others waiting longer than it may."""
        oldest = self.oldest_sent()
        return oldest > 0 and now - oldest > PATIENCE_S

    def next_response(self, now: float) -> bytes | None:
        """The bytes to send now, or None; then `wake_at` says when to ask again."""
        raise NotImplementedError

    def _next_nonce(self) -> str:
        return str(next(self._nonces))

    def _count(self, type_url: str, sent: Sent) -> None:
        self.told[type_url] += len(sent.versions) + len(sent.removed)

    def _wake(self, at: float) -> None:
        if at > 0 and (self.wake_at == 0 or at < self.wake_at):
            self.wake_at = at


class EnvoySession(Session):
    """A stream of delta ADS."""

    kind = "envoy"

    def __init__(self, sid: int, store: Store, gate: Gate, fleet: str = SHARED) -> None:
        super().__init__(sid, store, fleet)
        self.cluster = ""
        self.version = ""
        self._gate = gate

    def receive(self, request: discovery_pb2.DeltaDiscoveryRequest, now: float) -> Receipt:
        """A request may acknowledge or refuse a response, and change what the node wants."""
        if request.HasField("node"):
            self._meet(request)
        channel = self.channels.get(request.type_url)
        if channel is None:
            entries = self._store.of_type(request.type_url, self.fleet)
            channel = self.channels[request.type_url] = Channel(
                entries,
                self._next_nonce,
                whole=request.type_url in FIRST_WHOLE,
                lingers=request.type_url not in AT_ONCE,
            )
        receipt = self._answer(channel, request)
        if not channel.opened:
            channel.open(request.resource_names_subscribe, request.initial_resource_versions, now)
            # What it holds in the newest version is as good as acknowledged: it will not be told of it again.
            held = self._keys(request.type_url, filter(channel.settled, request.initial_resource_versions))
            gone = self._gone(request.type_url, channel, request.initial_resource_versions)
            receipt = Receipt(acknowledged=held, behind=self._behind(request.type_url, channel), gone=gone)
        else:
            channel.subscribe(request.resource_names_subscribe, now)
        channel.unsubscribe(request.resource_names_unsubscribe)
        return receipt

    def _meet(self, request: discovery_pb2.DeltaDiscoveryRequest) -> None:
        node = request.node
        self.name, self.cluster = node.id, node.cluster
        version = node.user_agent_build_version.version
        self.version = f"{version.major_number}.{version.minor_number}.{version.patch}"

    def _answer(self, channel: Channel, request: discovery_pb2.DeltaDiscoveryRequest) -> Receipt:
        if not request.response_nonce:
            return Receipt()
        if request.HasField("error_detail"):
            names = channel.refuse(request.response_nonce, request.error_detail.message)
            return Receipt(refused=self._keys(request.type_url, names))
        return Receipt(acknowledged=self._keys(request.type_url, channel.acknowledge(request.response_nonce)))

    def next_response(self, now: float) -> bytes | None:
        """In order of classes; the first that has something to say."""
        self.wake_at = 0.0
        rest = [type_url for type_url in self.channels if type_url not in BEFORE_ALL and type_url != LISTENER]
        for type_url in (*BEFORE_ALL, LISTENER, *rest):
            channel = self.channels.get(type_url)
            if channel is None or not (channel.dirty or channel.suspects or channel.owes_answer):
                continue
            if not channel.may_send(now):
                self._wake(channel.window_opens())
                continue
            sent = channel.take(now, None if type_url in BEFORE_ALL else self._eligible(channel, now))
            if sent is not None:
                self._count(type_url, sent)
                if type_url == CLUSTER:
                    self._send_endpoints_again(sent, now)
                return wire.delta_response(type_url, sent.nonce, sent.entries, sent.removed)
        return None

    def _send_endpoints_again(self, sent: Sent, now: float) -> None:
        """Envoy makes a new cluster out of an update, and that one waits for its endpoints."""
        channel = self.channels.get(ENDPOINT)
        if channel is not None:
            for name in sent.versions:
                if name in channel.names:
                    channel.mark(name, self._store.revision, now, force=True)

    def _eligible(self, channel: Channel, now: float) -> Callable[[str, Entry], bool] | None:
        """What routes and listeners wait for; None when there is nothing to wait for."""
        before = [c for t in BEFORE_ALL if (c := self.channels.get(t)) is not None and not c.quiet]
        if not before and self._gate(self._store.revision) <= now:
            return None
        barriers = {t: c.barrier() for t in BEFORE_ALL if (c := self.channels.get(t)) is not None}
        latest = channel.patience_ends()

        def eligible(_: str, entry: Entry) -> bool:
            until = min(self._waits_until(entry, barriers), latest)
            if until <= now:
                return True
            self._wake(until)
            return False

        return eligible

    def _waits_until(self, entry: Entry, barriers: Mapping[str, Barrier]) -> float:
        classes = BEFORE_ALL if entry.needs is None else (SECRET, EXTENSION)
        until = max((self._barrier(t, entry.revision, barriers) for t in classes), default=0.0)
        for type_url, name in entry.needs or ():
            channel = self.channels.get(type_url)
            if channel is not None and channel.subscribes(name):
                until = max(until, channel.waits_until(name, PATIENCE_S if self._has(name) else NEW_PATIENCE_S))
        return max(until, self._gate(entry.revision)) if entry.hop else until

    def _has(self, cluster: str) -> bool:
        """Whether the node can serve by a cluster. Its endpoints are acknowledged even while clusters are not."""
        return any((c := self.channels.get(t)) is not None and cluster in c.held for t in (CLUSTER, ENDPOINT))

    @staticmethod
    def _barrier(type_url: str, revision: int, barriers: Mapping[str, Barrier]) -> float:
        barrier = barriers.get(type_url)
        return barrier.until(revision) if barrier is not None else 0.0


class DecisionSession(Session):
    """A stream of decision snapshots."""

    kind = "decision"

    def __init__(self, sid: int, store: Store) -> None:
        super().__init__(sid, store)
        self._channel = Channel(store.of_type(SNAPSHOT), self._next_nonce, rank=_snapshot_rank, lingers=True)
        self.channels[SNAPSHOT] = self._channel

    def receive(self, request: snapshot_pb2.SnapshotRequest, now: float) -> Receipt:
        """The first request names the node and what it holds, each later one answers a delta."""
        if not self._channel.opened:
            self.name = request.node
            self._channel.open((), request.held, now)
            # A decision service is ready when it is told that nothing more is to come.
            self._channel.owes_answer = True
            gone = self._gone(SNAPSHOT, self._channel, request.held)
            return Receipt(behind=self._behind(SNAPSHOT, self._channel), gone=gone)
        if request.error:
            refused = self._channel.refuse(request.nonce, request.error)
            # It may have been told with this one that nothing more is to come, and has not taken that.
            self._channel.owes_answer |= bool(refused)
            return Receipt(refused=self._keys(SNAPSHOT, refused))
        return Receipt(acknowledged=self._keys(SNAPSHOT, self._channel.acknowledge(request.nonce)))

    def next_response(self, now: float) -> bytes | None:
        """Everything that changed, in an order in which nothing names what is not there yet."""
        self.wake_at = 0.0
        channel = self._channel
        if not (channel.dirty or channel.suspects or channel.owes_answer):
            return None
        if not channel.may_send(now):
            self._wake(channel.window_opens())
            return None
        sent = channel.take(now)
        if sent is None:
            return None
        self._count(SNAPSHOT, sent)
        complete = not (channel.dirty or channel.suspects)
        return wire.snapshot_delta(sent.nonce, sent.entries, sent.removed, complete=complete)


def _snapshot_rank(name: str) -> int:
    noun = name.partition("/")[0]
    return _SNAPSHOT_ORDER.index(noun) if noun in _SNAPSHOT_ORDER else len(_SNAPSHOT_ORDER)
