"""The quickstart on Kubernetes, followed to the letter: its commands, in a fresh clone, and what they print."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
from collections.abc import Generator, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.repository import ROOT

pytestmark = [pytest.mark.slow, pytest.mark.timeout(1200)]

PAGE = ROOT / "docs/quickstart-kubernetes.md"
BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
STEP = re.compile(r"^\$ (?P<command>.+)\n(?P<shown>(?:(?!\$ ).*\n)*)", re.MULTILINE)
KEPT = ("PATH", "HOME", "FASTFORWARD_IMAGES", "FASTFORWARD_TOOLS", "FASTFORWARD_TOOLS_SEED", "XDG_CACHE_HOME")
# The address of a Service is known to the node a moment after its pods are ready.
RETRY_S = 10.0


@dataclass(frozen=True, slots=True)
class Step:
    """A command of the page, and what stands below it."""

    command: str
    shown: str


@dataclass(frozen=True, slots=True)
class Done:
    """What became of a command."""

    code: int
    out: str
    err: str

    @property
    def printed(self) -> str:
        """What a reader looks at: the answer, or the complaint where there is none."""
        return self.out if self.code == 0 or self.out else self.err


def steps() -> list[Step]:
    """All of the page, in order."""
    blocks: Iterator[str] = (found[1] for found in BLOCK.finditer(PAGE.read_text()))
    return [Step(found["command"], found["shown"]) for block in blocks for found in STEP.finditer(block)]


def agrees(printed: str, shown: str) -> bool:
    """Whether it is what the page shows: `...` stands for what is left out, and columns may be of any width.

    Either version of the catalogue is right.
    """
    pattern = re.sub(r"(?:\\ )*\\\.\\\.\\\.(?:\\\n)?", "(?s:.*?)", re.escape(narrow(shown)))
    return re.fullmatch(pattern.replace(r"catalog\-v1", r"catalog\-v[12]"), narrow(printed)) is not None


def narrow(text: str) -> str:
    """With two spaces between columns, however wide they are."""
    return re.sub(" {2,}", "  ", text.replace("\r", "").strip())


class Shell:
    """One shell, as a reader has it: what a command sets, the next ones have."""

    def __init__(self, process: subprocess.Popen[str], folder: Path) -> None:
        self.process = process
        self.folder = folder

    def run(self, command: str) -> Done:
        out, err = self.folder / "out", self.folder / "err"
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.write(f"{{ {command}\n}} </dev/null >{out} 2>{err}\necho $?\n")
        self.process.stdin.flush()
        return Done(int(self.process.stdout.readline()), out.read_text(), err.read_text())


@contextmanager
def shell(clone: Path, folder: Path) -> Generator[Shell]:
    """In the clone's root, with nothing of ours in the environment, and a cluster of its own."""
    folder.mkdir()
    environment = {name: os.environ[name] for name in KEPT if name in os.environ}
    environment |= {"LANG": "C.UTF-8", "FASTFORWARD_CLUSTER": str(folder / "cluster")}
    command = ["bash", "--noprofile", "--norc"]
    with subprocess.Popen(
        command,
        cwd=clone,
        env=environment,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield Shell(process, folder)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            subprocess.run(["make", "cluster-down"], cwd=clone, env=environment, check=False, capture_output=True)


def follow(reader: Shell, step: Step) -> str:
    """Does what is written; returns what is wrong with what it printed."""
    deadline = time.monotonic() + RETRY_S
    while True:
        done = reader.run(step.command)
        if agrees(done.printed, step.shown):
            return ""
        if not step.command.startswith("curl") or time.monotonic() > deadline:
            return f"$ {step.command}\n{done.out}{done.err}instead of\n{step.shown}"
        time.sleep(1)


def test_the_page_has_its_steps_in_it() -> None:
    commands = [step.command.split()[0] for step in steps()]
    assert commands[:2] == ["make", "make"]
    assert steps()[-1].command == "make cluster-down"
    assert commands.count("helm") == 2
    assert commands.count("curl") >= 8


@pytest.mark.parametrize(
    ("printed", "shown", "good"),
    [
        ("a\nb\nc\n", "a\n...\nc\n", True),
        ("a\nc\n", "a\n...\nc\n", True),
        ("a\nb\n", "a\n", False),
        ("", "a\n", False),
        ("served_by: catalog-v2", "served_by: catalog-v1\n", True),
        ("served_by: catalog-v3", "served_by: catalog-v1\n", False),
        ("x   2/2   17s", "x   2/2   ...", True),
        ("x   1/2   17s", "x   2/2   ...", False),
        ("AGE   VERSION\n101s  v1", "AGE  VERSION\n...   v1", True),
        ("a b", "ab", False),
    ],
)
def test_what_is_printed_is_compared_with_what_is_shown(printed: str, shown: str, *, good: bool) -> None:
    assert agrees(printed, shown) is good


def test_the_quickstart_leads_where_it_says(tmp_path: Path) -> None:
    clone = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True, timeout=60)
    # Sockets lie below: their paths are short.
    with tempfile.TemporaryDirectory(prefix="ff") as folder, shell(clone, Path(folder, "reader")) as reader:
        for step in steps():
            wrong = follow(reader, step)
            assert not wrong, wrong
