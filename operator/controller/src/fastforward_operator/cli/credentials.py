"""`ff credentials`: the credentials for development that `ff up` makes, for a cluster.

In: directories and the state folder of `ff up`. Out: their Secrets and ConfigMaps as YAML on standard output, for
kubectl; 1 when nothing asks for any. Called by cli/main. What clients need stays in the state folder, from where
`ff token` and `ff key show` take it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fastforward_operator.supervisor.development import PREFIX, Development, DevelopmentError

from .offline import load


def run(directories: Sequence[Path], state: Path) -> int:
    """Print the documents, made where they are missing."""
    development = Development(state / "dev")
    try:
        development.provide(load(directories).resources)
    except DevelopmentError as error:
        print(error, file=sys.stderr)
        return 1
    documents = [path.read_text() for path in sorted(development.resources.glob("*.yaml"))]
    if not documents:
        named = ", ".join(map(str, directories))
        print(f"Nothing in {named} refers to a Secret or ConfigMap whose name begins with {PREFIX}.", file=sys.stderr)
        return 1
    print("---\n".join(documents), end="")
    return 0
