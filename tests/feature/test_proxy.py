"""`ff proxy` tells what a live Envoy has and should have, of the running operator and of directories."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path

import pytest
from fastforward_compiler.emit.envoy import EmitSettings
from fastforward_operator.cli.held import KINDS

from support.credentials import certificate_pem, jwks, tls_data
from support.ff import Said, ff, ff_process
from support.gateway import Gateway as FileGateway
from support.gateway import until as now
from support.operator import EDGE_PORT, Gateway, edge, gateway, proxy, respond, serves, until, upstream
from support.processes import free_port
from support.refusing import breaking_pipeline
from support.resources import Document, config_map, on, prefix, resource, route, rule, secret
from support.resources import edge as an_edge
from support.resources import upstream as an_upstream


async def ask(running: Gateway, *arguments: str | Path) -> Said:
    admin = f"unix:{running.envoys[0].folder / 'admin.sock'}"
    api = f"http://127.0.0.1:{running.operator.api_port}"
    return await asyncio.to_thread(ff_process, "proxy", "--admin", admin, "--api", api, *arguments)


def told(said: Said) -> list[tuple[str, str, str]]:
    (found,) = said.json["proxies"]
    return [(one["kind"], one["name"], one["difference"]) for one in found["differences"]]


async def test_a_live_envoy_has_what_it_should_and_directories_that_say_otherwise_are_told(tmp_path: Path) -> None:
    port = free_port()
    documents = (edge("*.example.com"), respond("shop", "shop.example.com", "open"))
    behind = (upstream("one", 9), proxy("one", "one.example.com", "one"))
    async with gateway(tmp_path, port=port) as running:
        running.write("all", *documents, *behind)
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "open")
        good = await until(lambda: ask(running), lambda said: said.code == 0, every=0.1)
        assert good.out.startswith("envoy has ")
        assert good.out.endswith(" resources, as it should.\n")

        other = tmp_path / "other"
        other.mkdir()
        changed = (respond("shop", "shop.example.com", "closed"), respond("new", "new.example.com", "new"))
        (other / "all.yaml").write_text("\n---\n".join((documents[0], *changed)))
        said = await ask(running, "--from", other, "--kind", "scope", "--kind", "cluster", "-o", "json")
        assert said.code == 1
        assert told(said) == [
            ("scope", "default/public|new.example.com#", "missing"),
            ("scope", "default/public|one.example.com#", "extra"),
            ("scope", "default/public|shop.example.com#", "other version"),
            ("cluster", "default/one", "extra"),
        ]
        shown = await ask(running, "--from", other, "--show", "default/public|shop.example.com#")
        minus = [line for line in shown.out.splitlines() if line.startswith("-") and "inline_string: closed" in line]
        plus = [line for line in shown.out.splitlines() if line.startswith("+") and "inline_string: open" in line]
        assert (len(minus), len(plus)) == (1, 1)


def test_of_each_kind_an_envoy_has_what_it_should(everything: FileGateway) -> None:
    """Certificates, key sets, limits, TLS to endpoints, client certificates: what travels is what arrives."""
    stack = everything.stack
    admin, api = f"unix:{stack.folder / 'admin.sock'}", f"http://127.0.0.1:{stack.api_port}"

    def compare() -> Said:
        return ff("proxy", "--admin", admin, "--api", api)

    said = now(compare, lambda found: found.code == 0, every=0.1)
    assert said.out.endswith(" resources, as it should.\n")
    stack_wants = {each["resource"]["@type"].rpartition(".")[2] for each in stack.api("/v1/render")["resources"]}
    assert stack_wants == set(KINDS) - {"RouteConfiguration"}
    for kind in ("extension", "secret", "cluster", "endpoints"):
        found = ff("proxy", "--admin", admin, "--api", api, "--kind", kind, "-o", "json").json["proxies"][0]
        assert found["resources"] > 0


@pytest.fixture
def everything(gateway: FileGateway) -> FileGateway:
    """Resources of every kind that an Envoy can be told."""
    inner, port = "inner.example.com", free_port()
    gateway.upstream("plain")
    tls: Document = {
        "certificates": [{"name": "tls"}],
        "clients": {"authorities": [{"name": "right"}], "mode": "Required"},
    }
    jwt = {"issuer": "https://a", "jwks": {"configMap": {"name": "keys", "key": "a"}}}
    members: Document = {
        "targets": [on("Route", "books")],
        "authentication": {"providers": [{"name": "token", "jwt": jwt}]},
    }
    limit = {"targets": [on("Route", "books")], "budget": {"requests": 100, "window": "1h"}}
    gateway.apply(
        secret("tls", tls_data(inner), "kubernetes.io/tls"),
        config_map("right", {"ca.crt": certificate_pem(inner)}),
        config_map("keys", {"a": jwks("a")}),
        an_edge(gateway.port, hosts=["example.com"]),
        an_edge(
            port,
            name="inner",
            hosts=[inner],
            listeners=[{"name": "https", "port": port, "protocol": "HTTPS", "tls": tls}],
        ),
        an_upstream("secure", 9, tls={"serverName": inner, "authorities": [{"name": "right"}]}),
        route("books", rule(prefix("/a"), to="plain"), rule(prefix("/b"), to="secure")),
        resource("AuthPolicy", "members", members),
        resource("RateLimit", "limit", limit),
    )
    return gateway


async def test_what_an_envoy_refuses_is_told_in_its_own_words(tmp_path: Path) -> None:
    port = free_port()
    settings = EmitSettings(bind_address="127.0.0.1", ports={EDGE_PORT: port})
    async with gateway(tmp_path, pipeline=lambda: breaking_pipeline(settings), port=port) as running:
        running.write("all", edge("*.example.com"), respond("shop", "shop.example.com", "good"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "good")
        running.write("all", edge("*.example.com"), respond("shop", "shop.example.com", "break me"))
        await until(lambda: running.condition("Route", "shop"), lambda found: found.get("reason") == "Rejected")
        said = await ask(running, "-o", "json")
        assert said.code == 1
        assert told(said) == [("scope", "default/public|shop.example.com#", "rejected")]
        assert "key" in said.json["proxies"][0]["differences"][0]["detail"].lower()


async def test_the_companion_shows_a_console_and_changes_nothing(tmp_path: Path) -> None:
    async with gateway(tmp_path) as running:
        running.write("all", edge("*.example.com"), respond("shop", "shop.example.com", "good"))
        envoy = running.start_envoy()
        await serves(envoy, "shop.example.com", "good")
        settings = {"FF_COMPANION_ADMIN": str(envoy.folder / "admin.sock"), "FF_COMPANION_LISTEN": "127.0.0.1:1"}
        show = [sys.executable, "-m", "fastforward_kit.companion.show"]

        def run(target: str, **more: str) -> subprocess.CompletedProcess[str]:
            environment = {**os.environ, **settings, **more}
            return subprocess.run([*show, target], env=environment, capture_output=True, text=True, check=False)

        dump = await asyncio.to_thread(run, "/config_dump?include_eds")
        assert "shop.example.com" in dump.stdout
        for target in ("/quitquitquit", "/healthcheck/fail", "/drain_listeners", "/logging?level=trace", ""):
            refused = await asyncio.to_thread(run, target)
            assert (refused.returncode, refused.stdout) == (2, "")
        assert envoy.process.poll() is None
        nobody = await asyncio.to_thread(run, "/stats", FF_COMPANION_ADMIN="/nowhere")
        assert (nobody.returncode, nobody.stderr) == (1, "Envoy does not answer: [Errno 2] No such file or directory\n")
