"""Closed loops that ask as fast as they are answered: wrk (HTTP/1.1) and h2load (HTTP/2), both written in C.

In: a port of this machine, a host, a path. Out: requests a second and what failed. Called by benchmarks for how much a
proxy takes. How long answers take is not read from these: a client that waits for one answer before it asks again does
not see how long others would have waited (coordinated omission); openloop does.
"""

from __future__ import annotations

import json
import re
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class Throughput:
    """What a closed loop saw."""

    requests: int
    seconds: float
    failed: int
    """Answers outside 200 to 399, and connections that broke."""

    @property
    def rate(self) -> float:
        """Requests a second."""
        return self.requests / self.seconds


@dataclass(frozen=True, slots=True, kw_only=True)
class Ask:
    """One request."""

    host: str
    path: str = "/"
    headers: Mapping[str, str] = field(default_factory=dict)
    method: str = "GET"
    body: str = ""


def wrk(port: int, asks: Sequence[Ask], seconds: float, connections: int = 32) -> Throughput:
    """HTTP/1.1, one thread; the requests are sent in turn."""
    with tempfile.TemporaryDirectory(prefix="ff-wrk-") as folder:
        script = Path(folder) / "ask.lua"
        script.write_text(_script(asks))
        said = _run(
            "wrk", "-t1", f"-c{connections}", f"-d{_whole(seconds)}s", "-s", str(script), f"http://127.0.0.1:{port}/"
        )
    counts = re.findall(r"^OUTCOME (.*)$", said, re.MULTILINE)[0].split()
    requests, took, refused, broken = map(int, counts)
    return Throughput(requests=requests, seconds=took / 1e6, failed=refused + broken)


def _script(asks: Sequence[Ask]) -> str:
    # JSON strings of ASCII are Lua strings as well.
    made = (
        f'wrk.format("{ask.method}", {json.dumps(ask.path)}, {{["Host"]={json.dumps(ask.host)}'
        + "".join(f", [{json.dumps(name)}]={json.dumps(value)}" for name, value in ask.headers.items())
        + (f"}}, {json.dumps(ask.body)})" if ask.body else "})")
        for ask in asks
    )
    return f"""
function init(args)
  asks = {{ {", ".join(made)} }}
  at = 0
end
function request()
  at = at % #asks + 1
  return asks[at]
end
function done(summary, latency, requests)
  local e = summary.errors
  print(string.format("OUTCOME %d %d %d %d", summary.requests, summary.duration, e.status,
    e.connect + e.read + e.write + e.timeout))
end
"""


def h2load(port: int, ask: Ask, seconds: float, connections: int = 4, streams: int = 8) -> Throughput:
    """HTTP/2 without TLS, as known beforehand (RFC 9113, section 3.3); one thread."""
    headers = [f"-H{name}: {value}" for name, value in {":authority": ask.host, **ask.headers}.items()]
    url = f"http://127.0.0.1:{port}{ask.path}"
    said = _run("h2load", "-t1", f"-c{connections}", f"-m{streams}", f"-D{_whole(seconds)}", *headers, url)
    counts = {kind: int(count) for count, kind in re.findall(r"(\d+) ([2-5])xx", said)}
    broken = sum(int(count) for count in re.findall(r"(\d+) failed", said)) - counts["4"] - counts["5"]
    good, bad = counts["2"] + counts["3"], counts["4"] + counts["5"] + max(0, broken)
    if not good + bad:
        raise RuntimeError(f"h2load: nothing was answered: {said.strip()[-500:]}")
    return Throughput(requests=good, seconds=_whole(seconds), failed=bad)


def _whole(seconds: float) -> int:
    """Neither program takes parts of a second."""
    return max(1, round(seconds))


def _run(*command: str) -> str:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"{command[0]} failed: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
