"""Gives each Gateway an address of its own out of a pool, where there is one.

In: changes of Gateways and GatewayClasses, the addresses that statuses tell of. Out: documents for the compiler, which
lets a Gateway listen only where it was told. Called by bootstrap. A Gateway keeps its
address as long as it is there; after a restart its status says which one it had.
"""

from __future__ import annotations

import ipaddress
import json
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fastforward_compiler.problem import ObjectRef
from fastforward_compiler.translate.gatewayapi.section import ADDRESSES
from fastforward_crds import gatewayapi

from .kept import Change

Documents = Mapping[str, bytes | None]
"""None for what nobody needs any more."""
_UNUSABLE = "AddressNotUsable"


def read_pool(text: str) -> tuple[str, ...]:
    """The addresses of a network or a range; none of an empty text. Raises ValueError."""
    if not text:
        return ()
    first, dash, last = text.partition("-")
    if not dash:
        return tuple(map(str, ipaddress.ip_network(first.strip()).hosts()))
    low, high = ipaddress.ip_address(first.strip()), ipaddress.ip_address(last.strip())
    if low.version != high.version or int(low) > int(high):
        raise ValueError(f"{text} is no range of addresses")
    return tuple(str(type(low)(number)) for number in range(int(low), int(high) + 1))


@dataclass(slots=True)
class AddressPool:
    """One a process."""

    pool: tuple[str, ...]
    by_service: bool = False
    """Whether proxies have a network of their own, and addresses lead to them by a Service: those of the pool, or else
    those that the cluster gives the Service."""
    _deliver: Callable[[Documents], None] = lambda _: None
    _classes: set[str] = field(default_factory=set)
    _gateways: dict[str, gatewayapi.Gateway] = field(default_factory=dict)
    _given: dict[str, str] = field(default_factory=dict)
    """Gateway -> address."""
    _told: dict[str, bytes] = field(default_factory=dict)

    def begin(self, deliver: Callable[[Documents], None]) -> None:
        """To be called before anything is compiled: with a pool nobody listens without an address of it.

        `deliver` is told what each Gateway was given.
        """
        self._deliver = deliver
        if self.by_service:
            deliver({ADDRESSES: b'{"listen": true}'})
        elif self.pool:
            deliver({ADDRESSES: b"{}"})

    def take(self, gateway: str, addresses: Collection[str]) -> None:
        """Addresses and host names by which the cluster leads to a Gateway's Service; only without a pool."""
        body = json.dumps({"addresses": sorted(addresses), "of": "cluster"} if addresses else {}).encode()
        url = f"{ADDRESSES}{gateway}"
        if self.pool or self._told.get(url, b"{}") == body:
            return
        if addresses:
            self._told[url] = body
            self._deliver({url: body})
        else:
            del self._told[url]
            self._deliver({url: None})

    def recall(self, ref: ObjectRef, status: Mapping[str, Any]) -> None:
        """What the status of a Gateway says that it had; only before it was given one."""
        name = f"{ref.namespace}/{ref.name}"
        if ref.kind != "Gateway" or name in self._given:
            return
        values = [str(each.get("value")) for each in status.get("addresses") or ()]
        free = [value for value in values if value in self.pool and value not in self._given.values()]
        if free:
            self._given[name] = free[0]

    def observe(self, changes: Mapping[ObjectRef, Change]) -> None:
        """Objects changed."""
        if not self.pool:
            return
        for ref in (ref for ref in changes if ref.kind in ("GatewayClass", "Gateway")):
            value = changes[ref]
            if ref.kind == "GatewayClass":
                ours = (
                    isinstance(value, gatewayapi.GatewayClass) and value.spec.controller_name == gatewayapi.CONTROLLER
                )
                (self._classes.add if ours else self._classes.discard)(ref.name)
            elif isinstance(value, gatewayapi.Gateway):
                self._gateways[f"{ref.namespace}/{ref.name}"] = value
            elif value is None:
                self._gateways.pop(f"{ref.namespace}/{ref.name}", None)
                self._given.pop(f"{ref.namespace}/{ref.name}", None)
        news: dict[str, bytes | None] = {
            url: None for url in self._told if url.removeprefix(ADDRESSES) not in self._gateways
        }
        for url in news:
            del self._told[url]
        told = {url: body for url, body in self._documents() if self._told.get(url) != body}
        self._told.update(told)
        if news or told:
            self._deliver({**news, **told})

    def _documents(self) -> Iterator[tuple[str, bytes]]:
        for name, gateway in self._gateways.items():
            if gateway.spec.gateway_class_name in self._classes:
                yield f"{ADDRESSES}{name}", json.dumps(self._give(name, gateway)).encode()

    def _give(self, name: str, gateway: gatewayapi.Gateway) -> dict[str, Any]:
        asked = [address.value for address in gateway.spec.addresses if address.type == "IPAddress" and address.value]
        taken = {address for holder, address in self._given.items() if holder != name}
        if asked:
            usable = [address for address in asked if address in self.pool and address not in taken]
            if usable:
                self._given[name] = usable[0]
            if len(usable) < len(asked):
                return {"addresses": usable, "reason": _UNUSABLE}
            return {"addresses": usable}
        if name not in self._given:
            free = next((address for address in self.pool if address not in taken), None)
            if free is None:
                return {}
            self._given[name] = free
        return {"addresses": [self._given[name]]}
