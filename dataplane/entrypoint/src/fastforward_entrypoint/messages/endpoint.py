"""One endpoint of an Upstream that EntryPoint calls: its connection, and whether it does well.

In: an address, and how calls there end. Out: a stub, and whether it may be asked now. Held by lines.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

import grpc
import grpc.aio
from fastforward_kit.tls import NodeTls
from fastforward_pipeline.compiled.upstream import Outliers, join

from .internal import MAX_BYTES

Stub = TypeVar("Stub")

CONNECTING = (
    ("grpc.initial_reconnect_backoff_ms", 100),
    # Despite its name how long a connection may take, HTTP/2's greeting included: what is far or busy is there as well.
    ("grpc.min_reconnect_backoff_ms", 1000),
    ("grpc.max_reconnect_backoff_ms", 1000),
)
"""How gRPC connects, and connects again."""
_OPTIONS = (*CONNECTING, ("grpc.max_receive_message_length", MAX_BYTES))
_READY, _IN_VAIN = grpc.ChannelConnectivity.READY, grpc.ChannelConnectivity.TRANSIENT_FAILURE


class Proof(NamedTuple):
    """By what both ends of a connection prove who they are: this node's certificate, and the other one's name."""

    tls: NodeTls
    host: str


class Endpoint(Generic[Stub]):
    """A channel of its own, opened when it is first asked for."""

    def __init__(
        self, address: str, weight: int, make: Callable[[grpc.aio.Channel], Stub], proof: Proof | None = None
    ) -> None:
        self._proof = proof
        self._version = 0 if proof is None else proof.tls.version
        self.address = address
        self.weight = weight
        self.active = 0
        """Calls on their way."""
        self._make = make
        self._channel: grpc.aio.Channel | None = None
        self._stub: Stub | None = None
        self._gone = False
        self._bad = 0
        """Bad answers in a row."""
        self._ejections = 0
        self._out_until = 0.0
        """Loop's time."""

    @property
    def stub(self) -> Stub:
        """What is called."""
        if self._stub is None:
            self._stub = self._make(self._open())
        return self._stub

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            target = f"{'ipv6' if self.address.startswith('[') else 'ipv4'}:{self.address}"
            if self._proof is None:
                self._channel = grpc.aio.insecure_channel(target, options=_OPTIONS)
            else:
                options = (*_OPTIONS, ("grpc.ssl_target_name_override", self._proof.host))
                self._channel = grpc.aio.secure_channel(target, self._proof.tls.channel(), options=options)
        return self._channel

    @property
    def is_outdated(self) -> bool:
        """Whether the certificate has been renewed: to connect again needs a new one of these."""
        return self._proof is not None and self._version != self._proof.tls.version

    def is_there(self) -> bool:
        """Whether the connection stands; one that does not is begun."""
        return not self._gone and self._open().get_state(try_to_connect=True) is _READY

    def is_out(self, now: float) -> bool:
        """Whether it is left alone, for it answered badly."""
        return now < self._out_until

    @property
    def in_vain(self) -> bool:
        """Whether it could not be reached just now: gRPC tries again when some time has passed."""
        return self._gone or (self._channel is not None and self._channel.get_state() is _IN_VAIN)

    async def connect(self) -> bool:
        """Waits until there is a connection; false when one can't be had now.

        Only so can be told that a message has not been sent: gRPC fails alike when a connection ends under a call.
        """
        channel = self._open()
        while not self._gone:
            state = channel.get_state(try_to_connect=True)
            if state in {_READY, _IN_VAIN}:
                return state is _READY
            await channel.wait_for_state_change(state)
        return False

    def tell(self, outliers: Outliers | None, now: float, *, good: bool, others_out: float) -> None:
        """A call has ended. `others_out` is the share of endpoints that would be left alone, with this one."""
        if good:
            self._bad = 0
            if self._ejections and outliers is not None and now > self._out_until + outliers.ejection_s:
                # One that does well for as long as it was left alone is forgiven, once each time.
                self._ejections -= 1
                self._out_until = now
            return
        self._bad += 1
        if outliers is None or self._bad < outliers.errors or others_out > outliers.most:
            return
        self._bad = 0
        self._ejections += 1
        self._out_until = now + self._ejections * outliers.ejection_s

    async def close(self, grace_s: float | None = None) -> None:
        """What is on its way may still come to its end; nothing new begins."""
        self._gone = True
        if self._channel is not None:
            await self._channel.close(grace_s)


async def look_up(host: str, port: int) -> tuple[str, ...]:
    """Returns the addresses of a name, HOST:PORT. Raises OSError, and UnicodeError for what can be no name."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return tuple(dict.fromkeys(join(str(where[0]), port) for _, _, _, _, where in found))
