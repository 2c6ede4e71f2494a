"""Writes the statuses of objects to the API server, by server-side apply: the latest, once, and nothing else.

In: statuses of the board, versions of objects and the statuses they had then. Out: requests. Called by bootstrap. A
write names the version of the object that it is about: whatever held it up, it overwrites nothing that it does not
know, neither a new leader's word nor another controller's. A status that says that something is on its way is written
only when it stays so for a while: most are true a moment later, and the API server takes some hundred writes a second.
What users write in a burst comes before what is said of it. An object's own generation tells readers that a status is
of before.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import aiohttp
import structlog
from fastforward_compiler.problem import ObjectRef

from fastforward_operator.objectstatus import NOTHING, ObjectStatus

from .client import CONFLICT, JUDGED, NOT_FOUND, ApiError, Client, api_version, object_path
from .courtesy import Courtesy
from .pace import Pace
from .payload import differ_in_counts_alone, payload, without_ours
from .versions import is_newer

_log = structlog.get_logger(__name__)

WRITERS = 8
"""Writes under way at a time. With 16, API server, etcd and operator together use 7 % less processor time a status,
with 32 13 %, but what a user writes meanwhile takes 1.4 or four times as long on two cores."""
ALONE = 8
"""Further ones, until somebody else writes something. The lease is renewed beside them, and must be within two seconds.
"""
ALONE_S = 10.0
"""When nobody else has written for so long, they go on."""
MANY, CROWDED_S = 50, 1.0
"""When others write so many objects in so many seconds, one write at a time goes on."""
UNSETTLED_S = 2.0
"""How long a status may say that something is on its way before that is written."""
AT_ONCE = 10
"""Writes of one object in a row. Who changes it ten times a second has two for each version otherwise."""
INTERVAL_S = 1.0
"""Between further ones."""
RETURN_S = 15.0
"""How long after a process has begun to write nobody is missed who was there before, or of whom nothing was said yet:
proxies come to a new operator one by one, and it cannot know that they have long since found the decision services."""
AGAIN_S = 5.0
"""How long after an object was made anew what was said of the one before may stand, unless something new is said: until
what is in it has been looked at."""
RECOUNT_AFTER_S = 10.0
"""How long the number of proxies must stay as it is before statuses that tell another are written again."""
_RECOUNT_PAUSE_S = 0.01
"""Between two of those: they are the least urgent, and may be as many as there are objects."""
_SLICE = 50
_RETRY_S = 1.0
INVALID_S = 60.0
"""When what the kind's definition does not admit is tried again, where nothing else is to be said before."""
_INVALID = 422
_ABSENT = frozenset({"NoProxies", "NoDecisionService"})
_UNSETTLED = frozenset({"Pending", *_ABSENT})


@dataclass(slots=True)
class StatusWriter:
    """Subscribed to the status board; one a process, and only the leader's runs."""

    client: Client
    proxies: Callable[[ObjectRef], tuple[int, int]]
    """How many proxies have an object, of how many."""
    leads: Callable[[], bool] = lambda: True
    """Whether this process may write."""
    judged: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when everything that there is has been looked at."""
    speaks_of: Callable[[ObjectRef], bool] = lambda _: True
    """Whether there is something to say of an object, once everything has been looked at."""
    written: int = 0
    _wanted: dict[ObjectRef, ObjectStatus] = field(default_factory=dict)
    _there: dict[ObjectRef, dict[str, Any]] = field(default_factory=dict)
    """The status that the API server has, as far as we know."""
    _left: set[ObjectRef] = field(default_factory=set)
    """Objects of which there is nothing more to say, though something of ours is there."""
    _versions: dict[ObjectRef, str] = field(default_factory=dict)
    """Of each object, the newest that we know of."""
    _refused: set[ObjectRef] = field(default_factory=set)
    """Objects of which the API server has a newer version than we know."""
    _unsaid: set[ObjectRef] = field(default_factory=set)
    """Objects whose turn came while this process might not write."""
    _recount: asyncio.Task[None] | None = None
    _writing_all: asyncio.Task[None] | None = None
    _pace: Pace = field(default_factory=lambda: Pace(AT_ONCE, INTERVAL_S))
    _crowd: Courtesy = field(default_factory=lambda: Courtesy(MANY, CROWDED_S))
    _company: Courtesy = field(default_factory=lambda: Courtesy(1, ALONE_S))
    _returned_at: float = 0.0
    """When whoever comes to a new operator is there, or gone; in the loop's time."""
    _queue: asyncio.Queue[ObjectRef] = field(default_factory=asyncio.Queue)
    _queued: set[ObjectRef] = field(default_factory=set)
    _busy: set[ObjectRef] = field(default_factory=set)
    _again: set[ObjectRef] = field(default_factory=set)
    """Objects that changed while they were being written."""

    def recall(self, ref: ObjectRef, status: Mapping[str, Any] | None, version: str) -> None:
        """What an object says on the API server, in this version; None for an object that is gone.

        What comes back late of what was written meanwhile is older than the answer to the write.
        """
        if ref.kind not in JUDGED:
            return
        if status is not None and not is_newer(version, self._versions.get(ref, "")):
            return
        if ref not in self._busy:
            # Of one that is being written it may be our own word that comes back.
            now = asyncio.get_running_loop().time()
            self._crowd.heard(now)
            self._company.heard(now)
        if status is None:
            self._versions.pop(ref, None)
            self._there.pop(ref, None)
            self._refused.discard(ref)
            self._unsaid.discard(ref)
            return
        self._versions[ref] = version
        before, self._there[ref] = self._there.get(ref), dict(status)
        if ref in self._refused:
            self._refused.discard(ref)
            self._enqueue(ref)
        elif ref in self._wanted and ref not in self._busy and status != before:
            # Somebody else changed it, or it is another object by the same name.
            if before is not None:
                self._say_again(ref)
            else:
                asyncio.get_running_loop().call_later(AGAIN_S, self._say_again, ref)

    def since(self, ref: ObjectRef, kind: str, status: str) -> datetime | None:
        """When a condition became what it is, as the object itself says."""
        for condition in self._there.get(ref, {}).get("conditions", ()):
            if condition.get("type") == kind and condition.get("status") == status:
                return datetime.fromisoformat(condition["lastTransitionTime"])
        return None

    def observe(self, ref: ObjectRef, status: ObjectStatus | None) -> None:
        """A status changed."""
        if ref.kind not in JUDGED:
            return
        if status is None:
            self._wanted.pop(ref, None)
            if without_ours(self._there.get(ref, {})):
                # No longer ours: what we said of it is no longer true.
                self._left.add(ref)
                self._enqueue(ref)
            return
        self._left.discard(ref)
        if not self._wanted:
            # Nobody could come before there was something to be had.
            self._await_return()
        before = self._wanted.get(ref)
        self._wanted[ref] = status
        self._schedule(ref, status, was_without=before is not None and _was_without(before))

    async def run(self) -> None:
        """Until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._write_on())
                for courtesy, writers in ((self._crowd, WRITERS - 1), (self._company, ALONE)):
                    for _ in range(writers):
                        group.create_task(self._write_on(courtesy))
        finally:
            for task in (self._recount, self._writing_all):
                if task is not None:
                    task.cancel()

    def write_all(self) -> None:
        """Whatever is to be said and is not there: this process may write from now on.

        How many proxies have an object is left to the recount: they come back one by one.
        """
        self._await_return()
        self._unsaid.clear()
        self.recount()
        if self._writing_all is not None:
            self._writing_all.cancel()
        self._writing_all = asyncio.create_task(self._tell_what_lacks())

    def go_on(self) -> None:
        """What was left out meanwhile: this process may write again, and nobody else might."""
        unsaid, self._unsaid = self._unsaid, set()
        for ref in unsaid:
            self._enqueue(ref)

    def _await_return(self) -> None:
        self._returned_at = asyncio.get_running_loop().time() + RETURN_S

    def recount(self) -> None:
        """Proxies came or went: what statuses say of their number is put right once it stays the same."""
        if self._recount is not None:
            self._recount.cancel()
        self._recount = asyncio.create_task(self._recount_all())

    async def _recount_all(self) -> None:
        await asyncio.sleep(RECOUNT_AFTER_S)
        await self._tell_all(counts=True)

    async def _tell_what_lacks(self) -> None:
        await self._tell_all(counts=False)
        await self.judged.wait()
        for place, (ref, there) in enumerate(tuple(self._there.items()), 1):
            if place % _SLICE == 0:
                await asyncio.sleep(0)
            # Said by whoever led before, of what was ours then.
            if ref not in self._wanted and not self.speaks_of(ref) and without_ours(there):
                self._left.add(ref)
                self._enqueue(ref)

    async def _tell_all(self, *, counts: bool) -> None:
        """What is to be said and is not there, where that is more than a count; or, for `counts`, nothing else.

        Ten thousand take seconds: a slice at a time, lest the lease ends meanwhile and all begins anew.
        """
        for place, ref in enumerate(tuple(self._wanted), 1):
            if place % _SLICE == 0:
                await asyncio.sleep(0)
            if self._say_again(ref, counts=counts) and counts:
                await asyncio.sleep(_RECOUNT_PAUSE_S)

    def _say_again(self, ref: ObjectRef, *, counts: bool = False) -> bool:
        """Where what is to be said is not there; returns whether that is so."""
        # What waits to be written says then what is right then.
        status = self._wanted.get(ref) if ref not in self._queued else None
        if not self.leads():
            self._unsaid.add(ref)
            return False
        if status is None or not self._lacks(ref, status, counts=counts):
            return False
        self._schedule(ref, status)
        return True

    def _lacks(self, ref: ObjectRef, status: ObjectStatus, *, counts: bool) -> bool:
        there = self._there.get(ref, {})
        told = payload(status, self.proxies(ref), there, datetime.now(UTC))
        return told != there and differ_in_counts_alone(told, there) == counts

    def _schedule(self, ref: ObjectRef, status: ObjectStatus, *, was_without: bool = False) -> None:
        """`was_without`: nobody had the object before, so nobody can be back in a moment who is missing."""
        reason = status.conditions[-1].reason
        if reason in _UNSETTLED and not (was_without and reason in _ABSENT):
            asyncio.get_running_loop().call_later(UNSETTLED_S, self._enqueue, ref)
        else:
            self._enqueue(ref)

    def _enqueue(self, ref: ObjectRef) -> None:
        if (ref in self._wanted or ref in self._left) and ref not in self._queued:
            self._queued.add(ref)
            self._queue.put_nowait(ref)

    async def _write_on(self, courtesy: Courtesy | None = None) -> None:
        """Write what is next; with courtesy, not while that says that others come first."""
        loop = asyncio.get_running_loop()
        while True:
            ref = await self._queue.get()
            self._queued.discard(ref)
            if courtesy and (wait := courtesy.wait(loop.time())):
                self._enqueue(ref)
                await asyncio.sleep(wait)
                continue
            if ref in self._busy:
                self._again.add(ref)
                continue
            self._busy.add(ref)
            try:
                await self._write(ref)
            except (ApiError, aiohttp.ClientError, TimeoutError, OSError) as error:
                self._failed(ref, error)
            finally:
                self._busy.discard(ref)
            if ref in self._again:
                self._again.discard(ref)
                self._enqueue(ref)

    async def _write(self, ref: ObjectRef) -> None:
        status = self._wanted.get(ref)
        if not self.leads():
            self._unsaid.add(ref)
            return
        there, loop = self._there.get(ref, {}), asyncio.get_running_loop()
        if status is not None and loop.time() < self._returned_at and _misses(status, there):
            loop.call_at(self._returned_at, self._enqueue, ref)
            return
        if status is not None:
            told = payload(status, self.proxies(ref), there, datetime.now(UTC))
        else:
            told = without_ours(there) or there
        if there != told:
            if wait := self._pace.wait(ref, loop.time()):
                loop.call_later(wait, self._enqueue, ref)
                return
            metadata = self._metadata(ref)
            body = {"apiVersion": api_version(ref.kind), "kind": ref.kind, "metadata": metadata, "status": told}
            version = await self.client.apply_status(object_path(ref), body, self.leads)
            self.written += 1
            if not is_newer(self._versions.get(ref, version), version):
                self._versions[ref] = version
                self._there[ref] = told
        self._left.discard(ref)

    def _metadata(self, ref: ObjectRef) -> dict[str, str]:
        version = self._versions.get(ref, "")
        return {
            "name": ref.name,
            **({"namespace": ref.namespace} if ref.namespace else {}),
            **({"resourceVersion": version} if version else {}),
        }

    def _failed(self, ref: ObjectRef, error: Exception) -> None:
        if isinstance(error, ApiError) and error.status == NOT_FOUND:
            # Deleted meanwhile; the watch will say so.
            self._left.discard(ref)
            return
        if not self.leads():
            # Whoever leads next writes all that is not there.
            self._unsaid.add(ref)
            return
        if isinstance(error, ApiError) and error.status == CONFLICT:
            # Somebody else changed it; the watch brings the new version, and then it is written.
            self._refused.add(ref)
        else:
            _log.warning("status is not written", object=str(ref), error=str(error) or type(error).__name__)
        wait = INVALID_S if isinstance(error, ApiError) and error.status == _INVALID else _RETRY_S
        asyncio.get_running_loop().call_later(wait, self._enqueue, ref)


def _was_without(status: ObjectStatus) -> bool:
    """Whether it said that nobody has the object: for want of anything to do, or because something is wrong with it.

    That somebody is missing, in whatever words, does not say so: who is may have had it, and be back.
    """
    programmed = status.conditions[-1]
    if programmed.status == "False":
        return programmed.reason not in _ABSENT
    return (programmed.status, programmed.message) == ("True", NOTHING)


def _misses(status: ObjectStatus, there: Mapping[str, Any]) -> bool:
    """Whether all that is wrong is that somebody is away who had this very version, as the object itself says, or who
    may be on his way, for it says nothing.

    For a Workload somebody is its pods: a new operator has not seen them yet.
    """
    reason = status.conditions[-1].reason
    if reason not in _ABSENT and (status.ref.kind, reason) != ("Workload", "Pending"):
        return False
    said = [each for each in there.get("conditions", ()) if each.get("type") == "Programmed"]
    if not said:
        return reason in _ABSENT
    return any(
        (each.get("status"), each.get("observedGeneration")) == ("True", status.generation)
        and each.get("message") != NOTHING
        for each in said
    )
