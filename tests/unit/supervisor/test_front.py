"""A Traefik on this machine: what its file says is what a cluster's is told."""

from __future__ import annotations

from pathlib import Path

from fastforward_compiler import ir
from fastforward_operator.supervisor.front import FrontPlan, describe

HOSTS = (("example.com", ""), ("grpc.example.com", "grpc"), ("*.example.com", ""))
LISTENERS = (ir.Listener(name="http", port=80), ir.Listener(name="https", port=443, proxy_protocol=True))


def test_a_wildcard_is_looked_at_after_the_hosts_in_it(tmp_path: Path) -> None:
    front = ir.Traefik(addresses=("10.8.0.0/16",), hosts=HOSTS)
    edge = ir.Edge(name="shop/public", hosts=(), listeners=LISTENERS, traefik=front)
    ports = {80: 10080, 443: 10443}
    plan = FrontPlan(binary=tmp_path, bind=("127.0.0.1",), ports=ports, api_port=10000, folder=tmp_path)
    for parts in describe(edge, plan).values():
        _, inside, wildcard = [each["priority"] for each in parts["routers"].values()]
        assert inside > wildcard
