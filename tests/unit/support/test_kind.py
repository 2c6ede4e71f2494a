"""What `make kind-up` asks of Docker and kind: in this order, once, and never of a machine that lacks one of them.

The programs are stand-ins that write down what they are asked: no engine runs where these tests run.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
import yaml

from support.kind import __main__ as kind

# Says what its file of answers says to a command that begins so, and nothing to others.
STAND_IN = """#!{python}
import json, os, sys
from pathlib import Path
folder = Path(__file__).parent
asked = " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])
with (folder / "asked").open("a") as file:
    file.write(asked + "\\n")
for begin, (code, answer) in json.loads((folder / "answers").read_text()).items():
    if asked.startswith(begin):
        print(answer)
        sys.exit(code)
"""
NODES = "fastforward-control-plane fastforward-worker fastforward-worker2"


class Programs:
    """The stand-ins, and what they were asked."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.answer({})
        for name in kind.PROGRAMS:
            (folder / name).write_text(STAND_IN.format(python=sys.executable))
            (folder / name).chmod(0o755)

    def answer(self, answers: dict[str, tuple[int, str]]) -> None:
        (self.folder / "answers").write_text(json.dumps(answers))

    @property
    def asked(self) -> list[str]:
        return (self.folder / "asked").read_text().splitlines()


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Programs:
    monkeypatch.setenv("PATH", str(tmp_path))
    return Programs(tmp_path)


def test_a_new_cluster_is_made_of_a_registry_three_nodes_and_their_link(programs: Programs) -> None:
    programs.answer(
        {"docker container inspect": (1, ""), "docker inspect": (0, '{"bridge": {}}'), "kind get nodes": (0, NODES)}
    )
    assert kind.main("up") == 0
    verbs = [" ".join(line.split()[:3]) for line in programs.asked]
    assert verbs == [
        "docker container inspect",
        "docker run --detach",
        "kind get clusters",
        "kind create cluster",
        "docker inspect --format",
        "docker network connect",
        "kind get nodes",
        *["docker exec fastforward-control-plane", "docker exec --interactive"],
        *["docker exec fastforward-worker", "docker exec --interactive"],
        *["docker exec fastforward-worker2", "docker exec --interactive"],
        "kubectl --context=kind-fastforward apply",
    ]


def test_a_cluster_that_is_there_is_not_made_again(programs: Programs) -> None:
    programs.answer({"kind get clusters": (0, "other\nfastforward"), "docker inspect": (0, '{"kind": {}}')})
    assert kind.main("up") == 0
    assert not [line for line in programs.asked if "create" in line or "docker run" in line or "connect" in line]


def test_down_removes_the_nodes_and_the_registry(programs: Programs) -> None:
    assert kind.main("down") == 0
    assert programs.asked == [
        "kind delete cluster --name fastforward",
        "docker container inspect fastforward-registry",
        "docker rm --force --volumes fastforward-registry",
    ]


def test_a_step_that_fails_ends_it_with_what_was_said(programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    programs.answer({"docker container inspect": (1, ""), "docker run": (125, "port is already allocated")})
    assert kind.main("up") == 1
    assert "port is already allocated" in capsys.readouterr().err
    assert not [line for line in programs.asked if line.startswith("kind")]


def test_a_missing_program_is_named(programs: Programs, capsys: pytest.CaptureFixture[str]) -> None:
    (programs.folder / "kind").unlink()
    assert kind.main("up") == 1
    assert capsys.readouterr().err == "Not installed: kind. Without Docker, run make cluster-up.\n"


def test_the_configuration_is_one_control_plane_and_two_workers_for_this_machine_alone() -> None:
    config = yaml.safe_load(kind.CONFIG.read_text())
    assert (config["apiVersion"], config["name"]) == ("kind.x-k8s.io/v1alpha4", kind.CLUSTER)
    assert [node["role"] for node in config["nodes"]] == ["control-plane", "worker", "worker"]
    ports = config["nodes"][0]["extraPortMappings"]
    assert {(port["hostPort"], port["containerPort"], port["listenAddress"]) for port in ports} == {
        (8080, 30080, "127.0.0.1"),
        (8443, 30443, "127.0.0.1"),
    }
