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
from support.conformance.suite import claimed, run
from support.repository import ROOT
from support.tools import ToolError

REPORTS = ROOT / "docs" / "conformance"


def parser() -> argparse.ArgumentParser:
    """What can be asked for."""
    made = argparse.ArgumentParser(prog="support.conformance", description=__doc__)
    made.add_argument("--state", type=Path, default=default_state(), help="the cluster's folder; one that runs is used")
    made.add_argument("--only", default="", help="one test by its short name")
    made.add_argument("--out", type=Path, default=None, help="folder of the reports, instead of docs/conformance")
    channels = ("experimental", "standard")
    made.add_argument("--channel", choices=channels, default=channels[0], help="whose definitions: retries are in one")
    made.add_argument("--pods", action="store_true", help="proxies in pods, instead of one on this machine")
    made.add_argument("--debug", action="store_true", help="the suite tells more")
    return made


def report_of(asked: argparse.Namespace) -> Path | None:
    """Where the report goes; none of a single test."""
    folder = asked.out or (None if asked.only else REPORTS)
    channel = "" if asked.channel == "experimental" else f"-{asked.channel}"
    return folder / f"gateway-api{channel}{'-pods' if asked.pods else ''}.yaml" if folder is not None else None


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
            kubeconfig = prepare(cluster, Path(folder), asked.channel)
            serve = serving_by_pods if asked.pods else serving
            with serve(cluster, kubeconfig, Path(folder)) as gateway:
                return run(
                    cluster,
                    gateway,
                    features=claimed(asked.channel),
                    only=asked.only,
                    report=report_of(asked),
                    debug=asked.debug,
                )
    finally:
        if not there:
            down(state)


if __name__ == "__main__":
    sys.exit(main())
