"""A decision service in the test's own process, so that a fault planted in the pipeline is in force there as well.

In: a snapshot and a Unix socket. Out: what Envoy is answered, by the endpoint that EntryPoint serves. It can also be
slow, answer 500 or be killed. Called by deployment.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Generator
from dataclasses import dataclass, field
from pathlib import Path

from fastforward_entrypoint.ask import PLAN
from fastforward_entrypoint.counters import InProcessCounterStore
from fastforward_entrypoint.endpoint import DecisionEndpoint
from fastforward_entrypoint.ends import ENDS, Ends
from fastforward_entrypoint.external import ServiceAsker
from fastforward_entrypoint.measures import Measures
from fastforward_entrypoint.oidc import TokenEndpoints
from fastforward_entrypoint.responses import MARK, ResponseEndpoint
from fastforward_kit.http import Address, HttpServer, Request, Response
from fastforward_pipeline import Snapshot
from prometheus_client import CollectorRegistry

from support.origin import Loop


@dataclass(slots=True)
class Decider:
    """`behaviour` is one of decide, hang and fail."""

    socket: Path
    current: Snapshot
    loop: Loop
    behaviour: str = "decide"
    asked: int = 0
    """Requests so far."""
    _server: HttpServer = field(init=False)
    _endpoint: DecisionEndpoint = field(init=False)
    _issuers: TokenEndpoints = field(init=False)
    _responses: ResponseEndpoint = field(init=False)
    _services: ServiceAsker = field(init=False)
    _ends: Ends = field(init=False)

    def start(self) -> None:
        """Listen."""
        self._services, self._issuers = ServiceAsker(self.current.upstreams.get), TokenEndpoints()
        counters, registry = InProcessCounterStore(), CollectorRegistry()
        measures, self._ends = Measures(registry), Ends(counters, registry)
        self._endpoint = DecisionEndpoint(self, counters, measures, services=self._services, issuers=self._issuers)
        self._endpoint.ends = self._ends
        self._responses = ResponseEndpoint(self, measures)
        self._server = HttpServer(self._answer)
        self.loop.call(self._listen())

    def kill(self) -> None:
        """Stop listening, and close every connection."""
        self.loop.call(self._server.drain(linger_seconds=0, limit_seconds=0))
        self.loop.call(self._services.close())
        self.loop.call(self._issuers.close())
        self.socket.unlink(missing_ok=True)

    async def _listen(self) -> None:
        await self._server.listen(Address(path=self.socket))

    def _answer(self, request: Request) -> Response | asyncio.Future[Response]:
        self.asked += 1
        match self.behaviour:
            case "hang":
                return asyncio.get_running_loop().create_future()
            case "fail":
                return Response(500)
            case _:
                if MARK in request.headers:
                    return self._responses(request)
                told = ENDS in request.headers and PLAN not in request.headers
                return self._ends.handle(request) if told else self._endpoint(request)


@contextlib.contextmanager
def deciding(socket: Path, snapshot: Snapshot, loop: Loop) -> Generator[Decider]:
    """A started service."""
    made = Decider(socket, snapshot, loop)
    made.start()
    try:
        yield made
    finally:
        made.kill()
