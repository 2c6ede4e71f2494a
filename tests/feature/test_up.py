"""`ff up` runs the whole bookshop on this machine, shows the truth about it, and leaves nothing behind."""

import asyncio
import json
import os
import pty
import re
import signal
import socket
import ssl
import subprocess
import sys
from collections.abc import Generator
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import grpc
import pytest
from bookshop.v1 import catalog_pb2, catalog_pb2_grpc, orders_pb2, orders_pb2_grpc
from fastforward_operator.cli.testfile import Case, read_cases
from fastforward_operator.supervisor.development import Development
from fastforward_operator.supervisor.envoy import is_idle
from websockets.sync.client import connect
from websockets.typing import Subprotocol

from support.client import Connection, Response
from support.ff import ff
from support.gateway import until
from support.processes import free_port, is_running
from support.repository import ROOT
from support.up import READY, RunningUp, copy_bookshop, running_up

pytestmark = pytest.mark.slow

SHOP = "bookshop.localhost"
API = "rest.api.bookshop.localhost"
CASES = read_cases([ROOT / "examples" / "bookshop" / "tests"])
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
  rules: [{{respond: {{body: hello}}}}]
"""


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningUp]:
    folder = tmp_path_factory.mktemp("up")
    directory, ports = copy_bookshop(folder)
    with running_up(directory, folder / "state", ports) as running:
        running.until_said(READY)
        yield running


@pytest.fixture
def small(tmp_path: Path) -> Path:
    directory = tmp_path / "small"
    directory.mkdir()
    (directory / "all.yaml").write_text(SMALL.format(port=free_port()))
    return directory


def port_of(directory: Path) -> int:
    found = re.search(r"port: (\d+)", (directory / "all.yaml").read_text())
    assert found is not None
    return int(found[1])


def ask(shop: RunningUp, target: str, **headers: str) -> Response:
    with Connection(shop.ports["8080"]) as connection:
        return connection.request("GET", target, host=SHOP, headers=headers)


def credentials(shop: RunningUp, case: Case) -> dict[str, str]:
    development, headers = Development(shop.state / "dev"), dict(case.request.headers)
    if case.request.token is not None:
        token = development.token(development.signatories()[0], case.request.token, timedelta(minutes=5))
        headers["authorization"] = f"Bearer {token}"
    if case.request.api_key is not None:
        headers["x-api-key"] = development.api_keys()[case.request.api_key.tenant]
    return headers


def write_beside(path: Path, text: str) -> None:
    """As editors save: a new file, renamed into place."""
    beside = path.with_suffix(".new")
    beside.write_text(text)
    beside.rename(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_what_route_tests_promise_holds_in_traffic(shop: RunningUp, case: Case) -> None:
    request, expect = case.request, case.expect
    url = urlsplit(request.url)

    def ask() -> Response:
        with Connection(shop.ports["8080"]) as connection:
            return connection.request(
                request.method,
                f"{url.path}{'?' + url.query if url.query else ''}",
                host=url.netloc,
                headers=credentials(shop, case),
                body="x" * request.body_bytes if request.body_bytes else None,
            )

    # On a busy machine the decision service may be later than the proxy waits: refused, and nothing that is promised.
    answer = until(ask, lambda answer: answer.header("x-ff-reason") != "authentication/decision-unavailable")
    if expect.upstreams is not None:
        # What the upstream thinks of the request is its own affair.
        assert f"bookshop/{answer.header('x-served-by')}" in expect.upstreams
    elif expect.status is not None and answer.header("x-served-by") is None:
        assert answer.status == expect.status
    for name, value in expect.response_headers.items():
        got = answer.header(name)
        assert got == value or urljoin(request.url, got) == value
    assert (answer.header("x-served-by") is None) == (expect.status != 200 or expect.rule in {"health", "list"})


def test_a_client_that_trusts_the_development_ca_is_served_over_tls(shop: RunningUp) -> None:
    trusting = ssl.create_default_context(cafile=str(shop.state / "dev" / "ca.crt"))
    plain = socket.create_connection(("127.0.0.1", shop.ports["8443"]))
    with trusting.wrap_socket(plain, server_hostname=SHOP) as secure:
        secure.sendall(f"GET /health HTTP/1.1\r\nhost: {SHOP}\r\nconnection: close\r\n\r\n".encode())
        assert secure.recv(65536).startswith(b"HTTP/1.1 200 OK")


def test_grpc_and_websocket_reach_the_shop(shop: RunningUp) -> None:
    port = shop.ports["8080"]
    options = [("grpc.default_authority", "grpc.bookshop.localhost")]
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        book = catalog_pb2_grpc.CatalogStub(channel).GetBook(catalog_pb2.GetBookRequest(id="emma"), timeout=10)
        assert book.book.title == "Emma"
    plain = socket.create_connection(("127.0.0.1", port))
    with connect(f"ws://dev.bookshop.localhost:{port}/ws/echo", sock=plain) as websocket:
        websocket.send("hello")
        assert websocket.recv(timeout=10) == "hello"


def test_an_order_is_a_message_that_is_handled_once(shop: RunningUp) -> None:
    token = ff("token", "acme", "--state", shop.state).out.strip()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json", "idempotency-key": "one"}
    with Connection(shop.ports["8080"]) as connection:

        def send(method: str, target: str, body: str | None = None) -> Response:
            return connection.request(method, target, host=API, headers=headers, body=body)

        first = send("POST", "/orders", '{"book": "dune", "quantity": 2}')
        again = send("POST", "/orders", '{"quantity": 2, "book": "dune"}')
        listed = send("GET", "/orders")
    order = json.loads(first.body)
    assert (first.status, first.header("location")) == (201, f"/orders/{order['id']}")
    assert (again.body, again.header("idempotency-replayed")) == (first.body, "true")
    assert json.loads(listed.body) == [order]
    told = ff("trace", again.header("x-ff-message-id") or "", "-o", "json", "--api", shop.api).json["messages"]
    assert [(way["node"], way["verdict"], way["tenant"]) for way in told] == [("decision", "repeated", "acme")]


def test_the_same_orders_come_over_every_protocol(shop: RunningUp) -> None:
    token = ff("token", "globex", "--state", shop.state).out.strip()
    headers = {"authorization": f"Bearer {token}", "content-type": "application/json"}
    port = shop.ports["8080"]
    query = 'mutation { placeOrder(input: {book: "styles", quantity: 2}) { id total_cents } }'
    with Connection(port) as connection:
        body = json.dumps({"query": query})
        answer = connection.request(
            "POST", "/graphql", host="graphql.api.bookshop.localhost", headers=headers, body=body
        )
    first = json.loads(answer.body)["data"]["placeOrder"]
    assert first["total_cents"] == 2 * 799
    options = [("grpc.default_authority", "grpc.api.bookshop.localhost")]
    metadata = (("authorization", f"Bearer {token}"),)
    with grpc.insecure_channel(f"127.0.0.1:{port}", options=options) as channel:
        orders = orders_pb2_grpc.OrdersStub(channel)
        wanted = orders_pb2.PlaceOrderRequest(book="orient", quantity=1)
        second = orders.PlaceOrder(wanted, metadata=metadata, timeout=10)
        listed = list(orders.ListOrders(orders_pb2.ListOrdersRequest(), metadata=metadata, timeout=10))
        third = frame(port, token, {"method": "POST", "path": "/orders", "body": {"book": "styles", "quantity": 1}})
        assert (third["status"], third["body"]["total_cents"]) == (201, 799)
        with pytest.raises(grpc.RpcError) as refused:
            orders.PlaceOrder(orders_pb2.PlaceOrderRequest(book="orient"), metadata=metadata, timeout=10)
    assert (second.total_cents, [each.id for each in listed]) == (999, [second.id, first["id"]])
    assert refused.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def frame(port: int, token: str, operation: dict[str, object]) -> dict[str, Any]:
    """What is answered to one operation over a WebSocket."""
    plain = socket.create_connection(("127.0.0.1", port))
    address, headers = f"ws://ws.api.bookshop.localhost:{port}/", {"authorization": f"Bearer {token}"}
    protocols = [Subprotocol("fastforward.v1.json")]
    with connect(address, sock=plain, subprotocols=protocols, additional_headers=headers) as websocket:
        websocket.send(json.dumps({"id": "1", **operation}))
        return json.loads(websocket.recv(timeout=10))


def test_it_listens_on_loopback_only(shop: RunningUp) -> None:
    loopback = {"0100007F", "00000000000000000000000001000000", "0000000000000000FFFF00000100007F"}
    rows = [line.split() for table in ("tcp", "tcp6") for line in Path("/proc/net", table).read_text().splitlines()[1:]]
    places = {row[1] for row in rows if row[3] == "0A"}
    for port in (*shop.ports.values(), urlsplit(shop.api).port):
        addresses = {place.partition(":")[0] for place in places if place.endswith(f":{port:04X}")}
        assert addresses
        assert addresses <= loopback


def test_it_says_what_runs_and_what_to_try(shop: RunningUp) -> None:
    assert set(shop.pids()) == {"operator", "decision", "envoy", "catalog-v1", "catalog-v2", "orders-eu", "orders-us"}
    assert f"traffic: http://{SHOP}:{shop.ports['8080']}" in shop.output
    assert f"operator: {shop.api}/metrics" in shop.output
    assert f"page: {shop.api}/" in shop.output
    assert f"  curl http://{SHOP}:{shop.ports['8080']}/books" in shop.output
    assert "26 of 26 resources are programmed without any problem" in shop.output


def test_the_running_operator_answers_get_status_and_explain(shop: RunningUp) -> None:
    objects = ff("get", "-o", "json", "--api", shop.api).json["objects"]
    assert len(objects) == 26
    assert ff("get", "rt", "bookshop/books", "--api", shop.api).out.startswith("Route bookshop/books\n")
    nodes = ff("status", "-o", "json", "--api", shop.api).json["proxies"]
    assert {(node["node"], node["state"]) for node in nodes} == {("envoy", "live"), ("decision", "live")}
    token = ff("token", "acme", "--state", shop.state).out.strip()
    url, header = f"http://{SHOP}:{shop.ports['8080']}/orders/1", f"authorization: Bearer {token}"
    told = ff("explain", "request", "GET", url, "-H", header, "-o", "json", "--api", shop.api).json
    assert (told["verdict"], told["upstream"], told["tenant"]) == ("allowed", "bookshop/orders-eu", "acme")
    answer = ask(shop, "/orders/1", authorization=f"Bearer {token}")
    assert answer.header("x-served-by") == "orders-eu"


def test_a_changed_file_changes_traffic_and_a_broken_one_does_not(shop: RunningUp) -> None:
    path = shop.directory / "resources" / "routes.yaml"
    good = path.read_text()
    write_beside(path, good.replace("The bookshop is open.", "The bookshop is closing."))
    shop.until(lambda: "closing" in ask(shop, "/health").body, "the change is served")
    write_beside(path, good.replace("respond:", "respnd:"))
    shop.until_said("Route bookshop/books: not programmed, Invalid")
    assert re.search(r"Route bookshop/books: .*routes\.yaml:\d+: .*Did you mean respond\?", shop.output)
    assert "closing" in ask(shop, "/health").body
    assert ff("status", "--api", shop.api).code == 1
    write_beside(path, good)
    shop.until(lambda: "open" in ask(shop, "/health").body, "it is mended")


@pytest.mark.parametrize("name", ["envoy", "decision", "operator"])
def test_a_child_that_dies_is_started_again(shop: RunningUp, name: str) -> None:
    token = ff("token", "acme", "--state", shop.state).out.strip()
    before = len(shop.lines)
    os.kill(shop.pids()[name], signal.SIGKILL)
    told = f"{name}: running again after signal 9 (Killed), restart 1"
    shop.until(lambda: told in shop.lines[before:], f"{name} is started again")

    def is_served() -> bool:
        try:
            return ask(shop, "/orders/1", authorization=f"Bearer {token}").header("x-shard") == "eu"
        except OSError:
            return False

    shop.until(is_served, "requests through the decision service are served again")
    shop.until(lambda: ff("status", "--api", shop.api).code == 0, "everything is programmed")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP], ids=lambda number: number.name)
def test_a_signal_ends_every_child_and_is_no_error(tmp_path: Path, small: Path, number: signal.Signals) -> None:
    with running_up(small, tmp_path / "state") as running:
        running.until_said(READY)
        with Connection(port_of(small)) as connection:
            assert connection.request("GET", "/", host="small.localhost").body == "hello"
        pids = running.pids()
        assert set(pids) == {"operator", "decision", "envoy"}
        assert running.stop(number) == 0
        assert [name for name, pid in pids.items() if is_running(pid)] == []
    assert list((tmp_path / "state" / "run").glob("*.sock")) == []


def test_a_signal_while_it_starts_ends_it_as_well(tmp_path: Path, small: Path) -> None:
    with running_up(small, tmp_path / "state") as running:
        running.until_said("operator: started")
        assert running.stop() == 0
        assert [name for name, pid in running.pids().items() if is_running(pid)] == []


def test_a_terminal_that_is_closed_ends_everything(tmp_path: Path, small: Path) -> None:
    state = tmp_path / "state"
    options = ["--state", str(state), "--api-port", str(free_port())]
    terminal, its_end = pty.openpty()
    command = [sys.executable, "-m", "fastforward_operator.cli", "up", str(small), *options]
    with subprocess.Popen(command, stdin=its_end, stdout=its_end, stderr=its_end, start_new_session=True) as process:
        os.close(its_end)
        shown = ""
        while "Ctrl-C stops everything." not in shown:
            shown += os.read(terminal, 65536).decode(errors="replace")
        pids = [int(pid) for pid in re.findall(r"started, process (\d+)", shown)]
        assert len(pids) == 3
        os.close(terminal)
        process.send_signal(signal.SIGHUP)
        process.wait(20)
    assert not any(map(is_running, pids))


def test_a_request_under_way_is_answered_before_the_end(tmp_path: Path) -> None:
    directory, ports = copy_bookshop(tmp_path)
    routes = directory / "resources" / "routes.yaml"
    routes.write_text(routes.read_text().replace("{path: {value: /echo}}", "{path: {value: /slow}}"))
    with running_up(directory, tmp_path / "state", ports) as running:
        running.until_said(READY)
        with Connection(ports["8080"]) as connection:
            connection.socket.sendall(b"GET /slow?seconds=1 HTTP/1.1\r\nhost: dev.bookshop.localhost\r\n\r\n")
            admin = running.state / "run" / "admin.sock"
            running.until(lambda: not asyncio.run(is_idle(admin)), "the request is under way")
            assert running.stop() == 0
            assert connection.receive().json["slept_seconds"] == 1


def test_nothing_survives_a_killed_supervisor(tmp_path: Path, small: Path) -> None:
    with running_up(small, tmp_path / "state") as running:
        running.until_said(READY)
        pids = running.pids()
        running.stop(signal.SIGKILL)
        running.until(lambda: not any(map(is_running, pids.values())), "every child is gone")
    with running_up(small, tmp_path / "state") as again:
        again.until_said(READY)


def refused(directory: Path, state: Path) -> str:
    """What `ff up` says when it can't start; nothing may be left running."""
    with running_up(directory, state) as running:
        assert running.process.wait(30) == 1
    assert running.pids() == {}
    assert not any("Traceback" in line for line in running.lines)
    return running.output


def test_a_busy_port_is_one_sentence_with_its_owner(tmp_path: Path, small: Path) -> None:
    port = port_of(small)
    with socket.create_server(("127.0.0.1", port)):
        said = refused(small, tmp_path / "state")
    assert f"Port {port} (listener http of Edge default/public) is taken by " in said
    assert f"(process {os.getpid()})" in said


def test_a_broken_file_is_one_sentence_with_its_line(tmp_path: Path, small: Path) -> None:
    (small / "all.yaml").write_text(SMALL.format(port=1234).replace("listeners", "listenrs"))
    assert re.search(
        r"ff up: .*all\.yaml:4: Edge default/public: .*Did you mean listeners\?", refused(small, tmp_path / "s")
    )
    (small / "all.yaml").write_text("a: [\n")
    assert re.search(r"ff up: .*all\.yaml:\d: Not YAML", refused(small, tmp_path / "state"))


def test_a_missing_program_is_one_sentence_with_its_line(tmp_path: Path, small: Path) -> None:
    (small / "ff-up.yaml").write_text("processes:\n  - {name: web, command: [no-such-program]}\n")
    said = refused(small, tmp_path / "state")
    assert re.search(r"ff-up\.yaml:2: the program no-such-program is not there: install it", said)


def test_a_program_that_ends_at_once_is_told_with_its_words(tmp_path: Path, small: Path) -> None:
    (small / "ff-up.yaml").write_text("processes:\n  - {name: web, command: [sh, -c, 'echo I can not >&2; exit 3']}\n")
    with running_up(small, tmp_path / "state") as running:
        assert running.process.wait(30) == 1
        assert not any(map(is_running, running.pids().values()))
    assert re.search(r"(?s)web ended with exit code 3.*I can not", running.output)


def test_a_directory_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    assert "nowhere is no directory: name one that holds resources" in refused(tmp_path / "nowhere", tmp_path / "state")


def test_two_at_once_need_two_state_folders(tmp_path: Path, small: Path) -> None:
    with running_up(small, tmp_path / "state") as running:
        running.until_said("envoy: started")
        other = tmp_path / "other"
        other.mkdir()
        (other / "all.yaml").write_text(SMALL.format(port=free_port()))
        said = refused(other, tmp_path / "state")
        made = ff("credentials", other, "--state", tmp_path / "state")
    assert f"Another ff (process {running.process.pid}) uses" in said
    assert (made.code, made.out) == (1, "")
    assert f"Another ff (process {running.process.pid}) uses" in made.err
