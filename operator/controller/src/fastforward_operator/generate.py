"""`python -m fastforward_operator.generate`: writes what a cluster must know of the operator, below the current folder.

In: what it watches, writes and judges. Out: operator/controller/generated, and what the charts' templates are filled
with. Called by `make generate`.
"""

from __future__ import annotations

from pathlib import Path

from .kubernetes import downgrades, webhookconfig
from .kubernetes.rbac import (
    NAME,
    NAMESPACE,
    caller_binding,
    documents,
    namespaces_rule,
    own_rules,
    rules,
    webhook_rule,
)
from .providers.dump import dump_documents

FOLDER = Path("operator/controller/generated")
CHART = Path("charts/fastforward/generated")
DEFINITIONS = Path("charts/fastforward-crds/generated")
_HEAD = "# Made from what the operator watches, writes and judges, by `make generate`: change that, not this file.\n"


def main() -> None:
    """Writes the files."""
    texts = {
        FOLDER / "rbac.yaml": dump_documents(*documents()),
        FOLDER / "admission.yaml": dump_documents(webhookconfig.document(NAMESPACE), *downgrades.documents()),
        CHART / "cluster-rules.yaml": dump_documents(list(rules())),
        CHART / "own-rules.yaml": dump_documents(list(own_rules())),
        CHART / "namespaces-rules.yaml": dump_documents([namespaces_rule()]),
        CHART / "webhook-rules.yaml": dump_documents([webhook_rule()]),
        CHART / "webhooks.yaml": dump_documents(webhookconfig.document(NAMESPACE)["webhooks"]),
        CHART / "caller-binding.yaml": dump_documents(caller_binding({"name": NAME, "namespace": NAMESPACE})),
        DEFINITIONS / "downgrades.yaml": dump_documents(list(downgrades.documents())),
    }
    for path, text in texts.items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(_HEAD + text)


if __name__ == "__main__":
    main()
