"""The command line behind `make conformance`."""

from __future__ import annotations

import argparse
import signal
import sys
import tempfile
from pathlib import Path

from support.cluster.definition import default_state
from support.cluster.lifecycle import ClusterError, down, running, up
from support.conformance.gateway import serving, serving_by_pods
from support.conformance.preparation import prepare
from support.conformance.suite import PROFILES, run
from support.repository import ROOT
from support.tools import ToolError

REPORTS = ROOT / "docs" / "conformance"


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    made = argparse.ArgumentParser(prog="support.conformance", description=__doc__)
    made.add_argument("--state", type=Path, default=default_state(), help="the cluster's folder; one that runs is used")
    made.add_argument("--only", default="", help="one test by its short name")
    made.add_argument("--out", type=Path, default=None, help="folder of the reports, instead of docs/conformance")
    made.add_argument("--pods", action="store_true", help="proxies in pods, instead of one on this machine")
    made.add_argument("--debug", action="store_true", help="the suite tells more")
    return made


def main() -> int:
    """Returns the suite's exit code. A cluster that was not there goes at the end."""
    asked = parser().parse_args()
    # So that all that was started ends, too, and addresses are given back.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    state = asked.state.resolve()
    try:
        there = state.exists()
        cluster = running(state) if there else up(state, light=False)
    except (ClusterError, ToolError) as error:
        print(error, file=sys.stderr)
        return 1
    try:
        with tempfile.TemporaryDirectory(prefix="ff") as folder:
            kubeconfig = prepare(cluster, Path(folder))
            serve = serving_by_pods if asked.pods else serving
            with serve(cluster, kubeconfig, Path(folder)) as gateway:
                folder_of_reports = asked.out or (None if asked.only else REPORTS)
                return run(cluster, gateway, PROFILES, only=asked.only, reports=folder_of_reports, debug=asked.debug)
    finally:
        if not there:
            down(state)


if __name__ == "__main__":
    sys.exit(main())
