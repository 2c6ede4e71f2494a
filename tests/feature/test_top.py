"""`ff top` tells of live traffic what clients have seen: by Route, tenant, Upstream and reason."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from support.client import Connection
from support.ff import ff
from support.gateway import Gateway, until
from support.origin import Reply
from support.processes import free_port
from support.resources import on, prefix, resource, route, rule
from support.up import READY, running_up

SMALL = """\
apiVersion: gateway.fastforward.dev/v1alpha1
kind: Edge
metadata: {{name: public}}
spec: {{hosts: [small.localhost], listeners: [{{name: http, port: {port}}}]}}
---
apiVersion: gateway.fastforward.dev/v1alpha1
kind: Route
metadata: {{name: hello}}
spec:
  edges: [{{name: public}}]
  rules: [{{matches: [{{path: {{value: /hello}}}}], respond: {{body: hello}}}}]
"""


def test_it_says_what_clients_have_seen(gateway: Gateway) -> None:
    gateway.upstream("books", lambda request: Reply(status=500 if "broken" in request.target else 200, body="hello"))
    limit = {"targets": [on("Route", "books", "limited")], "budget": {"requests": 1, "window": "1h"}}
    gateway.apply(
        route(
            "books",
            rule(prefix("/open"), to="books", name="open"),
            rule(prefix("/limited"), to="books", name="limited"),
        ),
        resource("RateLimit", "limit", limit),
    )
    sent = ["/open/1", "/open/2", "/open/broken", "/limited", "/limited", "/limited"]
    assert [gateway.get(path).status for path in sent] == [200, 200, 500, 200, 429, 429]
    namespace, log = gateway.namespace, gateway.stack.access_log

    def told(by: str, name: str) -> dict[str, Any]:
        said = ff("top", "--log", log, "--once", "--window", "600", "--by", by, "-o", "json")
        return next((row for row in said.json["rows"] if row["name"] == name), {"requests": 0})

    row = until(lambda: told("route", f"{namespace}/books"), lambda found: found["requests"] == len(sent), every=0.1)
    assert row["refusals"] == {"ratelimit/exceeded": 2}
    rates = [row[f"{kind}PerSecond"] for kind in ("clientErrors", "serverErrors", "refused")]
    assert rates == [round(count / 600, 3) for count in (2, 1, 2)]
    assert told("upstream", f"{namespace}/books")["requests"] == len(sent)


@pytest.mark.slow
def test_of_ff_up_it_says_what_has_ended_and_what_is_under_way(tmp_path: Path) -> None:
    directory, state = tmp_path / "small", tmp_path / "state"
    directory.mkdir()
    port = free_port()
    (directory / "all.yaml").write_text(SMALL.format(port=port))
    with running_up(directory, state) as running:
        running.until_said(READY)
        with Connection(port) as connection:
            for path, status in (("/hello", 200), ("/hello", 200), ("/nothing", 404)):
                assert connection.request("GET", path, host="small.localhost").status == status

            def told() -> dict[str, Any]:
                return ff("top", "--state", state, "--once", "--window", "60", "-o", "json").json

            found = until(told, lambda said: said["all"]["requests"] == 3, every=0.1)
            assert found["underWay"] == {"requests": 0, "connections": 1, "proxies": 1}
    assert {row["name"]: row["requests"] for row in found["rows"]} == {"default/hello": 2, "(no route)": 1}
    assert found["all"]["refusals"] == {"routing/no-route": 1}
