"""A real Envoy with nothing but the decision hop in it: the filter and the cluster that the compiler emits.

In: the sockets of decision services. Out: an Envoy that asks them about every request, and answers 200 behind them.
Called by the contract suite of ext_authz and by the measurement of the hop.
"""

import asyncio
import contextlib
import json
import subprocess
import tempfile
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fastforward_compiler.emit.envoy.bootstrap import decision_cluster
from fastforward_compiler.emit.envoy.chain import CLOSED, METADATA, OPEN, configured, decision
from fastforward_compiler.emit.envoy.refusal import emit_local_replies
from google.protobuf import json_format
from google.protobuf.message import Message

from support.decision_world import PLAN, SCOPE
from support.envoy import ENVOY
from support.processes import free_port

HCM = "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager"
ROUTER = "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"
DECISION_TIMEOUT_MS = 1000


@dataclass(frozen=True, slots=True)
class Hop:
    """`port` asks for a decision, `bare_port` does not; both end at the same upstream, `upstream_port`."""

    port: int
    bare_port: int
    upstream_port: int
    pid: int


def json_of(message: Message) -> dict[str, Any]:
    return json_format.MessageToDict(message, preserving_proto_field_name=True)


def listener(port: int, filters: Sequence[dict[str, Any]], route: dict[str, Any]) -> dict[str, Any]:
    router = {"name": "router", "typed_config": {"@type": ROUTER}}
    added = (("x-ff-scope", SCOPE), ("x-ff-table", "-"), ("x-ff-listener", "http"))
    mutation = {
        "@type": "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation",
        "mutations": [
            {"append": {"header": {"key": name, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}
            for name, value in added
        ],
    }
    manager = {
        "@type": HCM,
        "stat_prefix": f"p{port}",
        "use_remote_address": True,
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "http_filters": [*filters, router],
        "local_reply_config": json_of(emit_local_replies()),
        "early_header_mutation_extensions": [{"name": "trusted", "typed_config": mutation}],
        "route_config": {"virtual_hosts": [{"name": "all", "domains": ["*"], "routes": [route]}]},
    }
    chain = {"filters": [{"name": "http", "typed_config": manager}]}
    return {"address": {"socket_address": {"address": "127.0.0.1", "port_value": port}}, "filter_chains": [chain]}


def configuration(ports: tuple[int, int, int], sockets: Sequence[Path], *, fail_open: bool) -> dict[str, Any]:
    port, bare, upstream = ports
    name = OPEN if fail_open else CLOSED
    asked = json_of(configured(name, decision(DECISION_TIMEOUT_MS, fail_open=fail_open)))
    to_upstream = {
        "match": {"prefix": "/"},
        "route": {"cluster": "upstream"},
        "metadata": {"filter_metadata": {METADATA: {"plan": PLAN}}},
    }
    answer = {"match": {"prefix": "/"}, "direct_response": {"status": 200, "body": {"inline_string": "x" * 200}}}
    endpoint = {"address": {"socket_address": {"address": "127.0.0.1", "port_value": upstream}}}
    cluster = {
        "name": "upstream",
        "type": "STATIC",
        "load_assignment": {
            "cluster_name": "upstream",
            "endpoints": [{"lb_endpoints": [{"endpoint": endpoint}]}],
        },
    }
    listeners = [listener(port, [asked], to_upstream), listener(bare, [], to_upstream), listener(upstream, [], answer)]
    clusters = [cluster, json_of(decision_cluster(tuple(map(str, sockets)), None))]
    return {"static_resources": {"listeners": listeners, "clusters": clusters}}


@contextlib.asynccontextmanager
async def running_hop(*sockets: Path, fail_open: bool = False) -> AsyncGenerator[Hop]:
    ports = (free_port(), free_port(), free_port())
    with tempfile.TemporaryDirectory(prefix="ff") as name:
        folder = Path(name)
        process = _start(folder, configuration(ports, sockets, fail_open=fail_open))
        try:
            for port in ports:
                await _listening(port, process, folder)
            yield Hop(*ports, process.pid)
        finally:
            process.kill()
            process.wait()


def _start(folder: Path, config: dict[str, Any]) -> subprocess.Popen[bytes]:
    (folder / "envoy.json").write_text(json.dumps(config))
    command = [ENVOY, "-c", folder / "envoy.json", "--concurrency", "1", "-l", "warning", "--disable-hot-restart"]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)


async def _listening(port: int, process: subprocess.Popen[bytes], folder: Path) -> None:
    async with asyncio.timeout(60):
        while not await _accepts(port):
            assert process.poll() is None, await asyncio.to_thread((folder / "log").read_text)
            await asyncio.sleep(0.01)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    await writer.wait_closed()
    return True
