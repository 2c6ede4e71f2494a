"""`ff collect` of the running bookshop: everything is in it, and nothing that would let anybody in."""

from __future__ import annotations

import secrets
import tarfile
from pathlib import Path

import pytest
import yaml
from fastforward_operator.supervisor.development import Development

from support.client import Connection
from support.ff import ff
from support.up import READY, RunningUp, copy_bookshop, running_up

pytestmark = pytest.mark.slow
HOST = "bookshop.localhost"


def send(shop: RunningUp, planted: str) -> None:
    """Requests with a secret wherever clients put them."""
    headers = {
        "authorization": f"Bearer {planted}",
        "cookie": f"session={planted}",
        "x-api-key": planted,
        "user-agent": f"curl authorization: Bearer {planted}",
    }
    with Connection(shop.ports["8080"]) as connection:
        connection.request("GET", f"/orders?token={planted}&x={planted}", host=HOST, headers=headers)
        connection.request("GET", f"/nothing/Bearer%20x?password={planted}", host=HOST)


def credentials(shop: RunningUp) -> dict[str, str]:
    """What the bookshop's doors are opened with."""
    development = Development(shop.state / "dev")
    found = dict(development.api_keys())
    for file in (shop.state / "dev").glob("*.key"):
        found[file.name] = file.read_text().splitlines()[1]
    for file in (shop.state / "dev" / "resources").glob("*.yaml"):
        for document in yaml.safe_load_all(file.read_text()):
            values = {**(document.get("data") or {}), **(document.get("stringData") or {})}
            if document["kind"] == "Secret":
                found.update({f"{file.name} {name}": value for name, value in values.items()})
    assert len(found) > 4
    return found


def test_of_the_running_bookshop_it_has_everything_but_what_is_secret(tmp_path: Path) -> None:
    directory, ports = copy_bookshop(tmp_path)
    planted = {name: secrets.token_urlsafe(20) for name in ("sent", "route", "key")}
    extra = directory / "resources" / "extra.yaml"
    change = {"set": [{"name": "authorization", "value": f"Basic {planted['route']}"}]}
    extra.write_text(
        yaml.safe_dump_all(
            [
                {
                    "apiVersion": "v1",
                    "kind": "Secret",
                    "metadata": {"name": "mine"},
                    "stringData": {"k": planted["key"]},
                },
                {
                    "apiVersion": "gateway.fastforward.dev/v1alpha1",
                    "kind": "Route",
                    "metadata": {"name": "extra", "namespace": "bookshop"},
                    "spec": {
                        "edges": [{"name": "public"}],
                        "hosts": [HOST],
                        "rules": [
                            {
                                "matches": [{"path": {"value": "/extra"}}],
                                "requestHeaders": change,
                                "upstreams": [{"name": "catalog-v1"}],
                            }
                        ],
                    },
                },
            ]
        )
    )
    with running_up(directory, tmp_path / "state", ports) as shop:
        shop.until_said(READY)
        send(shop, planted["sent"])
        shop.until(lambda: "/nothing" in (shop.state / "logs" / "access.log").read_text(), "the log is written")
        file = tmp_path / "report.tar.gz"
        said = ff("collect", "--state", shop.state, "--api", shop.api, "-o", file)
        assert (said.code, said.err) == (0, "")
        known = {**credentials(shop), **planted}
        token = ff("token", "acme", "--state", shop.state).out.strip()
    with tarfile.open(file) as tar:
        found = {entry.name: opened.read().decode() for entry in tar if (opened := tar.extractfile(entry)) is not None}
    whole = "\n".join((*found, *found.values()))
    assert {name: value for name, value in known.items() if value in whole} == {}
    # Header and claims of a token are the same each time; who has the rest has the token.
    assert token.rpartition(".")[2] not in whole
    for name in (
        "README.txt",
        "objects/Route.yaml",
        "status/nodes.json",
        "wanted/envoy.json",
        "wanted/decision.json",
        "metrics/operator.txt",
        "proxies/envoy/config_dump.json",
        "logs/decision.log",
    ):
        assert f"report/{name}" in found
    assert "bookshop/extra" in found["report/proxies/envoy/config_dump.json"]
    assert '"path":"/orders?token=[redacted]&x=[redacted]"' in found["report/logs/access.log"]
