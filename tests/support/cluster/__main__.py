"""The command line behind `make cluster-up` and `make cluster-down`."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from support.cluster.definition import Cluster, default_state
from support.cluster.images import ImageError, load_archive
from support.cluster.lifecycle import ClusterError, down, running, up
from support.tools import ToolError, program


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    made = argparse.ArgumentParser(prog="support.cluster", description=__doc__)
    made.add_argument("--state", type=Path, default=default_state(), help="the cluster's folder")
    commands = made.add_subparsers(dest="command", required=True)
    starting = commands.add_parser("up", help="start it, unless it runs")
    starting.add_argument("--light", action="store_true", help="an API server without a node")
    starting.add_argument("--fsync", action="store_true", help="etcd waits for the disk")
    starting.add_argument("--lease", type=Path, help="end when nobody holds a lock of this file any more")
    loading = commands.add_parser("load", help="give the node the images of an archive")
    loading.add_argument("archive", type=Path, help="OCI or Docker")
    commands.add_parser("down", help="end it and remove all of it")
    return made


def main() -> int:
    """Returns the exit code."""
    asked = parser().parse_args()
    state = asked.state.resolve()
    try:
        match asked.command:
            case "up":
                tell(up(state, light=asked.light, lease=asked.lease, fsync=asked.fsync))
            case "load":
                load_archive(running(state), asked.archive)
            case _:
                print("The cluster is gone." if down(state) else f"There is no cluster in {state}.")
    except (ClusterError, ImageError, ToolError) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def tell(cluster: Cluster) -> None:
    """How to use it."""
    print(f"\nexport KUBECONFIG={cluster.kubeconfig}")
    found = {name: path.parent for name in ("kubectl", "helm") if (path := if_there(name)) is not None}
    print(f"export PATH={':'.join(map(str, found.values()))}:$PATH   # {', '.join(found)}")


def if_there(name: str) -> Path | None:
    """A program that may have been provided."""
    try:
        return program(name)
    except ToolError:
        return None


if __name__ == "__main__":
    sys.exit(main())
