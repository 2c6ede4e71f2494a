"""A cluster comes by one command, stays one when the command is given again, and leaves nothing when it goes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
from collections.abc import Generator
from pathlib import Path

import pytest

from support import tools
from support.cluster.cgroups import hierarchies
from support.cluster.components import NODE
from support.cluster.definition import Cluster, read
from support.cluster.node import MACHINE_SETTINGS
from support.cluster.process import node_pid, outer_pid
from support.cluster.shared import command
from support.eventually import eventually
from support.processes import is_running

# Where programs of a cluster leave things when nobody stops them.
PLACES = (
    "/etc/cni",
    "/opt/cni",
    "/run/containerd",
    "/run/netns",
    "/run/xtables.lock",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containerd",
    "/var/lib/kubelet",
    "/var/log/containers",
    "/var/log/pods",
)
node = [pytest.mark.slow, pytest.mark.timeout(300)]
KINDS = pytest.mark.parametrize(
    "options", [pytest.param(("--light",), id="light"), pytest.param((), id="node", marks=node)]
)


@pytest.fixture
def state(tmp_path: Path) -> Generator[Path]:
    """The folder of a cluster that is gone at the end, whatever became of it."""
    folder = tmp_path / "cluster"
    yield folder
    command(folder, "down")


def started(state: Path, *options: str) -> Cluster:
    """One that has just been started."""
    assert str(state / "kubeconfig") in command(state, "up", *options)
    cluster = read(state)
    assert cluster is not None
    return cluster


def traces(of: Cluster | None = None) -> dict[str, str]:
    """All that this cluster may leave on this machine, and whatever else there is, but for that of other clusters."""
    found = {
        "links": output("ip", "-o", "link"),
        "routes": output("ip", "route", "show", "table", "all"),
        "rules of iptables": output("iptables-save"),
        "mounts": Path("/proc/self/mountinfo").read_text(),
        "namespaces": "\n".join(sorted({str(path) for path in Path("/run").glob("netns/*")})),
        "control groups": "\n".join(str(each) for root in hierarchies() for each in root.glob("fastforward-*")),
        "settings": "\n".join(f"{name}={Path('/proc/sys', name).read_text()}" for name in MACHINE_SETTINGS),
        "places": "\n".join(place for place in PLACES if Path(place).exists()),
    }
    return {
        what: "\n".join(line for line in text.splitlines() if not is_of_other(line, of)) for what, text in found.items()
    }


def is_of_other(line: str, cluster: Cluster | None) -> bool:
    """Whether a trace is that of a cluster, and not of this one."""
    own = set() if cluster is None else {cluster.mark}
    if cluster is not None and not cluster.light:
        own |= {cluster.network.interface, cluster.network.at("")}
    return any(each not in own for each in re.findall(r"\b(?:ff2[0-4]\d|fastforward-\w+|10\.2[0-4]\d\.)", line))


def output(*command: str) -> str:
    """Without counters, which change."""
    shown = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    return re.sub(r"^#.*\n|\[\d+:\d+\]|qlen \d+", "", shown, flags=re.MULTILINE)


def processes(state: Path) -> list[str]:
    """Those that were started for the cluster: they name its folder or are in it."""
    return [
        path.name
        for path in Path("/proc").iterdir()
        if path.name.isdigit() and path.name != str(os.getpid()) and str(state) in about(path)
    ]


def about(process: Path) -> str:
    """Its command and its folder; nothing when it has ended."""
    try:
        return (process / "cmdline").read_text() + str((process / "cwd").readlink())
    except OSError:
        return ""


def in_namespace(namespace: Path) -> list[str]:
    """The processes whose process namespace this is."""
    return [path.parent.parent.name for path in Path("/proc").glob("[0-9]*/ns/pid") if link(path) == namespace]


def link(path: Path) -> Path | None:
    """What it points to, if it is still there."""
    try:
        return path.readlink()
    except OSError:
        return None


@KINDS
def test_a_cluster_stays_one_when_it_is_asked_for_again_and_leaves_nothing_behind(
    state: Path, options: tuple[str, ...]
) -> None:
    before = traces()
    cluster = started(state, *options)
    during = traces(cluster)
    namespace = None if cluster.light else link(Path(f"/proc/{node_pid(cluster)}/ns/pid"))
    assert processes(state)
    if namespace is not None:
        assert during != before, "the traces are looked for where there are some"
        assert len(in_namespace(namespace)) > len(NODE)

    assert command(state, "up", *options).startswith("The cluster is running.")
    assert read(state) == cluster

    assert command(state, "down") == "The cluster is gone.\n"

    assert traces(cluster) == before
    assert processes(state) == []
    assert namespace is None or in_namespace(namespace) == []
    assert not state.exists()
    assert "There is no cluster" in command(state, "down")


@KINDS
async def test_a_killed_cluster_leaves_no_process_and_comes_again(state: Path, options: tuple[str, ...]) -> None:
    cluster = started(state, *options)
    pid = outer_pid(cluster)
    assert pid is not None
    os.kill(pid, signal.SIGKILL)
    await eventually(lambda: processes(state) == [], seconds=30, claim="every process of the cluster has ended")
    again = started(state, *options)
    assert outer_pid(again) != pid
    assert output("ip", "link").count(cluster.mark) == (0 if cluster.light else 1), "the first one's link is gone"


def test_a_folder_that_is_no_cluster_s_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "mine").write_text("precious")
    for asked in ("up", "down"):
        with pytest.raises(AssertionError, match="no cluster's folder"):
            command(tmp_path, asked, *(["--light"] if asked == "up" else []))
    assert (tmp_path / "mine").read_text() == "precious"


def test_one_kind_of_cluster_is_not_taken_for_the_other(state: Path) -> None:
    cluster = started(state, "--light")
    with pytest.raises(AssertionError, match="make cluster-down"):
        command(state, "up")
    pid = outer_pid(cluster)
    assert pid is not None
    assert is_running(pid)


def test_missing_programs_are_told_with_the_remedy(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTFORWARD_TOOLS", str(tmp_path / "empty"))
    with pytest.raises(AssertionError, match=r"^etcd v\S+ is not there: run make tools\.$"):
        command(state, "up", "--light")
    assert not state.exists()


def test_a_component_that_cannot_run_ends_it_with_what_it_said(
    state: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("FASTFORWARD_TOOLS", str(tmp_path / "tools"))
    for made in tools.PROGRAMS:
        home = tools.home(made)
        home.mkdir(parents=True)
        for name in (made.name, *made.links):
            (home / name).write_text("#!/bin/sh\necho the disk is full\nexit 1\n")
            (home / name).chmod(0o755)
    with pytest.raises(AssertionError, match="etcd ended, and is started again: the disk is full"):
        command(state, "up", "--light")
    assert processes(state) == []
