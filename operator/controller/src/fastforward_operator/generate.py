"""`python -m fastforward_operator.generate`: writes what the operator may do in a cluster, below the current folder.

In: what it watches and writes. Out: operator/controller/generated/rbac.yaml, and for the chart the rules alone, also
those by which the API server asks the webhook. Called by `make generate`.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from .kubernetes.rbac import documents, own_rules, rules, webhook_rule
from .kubernetes.webhook import webhook_rules

FILE = Path("operator/controller/generated/rbac.yaml")
CHART = Path("charts/fastforward/generated")
_HEAD = "# Made from what the operator watches and writes, by `make generate`: change that, not this file.\n"


def main() -> None:
    """Writes the files."""
    texts = {
        FILE: _dump(*documents()),
        CHART / "cluster-rules.yaml": _dump(list(rules())),
        CHART / "own-rules.yaml": _dump(list(own_rules())),
        CHART / "webhook-rules.yaml": _dump([webhook_rule()]),
        CHART / "webhook.yaml": _dump(webhook_rules()),
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_HEAD + text)


class _Plain(yaml.SafeDumper):
    """What occurs twice is written twice: Helm's reader and people know no anchors."""

    def ignore_aliases(self, data: object) -> bool:
        del data
        return True


def _dump(*found: object) -> str:
    return yaml.dump_all(found, Dumper=_Plain, sort_keys=False)


if __name__ == "__main__":
    main()
