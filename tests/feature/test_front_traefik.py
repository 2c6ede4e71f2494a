"""`ff up --front traefik`: a real Traefik before a real Envoy; true addresses, nothing forged, read back first."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import Generator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

from support.client import Connection, Response
from support.credentials import tls_data
from support.gateway import until
from support.origin import Loop, Origin, Reply
from support.processes import free_ports
from support.resources import secret
from support.up import READY, RunningUp, following

pytestmark = pytest.mark.slow

HOST = "api.example.com"
CLIENT = "127.0.0.2"
"""Not the address that Traefik has: that would prove nothing."""
FORGED = {
    "x-forwarded-for": "192.0.2.66",
    "x-real-ip": "192.0.2.66",
    "forwarded": "for=192.0.2.66",
    "x-ff-tenant": "forged",
    "x-forwarded-host": "forged.example.com",
}


@pytest.fixture
def origin() -> Generator[Origin]:
    loop = Loop()
    made = Origin(name="origin", loop=loop, answer=lambda _: Reply(body="hello"))
    made.start()
    yield made
    made.stop()
    loop.stop()


def write(folder: Path, origin: Origin, http: int, https: int, *, traefik: bool = True) -> Path:
    """An Edge for a cluster, whose addresses are none of this machine's."""
    front = {"front": {"traefik": {"addresses": ["10.8.0.0/16"], "protocols": ["rest", "grpc"]}}} if traefik else {}
    edge = {
        "hosts": [HOST],
        "listeners": [
            {"name": "http", "port": http},
            {"name": "https", "port": https, "protocol": "HTTPS", "tls": {"certificates": [{"name": "api"}]}},
        ],
        **front,
    }
    route = {"edges": [{"name": "public"}], "rules": [{"upstreams": [{"name": "origin"}]}]}
    upstream = {"endpoints": [{"address": "127.0.0.1", "port": origin.port}]}
    made = [ours("Edge", "public", edge), ours("Route", "all", route), ours("Upstream", "origin", upstream)]
    made.append(secret("api", tls_data(f"*.{HOST}"), "kubernetes.io/tls"))
    folder.mkdir(exist_ok=True)
    (folder / "all.yaml").write_text(yaml.safe_dump_all(made))
    return folder


def ours(kind: str, name: str, spec: Mapping[str, object]) -> dict[str, object]:
    return {
        "apiVersion": "gateway.fastforward.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": dict(spec),
    }


@contextmanager
def running(directory: Path, state: Path, **environment: str) -> Generator[RunningUp]:
    (api,) = free_ports(1)
    command = [sys.executable, "-m", "fastforward_operator.cli", "up", str(directory), "--front", "traefik", "--plain"]
    options = ["--state", str(state), "--api-port", str(api), "--bind", "127.0.0.1"]
    with subprocess.Popen(
        [*command, *options],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        env={**os.environ, **environment},
    ) as process:
        made = RunningUp(process=process, directory=directory, state=state, api=f"http://127.0.0.1:{api}", ports={})
        with following(made):
            yield made


def ask(port: int, host: str, *, tls: bool = False) -> Response:
    with Connection(port, server_name=host if tls else "", source=CLIENT) as connection:
        return connection.request("GET", "/", host=host, headers=FORGED)


def told(up: RunningUp) -> list[str]:
    """Names of the routers that Traefik has."""
    found = re.search(r"front: (\S+)", up.output)
    assert found is not None, up.output
    with urllib.request.urlopen(found[1], timeout=5) as answer:
        data = json.load(answer)
    return [name for kind in ("routers", "tcpRouters") for name in data.get(kind, {}) if name.endswith("@file")]


def lies(origin: Origin) -> set[str]:
    """Headers that arrived as the client forged them."""
    return {name.lower() for name, value in origin.last.headers if "192.0.2.66" in value or "forged" in value}


def test_requests_come_by_traefik_and_nobody_is_who_they_only_say(tmp_path: Path, origin: Origin) -> None:
    http, https = free_ports(2)
    with running(write(tmp_path / "edge", origin, http, https), tmp_path / "state") as up:
        up.until_said(READY)
        for port, tls in ((http, False), (https, True)):
            answer = ask(port, f"rest.{HOST}", tls=tls)
            assert (answer.status, answer.body) == (200, "hello")
            client, *hops = (origin.last.header("x-forwarded-for") or "").split(",")
            # By TLS Envoy is the first who writes it; otherwise it comes after Traefik.
            assert (client, len(hops)) == (CLIENT, 0 if tls else 1)
            assert lies(origin) == set()
        assert ask(http, f"other.{HOST}").status == 404
        # One for each subdomain and listener, none for a Route.
        assert len(told(up)) == 4
        without_middleware(tmp_path / "state/traefik/dynamic.yaml")
        # What keeps it out is the middleware: without it the client's word arrives.
        until(lambda: ask(http, f"rest.{HOST}").status, lambda status: status == 200 and "forwarded" in lies(origin))
        assert up.stop() == 0


def without_middleware(file: Path) -> None:
    configuration = json.loads(file.read_text())
    for router in configuration["http"]["routers"].values():
        router.pop("middlewares")
    file.write_text(json.dumps(configuration))


def test_a_changed_edge_is_told_while_all_runs(tmp_path: Path, origin: Origin) -> None:
    http, https = free_ports(2)
    folder = write(tmp_path / "edge", origin, http, https)
    with running(folder, tmp_path / "state") as up:
        up.until_said(READY)
        text = (folder / "all.yaml").read_text()
        (folder / ".new").write_text(text.replace("- grpc", "- graphql"))
        (folder / ".new").rename(folder / "all.yaml")
        until(lambda: ask(http, f"graphql.{HOST}").status, lambda status: status == 200)
        until(lambda: ask(http, f"grpc.{HOST}").status, lambda status: status == 404)


def test_without_an_edge_that_has_one_in_front_it_is_said_how_to_have_it(tmp_path: Path, origin: Origin) -> None:
    http, https = free_ports(2)
    with running(write(tmp_path / "edge", origin, http, https, traefik=False), tmp_path / "state") as up:
        up.until_said("add `front: {traefik: {addresses: [127.0.0.1]}}` to its spec")
        assert up.process.wait(20) == 1


def test_without_the_program_it_is_said_where_to_get_it(tmp_path: Path, origin: Origin) -> None:
    http, https = free_ports(2)
    folder = write(tmp_path / "edge", origin, http, https)
    with running(folder, tmp_path / "state", FF_TRAEFIK=str(tmp_path / "missing")) as up:
        up.until_said("The program traefik is not there")
        assert up.process.wait(20) == 1
