"""GraphQL over HTTP as its working group's audit suite judges it (npm graphql-http), through Envoy."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from support.gateway import Gateway, Stack, running_stack
from support.processes import free_ports
from support.resources import edge, exact, prefix, resource, route, rule, upstream

SUITE = Path(__file__).parent / "graphql-http"
SDL = 'type Query { book: String @http(method: "GET", path: "/books") }'
ADAPTER = {"protocol": "GraphQL", "schema": {"name": "shop"}, "graphql": {"introspection": True}}


@pytest.fixture
def stack() -> Generator[Stack]:
    with running_stack() as running:
        yield running


@pytest.fixture
def url(stack: Stack) -> str:
    stack.start_decision_service()
    [port] = free_ports(1)
    gateway = Gateway(stack, namespace="audit", port=port)
    schema = {"format": "GraphQL", "versions": [{"name": "v1", "document": SDL}]}
    gateway.apply(
        edge(port, hosts=["localhost"]),
        upstream("books", 9, protocol="GRPC"),
        resource("Schema", "shop", schema),
        route(
            "all",
            rule(exact("/graphql"), adapter=ADAPTER),
            rule(prefix("/books"), message={"type": "books.read", "upstream": {"name": "books"}}),
        ),
    )
    return f"http://localhost:{port}/graphql"


@pytest.fixture
def suite(tmp_path: Path) -> Path:
    """The suite with its packages, as the lock file says."""
    folder = tmp_path / "suite"
    shutil.copytree(SUITE, folder, ignore=shutil.ignore_patterns("node_modules"))
    subprocess.run(["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"], cwd=folder, check=True)
    return folder


@pytest.mark.slow
def test_the_audit_suite_passes(url: str, suite: Path) -> None:
    told = subprocess.run(["node", "audit.js", url], cwd=suite, check=True, capture_output=True, text=True).stdout
    audits = [json.loads(line) for line in told.splitlines()]
    assert len(audits) > 60
    assert [each for each in audits if each["status"] != "ok"] == []
