"""Network policies in force for a while: kube-router's firewall, and nothing else of it, in the node's own network.

In: a running cluster with a node. Out: inside the `with`, connections that no policy allows are refused. Afterwards the
last rules stay, for the node's network keeps them: use a cluster that nobody else uses. Called by tests that prove a
policy by a connection that is refused.
"""

from __future__ import annotations

import contextlib
import subprocess
import time
from collections.abc import Generator

from support.cluster.component import options
from support.cluster.definition import NODE_NAME, Cluster
from support.cluster.process import node_pid
from support.tools import program

SECONDS = 30.0
# What the agent says when rules are in place.
DONE = "sync iptables took"


@contextlib.contextmanager
def enforced(cluster: Cluster) -> Generator[None]:
    """Returns to the caller when the policies that there are hold; those that come later hold a moment later."""
    pid = node_pid(cluster)
    assert pid is not None, "the cluster has no node"
    command = (
        *("nsenter", "--all", "--target", str(pid), "--", "setpriv", "--pdeathsig", "KILL", "--"),
        str(program("kube-router")),
        *options(
            kubeconfig=cluster.kubeconfig,
            run_firewall=True,
            run_router=False,
            run_service_proxy=False,
            hostname_override=NODE_NAME,
            service_cluster_ip_range=cluster.network.services,
            health_port=0,
            metrics_port=0,
            v=1,
        ),
    )
    log = cluster.log("kube-router")
    with log.open("wb") as written:
        agent = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=written, stderr=written)
    try:
        deadline = time.monotonic() + SECONDS
        while DONE not in log.read_text():
            assert agent.poll() is None, f"the agent ended: {log.read_text()[-2000:]}"
            assert time.monotonic() < deadline, f"no rules within {SECONDS} s: {log.read_text()[-2000:]}"
            time.sleep(0.1)
        yield
    finally:
        agent.kill()
        agent.wait()
