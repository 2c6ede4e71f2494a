"""Ways to Upstreams that speak gRPC, each behind a Hop of its own, for as long as they are there.

In: the name of an Upstream, and how calls there go. Out: a line, which chooses an endpoint for each call. Called by
targets and stages. Endpoints that are gone get nothing new, and what is on its way there may end; those that can't be
reached, or answer badly, are left out while there are others.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Iterator
from itertools import chain
from typing import Generic, TypeVar

import grpc.aio
from fastforward_kit.tls import NodeTls
from fastforward_pipeline.compiled.upstream import Upstream
from fastforward_pipeline.compiled.workload import Workload
from fastforward_shield import Bulkhead, Hop, Meaning, Policy, Retry

from fastforward.message.v1 import envelope_pb2

from .choice import key_of, make_choice
from .endpoint import Endpoint, Proof, look_up

Stub = TypeVar("Stub")
Result = TypeVar("Result")
Make = Callable[[grpc.aio.Channel], Stub]
Judge = Callable[[Exception], Meaning]

_LOOK_S = 1.0
_CLOSING_S = 15.0


class UnconnectedError(ConnectionError):
    """No connection to any endpoint: nothing was sent."""


class Closing:
    """Endpoints that are gone: what is on its way there may still come to its end."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def take(self, endpoints: Iterable[Endpoint[Stub]]) -> None:
        """Closes them beside."""
        for endpoint in endpoints:
            task = asyncio.ensure_future(endpoint.close(_CLOSING_S))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def stop(self) -> None:
        """Waits no longer."""
        for task in self._tasks:
            task.cancel()


class Line(Generic[Stub]):
    """The way to one Upstream."""

    def __init__(
        self, upstream: Upstream, hop: Hop, make: Make[Stub], judge: Judge, closing: Closing, tls: NodeTls | None = None
    ) -> None:
        self.upstream = upstream
        self.hop = hop
        self._tls = tls
        self._make = make
        self._judge = judge
        self._closing = closing
        self._endpoints: dict[str, Endpoint[Stub]] = {}
        self._looked_up = float("-inf")
        self._looking: asyncio.Task[None] | None = None
        self._choice = make_choice(upstream.policy, ())
        self._settle(upstream.endpoints)

    @property
    def endpoints(self) -> tuple[Endpoint[Stub], ...]:
        """Those that it has now."""
        return tuple(self._endpoints.values())

    def change(self, upstream: Upstream) -> None:
        """Goes on with the Upstream as it is now; endpoints that stay keep their connections."""
        moved = upstream.dns != self.upstream.dns
        self.upstream = upstream
        if moved:
            self._looked_up = float("-inf")
        if upstream.dns is None or moved:
            self._settle(upstream.endpoints)
        else:
            self._settle([(address, 1) for address in self._endpoints])

    def _settle(self, listed: Iterable[tuple[str, int]]) -> None:
        known, self._endpoints = self._endpoints, {}
        for address, weight in listed:
            endpoint = known.pop(address, None) or self._endpoints.get(address)
            if endpoint is not None and endpoint.is_outdated:
                self._closing.take([endpoint])
                endpoint = None
            if endpoint is None:
                endpoint = Endpoint(address, weight, self._make, self._proof())
            endpoint.weight = weight
            self._endpoints[address] = endpoint
        self._closing.take(known.values())
        self._choice = make_choice(self.upstream.policy, tuple(self._endpoints.values()))

    def _proof(self) -> Proof | None:
        """What it takes to connect to pods of the operator; others prove nothing to EntryPoint."""
        dns = self.upstream.dns
        return Proof(self._tls, dns[0]) if self.upstream.proven and self._tls is not None and dns is not None else None

    def renew(self) -> None:
        """Connects with this node's newest certificate from now on."""
        if any(endpoint.is_outdated for endpoint in self._endpoints.values()):
            self._settle([(each.address, each.weight) for each in self.endpoints])

    def is_there(self) -> bool:
        """Whether a connection to any endpoint stands; those that do not are begun."""
        if self.is_stale():
            self.look_up()
        there = [endpoint.is_there() for endpoint in self._endpoints.values()]  # all are asked, so all connect
        return any(there)

    async def call(
        self, source: envelope_pb2.Source, operation: Callable[[Stub], Awaitable[Result]], sent: Callable[[], None]
    ) -> Result:
        """Returns what one endpoint answers. `sent` is told before anything is. Raises UnconnectedError, and what the
        operation raises.
        """
        endpoint = await self._connect(source)
        now = asyncio.get_running_loop().time
        sent()
        endpoint.active += 1
        try:
            result = await operation(endpoint.stub)
        except Exception as error:
            good = self._judge(error) is Meaning.ANSWERED
            endpoint.tell(self.upstream.outliers, now(), good=good, others_out=self._share_out(now()))
            raise
        finally:
            endpoint.active -= 1
        endpoint.tell(self.upstream.outliers, now(), good=True, others_out=0.0)
        return result

    def _share_out(self, now: float) -> float:
        """Of endpoints that are left alone, with one more."""
        return (1 + sum(each.is_out(now) for each in self._endpoints.values())) / max(1, len(self._endpoints))

    async def _connect(self, source: envelope_pb2.Source) -> Endpoint[Stub]:
        """Returns the endpoint that is chosen; the next one when it can't be reached."""
        if self.upstream.dns is not None and not self._endpoints:
            await asyncio.shield(self.look_up())
        key = key_of(source, self.upstream.hash_on) if self.upstream.hash_on else ""
        now = asyncio.get_running_loop().time()
        refused: set[str] = set()

        def usable(endpoint: Endpoint[Stub]) -> bool:
            return not (endpoint.address in refused or endpoint.is_out(now) or endpoint.in_vain)

        while (endpoint := self._choice.pick(usable, key)) is not None:
            if await endpoint.connect():
                return endpoint
            refused.add(endpoint.address)
        raise UnconnectedError(f"no endpoint of {self.upstream.name} can be reached")

    def look_up(self) -> asyncio.Task[None]:
        """Looks the name up, once for all who ask meanwhile. What was known stays when it can't be."""
        if self._looking is None or self._looking.done():
            self._looking = asyncio.ensure_future(self._look_up())
        return self._looking

    async def _look_up(self) -> None:
        dns = self.upstream.dns
        if dns is None:
            return
        self._looked_up = asyncio.get_running_loop().time()
        with contextlib.suppress(OSError, UnicodeError):
            found = await look_up(*dns)
            if self.upstream.dns == dns and set(found) != self._endpoints.keys():
                self._settle([(address, 1) for address in found])

    def is_stale(self) -> bool:
        """Whether the name is to be looked up again."""
        due = self._looked_up + self.upstream.refresh_s
        return self.upstream.dns is not None and asyncio.get_running_loop().time() >= due

    def retire(self) -> None:
        """Lets go of all endpoints."""
        self._stop_looking()
        self._closing.take(self._endpoints.values())
        self._endpoints = {}

    async def close(self) -> None:
        """Ends all connections."""
        self._stop_looking()
        for endpoint in self._endpoints.values():
            await endpoint.close()

    def _stop_looking(self) -> None:
        if self._looking is not None:
            self._looking.cancel()


def policy_of(workload: Workload) -> Policy:
    """Returns what a Workload says of calls."""
    return Policy(
        timeout_s=workload.timeout_s,
        bulkhead=Bulkhead(concurrent=workload.concurrent, queue=workload.queue, queue_s=workload.timeout_s),
        retry=Retry(tries=workload.tries),
    )


class Lines(Generic[Stub]):
    """A line for each Upstream, made when it is first asked for. Used in one event loop."""

    def __init__(
        self,
        find: Callable[[str], Upstream | None],
        make: Make[Stub],
        judge: Judge,
        mark: str = "",
        tls: NodeTls | None = None,
    ) -> None:
        """`find` tells the Upstream NAMESPACE/NAME as it is now; `mark` begins the hops' names. By `tls` this node
        proves who it is to pods of the operator.
        """
        self._find = find
        self._tls = tls
        self._make = make
        self._judge = judge
        self._mark = mark
        self._lines: dict[str, Line[Stub]] = {}
        self._closing = Closing()

    def __iter__(self) -> Iterator[Hop]:
        """Yields the hops in use."""
        return (line.hop for line in list(self._lines.values()))

    def to(self, name: str, policy: Policy, note: str = "") -> Line[Stub]:
        """Returns the line to an Upstream; its hop is new when the policy is, and marked with the note. Raises KeyError
        where there is none.
        """
        upstream, line = self._find(name), self._lines.get(name)
        if upstream is None:
            raise KeyError(name)
        if line is None:
            hop = self._new_hop(name, policy)
            line = self._lines[name] = Line(upstream, hop, self._make, self._judge, self._closing, self._tls)
        elif line.upstream is not upstream and line.upstream != upstream:
            line.change(upstream)
        if line.hop.policy is not policy and line.hop.policy != policy:
            line.hop = self._new_hop(name, policy)
        if bool(note) != bool(line.hop.note):
            line.hop.note = note
        return line

    def _new_hop(self, name: str, policy: Policy) -> Hop:
        return Hop(self._mark + name, policy, self._judge)

    async def follow(self) -> None:
        """Until cancelled: lets go of what is gone, and looks names up again."""
        while True:
            await asyncio.sleep(_LOOK_S)
            self.let_go()
            for line in list(self._lines.values()):
                line.renew()
                if line.is_stale():
                    line.look_up()

    def let_go(self) -> None:
        """Ends the connections to Upstreams that are gone, and to endpoints that others have left."""
        for name, line in list(self._lines.items()):
            upstream = self._find(name)
            if upstream is None:
                self._lines.pop(name).retire()
            elif line.upstream is not upstream and line.upstream != upstream:
                line.change(upstream)

    async def close(self) -> None:
        """Ends all connections."""
        for line in self._lines.values():
            await line.close()
        self._closing.stop()
        self._lines.clear()


class Hops:
    """The hops of several kinds of lines, as they are each time one looks."""

    def __init__(self, *lines: Iterable[Hop]) -> None:
        self._lines = lines

    def __iter__(self) -> Iterator[Hop]:
        return chain.from_iterable(self._lines)
