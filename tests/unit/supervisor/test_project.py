"""`ff-up.yaml`: mistakes are told with file, line and field before anything is started."""

import os
import sys
from pathlib import Path

import pytest
from fastforward_operator.supervisor.project import Project, program_command, read_project
from fastforward_operator.supervisor.yamlfile import FileProblemError

from support.repository import ROOT


def project(folder: Path, text: str) -> Project:
    (folder / "ff-up.yaml").write_text(text)
    return read_project([folder])


def test_the_bookshop_can_be_run() -> None:
    found = read_project([ROOT / "examples" / "bookshop"])
    assert [program.name for program in found.programs] == ["catalog-v1", "catalog-v2", "orders-eu", "orders-us"]
    assert all("localhost" in line for line in found.try_)


def test_no_file_means_nothing_to_run(tmp_path: Path) -> None:
    assert read_project([tmp_path]).programs == ()


def test_python_is_the_interpreter_that_runs_ff(tmp_path: Path) -> None:
    found = project(tmp_path, "processes: [{name: web, command: [python, -m, http.server]}]")
    assert program_command(found.programs[0]) == (sys.executable, "-m", "http.server")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("processes:\n  - name: web\n    comand: [ls]\n", r"ff-up\.yaml:2: processes\[0\]"),
        ("processes:\n  - {name: web, command: [ls], port: 1}\n", r"ff-up\.yaml:2: .*port: This field is not known"),
        ("try:\n  - curl\n  - a: b\n", r"ff-up\.yaml:3: try\[1\]: Wanted is a text, not a mapping"),
        ("try: [\n", r"ff-up\.yaml:[12]: Not YAML"),
        ("{}\n---\n{}\n", r"ff-up\.yaml:2: One document is wanted here"),
        (
            "\n\nprocesses:\n  - {name: web, command: [no-such-program]}\n",
            r"ff-up\.yaml:4: .*no-such-program is not there",
        ),
        (
            "processes:\n  - {name: web, command: [python, -m, no.such]}\n",
            r"ff-up\.yaml:2: .*module no\.such is not there",
        ),
        ("processes: [{name: web, command: [python, -m, ..x]}]", r"ff-up\.yaml:1: .*module \.\.x is not there"),
        ("processes: [{name: web, command: [ls, '\\0']}]".replace("'", '"'), r"ff-up\.yaml:1: processes\[0\]\.command"),
        ("processes: [{name: envoy, command: [ls]}]", r"ff-up\.yaml:1: a program named envoy is there already"),
        ("processes: [{name: a, command: [ls], ready: 'ftp://a'}]", r"ff-up\.yaml:1: .*ready: 'ftp://a' is not a URL"),
        ("processes: [{name: a, command: [ls], ready: 'http://a:b/'}]", r"ff-up\.yaml:1: .*ready: "),
        ("processes: [{name: a, command: [ls], ready: ''}]", r"ff-up\.yaml:1: .*ready: "),
        (
            "processes: [{name: a, command: [ls], ready: 'http://a:99999/'}]",
            r"ff-up\.yaml:1: the port of http://a:99999/ is",
        ),
    ],
    ids=[
        *("typo", "unknown field", "text wanted", "no yaml", "two documents", "no program", "no module"),
        *("relative module", "zero byte", "own name", "no http", "no number", "no url", "no port"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(tmp_path: Path, text: str, told: str) -> None:
    with pytest.raises(FileProblemError, match=told):
        project(tmp_path, text)


def test_a_file_that_is_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "ff-up.yaml")
    with pytest.raises(FileProblemError, match=r"ff-up\.yaml:1: This is no file"):
        read_project([tmp_path])
