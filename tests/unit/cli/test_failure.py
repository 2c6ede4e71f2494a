"""Whatever goes wrong with a command is one sentence and an exit code, never a traceback."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from support.ff import ff
from support.repository import ROOT

BOOKSHOP = ROOT / "examples" / "bookshop"
FULL = Path("/dev/full")


def run(
    *arguments: str | Path, environment: Mapping[str, str] | None = None, out: Path | None = None
) -> tuple[int, str]:
    """The real command, a process of its own; exit code and standard error."""
    command = [sys.executable, "-m", "fastforward_operator.cli", *map(str, arguments)]
    # Buffered, as it is for users: what can't be written is noticed late.
    variables = {**os.environ, "PYTHONUNBUFFERED": "", **(environment or {})}
    with (out or Path(os.devnull)).open("wb") as stdout:
        done = subprocess.run(command, stdout=stdout, stderr=subprocess.PIPE, env=variables, timeout=60, check=False)
    return done.returncode, done.stderr.decode()


def planted(folder: Path, module: str, source: str) -> dict[str, str]:
    """An environment in which `module` is another one."""
    (folder / f"{module}.py").write_text(source)
    return {"PYTHONPATH": str(folder), "TMPDIR": str(folder)}


def test_ctrl_c_while_it_is_still_imported_says_nothing(tmp_path: Path) -> None:
    interrupt = "import os, signal\nos.kill(os.getpid(), signal.SIGINT)\n"
    assert run("--help", environment=planted(tmp_path, "typer", interrupt)) == (-signal.SIGINT, "")


def test_a_defect_is_one_sentence_and_a_file_that_says_where(tmp_path: Path) -> None:
    code, said = run("token", environment=planted(tmp_path, "joserfc", "raise RuntimeError('planted')\n"))
    assert code == 1
    found = re.fullmatch(r"ff: a defect of ours \(RuntimeError: 'planted'\): please report it with (.+)\.\n", said)
    assert found is not None, said
    assert "Traceback" in Path(found[1]).read_text()


@pytest.mark.parametrize("options", [(), ("-o", "json"), ("-o", "yaml")], ids=" ".join)
def test_a_full_disk_is_one_sentence(options: tuple[str, ...]) -> None:
    assert run("validate", BOOKSHOP, *options, out=FULL) == (1, "ff: No space left on device.\n")


def test_what_the_terminal_can_not_show_is_escaped(tmp_path: Path) -> None:
    shown = tmp_path / "shown"
    arguments = ("explain", "request", "GET", "http://b\u00fccher.localhost/", "--from", BOOKSHOP)
    assert run(*arguments, environment={"PYTHONIOENCODING": "ascii"}, out=shown) == (0, "")
    assert shown.read_text().startswith("GET http://b\\xfccher.localhost/")


@pytest.mark.parametrize("command", ["validate", "render", "test"])
def test_what_is_neither_directory_nor_file_is_refused(tmp_path: Path, command: str) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    said = ff(command, tmp_path / "pipe.yaml")
    assert (said.code, said.out) == (1, "")
    assert "pipe.yaml is neither a directory nor a file" in said.err


def test_results_that_can_not_be_written_are_one_sentence(tmp_path: Path) -> None:
    said = ff("test", BOOKSHOP, "--junit", tmp_path / "none" / "x.xml")
    assert said.code == 1
    assert said.err.endswith("x.xml can't be written (No such file or directory): name another file with --junit.\n")


@pytest.mark.parametrize("arguments", [("--help",), ("validate", BOOKSHOP), ("completion", "bash")], ids=str)
def test_a_closed_standard_output_is_no_traceback(arguments: tuple[str | Path, ...]) -> None:
    command = [sys.executable, "-m", "fastforward_operator.cli", *map(str, arguments)]
    script = ["sh", "-c", 'exec "$@" >&-', "sh", *command]
    done = subprocess.run(script, stderr=subprocess.PIPE, timeout=60, check=False)
    assert (done.returncode, done.stderr) == (0, b"")


def test_a_cluster_that_does_not_answer_is_told_once(tmp_path: Path) -> None:
    kubectl = tmp_path / "kubectl"
    kubectl.write_text("#!/bin/sh\necho refused >&2\nexit 1\n")
    kubectl.chmod(0o755)
    path = f"{tmp_path}{os.pathsep}{os.environ['PATH']}"
    code, said = run("get", "--context", "nowhere", environment={"PATH": path})
    told = "The cluster does not answer (refused): name another with --context or --kubeconfig.\n"
    assert (code, said) == (1, told)


@pytest.mark.parametrize(
    "arguments", [("render",), ("diff", BOOKSHOP), ("explain", "request", "GET", "http://a/", "--from")], ids=str
)
def test_what_is_printed_of_broken_resources_comes_with_a_warning(
    tmp_path: Path, arguments: tuple[str | Path, ...]
) -> None:
    (tmp_path / "a.yaml").write_text("kind: Rout\n")
    said = ff(*arguments, tmp_path, "-o", "json")
    assert said.err == f"The resources have 1 problem, which may be why: ff validate {tmp_path}\n"
    assert said.json
