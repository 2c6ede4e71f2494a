"""What the operator tells those who ask it over HTTP."""

import asyncio
import json
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from fastforward_operator.bootstrap import bootstrap

from fastforward.snapshot.v1 import snapshot_pb2
from support.operator import Gateway, edge, gateway, respond, serves, until


async def text(running: Gateway, path: str, **headers: str) -> tuple[int, bytes]:
    url = f"http://127.0.0.1:{running.operator.api_port}{path}"
    async with aiohttp.ClientSession() as session, session.get(url, headers=headers) as response:
        return response.status, await response.read()


async def test_objects_are_found_by_kind_namespace_and_name(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        running.write("a", respond("a", "a.example.com", "a"), respond("b", "b.example.com", "b"))
        await until(lambda: running.object("Route", "b"), bool)

        async def names(query: str) -> list[str]:
            return [each["name"] for each in (await running.api(f"/v1/objects{query}"))["objects"]]

        assert await names("") == ["public", "a", "b"]
        assert await names("?kind=Route") == ["a", "b"]
        assert await names("?name=b&namespace=default") == ["b"]
        assert await names("?namespace=other") == []
        found = await running.object("Route", "b")
        file = running.resources / "a.yaml"
        line = file.read_text().splitlines().index("metadata: {name: b}") - 1
        assert found["source"] == f"{file}:{line}"


async def test_readiness_comes_with_the_first_compile_and_metrics_tell_of_objects(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        await until(lambda: text(running, "/readyz"), lambda answer: answer[0] == 200)
        assert (await text(running, "/healthz"))[0] == 200
        running.write("edge", edge("*.example.com"))
        running.write("shop", respond("shop", "shop.example.com", "hello"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "hello")
        await until(
            lambda: text(running, "/metrics"), lambda answer: b'ff_objects_programmed{kind="Route"} 1.0' in answer[1]
        )
        _, metrics = await text(running, "/metrics")
        for line in (b'ff_objects{kind="Edge"} 1.0', b'ff_nodes{kind="envoy"} 1.0', b"ff_failures_total 0.0"):
            assert line in metrics
        running.write("shop", respond("shop", "shop.example.com", "again"))
        await until(
            lambda: text(running, "/metrics"),
            lambda answer: b'ff_change_seconds_count{stage="acknowledged"}' in answer[1],
        )


async def test_what_is_published_can_be_read_back(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        running.write("shop", respond("shop", "shop.example.com", "hello"))
        await until(lambda: running.object("Route", "shop"), bool)
        rendered = await until(
            lambda: running.api("/v1/render?target=envoy"), lambda found: len(found["resources"]) > 3
        )
        kinds = {each["resource"]["@type"].rpartition(".")[2] for each in rendered["resources"]}
        assert {"Listener", "ScopedRouteConfiguration", "TypedExtensionConfig"} <= kinds
        snapshot = await running.api("/v1/snapshot")
        status, data = await text(running, "/v1/snapshot", accept="application/x-protobuf")
        delta = snapshot_pb2.SnapshotDelta.FromString(data)
        assert status == 200
        assert sorted(each.name for each in delta.resources) == [each["name"] for each in snapshot["resources"]]
        assert (await text(running, "/v1/render?target=nothing"))[0] == 400


async def test_nodes_are_shown_with_what_they_hold(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"))
        running.write("shop", respond("shop", "shop.example.com", "hello"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "hello")
        found = await until(
            lambda: running.api("/v1/proxies"), lambda found: [each["state"] for each in found["proxies"]] == ["live"]
        )
        (node,) = found["proxies"]
        assert node["node"] == "envoy"
        assert node["kind"] == "envoy"
        assert node["version"].startswith("1.")
        assert node["types"]["ScopedRouteConfiguration"]["holds"] == 1
        assert node["types"]["ScopedRouteConfiguration"]["refused"] == {}


async def test_changes_of_status_are_streamed(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        events: list[tuple[str, dict[str, Any]]] = []

        async def listen() -> None:
            url = f"http://127.0.0.1:{running.operator.api_port}/v1/events"
            async with aiohttp.ClientSession() as session, session.get(url) as response:
                name = ""
                async for line in response.content:
                    if line.startswith(b"event: "):
                        name = line[7:].strip().decode()
                    elif line.startswith(b"data: "):
                        events.append((name, json.loads(line[6:])))

        task = asyncio.create_task(listen())
        running.write("edge", edge("*.example.com"))

        async def seen() -> set[tuple[str, str]]:
            return {(name, each["name"]) for name, each in events}

        await until(seen, lambda found: ("object", "public") in found)
        running.write("shop", respond("shop", "shop.example.com", "hello"))
        await until(seen, lambda found: ("object", "shop") in found)
        running.remove("shop")
        await until(seen, lambda found: ("gone", "shop") in found)
        task.cancel()
        await asyncio.wait({task})


async def test_a_status_file_stands_beside_for_each_object(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("edge", edge("*.example.com"), "nonsense")
        folder = running.settings.state_dir / "status"

        async def files() -> set[str]:
            return {str(path.relative_to(folder)) for path in folder.rglob("*.json")}

        found = await until(files, lambda found: len(found) == 2)
        assert "Edge/default/public.json" in found
        said = json.loads((folder / "Edge/default/public.json").read_text())
        assert said["conditions"][0] == {**said["conditions"][0], "type": "Accepted", "status": "True"}
        running.remove("edge")
        await until(files, lambda found: found == set())


async def test_a_busy_port_is_told_before_anything_else_and_leaves_nothing_behind(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        other = running.settings.model_copy(
            update={"api_port": running.operator.api_port, "state_dir": tmp_path / "other"}
        )
        second = bootstrap(other)
        with pytest.raises(OSError, match=f"can't listen on 127.0.0.1:{running.operator.api_port}"):
            await second.start()


async def test_an_xds_address_that_can_not_be_had_is_told(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        other = running.settings.model_copy(
            update={"xds_address": f"unix:{tmp_path}/missing/xds.sock", "state_dir": tmp_path / "other"}
        )
        with pytest.raises(OSError, match="can't listen on unix:"):
            await bootstrap(other).start()
