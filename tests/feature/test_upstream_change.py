"""Upstreams change in place: no route is sent again, no request is lost, a slow one holds up nobody."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from pathlib import Path

from aiohttp import web

from support.envoy import Envoy
from support.load import load
from support.operator import edge, gateway, proxy, respond, serves, until, upstream
from support.processes import free_port

HEALTH_CHECK = "  healthCheck: {type: HTTP, path: /health, interval: 1s, timeout: 2s, unhealthyThreshold: 1}\n"


@asynccontextmanager
async def backend(body: str, healthy: asyncio.Event | None = None) -> AsyncGenerator[int, None]:
    """A real upstream; its health check hangs until `healthy` is set."""

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/health" and healthy is not None:
            await healthy.wait()
        return web.Response(text=body)

    application = web.Application()
    application.router.add_route("*", "/{path:.*}", answer)
    runner = web.AppRunner(application, shutdown_timeout=0.1)
    await runner.setup()
    port = free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    try:
        yield port
    finally:
        await runner.cleanup()


async def test_an_edited_upstream_sends_its_cluster_and_endpoints_and_no_route(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, backend("one") as one, backend("two") as two:
        running.write("edge", edge("*.example.com"))
        running.write("cart", upstream("cart", one))
        running.write("routes", *(proxy(f"r{number}", f"h{number}.example.com", "cart") for number in range(200)))
        envoy = running.start_envoy()
        await serves(envoy, "h199.example.com", "one")
        await until(lambda: running.programmed("Upstream", "cart"), bool)
        before = await until(running.told, bool)
        async with load(envoy.port, "h7.example.com") as seen:
            running.write("cart", upstream("cart", two))
            await serves(envoy, "h199.example.com", "two")
            running.write("cart", upstream("cart", two, "  connectTimeout: 3s\n"))
            await until(lambda: running.programmed("Upstream", "cart", 3), bool)
            running.write("cart", upstream("cart", one, "  connectTimeout: 4s\n"))
            await serves(envoy, "h199.example.com", "one")
        after = await until(running.told, bool)
        assert not seen.failed
        assert after["ScopedRouteConfiguration"] == before["ScopedRouteConfiguration"]
        assert after["Cluster"] - before["Cluster"] <= 2
        assert after["ClusterLoadAssignment"] - before["ClusterLoadAssignment"] <= 4


def by_service(name: str, service: str) -> str:
    return (
        f"apiVersion: gateway.fastforward.dev/v1alpha1\nkind: Upstream\nmetadata: {{name: {name}}}\n"
        f"spec: {{service: {{name: {service}, port: 80}}}}\n"
    )


def service(name: str) -> str:
    return f"apiVersion: v1\nkind: Service\nmetadata: {{name: {name}}}\nspec: {{ports: [{{port: 80}}]}}\n"


def endpoints(service: str, *ports: int, part: int = 0) -> str:
    """A slice for each port: an endpoint is an address here, and all of them have the same."""
    return "---\n".join(
        "apiVersion: discovery.k8s.io/v1\nkind: EndpointSlice\n"
        f"metadata: {{name: {service}-{part}-{number}, labels: {{kubernetes.io/service-name: {service}}}}}\n"
        f"addressType: IPv4\nendpoints: [{{addresses: [127.0.0.1]}}]\nports: [{{port: {port}}}]\n"
        for number, port in enumerate(ports)
    )


async def test_pods_that_come_and_go_send_their_endpoints_and_neither_a_cluster_nor_a_route(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running, backend("one") as one, backend("two") as two:
        running.write("edge", edge("*.example.com"))
        running.write("cart", by_service("cart", "pods"), service("pods"))
        running.write("routes", *(proxy(f"r{number}", f"h{number}.example.com", "cart") for number in range(20)))
        running.write("pods", endpoints("pods", one))
        envoy = running.start_envoy()
        await serves(envoy, "h19.example.com", "one")
        await until(lambda: running.programmed("Upstream", "cart"), bool)
        before = await until(running.told, bool)
        async with load(envoy.port, "h7.example.com") as seen:
            for _ in range(5):
                running.write("pods", endpoints("pods", one, two))
                await serves(envoy, "h19.example.com", "two")
                running.write("pods", endpoints("pods", two))
                await until(lambda: _addresses(envoy), lambda text: str(one) not in text)
                running.write("pods", endpoints("pods", one))
                await serves(envoy, "h19.example.com", "one")
        after = await until(running.told, bool)
        assert not seen.failed
        assert after.pop("ClusterLoadAssignment") > before.pop("ClusterLoadAssignment")
        assert after == before


async def _addresses(envoy: Envoy) -> str:
    return await envoy.admin("/clusters?format=text")


async def test_a_route_to_a_new_upstream_is_never_sent_before_it(tmp_path: Path) -> None:
    async with gateway(tmp_path, removal_grace_s=0.2) as running, backend("one") as one, backend("two") as two:
        running.write("edge", edge("*.example.com"))
        running.write("shop", upstream("cart-0", one), proxy("shop", "shop.example.com", "cart-0"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "one")
        async with load(envoy.port, "shop.example.com") as seen:
            for number in range(1, 21):
                port, body = ((two, "two"), (one, "one"))[number % 2 == 0]
                name = f"cart-{number}"
                running.write("shop", upstream(name, port), proxy("shop", "shop.example.com", name))
                await serves(envoy, "shop.example.com", body)
            names = await until(
                lambda: envoy.admin("/clusters?format=text"), lambda text: "default/cart-19::" not in text
            )
        assert "default/cart-20::" in names
        assert not seen.failed


async def test_a_proxy_that_is_slow_to_take_a_new_upstream_is_sent_no_route_to_it_before(tmp_path: Path) -> None:
    async with gateway(tmp_path, removal_grace_s=0.2) as running, backend("one") as one, backend("two") as two:
        running.write("edge", edge("*.example.com"))
        running.write("shop", upstream("cart-0", one), proxy("shop", "shop.example.com", "cart-0"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "one")
        async with load(envoy.port, "shop.example.com") as seen:
            for number in range(1, 6):
                port, body = ((two, "two"), (one, "one"))[number % 2 == 0]
                name = f"cart-{number}"
                envoy.freeze()
                running.write("shop", upstream(name, port), proxy("shop", "shop.example.com", name))
                # Longer than other things wait for an acknowledgement.
                await asyncio.sleep(0.4)
                envoy.thaw()
                await serves(envoy, "shop.example.com", body)
        assert not seen.failed


async def test_a_slow_health_check_holds_up_neither_other_routes_nor_the_truth(tmp_path: Path) -> None:
    healthy = asyncio.Event()
    async with gateway(tmp_path) as running, backend("slow", healthy) as slow, backend("fast") as fast:
        running.write("edge", edge("*.example.com"))
        running.write("shop", respond("shop", "shop.example.com", "0"))
        running.write("fast", upstream("fast", fast), proxy("fast", "fast.example.com", "fast"))
        envoy = running.start_envoy()
        await serves(envoy, "fast.example.com", "fast")
        await until(lambda: running.programmed("Route", "fast"), bool)
        running.write("slow", upstream("slow", slow, HEALTH_CHECK), proxy("slow", "slow.example.com", "slow"))
        await until(lambda: running.condition("Upstream", "slow"), lambda found: found.get("reason") == "Pending")
        for number in range(1, 11):
            running.write("shop", respond("shop", "shop.example.com", str(number)))
            await until(
                lambda: envoy.get("shop.example.com"),
                lambda answer, want=str(number): answer.body == want,
                seconds=0.5,
                every=0.002,
            )
        assert await running.programmed("Route", "fast")
        await until(lambda: running.programmed("Route", "shop", 11), bool, seconds=0.5)
        assert not await running.programmed("Upstream", "slow")
        assert not await running.programmed("Route", "slow")
        healthy.set()
        await until(lambda: running.programmed("Route", "slow"), bool)
        assert (await envoy.get("slow.example.com")).body == "slow"
