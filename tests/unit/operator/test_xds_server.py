"""The server of nodes: what it does before anybody can reach it."""

from pathlib import Path

from fastforward_operator.xds.publisher import Publisher
from fastforward_operator.xds.server import XdsServer
from fastforward_operator.xds.store import CLUSTER, Key

from support.xds import publication, put


async def test_what_is_published_before_the_server_serves_is_served(tmp_path: Path) -> None:
    """It waits for the certificate authority, which is on an API server that may be slower than the compiler."""
    publisher = Publisher(lambda _: None)
    server = XdsServer(f"unix:{tmp_path / 'xds.sock'}", publisher)
    publisher.publish(publication(1, put(Key(CLUSTER, "books"), "v1")))
    await server.start()
    try:
        found = await server.inspect(lambda inner: (inner.ready, list(inner.store.of_type(CLUSTER))))
    finally:
        await server.stop()
    assert found == (True, ["books"])
