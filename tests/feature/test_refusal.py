"""Envoy refuses a resource: its object says so in Envoy's own words, and its neighbours are served."""

from pathlib import Path

from fastforward_compiler.emit.envoy import EmitSettings

from support.operator import EDGE_PORT, edge, gateway, respond, serves, until
from support.processes import free_port
from support.refusing import breaking_pipeline


def settings(port: int) -> EmitSettings:
    return EmitSettings(bind_address="127.0.0.1", ports={EDGE_PORT: port})


async def test_a_refused_route_says_why_keeps_its_last_good_version_and_its_neighbours_are_served(
    tmp_path: Path,
) -> None:
    port = free_port()
    async with gateway(tmp_path, pipeline=lambda: breaking_pipeline(settings(port)), port=port) as running:
        running.write("edge", edge("*.example.com"))
        running.write("shop", respond("shop", "shop.example.com", "good"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "good")
        await until(lambda: running.programmed("Route", "shop"), bool)

        documents = [respond(f"r{number}", f"h{number}.example.com", str(number)) for number in range(30)]
        running.write("all", *documents)
        running.write("shop", respond("shop", "shop.example.com", "break me"))
        refused = await until(
            lambda: running.condition("Route", "shop"), lambda found: found.get("reason") == "Rejected"
        )
        assert refused["status"] == "False"
        assert refused["message"].startswith("envoy refused it: ")
        assert "shop.example.com" in refused["message"] or "key" in refused["message"]
        assert (await envoy.get("shop.example.com")).body == "good"
        for number in (0, 29):
            await serves(envoy, f"h{number}.example.com", str(number))
            await until(lambda name=f"r{number}": running.programmed("Route", name), bool)

        running.write("shop", respond("shop", "shop.example.com", "mended"))
        await serves(envoy, "shop.example.com", "mended")
        await until(lambda: running.programmed("Route", "shop", 3), bool)


async def test_one_bad_route_among_many_of_the_same_step_is_isolated(tmp_path: Path) -> None:
    port = free_port()
    async with gateway(tmp_path, pipeline=lambda: breaking_pipeline(settings(port)), port=port) as running:
        running.write("edge", edge("*.example.com"))
        running.write("first", respond("first", "first.example.com", "here"))
        envoy = running.start_envoy()
        await serves(envoy, "first.example.com", "here")
        bodies = ["break me" if number == 17 else str(number) for number in range(40)]
        running.write(
            "all", *(respond(f"r{number}", f"h{number}.example.com", body) for number, body in enumerate(bodies))
        )
        await until(lambda: running.condition("Route", "r17"), lambda found: found.get("reason") == "Rejected")
        for number in (0, 16, 18, 39):
            await until(lambda name=f"r{number}": running.programmed("Route", name), bool)
            assert (await envoy.get(f"h{number}.example.com")).body == str(number)
        assert (await envoy.get("h17.example.com")).status == 404
