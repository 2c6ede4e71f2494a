"""`python -m fastforward_operator.generate`: writes what a cluster must know of the operator, below the current folder.

In: what it watches, writes and judges. Out: operator/controller/generated, and what the charts' templates are filled
with. Called by `make generate`.
"""

from __future__ import annotations

from pathlib import Path

import yaml

from .kubernetes import downgrades, webhookconfig
from .kubernetes.rbac import NAME, NAMESPACE, caller_binding, documents, own_rules, rules, webhook_rule

FOLDER = Path("operator/controller/generated")
CHART = Path("charts/fastforward/generated")
DEFINITIONS = Path("charts/fastforward-crds/generated")
_HEAD = "# Made from what the operator watches, writes and judges, by `make generate`: change that, not this file.\n"


def main() -> None:
    """Writes the files."""
    texts = {
        FOLDER / "rbac.yaml": _dump(*documents()),
        FOLDER / "admission.yaml": _dump(webhookconfig.document(NAMESPACE), *downgrades.documents()),
        CHART / "cluster-rules.yaml": _dump(list(rules())),
        CHART / "own-rules.yaml": _dump(list(own_rules())),
        CHART / "webhook-rules.yaml": _dump([webhook_rule()]),
        CHART / "webhooks.yaml": _dump(webhookconfig.document(NAMESPACE)["webhooks"]),
        CHART / "caller-binding.yaml": _dump(caller_binding({"name": NAME, "namespace": NAMESPACE})),
        DEFINITIONS / "downgrades.yaml": _dump(list(downgrades.documents())),
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
