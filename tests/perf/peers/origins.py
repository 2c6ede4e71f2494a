"""What the routes lead to: one bare Envoy that answers by itself, with the origin's name.

Out: an address and a port for each origin. Called by probe. The API server takes no address of 127.0.0.0/8 in an
EndpointSlice, so the loopback device gets one of the range that is kept for benchmarks (RFC 2544) for as long as this
runs, which only root can do.
"""

from __future__ import annotations

import contextlib
import json
import random
import subprocess
from collections.abc import Generator
from pathlib import Path

from fastforward_operator.supervisor.envoy import find_envoy

from support.processes import free_ports

from .world import ORIGINS

_TYPES = "type.googleapis.com/envoy.extensions.filters"


@contextlib.contextmanager
def address() -> Generator[str]:
    """An address of this machine alone that the API server takes."""
    chance = random.SystemRandom()
    made = f"198.18.{chance.randrange(256)}.{chance.randrange(1, 255)}"
    done = subprocess.run(
        ["ip", "address", "add", f"{made}/32", "dev", "lo"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise RuntimeError(f"The loopback device gets no address, which needs root: {done.stderr.strip()}")
    try:
        yield made
    finally:
        subprocess.run(["ip", "address", "del", f"{made}/32", "dev", "lo"], check=True)


@contextlib.contextmanager
def origins(folder: Path, at: str) -> Generator[tuple[int, ...]]:
    """The ports of the origins at this address."""
    ports = tuple(free_ports(len(ORIGINS)))
    listeners = [_listener(name, at, port) for name, port in zip(ORIGINS, ports, strict=True)]
    config = folder / "origins.json"
    config.write_text(json.dumps({"static_resources": {"listeners": listeners}}))
    command = [str(find_envoy()), "-c", str(config), "--concurrency", "1", "-l", "error", "--disable-hot-restart"]
    with (folder / "origins.log").open("wb") as log:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    try:
        yield ports
    finally:
        process.terminate()
        process.wait()


def _listener(name: str, at: str, port: int) -> dict[str, object]:
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": name}}}
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": name,
        "route_config": {"virtual_hosts": [{"name": name, "domains": ["*"], "routes": [answer]}]},
        "http_filters": [
            {
                "name": "router",
                "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"},
            }
        ],
    }
    return {
        "name": name,
        "address": {"socket_address": {"address": at, "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
