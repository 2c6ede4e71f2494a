"""`ff openapi`: OpenAPI 3.1 of the rules of a host that send messages.

In: a host and directories. Out: the document, as JSON or YAML. Called by cli/main.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fastforward_compiler.emit.decision import DecisionEmitter
from fastforward_pipeline import Snapshot
from fastforward_pipeline.openapi import describe

from .offline import load
from .output import Output, print_data


def run(host: str, directories: Sequence[Path], output: Output) -> int:
    """Print the document; 1 when the host has no rule to describe."""
    snapshot = Snapshot.empty().apply(DecisionEmitter().apply(load(directories).delta).upserts)
    document = describe(snapshot, host)
    if not document["paths"]:
        print(f"No rule of {host} sends messages: look at `ff explain request` for what it does.", file=sys.stderr)
        return 1
    print_data(document, Output.YAML if output is Output.TEXT else output)
    return 0
