"""Holds the current snapshot: builds the next one beside the requests, then swaps one reference.

In: deltas, from the stream or the disk. Out: `current`, which a request reads once. The build runs in a thread of its
own; `tune_interpreter` sees to it that it gives way to the event loop.
"""

import asyncio
import hashlib
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from fastforward.snapshot.v1 import snapshot_pb2


class Applicable(Protocol):
    """An immutable snapshot that returns its successor."""

    def apply(self, upserts: Sequence[snapshot_pb2.Resource], removed: Sequence[str]) -> Self: ...


S = TypeVar("S", bound=Applicable)


@dataclass(frozen=True, slots=True)
class Held:
    """A resource as it came."""

    version: str
    body: bytes


class SnapshotHolder(Generic[S]):
    """`current` is replaced whole, on the event loop, never changed. One `apply` at a time.

    `prepare` is told what is new in the building thread, before it is taken up: what it raises refuses the delta.
    """

    def __init__(self, empty: S, prepare: Callable[[Sequence[snapshot_pb2.Resource]], None] = lambda _: None) -> None:
        self.current = empty
        self._prepare = prepare
        self.held: dict[str, Held] = {}
        """By name, what `current` was built from. Changed in place, by the building thread alone."""
        self.complete = False
        """Whether `current` is, or was, all that the operator has; what is not is neither served nor kept."""
        self.changes = 0
        """How often `current` has been replaced."""
        self._digest = 0
        self._builder = ThreadPoolExecutor(max_workers=1, thread_name_prefix="snapshot")

    @property
    def digest(self) -> str:
        """Sixteen hex digits that two services show alike when they hold the same resources."""
        return f"{self._digest:016x}"

    def versions(self) -> dict[str, str]:
        """Returns name -> version of all that is held."""
        return {name: held.version for name, held in self.held.items()}

    def bodies(self) -> list[bytes]:
        """Returns all that is held, serialised; the list is the caller's."""
        return [held.body for held in tuple(self.held.values())]

    async def apply(self, delta: snapshot_pb2.SnapshotDelta) -> None:
        """Builds the successor and swaps it in. Raises what the snapshot raises, and then nothing has changed."""
        loop = asyncio.get_running_loop()
        self.current = await loop.run_in_executor(self._builder, self._build, delta)
        self.changes += 1

    def close(self) -> None:
        """Lets the building thread end."""
        self._builder.shutdown(wait=False, cancel_futures=True)

    def _build(self, delta: snapshot_pb2.SnapshotDelta) -> S:
        self._prepare(delta.resources)
        following = self.current.apply(delta.resources, delta.removed)
        for name in delta.removed:
            self._forget(name)
        for resource in delta.resources:
            self._forget(resource.name)
            self._digest ^= _fingerprint(resource.name, resource.version)
            self.held[resource.name] = Held(resource.version, resource.SerializeToString())
        return following

    def _forget(self, name: str) -> None:
        held = self.held.pop(name, None)
        if held is not None:
            self._digest ^= _fingerprint(name, held.version)


def _fingerprint(name: str, version: str) -> int:
    """Returns 64 bits; those of all resources are combined by exclusive or, so a change costs what it changes."""
    return int.from_bytes(hashlib.blake2b(f"{name}\0{version}".encode(), digest_size=8).digest())
