"""`ff proxy` tells every way in which an Envoy may not have what it should have, and nothing of secrets."""

from __future__ import annotations

import json
import os
import socketserver
import threading
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from support.ff import Said, ff, ff_process
from support.operator_api import operator_api

Json = dict[str, Any]
TYPES = {
    "Listener": "envoy.config.listener.v3.Listener",
    "Cluster": "envoy.config.cluster.v3.Cluster",
    "ClusterLoadAssignment": "envoy.config.endpoint.v3.ClusterLoadAssignment",
    "ScopedRouteConfiguration": "envoy.config.route.v3.ScopedRouteConfiguration",
    "Secret": "envoy.extensions.transport_sockets.tls.v3.Secret",
    "TypedExtensionConfig": "envoy.config.core.v3.TypedExtensionConfig",
}


def body(kind: str, name: str, **more: object) -> Json:
    called = "cluster_name" if kind == "ClusterLoadAssignment" else "name"
    return {"@type": f"type.googleapis.com/{TYPES[kind]}", called: name, **more}


def wanted(resource: Json, version: str = "2", edge: str = "") -> Json:
    of_edge = {"edge": edge} if edge else {}
    return {"name": resource.get("name", ""), "version": version, "resource": resource, **of_edge}


def cluster(name: str, version: str = "2") -> Json:
    return {"version_info": version, "cluster": body("Cluster", name)}


def dump(node: str = "envoy-1", fleet: str = "shop/public", **sections: Json) -> Json:
    first = {"@type": "x.BootstrapConfigDump", "bootstrap": {"node": {"id": node, "cluster": fleet}}}
    return {"configs": [first, *({"@type": f"x.{title}ConfigDump", **each} for title, each in sections.items())]}


@contextmanager
def console(folder: Path, document: object) -> Generator[str]:
    """Envoy's console at a Unix socket; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(json.dumps(document).encode() if self.path.startswith("/config_dump") else b"nothing\n")

        def address_string(self) -> str:
            return "unix"

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class names it so
            """Nothing is printed."""

    path = folder / "admin.sock"
    with socketserver.ThreadingUnixStreamServer(str(path), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            yield f"unix:{path}"
        finally:
            server.shutdown()
            thread.join()
            path.unlink()


def compare(
    folder: Path, document: object, rendered: Sequence[Json], *arguments: str, nodes: Sequence[Json] = ()
) -> Said:
    with console(folder, document) as admin, operator_api([], list(nodes), rendered=rendered) as api:
        return ff("proxy", "--admin", admin, "--api", api, *arguments)


def told(said: Said) -> list[tuple[str, str, str, str]]:
    (proxy,) = said.json["proxies"]
    return [(one["kind"], one["name"], one["difference"], one["detail"]) for one in proxy["differences"]]


def test_an_envoy_that_has_what_it_should_is_good(tmp_path: Path) -> None:
    said = compare(tmp_path, dump(Clusters={"dynamic_active_clusters": [cluster("a")]}), [wanted(body("Cluster", "a"))])
    assert (said.code, said.out) == (0, "envoy-1 has 1 resource, as it should.\n")


def test_each_way_to_differ_is_told_by_its_name(tmp_path: Path) -> None:
    clusters = {
        "dynamic_active_clusters": [cluster("old", "1"), cluster("left"), cluster("slow", "1"), cluster("good")],
        "dynamic_warming_clusters": [cluster("slow"), cluster("new")],
    }
    listeners = {"dynamic_listeners": [{"name": "in", "error_state": {"details": "no such port", "version_info": "2"}}]}
    rendered = [wanted(body("Cluster", name)) for name in ("old", "slow", "new", "good", "gone")]
    rendered.append(wanted(body("Listener", "in")))
    said = compare(tmp_path, dump(Clusters=clusters, Listeners=listeners), rendered, "-o", "json")
    assert said.code == 1
    assert told(said) == [
        ("listener", "in", "rejected", "no such port"),
        ("cluster", "gone", "missing", "it does not have it"),
        ("cluster", "left", "extra", "it should not be there"),
        ("cluster", "new", "warming", "it waits for what it needs"),
        ("cluster", "old", "other version", ""),
        ("cluster", "slow", "warming", "what is in force is an earlier version"),
    ]


def test_what_the_operator_heard_is_told_in_envoys_words(tmp_path: Path) -> None:
    refused = {"a": {"version": "2", "message": "Cluster a: it can't be"}}
    nodes = [{"node": "envoy-1", "types": {"Cluster": {"refused": refused}, "Resource": {"refused": {}}}}]
    held = dump(Clusters={"dynamic_active_clusters": [cluster("a", "1")]})
    said = compare(tmp_path, held, [wanted(body("Cluster", "a"))], nodes=nodes)
    assert said.code == 1
    assert "rejected" in said.out
    assert "Cluster a: it can't be" in said.out
    assert "envoy-1 has 1 resource; 1 difference." in said.out


def test_only_what_something_names_has_to_be_there_of_what_is_asked_for_by_name(tmp_path: Path) -> None:
    secret = {"name": "cert", "sds_config": {"ads": {}}}
    rendered = [
        wanted(body("Listener", "in", filter_chains=[{"transport_socket": {"typed_config": {"secrets": [secret]}}}])),
        *(wanted(body("Secret", name)) for name in ("cert", "spare")),
        *(wanted(body("ClusterLoadAssignment", name)) for name in ("a", "spare")),
        wanted(body("Cluster", "a")),
    ]
    held = dump(
        Listeners={"dynamic_listeners": [{"name": "in", "active_state": {"version_info": "2", "listener": {"x": 1}}}]},
        Clusters={"dynamic_active_clusters": [cluster("a")]},
    )
    said = compare(tmp_path, held, rendered, "-o", "json")
    assert [each[:3] for each in told(said)] == [("endpoints", "a", "missing"), ("secret", "cert", "missing")]


def scope(name: str, prefix: str) -> Json:
    table = {"name": f"shop|{name}#", "virtual_hosts": [{"name": "v", "domains": [prefix]}]}
    return body("ScopedRouteConfiguration", name, key={"fragments": [{"string_key": name}]}, route_configuration=table)


def test_scopes_and_endpoints_are_compared_by_content(tmp_path: Path) -> None:
    def endpoints(port: int, **more: object) -> Json:
        address = {"socket_address": {"address": "127.0.0.1", "port_value": port}}
        found = [{"lb_endpoints": [{"endpoint": {"address": address}, **more}]}]
        return body("ClusterLoadAssignment", "a", endpoints=found)

    held = dump(
        ScopedRoutes={
            "dynamic_scoped_route_configs": [
                {"name": "tables", "version_info": "9", "scoped_route_configs": [scope("one", "*"), scope("two", "x")]}
            ]
        },
        Clusters={"dynamic_active_clusters": [cluster("a")]},
        Endpoints={
            "dynamic_endpoint_configs": [
                {"endpoint_config": endpoints(80, health_status="HEALTHY", load_balancing_weight=1)}
            ]
        },
    )
    rendered = [wanted(scope("one", "*")), wanted(scope("two", "*")), wanted(body("Cluster", "a"))]
    same = compare(tmp_path, held, [*rendered, wanted(endpoints(80))], "-o", "json")
    assert told(same) == [("scope", "shop|two#", "other version", "its content is another one")]
    other = compare(tmp_path, held, [*rendered, wanted(endpoints(81))], "--kind", "endpoints", "-o", "json")
    assert told(other) == [("endpoints", "a", "other version", "its content is another one")]


def test_show_prints_both_as_a_diff(tmp_path: Path) -> None:
    held = dump(
        ScopedRoutes={"dynamic_scoped_route_configs": [{"scoped_route_configs": [scope("two", "held.example")]}]}
    )
    said = compare(tmp_path, held, [wanted(scope("two", "wanted.example"))], "--show", "shop|two#")
    assert said.code == 1
    assert "-    - wanted.example" in said.out.splitlines()
    assert "+    - held.example" in said.out.splitlines()
    nothing = compare(tmp_path, held, [], "--show", "three")
    assert (nothing.code, "Nobody has or should have three" in nothing.err) == (1, True)


def test_nothing_of_a_secret_is_shown_but_its_version(tmp_path: Path) -> None:
    content = {
        "tls_certificate": {"private_key": {"inline_string": "planted"}},
        "generic_secret": {"secret": "planted"},
    }
    secret = {"name": "cert", "version_info": "1", "secret": body("Secret", "cert", **content)}
    held = dump(Secrets={"dynamic_active_secrets": [secret]})
    for number, arguments in enumerate(((), ("-o", "json"), ("--show", "cert"), ("--show", "cert", "-o", "json"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        said = compare(folder, held, [wanted(body("Secret", "cert", **content))], *arguments)
        assert said.code == 1
        assert "planted" not in said.out + said.err


def test_what_an_envoy_starts_with_is_not_told(tmp_path: Path) -> None:
    """In pods its own certificate comes from files, as a Secret that the bootstrap names."""
    held = dump(Secrets={"dynamic_active_secrets": [{"name": "node", "secret": body("Secret", "node")}]})
    own = {"name": "node", "sds_config": {"path_config_source": {"path": "/etc/tls"}}}
    assert compare(tmp_path, held, []).code == 1
    held["configs"][0]["bootstrap"]["static_resources"] = {"clusters": [{"transport_socket": {"secrets": [own]}}]}
    assert compare(tmp_path, held, []).code == 0


UNKNOWN = {"@type": "type.googleapis.com/vendor.v3.Unknown", "users": {"inline_string": "planted"}}
TLS = {
    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext",
    "common_tls_context": {"tls_certificates": [{"private_key": {"inline_string": "planted"}}]},
}


@pytest.mark.parametrize("config", [TLS, UNKNOWN], ids=["known", "unknown"])
def test_what_envoys_definitions_call_sensitive_is_not_shown(tmp_path: Path, config: Json) -> None:
    said = compare(
        tmp_path, dump(), [wanted(body("TypedExtensionConfig", "basic", typed_config=config))], "--show", "basic"
    )
    assert "planted" not in said.out
    assert "[redacted]" in said.out


def test_the_edge_of_an_envoy_says_what_it_should_have(tmp_path: Path) -> None:
    held = dump(Clusters={"dynamic_active_clusters": [cluster("a")]})
    rendered = [wanted(body("Cluster", "a"), edge="shop/public"), wanted(body("Cluster", "b"), edge="shop/other")]
    assert compare(tmp_path, held, rendered).code == 0


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("--admin", "nowhere"), "'nowhere' is no address of a console: name one as HOST:PORT or unix:PATH."),
        (("--admin", "127.0.0.1:1"), "No Envoy answers at 127.0.0.1:1"),
        (("--state", "/nowhere"), "No Envoy answers at unix:/nowhere/run/admin.sock"),
    ],
)
def test_an_envoy_that_does_not_answer_is_one_sentence(arguments: tuple[str, ...], sentence: str) -> None:
    said = ff("proxy", *arguments)
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert said.err.startswith(sentence)


def test_what_is_no_envoy_and_what_is_not_there_are_one_sentence(tmp_path: Path) -> None:
    stranger = compare(tmp_path, {"hello": "world"}, [])
    assert (stranger.code, "is no Envoy's console" in stranger.err) == (1, True)
    absent = compare(tmp_path, dump(), [], "envoy-2")
    assert (absent.code, absent.err) == (1, "There is no proxy envoy-2: there are envoy-1.\n")


KUBECTL = """\
#!/bin/sh
case "$*" in
*exec*broken*) echo 'error: container not found ("companion")' >&2; exit 1 ;;
*exec*--container\\ companion*show*/config_dump?include_eds) cat {dump} ;;
*port-forward*) echo "Forwarding from 127.0.0.1:{port} -> 9080"; exec sleep 60 ;;
*component%3Denvoy*) echo '{envoys}' ;;
*component%3Doperator*) echo '{{"items": [{{"metadata": {{"name": "operator-0"}}}}]}}' ;;
*) echo '{{"items": []}}' ;;
esac
"""


def of_cluster(folder: Path, port: str, *pods: str) -> Said:
    found = [{"metadata": {"name": pod}, "status": {"phase": "Running"}} for pod in pods]
    script = folder / "kubectl"
    # As in pods, where Envoy's name is an option, of which its dump knows nothing.
    (folder / "dump").write_text(json.dumps(dump("", Clusters={"dynamic_active_clusters": [cluster("a")]})))
    script.write_text(KUBECTL.format(dump=folder / "dump", port=port, envoys=json.dumps({"items": found})))
    script.chmod(0o755)
    return ff_process("proxy", "--context", ".", PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_envoys_of_a_cluster_are_asked_by_the_companion_beside_them(tmp_path: Path) -> None:
    with operator_api([], [], rendered=[wanted(body("Cluster", "b"))]) as api:
        port = api.rpartition(":")[2]
        said = of_cluster(tmp_path, port, "envoy-1")
        assert (said.code, said.out.splitlines()[-1]) == (1, "envoy-1 has 1 resource; 2 differences.")
        broken = of_cluster(tmp_path, port, "broken")
        assert broken.err == ('Pod broken does not say what it has (error: container not found ("companion")).\n')
        assert "no pod of an Edge runs" in of_cluster(tmp_path, port).err
