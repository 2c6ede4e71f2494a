"""Bash, zsh and fish complete commands, kinds, names of objects, proxies and contexts: the real shells are asked."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from collections.abc import Callable, Generator
from pathlib import Path

import pytest

from support.ff import ff
from support.operator_api import described, node, operator_api

SECONDS = 60.0
KUBECTL = "#!/bin/sh\ncase \"$*\" in *get-contexts*) printf 'staging\\nproduction\\n' ;; *) exit 1 ;; esac\n"
_PROMPT = "ready>"


class Scene:
    """A home with `ff` and kubectl on its path, and an operator that knows some objects."""

    def __init__(self, folder: Path, api: str) -> None:
        self.folder = folder
        (folder / "kubectl").write_text(KUBECTL)
        (folder / "kubectl").chmod(0o755)
        self.environment = {
            "PATH": os.pathsep.join((str(folder), str(Path(sys.executable).parent), os.environ["PATH"])),
            "HOME": str(folder),
            "TERM": "dumb",
            "PS1": _PROMPT,
            "FF_API": api,
            "LC_ALL": "C.UTF-8",
        }

    def run(self, *command: str) -> str:
        done = subprocess.run(
            command, env=self.environment, capture_output=True, text=True, check=True, timeout=SECONDS
        )
        return done.stdout


@pytest.fixture
def scene(tmp_path: Path) -> Generator[Scene]:
    objects = [described("Route", "books"), described("Route", "orders"), described("Tenant", "acme")]
    with operator_api(objects, [node("envoy-1", "envoy"), node("decision", "decision")]) as api:
        yield Scene(tmp_path, api)


def typed(scene: Scene, command: list[str], setup: str, line: str, done: Callable[[str], bool]) -> str:
    """What an interactive shell shows after a line and two tabs."""
    terminal, its_end = pty.openpty()
    with subprocess.Popen(
        command, stdin=its_end, stdout=its_end, stderr=its_end, env=scene.environment, start_new_session=True
    ) as process:
        os.close(its_end)
        try:
            os.write(terminal, f"{setup}\n".encode())
            shown(terminal, lambda text: text.rstrip().endswith(_PROMPT) and text.count(_PROMPT) > 1)
            os.write(terminal, f"{line}\t\t".encode())
            return shown(terminal, done)
        finally:
            process.kill()
            os.close(terminal)


def shown(terminal: int, done: Callable[[str], bool]) -> str:
    text, deadline = "", time.monotonic() + SECONDS
    while not done(text):
        assert time.monotonic() < deadline, f"the terminal shows {text!r}"
        if select.select([terminal], [], [], 0.2)[0]:
            text += re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", os.read(terminal, 65536).decode(errors="replace"))
    return text


def in_bash(scene: Scene, line: str, done: Callable[[str], bool]) -> str:
    return typed(scene, ["bash", "--norc", "-i"], 'eval "$(ff completion bash)"', line, done)


def in_zsh(scene: Scene, line: str, done: Callable[[str], bool]) -> str:
    setup = 'autoload -U compinit; compinit -u -D; eval "$(ff completion zsh)"'
    return typed(scene, ["zsh", "-f", "-i"], setup, line, done)


def in_fish(scene: Scene, line: str, done: Callable[[str], bool]) -> str:
    found = scene.run("fish", "--no-config", "-c", f"ff completion fish | source; complete -C '{line}'")
    assert done(found), found
    return found


SHELLS = pytest.mark.parametrize("ask", [in_bash, in_zsh, in_fish], ids=["bash", "zsh", "fish"])
Ask = Callable[[Scene, str, Callable[[str], bool]], str]


@SHELLS
@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("ff tra", ("trace",)),
        ("ff get ratel", ("ratelimits",)),
        ("ff get rt shop/", ("shop/books", "shop/orders")),
        ("ff explain route shop/b", ("shop/books",)),
        ("ff proxy env", ("envoy-1",)),
        ("ff get tenant shop/", ("shop/acme",)),
        ("ff get --context prod", ("production",)),
        ("ff top --by ten", ("tenant",)),
    ],
)
def test_a_shell_completes(scene: Scene, ask: Ask, line: str, found: tuple[str, ...]) -> None:
    ask(scene, line, lambda text: all(each in text for each in found))


def test_where_nobody_answers_nothing_is_said(scene: Scene) -> None:
    scene.environment["FF_API"] = "http://127.0.0.1:1"
    asked = {"COMP_WORDS": "ff\nget\nrt\n", "COMP_CWORD": "3", "_FF_COMPLETE": "complete_bash"}
    for context in ({}, {"FF_CONTEXT": "staging"}):
        done = subprocess.run(
            ["ff"], env={**scene.environment, **asked, **context}, capture_output=True, text=True, check=False
        )
        assert (done.stdout.strip(), done.stderr) == ("", "")


def test_another_shell_is_a_wrong_call() -> None:
    said = ff("completion", "tcsh")
    assert said.code == 2
    assert "'bash', 'zsh', 'fish'" in said.err
