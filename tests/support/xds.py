"""Nodes without a wire: sessions of the xDS server driven by hand, with a clock that only tests move.

In: publications and answers as tests make them. Out: decoded responses. Called by the unit tests of the xDS layers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from envoy.service.discovery.v3 import discovery_pb2
from fastforward_operator.xds import wire
from fastforward_operator.xds.session import EnvoySession, Receipt
from fastforward_operator.xds.store import Key, Need, Publication, Put, Store


def put(key: Key, version: str, *, needs: tuple[Need, ...] | None = None, hop: bool = False) -> Put:
    """A resource whose body is its version."""
    type_url, name = key.type_url, key.name
    return Put(
        key=key,
        version=version,
        wire=wire.envoy_entry(type_url, name, version, version.encode()),
        needs=needs,
        hop=hop,
    )


def publication(revision: int, *puts: Put, removed: Iterable[Key] = ()) -> Publication:
    return Publication(revision=revision, upserts=puts, removed=tuple(removed))


@dataclass(frozen=True, slots=True)
class Response:
    """A decoded response."""

    type_url: str
    nonce: str
    versions: Mapping[str, str]
    removed: tuple[str, ...]


@dataclass(slots=True)
class Node:
    """An Envoy that speaks when the test says so."""

    store: Store
    gates: dict[int, float] = field(default_factory=dict)
    sid: int = 1
    now: float = 100.0
    session: EnvoySession = field(init=False)

    def __post_init__(self) -> None:
        self.session = EnvoySession(self.sid, self.store, lambda revision: self.gates.get(revision, 0.0))

    def publish(self, step: Publication) -> None:
        changed = self.store.put(step.upserts, step.revision)
        for key in step.removed:
            self.store.remove(key)
        self.session.publish((*changed, *step.removed), step.revision, self.now)

    def subscribe(self, type_url: str, *names: str, held: Mapping[str, str] | None = None) -> Receipt:
        request = discovery_pb2.DeltaDiscoveryRequest(
            type_url=type_url, resource_names_subscribe=names, initial_resource_versions=held or {}
        )
        request.node.id = f"envoy-{self.sid}"
        return self.session.receive(request, self.now)

    def unsubscribe(self, type_url: str, *names: str) -> None:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=type_url, resource_names_unsubscribe=names)
        self.session.receive(request, self.now)

    def next(self) -> Response | None:
        data = self.session.next_response(self.now)
        if data is None:
            return None
        response = discovery_pb2.DeltaDiscoveryResponse.FromString(data)
        return Response(
            response.type_url,
            response.nonce,
            {resource.name: resource.version for resource in response.resources},
            tuple(response.removed_resources),
        )

    def expect(self) -> Response:
        response = self.next()
        assert response is not None
        return response

    def ack(self, response: Response) -> Receipt:
        return self.session.receive(
            discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce), self.now
        )

    def nack(self, response: Response, message: str = "no") -> Receipt:
        request = discovery_pb2.DeltaDiscoveryRequest(type_url=response.type_url, response_nonce=response.nonce)
        request.error_detail.message = message
        return self.session.receive(request, self.now)

    def settle(self) -> list[Response]:
        """Take and acknowledge everything that goes now."""
        responses = []
        while (response := self.next()) is not None:
            responses.append(response)
            self.ack(response)
        return responses
