"""`python -m fastforward_operator.generate`: writes what the operator may do in a cluster, below the current folder.

In: what it watches and writes. Out: operator/controller/generated/rbac.yaml. Called by `make generate`.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from .kubernetes.rbac import documents

FILE = Path("operator/controller/generated/rbac.yaml")
_HEAD = "# Made from what the operator watches and writes, by `make generate`: change that, not this file.\n"


def main() -> None:
    """Writes the file."""
    FILE.parent.mkdir(parents=True, exist_ok=True)
    FILE.write_text(_HEAD + yaml.safe_dump_all(documents(), sort_keys=False))


if __name__ == "__main__":
    main()
