"""`ff top` counts the lines of access logs: exactly, of the last seconds, whoever wrote them."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fastforward_operator.cli.accesslogs import FileLog, PodLogs
from fastforward_operator.cli.groupby import GroupBy
from fastforward_operator.cli.traffic import MOST_NAMES, OTHERS, Window, read_line

from support.ff import Said, ff, ff_process

SECONDS = 30.0


def line(age_s: float = 1.0, **more: object) -> str:
    began = datetime.fromtimestamp(time.time() - age_s, UTC).isoformat(timespec="milliseconds")
    fields = {
        "time": began.replace("+00:00", "Z"),
        "durationMs": 5,
        "status": 200,
        "refusal": None,
        "route": "shop/books",
        "tenant": "acme",
        "upstream": "shop/catalog",
    }
    return json.dumps({**fields, **more})


def once(folder: Path, *lines: str, arguments: tuple[str, ...] = ("-o", "json")) -> Said:
    (folder / "access.log").write_text("".join(f"{each}\n" for each in lines))
    return ff("top", "--once", "--window", "600", "--log", folder / "access.log", *arguments)


def rows(said: Said) -> dict[str, Any]:
    return {row["name"]: row for row in said.json["rows"]}


def test_rates_latencies_errors_and_refusals_are_those_of_the_lines(tmp_path: Path) -> None:
    lines = [line(durationMs=milliseconds) for milliseconds in range(1, 101)]
    lines += [line(status=429, refusal="ratelimit/exceeded", upstream=None) for _ in range(3)]
    lines += [line(status=503, route="shop/orders") for _ in range(2)]
    said = once(tmp_path, *lines)
    found = rows(said)
    assert list(found) == ["shop/books", "shop/orders"]
    books = found["shop/books"]
    assert (books["requests"], books["requestsPerSecond"]) == (103, 0.172)
    assert (books["clientErrorsPerSecond"], books["refusedPerSecond"]) == (0.005, 0.005)
    assert books["refusals"] == {"ratelimit/exceeded": 3}
    assert found["shop/orders"]["serverErrorsPerSecond"] == 0.003
    assert said.json["all"]["requests"] == 105
    assert said.json["underWay"] is None


@pytest.mark.parametrize(
    "strange",
    [
        line().replace('"durationMs": 5', '"durationMs": 1e400'),
        line(durationMs=10**400),
        line(status=1).replace('"status": 1', '"status": 1e400'),
        line(tenant=0).replace('"tenant": 0', f'"tenant": {"[" * 5000}{"]" * 5000}'),
        line(tenant=0).replace('"tenant": 0', f'"tenant": {"[" * 5000}'),
    ],
    ids=["infinite", "long", "infinite status", "deep", "deep and cut"],
)
def test_a_line_that_no_envoy_writes_is_none(strange: str) -> None:
    assert read_line(strange) is None


def test_percentiles_are_by_nearest_rank(tmp_path: Path) -> None:
    said = once(tmp_path, *(line(durationMs=milliseconds) for milliseconds in range(1, 101)))
    assert said.json["all"]["latencyMs"] == {"p50": 50, "p95": 95, "p99": 99}
    assert once(tmp_path).json["all"]["latencyMs"] == {"p50": None, "p95": None, "p99": None}


@pytest.mark.parametrize(
    ("by", "names"),
    [
        ("route", ["shop/books", "(no route)"]),
        ("tenant", ["acme", "(no tenant)"]),
        ("upstream", ["shop/catalog", "(none chosen)"]),
        ("reason", ["(not refused)", "routing/no-route"]),
    ],
)
def test_requests_are_told_apart_as_asked(tmp_path: Path, by: str, names: list[str]) -> None:
    nobody = line(status=404, refusal="routing/no-route", route=None, tenant=None, upstream=None)
    said = once(tmp_path, line(), line(), nobody, arguments=("--by", by, "-o", "json"))
    assert list(rows(said)) == names


def test_what_ended_before_the_window_does_not_count(tmp_path: Path) -> None:
    said = once(tmp_path, line(3600.0), line(1400.0, durationMs=1000), line(1400.0, durationMs=1_390_000), line(2.0))
    assert said.json["all"]["requests"] == 2


def test_how_long_a_websocket_was_open_is_no_latency(tmp_path: Path) -> None:
    said = once(tmp_path, line(9.0, status=101, durationMs=8000), line(durationMs=3))
    assert said.json["all"]["latencyMs"]["p99"] == 3


def test_other_lines_than_those_of_requests_are_passed_by(tmp_path: Path) -> None:
    said = once(tmp_path, "[warning] Envoy says something", "{", '{"time": "never"}', "[1]", line())
    assert said.json["all"]["requests"] == 1


def test_nothing_that_was_logged_can_write_on_the_terminal(tmp_path: Path) -> None:
    said = once(tmp_path, line(tenant="\x1b[2Jacme", refusal="a\nb"), arguments=("--by", "tenant"))
    assert "\x1b" not in said.out
    assert "?[2Jacme" in said.out
    assert "a?b 1" in said.out


def test_names_that_others_make_up_do_not_fill_the_memory() -> None:
    window = Window(GroupBy.TENANT, 10)
    for number in range(MOST_NAMES + 50):
        read = read_line(line(tenant=f"t{number}", refusal=f"r{number}"))
        assert read is not None
        window.add(read, 100.0)
    summary = window.summary(101.0)
    assert len(summary["rows"]) == MOST_NAMES + 1
    assert summary["rows"][0]["name"] == OTHERS
    assert summary["rows"][0]["requests"] == 50


def test_what_is_older_than_the_window_is_forgotten() -> None:
    window = Window(GroupBy.ROUTE, 10)
    read = read_line(line())
    assert read is not None
    window.add(read, 100.0)
    assert window.summary(109.0)["all"]["requests"] == 1
    assert window.summary(110.0)["all"]["requests"] == 0
    assert window._counted == {}


def test_the_end_of_a_long_file_is_found_without_reading_it_all(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    with path.open("w") as file:
        old = line(7200.0, userAgent="x" * 500)
        for _ in range(8000):
            file.write(f"{old}\n")
        for _ in range(7):
            file.write(f"{line()}\n")
    log = FileLog(path)
    assert len(list(log.before(time.time() - 600))) == 7
    log.close()


def test_a_file_is_followed_also_when_a_new_one_takes_its_place(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(f"{line()}\n")
    log = FileLog(path)
    assert len(list(log.before(0))) == 1
    with path.open("a") as file:
        file.write(line(route="shop/half")[:20])
        file.flush()
        assert list(log.new()) == []
        file.write(f"{line(route='shop/half')[20:]}\n{line()}\n")
    assert [each.fields["route"] for each in log.new()] == ["shop/half", "shop/books"]
    path.rename(tmp_path / "access.log.old")
    assert list(log.new()) == []
    path.write_text(f"{line(route='shop/new')}\n")
    assert [each.fields["route"] for each in log.new()] == ["shop/new"]
    log.close()


def test_for_programs_it_says_one_value_a_line_until_ctrl_c(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text("")
    command = [sys.executable, "-m", "fastforward_operator.cli", "top", "--log", str(path), "-o", "json"]
    with subprocess.Popen([*command, "--every", "0.1"], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        assert json.loads(process.stdout.readline())["all"]["requests"] == 0
        with path.open("a") as file:
            file.write(f"{line()}\n")
        deadline = time.monotonic() + SECONDS
        while json.loads(process.stdout.readline())["all"]["requests"] != 1:
            assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0


def test_on_a_terminal_the_picture_is_drawn_in_place_and_left_by_ctrl_c(tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    path.write_text(f"{line()}\n")
    terminal, its_end = pty.openpty()
    command = [
        sys.executable,
        "-m",
        "fastforward_operator.cli",
        "top",
        "--log",
        str(path),
        "--every",
        "0.1",
        "--window",
        "600",
    ]
    environment = {**os.environ, "TERM": "xterm", "COLUMNS": "120", "LINES": "30"}
    with subprocess.Popen(command, stdin=its_end, stdout=its_end, stderr=its_end, env=environment) as process:
        os.close(its_end)
        shown = ""
        while shown.count("shop/books") < 2:
            shown += os.read(terminal, 65536).decode()
        process.send_signal(signal.SIGINT)
        assert process.wait(SECONDS) == 0
    os.close(terminal)
    # The alternate screen and back, so that what was there before stays.
    assert "\x1b[?1049h" in shown


def test_without_a_log_there_is_one_sentence(tmp_path: Path) -> None:
    said = ff("top", "--state", tmp_path)
    assert (said.code, said.err.count("\n")) == (1, 1)
    assert "start `ff up DIR`, or name its state folder with --state or a log with --log" in said.err


KUBECTL = """\
#!/bin/sh
case "$*" in
*exec*) echo 'http.http.downstream_rq_active: 2'; echo 'http.http.downstream_cx_active: 3' ;;
*logs*envoy-1*--container\\ envoy*--since*) echo '[warning] hello'; cat {log} ;;
*logs*envoy-2*) cat {log} ;;
*component%3Denvoy*) echo '{envoys}' ;;
*) echo '{{"items": []}}' ;;
esac
"""


@pytest.mark.parametrize("pods", [("envoy-1", "envoy-2"), ()])
def test_the_envoys_of_a_cluster_are_counted_together(tmp_path: Path, pods: tuple[str, ...]) -> None:
    (tmp_path / "log").write_text(f"{line()}\n{line(status=503)}\n")
    found = {"items": [{"metadata": {"name": pod}, "status": {"phase": "Running"}} for pod in pods]}
    script = tmp_path / "kubectl"
    script.write_text(KUBECTL.format(log=tmp_path / "log", envoys=json.dumps(found)))
    script.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    said = ff_process("top", "--once", "--window", "600", "--context", ".", "-o", "json", PATH=path)
    if not pods:
        assert (said.code, "No pod of an Edge runs" in said.err) == (1, True)
        return
    assert said.json["all"]["requests"] == 4
    assert said.json["all"]["serverErrorsPerSecond"] == 0.003
    assert said.json["underWay"] == {"requests": 4, "connections": 6, "proxies": 2}


class Pods:
    """A cluster with one Envoy, whose log ends when all has been told, as at a restart; it notes what it was asked."""

    def __init__(self, folder: Path) -> None:
        self.log = folder / "log"
        self.log.write_text("")
        self.asked: list[tuple[str, ...]] = []

    def consoles(self) -> list[Any]:
        return [SimpleNamespace(pod="envoy-1")]

    def log_command(self, pod: str, *options: str) -> list[str]:
        self.asked.append((pod, *options))
        shown = ["cat"] if "--timestamps" in options else ["cut", "-d ", "-f2-"]
        return [*shown, str(self.log)]

    def write(self, at: str, *routes: str) -> None:
        with self.log.open("a") as file:
            file.writelines(f"2026-01-02T03:04:{at}Z {line(route=route)}\n" for route in routes)


def heard(log: PodLogs, count: int) -> list[str]:
    """The routes of what is new, once so many lines have come and the log has ended."""
    found: list[str] = []
    deadline = time.monotonic() + SECONDS
    while len(found) < count or any(each.reader.is_alive() for each in log._following.values()):
        assert time.monotonic() < deadline, found
        found += [each.fields["route"] for each in log.new()]
    return [*found, *(each.fields["route"] for each in log.new())]


def test_what_was_told_of_a_pod_is_not_told_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pods = Pods(tmp_path)
    pods.write("05.100000000", "old")
    pods.write("05.200000000", "a", "b")
    log: Any = PodLogs(pods)  # ty: ignore[invalid-argument-type]
    assert [each.fields["route"] for each in log.before(time.time() - 10)] == ["old", "a", "b"]
    # The runtime took it down together with the two before.
    pods.write("05.200000000", "c")
    pods.write("05.200001000", "d", "e")
    assert heard(log, 3) == ["c", "d", "e"]
    monkeypatch.setattr("fastforward_operator.cli.accesslogs._LIST_EVERY_S", 0.0)
    pods.write("05.200001000", "f")
    assert heard(log, 1)[:1] == ["f"]
    log.close()


def test_a_log_is_asked_for_since_it_was_last(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pods = Pods(tmp_path)
    now = 1000.0
    monkeypatch.setattr("fastforward_operator.cli.accesslogs.time.monotonic", lambda: now)
    log: Any = PodLogs(pods)  # ty: ignore[invalid-argument-type]
    assert list(log.before(time.time() - 10)) == []
    for after, seconds in ((3.5, 5), (6.0, 7)):
        now += after
        list(log.new())
        log._following["envoy-1"].reader.join()
        assert pods.asked[-1] == ("envoy-1", f"--since={seconds}s", "--timestamps", "--follow")
    log.close()
