"""The README's two commands in a fresh clone, with nothing of ours in the environment, and its lines to try."""

import os
import re
import signal
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.repository import ROOT
from support.up import READY, RunningUp, following

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]

SETUP_S = 300.0
STOP_S = 30.0
LINE = re.compile(r"^\$ (.+)\n((?:(?!```).*\n)*)```", re.MULTILINE)
A_TEST = "test_the_patterns_find_what_they_forbid"


def environment(*folders: Path) -> dict[str, str]:
    """What a new user has; `folders` come first on the path."""
    return {
        "PATH": os.pathsep.join([*map(str, folders), os.environ["PATH"]]),
        "HOME": os.environ["HOME"],
        "LANG": "C.UTF-8",
    }


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    folder = tmp_path / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True, timeout=60)
    return folder


@contextmanager
def make_up(clone: Path) -> Generator[RunningUp]:
    """`make up`, ended as a terminal's Ctrl-C does: make and all that it started."""
    with (
        subprocess.Popen(
            ["make", "up"],
            cwd=clone,
            env=environment(),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        ) as process,
        following(RunningUp(process, clone, clone / ".fastforward", "http://127.0.0.1:9080", {})) as running,
    ):
        running.until(lambda: READY in running.output or process.poll() is not None, f"says {READY!r}", SETUP_S)
        assert READY in running.output, running.output
        yield running
        os.killpg(process.pid, signal.SIGINT)
        process.wait(STOP_S)


def lines_to_try() -> list[tuple[str, str]]:
    """Command and output of each of the README's lines."""
    text = (ROOT / "README.md").read_text()
    return LINE.findall(text[text.index("## Five lines") : text.index("## The command")])


def run(clone: Path, command: str) -> str:
    done = subprocess.run(
        ["bash", "-c", command],
        cwd=clone,
        env=environment(clone / ".venv" / "bin"),
        stdout=subprocess.PIPE,
        text=True,
        timeout=60,
        check=False,
    )
    return done.stdout.replace("\r", "")


def agrees(output: str, shown: str) -> bool:
    """Whether an output is the one shown: `...` stands for lines left out, either version of the catalogue is right."""
    pattern = re.sub(r"(?:\\ )*\\\.\\\.\\\.", "(?s:.*?)", re.escape(shown.strip()))
    return re.fullmatch(pattern.replace(r"catalog\-v1", r"catalog\-v[12]"), output.strip()) is not None


def test_make_up_serves_what_the_readme_shows(clone: Path) -> None:
    lines = lines_to_try()
    assert len(lines) == 5
    with make_up(clone):
        wrong = {command: found for command, shown in lines if not agrees(found := run(clone, command), shown)}
    assert wrong == {}


def test_make_test_sets_up_all_that_it_needs(clone: Path) -> None:
    done = subprocess.run(
        ["make", "test", f"ARGS=-k {A_TEST}"],
        cwd=clone,
        env=environment(),
        stdout=subprocess.PIPE,
        text=True,
        timeout=SETUP_S,
        check=False,
    )
    assert (done.returncode, "1 passed" in done.stdout) == (0, True), done.stdout
