"""Tells rejections as Events, so that `kubectl describe` shows them: one for each thing that is wrong with a version.

In: statuses of the board. Out: Events. Called by bootstrap; only the leader writes. Events are for people: one that is
not taken is lost, and statuses say the same. An Event is named after what it tells: a leader that says all again
repeats nothing.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import structlog
from fastforward_compiler.problem import ObjectRef

from fastforward_operator.objectstatus import Condition, ObjectStatus

from .client import CONFLICT, JUDGED, ApiError, Client, object_path
from .pace import Pace

_log = structlog.get_logger(__name__)

MOST_WAITING = 1000
"""Further ones are lost: a thousand broken objects are seen without them."""
AT_ONCE = 10
"""Events of one object in a row. More than one each INTERVAL_S are lost after that; its status says what is wrong."""
INTERVAL_S = 30.0
_MAX_MESSAGE = 1024
_NOT_THE_OBJECTS_FAULT = frozenset({"NoProxies", "NoDecisionService"})
_COMPONENT = "fastforward-operator"


_Mark = tuple[str, int, str]
"""What tells one thing that is wrong from another: the condition's type, generation and message."""


@dataclass(slots=True)
class EventWriter:
    """Subscribed to the status board; one a process."""

    client: Client
    leads: Callable[[], bool]
    lost: int = 0
    _wrong: dict[ObjectRef, tuple[Condition, ...]] = field(default_factory=dict)
    """Of each object that something is wrong with."""
    _said: dict[ObjectRef, set[_Mark]] = field(default_factory=dict)
    """What of that was told while this process might write."""
    _pace: Pace = field(default_factory=lambda: Pace(AT_ONCE, INTERVAL_S))
    _queue: asyncio.Queue[tuple[ObjectRef, Condition]] = field(default_factory=lambda: asyncio.Queue(MOST_WAITING))

    def observe(self, ref: ObjectRef, status: ObjectStatus | None) -> None:
        """A status changed."""
        if ref.kind not in JUDGED:
            return
        wrong = tuple(rejections(status)) if status is not None else ()
        said = self._said.pop(ref, set())
        self._wrong.pop(ref, None)
        if wrong:
            self._wrong[ref], self._said[ref] = wrong, said.intersection(map(_mark, wrong))
            self._say(ref)

    def write_all(self) -> None:
        """Whatever is wrong: this process may write from now on."""
        for ref in self._wrong:
            self._said[ref] = set()
            self._say(ref)

    def go_on(self) -> None:
        """What came up meanwhile: this process may write again, and nobody else might."""
        for ref in self._wrong:
            self._say(ref)

    async def run(self) -> None:
        """Until cancelled."""
        while True:
            ref, condition = await self._queue.get()
            try:
                await self._write(ref, condition)
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                if not self.leads():
                    self._said.get(ref, set()).discard(_mark(condition))
                    continue
                self.lost += 1
                _log.warning("event is not written", object=str(ref), error=str(error) or type(error).__name__)

    def _say(self, ref: ObjectRef) -> None:
        """What is wrong with it and was not told."""
        said = self._said[ref]
        for condition in self._wrong[ref] if self.leads() else ():
            if _mark(condition) not in said:
                said.add(_mark(condition))
                self._put(ref, condition)

    def _put(self, ref: ObjectRef, condition: Condition) -> None:
        if self._pace.wait(ref, asyncio.get_running_loop().time()):
            self.lost += 1
            return
        try:
            self._queue.put_nowait((ref, condition))
        except asyncio.QueueFull:
            self.lost += 1

    async def _write(self, ref: ObjectRef, condition: Condition) -> None:
        found = await self.client.read(object_path(ref))
        if found is not None:
            path = f"/api/v1/namespaces/{ref.namespace or 'default'}/events"
            try:
                await self.client.create(path, event(found, condition), self.leads)
            except ApiError as error:
                # 409: it is told already.
                if error.status != CONFLICT:
                    raise


def rejections(status: ObjectStatus) -> Iterator[Condition]:
    """The conditions that say what is wrong; Programmed repeats what the others say, but for a proxy's refusal."""
    for condition in status.conditions:
        repeats = condition.type == "Programmed" and condition.reason != "Rejected"
        if condition.status == "False" and condition.reason not in _NOT_THE_OBJECTS_FAULT and not repeats:
            yield condition


def event(involved: dict[str, Any], condition: Condition) -> dict[str, Any]:
    """The Event (core/v1) that tells a condition of an object as it is stored."""
    metadata = involved["metadata"]
    # What belongs to no namespace is told in the default one.
    namespace = metadata.get("namespace", "default")
    now = datetime.now(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    told = hashlib.blake2b(repr((metadata["uid"], *_mark(condition))).encode(), digest_size=8)
    return {
        "apiVersion": "v1",
        "kind": "Event",
        "metadata": {"name": f"{metadata['name'][:230]}.{told.hexdigest()}", "namespace": namespace},
        "involvedObject": {
            "apiVersion": involved["apiVersion"],
            "kind": involved["kind"],
            "name": metadata["name"],
            **({"namespace": metadata["namespace"]} if "namespace" in metadata else {}),
            "uid": metadata["uid"],
            "resourceVersion": metadata["resourceVersion"],
        },
        "type": "Warning",
        "reason": condition.reason,
        "message": condition.message[:_MAX_MESSAGE],
        "source": {"component": _COMPONENT},
        "reportingComponent": _COMPONENT,
        "firstTimestamp": now,
        "lastTimestamp": now,
        "count": 1,
    }


def _mark(condition: Condition) -> _Mark:
    return condition.type, condition.observed_generation, condition.message
