"""`ff validate`: everything that is wrong with the resources of a directory, without running anything.

In: directories, a cluster, or directories and the cluster that they are meant for. Out: one line a Problem, with file,
line, field and remedy; exit code 1 when there is any, or nothing to check. Called by cli/main.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fastforward_compiler.problem import is_refused

from .offline import Finding, load, load_over
from .output import Output, counted, print_data
from .source import read_cluster
from .where import Where


def run(directories: Sequence[Path], output: Output, where: Where) -> int:
    """Print the findings."""
    if not directories and not where.is_cluster:
        print("Name a directory of resources, or a cluster with --context.", file=sys.stderr)
        return 2
    offline = load_over(read_cluster(where), directories) if where.is_cluster else load(directories)
    findings = offline.findings()
    if output is not Output.TEXT:
        print_data({"objects": offline.count, "problems": [_data(finding) for finding in findings]}, output)
    else:
        for finding in findings:
            print(finding)
        print(f"{counted(offline.count, 'object')}, {counted(len(findings), 'problem')}.")
    if not offline.count and not findings and not where.is_cluster:
        named = ", ".join(map(str, directories))
        print(f"There are no resources in {named}: files are read that end in .yaml, .yml or .json.", file=sys.stderr)
        return 1
    return 1 if findings else 0


def _data(finding: Finding) -> dict[str, object]:
    problem = finding.problem
    return {
        "file": finding.place.path or None,
        "line": finding.place.line or None,
        "kind": problem.on.kind,
        "namespace": problem.on.namespace,
        "name": problem.on.name,
        "field": problem.field,
        "condition": str(problem.condition),
        "reason": str(problem.reason),
        "message": problem.message,
        "admission": "refused" if is_refused(problem) else "warned",
    }
