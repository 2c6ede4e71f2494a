"""The example of a gateway before a model server: streams as they come, a budget of tokens, two requests at once."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Generator
from pathlib import Path
from typing import Any

import pytest

from support.client import Connection, Response
from support.gateway import until
from support.processes import free_ports
from support.repository import ROOT
from support.up import READY, RunningUp, running_up

pytestmark = pytest.mark.slow

EXAMPLE = ROOT / "examples" / "llm"
HOST = "llm.localhost"
PATH = "/v1/chat/completions"
_PORTS = re.compile(r"\b(8080|7301)\b")


@pytest.fixture(scope="module")
def llm(tmp_path_factory: pytest.TempPathFactory) -> Generator[RunningUp]:
    folder = tmp_path_factory.mktemp("up")
    directory = folder / "llm"
    shutil.copytree(EXAMPLE, directory)
    ports = dict(zip(("8080", "7301"), free_ports(2), strict=True))
    for path in directory.rglob("*.yaml"):
        text = _PORTS.sub(lambda found: str(ports[found[1]]), path.read_text())
        path.write_text(text.replace("examples/llm/model_server.py", str(Path(directory) / "model_server.py")))
    with running_up(directory, folder / "state", ports) as running:
        running.until_said(READY)
        yield running


def ask(llm: RunningUp, team: str, words: int, **more: Any) -> Response:  # noqa: ANN401 - as JSON has it
    """One question; every word is a token, and said again costs another."""
    body = json.dumps({"model": "parrot", "messages": [{"role": "user", "content": "word " * words}], **more})
    headers = {"x-team": team, "content-type": "application/json"}
    with Connection(llm.ports["8080"]) as connection:
        return connection.request("POST", PATH, host=HOST, headers=headers, body=body)


def left(answer: Response) -> int:
    """Of both limits the tighter one is told: two requests at once, or the tokens once they are fewer."""
    return int(answer.header("x-ratelimit-remaining") or -1)


def test_answers_and_streams_cost_what_they_tell(llm: RunningUp) -> None:
    plain = ask(llm, "blue", 10)
    assert plain.json["usage"]["total_tokens"] == 20
    stream = ask(llm, "blue", 20, stream=True, stream_options={"include_usage": True})
    assert stream.header("content-type") == "text/event-stream"
    assert stream.body.endswith("data: [DONE]\n\n")
    assert '"total_tokens": 40' in stream.body
    refused = until(lambda: ask(llm, "blue", 0), lambda answer: answer.status == 429)
    assert refused.reason == "ratelimit/exceeded"
    assert ask(llm, "green", 1).status == 200


def test_a_stream_that_does_not_tell_costs_what_the_limit_says(llm: RunningUp) -> None:
    for _ in range(3):
        assert ask(llm, "red", 1, stream=True).status == 200
    assert until(lambda: ask(llm, "red", 0), lambda answer: answer.status == 429).reason == "ratelimit/exceeded"


def test_two_requests_of_a_team_go_at_once_and_no_third(llm: RunningUp) -> None:
    body = json.dumps({"stream": True, "messages": [{"role": "user", "content": "on " * 20}]})
    head = f"POST {PATH} HTTP/1.1\r\nhost: {HOST}\r\nx-team: grey\r\ncontent-length: {len(body)}\r\n\r\n"
    with Connection(llm.ports["8080"]) as first, Connection(llm.ports["8080"]) as second:
        for each in (first, second):
            each.socket.sendall(head.encode() + body.encode())
            assert b"data: " in _until_event(each)
        assert ask(llm, "grey", 1).reason == "ratelimit/too-many-at-once"


def _until_event(connection: Connection) -> bytes:
    seen = b""
    while b"data: " not in seen:
        part = connection.socket.recv(4096)
        assert part, seen
        seen += part
    return seen
