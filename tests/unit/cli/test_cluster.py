"""`ff trace` and `ff status` of a cluster ask every operator's pod through a port that kubectl forwards.

kubectl is a script here, which lists the pods that the test names and forwards to APIs that say what the test wants.
Objects of a cluster are in test_told.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from support.ff import Said, ff_process
from support.operator_api import hop, operator_api

from .test_trace import way

KUBECTL = """\
#!/bin/sh
case "$*" in
{forwarded}
*/pods?*) echo '{pods}' ;;
*) echo '{{"items": []}}' ;;
esac
"""
FORWARDED = '*port-forward*pod/{pod}*) echo "Forwarding from 127.0.0.1:{port} -> 9080"; exec sleep 60 ;;'


def run(folder: Path, ports: dict[str, str], *arguments: str) -> Said:
    pods = json.dumps({"items": [{"metadata": {"name": name}} for name in ports]})
    forwarded = "\n".join(FORWARDED.format(pod=pod, port=port) for pod, port in ports.items())
    script = folder / "kubectl"
    script.write_text(KUBECTL.format(forwarded=forwarded, pods=pods))
    script.chmod(0o755)
    return ff_process(*arguments, "--context", ".", PATH=f"{folder}{os.pathsep}{os.environ['PATH']}")


def test_the_operator_to_which_its_entrypoint_is_connected_knows_of_a_message(tmp_path: Path) -> None:
    with operator_api([], []) as one, operator_api([], [], messages=[way()]) as other:
        ports = {"operator-0": one.rpartition(":")[2], "operator-1": other.rpartition(":")[2]}
        assert run(tmp_path, ports, "trace", "m-1", "-o", "json").json == {"messages": [way()]}
        assert run(tmp_path, ports, "trace", "m-2").code == 1


def test_status_shows_the_hops_of_all_operators(tmp_path: Path) -> None:
    hops = [hop("shop/orders", node=f"decision-{number}") for number in (1, 2)]
    with operator_api([], [], hops=hops[1:]) as one, operator_api([], [], hops=hops[:1]) as other:
        ports = {"operator-0": one.rpartition(":")[2], "operator-1": other.rpartition(":")[2]}
        assert run(tmp_path, ports, "status", "-o", "json").json["hops"] == hops


def test_without_an_operator_there_is_one_line_that_says_so(tmp_path: Path) -> None:
    for command in (("status",), ("trace", "m-1")):
        assert run(tmp_path, {}, *command).err.count("no pod of an operator is in namespace") == 1
