"""An explanation ends when its time is over, comes one at a time, and takes what was typed through a pipe."""

from __future__ import annotations

import asyncio
import json

import psutil
import pytest
from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_operator.cli.offline import load
from fastforward_operator.page import Explainer, ExplanationError, Question

from fastforward.snapshot.v1 import snapshot_pb2
from support.ff import ff
from support.repository import ROOT

BOOKSHOP = ROOT / "examples" / "bookshop"
URL = "http://bookshop.localhost/books"


def question(url: str = URL, *headers: str, method: str = "GET") -> Question:
    return Question(method=method, url=url, headers=headers, address="127.0.0.1", listener="")


def snapshot() -> bytes:
    resources = DecisionEmitter().apply(load([BOOKSHOP]).delta).upserts
    return snapshot_pb2.SnapshotDelta(resources=resources).SerializeToString()


async def test_it_is_what_the_command_says() -> None:
    said = await Explainer().explain(question(URL, "x-canary: never"), snapshot)
    asked = ("explain", "request", "GET", URL, "-H", "x-canary: never", "--from", BOOKSHOP, "-o", "json")
    assert json.loads(said) == {"explanation": ff(*asked).json, "notes": []}


@pytest.mark.parametrize(
    ("asked", "why"),
    [
        (question("nonsense"), "'nonsense' is no URL"),
        (question(URL, "no header"), "'no header' is no header"),
        (question(method="NO METHOD"), "'NO METHOD' is no method"),
        (question()._replace(listener="none"), "listener 'none': no Edge or Gateway with routes has a listener"),
    ],
    ids=["url", "header", "method", "listener"],
)
async def test_what_is_no_request_is_told(asked: Question, why: str) -> None:
    with pytest.raises(ExplanationError, match=why) as raised:
        await Explainer().explain(asked, snapshot)
    assert raised.value.status == 400


async def test_a_snapshot_that_nobody_can_read_is_a_defect_that_is_told() -> None:
    with pytest.raises(ExplanationError, match="a defect of ours") as raised:
        await Explainer().explain(question(), lambda: b"\xff")
    assert raised.value.status == 500


async def test_whose_time_is_over_is_told_and_leaves_no_process() -> None:
    explainer = Explainer(deadline_s=0.05)
    with pytest.raises(ExplanationError, match=r"within 0\.05 seconds") as raised:
        await explainer.explain(question(), snapshot)
    assert raised.value.status == 503
    assert not any("cli.explanation" in " ".join(child.cmdline()) for child in psutil.Process().children())


async def test_explanations_come_one_after_the_other() -> None:
    running, most = 0, 0
    made = snapshot()

    def counted() -> bytes:
        nonlocal running, most
        running += 1
        most = max(most, running)
        return made

    explainer = Explainer(deadline_s=600)

    async def one() -> None:
        nonlocal running
        await explainer.explain(question(), counted)
        running -= 1

    await asyncio.gather(one(), one(), one())
    assert most == 1


@pytest.mark.parametrize("lines", ["", "{", "{}", "null", "[1]", '[["a", "b"]]'])
def test_header_lines_are_a_list_of_texts(lines: str) -> None:
    with pytest.raises(ExplanationError, match="no list of texts") as raised:
        Question.read({"url": URL}, lines)
    assert raised.value.status == 400


def test_what_is_not_said_is_the_usual() -> None:
    assert Question.read({"url": URL}, "[]") == question()
