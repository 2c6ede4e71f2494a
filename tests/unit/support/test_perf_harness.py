"""What all benchmarks share counts what it says: failures, turns, ratios; and the page tells shortfalls."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Generator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from perf.harness import page, pairs, report
from perf.harness.benchmark import Benchmark, Goal, Options, Outcome
from perf.harness.command import write
from perf.harness.load import Ask, h2load, wrk
from perf.harness.openloop import open_loop


class Handler(BaseHTTPRequestHandler):
    """Every path but / is not there; /slow takes 50 ms."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/slow":
            time.sleep(0.05)
        self.send_response(200 if self.path in ("/", "/slow") else 404)
        self.send_header("content-length", "2")
        self.end_headers()
        self.wfile.write(b"ok")

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server wants it
        pass


@pytest.fixture
def port() -> Generator[int]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_address[1]
    server.shutdown()
    thread.join()
    server.server_close()


def request(path: str) -> bytes:
    return f"GET {path} HTTP/1.1\r\nhost: x\r\n\r\n".encode()


def test_wrk_counts_what_failed(port: int) -> None:
    good, half = wrk(port, [Ask(host="x")], 0.5, 2), wrk(port, [Ask(host="x"), Ask(host="x", path="/no")], 0.5, 2)
    assert (good.requests > 0, good.failed) == (True, 0)
    assert half.failed == pytest.approx(half.requests / 2, abs=4)


def test_h2load_finds_no_answer_where_nobody_speaks_http2(port: int) -> None:
    with pytest.raises(RuntimeError, match="nothing was answered"):
        h2load(port, Ask(host="x"), 1)


def test_an_open_loop_counts_failures_and_waits_for_nobody(port: int) -> None:
    seen = open_loop(port, [request("/"), request("/no")], rate=100, seconds=0.5, connections=4)
    assert (len(seen.seconds), seen.failed) == (25, 25)
    slow = open_loop(port, [request("/slow")], rate=40, seconds=0.5, connections=1)
    assert len(slow.seconds) + slow.failed == 20
    assert max(slow.seconds) > 0.4, "20 requests of 50 ms over one connection, due within half a second"


def test_subjects_take_turns() -> None:
    order: list[str] = []
    pairs.take_turns(["a", "b"], order.append, 3)
    assert "".join(order) == "abbaab"
    figures = {"a": [1.0, 20.0, 3.0], "b": [2.0, 10.0, 3.0]}
    assert pairs.ratio(figures, "a", "b") == 1.0
    assert pairs.difference(figures, "a", "b") == 0.0


def benchmark(**goals: Goal) -> Benchmark:
    return Benchmark(
        name="made_up",
        title="Made up",
        about="What is measured.",
        goals=goals,
        measure=lambda _, __: Outcome(figures={}, tables=(), charts=(), data={}),
        full=Options(),
        smoke=Options(),
    )


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(report, "FOLDER", tmp_path)
    monkeypatch.setattr(page, "_PAGE", tmp_path / "page.md")
    return tmp_path


def test_the_page_tells_what_is_reached_what_is_not_and_why(folder: Path) -> None:
    made = benchmark(
        fast=Goal(what="fast", bound=5, unit="ms"),
        share=Goal(what="share", bound=90, unit="%", least=True, why="Two cores."),
        unknown=Goal(what="not measured", bound=1, unit="ms"),
    )
    write(made, Options(), Outcome(figures={"fast": 4, "share": 80}, tables=(), charts=(), data={}))
    page.write({"made_up": made})
    text = (folder / "page.md").read_text()
    assert "| [fast](#made_up) | ≤ 5 ms | 4 ms | yes |" in text
    assert "| [share](#made_up) | ≥ 90 % | 80 % | **no** ([why](#made_up-why)) |" in text
    assert "- **share.** Two cores." in text
    assert "not measured" not in text
    assert json.loads((folder / "made_up.json").read_text())["size"]["rounds"] == 5


def test_figures_without_a_goal_are_not_shown_silently(folder: Path) -> None:  # noqa: ARG001 - is where it writes
    write(benchmark(), Options(), Outcome(figures={"old": 4}, tables=(), charts=(), data={}))
    with pytest.raises(ValueError, match="goals that are no more: old"):
        page.write({"made_up": benchmark()})
