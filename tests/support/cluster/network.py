"""The addresses of a cluster: one /16 of 10.0.0.0/8 that nothing on this machine uses, cut into what Kubernetes needs.

In: the number of the /16. Out: addresses and ranges. Called by every component. A node's network is its own, reached
from the machine through one pair of interfaces and one route, so a pod, a Service's ClusterIP and a load balancer's
address can be asked from the machine itself as from a pod.
"""

from __future__ import annotations

import contextlib
import fcntl
import ipaddress
import json
import os
import subprocess
from collections.abc import Generator
from dataclasses import dataclass
from typing import Any

FIRST, LAST = 200, 249


@dataclass(frozen=True, slots=True)
class Network:
    """`10.<number>.0.0/16`: a link to the machine, pods, Services, and addresses for load balancers."""

    number: int

    def at(self, rest: str) -> str:
        """An address or range of this network."""
        return f"10.{self.number}.{rest}"

    @property
    def whole(self) -> str:
        """What the machine routes to the node."""
        return self.at("0.0/16")

    @property
    def interface(self) -> str:
        """The machine's end of the link."""
        return f"ff{self.number}"

    @property
    def machine(self) -> str:
        """The machine's address on the link; pods reach servers of the machine here."""
        return self.at("0.1")

    @property
    def node(self) -> str:
        """The node's address on the link, where the API server listens."""
        return self.at("0.2")

    @property
    def pods(self) -> str:
        """Addresses of pods."""
        return self.at("64.0/18")

    @property
    def pods_of_node(self) -> str:
        """The part of them that the node has; the controller gives it to the first node."""
        return self.at("64.0/24")

    @property
    def services(self) -> str:
        """Cluster IPs."""
        return self.at("128.0/20")

    @property
    def api_service(self) -> str:
        """Cluster IP of the Service `kubernetes`."""
        return self.at("128.1")

    @property
    def dns(self) -> str:
        """Cluster IP of CoreDNS."""
        return self.at("128.10")

    @property
    def load_balancers(self) -> str:
        """Addresses that nothing gives out: for a Service's `status.loadBalancer` or `externalIPs`."""
        return self.at("192.0/24")


@contextlib.contextmanager
def choosing() -> Generator[None]:
    """Nobody else chooses a network meanwhile: one is taken only once it is linked."""
    descriptor = os.open("/run", os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def free_network() -> Network:
    """The first network that no route and no address of this machine overlaps."""
    taken = tuple(_taken())
    for number in range(FIRST, LAST + 1):
        network = Network(number)
        if not any(ipaddress.ip_network(network.whole).overlaps(each) for each in taken):
            return network
    raise OSError(f"Every network from 10.{FIRST}.0.0/16 to 10.{LAST}.0.0/16 is in use on this machine.")


def _taken() -> list[ipaddress.IPv4Network]:
    routes = (route["dst"] for route in _ip("-4", "route", "show", "table", "all"))
    return [ipaddress.IPv4Network(route) for route in routes if route != "default"]


def _ip(*arguments: str) -> list[dict[str, Any]]:
    shown = subprocess.run(["ip", "-json", *arguments], check=True, capture_output=True, text=True).stdout
    found: list[dict[str, Any]] = json.loads(shown or "[]")
    return found


def link(network: Network, pid: int, owner: str) -> None:
    """Joins the network of the process to the machine's, by a pair of interfaces that says whose it is."""
    name = network.interface
    for command in (
        ("link", "add", name, "type", "veth", "peer", "name", "eth0", "netns", str(pid)),
        ("link", "set", name, "alias", owner),
        ("addr", "add", f"{network.machine}/30", "dev", name),
        ("link", "set", name, "up"),
        ("route", "add", network.whole, "via", network.node, "dev", name),
    ):
        subprocess.run(["ip", *command], check=True, capture_output=True, text=True)


def unlink(owner: str) -> None:
    """Removes what is still there of a link whose node has ended, and the route with it."""
    for each in _ip("link"):
        if each.get("ifalias") == owner:
            subprocess.run(["ip", "link", "delete", each["ifname"]], check=False, capture_output=True)
