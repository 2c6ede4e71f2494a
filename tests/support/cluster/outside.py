"""What is outside of a cluster, under a name inside of it. Called by tests whose operator runs on this machine."""

from __future__ import annotations

from typing import Any


def as_service(name: str, namespace: str, address: str, port: int) -> tuple[dict[str, Any], ...]:
    """A Service for something outside of the cluster."""
    ports = [{"name": "xds", "port": port, "protocol": "TCP"}]
    return (
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": {"name": name, "namespace": namespace},
            "spec": {"clusterIP": "None", "ports": ports},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {"name": name, "namespace": namespace, "labels": {"kubernetes.io/service-name": name}},
            "addressType": "IPv4",
            "endpoints": [{"addresses": [address], "conditions": {"ready": True}}],
            "ports": ports,
        },
    )
