"""`ff credentials`: the credentials for development that `ff up` makes, for a cluster.

In: directories and the state folder of `ff up`. Out: their Secrets and ConfigMaps as YAML on standard output, for
kubectl; 1 when nothing asks for any, or while `ff up` uses the folder. Called by cli/main. What clients need stays in
the state folder, from where `ff token` and `ff key show` take it.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from fastforward_operator.supervisor.development import PREFIX, Development, DevelopmentError
from fastforward_operator.supervisor.state import StateError, StateFolder

from .offline import load


def run(directories: Sequence[Path], state: Path) -> int:
    """Print the documents, made where they are missing."""
    folder, resources = StateFolder(state), load(directories).resources
    development = Development(state / "dev")
    try:
        # A running operator reads these documents: those of other directories must not take their place.
        with folder.locked():
            development.provide(resources)
            documents = [path.read_text() for path in sorted(development.resources.glob("*.yaml"))]
    except (StateError, DevelopmentError) as error:
        print(error, file=sys.stderr)
        return 1
    if not documents:
        named = ", ".join(map(str, directories))
        print(f"Nothing in {named} refers to a Secret or ConfigMap whose name begins with {PREFIX}.", file=sys.stderr)
        return 1
    print("---\n".join(documents), end="")
    return 0
